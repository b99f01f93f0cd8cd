"""Fixtures of the tests that start whole swarms."""

from .healing import swarm

__all__ = ["swarm"]
