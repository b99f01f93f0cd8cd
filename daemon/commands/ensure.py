"""`btswarm ensure`: start the daemon unless it runs; may be called as often as one likes."""

from .manage import chosen, parser_of, refuse_unfit


def main(argv: list[str]) -> int:
    options = parser_of("ensure", __doc__).parse_args(argv)
    settings, way = chosen(options)
    refuse_unfit(settings)
    from ..service import start

    print(start(settings, way))
    return 0
