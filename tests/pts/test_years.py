"""Two years of months beside the party's movable clock: clock changes, a leap day, missed months."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from core.models import Email
from pts import actions, rules
from pts.known import window_rule, zone
from pts.models import Report, Submission, Window
from pts.rules import Month

pytestmark = pytest.mark.django_db
now = timezone.now
FIRST = Month(2026, 11)
MONTHS = [FIRST.plus(step) for step in range(25)]
SYSTEMS = (1000, 1001, 1002)
MISSED = {
    1001: {Month(2027, 2), Month(2027, 3)},  # the gap goes over the clocks going forward
    1002: {Month(2028, 2), Month(2027, 10)},  # 29 February; and the clocks going back
}


def moment_in(month):
    """A moment inside a month's window, another day and hour each month."""
    opens = rules.window_of(month, window_rule(), zone()).opens.astimezone(UTC)
    return opens + timedelta(days=(month.number * 3) % 9, hours=1 + month.number, minutes=30)


def reports_in(month):
    return [key for key in SYSTEMS if month not in MISSED.get(key, ())]


def test_two_years_of_months(desk):
    desk.party.options(validation_by="clock", validation_seconds=0)
    desk.forward(seconds=1)
    for month in MONTHS:
        _one_month(desk, month)
    for key in SYSTEMS:
        _nothing_is_missing(desk, key)
    passed = Submission.objects.filter(state="passed", batch__kind="real").count()
    assert passed == 3 * len(MONTHS) - 4
    assert Window.objects.exclude(closed_at=None).count() == len(MONTHS)
    assert Email.objects.filter(purpose="window close").count() == len(MONTHS)
    assert desk.party.control("")["polls"]["too_early"] == 0


def _one_month(desk, month):
    if month != FIRST:
        desk.travel(moment_in(month))
        actions.keep_windows(now=now)
        desk.work()
    keys = reports_in(month)
    assert desk.window.month == month.first
    for key in keys:
        missed = _months_missed_before(key, month)
        verdict = desk.enter(key)
        said = next(each for each in verdict.checks if each.code == "months")
        assert all(str(each) in said.sentence for each in missed), (month, key, said)
        assert (said.result == "look") == bool(missed)
        assert verdict.result == ("look" if missed else "fine"), (month, key, verdict.why)
        if missed:
            assert [share.month for share in verdict.spread] == [*missed, month]
    desk.test(*keys)
    desk.authorise(*keys)
    desk.send()
    desk.poll()
    assert {desk.status(key) for key in keys} == {"passed"}, desk.report(keys[0]).why
    window = desk.window
    desk.travel(window.closes_at + timedelta(minutes=1))
    actions.keep_windows(now=now)
    desk.work()
    left = Report.objects.filter(window=window, system__fk_system__in=SYSTEMS)
    assert left.exclude(status="passed").count() == len(SYSTEMS) - len(keys)


def _months_missed_before(key, month):
    missed = []
    while (before := month.plus(-1 - len(missed))) in MISSED.get(key, ()):
        missed.insert(0, before)
    return missed


def _nothing_is_missing(desk, key):
    """The party's own history has every month, the missed ones by their share."""
    history = desk.party.system(key)["history"]
    ends = {row["period_end"]: row for row in history}
    for month in MONTHS:
        row = ends[month.last.isoformat()]
        estimated = row["IsEstimated"]
        assert estimated == (month in MISSED.get(key, ()) or _ends_a_gap(key, month)), row


def _ends_a_gap(key, month):
    return bool(_months_missed_before(key, month)) and month not in MISSED.get(key, ())


def test_the_hour_that_happens_twice_is_sent_as_the_wall_clock_shows_it(desk):
    """1 November 2026, half past one in New York: at 05:30 and at 06:30 UTC."""
    for hour in (5, 6):
        at = datetime(2026, 11, 1, hour, 30, tzinfo=UTC)
        report = Report(
            system=desk.report().system, meter_value=desk.plausible(), meter_at=at, party_note=""
        )
        assert actions.line_of(report).meter_date == "2026-11-01T01:30:00"


def test_the_last_day_is_warned_about_once(desk):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    desk.travel(desk.window.closes_at - timedelta(hours=20))
    for _ in range(3):
        desk.forward(minutes=1)
        actions.keep_windows(now=now)
    (mail,) = Email.objects.filter(purpose="last day")
    assert "7 not passed" in mail.subject
    assert "Missing: 7" in mail.text
    assert "NFG-NN100-01000" not in mail.text
    assert "/pts/months/2026-11/" in mail.text
