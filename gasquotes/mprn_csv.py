"""A CSV file of MPRNs for a bulk run: what can be looked up, what is doubtful, wrong or repeated.

Plain Python. One bad row harms no other, and check digits only warn.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from gasquotes import messages, rules, sheets
from gasquotes.sheets import NotASheet

MOST_ROWS: Final = 100_000
_NAMES: Final = frozenset(
    {
        "MPRN",
        "MPR",
        "MPRNS",
        "MPRN_NUMBER",
        "METER_POINT",
        "METER_POINT_REFERENCE",
        "METER_POINT_REFERENCE_NUMBER",
    }
)
_SHORTENED = re.compile(r"[0-9][.,]?[0-9]*E\+?[0-9]+", re.IGNORECASE)
_WITH_POINT = re.compile(r"([0-9]+)[.,]0+")


class MprnLine(msgspec.Struct, frozen=True):
    """An MPRN that can be looked up; `warning` where its check digits do not fit."""

    number: int
    mprn: str
    warning: str = ""


class BadLine(msgspec.Struct, frozen=True):
    """A row that is left out: its number, what stands there and why."""

    number: int
    shown: str
    problem: str


class MprnList(msgspec.Struct, frozen=True, kw_only=True):
    """A file's MPRNs, each once, in its order; what is wrong; what is there more than once."""

    lines: tuple[MprnLine, ...]
    bad: tuple[BadLine, ...] = ()
    repeated: tuple[BadLine, ...] = ()

    @property
    def mprns(self) -> tuple[str, ...]:
        """The MPRNs to look up."""
        return tuple(line.mprn for line in self.lines)

    @property
    def warned(self) -> int:
        """How many of them have check digits that do not fit."""
        return sum(bool(line.warning) for line in self.lines)


def read(body: bytes) -> MprnList:
    """Read an uploaded list; the first line may name its columns. Raises NotASheet.

    Zeros in front do not make another MPRN: such rows count as repeated.
    """
    lines: list[MprnLine] = []
    bad: list[BadLine] = []
    repeated: list[BadLine] = []
    seen: dict[str, int] = {}
    for number, text in _cells(body):
        mprn = messages.normalise_mprn(_whole(text))
        if problem := _problem(mprn):
            bad.append(BadLine(number, sheets.shown(text), problem))
        elif first := seen.get(mprn.lstrip("0")):
            repeated.append(BadLine(number, mprn, f"Row {first} has the same MPRN."))
        else:
            seen[mprn.lstrip("0")] = number
            lines.append(MprnLine(number, mprn, rules.mprn_warning(mprn) or ""))
    if not lines and not bad:
        raise NotASheet("There are no MPRNs in the file.")
    return MprnList(lines=tuple(lines), bad=tuple(bad), repeated=tuple(repeated))


def _cells(body: bytes) -> Iterator[tuple[int, str]]:
    """Yield row number and text of the column of MPRNs."""
    rows = list(islice(sheets.lines(body), MOST_ROWS + 1))
    if not rows:
        raise NotASheet("The file is empty.")
    if len(rows) > MOST_ROWS:
        raise NotASheet(f"The file has more than {MOST_ROWS:,} rows. Split it.")
    place, named = _place([cells for _, cells in rows[:2]])
    for number, cells in rows[named:]:
        yield number, cells[place] if place < len(cells) else ""


def _place(top: list[list[str]]) -> tuple[int, bool]:
    """Return the column of MPRNs, and whether the first line is a heading."""
    for at, name in enumerate(top[0]):
        if sheets.column(name) in _NAMES:
            return at, True
    for number, cells in enumerate(top):
        for at, text in enumerate(cells):
            if not _problem(messages.normalise_mprn(_whole(text))):
                return at, number == 1
    return 0, False


def _whole(text: str) -> str:
    """Return a number without the empty decimals that some programs write."""
    form = _WITH_POINT.fullmatch(text)
    return form.group(1) if form else text


def _problem(mprn: str) -> str | None:
    if _SHORTENED.fullmatch(mprn):
        return (
            "A spreadsheet has shortened this number and lost digits: format the column as text "
            "and fill it in again."
        )
    if not mprn:
        return "There is no MPRN in this row."
    if mprn.isdigit() and not mprn.strip("0"):
        return "An MPRN does not have zeros only."
    return messages.mprn_problem(mprn)
