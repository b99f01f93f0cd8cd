"""`btswarm install`: write the unit files, or the supervisord program, with this host's paths in them."""

from pathlib import Path

from .manage import chosen, parser_of


def main(argv: list[str]) -> int:
    parser = parser_of("install", __doc__)
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="only write the files, there")
    parser.add_argument("--user", default="", metavar="NAME", help="whom the daemon runs as; the roots become theirs")
    options = parser.parse_args(argv)
    settings, way = chosen(options)
    from ..service import install

    written = install(settings, way, options.into, options.user)
    for path in written:
        print(f"wrote {path}")
    if way == "systemd" and not options.into:
        print("systemctl enable --now btswarm starts it now and at every boot")
    elif not written:
        print("neither systemd nor supervisord here: nothing to install; btswarm start starts a detached keeper")
    return 0
