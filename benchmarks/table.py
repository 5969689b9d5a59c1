"""What a benchmark measures, and how it is printed."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Measured:
    """One line: seconds of each repetition, and the plain thing they are compared with."""

    HEAD: ClassVar = ("What", "Times", "Median", "95 %", "Longest", "95 % ÷ reference", "Note")

    name: str
    seconds: Sequence[float]
    reference: Sequence[float] = ()
    note: str = ""

    @property
    def ratio(self) -> str:
        """How many times the reference's median the 95th percentile is."""
        if not self.reference:
            return ""
        return f"{percentile(self.seconds, 95) / percentile(self.reference, 50):.1f}"

    def cells(self) -> tuple[str, ...]:
        """The line's cells."""
        median, most = percentile(self.seconds, 50), max(self.seconds)
        times = (shown(median), shown(percentile(self.seconds, 95)), shown(most))
        return (self.name, str(len(self.seconds)), *times, self.ratio, self.note)


@dataclass(frozen=True)
class Judged:
    """One line with a bound, if it has one: the figure of every round; the median counts."""

    HEAD: ClassVar = ("What", "Bound", "Median", "Rounds", "", "Medians of both")

    name: str
    bound: float | None
    rounds: Sequence[float]
    note: str = ""
    at_least: bool = False
    unit: str = " ×"

    @property
    def verdict(self) -> str:
        """Whether the median keeps to the bound."""
        if self.bound is None:
            return ""
        median = statistics.median(self.rounds)
        kept = median >= self.bound if self.at_least else median <= self.bound
        return "reached" if kept else "NOT REACHED"

    def cells(self) -> tuple[str, ...]:
        """The line's cells."""
        sign = "≥" if self.at_least else "≤"
        spread = f"{figure(min(self.rounds))} to {figure(max(self.rounds))}"
        return (
            self.name,
            "" if self.bound is None else f"{sign} {self.bound:g}{self.unit}",
            f"{figure(statistics.median(self.rounds))}{self.unit}",
            spread if len(self.rounds) > 1 else "",
            self.verdict,
            self.note,
        )


Line = Measured | Judged


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def shown(seconds: float) -> str:
    """Write a time in a unit that suits it."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def figure(number: float) -> str:
    """Write a ratio with as many places as it deserves."""
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def tables(lines: Iterable[Line]) -> str:
    """Write a Markdown table for each kind of line."""
    every = list(lines)
    kinds: tuple[type[Line], ...] = (Measured, Judged)
    alike = ([line for line in every if isinstance(line, kind)] for kind in kinds)
    return "\n\n".join(_table(some) for some in alike if some)


def _table(lines: Sequence[Line]) -> str:
    rows = [lines[0].HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join((written[0], rule, *written[1:]))
