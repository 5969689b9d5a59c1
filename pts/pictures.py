"""Charts of the production desk: energy by month against what is expected. A few queries each."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from core import charts
from pts import known, rules
from pts.models import PartyReading, Report, System, Window
from pts.rules import Month

Status = Report.Status
LEAST = 2  # months that are worth a chart
MONTHS = 13  # this month beside the same one a year before
COUNTED = (Status.READY, Status.TESTED, Status.VALIDATING, Status.PASSED)
SPREAD = "Spread over a gap"
_MWH = Decimal(1000)


def of_months(window: Window) -> dict[str, Any] | None:
    """All systems' energy by month up to a window's; None for fewer than two (three queries).

    Months before the portal's first are as MassCEC's last readings have them.
    """
    months = _months_to(rules.month_of(window.month))
    ours = _ours(months)
    sums = _theirs(months[0], before=min(ours, default=months[-1])) | ours
    if len(sums) < LEAST:
        return None
    months = months[months.index(min(sums)) :]
    found = [sums.get(month, (None, None)) for month in months]
    values = [_thousandth(produced) for produced, _ in found]
    expected = [_thousandth(expected) for _, expected in found]
    return _picture("Production of all systems by month", months, values, expected, unit="MWh")


Sums = dict[Month, tuple[Decimal | None, Decimal | None]]


def _ours(months: Sequence[Month]) -> Sums:
    """Energy produced and expected by month, of reports that count."""
    windows = dict(
        Window.objects.filter(month__gte=months[0].first, month__lte=months[-1].first).values_list(
            "pk", "month"
        )
    )
    # By key, not joined: an index holds all that is asked for.
    found = Report.objects.filter(window__in=list(windows), status__in=COUNTED)
    rows = found.order_by().values_list("window").annotate(Sum("produced"), Sum("expected"))
    return {
        rules.month_of(windows[window]): (produced, expected) for window, produced, expected in rows
    }


def _theirs(first: Month, *, before: Month) -> Sums:
    found = PartyReading.objects.filter(
        period_end__gte=first.first, period_end__lt=before.first, energy_produced__isnull=False
    )
    rows = found.order_by().values_list("period_end").annotate(Sum("energy_produced"))
    return {rules.month_of(day): (produced, None) for day, produced in rows}


def of_system(system: System) -> dict[str, Any] | None:
    """A system's energy by month against the year's profile; None without any (two queries)."""
    produced = _energies(system)
    if not produced:
        return None
    months = _months_to(max(produced))
    months = months[months.index(max(min(produced), months[0])) :]
    values, marks = _spread(months, produced)
    yearly = rules.yearly_estimate(
        rules.Facts(capacity=system.capacity, yearly_estimate=system.yearly_estimate, last=None)
    )
    shares = known.limits().shares
    profile = [yearly * shares[month.number - 1] / 100 for month in months] if yearly else []
    return _picture("Energy by month", months, values, profile, marks=marks)


def _months_to(last: Month) -> list[Month]:
    return [last.plus(step) for step in range(1 - MONTHS, 1)]


def _thousandth(energy: Decimal | None) -> Decimal | None:
    return None if energy is None else energy / _MWH


def _energies(system: System) -> dict[Month, Decimal]:
    """Energy by month as MassCEC has it; what the portal reported and they passed comes first."""
    theirs = PartyReading.objects.filter(
        system=system, period_end__isnull=False, energy_produced__isnull=False
    ).values_list("period_end", "energy_produced")
    ours = Report.objects.filter(
        system=system, status=Status.PASSED, produced__isnull=False
    ).values_list("window__month", "produced")
    return {
        rules.month_of(day): energy
        for day, energy in (*theirs, *ours)
        if day is not None and energy is not None
    }


def _spread(
    months: Sequence[Month], produced: Mapping[Month, Decimal]
) -> tuple[list[Decimal | None], dict[int, str]]:
    """The energy of each month; one that follows a gap is spread over it, and marked."""
    values: dict[Month, Decimal] = {}
    marks: dict[int, str] = {}
    for gap in _gaps(months, produced):
        shares = rules.spread(produced[gap[-1]], gap, known.limits())
        values |= {share.month: share.energy for share in shares}
        if len(gap) > 1:
            marks |= {months.index(month): SPREAD for month in gap}
    return [values.get(month) for month in months], marks


def _gaps(months: Sequence[Month], produced: Mapping[Month, Decimal]) -> Iterator[list[Month]]:
    """Months that one energy covers: itself, and those without one since the last."""
    gap: list[Month] = []
    has_begun = False
    for month in months:
        if month in produced:
            yield [*gap, month] if has_begun else [month]
            gap, has_begun = [], True
        else:
            gap.append(month)


def _picture(
    title: str,
    months: Sequence[Month],
    values: Sequence[Decimal | None],
    expected: Sequence[Decimal | None],
    *,
    unit: str = "kWh",
    marks: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    ticks = {
        place: f"{month.first:%b %Y}" if place == 0 or month.number == 1 else f"{month.first:%b}"
        for place, month in enumerate(months)
    }
    chart = charts.Chart(
        key="by-month",
        title=title,
        labels=[str(month) for month in months],
        series=[charts.Series(name=f"Produced, {unit}", values=values)],
        unit=unit,
        places=1,
        gap_words="nothing reported",
        ticks=ticks,
        reference=expected,
        marks=marks or {},
    )
    heads = [f"Produced, {unit}"] + ([f"Expected, {unit}"] if expected else [])
    return {
        "svg": charts.columns(chart),
        "caption": title,
        "heads": heads,
        "rows": charts.rows(chart),
        "unit": unit,
    }
