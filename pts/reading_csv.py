"""A CSV file of readings: its columns, and what is wrong with which row. Plain Python.

FK_SYSTEM or SYSTEM_ID, VALUE, DATE with TIME or in one cell (the party's zone) or DATE_UTC, NOTE.
It decides nothing about a reading beyond that it can be read.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final

import msgspec

MOST_BYTES: Final = 10 * 1024 * 1024
MOST_ROWS: Final = 50_000
LONGEST_NOTE: Final = 500
COLUMNS: Final = ("FK_SYSTEM", "SYSTEM_ID", "VALUE", "DATE", "TIME", "DATE_UTC", "NOTE")
ALSO: Final[dict[str, str]] = {
    "FKSYSTEM": "FK_SYSTEM",
    "SYSTEMID": "SYSTEM_ID",
    "METERVALUE": "VALUE",
    "METER_VALUE": "VALUE",
    "READING": "VALUE",
    "KWH": "VALUE",
    "METERDATE": "DATE",
    "METER_DATE": "DATE",
    "DATE_TIME": "DATE",
    "UTC": "DATE_UTC",
    "NOTES": "NOTE",
}
NOT_CSV: Final = "This is not a CSV file. Save the list as CSV and send that."
_VALUE = re.compile(r"\d{1,12}(\.\d{1,4})?", re.ASCII)
_BRITISH = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(.*)", re.ASCII | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class NotASheet(ValueError):
    """The file cannot be read as such a list at all; the message says why, for people."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line: `number` as a spreadsheet counts it, `named` the system as written.

    Key, value (kWh) and moment (UTC) are None where they cannot be read; `problems` say why.
    """

    number: int
    named: str
    fk_system: int | None = None
    value: Decimal | None = None
    at: datetime | None = None
    note: str = ""
    problems: tuple[str, ...] = ()


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """A file's rows, and the names of columns that were not understood."""

    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()

    @property
    def good(self) -> tuple[Row, ...]:
        """The rows that can be entered."""
        return tuple(row for row in self.rows if not row.problems)


def read(body: bytes, *, systems: Mapping[int, str], zone: tzinfo) -> Sheet:
    """Read an uploaded file; `systems` are their IDs by PTS key. Raises `NotASheet`."""
    lines = _lines(body)
    heading = next(lines, None)
    if heading is None:
        raise NotASheet("The file is empty.")
    names = [_column(each) for each in heading]
    _check_heading(names)
    rows = tuple(_rows(lines, names, _Reader(systems, zone)))
    if not rows:
        raise NotASheet("There are no readings below the first line.")
    ignored = tuple(each.strip()[:40] for each in heading if _column(each) not in (*COLUMNS, ""))
    return Sheet(rows=rows, ignored=ignored)


def _check_heading(names: list[str]) -> None:
    wanted = (("FK_SYSTEM", "SYSTEM_ID"), ("VALUE",), ("DATE", "DATE_UTC"))
    for choice in wanted:
        if not set(choice) & set(names):
            raise NotASheet(f"The first line lacks the column {' or '.join(choice)}.")
    if doubled := {name for name in names if name in COLUMNS and names.count(name) > 1}:
        raise NotASheet(f"The first line has these columns twice: {', '.join(sorted(doubled))}.")


def _lines(body: bytes) -> Iterator[list[str]]:
    """Yield the lines with their cells, whichever of the usual separators the file has."""
    if len(body) > MOST_BYTES:
        raise NotASheet("The file is larger than 10\N{NO-BREAK SPACE}MB. Split it.")
    text = _text(body)
    if "\0" in text:
        raise NotASheet(NOT_CSV)
    first = text.partition("\n")[0]
    separator = max((",", ";", "\t"), key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error:
        raise NotASheet(NOT_CSV) from None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _column(text: str) -> str:
    name = text.strip().upper().replace(" ", "_")
    return ALSO.get(name, name)


def _rows(lines: Iterator[list[str]], names: list[str], reader: "_Reader") -> Iterator[Row]:
    seen: dict[int, int] = {}
    count = 0
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MOST_ROWS:
            raise NotASheet(f"The file has more than {MOST_ROWS:,} readings. Split it.")
        row = reader.row(number, dict(zip(names, map(_cell, cells), strict=False)))
        if row.fk_system is not None:
            first = seen.setdefault(row.fk_system, number)
            if first != number:
                twice = f"Row {first} is of the same system: which reading is meant?"
                row = msgspec.structs.replace(row, problems=(*row.problems, twice))
        yield row


def _cell(text: str) -> str:
    """A cell without blanks around it and without the apostrophe that keeps zeros in front."""
    return _CONTROL.sub(" ", text).strip().removeprefix("'")


class _Reader:
    """Reads the cells of a row, knowing the systems and the party's zone."""

    def __init__(self, systems: Mapping[int, str], zone: tzinfo) -> None:
        self._keys = systems.keys()
        self._by_id: dict[str, int | None] = {}
        for key, name in systems.items():
            spelt = name.strip().upper()
            self._by_id[spelt] = None if spelt in self._by_id else key
        self._zone = zone

    def row(self, number: int, cells: Mapping[str, str]) -> Row:
        problems: list[str] = []
        key = self._key(cells, problems)
        value = self._value(cells.get("VALUE", ""), problems)
        at = self._at(cells, problems)
        note = cells.get("NOTE", "")
        if len(note) > LONGEST_NOTE:
            problems.append(f"Note: more than {LONGEST_NOTE} letters.")
        return Row(
            number=number,
            named=(cells.get("FK_SYSTEM") or cells.get("SYSTEM_ID", ""))[:100],
            fk_system=key,
            value=value,
            at=at,
            note=note[:LONGEST_NOTE],
            problems=tuple(problems),
        )

    def _key(self, cells: Mapping[str, str], problems: list[str]) -> int | None:
        key, name = cells.get("FK_SYSTEM", ""), cells.get("SYSTEM_ID", "").upper()
        if not key and not name:
            problems.append("System: write its PTS key or its system ID.")
            return None
        found = self._by_id.get(name) if not key else self._number(key)
        if found is None:
            problems.append("System: this is none of the systems that the portal knows.")
        elif key and name and self._by_id.get(name) != found:
            problems.append("System: the PTS key and the system ID are of different systems.")
        return found

    def _number(self, text: str) -> int | None:
        is_key = text.isascii() and text.isdigit() and len(text) < 11
        return int(text) if is_key and int(text) in self._keys else None

    @staticmethod
    def _value(text: str, problems: list[str]) -> Decimal | None:
        if _VALUE.fullmatch(text):
            return Decimal(text)
        problems.append("Value: write the meter’s total in kWh like 12345.6, without other marks.")
        return None

    def _at(self, cells: Mapping[str, str], problems: list[str]) -> datetime | None:
        if utc := cells.get("DATE_UTC", ""):
            at = _moment(utc, UTC)
        else:
            at = _moment(f"{cells.get('DATE', '')} {cells.get('TIME', '')}".strip(), self._zone)
        if at is None:
            problems.append("Date: write it like 2026-11-30 09:00, a time that exists.")
        return at


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """Read a date and time; a date alone is its first moment, an offset of its own is believed.

    An hour that happens twice is taken as the first. None for one that the clocks left out.
    """
    if british := _BRITISH.fullmatch(text):
        day, month, year, rest = british.groups()
        text = f"{year}-{month.zfill(2)}-{day.zfill(2)}{rest}"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not 1990 < at.year < 2200:
        return None
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    there = at.replace(tzinfo=zone).astimezone(UTC)
    return there if there.astimezone(zone).replace(tzinfo=None) == at else None
