"""`btswarm resume`: end a pause or a drain of the swarm, a lane or a job."""

from .wish import tell


def main(argv: list[str]) -> int:
    return tell("resume", __doc__, argv)
