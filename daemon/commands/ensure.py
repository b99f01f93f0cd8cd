"""`btswarm ensure`: start the daemon unless it runs; may be called as often as one likes."""

from ..lock import LOCK_NAME
from ..view import held
from .manage import chosen, parser_of, refuse_unfit


def main(argv: list[str]) -> int:
    options = parser_of("ensure", __doc__).parse_args(argv)
    settings, way = chosen(options)
    if not settings.swarm_enabled and not held(settings.roots.state / LOCK_NAME):
        print("SWARM_ENABLED=false: no daemon is started; btswarm start starts one all the same")
        return 0
    refuse_unfit(settings)
    from ..service import start

    print(start(settings, way))
    return 0
