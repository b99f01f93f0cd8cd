"""`btswarm start`: bring the daemon up through systemd, else supervisord, else a detached keeper, and wait for it."""

from .manage import chosen, parser_of, refuse_unfit


def main(argv: list[str]) -> int:
    options = parser_of("start", __doc__).parse_args(argv)
    settings, way = chosen(options)
    refuse_unfit(settings)
    from ..service import start

    print(start(settings, way))
    return 0
