"""What a benchmark measures, and how it is printed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One line: seconds of each repetition, and the plain thing they are compared with."""

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


HEAD = ("What", "Times", "Median", "95 %", "Longest", "95 % ÷ reference", "Note")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def shown(seconds: float) -> str:
    """Write a time in a unit that suits it."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def table(lines: Iterable[Measured]) -> str:
    """Write a Markdown table."""
    rows = [HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join((written[0], rule, *written[1:]))
