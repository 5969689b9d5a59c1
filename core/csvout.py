"""Rows as CSV for spreadsheets, one row at a time, safe against formulas in what people typed."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

CONTENT_TYPE: Final = "text/csv; charset=utf-8"
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NEGATIVE_NUMBER = re.compile(r"-\d+(\.\d+)?", re.ASCII)


def rows_as_csv(heading: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    """Yield a CSV file row by row: UTF-8 with its mark, CRLF, the heading first."""
    yield (_BOM + line(heading)).encode("utf-8", "replace")
    for row in rows:
        yield line(row).encode("utf-8", "replace")


def line(cells: Iterable[object]) -> str:
    """Return one CSV line with its CRLF; None is an empty cell."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([cell_text(cell) for cell in cells])
    return buffer.getvalue()


def cell_text(cell: object) -> str:
    """Return a cell as text that no spreadsheet takes for a formula.

    Text that starts like a formula gets an apostrophe in front; plain negative numbers stay.
    """
    if cell is None:
        return ""
    if isinstance(cell, int | float | Decimal | date | datetime | time):
        return str(cell)
    text = str(cell)
    if text.startswith(_FORMULA_STARTS) and _NEGATIVE_NUMBER.fullmatch(text) is None:
        return f"'{text}"
    return text
