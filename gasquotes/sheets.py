"""The lines of an uploaded CSV file, whichever program saved it. Plain Python; judges no cell."""

import csv
import io
from collections.abc import Iterator
from typing import Final

MOST_BYTES: Final = 5 * 1024 * 1024
LONGEST_SHOWN: Final = 40


class NotASheet(ValueError):
    """The file cannot be read as such a list at all; the message says why, for people."""


def lines(body: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not empty: their number as a spreadsheet counts, and the cells.

    Understands commas, semicolons and tabs, UTF-8 and the usual Windows letters. Cells come without
    the blanks around them and without what keeps zeros in front. Raises NotASheet.
    """
    if len(body) > MOST_BYTES:
        raise NotASheet("The file is larger than 5\N{NO-BREAK SPACE}MB. Split it.")
    text = _text(body)
    if "\0" in text or body.startswith((b"PK\x03\x04", b"%PDF-")):
        raise NotASheet("This is not a CSV file. Save the list as CSV and send that.")
    first = text.lstrip().partition("\n")[0]
    separator = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in reader:
            plain = [_cell(each) for each in cells]
            if any(plain):
                yield reader.line_num, plain
    except csv.Error:
        raise NotASheet("This is not a CSV file. Save the list as CSV and send that.") from None


def column(text: str) -> str:
    """Return the name of a column as it is compared: MARKET_SECTOR for "Market sector"."""
    return "_".join(text.upper().replace("_", " ").split())


def shown(text: str) -> str:
    """Return a cell as a page may show it: printable and not without end."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text[:LONGEST_SHOWN])
    return f"{plain}…" if len(text) > LONGEST_SHOWN else plain


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _cell(text: str) -> str:
    plain = text.strip()
    if plain.startswith('="') and plain.endswith('"'):
        plain = plain[2:-1]
    return plain.removeprefix("'").strip()
