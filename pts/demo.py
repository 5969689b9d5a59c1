"""Invented work for the demo: the sandbox's 300 systems in a month that is half done.

The sandbox's window stays open until the next one opens; the portal's is given the same days. All
goes through pts.actions; MassCEC's verdicts come while the portal is used.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from core.demo import ask_sandbox, wait_until
from core.models import User
from core.workflow import Actor, actor_for
from pts import actions, rules
from pts.known import facts_of, limits, window_rule, zone
from pts.models import Report, Synchronisation, System, Window

Status = Report.Status
PARTY = "/control/production-tracking"
OPEN_LONGER = "The demo’s window stays open until the next one opens."
BEHAVE = {1001: "fails", 1002: "fails", 1003: "post_error", 1004: "stays", 1005: "stays"}
SENT = range(1000, 1190)  # 1003 fails its test
TESTED, READY = range(1190, 1200), range(1200, 1206)
MUCH, LITTLE, BACK = (1206, 1207), (1208,), (1209,)
PARTS = {**dict.fromkeys(MUCH, Decimal("2.2")), **dict.fromkeys(LITTLE, Decimal("0.1"))}


def fill() -> Iterator[str]:
    """Open the month, synchronise the systems, and leave some in every status."""
    people = _people()
    if people is None:
        yield "nobody has the roles production and supervisor; run set_up_people first"
        return
    by, boss = people
    window = _window(boss)
    actions.keep_windows(now=timezone.now)
    yield f"the reporting window for {window} is open"
    if not _synchronised(by):
        yield "the worker has not answered yet; run this again when it runs"
        return
    yield f"{System.objects.count()} systems, each with a report of {window}"
    if not _fresh(window, SENT):
        yield "the month is under way already"
        return
    for key, behaviour in BEHAVE.items():
        ask_sandbox(settings.PTS_API_URL, f"{PARTY}/systems/{key}", {"behaviours": [behaviour]})
    ask_sandbox(settings.PTS_API_URL, f"{PARTY}/options", {"validation_seconds": 0})
    yield from _people_at_work(window, by, boss)


def _people() -> tuple[Actor, Actor] | None:
    """A member of the desk, and a supervisor."""
    found = [
        User.objects.filter(groups__in=Group.objects.filter(name=role)).order_by("pk").first()
        for role in ("production", "supervisor")
    ]
    by, boss = found
    return None if by is None or boss is None else (actor_for(by), actor_for(boss))


def _window(boss: Actor) -> Window:
    """The present window with the sandbox's days: open until the day before the next one opens."""
    now = timezone.now()
    month, opens = _present(now)
    shape = rules.window_of(month, window_rule(), zone())
    last = _opens(month.plus(1)) - timedelta(days=1)
    times = {"opens_at": shape.opens, "closes_at": shape.closes}
    window, _ = Window.objects.get_or_create(month=month.first, defaults=times)
    if not window.overridden:
        actions.override_window(
            window=window, first=opens, last=last, reason=OPEN_LONGER, by=boss, now=timezone.now
        )
    window.refresh_from_db()
    return window


def _present(now: datetime) -> tuple[rules.Month, date]:
    """The last month whose window has opened, and its first day."""
    today = now.astimezone(zone()).date()
    month = rules.month_of(today)
    month = month if _opens(month) <= today else month.plus(-1)
    return month, _opens(month)


def _opens(month: rules.Month) -> date:
    return rules.window_of(month, window_rule(), zone()).opens.date()


def _synchronised(by: Actor) -> bool:
    """Apply what MassCEC lists, once the worker has asked, and wait for the last readings."""
    if System.objects.exists():
        return True
    actions.synchronise(by=by, now=timezone.now)
    if not wait_until(_answered):
        return False
    shown = Synchronisation.objects.filter(state=Synchronisation.State.TO_APPLY).first()
    if shown is None:
        return False
    actions.apply(synchronisation=shown, by=by, now=timezone.now)
    return wait_until(_answered)


def _answered() -> bool:
    return not Synchronisation.objects.filter(state=Synchronisation.State.ASKING).exists()


def _fresh(window: Window, keys: Sequence[int]) -> bool:
    """Whether no one has worked on these systems in this window."""
    rows = Report.objects.filter(window=window, system__fk_system__in=keys)
    return not rows.exclude(status=Status.MISSING).exists()


def _people_at_work(window: Window, by: Actor, boss: Actor) -> Iterator[str]:
    """Readings, tests and submissions, as members of staff make them."""
    keys = [*SENT, *TESTED, *READY, *MUCH, *LITTLE, *BACK]
    done = actions.enter_many(
        readings=_readings(window, keys), window=window, by=by, now=timezone.now
    )
    yield f"{done.fine} readings entered, {done.look} more are to be looked at"
    for report in _reports(window, [*SENT, *TESTED], Status.LOOK):
        reason = "Rang the site: the figure was read twice."
        actions.accept(report=report, reason=reason, by=by, now=timezone.now)
    actions.test(
        reports=_reports(window, [*SENT, *TESTED], Status.READY),
        notes="Demo",
        by=by,
        now=timezone.now,
    )
    if not wait_until(lambda: not _reports(window, SENT, Status.READY)):
        yield "the worker has not tested them yet"
        return
    sent = _reports(window, SENT, Status.TESTED)
    actions.authorise(reports=sent, notes="Demo", confirmation=uuid4().hex, by=by, now=timezone.now)
    yield f"{len(sent)} systems are sent in {settings.SEND_DELAY_SECONDS} s, verdicts follow"
    _exception(window, boss)


def _readings(window: Window, keys: Sequence[int]) -> dict[int, actions.Reading]:
    """Totals read an hour ago: most as the time of the year has it, some odd."""
    systems = list(System.objects.filter(fk_system__in=keys))
    facts = facts_of(systems, window.month)
    at = max(window.opens_at, timezone.now() - timedelta(hours=1)).replace(microsecond=0)
    readings = {}
    for system in systems:
        value = _total(system, facts[system.pk], at)
        if value is not None:
            readings[system.fk_system] = actions.Reading(
                value=value, at=at, source=Report.Source.CSV
            )
    return readings


def _total(system: System, facts: rules.Facts, at: datetime) -> Decimal | None:
    expected = rules.expected_energy(facts, at, limits=limits(), zone=zone())
    if facts.last is None or expected is None:
        return None
    if system.fk_system in BACK:
        return facts.last.value / 2
    usual = Decimal(90 + system.fk_system % 20) / 100
    return facts.last.value + (expected * PARTS.get(system.fk_system, usual)).quantize(
        Decimal("0.1")
    )


def _reports(window: Window, keys: Sequence[int], status: str) -> list[Report]:
    rows = Report.objects.filter(window=window, system__fk_system__in=keys, status=status)
    return list(rows.select_related("system", "window"))


def _exception(window: Window, boss: Actor) -> None:
    """One exception that the help desk granted."""
    report = Report.objects.get(window=window, system__fk_system=1003)
    actions.grant(
        report=report,
        more_valid=0,
        more_failed=1,
        granted_by="Help Desk, Ms Pike",
        reason="Their record of the inverter was wrong.",
        by=boss,
        now=timezone.now,
    )
