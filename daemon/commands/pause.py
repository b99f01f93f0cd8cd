"""`btswarm pause`: let the swarm, a lane or a job rest; its workers stop at a checkpoint."""

from .wish import tell


def main(argv: list[str]) -> int:
    return tell("pause", __doc__, argv)
