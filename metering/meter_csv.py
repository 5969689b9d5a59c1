"""A CSV file of meters: its columns, and what is wrong with which row. Plain Python.

Column names are taken as systems of collectors write them: MPAN, METER_TYPE, REMOTE_ADDRESS,
COM_SETTINGS, OUTSTATION, PASSWORD, SURVEY_DAYS, SURVEY_DATE, SERIAL_NUMBER. No sentence about a
row repeats its password.
"""

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Final

import msgspec

from core import mpan
from metering.messages import (
    coms_settings_problem,
    normalise_remote_address,
    remote_address_problem,
)

MOST_BYTES: Final = 5 * 1024 * 1024
MOST_ROWS: Final = 10_000
LONGEST_TEXT: Final = 40
NEEDED: Final = ("MPAN", "METER_TYPE", "REMOTE_ADDRESS")
COLUMNS: Final = (
    *NEEDED,
    *("COM_SETTINGS", "OUTSTATION", "PASSWORD", "SURVEY_DAYS", "SURVEY_DATE", "SERIAL_NUMBER"),
)
MOST_SURVEY_DAYS: Final = 400
_LONGEST_PASSWORD = 200


class NotASheet(ValueError):
    """The file cannot be read as such a list at all; the message says why, for people."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line: `number` as a spreadsheet counts it, cleaned values, what is wrong with it."""

    number: int
    values: Mapping[str, str]
    problems: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Row({self.number})"


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """A file's rows, and the names of columns that were not understood."""

    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()


def read(body: bytes, meter_types: Collection[str]) -> Sheet:
    """Read an uploaded file. Raises NotASheet."""
    lines = _lines(body)
    heading = next(lines, None)
    if heading is None:
        raise NotASheet("The file is empty.")
    names = [_column(each) for each in heading]
    if lacking := [name for name in NEEDED if name not in names]:
        raise NotASheet(f"The first line lacks these columns: {', '.join(lacking)}.")
    if doubled := {name for name in names if name in COLUMNS and names.count(name) > 1}:
        raise NotASheet(f"The first line has these columns twice: {', '.join(sorted(doubled))}.")
    rows = tuple(_rows(lines, names, meter_types))
    if not rows:
        raise NotASheet("There are no meters below the first line.")
    ignored = tuple(each.strip()[:40] for each in heading if _column(each) not in (*COLUMNS, ""))
    return Sheet(rows=rows, ignored=ignored)


def _lines(body: bytes) -> Iterator[list[str]]:
    """Yield the lines with their cells, whichever of the usual separators the file has."""
    if len(body) > MOST_BYTES:
        raise NotASheet("The file is larger than 5\N{NO-BREAK SPACE}MB. Split it.")
    text = _text(body)
    if "\0" in text:
        raise NotASheet("This is not a CSV file. Save the list as CSV and send that.")
    first = text.partition("\n")[0]
    separator = max((",", ";", "\t"), key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error:
        raise NotASheet("This is not a CSV file. Save the list as CSV and send that.") from None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _column(text: str) -> str:
    return text.strip().upper().replace(" ", "_")


def _rows(
    lines: Iterator[list[str]], names: list[str], meter_types: Collection[str]
) -> Iterator[Row]:
    known = {code.upper(): code for code in meter_types}
    seen: dict[tuple[str, str], int] = {}
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(seen) >= MOST_ROWS:
            raise NotASheet(f"The file has more than {MOST_ROWS:,} meters. Split it.")
        row = _row(number, dict(zip(names, cells, strict=False)), known)
        key = (row.values["MPAN"], row.values["SERIAL_NUMBER"])
        if key in seen:
            twice = f"Row {seen[key]} has the same MPAN and serial number."
            row = msgspec.structs.replace(row, problems=(*row.problems, twice))
        seen.setdefault(key, number)
        yield row


def _row(number: int, cells: Mapping[str, str], known: Mapping[str, str]) -> Row:
    values = {name: _cell(cells.get(name, "")) for name in COLUMNS}
    values["PASSWORD"] = cells.get("PASSWORD", "").strip()
    values["METER_TYPE"] = known.get(values["METER_TYPE"].upper(), values["METER_TYPE"])
    values["REMOTE_ADDRESS"] = normalise_remote_address(values["REMOTE_ADDRESS"])
    values["COM_SETTINGS"] = values["COM_SETTINGS"].upper()
    problems = list(_problems(values, known))
    if mpan.is_valid(values["MPAN"]):
        values["MPAN"] = mpan.parse(values["MPAN"])
    if values["SURVEY_DATE"] and (day := _day(values["SURVEY_DATE"])):
        values["SURVEY_DATE"] = day.isoformat()
    return Row(number=number, values=values, problems=tuple(problems))


def _cell(text: str) -> str:
    """A cell without blanks around it and without the apostrophe that keeps zeros in front."""
    return text.strip().removeprefix("'")


def _problems(values: Mapping[str, str], known: Mapping[str, str]) -> Iterator[str]:
    try:
        mpan.parse(values["MPAN"])
    except mpan.MpanError as problem:
        yield f"MPAN: {problem}"
    if values["METER_TYPE"].upper() not in known:
        yield "Meter type: this is none of the types that the portal knows."
    for name in ("OUTSTATION", "SERIAL_NUMBER"):
        if len(values[name]) > LONGEST_TEXT:
            yield f"{name.replace('_', ' ').capitalize()}: more than {LONGEST_TEXT} letters."
    if len(values["PASSWORD"]) > _LONGEST_PASSWORD:
        yield f"Password: more than {_LONGEST_PASSWORD} letters."
    yield from _address_problems(values)
    yield from _survey_problems(values)


def _address_problems(values: Mapping[str, str]) -> Iterator[str]:
    if problem := remote_address_problem(values["REMOTE_ADDRESS"]):
        yield f"Remote address: {problem}"
    elif problem := coms_settings_problem(values["COM_SETTINGS"], values["REMOTE_ADDRESS"]):
        yield f"Coms settings: {problem}"


def _survey_problems(values: Mapping[str, str]) -> Iterator[str]:
    days, day = values["SURVEY_DAYS"], values["SURVEY_DATE"]
    if days and not (days.isdecimal() and len(days) < 4 and int(days) <= MOST_SURVEY_DAYS):
        yield f"Survey days: write a whole number up to {MOST_SURVEY_DAYS}, or leave it empty."
    if day and _day(day) is None:
        yield "Survey date: write it like 2026-11-30."
    elif day and days in ("", "0"):
        yield "Survey days: write how many days to read from the survey date on."


def _day(text: str) -> date | None:
    """Read 2026-11-30 or, as spreadsheets here write it, 30/11/2026."""
    parts = text.split("/")
    if len(parts) == 3:
        text = f"{parts[2]}-{parts[1].zfill(2)}-{parts[0].zfill(2)}"
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
