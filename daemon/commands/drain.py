"""`btswarm drain`: let the work of a lane or job come to its end; the whole swarm then leaves."""

from .wish import tell


def main(argv: list[str]) -> int:
    return tell("drain", __doc__, argv)
