"""The desk raced by real threads and cut off at every point: the budget holds, nothing is twice."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from core import queue
from core.models import PartnerCall
from core.workflow import Conflict, Impossible, actor_for
from pts import actions
from pts.client import ProductionTracking
from pts.models import POLL, SEND, TEST, Batch, Report, Submission
from tests.core.racing import race
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
now = timezone.now
ARPOST = "/ARPost {"
LEASE = timedelta(minutes=10)


def claim(work, row):
    taken = queue.claim(work, row.pk, now=now())
    assert taken is not None
    return taken


# ---- Twenty people at once ---------------------------------------------------------------------


def test_twenty_authorisations_at_once_are_one(desk):
    desk.tested(1000)
    people = [actor_for(UserFactory(role="production")) for _ in range(20)]
    report = desk.report()

    def authoriser(by):
        def authorise():
            return actions.authorise(
                reports=[report], notes="", confirmation=uuid4().hex, by=by, now=now
            )

        return authorise

    results = race(*[authoriser(by) for by in people])
    won = [result for result in results if not isinstance(result, Exception)]
    assert len(won) == 1, results
    assert all(isinstance(result, Impossible) for result in results if result not in won)
    desk.send()
    assert desk.tries() == desk.theirs() == (0, 0, 1)
    assert len(desk.party.submissions(1000)) == 1


@pytest.mark.parametrize("verdicts", [("passed",) * 9, ("failed",) * 9, ("failed", "passed") * 5])
def test_however_often_twenty_try_the_party_never_counts_more_than_two_and_three(desk, verdicts):
    people = [actor_for(UserFactory(role="production")) for _ in range(20)]
    for verdict in verdicts:
        desk.tested(1000, replacing=True)
        report = desk.report()

        def authoriser(by, report=report):
            return lambda: actions.authorise(
                reports=[report], notes="", confirmation=uuid4().hex, by=by, now=now
            )

        race(*[authoriser(by) for by in people])
        desk.send()
        assert desk.tries() == desk.theirs()
        if desk.status() == "tested":
            break
        desk.verdict(verdict, 1000)
    valid, failed, undecided = desk.theirs()
    assert (valid <= 2, failed <= 3, undecided) == (True, True, 0)
    assert desk.tries() == (valid, failed, 0)
    assert all(not row["Error"] for row in desk.party.submissions(1000))
    assert desk.status() == "tested"  # the last authorisation was refused


def test_a_submission_of_several_systems_races_one_of_them(desk):
    desk.tested(1000, 1001, 1002)
    all_of_them, one = desk.reports(1000, 1001, 1002), desk.reports(1001)

    def authoriser(reports):
        return lambda: actions.authorise(
            reports=reports, notes="", confirmation=uuid4().hex, by=desk.by, now=now
        )

    results = race(authoriser(all_of_them), authoriser(one))
    assert sum(isinstance(result, Exception) for result in results) == 1, results
    desk.send()
    for key in (1000, 1001, 1002):
        assert desk.tries(key) == desk.theirs(key)


def test_stop_races_the_worker_and_one_of_them_wins(desk):
    for _ in range(5):
        desk.tested(1000, replacing=True)
        (batch,) = desk.authorise(1000)
        desk.forward(seconds=31)

        def stop(batch=batch):
            actions.stop(batch=batch, by=desk.by, now=now)

        def send(batch=batch):
            taken = queue.claim(SEND, batch.pk, now=now())
            if taken is not None:
                with ProductionTracking() as tracking:
                    actions.send(claim=taken, tracking=tracking, now=now)

        race(stop, send)
        batch.refresh_from_db()
        desk.work()
        batch.refresh_from_db()
        assert batch.state in {"stopped", "received"}
        assert desk.tries() == desk.theirs()
        if batch.state == "received":
            break


def test_a_reading_races_a_submission(desk):
    desk.tested(1000)
    report, reading = desk.report(), desk.reading(value=desk.plausible() + 1)
    results = race(
        lambda: actions.enter(report=report, reading=reading, by=desk.by, now=now),
        lambda: actions.authorise(
            reports=[report], notes="", confirmation="x", by=desk.by, now=now
        ),
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1, results
    assert desk.tries()[2] == (1 if desk.status() == "validating" else 0)


# ---- A worker that stops -----------------------------------------------------------------------


def test_a_worker_that_stops_before_it_sends_costs_time_only(desk):
    desk.tested(1000)
    (batch,) = desk.authorise(1000)
    desk.forward(seconds=31)
    claim(SEND, batch)
    desk.work()
    assert Batch.objects.get(pk=batch.pk).state == "waiting"
    desk.travel(now() + LEASE)
    desk.work()
    assert Batch.objects.get(pk=batch.pk).state == "received"
    assert len(desk.party.submissions(1000)) == 1


def test_a_claimed_batch_that_has_not_left_can_be_stopped(desk):
    desk.tested(1000)
    (batch,) = desk.authorise(1000)
    desk.forward(seconds=31)
    taken = claim(SEND, batch)
    actions.stop(batch=batch, by=desk.by, now=now)
    with ProductionTracking() as tracking:
        actions.send(claim=taken, tracking=tracking, now=now)
    assert (desk.status(), desk.party.submissions(1000)) == ("tested", [])


@pytest.mark.parametrize("arrived", [True, False])
def test_a_worker_that_stops_while_it_sends_leads_to_a_look_up(desk, arrived):
    desk.tested(1000)
    (batch,) = desk.authorise(1000)
    desk.forward(seconds=31)
    taken = claim(SEND, batch)
    Batch.objects.filter(pk=batch.pk).update(state=Batch.State.SENDING, sent_at=now())
    if arrived:
        with ProductionTracking() as tracking:
            tracking.post(actions.lines_of(batch), notes="")
    desk.travel(now() + LEASE)
    desk.work()
    batch.refresh_from_db()
    assert batch.state == "lost"
    assert desk.tries() == (0, 0, 1)
    assert PartnerCall.objects.filter(operation="ARPost", outcome="cut off").exists()
    desk.poll()
    desk.poll()
    assert desk.status() == ("validating" if arrived else "tested")
    assert desk.tries() == desk.theirs() == ((0, 0, 1) if arrived else (0, 0, 0))
    assert len(desk.party.submissions(1000)) == arrived
    with ProductionTracking() as tracking, pytest.raises(queue.ClaimLost):
        actions.run_test(claim=taken, tracking=tracking, now=now)


def test_a_test_that_is_cut_off_is_repeated(desk):
    desk.enter()
    (batch,) = actions.test(reports=[desk.report()], notes="", by=desk.by, now=now)
    claim(TEST, batch)
    desk.travel(now() + LEASE)
    desk.work()
    assert desk.status() == "tested"


def test_a_poll_that_is_cut_off_waits_for_its_turn(desk):
    desk.submit(1000)
    desk.party.decide("passed", fk_system=1000)
    desk.forward(minutes=1)
    actions.keep_windows(now=now)
    window = desk.window
    assert window.due_at is not None
    queue.due(POLL, window.pk, now=now())
    taken = claim(POLL, window)
    type(window).objects.filter(pk=window.pk).update(polled_at=now())
    desk.travel(taken.row().claimed_until + timedelta(seconds=1))
    desk.work()
    assert desk.status() == "validating"
    desk.poll()
    assert desk.status() == "passed"
    assert desk.party.control("")["polls"]["too_early"] == 0


def test_a_submission_that_was_being_sent_at_the_close_gets_to_a_person(desk):
    desk.travel(desk.window.closes_at - timedelta(minutes=2))
    desk.tested(1000)
    (batch,) = desk.authorise(1000)
    report = desk.report()
    desk.forward(seconds=31)
    claim(SEND, batch)
    Batch.objects.filter(pk=batch.pk).update(state=Batch.State.SENDING, sent_at=now())
    desk.travel(report.window.closes_at + LEASE)
    actions.keep_windows(now=now)
    desk.work()
    actions.keep_windows(now=now)
    assert Submission.objects.get(batch=batch).state == "undecided"
    report.refresh_from_db()
    assert "ask MassCEC" in report.why
    actions.settle(report=report, passed=False, reason="They have none.", by=desk.by, now=now)
    assert Report.objects.get(pk=report.pk).status == "failed"
