"""The budget of calls that all workers share: so many a minute, so many a month, or none at all.

A call is counted before it is sent and gets a moment to be sent at; moments are evenly spaced and
handed out by compare-and-swap, so no minute ever holds more than allowed. Sends nothing itself.
"""

import contextlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from core import alarms
from gasquotes.models import CallGate, MonthOfCalls

Stopped = CallGate.Stopped
USED_UP = "used up"
NO_KEY, NO_QUOTA, NO_BUDGET = "gas key", "gas quota", "gas budget"
AHEAD = timedelta(seconds=2)  # moments are handed out at most so far ahead
LATE = timedelta(seconds=1)  # a moment is good for so long, then it is lost
MARGIN = 1.2  # seconds by which a minute's calls are spread wider than a minute; more than LATE
PROBE_AFTER = timedelta(minutes=10)
SLOWED_FOR = timedelta(minutes=5)
SLOWEST = 20  # per cent
GATE = 1


@dataclass(frozen=True)
class Permit:
    """Moments at which calls may be sent, counted already; or when to ask again, and why."""

    moments: tuple[datetime, ...]
    again_at: datetime
    sentence: str = ""


@dataclass(frozen=True)
class Standing:
    """How the budget stands. `stopped` is empty, "quota", "key" or "used up"."""

    month: date
    limit: int
    used: int
    per_minute: int
    stopped: str
    stopped_until: datetime | None
    sentence: str
    next_month: datetime

    @property
    def left(self) -> int:
        """Calls that may still be made this month."""
        return max(0, self.limit - self.used)

    def minutes_for(self, calls: int) -> float:
        """How long so many calls take at the allowed pace, in minutes."""
        return calls / self.per_minute


# ---- Before a call -----------------------------------------------------------------------------


def permit(wanted: int, *, now: datetime) -> Permit:
    """Count up to `wanted` calls of this month and give each its moment.

    Fewer are given where the month or the next seconds hold no more. Repeats count like any call.
    """
    with transaction.atomic():
        gate = _gate()
        if gate.stopped and not _may_probe(gate, now):
            return Permit((), gate.stopped_until or now + PROBE_AFTER, _stop_sentence(gate))
        # The gate's row before the month's, everywhere: two workers must not wait for each other.
        moments = _take_moments(gate, 1 if gate.stopped else wanted, now)
        if not moments:
            return Permit((), now + AHEAD / 4)
        counted = _count(len(moments), now)
        if not counted:
            _sound_used_up(now)
            return Permit((), next_month(now), _used_up_sentence(now))
    return Permit(moments[:counted], moments[0])


def give_back(calls: int, *, now: datetime) -> None:
    """Take calls that were counted and not sent off the month again."""
    if calls:
        MonthOfCalls.objects.filter(month=month_of(now)).update(used=F("used") - calls)


def _gate() -> CallGate:
    gate = CallGate.objects.filter(pk=GATE).first()
    return gate or CallGate.objects.get_or_create(pk=GATE)[0]


def _may_probe(gate: CallGate, now: datetime) -> bool:
    """Let one call through when its time has come: the first worker to ask wins it."""
    mine = CallGate.objects.filter(pk=GATE, stopped=gate.stopped, stopped_until__lte=now)
    return bool(mine.update(stopped_until=now + PROBE_AFTER))


def _count(wanted: int, now: datetime) -> int:
    """Count as many of these calls as the month still has. Returns how many."""
    month, limit = month_of(now), settings.GASQUOTES_CALLS_PER_MONTH
    rows = MonthOfCalls.objects.filter(month=month)
    while True:
        used = rows.values_list("used", flat=True).first()
        if used is None:
            _open_month(month)
            continue
        free = min(wanted, limit - used)
        if free <= 0:
            return 0
        if rows.filter(used__lte=limit - free).update(used=F("used") + free):
            return free


def _open_month(month: str) -> None:
    # Two workers may both find that a new month has no row yet.
    with contextlib.suppress(IntegrityError), transaction.atomic():
        MonthOfCalls.objects.create(month=month)


def _take_moments(gate: CallGate, wanted: int, now: datetime) -> tuple[datetime, ...]:
    """Take the next free moments by compare-and-swap, none further ahead than allowed."""
    while True:
        step, start = _step(gate, now), max(gate.next_us, _micro(now))
        room = (_micro(now + AHEAD) - start) // step + 1
        count = max(0, min(wanted, room))
        if not count:
            return ()
        mine = CallGate.objects.filter(pk=GATE, next_us=gate.next_us)
        if mine.update(next_us=start + count * step):
            return tuple(_moment(start + number * step) for number in range(count))
        gate = CallGate.objects.get(pk=GATE)


def _step(gate: CallGate, now: datetime) -> int:
    """Microseconds between two calls: a minute's calls span a little more than a minute."""
    slowed = gate.slowed_at is not None and gate.slowed_at > now - SLOWED_FOR
    percent = gate.percent if slowed else 100
    step = (60 + MARGIN) / settings.GASQUOTES_CALLS_PER_MINUTE
    return int(step * 1_000_000 * 100 / percent) + 1


def _micro(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _moment(micro: int) -> datetime:
    return EPOCH + timedelta(microseconds=micro)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# ---- What calls come to ------------------------------------------------------------------------


def slow_down(*, now: datetime, wait: float | None = None) -> None:
    """They say that we are too fast: pause, and go on at four fifths of the pace for five minutes.

    Calls that were under way together count once.
    """
    gate = _gate()
    if gate.slowed_at is not None and gate.slowed_at > now - timedelta(seconds=5):
        return
    again = gate.slowed_at is not None and gate.slowed_at > now - SLOWED_FOR
    percent = max(SLOWEST, (gate.percent if again else 100) * 4 // 5)
    pause = _micro(now + timedelta(seconds=min(max(wait or 0, 2), 60)))
    mine = CallGate.objects.filter(pk=GATE, slowed_at=gate.slowed_at)
    if mine.update(slowed_at=now, percent=percent):
        CallGate.objects.filter(pk=GATE, next_us__lt=pause).update(next_us=pause)


def stop_for_key(sentence: str, next_step: str, *, now: datetime) -> None:
    """Our key is not accepted: nothing is sent but a single try every ten minutes. One alarm."""
    _stop(Stopped.KEY, sentence, now, until=now + PROBE_AFTER)
    alarms.sound(
        NO_KEY,
        desk="gasquotes",
        title="The supply point service does not accept us",
        text=sentence,
        next_step=next_step,
        now=now,
    )


def stop_for_quota(sentence: str, next_step: str, *, now: datetime) -> None:
    """The service’s own count is used up: nothing is sent until next month. One alarm."""
    _stop(Stopped.QUOTA, sentence, now, until=next_month(now))
    alarms.sound(
        NO_QUOTA,
        desk="gasquotes",
        title="The month’s look-ups are used up, says the supply point service",
        text=sentence,
        next_step=next_step,
        now=now,
    )


def _stop(why: str, sentence: str, now: datetime, *, until: datetime) -> None:
    _gate()
    other = CallGate.objects.filter(pk=GATE).exclude(stopped=why)
    other.update(stopped=why, stopped_at=now, stopped_until=until, stopped_why=sentence[:300])


def answered(*, sent_at: datetime, now: datetime) -> bool:
    """A call was answered that was sent after the stop: the stop is over. True when one was."""
    shut = CallGate.objects.filter(pk=GATE, stopped_at__lt=sent_at).exclude(stopped=Stopped.NO)
    if not shut.update(stopped=Stopped.NO, stopped_until=None, stopped_why=""):
        return False
    for key in (NO_KEY, NO_QUOTA):
        alarms.over(key, now=now)
    return True


def probe_now(*, now: datetime) -> bool:
    """Let the next call through although calls are stopped. False when they are not."""
    return bool(CallGate.objects.exclude(stopped=Stopped.NO).update(stopped_until=now))


def _sound_used_up(now: datetime) -> None:
    limit = settings.GASQUOTES_CALLS_PER_MONTH
    alarms.sound(
        NO_BUDGET,
        desk="gasquotes",
        title=f"This month’s {limit:,} look-ups are used up",
        text=_used_up_sentence(now),
        next_step="Wait for the next month, or agree a higher limit with the service and raise "
        "GASQUOTES_CALLS_PER_MONTH: what waits goes on within the hour.",
        now=now,
    )


def is_free_again(*, now: datetime) -> bool:
    """End the alarm of a used-up month when there are calls again. True when one ended."""
    if not alarms.is_open(NO_BUDGET) or not standing(now=now).left:
        return False
    return alarms.over(NO_BUDGET, now=now)


# ---- How it stands -----------------------------------------------------------------------------


def standing(*, now: datetime) -> Standing:
    """How the budget stands, for every page where a call can be caused (two queries)."""
    gate = CallGate.objects.filter(pk=GATE).first() or CallGate(pk=GATE)
    used = MonthOfCalls.objects.filter(month=month_of(now)).values_list("used", flat=True).first()
    limit = settings.GASQUOTES_CALLS_PER_MONTH
    spent = (used or 0) >= limit
    stopped = gate.stopped or (USED_UP if spent else "")
    sentence = _stop_sentence(gate) if gate.stopped else _used_up_sentence(now) if spent else ""
    return Standing(
        month=now.astimezone(UTC).date().replace(day=1),
        limit=limit,
        used=used or 0,
        per_minute=settings.GASQUOTES_CALLS_PER_MINUTE,
        stopped=stopped,
        stopped_until=gate.stopped_until if gate.stopped else next_month(now) if spent else None,
        sentence=sentence,
        next_month=next_month(now),
    )


def month_of(now: datetime) -> str:
    """The month that a call counts in: "2026-11". The service's months are taken as UTC."""
    return f"{now.astimezone(UTC):%Y-%m}"


def next_month(now: datetime) -> datetime:
    """The first moment of the next month."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _stop_sentence(gate: CallGate) -> str:
    until = timezone.localtime(gate.stopped_until).strftime("%-d %B, %H:%M")
    return f"{gate.stopped_why} Look-ups wait; the next try is on {until}."


def _used_up_sentence(now: datetime) -> str:
    day = timezone.localtime(next_month(now)).strftime("%-d %B")
    return f"This month’s look-ups are used up; they go on by themselves on {day}."
