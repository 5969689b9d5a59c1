"""CSV files of jobs and of code lists: their columns, and what is wrong with which row.

Plain Python. No sentence about a row repeats what it says about health or risks.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import msgspec

from core import mpan, postcode
from sip.messages import JOB_DETAILS
from sip.rules import value_problem

MOST_BYTES: Final = 2 * 1024 * 1024
MOST_ROWS: Final = 2_000
NEEDED: Final = (
    *("MPAN", "SUPPLIER_MPID", "CONTACT_NAME", "ADDRESS", "TOWN", "POST_CODE"),
    *("CONTACT_TELEPHONE", "PLANNED_DATE"),
)
COLUMNS: Final = (*NEEDED, "ENGINEER", "CUSTOMER_VULNERABILITY", "SITE_RISK")


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


class CodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One code of a list and what it means, where the party says so."""

    value: str
    meaning: str = ""


def read(body: bytes, engineers: Mapping[str, str]) -> Sheet:
    """Read a file of jobs; `engineers` maps their e-mail addresses to names. Raises NotASheet."""
    lines, names, heading = _opened(body, NEEDED)
    rows: list[Row] = []
    seen: dict[tuple[str, str], int] = {}
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) >= MOST_ROWS:
            raise NotASheet(f"The file has more than {MOST_ROWS:,} jobs. Split it.")
        row = _row(number, dict(zip(names, cells, strict=False)), engineers)
        key = (row.values["MPAN"], row.values["PLANNED_DATE"])
        if key in seen:
            twice = f"Row {seen[key]} has the same MPAN on the same day."
            row = msgspec.structs.replace(row, problems=(*row.problems, twice))
        seen.setdefault(key, number)
        rows.append(row)
    if not rows:
        raise NotASheet("There are no jobs below the first line.")
    ignored = tuple(each.strip()[:40] for each in heading if _column(each) not in (*COLUMNS, ""))
    return Sheet(rows=tuple(rows), ignored=ignored)


def read_codes(body: bytes) -> list[CodeRow]:
    """Read a file of one code list: VALUE and, if known, MEANING. Raises NotASheet."""
    lines, names, _ = _opened(body, ("VALUE",))
    found: dict[str, CodeRow] = {}
    for number, cells in enumerate(lines, start=2):
        row = dict(zip(names, cells, strict=False))
        value = _cell(row.get("VALUE", ""))
        if not value:
            continue
        if len(value) > 100 or not value.isprintable():
            raise NotASheet(f"Row {number}: a code has 100 letters at most.")
        meaning = _cell(row.get("MEANING", ""))[:200]
        found[value] = CodeRow(value=value, meaning=meaning)
        if len(found) > MOST_ROWS:
            raise NotASheet(f"The file has more than {MOST_ROWS:,} codes.")
    if not found:
        raise NotASheet("There are no codes below the first line.")
    return list(found.values())


def _opened(
    body: bytes, needed: tuple[str, ...]
) -> tuple[Iterator[list[str]], list[str], list[str]]:
    """Return the lines below the heading, the names of the columns, and the heading as it is."""
    lines = _lines(body)
    heading = next(lines, None)
    if heading is None:
        raise NotASheet("The file is empty.")
    names = [_column(each) for each in heading]
    if lacking := [name for name in needed if name not in names]:
        raise NotASheet(f"The first line lacks these columns: {', '.join(lacking)}.")
    known = {*COLUMNS, *needed, "MEANING"}
    if doubled := {name for name in names if name in known and names.count(name) > 1}:
        raise NotASheet(f"The first line has these columns twice: {', '.join(sorted(doubled))}.")
    return lines, names, heading


def _lines(body: bytes) -> Iterator[list[str]]:
    """Yield the lines with their cells, whichever of the usual separators the file has."""
    if len(body) > MOST_BYTES:
        raise NotASheet("The file is larger than 2\N{NO-BREAK SPACE}MB. Split it.")
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


def _cell(text: str) -> str:
    """A cell without blanks around it and without the apostrophe that keeps zeros in front."""
    return text.strip().removeprefix("'")


def _row(number: int, cells: Mapping[str, str], engineers: Mapping[str, str]) -> Row:
    values = {name: _cell(cells.get(name, "")) for name in COLUMNS}
    values["SUPPLIER_MPID"] = values["SUPPLIER_MPID"].upper()
    values["POST_CODE"] = postcode.normalise(values["POST_CODE"])
    values["ENGINEER"] = values["ENGINEER"].casefold()
    if mpan.is_valid(values["MPAN"]):
        values["MPAN"] = mpan.parse(values["MPAN"])
    problems = tuple(_problems(values, engineers))
    if day := _day(values["PLANNED_DATE"]):
        values["PLANNED_DATE"] = day.isoformat()
    return Row(number=number, values=values, problems=problems)


def _problems(values: Mapping[str, str], engineers: Mapping[str, str]) -> Iterator[str]:
    for field in JOB_DETAILS.fields:
        value = values.get(field.name.upper())
        if value is None:
            continue
        if not value:
            if field.required:
                yield f"{field.label}: this is missing."
        elif sentence := value_problem(field, value):
            yield f"{field.label}: {sentence}"
    if _day(values["PLANNED_DATE"]) is None:
        yield "Planned date: write it like 2026-11-30."
    if values["ENGINEER"] and values["ENGINEER"] not in engineers:
        yield "Engineer: nobody with this e-mail address is an engineer here."


def _day(text: str) -> date | None:
    """Read 2026-11-30 or, as spreadsheets here write it, 30/11/2026."""
    parts = text.split("/")
    if len(parts) == 3:
        text = f"{parts[2]}-{parts[1].zfill(2)}-{parts[0].zfill(2)}"
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
