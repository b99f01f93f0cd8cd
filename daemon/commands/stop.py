"""`btswarm stop`: end the daemon and all of its workers, each at a checkpoint, and see that nothing is left."""

from .manage import chosen, parser_of


def main(argv: list[str]) -> int:
    options = parser_of("stop", __doc__).parse_args(argv)
    settings, way = chosen(options)
    from ..service import stop

    print(stop(settings, way))
    return 0
