"""A price book as a CSV file: read with what is wrong in which row, compared, written again.

Columns: LDZ, AQ_BAND, MARKET_SECTOR, MONTHS, PAYMENT, UNIT_RATE (p/kWh), STANDING_CHARGE (p a day),
both without VAT and CCL. Plain Python; nothing is stored here.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from gasquotes import sheets
from gasquotes.pricing import MONTHS, Payment, PriceKey, Rate
from gasquotes.rules import LDZS, Band, Sector
from gasquotes.sheets import NotASheet

COLUMNS: Final = (
    "LDZ",
    "AQ_BAND",
    "MARKET_SECTOR",
    "MONTHS",
    "PAYMENT",
    "UNIT_RATE",
    "STANDING_CHARGE",
)
MOST_ROWS: Final = 5_000
_HIGHEST_UNIT_RATE = Decimal(100)
_HIGHEST_STANDING_CHARGE = Decimal(99_999)
_AMOUNT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,4})?")
_SECTORS: Final = {"d": Sector.DOMESTIC, "i": Sector.BUSINESS} | {
    each.words: each for each in Sector
}
_PAYMENTS: Final = {each.words: each for each in Payment} | {
    each.value.replace("_", " "): each for each in Payment
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line: its number, and a price, or what is wrong with it."""

    number: int
    key: PriceKey | None = None
    rate: Rate | None = None
    problems: tuple[str, ...] = ()


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """A file's rows, and the names of columns that were not understood."""

    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()

    @property
    def bad(self) -> tuple[Row, ...]:
        """The rows with something wrong: while there is one, nothing may be published."""
        return tuple(row for row in self.rows if row.problems)

    @property
    def prices(self) -> dict[PriceKey, Rate]:
        """The prices of the rows that are right."""
        return {row.key: row.rate for row in self.rows if row.key and row.rate and not row.problems}


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A price that is another one in the new book."""

    key: PriceKey
    before: Rate
    after: Rate


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a new book changes against the one before."""

    added: tuple[PriceKey, ...]
    removed: tuple[PriceKey, ...]
    changed: tuple[Changed, ...]
    unchanged: int


def read(body: bytes) -> Sheet:
    """Read an uploaded price book. Raises NotASheet; what is wrong in a row stands with the row."""
    lines = sheets.lines(body)
    _, heading = next(lines, (0, []))
    if not heading:
        raise NotASheet("The file is empty.")
    names = [sheets.column(each) for each in heading]
    if lacking := [name for name in COLUMNS if name not in names]:
        raise NotASheet(f"The first line lacks these columns: {', '.join(lacking)}.")
    if doubled := [name for name in COLUMNS if names.count(name) > 1]:
        raise NotASheet(f"The first line has these columns twice: {', '.join(doubled)}.")
    rows: list[Row] = []
    seen: dict[PriceKey, int] = {}
    for number, cells in lines:
        if len(rows) >= MOST_ROWS:
            raise NotASheet(f"The file has more than {MOST_ROWS:,} prices. Split it.")
        rows.append(_unrepeated(_row(number, dict(zip(names, cells, strict=False))), seen))
    if not rows:
        raise NotASheet("There are no prices below the first line.")
    ignored = (sheets.shown(each) for each in heading if sheets.column(each) not in (*COLUMNS, ""))
    return Sheet(rows=tuple(rows), ignored=tuple(ignored))


def preview(before: Mapping[PriceKey, Rate], after: Mapping[PriceKey, Rate]) -> Preview:
    """Compare two books."""
    both = [key for key in after if key in before]
    changed = [key for key in both if before[key] != after[key]]
    return Preview(
        added=tuple(sorted(key for key in after if key not in before)),
        removed=tuple(sorted(key for key in before if key not in after)),
        changed=tuple(
            Changed(key=key, before=before[key], after=after[key]) for key in sorted(changed)
        ),
        unchanged=len(both) - len(changed),
    )


def write(prices: Mapping[PriceKey, Rate]) -> str:
    """Write prices in the form that read() takes."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    for key in sorted(prices):
        rate = prices[key]
        rows.writerow((*key, f"{rate.unit_rate:f}", f"{rate.standing_charge:f}"))
    return out.getvalue()


def _unrepeated(row: Row, seen: dict[PriceKey, int]) -> Row:
    if row.key is None:
        return row
    if row.key not in seen:
        seen[row.key] = row.number
        return row
    twice = f"Row {seen[row.key]} has a price for the same."
    return msgspec.structs.replace(row, problems=(*row.problems, twice))


def _row(number: int, cells: Mapping[str, str]) -> Row:
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name in COLUMNS:
        values[name], problem = _READERS[name](cells.get(name, ""))
        problems += [problem] if problem else []
    if problems:
        return Row(number=number, problems=tuple(problems))
    return Row(
        number=number,
        key=PriceKey(*(values[name] for name in COLUMNS[:5])),
        rate=Rate(unit_rate=values["UNIT_RATE"], standing_charge=values["STANDING_CHARGE"]),
    )


_Read = tuple[Any, str]


def _zone(text: str) -> _Read:
    zone = text.upper()
    return zone, "" if zone in LDZS else f"LDZ: write one of {', '.join(LDZS)}."


def _band(text: str) -> _Read:
    known = {each.value: each for each in Band}
    return known.get(text.lower()), (
        "" if text.lower() in known else f"AQ band: write {', '.join(known)}."
    )


def _sector(text: str) -> _Read:
    sector = _SECTORS.get(text.lower())
    return sector, "" if sector else "Market sector: write D (domestic) or I (business)."


def _months(text: str) -> _Read:
    known = {str(each): each for each in MONTHS}
    return known.get(text), "" if text in known else f"Months: write {', '.join(known)}."


def _payment(text: str) -> _Read:
    payment = _PAYMENTS.get(" ".join(text.lower().replace("_", " ").split()))
    return payment, "" if payment else "Payment: write direct_debit or on_receipt."


def _unit_rate(text: str) -> _Read:
    amount = _amount(text)
    if amount is None or amount == 0:
        return None, "Unit rate: write p/kWh above 0, like 6.1234, with up to four decimals."
    if amount > _HIGHEST_UNIT_RATE:
        return None, f"Unit rate: more than {_HIGHEST_UNIT_RATE} p/kWh cannot be right."
    return amount, ""


def _standing_charge(text: str) -> _Read:
    amount = _amount(text)
    if amount is None:
        return None, "Standing charge: write p a day, like 31.5, with up to four decimals."
    if amount > _HIGHEST_STANDING_CHARGE:
        return None, f"Standing charge: more than {_HIGHEST_STANDING_CHARGE:,} p a day is too much."
    return amount, ""


def _amount(text: str) -> Decimal | None:
    """Read an amount without sign, thousands or exponent, written with four decimals."""
    if _AMOUNT.fullmatch(text) is None:
        return None
    return Decimal(text).quantize(Decimal("0.0001"))


_READERS: Final[Mapping[str, Callable[[str], _Read]]] = {
    "LDZ": _zone,
    "AQ_BAND": _band,
    "MARKET_SECTOR": _sector,
    "MONTHS": _months,
    "PAYMENT": _payment,
    "UNIT_RATE": _unit_rate,
    "STANDING_CHARGE": _standing_charge,
}
