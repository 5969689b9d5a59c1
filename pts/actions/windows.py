"""Reporting windows: the calendar, opening, closing, and what is mailed about them."""

from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core import mail, queue
from core.workflow import PORTAL, Actor, Impossible
from pts import letters, rules
from pts.actions.lines import State, Status, poll_soon
from pts.actions.shared import Clock, may, note_about
from pts.actions.systems import open_reports, synchronise
from pts.known import counts_of, overridden, window_rule, zone
from pts.models import Batch, Report, Submission, Window

MONTHS_AHEAD = 2
UNDECIDED = "Undecided when the window closed: ask MassCEC, then settle it here"


def keep_windows(*, now: Clock) -> None:
    """Keep the calendar, open and close windows on time; runs every minute."""
    moment = now()
    _keep_calendar(moment)
    for window in Window.objects.filter(begun_at=None, opens_at__lte=moment, closes_at__gt=moment):
        _begin(window, moment)
    asked_about = Q(claim__isnull=False, claimed_until__gte=moment)
    for window in Window.objects.filter(closed_at=None, closes_at__lte=moment):
        # A status that is being asked for at this moment may still decide something.
        if not Window.objects.filter(asked_about, pk=window.pk).exists():
            _close(window, moment)
    _hand_over_undecided(moment)
    for window in Window.objects.filter(closed_at=None).exclude(begun_at=None):
        with transaction.atomic():
            open_reports(window=window, now=moment)
        _warn_on_last_day(window, moment)
        poll_soon(window, moment)


def _keep_calendar(moment: datetime) -> None:
    """Have a row for each coming window, as the rule says until a person says otherwise."""
    here, own = rules.month_of(moment.astimezone(zone()).date()), overridden()
    for month in (here.plus(step) for step in range(-1, MONTHS_AHEAD + 1)):
        shape = rules.window_of(month, window_rule(), zone(), own_days=own.get(month))
        if shape.closes > moment:
            times = {"opens_at": shape.opens, "closes_at": shape.closes}
            Window.objects.get_or_create(month=month.first, defaults=times)
            ours = Window.objects.filter(month=month.first, overridden=False, begun_at=None)
            ours.exclude(**times).update(**times)


def _begin(window: Window, now: datetime) -> None:
    """Open a window: a report for each active system; their last readings are asked for."""
    with transaction.atomic():
        # Its days may have been changed since it was read.
        due = Window.objects.filter(opens_at__lte=now, closes_at__gt=now)
        if due.filter(pk=window.pk, begun_at=None).update(begun_at=now):
            open_reports(window=window, now=now)
            synchronise(by=PORTAL, now=lambda: now)


def override_window(
    *, window: Window, first: date, last: date, reason: str, by: Actor, now: Clock
) -> None:
    """Give one month's window other days, as MassCEC announced. Raises `Impossible`.

    A window that is opened again asks once more for what was undecided at its close.
    """
    may(by, "pts.change_window", "Your role does not change reporting windows.")
    if last < first:
        raise Impossible("The last day is before the first. Nothing was changed.")
    month, moment = rules.month_of(window.month), now()
    shape = rules.window_of(month, window_rule(), zone(), own_days=(first, last))
    if shape.closes <= moment:
        raise Impossible("These days are past. Nothing was changed.")
    others = Window.objects.exclude(pk=window.pk)
    if other := others.filter(opens_at__lt=shape.closes, closes_at__gt=shape.opens).first():
        raise Impossible(f"These days overlap with the window for {other}. Nothing was changed.")
    with transaction.atomic():
        Window.objects.filter(pk=window.pk).update(
            opens_at=shape.opens,
            closes_at=shape.closes,
            overridden=True,
            reason=reason,
            closed_at=None,
            warned_at=None,
        )
        Report.objects.filter(window=window).update(due_by=shape.closes)
        _ask_again(window)
        days = f"{first:%-d %B} to {last:%-d %B %Y}"
        note_about(window, f"The window for {window} goes from {days}: {reason}", by, moment)


def _ask_again(window: Window) -> None:
    undecided = Submission.objects.filter(
        batch__window=window, report__status=Status.VALIDATING, state=State.UNDECIDED
    )
    undecided.update(state=State.LOST, looked_up=0, decided_at=None)


def _close(window: Window, now: datetime) -> None:
    """Close a window: what is undecided goes to a person, and the close is reported by e-mail."""
    with transaction.atomic():
        # Its days may have been changed since it was read.
        open_still = Window.objects.filter(pk=window.pk, closed_at=None, closes_at__lte=now)
        if not open_still.update(closed_at=now, due_at=None, **queue.FREE):
            return
        _hand_over_undecided(now)
        facts = _month_facts(window)
        if any(facts.counts.values()):
            _mail("window close", letters.closed(facts), now)


def _hand_over_undecided(now: datetime) -> None:
    """Give to a person what a closed window left undecided.

    "The status … during the current Reporting window": it cannot be asked for any more. A batch
    that was on its way at the close gets here when its worker, or the next one, has ended it.
    """
    lines = Submission.objects.filter(
        batch__window__closed_at__isnull=False,
        batch__kind=Batch.Kind.REAL,
        state__in=[State.LOST, State.VALIDATING],
    )
    with transaction.atomic():
        reports = Report.objects.filter(submissions__in=lines, status=Status.VALIDATING)
        reports.update(why=UNDECIDED)
        lines.update(state=State.UNDECIDED, decided_at=now)


def _warn_on_last_day(window: Window, now: datetime) -> None:
    """On the last day, say by e-mail which systems are still missing."""
    if window.warned_at is not None or now < window.closes_at - timedelta(days=1):
        return
    with transaction.atomic():
        if Window.objects.filter(pk=window.pk, warned_at=None).update(warned_at=now):
            facts = _month_facts(window)
            if facts.left:
                _mail("last day", letters.last_day(facts), now)


def _month_facts(window: Window) -> letters.Month:
    rows = Report.objects.filter(window=window).select_related("system").order_by("system")
    left = rows.exclude(status=Status.PASSED)
    counts = counts_of(window)
    return letters.Month(
        name=str(window),
        closes=timezone.localtime(window.closes_at).strftime("%-d %B %Y at %H:%M"),
        counts={str(label): counts.get(value, 0) for value, label in Status.choices},
        left=tuple((str(row.system), row.status_label, row.why) for row in left),
        url=settings.PUBLIC_BASE_URL + window.get_absolute_url(),
    )


def _mail(purpose: str, letter: letters.Letter, now: datetime) -> None:
    mail.post(
        case=None,
        purpose=purpose,
        to=settings.PTS_MAIL_TO,
        subject=letter.subject,
        text=letter.text,
        by=PORTAL,
        now=now,
    )
