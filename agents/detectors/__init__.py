"""Arithmetic that agents share, and the cycle too: pure functions of views, limits and time."""
