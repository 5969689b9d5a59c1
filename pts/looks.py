"""How the production desk's figures look: pips for tries, bars for energy, a month's progress."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet, Sum
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.templatetags.portal import span
from pts import known, messages, rules
from pts.models import Batch, Report, Submission, Window
from pts.rules import Tries

Status = Report.Status
BULLET_FULL = 2  # the bar ends at twice what is expected
SHADES = (
    (Status.PASSED, "fill-good"),
    (Status.VALIDATING, "fill-1"),
    (Status.TESTED, "fill-soft"),
    (Status.READY, "heat-1"),
    (Status.LOOK, "fill-look"),
    (Status.FAILED, "fill-bad"),
    (Status.MISSING, "heat-0"),
)


def kilowatts(capacity: Decimal | None) -> str:
    """A capacity: "10.586 kW"."""
    return f"{capacity.normalize():f} kW" if capacity is not None else "capacity not known"


def kilowatt_hours(energy: Decimal | None) -> str:
    """An energy to a tenth: "2,835.3"; whole ones without a decimal."""
    if energy is None:
        return "–"
    rounded = energy.quantize(Decimal("0.1"))
    return f"{rounded:,.0f}" if rounded == rounded.to_integral_value() else f"{rounded:,}"


def bullet(produced: Decimal | None, expected: Decimal | None) -> SafeString | str:
    """A bar of what was produced with a mark at what is expected, and the per cent in words."""
    if produced is None or not expected:
        return "–"
    if produced < 0:
        return "goes back"
    percent = int(produced / expected * 100)
    width = max(0, min(100, percent // BULLET_FULL))
    low, high = (int(limit * 100) for limit in (known.limits().low, known.limits().high))
    fill = "fill-1" if low <= percent <= high else "fill-look"
    return format_html(
        '<span class="nowrap"><svg class="bullet" role="img" aria-label="{0} % of expected">'
        '<rect class="track" width="100%" height="12"></rect>'
        '<rect class="{1}" y="2" width="{2}%" height="8"></rect>'
        '<rect class="mark" x="49%" width="2" height="12"></rect></svg> {0} %</span>',
        percent,
        fill,
        width,
    )


@lru_cache(maxsize=256)  # a month's rows have a handful of different tries
def pips(tries: Tries) -> SafeString:
    """A dot for each valid and failed try, full where it is left, and the figures in words."""
    valid_limit = rules.VALID_TRIES + tries.more_valid
    failed_limit = rules.FAILED_TRIES + tries.more_failed
    undecided = f", {tries.undecided} undecided" if tries.undecided else ""
    said = (
        f"{tries.valid_left} of {valid_limit} valid tries left, "
        f"{tries.failed_left} of {failed_limit} failed tries left{undecided}"
    )
    dots = [
        *_dots("pip", valid_limit, tries.valid_left, tries.undecided),
        *_dots("pip pip-failed", failed_limit, tries.failed_left, tries.undecided),
    ]
    return format_html(
        '<span class="pips" role="img" aria-label="{}">{}'
        '<span class="pips-text">{} + {}</span></span>',
        said,
        format_html_join("", '<span class="{}"></span>', ((dot,) for dot in dots)),
        tries.valid_left,
        tries.failed_left,
    )


def _dots(kind: str, limit: int, left: int, held: int) -> Iterator[str]:
    for place in range(limit):
        if place < left:
            yield f"{kind} pip-left"
        else:
            yield f"{kind} pip-held" if place < left + held else kind


def countdown(window: Window | None, now: datetime, passed: int, total: int) -> str:
    """A few words for the home page: how many passed and how long the window is open."""
    if window is None:
        return "no window yet"
    if now < window.opens_at:
        return f"{window} opens in {span(window.opens_at - now)}"
    state = f"closes in {span(window.closes_at - now)}" if now < window.closes_at else "is closed"
    return f"{passed} of {total} passed, {window} {state}"


MOVING = (Batch.State.WAITING, Batch.State.SENDING, Batch.State.LOST)


def party_time(moment: datetime) -> str:
    """A moment as MassCEC's clock shows it: "Sat 5 Dec 2026, 23:59 EST"."""
    return f"{moment.astimezone(known.zone()):%a %-d %b %Y, %H:%M %Z}"


def share(part: Decimal | None, whole: Decimal | None) -> int | None:
    """How many hundredths of the whole a part is; None where that cannot be known."""
    return int(part / whole * 100) if part is not None and whole else None


# ---- A month ------------------------------------------------------------------------------------


def month(window: Window, now: datetime) -> dict[str, Any]:
    """Everything that the head of a month page shows, without its chart (five queries)."""
    counts = known.counts_of(window)
    counted = Report.objects.filter(window=window, status=Status.PASSED)
    sums = counted.aggregate(Sum("produced"), Sum("expected"))
    months = Window.objects.order_by("month")
    return {
        "window": window,
        "frame": frame(window, now),
        "counts": counts,
        "reports": sum(counts.values()),
        "passed": counts.get(Status.PASSED, 0),
        "bar": list(progress(counts)),
        "produced": kilowatt_hours(sums["produced__sum"]),
        "ratio": share(sums["produced__sum"], sums["expected__sum"]),
        "before": months.filter(month__lt=window.month).exclude(begun_at=None).last(),
        "after": months.filter(month__gt=window.month).first(),
        "batches": (batches := list(window.batches.order_by("-created_at", "-pk")[:5])),
        "any_moves": any(batch.state in MOVING for batch in batches),
    }


def frame(window: Window, now: datetime) -> dict[str, Any]:
    """When a window is open: its state, days, what is left of it, and both clocks."""
    shape = known.shape_of(window)
    last_minute = window.closes_at - timedelta(minutes=1)
    days = (shape.last_day - shape.opens.date()).days + 1
    today = (now.astimezone(known.zone()).date() - shape.opens.date()).days + 1
    state = "open" if shape.holds(now) else "coming" if now < shape.opens else "closed"
    return {
        "state": state,
        "first": shape.opens.date(),
        "last": shape.last_day,
        "left": span(abs(window.closes_at - now)) or "1 min",
        "until": span(abs(window.opens_at - now)) or "1 min",
        "day": min(max(today, 0), days),
        "days": days,
        "opens_there": party_time(window.opens_at),
        "closes_there": party_time(last_minute),
        "closes_here": last_minute,
        "is_ending": state == "open" and window.closes_at - now < timedelta(days=1),
    }


def progress(counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The parts of the progress bar: left edge and width in per cent, shade and words."""
    total, left = sum(counts.values()), 0.0
    for status, shade in SHADES:
        count = counts.get(status, 0)
        width = count / total * 100 if total else 0
        yield {
            "status": status.value,
            "label": str(status.label),
            "count": count,
            "shade": shade,
            "left": f"{left:.2f}%",
            "width": f"{max(0.0, width - 0.25):.2f}%",
        }
        left += width


def chosen(name: str, window: Window | None, rows: QuerySet[Any]) -> HttpResponseBase:
    """To a page about chosen reports of a month."""
    if window is None:
        return redirect("pts:list")
    pks = [("row", pk) for pk in rows.values_list("pk", flat=True)]
    return redirect(f"{reverse(name, args=[window.month])}?{urlencode(pks)}")


# ---- Lines of batches --------------------------------------------------------------------------

LINE_TAGS = {
    Submission.State.WAITING: "busy",
    Submission.State.LOST: "unknown",
    Submission.State.NO_VERDICT: "idle",
    Submission.State.VALIDATING: "busy",
    Submission.State.PASSED: "good",
    Submission.State.FAILED: "bad",
    Submission.State.REPLACED: "idle",
    Submission.State.NOT_SENT: "idle",
    Submission.State.UNDECIDED: "unknown",
}


def line(row: Submission) -> dict[str, Any]:
    """One line of a batch, for a table."""
    at = messages.from_party_time(row.meter_date, known.zone())
    return {
        "row": row,
        "tag": LINE_TAGS[Submission.State(row.state)],
        "label": row.get_state_display(),
        "value": kilowatt_hours(row.meter_value),
        "there": row.meter_date.replace("T", " "),
        "here": at,
        "is_test": row.batch.kind == Batch.Kind.TEST,
    }
