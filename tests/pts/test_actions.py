"""The verbs of the desk against the played party: what every answer leads to."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError
from django.utils import timezone

from core import alarms
from core.models import Note, PartnerCall, StatusChange
from core.workflow import Conflict, Impossible, NotAllowed, actor_for
from pts import actions
from pts.actions import windows
from pts.models import Batch, PartyReading, Report, Submission, Synchronisation, System

pytestmark = pytest.mark.django_db
now = timezone.now
State = Submission.State
ARPOST = "/ARPost {"
OVERLAP = date(2026, 12, 28)


# ---- The way through ---------------------------------------------------------------------------


def test_a_month_from_missing_to_passed(desk):
    desk.enter()
    assert desk.status() == "ready"
    desk.test(1000)
    assert desk.status() == "tested"
    assert "no verdict" in desk.report().why
    (batch,) = desk.authorise(1000, notes="November")
    assert desk.status() == "validating"
    assert desk.tries() == (0, 0, 1)
    assert desk.theirs() == (0, 0, 0)
    desk.send()
    assert Batch.objects.get(pk=batch.pk).state == "received"
    assert desk.party.submissions(1000)[0]["batch_notes"] == "November"
    assert desk.theirs() == (0, 0, 1)
    desk.verdict("passed", 1000)
    assert desk.status() == "passed"
    assert desk.tries() == desk.theirs() == (1, 0, 0)
    moves = [row.move for row in StatusChange.objects.for_case(desk.report())]
    assert moves == ["open", "enter_fine", "test_passed", "submit", "pass_validation"]


def test_a_failure_is_corrected_and_sent_again(desk):
    desk.submit(1000)
    desk.verdict("failed", 1000, notes="The meter stood still")
    assert desk.status() == "failed"
    assert "The meter stood still" in desk.report().why
    assert desk.tries() == desk.theirs() == (0, 1, 0)
    desk.submit(1000)
    desk.verdict("passed", 1000)
    assert desk.tries() == desk.theirs() == (1, 1, 0)
    states = list(Submission.objects.filter(batch__kind="real").values_list("state", flat=True))
    assert states == ["passed", "failed"]


def test_what_is_sent_is_what_was_authorised(desk):
    desk.enter(value=desk.plausible() + Decimal("0.25"), party_note="Read by the owner")
    desk.test(1000)
    desk.authorise(1000)
    frozen = desk.line()
    desk.send()
    (theirs,) = desk.party.submissions(1000)
    assert Decimal(str(theirs["MeterValue"])) == frozen.meter_value
    assert theirs["MeterDate"] == frozen.meter_date == "2026-11-29T09:00:00"
    assert theirs["Notes"] == "Read by the owner"


# ---- Readings ----------------------------------------------------------------------------------


def test_outside_the_window_nothing_is_entered(desk):
    report = desk.report()
    desk.travel(report.window.closes_at + timedelta(minutes=1))
    reading = actions.Reading(value=Decimal(1), at=now(), source="typed")
    with pytest.raises(Impossible, match="has closed"):
        actions.enter(report=report, reading=reading, by=desk.by, now=now)
    desk.travel(report.window.opens_at - timedelta(minutes=1))
    with pytest.raises(Impossible, match="opens on 26 November 2026"):
        actions.enter(report=report, reading=reading, by=desk.by, now=now)


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "1E+12"])
def test_what_is_no_total_is_not_entered(desk, value):
    with pytest.raises(Impossible, match="no possible total"):
        desk.enter(value=Decimal(value))
    assert desk.status() == "missing"


def test_what_is_blocked_can_be_neither_accepted_nor_sent(desk):
    verdict = desk.enter(value=1)
    assert verdict.result == "block"
    assert (desk.status(), desk.report().is_blocked) == ("look", True)
    with pytest.raises(actions.Blocked, match="goes back"):
        actions.accept(report=desk.report(), reason="No.", by=desk.by, now=now)
    with pytest.raises(Impossible, match="No reading is ready"):
        desk.test(1000)


def test_a_replaced_meter_lifts_the_block_of_a_reading_below_the_last(desk):
    last = Decimal(str(desk.party.system(1000)["last"]["MeterValue"]))
    desk.enter(value=50)
    actions.record_meter_change(
        system=desk.report().system,
        at=now() - timedelta(days=2),
        final_value=last + (desk.plausible() - last) - 50,
        first_value=Decimal(0),
        note="Broken glass",
        by=desk.by,
        now=now,
    )
    report = desk.report()
    assert report.is_blocked is False
    assert report.produced == desk.plausible() - last
    actions.accept(report=report, reason="New meter.", by=desk.by, now=now)
    assert desk.status() == "ready"
    change = report.system.changes.get()
    with pytest.raises(Impossible, match="recorded already"):
        actions.record_meter_change(
            system=report.system, at=change.at, final_value=Decimal(1), first_value=Decimal(0),
            note="", by=desk.by, now=now,
        )  # fmt: skip


def test_entering_many_harms_no_other(desk):
    desk.submit(1000)
    desk.submit(1001)
    desk.verdict("passed", 1001)
    readings = {key: desk.reading(key) for key in (1000, 1001, 1002)}
    readings[9999] = desk.reading(9999, value=1)
    readings[1003] = desk.reading(1003, value=1)
    readings[1004] = desk.reading(1004, value="NaN")
    done = actions.enter_many(readings=readings, window=desk.window, by=desk.by, now=now)
    assert (done.fine, done.look) == (1, 1)
    assert len(done.left) == 4
    assert [desk.status(key) for key in range(1000, 1005)] == [
        "validating", "passed", "ready", "look", "missing",
    ]  # fmt: skip
    assert desk.report(1002).meter_value == readings[1002].value
    change = StatusChange.objects.for_case(desk.report(1002)).last()
    assert "kWh, read" in change.note


def test_entering_many_takes_few_statements(desk, django_assert_max_num_queries):
    readings = {key: desk.reading(key) for key in range(1000, 1008)}
    with django_assert_max_num_queries(24):
        actions.enter_many(readings=readings, window=desk.window, by=desk.by, now=now)


def test_a_reading_can_be_taken_back(desk):
    desk.enter()
    actions.take_back(report=desk.report(), reason="Wrong system", by=desk.by, now=now)
    report = desk.report()
    assert (report.status, report.meter_value, report.checks) == ("missing", None, [])


def test_missed_months_are_named_with_their_share(desk):
    last = desk.party.system(1000)["last"]
    desk.party.system(1000, last_value=last["MeterValue"] - 3000, last_date="2026-08-31T12:00:00")
    desk.synchronise()
    september = datetime(2026, 9, 15, tzinfo=UTC)
    PartyReading.objects.filter(system__fk_system=1000, meter_at__gt=september).delete()
    verdict = actions.judge(desk.report(), desk.reading(value=last["MeterValue"]), now=now())
    months = next(each for each in verdict.checks if each.code == "months")
    assert months.result == "look"
    assert "September 2026, October 2026" in months.sentence
    assert sum(share.energy for share in verdict.spread) == verdict.produced


# ---- Testing -----------------------------------------------------------------------------------


def test_an_item_error_of_a_test_stays_with_its_system(desk):
    desk.party.system(1001, behaviours=["post_error"])
    desk.tested(1000, 1001)
    assert (desk.status(1000), desk.status(1001)) == ("tested", "failed")
    assert "Help Desk" in desk.report(1001).why
    assert desk.tries(1001) == (0, 0, 0)


def test_failed_tests_count_where_the_setting_says_so(desk, settings):
    settings.PTS_TEST_FAILURES_COUNT = True
    desk.party.system(1000, behaviours=["post_error"])
    desk.tested(1000)
    assert desk.tries() == (0, 1, 0)


def test_an_empty_receipt_is_no_verdict(desk):
    desk.party.options(test_reply="empty")
    desk.tested(1000)
    assert (desk.status(), desk.line().state) == ("tested", "no_verdict")


@pytest.mark.parametrize(("verdict", "status", "why"), [
    ("passes", "tested", "Test passed"), ("fails", "failed", "Test failed"),
])  # fmt: skip
def test_a_tests_verdict_may_come_within_ten_minutes(desk, verdict, status, why):
    desk.party.options(tests_in_status=True, test_reply="empty", validation_seconds=0)
    desk.party.options(validation_by="clock")
    desk.party.system(1000, behaviours=[verdict])
    desk.tested(1000)
    desk.forward(minutes=4)
    desk.work()
    assert (desk.status(), why in desk.report().why) == (status, True), desk.report().why


def test_a_tests_verdict_of_another_reading_changes_nothing(desk):
    desk.enter()
    actions.test(reports=[desk.report()], notes="", by=desk.by, now=now)
    desk.enter(value=desk.plausible() + 1)
    desk.work()
    assert desk.status() == "ready"
    assert desk.line().state == "no_verdict"


def test_a_double_click_tests_once(desk):
    desk.enter()
    actions.test(reports=[desk.report()], notes="", by=desk.by, now=now)
    with pytest.raises(Impossible, match="No reading is ready"):
        actions.test(reports=[desk.report()], notes="", by=desk.by, now=now)


@pytest.mark.parametrize("fault", ["500", "reset", "close", "refuse", "lost", "cut"])
def test_a_test_is_repeated_until_it_is_answered(desk, fault):
    desk.enter()
    desk.party.fault(fault, **({"match": "/ARPostTest"} if fault != "refuse" else {}))
    actions.test(reports=[desk.report()], notes="", by=desk.by, now=now)
    desk.work()
    assert (desk.status(), "Not tested yet" in desk.report().why) == ("ready", True)
    desk.party.mend()
    desk.work(until=now() + timedelta(minutes=1))
    assert desk.status() == "tested"


@pytest.mark.parametrize("fault", ["html", "truncated", "redirect"])
def test_a_reply_that_is_no_receipt_is_no_test(desk, fault):
    desk.enter()
    desk.party.fault(fault, match="/ARPostTest")
    (batch,) = desk.test(1000)
    batch.refresh_from_db()
    assert (desk.status(), batch.state) == ("ready", "failed")
    assert alarms.is_open("pts odd")


def test_a_test_that_waits_at_the_close_ends(desk):
    desk.enter()
    report = desk.report()
    (batch,) = actions.test(reports=[report], notes="", by=desk.by, now=now)
    desk.travel(report.window.closes_at + timedelta(minutes=1))
    desk.work()
    batch.refresh_from_db()
    assert (batch.state, desk.line().state) == ("failed", "not_sent")


# ---- Budget ------------------------------------------------------------------------------------


def test_the_last_valid_try_is_the_second(desk):
    for _ in range(2):
        desk.tested(1000, replacing=True)
        desk.authorise(1000)
        desk.send()
        desk.verdict("passed", 1000)
    assert desk.tries() == desk.theirs() == (2, 0, 0)
    desk.tested(1000, replacing=True)
    with pytest.raises(actions.NoTriesLeft, match="0 valid and 3 failed"):
        desk.authorise(1000)
    actions.grant(
        report=desk.report(), more_valid=1, more_failed=0, granted_by="Ms Pike",
        reason="Meter was swapped", by=desk.boss, now=now,
    )  # fmt: skip
    desk.party.system(1000, extra_valid=1)
    desk.authorise(1000)
    desk.send()
    desk.verdict("passed", 1000)
    assert desk.tries() == desk.theirs() == (3, 0, 0)
    assert Note.objects.for_case(desk.report()).filter(text__contains="Ms Pike").exists()


def test_three_failures_are_the_end(desk):
    for _ in range(3):
        desk.submit(1000)
        desk.verdict("failed", 1000)
    assert desk.tries() == desk.theirs() == (0, 3, 0)
    desk.tested(1000)
    with pytest.raises(actions.NoTriesLeft, match="2 valid and 0 failed"):
        desk.authorise(1000)


def test_one_without_tries_keeps_all_from_being_sent(desk):
    desk.tested(1000, 1001)
    Report.objects.filter(system__fk_system=1001).update(failed_tries=3)
    with pytest.raises(actions.NoTriesLeft):
        desk.authorise(1000, 1001)
    assert [desk.tries(key)[2] for key in (1000, 1001)] == [0, 0]
    assert desk.status(1000) == "tested"


@pytest.mark.parametrize(("valid", "failed"), [(0, 0), (-1, 2), (20, 1)])
def test_an_exception_has_a_sensible_size(desk, valid, failed):
    with pytest.raises(Impossible, match="between 1 and 20"):
        actions.grant(
            report=desk.report(), more_valid=valid, more_failed=failed, granted_by="Ms Pike",
            reason="", by=desk.boss, now=now,
        )  # fmt: skip


def test_a_confirmation_serves_once(desk):
    desk.tested(1000, 1001)
    for key, fails in ((1000, False), (1001, True)):

        def authorise(key=key):
            actions.authorise(
                reports=[desk.report(key)], notes="", confirmation="one", by=desk.by, now=now
            )

        if fails:
            with pytest.raises(IntegrityError):
                authorise()
        else:
            authorise()


def test_stop_gives_the_tries_back(desk):
    desk.tested(1000, 1001)
    (batch,) = desk.authorise(1000, 1001)
    actions.stop(batch=batch, by=desk.by, now=now)
    desk.send()
    assert [desk.tries(key) for key in (1000, 1001)] == [(0, 0, 0)] * 2
    assert desk.status() == "tested"
    assert desk.party.submissions(1000) == []
    with pytest.raises(Impossible, match="cannot be stopped"):
        actions.stop(batch=batch, by=desk.by, now=now)


def test_stop_after_it_left_does_nothing(desk):
    (batch,) = desk.submit(1000)
    with pytest.raises(Impossible, match="has left already"):
        actions.stop(batch=batch, by=desk.by, now=now)
    assert (desk.status(), desk.tries()) == ("validating", (0, 0, 1))


# ---- The key -----------------------------------------------------------------------------------


def test_a_refused_key_gives_back_stops_the_desk_and_goes_on_when_it_works(desk):
    desk.tested(1000, 1001)
    (first,) = desk.authorise(1000)
    desk.party.control("/key", {"revoked": True})
    desk.send()
    first.refresh_from_db()
    assert (first.state, desk.status(1000), desk.tries(1000)) == ("refused", "tested", (0, 0, 0))
    assert alarms.is_open("pts key")
    (second,) = desk.authorise(1001)
    desk.send()
    second.refresh_from_db()
    assert (second.state, desk.tries(1001)) == ("waiting", (0, 0, 1))
    assert desk.party.log("/ARPost")[-1]["status"] == 400
    assert len(desk.party.log("/ARPost")) == 1
    desk.party.control("/key", {"revoked": False})
    desk.forward(minutes=6)
    desk.work()
    second.refresh_from_db()
    assert second.state == "received"
    assert not alarms.is_open("pts key")


def test_keys_are_found_nowhere(desk, settings, caplog):
    settings.PTS_API_KEY, settings.PTS_SUBSCRIPTION_KEY = "wrong-key-7", "wrong-subscription-7"
    desk.enter()
    desk.test(1000)
    kept = "".join(str(PartnerCall.objects.filter(pk=row.pk).values()) for row in
                   PartnerCall.objects.all())  # fmt: skip
    for secret in ("wrong-key-7", "wrong-subscription-7", "sandbox-pts-key"):
        assert secret not in kept
        assert secret not in caplog.text
        assert secret not in str(desk.party.log())
    assert PartnerCall.objects.filter(operation="ARPostTest", outcome="refused").exists()


# ---- Lost answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "done_500", "truncated", "cut"])
def test_a_lost_answer_of_an_accepted_submission_is_found(desk, fault):
    desk.tested(1000)
    (batch,) = desk.authorise(1000)
    desk.party.fault(fault, calls=1, match=ARPOST)
    desk.send()
    batch.refresh_from_db()
    assert (batch.state, desk.line().state) == ("lost", "lost")
    assert desk.tries() == desk.theirs() == (0, 0, 1)
    desk.party.mend()
    desk.poll()
    batch.refresh_from_db()
    assert (batch.state, desk.line().state) == ("received", "validating")
    desk.verdict("passed", 1000)
    assert desk.tries() == desk.theirs() == (1, 0, 0)
    assert len(desk.party.submissions(1000)) == 1


@pytest.mark.parametrize("fault", ["reset", "500", "close", "html", "redirect"])
def test_a_lost_answer_of_what_never_arrived_is_given_back_after_two_looks(desk, fault):
    desk.tested(1000)
    desk.authorise(1000)
    desk.party.fault(fault, calls=1, match=ARPOST if fault != "close" else "")
    desk.send()
    assert (desk.line().state, desk.tries()) == ("lost", (0, 0, 1))
    desk.party.mend()
    desk.poll()
    assert desk.line().looked_up == 1 or desk.line().state == "not_sent"
    desk.poll()
    assert desk.party.submissions(1000) == []
    assert (desk.status(), desk.tries()) == ("tested", (0, 0, 0))
    assert desk.line().state == "not_sent"


def test_what_surely_never_left_is_sent_again_by_itself(desk):
    desk.tested(1000)
    (batch,) = desk.authorise(1000)
    desk.party.fault("refuse")
    desk.forward(seconds=31)
    desk.work()
    batch.refresh_from_db()
    assert (batch.state, desk.tries()) == ("waiting", (0, 0, 1))
    assert "next try" in desk.report().why
    desk.party.mend()
    desk.work(until=now() + timedelta(minutes=1))
    batch.refresh_from_db()
    assert batch.state == "received"
    assert len(desk.party.submissions(1000)) == 1


def test_an_item_error_counts_as_failed_and_harms_no_other(desk):
    desk.tested(1000, 1001)
    desk.party.system(1001, behaviours=["post_error"])
    desk.authorise(1000, 1001)
    desk.send()
    assert (desk.status(1000), desk.status(1001)) == ("validating", "failed")
    assert desk.tries(1001) == (0, 1, 0)
    assert StatusChange.objects.for_case(desk.report(1001)).last().move == "refuse"


def test_the_last_one_wins(desk):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    with pytest.raises(actions.WouldReplace, match="may lose the pass"):
        desk.enter(1000)
    desk.enter(1000, value=desk.plausible() + 1, replacing=True)
    desk.test(1000)
    desk.authorise(1000)
    desk.send()
    states = list(Submission.objects.filter(batch__kind="real").values_list("state", flat=True))
    assert states == ["validating", "replaced"]
    desk.verdict("failed", 1000)
    assert desk.status() == "failed"
    assert desk.tries() == desk.theirs() == (1, 1, 0)


# ---- Polls -------------------------------------------------------------------------------------


def test_one_poll_for_all_at_most_every_fifteen_minutes(desk):
    desk.submit(1000, 1001)
    desk.submit(1002)
    for _ in range(40):
        desk.forward(minutes=1)
        actions.keep_windows(now=now)
        desk.work()
    polls = desk.party.log("/GetSubmissionStatus")
    assert 2 <= len(polls) <= 4
    assert desk.party.control("")["polls"]["too_early"] == 0


@pytest.mark.parametrize(
    "odd", ["wrong_types", "nulls", "missing", "extra", "twice", "spaces", "odd_status", "unlisted"]
)
def test_an_odd_system_harms_no_other_and_is_no_verdict(desk, odd):
    desk.tested(1000, 1001)
    desk.authorise(1000, 1001)
    desk.party.fault("lost", calls=1, match=ARPOST)
    desk.send()
    desk.party.mend()
    desk.party.system(1001, behaviours=[odd])
    desk.verdict("passed", 1000, 1001)
    assert desk.status(1000) == "passed"
    assert desk.status(1001) in {"validating", "passed"}
    assert desk.tries(1001) in {(0, 0, 1), (1, 0, 0)}


def test_the_close_hands_the_undecided_to_a_person(desk):
    desk.submit(1000, 1001)
    window = desk.window
    desk.travel(window.closes_at + timedelta(minutes=1))
    actions.keep_windows(now=now)
    report = Report.objects.get(system__fk_system=1000, window=window)
    assert (report.status, desk.line().state) == ("validating", "undecided")
    assert "ask MassCEC" in report.why
    desk.work()
    actions.settle(report=report, passed=True, reason="Ms Pike rang.", by=desk.by, now=now)
    report.refresh_from_db()
    assert (report.status, report.valid_tries, report.undecided_tries) == ("passed", 1, 0)
    other = Report.objects.get(system__fk_system=1001, window=window)
    actions.settle(report=other, passed=False, reason="Never came.", by=desk.by, now=now)
    with pytest.raises(Impossible):
        actions.settle(report=other, passed=True, reason="Again.", by=desk.by, now=now)


def test_a_person_cannot_settle_what_can_still_be_asked(desk):
    desk.submit(1000)
    with pytest.raises(Impossible, match="can still be asked"):
        actions.settle(report=desk.report(), passed=True, reason="No.", by=desk.by, now=now)


def test_a_batch_that_waits_at_the_close_is_given_back(desk):
    desk.travel(desk.window.closes_at - timedelta(seconds=20))
    desk.tested(1000)
    (batch,) = desk.authorise(1000)
    report = desk.report()
    desk.travel(report.window.closes_at + timedelta(seconds=20))
    actions.keep_windows(now=now)
    desk.work()
    report.refresh_from_db()
    batch.refresh_from_db()
    assert (report.status, report.undecided_tries, batch.state) == ("tested", 0, "failed")
    assert desk.party.log("/ARPost") == []


# ---- Windows and systems -----------------------------------------------------------------------


def test_an_extended_window_asks_again_for_what_was_undecided(desk):
    desk.submit(1000)
    window = desk.window
    desk.travel(window.closes_at + timedelta(minutes=1))
    actions.keep_windows(now=now)
    desk.party.options(window_first="2026-11-26", window_last="2026-12-10")
    first, last = window.opens_at.date(), window.opens_at.date() + timedelta(days=14)
    actions.override_window(
        window=window, first=first, last=last, reason="Storm", by=desk.boss, now=now
    )
    assert desk.line().state == "lost"
    assert desk.report().due_by > now()


def test_a_window_extended_meanwhile_is_not_closed(desk):
    desk.enter()
    seen = desk.window
    desk.travel(seen.closes_at + timedelta(minutes=1))
    first = seen.opens_at.date()
    days = {"first": first, "last": first + timedelta(days=14)}
    actions.override_window(window=seen, reason="Storm", by=desk.boss, now=now, **days)
    windows._close(seen, now())
    assert desk.window.closed_at is None


def test_a_system_without_a_report_gets_one_within_a_minute(desk):
    System.objects.create(fk_system=9000, name="Late", capacity=3)
    actions.keep_windows(now=now)
    actions.keep_windows(now=now)
    assert desk.report(9000).status == "missing"
    assert StatusChange.objects.for_case(desk.report(9000)).count() == 1


def test_windows_do_not_overlap(desk):
    window = desk.window
    with pytest.raises(Impossible, match="overlap with the window for December 2026"):
        actions.override_window(
            window=window, first=window.opens_at.date(), last=OVERLAP, reason="", by=desk.boss,
            now=now,
        )  # fmt: skip


def test_only_a_supervisor_changes_a_window(desk):
    with pytest.raises(NotAllowed):
        actions.override_window(
            window=desk.window, first=OVERLAP, last=OVERLAP, reason="", by=desk.by, now=now
        )


def test_systems_are_shown_before_they_are_applied(desk):
    desk.party.system(1000, name="New roof", capacity=12.5)
    desk.party.system(1001, active=False)
    desk.party.system(1500, name="Another", capacity=3)
    actions.synchronise(by=desk.by, now=now)
    desk.work()
    shown = Synchronisation.objects.first()
    found = {kind: [row["fk_system"] for row in shown.differences[kind]]
             for kind in ("new", "changed", "gone")}  # fmt: skip
    assert found == {"new": [1500], "changed": [1000], "gone": [1001]}
    assert not System.objects.filter(fk_system=1500).exists()
    actions.apply(synchronisation=shown, by=desk.by, now=now)
    assert System.objects.get(fk_system=1000).capacity == Decimal("12.5")
    assert System.objects.get(fk_system=1001).active is False
    assert desk.report(1500).status == "missing"
    assert "does not list" in desk.report(1001).why
    with pytest.raises(Impossible, match="already"):
        actions.apply(synchronisation=shown, by=desk.by, now=now)


@pytest.mark.parametrize("odd", ["error", "systems_error", "wrong_types", "missing"])
def test_a_system_that_cannot_be_read_is_not_gone(desk, odd):
    desk.party.system(1001, behaviours=[odd])
    actions.synchronise(by=desk.by, now=now)
    desk.work()
    assert Synchronisation.objects.first().differences["gone"] == []


def test_last_readings_are_kept_once(desk):
    count = PartyReading.objects.count()
    desk.synchronise()
    desk.synchronise()
    assert PartyReading.objects.count() == count >= 8


def test_a_system_that_is_gone_is_not_sent(desk):
    desk.tested(1000)
    System.objects.update(active=False)
    with pytest.raises(actions.Blocked, match="does not list"):
        desk.authorise(1000)


def test_who_may_what(desk, person):
    nobody = actor_for(person())
    desk.enter()
    for refused in (
        lambda: actions.enter(report=desk.report(), reading=desk.reading(), by=nobody, now=now),
        lambda: actions.test(reports=[desk.report()], notes="", by=nobody, now=now),
        lambda: actions.enter_many(readings={}, window=desk.window, by=nobody, now=now),
        lambda: actions.take_from_meters(window=desk.window, by=nobody, now=now),
    ):
        with pytest.raises(NotAllowed):
            refused()


def test_a_report_that_was_read_before_somebody_else_moved_it(desk):
    stale = desk.report()
    desk.enter()
    with pytest.raises(Conflict):
        actions.enter(report=stale, reading=desk.reading(), by=desk.by, now=now)
