"""What the next Formula Year changes for a portfolio: AQ, SOQ, bands and yearly cost.

Plain Python. Compares what was looked up, prices both years at one book, decides nothing.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Final

import msgspec

from gasquotes import rules
from gasquotes.pricing import Book, Payment, PriceKey
from gasquotes.rules import Band, Quantities, Quantity, Sector

_PENNY = Decimal("0.01")
_ZERO = Decimal("0.00")
_HUNDRED = Decimal(100)
_NBSP = "\N{NO-BREAK SPACE}"
# Sizes of a change in per cent between which the bins lie, for rises and for falls.
_STEPS: Final = (5, 10, 25, 50)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The contract whose prices the yearly cost is worked out with."""

    months: int
    payment: Payment


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A supply point of a portfolio, as looked up last."""

    mprn: str
    ldz: str
    sector: Sector | None
    quantities: Quantities


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Both Formula Years of a supply point: kWh, bands and £ a year without CCL and VAT.

    `problem` says why it is not compared; then every figure is None. Costs are None as well where
    the book has no price, which `no_cost` explains.
    """

    mprn: str
    ldz: str
    problem: str = ""
    aq_now: Decimal | None = None
    aq_next: Decimal | None = None
    soq_now: Decimal | None = None
    soq_next: Decimal | None = None
    cost_now: Decimal | None = None
    cost_next: Decimal | None = None
    no_cost: str = ""

    @property
    def aq_change(self) -> Decimal | None:
        """By how many kWh a year the AQ rises; negative for a fall."""
        return _difference(self.aq_now, self.aq_next)

    @property
    def soq_change(self) -> Decimal | None:
        """By how many kWh a day the SOQ rises."""
        return _difference(self.soq_now, self.soq_next)

    @property
    def cost_change(self) -> Decimal | None:
        """By how many £ a year the cost rises."""
        return _difference(self.cost_now, self.cost_next)

    @property
    def percent(self) -> Decimal | None:
        """The change of the AQ in per cent of the current one, to one decimal."""
        exact = self.exact_percent
        return None if exact is None else exact.quantize(Decimal("0.1"), ROUND_HALF_UP)

    @property
    def exact_percent(self) -> Decimal | None:
        """The same without rounding."""
        if self.aq_now is None or self.aq_change is None:
            return None
        return self.aq_change * _HUNDRED / self.aq_now

    @property
    def band_now(self) -> Band | None:
        """The band of the current AQ."""
        return None if self.aq_now is None else rules.band_of(self.aq_now)

    @property
    def band_next(self) -> Band | None:
        """The band of the prospective AQ."""
        return None if self.aq_next is None else rules.band_of(self.aq_next)

    @property
    def band_changed(self) -> bool:
        """Whether it crosses 73,200 or 732,000 kWh."""
        return self.band_now is not self.band_next


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Supply points whose AQ changes by `low` to `high` per cent; None: without a limit.

    The limit farther from 0 belongs to the bin, and no change at all is a bin of its own.
    """

    label: str
    low: int | None
    high: int | None
    count: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A portfolio in one line; `left_out` were not compared, costs hold `priced` points only."""

    compared: int
    left_out: int
    rises: int
    falls: int
    unchanged: int
    band_changes: int
    aq_now: Decimal
    aq_next: Decimal
    priced: int
    cost_now: Decimal
    cost_next: Decimal


def compare(watched: Watched, book: Book, terms: Terms) -> Change:
    """Compare the prospective with the current Formula Year of one supply point."""
    found = watched.quantities
    now, later = found.formula.quantity, found.prospective.quantity
    if now is None or later is None:
        return Change(mprn=watched.mprn, ldz=watched.ldz, problem=_why_not(found))
    cost_now, cost_next, no_cost = _costs(watched, (now, later), book, terms)
    return Change(
        mprn=watched.mprn,
        ldz=watched.ldz,
        aq_now=now.aq_kwh,
        aq_next=later.aq_kwh,
        soq_now=now.soq_kwh,
        soq_next=later.soq_kwh,
        cost_now=cost_now,
        cost_next=cost_next,
        no_cost=no_cost,
    )


def summary(changes: Iterable[Change]) -> Summary:
    """Add a portfolio up."""
    rows = tuple(changes)
    compared = [each for each in rows if not each.problem]
    signs = Counter(_sign(each) for each in compared)
    priced = [each for each in compared if each.cost_change is not None]
    return Summary(
        compared=len(compared),
        left_out=len(rows) - len(compared),
        rises=signs[1],
        falls=signs[-1],
        unchanged=signs[0],
        band_changes=sum(each.band_changed for each in compared),
        aq_now=_sum(each.aq_now for each in compared),
        aq_next=_sum(each.aq_next for each in compared),
        priced=len(priced),
        cost_now=_sum(each.cost_now for each in priced),
        cost_next=_sum(each.cost_next for each in priced),
    )


def largest_rises(changes: Iterable[Change], count: int = 10) -> tuple[Change, ...]:
    """Return the supply points whose AQ rises most in kWh, the largest first."""
    return tuple(_by_change(changes, 1)[:count])


def largest_falls(changes: Iterable[Change], count: int = 10) -> tuple[Change, ...]:
    """Return the supply points whose AQ falls most in kWh, the largest first."""
    return tuple(_by_change(changes, -1)[:count])


def band_moves(changes: Iterable[Change]) -> dict[tuple[Band, Band], int]:
    """Count the supply points that go from one band to another."""
    moves = Counter(
        (each.band_now, each.band_next)
        for each in changes
        if each.band_now and each.band_next and each.band_changed
    )
    return {(now, later): moves[now, later] for now in Band for later in Band if moves[now, later]}


def distribution(changes: Iterable[Change]) -> tuple[Bin, ...]:
    """Count the supply points by the change of their AQ in per cent; 0 % has a bin of its own."""
    counts = Counter(_bin(each.exact_percent) for each in changes if each.exact_percent is not None)
    return tuple(
        Bin(label=label, low=low, high=high, count=counts[place])
        for place, (label, low, high) in enumerate(_BINS)
    )


def _bins() -> tuple[tuple[str, int | None, int | None], ...]:
    """Return label and limits of every bin, from the largest falls to the largest rises."""
    sizes = [*pairwise((0, *_STEPS)), (_STEPS[-1], None)]
    rises = ((f"up {_size(low, high)}", low, high) for low, high in sizes)
    falls = (
        (f"down {_size(low, high)}", None if high is None else -high, -low)
        for low, high in reversed(sizes)
    )
    return (*falls, ("no change", 0, 0), *rises)


def _size(low: int, high: int | None) -> str:
    return f"over {low}{_NBSP}%" if high is None else f"{low}–{high}{_NBSP}%"


_BINS: Final = _bins()


def _bin(percent: Decimal) -> int:
    middle = len(_STEPS) + 1
    if not percent:
        return middle
    away = bisect_left(_STEPS, abs(percent)) + 1
    return middle + away if percent > 0 else middle - away


def _why_not(found: Quantities) -> str:
    if found.held:
        return found.held[0]
    return "The service does not give the prospective AQ yet."


def _costs(
    watched: Watched, quantities: Sequence[Quantity], book: Book, terms: Terms
) -> tuple[Decimal | None, Decimal | None, str]:
    if watched.sector is None:
        return None, None, "The market sector is not known."
    costs = []
    for each in quantities:
        band = rules.band_of(each.aq_kwh)
        key = PriceKey(watched.ldz, band, watched.sector, terms.months, terms.payment)
        if key not in book.prices:
            return None, None, f"Price book {book.version} has no price for {key.words}."
        rate = book.prices[key]
        pence = each.aq_kwh * rate.unit_rate + rules.DAYS * rate.standing_charge
        costs.append((pence / _HUNDRED).quantize(_PENNY, ROUND_HALF_UP))
    return costs[0], costs[1], ""


def _by_change(changes: Iterable[Change], sign: int) -> list[Change]:
    moved = (each for each in changes if _sign(each) == sign)
    return sorted(moved, key=lambda each: (-sign * (each.aq_change or _ZERO), each.mprn))


def _sign(change: Change) -> int:
    """Return 1 for a rise, -1 for a fall, 0 for neither and 2 for what is not compared."""
    moved = change.aq_change
    return 2 if moved is None else (moved > 0) - (moved < 0)


def _difference(now: Decimal | None, later: Decimal | None) -> Decimal | None:
    return None if now is None or later is None else later - now


def _sum(values: Iterable[Decimal | None]) -> Decimal:
    return sum((value for value in values if value is not None), _ZERO)
