"""Bulk runs as people have them: prepared, looked at, started, paused, cancelled, read.

Looks nothing up itself: the crews of the worker do (gasquotes.crews).
"""

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from core import queue
from core.workflow import Actor, Impossible, NotAllowed
from gasquotes import budget
from gasquotes.models import (
    BULK,
    LOOK_UP,
    BulkLine,
    BulkRun,
    Crew,
    LookUp,
    Portfolio,
    PortfolioPoint,
)
from gasquotes.mprn_csv import MprnList

Clock = Callable[[], datetime]
State, LineState = BulkRun.State, BulkLine.State
INSERTED_AT_ONCE = 1000


class RunConflict(Impossible):
    """The run is not in a state for this."""


class PreparedAlready(Impossible):
    """This very upload was prepared before: a double click, the back button."""

    sentence = "This list was taken already; it was not taken twice."


# ---- What people do ----------------------------------------------------------------------------


def prepare(
    *,
    title: str,
    lines: MprnList,
    by: Actor,
    now: Clock,
    portfolio: Portfolio | None = None,
    look_up_all: bool = False,
    confirmation: str | None = None,
) -> BulkRun:
    """Keep a list of MPRNs as a run to be confirmed; nothing is looked up yet.

    Rows that are no MPRN become failed lines, which harm no other. Raises `PreparedAlready`.
    """
    _may(by)
    moment = now()
    with transaction.atomic():
        run, fresh = BulkRun.objects.get_or_create(
            confirmation=confirmation or str(uuid.uuid4()),
            defaults={
                "title": title[:100],
                "portfolio": portfolio,
                "look_up_all": look_up_all,
                "created_at": moment,
                "by": by.user,
                "by_name": by.name,
                "state_at": moment,
                "state_by": by.name,
            },
        )
        if not fresh:
            raise PreparedAlready
        BulkLine.objects.bulk_create(_lines(run, lines), batch_size=INSERTED_AT_ONCE)
    return run


def _lines(run: BulkRun, lines: MprnList) -> Iterator[BulkLine]:
    for each in lines.lines:
        warning = (each.warning or "")[:200]
        yield BulkLine(run=run, number=each.number, mprn=each.mprn, warning=warning)
    for bad in lines.bad:
        yield BulkLine(
            run=run,
            number=bad.number,
            mprn=bad.shown[:50],
            state=LineState.FAILED,
            code="row",
            sentence=bad.problem[:300],
        )


def start(*, run: BulkRun, by: Actor, now: Clock) -> None:
    """Start a run that was looked at. Raises `RunConflict`."""
    _may(by)
    moment = now()
    with transaction.atomic():
        _step(run, (State.PREVIEW,), State.RUNNING, by, moment, started_at=moment)
        BulkLine.objects.filter(run=run, state=LineState.WAITING).update(
            due_at=moment, caused_by=by.user, caused_by_name=by.name
        )
        call_crews(now=moment)


def pause(*, run: BulkRun, by: Actor, now: Clock) -> None:
    """Pause a run; look-ups that are under way are still recorded. Raises `RunConflict`."""
    _may(by)
    with transaction.atomic():
        _step(run, (State.RUNNING,), State.PAUSED, by, now())


def resume(*, run: BulkRun, by: Actor, now: Clock) -> None:
    """Go on with a paused run. Raises `RunConflict`."""
    _may(by)
    moment = now()
    with transaction.atomic():
        _step(run, (State.PAUSED,), State.RUNNING, by, moment)
        call_crews(now=moment)


def cancel(*, run: BulkRun, by: Actor, now: Clock) -> None:
    """End a run for good; what was looked up stays. Raises `RunConflict`."""
    _may(by)
    moment = now()
    with transaction.atomic():
        before = (State.RUNNING, State.PAUSED)
        _step(run, before, State.CANCELLED, by, moment, finished_at=moment)
        waiting = BulkLine.objects.filter(run=run, state=LineState.WAITING)
        waiting.update(state=LineState.CANCELLED, due_at=None, **queue.FREE)
        to_portfolio(run)


def discard(*, run: BulkRun, by: Actor) -> None:
    """Forget a run that was never started. Raises `RunConflict`."""
    _may(by)
    with transaction.atomic():
        if not BulkRun.objects.filter(pk=run.pk, state=State.PREVIEW).delete()[0]:
            raise RunConflict(f"“{run}” has been started already. Nothing was removed.")


def _may(by: Actor) -> None:
    if by.user is None or not by.user.has_perm(LOOK_UP):
        raise NotAllowed("Your role does not have supply points looked up.")


def _step(
    run: BulkRun,
    sources: Sequence[str],
    target: str,
    by: Actor,
    now: datetime,
    **fields: Any,
) -> None:
    here = BulkRun.objects.filter(pk=run.pk, state__in=sources)
    if not here.update(state=target, state_at=now, state_by=by.name, **fields):
        current = State(BulkRun.objects.values_list("state", flat=True).get(pk=run.pk))
        raise RunConflict(f"“{run}” is “{current.label}” now. Nothing was done.")


def call_crews(*, now: datetime) -> None:
    """Make every crew due that is not at work; who is at work looks again before it ends."""
    for number in range(1, settings.GASQUOTES_CREWS + 1):
        crew, _ = Crew.objects.get_or_create(number=number)
        if Crew.objects.filter(pk=crew.pk, claim=None).update(due_at=now, rung_at=now):
            transaction.on_commit(lambda pk=crew.pk: queue.ring(BULK.name, pk))  # type: ignore[misc]


def to_portfolio(run: BulkRun) -> None:
    """Give the points of the run's portfolio their newest look-up, in one statement."""
    if run.portfolio_id is None:
        return
    found = BulkLine.objects.filter(run=run, mprn=OuterRef("mprn"), look_up__isnull=False)
    points = PortfolioPoint.objects.filter(Exists(found), portfolio=run.portfolio_id)
    points.update(look_up=found.values("look_up")[:1])


# ---- What people see ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """What a run would do: rows, rows that are no MPRN, doubts, calls, and what the month has."""

    rows: int
    bad: int
    warned: int
    reused: int
    calls: int
    left: int
    minutes: float

    @property
    def fits(self) -> bool:
        """Whether this month's budget holds every call of it."""
        return self.calls <= self.left


def preview(*, run: BulkRun, now: datetime) -> Preview:
    """Say what a run would cost before it starts (four queries)."""
    lines = BulkLine.objects.filter(run=run)
    counts = lines.aggregate(
        rows=Count("pk"),
        bad=Count("pk", filter=Q(state=LineState.FAILED)),
        warned=Count("pk", filter=~Q(warning="")),
    )
    waiting = lines.filter(state=LineState.WAITING)
    reused = 0 if run.look_up_all else waiting.filter(_known_already(now)).count()
    needed = counts["rows"] - counts["bad"] - reused
    stands = budget.standing(now=now)
    return Preview(
        **counts,
        reused=reused,
        calls=needed,
        left=stands.left,
        minutes=stands.minutes_for(needed),
    )


def _known_already(now: datetime) -> Exists:
    since = now - timedelta(days=settings.GASQUOTES_REUSE_DAYS)
    return Exists(LookUp.objects.filter(mprn=OuterRef("mprn"), at__gt=since, at__lte=now))


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    total: int
    done: int
    failed: int
    waiting: int
    cancelled: int
    reused: int
    repeats: int
    minutes_left: float | None
    sentence: str

    @property
    def percent(self) -> int:
        """How much is over, in per cent, rounded down."""
        return 100 * (self.total - self.waiting) // self.total if self.total else 100


def progress(*, run: BulkRun, now: datetime) -> Progress:
    """Count a run's lines (one query) and say how long it takes and what stops it (two more)."""
    counts = BulkLine.objects.filter(run=run).aggregate(
        total=Count("pk"),
        done=Count("pk", filter=Q(state=LineState.DONE)),
        failed=Count("pk", filter=Q(state=LineState.FAILED)),
        waiting=Count("pk", filter=Q(state=LineState.WAITING)),
        cancelled=Count("pk", filter=Q(state=LineState.CANCELLED)),
        reused=Count("pk", filter=Q(reused=True)),
        repeats=Sum("repeats", default=0),
    )
    if run.state != State.RUNNING:
        return Progress(**counts, minutes_left=None, sentence="")
    stands = budget.standing(now=now)
    if stands.stopped:
        return Progress(**counts, minutes_left=None, sentence=stands.sentence)
    beyond = counts["waiting"] - stands.left
    sentence = _beyond(beyond, stands.next_month) if beyond > 0 else ""
    minutes = max(_minutes_left(run, counts, now), stands.minutes_for(counts["waiting"]))
    return Progress(**counts, minutes_left=minutes, sentence=sentence)


def _minutes_left(run: BulkRun, counts: dict[str, int], now: datetime) -> float:
    """By how it went so far; at the start nothing is known."""
    over = counts["done"] + counts["failed"]
    since = max(run.started_at or now, run.state_at)
    minutes = (now - since).total_seconds() / 60
    return counts["waiting"] * minutes / over if over and minutes > 0 else 0.0


def _beyond(lines: int, next_month: datetime) -> str:
    day = timezone.localtime(next_month).strftime("%-d %B")
    return f"This month’s look-ups do not reach for {lines:,} of them; those go on on {day}."


def results(run: BulkRun) -> QuerySet[BulkLine]:
    """The lines with what was found, in the order of the file."""
    return BulkLine.objects.filter(run=run).select_related("look_up").order_by("number", "pk")


RESULT_COLUMNS = (
    "row", "MPRN", "state", "code", "sentence", "warning", "looked up", "reused", "repeats",
    "postcode", "LDZ", "market sector", "CSEP", "AQ kWh", "SOQ kWh", "next AQ kWh", "next SOQ kWh",
    "from", "held because",
)  # fmt: skip


def results_csv(run: BulkRun) -> Iterator[list[Any]]:
    """The results as rows below RESULT_COLUMNS."""
    return result_rows(results(run).defer("look_up__raw"))


def result_rows(lines: QuerySet[BulkLine]) -> Iterator[list[Any]]:
    """Some lines, read with their look-ups, as rows below RESULT_COLUMNS."""
    for line in lines.iterator(chunk_size=500):
        found = line.look_up
        about = [line.number, line.mprn, line.get_state_display(), line.code, line.sentence]
        rest = [] if found is None else _found_columns(found)
        at = found.at.isoformat() if found else ""
        yield [*about, line.warning, at, "yes" if line.reused else "", line.repeats, *rest]


def _found_columns(found: LookUp) -> list[Any]:
    checked = found.quantities
    years = (checked.formula, checked.prospective)
    figures = [figure for year in years for figure in (year.aq_kwh, year.soq_kwh)]
    return [
        found.postcode,
        found.local_distribution_zone,
        found.market_sector_code,
        found.csep_id,
        *figures,
        found.perspective_formula_year_effective_date,
        " ".join(found.held),
    ]


def minutes_in_words(minutes: float) -> str:
    """How long something takes, for people."""
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return f"about {math.ceil(minutes)} minutes"
    return f"about {minutes / 60:.1f} hours"
