"""Invented work for the demo: the sandbox's sixty meters, thirteen months of half hours, reads.

Meters are asked through metering.actions; the sandbox posts the results while the portal is used.
The newest month is asked first, the year before it in the background at the lowest priority, of
meters without surprises. People decide on most of what is odd, so that a few of each kind are left.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from core import casework
from core.demo import ask_sandbox, wait_until
from core.models import User
from core.workflow import PORTAL, Actor, Impossible, actor_for
from metering import actions
from metering.models import Batch, Delivery, Meter, MeterAlarm, MeterRead, MeterType, Schedule

Status = MeterRead.Status
ENDS = {"house": "homes", "solar": "homes", "nothing": "homes", "store heating": "homes"}
MONTH, YEAR = "Demo: the last 31 days", "Demo: the year before"
MONTH_DAYS, YEAR_DAYS = 31, 365
FIRST, LAST = 1, 9
# What is left for whoever looks at the demo.
LEFT = (
    *("Wrong serial number, reported as the value", "Clock 4,000 s slow", "Tamper event"),
    *("Partial: the survey breaks off half-way", "Never connects", "No answer at the first"),
)
REJECTED = {
    "The result names another MPAN": "Another meter answered.",
    "Registers go backwards": "The register went back; somebody looks at the meter.",
    "Survey per period": "The half hours are no totals; the type is being corrected.",
}
# Why the others are accepted, by the first check that does not pass.
REASONS = {
    "whole": "What came fits the reads before; the rest is asked for again.",
    "clock": "A clock this far off changes no half hour; it is set at the next visit.",
    "tamper": "The fitter opened the cover that day.",
    "serial": "The number on the meter was looked at: it is the one that is recorded.",
    "survey": "A furnace was tested that day; the customer rang.",
}
ACCEPTED = "Looked at: the values fit those before."
SET_ASIDE = "The meter has no signal until the aerial is repaired."
SEEN = "Known; it is on the list of the next visit."
LEFT_ALARMS = 3


def fill() -> Iterator[str]:
    """Make meters and ask them; what people decide waits for the first results."""
    rows = ask_sandbox(settings.METERING_API_URL, "/control/meters")["meters"]
    meters = {row["purpose"]: _meter(row) for row in rows}
    yield f"{len(meters)} meters in {len(set(map(_group, rows)))} groups"
    _schedules()
    today = timezone.localdate()
    month = actions.Wish(survey_days=MONTH_DAYS, priority=FIRST)
    earlier = today - timedelta(days=MONTH_DAYS + YEAR_DAYS)
    year = actions.Wish(survey_days=YEAR_DAYS, survey_date=earlier, priority=LAST)
    _once(MONTH, lambda: _ask(MONTH, meters.values(), month))
    person = User.objects.filter(groups=Group.objects.get(name="metering")).order_by("pk").first()
    if person is None:
        yield "no member of staff has the metering role; run set_up_people first"
    elif not _settled():
        yield "the worker has not answered yet; run this again when it runs"
    else:
        yield from _people_at_work(meters, actor_for(person), person)
    clean = [meter for purpose, meter in meters.items() if purpose.startswith("Clean")]
    _once(YEAR, lambda: _ask(YEAR, clean, year))
    yield "the year before that is being read in the background"


def _group(row: dict[str, Any]) -> str:
    profile = row["profile"]["import"]["name"]
    return ENDS.get(profile, "businesses")


def _meter(row: dict[str, Any]) -> Meter:
    survey = MeterType.Survey.PERIOD if row["survey"] == "per period" else "cumulative"
    kind, _ = MeterType.objects.get_or_create(code=row["meterType"], defaults={"survey": survey})
    meter, _ = Meter.objects.get_or_create(
        mpan=row["mpan"],
        serial_number=row["serialNumber"],
        defaults={
            "meter_type": kind,
            "remote_address": row["remoteAddress"],
            "coms_settings": row["comsSettings"],
            "outstation_address": row["outstationAddress"],
            "password": row["password"],
            "group": _group(row),
            "added_at": timezone.now(),
        },
    )
    return meter


def _schedules() -> None:
    """Homes every night, businesses too; both are off, so that the demo stays as it is."""
    for group, hour in (("homes", 2), ("businesses", 3)):
        Schedule.objects.get_or_create(
            group=group, every=Schedule.Every.NIGHT, defaults={"hour": hour, "active": False}
        )


def _once(title: str, act: Callable[[], object]) -> None:
    """Ask unless an earlier run of this has."""
    if not Batch.objects.filter(title=title).exists():
        act()


def _ask(title: str, meters: Any, wish: actions.Wish, by: Actor = PORTAL) -> Batch:
    return actions.ask(
        meters=meters, wish=wish, by=by, now=timezone.now, title=title, confirmation=title
    )


def _settled() -> bool:
    """Wait until most of the newest month is there."""
    rows = MeterRead.objects.filter(batch__title=MONTH)
    waited = ("Never", "Stays", "Posted two hours late")
    count = rows.count() - len(waited)
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    through = rows.exclude(status__in=MeterRead.OPEN)
    return wait_until(lambda: through.count() >= count and not waiting.exists())


def _people_at_work(meters: dict[str, Meter], by: Actor, person: User) -> Iterator[str]:
    """Decisions and cancellations, as members of staff make them."""
    purposes = {meter.pk: purpose for purpose, meter in meters.items()}
    reads = MeterRead.objects.filter(batch__title=MONTH, status__in=MeterRead.NEEDS_PERSON)
    for read in reads.select_related("meter").prefetch_related("checks"):
        if not purposes[read.meter_id].startswith(LEFT):
            # A second result may move a read just now; then it is left as it is.
            with contextlib.suppress(Impossible):
                _decide(read, purposes[read.meter_id], by)
    _once("Demo: tonight, cancelled", lambda: _cancelled(meters, by))
    _once("Demo: again while it is stuck", lambda: _waiting(meters, by))
    _assigned(meters, by, person)
    _seen(by)
    yield "decisions, a cancelled read, and one that waits for its address"


def _decide(read: MeterRead, purpose: str, by: Actor) -> None:
    if read.status == Status.FAILED:
        actions.set_aside(read=read, reason=SET_ASIDE, by=by, now=timezone.now)
        return
    rejected = next((why for start, why in REJECTED.items() if purpose.startswith(start)), "")
    if rejected:
        actions.reject(read=read, reason=rejected, by=by, now=timezone.now)
        return
    odd = next((check.code for check in read.checks.all() if check.result != "pass"), "")
    actions.accept(read=read, reason=REASONS.get(odd, ACCEPTED), by=by, now=timezone.now)


def _read_of(meter: Meter, *statuses: str) -> MeterRead | None:
    rows = MeterRead.objects.filter(meter=meter, batch__title=MONTH, status__in=statuses)
    return rows.select_related("meter").first()


def _cancelled(meters: dict[str, Meter], by: Actor) -> None:
    meter = meters["Clean: whole kilowatt hours only"]
    later = timezone.now() + timedelta(hours=12)
    wish = actions.Wish(delay_until=later)
    batch = _ask("Demo: tonight, cancelled", [meter], wish, by)
    actions.cancel(read=batch.reads.get(), by=by, now=timezone.now)


def _waiting(meters: dict[str, Meter], by: Actor) -> None:
    """The address of this meter is held by a collection that never ends."""
    meter = meters["Stays PENDING for ever"]
    _ask("Demo: again while it is stuck", [meter], actions.Wish(survey_days=1), by)


def _assigned(meters: dict[str, Meter], by: Actor, person: User) -> None:
    read = _read_of(meters["Wrong serial number, reported as the value"], Status.TO_CHECK)
    if read and read.assigned_to_id is None:
        text = "Asked the fitter whether the meter was exchanged."
        casework.note(read, text=text, by=by, now=timezone.now())
        casework.assign(read, to=person, by=by, now=timezone.now())


def _seen(by: Actor) -> None:
    """Most alarms are acknowledged, the newest are left."""
    waiting = MeterAlarm.objects.filter(acknowledged_at=None).order_by("-raised_at", "-pk")
    for alarm in waiting[LEFT_ALARMS:]:
        actions.acknowledge(alarm=alarm, note=SEEN, by=by, now=timezone.now)
