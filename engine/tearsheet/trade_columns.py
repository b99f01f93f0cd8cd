"""The usual spellings of the columns of a trade list, and of the times in it."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

LATEST_MS = 4_102_444_800_000  # 2100-01-01
UNITS = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0), (0.0, 1000.0))  # from this size on, one unit is so many ms
DATES = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%Y.%m.%d %H:%M:%S")


# meaning -> spellings without case and punctuation; the first that is there is taken
NAMES: dict[str, tuple[str, ...]] = {
    "entry_time": (
        "entrytime", "entrydate", "entrytimestamp", "entrydatetime", "opentime", "opendate", "opentimestamp",
        "opendatetime", "openedat", "dateopen", "entryat", "entry", "opened", "starttime", "start",
    ),
    "exit_time": (
        "exittime", "exitdate", "exittimestamp", "exitdatetime", "closetime", "closedate", "closetimestamp",
        "closedatetime", "closedat", "dateclose", "exitat", "exit", "closed", "endtime", "end",
    ),
    "side": ("side", "direction", "positionside", "type", "tradetype", "longshort", "isshort"),
    "entry_price": (
        "entryprice", "avgentryprice", "averageentryprice", "openprice", "openrate", "priceopen", "buyprice",
    ),
    "exit_price": (
        "exitprice", "avgexitprice", "averageexitprice", "closeprice", "closerate", "priceclose", "sellprice",
    ),
    "reason": ("reason", "exitreason", "sellreason", "closereason", "exittype", "exittag", "exitsignal"),
    "fraction": (
        "netreturn", "return", "returns", "ret", "tradereturn", "profitratio", "closeprofit", "returnfraction",
        "pnlratio", "roi",
    ),
    "percent": (
        "returnpct", "returnpercent", "netreturnpct", "netreturnpercent", "pnlpct", "pnlpercent", "profitpct",
        "profitpercent", "profitpercentage", "returnpercentage", "pctreturn", "pctprofit", "plpct", "netpnlpct",
        "retpct",
    ),
    "money": (
        "netpnl", "pnl", "profit", "netprofit", "profitabs", "closeprofitabs", "realizedpnl", "realisedpnl", "pl",
        "profitloss", "pnlusd", "pnlusdt", "profitusd", "profitusdt", "gain",
    ),
}  # fmt: skip
LONG = {"1", "1.0", "+1", "long", "buy", "b", "l", "bull", "up", "longs", "false"}
SHORT = {"-1", "-1.0", "short", "sell", "s", "sh", "bear", "down", "shorts", "true"}
EXACT_FRACTIONS = {"ReturnPct"}  # backtesting.py writes a fraction under this very name


def meanings(header: Sequence[str]) -> dict[str, int]:
    """Meaning -> index of its column. Raises ValueError with a name that stands there twice."""
    plain = [_plain(name) for name in header]
    for k, name in enumerate(plain):
        if name and name in plain[:k]:
            raise ValueError(header[k])
    found = {meaning: [plain.index(one) for one in spellings if one in plain] for meaning, spellings in NAMES.items()}
    columns = {meaning: places[0] for meaning, places in found.items() if places}
    if "fraction" not in columns and "percent" in columns and header[columns["percent"]] in EXACT_FRACTIONS:
        columns["fraction"] = columns.pop("percent")
    return columns


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("%", "pct"))


def parse_time(text: str) -> int | None:
    """ms UTC of a number (s, ms, us or ns since 1970, told by its size) or of a date; without a zone it is UTC.

    None when it is neither, or outside 1970 to 2100.
    """
    ms = _from_number(text) if re.fullmatch(r"\d{9,}(\.\d+)?", text) else _from_date(text)
    return ms if ms is not None and 0 <= ms < LATEST_MS else None


def _from_number(text: str) -> int | None:
    value = float(text)
    if not math.isfinite(value):
        return None
    return round(value * next(unit for size, unit in UNITS if value >= size))


def _from_date(text: str) -> int | None:
    bare = text.removesuffix(" UTC")
    moment = _iso(bare) or next(filter(None, (_formatted(bare, form) for form in DATES)), None)
    if moment is None:
        return None
    try:
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except OverflowError:
        return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _formatted(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None


def parse_number(text: str) -> float | None:
    """A finite number, with or without a percent sign, thousands separated or a typographic minus; else None."""
    plain = text.removesuffix("%").strip().replace("\N{MINUS SIGN}", "-")
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_side(text: str, column: str) -> int | None:
    """1, -1, or None. A column called is_short counts the other way round."""
    spelled = text.lower()
    if _plain(column) == "isshort":
        spelled = {"0": "long", "1": "short"}.get(spelled, spelled)
    return 1 if spelled in LONG else -1 if spelled in SHORT else None
