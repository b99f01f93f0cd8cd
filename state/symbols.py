"""Names of markets: what a person writes, what a file is called, and the one form everything else uses.

The one form is `SOLUSDT` for a spot market and `SOLUSDT-PERP` for a linear perpetual: it names folders, artifacts and
entries of the ledger. Standard library only.
"""

import re
from dataclasses import dataclass

from .errors import BadConfig

SYNTHETIC = "SYNTH"
PERPETUAL = "-PERP"
DEFAULT_QUOTE = "USDT"
DOLLARS = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USDP")
MONEY = ("USD", "EUR", "GBP", "JPY", "AUD", "BRL", "TRY", "DAI")
COINS = ("BTC", "ETH", "BNB")
QUOTES = (*DOLLARS, *MONEY, *COINS)
SHORTEST_BASE = 3  # WBTC and TUSD are coins, SOLBTC and BTCUSD are pairs

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._]*")
_UNITS = {"m": 1, "min": 1, "h": 60, "d": 1440, "w": 10080}
_FILE = re.compile(
    r"(?P<market>.+?)[-_.](?P<count>\d{1,5})(?P<unit>min|[mhdwHDW])(?:[-_. ](?P<rest>.*))?"
)  # M is a month
_NOT_CANDLES = ("mark", "index", "premiumindex", "funding_rate", "trades")


@dataclass(frozen=True)
class FileName:
    """What a file's name says. `symbol` is the one form, `minutes` None where no timeframe stands in the name.

    `certain`: the name surely names a market, so that it may contradict what was asked for. `candles` is false for
    files of the same exchange that hold something else (mark prices, funding rates, trades).
    """

    symbol: str
    minutes: int | None
    certain: bool
    candles: bool = True


def readings(symbol: str) -> tuple[str, ...]:
    """The markets that `symbol` may mean, in the one form, most likely first: `SOL` is `SOLUSDT`, else `SOL` itself.

    Raises BadConfig for what is no symbol.
    """
    text = symbol.strip().upper()
    if text == SYNTHETIC or text.startswith(f"{SYNTHETIC}-"):
        return (text,)
    parts = re.split(r"[/:_-]", text)
    if not all(_SYMBOL.fullmatch(part) for part in parts):
        raise BadConfig(f"{symbol!r} is no symbol", fix="write SOLUSDT for spot, SOLUSDT-PERP for the perpetual")
    if parts[-1] in ("PERP", "SWAP"):
        return tuple(f"{one}{PERPETUAL}" for one in _spot(parts[:-1], symbol))
    if len(parts) == 3 and parts[1] == parts[2]:
        return tuple(f"{one}{PERPETUAL}" for one in _spot(parts[:2], symbol))
    return _spot(parts, symbol)


def canonical(symbol: str) -> str:
    """The one form of what a person wrote: `SOL`, `SOL/USDT` -> `SOLUSDT`; `SOL/USDT:USDT` -> `SOLUSDT-PERP`."""
    return readings(symbol)[0]


def synthetic_name(symbol: str | None) -> str:
    """What the invented market that stands in for `symbol` is called, so that no result of it passes for a real one."""
    name = canonical(symbol) if symbol else SYNTHETIC
    return name if name.startswith(SYNTHETIC) else f"{SYNTHETIC}-{name}"


def pair(symbol: str) -> tuple[str, str] | None:
    """Base and quote of a market in the one form; None where the name does not show them."""
    name = symbol.removesuffix(PERPETUAL)
    for quotes, shortest in ((DOLLARS, 1), (MONEY + COINS, SHORTEST_BASE)):
        for quote in quotes:
            if name.endswith(quote) and len(name) - len(quote) >= shortest:
                return name.removesuffix(quote), quote
    return None


def means(name: FileName, wanted: tuple[str, ...]) -> bool:
    """Whether a file's market is one of the `readings` of what was asked for: the file `SOL-5m` may be `SOLUSDT`."""
    return not set(readings(name.symbol)).isdisjoint(wanted)


def parse_file_name(stem: str) -> FileName | None:
    """What a candle file's name without its suffixes says; None if it names no market at all. Its symbol is the name's
    own, so that `SOL-5m` is `SOL`; `means` tells whether that is the market asked for.

    Knows `SOLUSDT-5m`, `SOLUSDT-PERP-5m`, `SOL_USDT-5m`, `SOL_USDT_USDT-5m-futures`, `SOLUSDT-5m-2024-01`, `SOLUSDT`.
    """
    match = _FILE.fullmatch(stem)
    market = match["market"] if match else stem
    rest = (match["rest"] or "").lower() if match else ""
    try:
        name = readings(market)[-1]
    except BadConfig:
        return None
    if rest == "futures" and not name.endswith(PERPETUAL):
        name += PERPETUAL
    certain = pair(name) is not None or name.startswith(SYNTHETIC) or (match is not None and market.isupper())
    minutes = int(match["count"]) * _UNITS[match["unit"].lower()] if match else None
    return FileName(name, minutes, certain, candles=rest not in _NOT_CANDLES)


def _spot(parts: list[str], symbol: str) -> tuple[str, ...]:
    if len(parts) == 2 and parts[1] in QUOTES:
        return ("".join(parts),)
    if len(parts) != 1:
        raise BadConfig(
            f"{symbol!r} is neither a spot market nor a linear perpetual",
            fix="write SOLUSDT or SOL/USDT for spot, SOLUSDT-PERP or SOL/USDT:USDT for the perpetual",
        )
    name = parts[0]
    return (name,) if pair(name) else (f"{name}{DEFAULT_QUOTE}", name)
