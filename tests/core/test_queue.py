"""Due rows in one thread: due, bell, claim, lease, settle, back-off, sweep."""

import time
from datetime import timedelta

import pytest
import time_machine
from celery import current_app
from django.db import transaction
from django.utils import timezone

from core import queue
from core.workflow import PORTAL, move
from tests.factories import EmailFactory, ParcelFactory
from tests.parcels.models import LOOK, SEND, Parcel

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture
def now():
    return timezone.now()


def due_parcel(now, status="packed", **fields):
    parcel = ParcelFactory(status=status)
    Parcel.objects.filter(pk=parcel.pk).update(due_at=now, **fields)
    return parcel


def row():
    return Parcel.objects.get()


# ---- due and its bell ------------------------------------------------------------------------


def test_the_bell_rings_on_commit_with_nothing_but_the_key(
    now, bells, django_capture_on_commit_callbacks
):
    parcel = ParcelFactory()
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        queue.due(LOOK, parcel.pk, now=now)
        assert bells == []
    assert bells == [("parcels.look", parcel.pk)]
    assert (row().due_at, row().rung_at) == (now, now)


@pytest.mark.django_db(transaction=True)
def test_no_bell_rings_after_a_rollback(now, bells):
    parcel = ParcelFactory()
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        queue.due(LOOK, parcel.pk, now=now)
        raise ZeroDivisionError
    assert bells == []
    assert row().due_at is None


def test_work_for_later_rings_nobody_now(now, bells, django_capture_on_commit_callbacks):
    parcel = ParcelFactory()
    with django_capture_on_commit_callbacks(execute=True):
        queue.due(LOOK, parcel.pk, now=now, at=now + SECOND)
    assert bells == []
    assert (row().due_at, row().rung_at) == (now + SECOND, None)


def test_due_again_starts_the_count_anew_and_takes_the_row_from_its_worker(now):
    parcel = due_parcel(now, attempts=4)
    claim = queue.claim(LOOK, parcel.pk, now=now)
    queue.due(LOOK, parcel.pk, now=now)
    assert (row().attempts, row().claim) == (0, None)
    with pytest.raises(queue.ClaimLost):
        queue.settle(claim)


def test_a_row_that_the_queue_does_not_take_is_not_made_due(now):
    parcel = ParcelFactory(status="sent")
    queue.due(LOOK, parcel.pk, now=now)
    assert row().due_at is None


def test_a_bell_that_cannot_be_rung_fails_nothing(now, monkeypatch):
    def broken(*_, **__):
        raise ConnectionError("no broker")

    monkeypatch.setattr(current_app, "send_task", broken)
    queue.ring("parcels.look", 1)
    due_parcel(now)
    assert queue.sweep(now=now) == 1


@pytest.mark.django_db(transaction=True)
def test_an_action_succeeds_without_a_broker(now, monkeypatch, work):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: 1 / 0)
    parcel = ParcelFactory()
    with transaction.atomic():
        queue.due(LOOK, parcel.pk, now=now)
    monkeypatch.undo()
    work()
    assert row().looked == 1


def until(condition, seconds=30):
    """Look again and again until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_bells_that_come_together_are_one_and_the_last_is_not_forgotten(bells):
    for pk in range(200):
        queue.ring_soon("parcels.look", pk)
    until(lambda: ("parcels.look", 199) in bells)
    assert len(bells) < 100


def test_a_bell_rung_beside_the_caller_survives_a_broken_broker(bells, monkeypatch):
    failed = []

    def broken(*_, **__):
        failed.append(1)
        raise ConnectionError("no broker")

    with monkeypatch.context() as patched:
        patched.setattr(current_app, "send_task", broken)
        queue.ring_soon("parcels.look", 1)
        until(lambda: failed)
    queue.ring_soon("parcels.look", 2)
    until(lambda: ("parcels.look", 2) in bells)


# ---- claim and settle ------------------------------------------------------------------------


def test_due_claim_settle(now):
    parcel = due_parcel(now)
    claim = queue.claim(LOOK, parcel.pk, now=now)
    assert (claim.pk, claim.attempts, claim.interrupted) == (parcel.pk, 1, None)
    assert claim.row() == parcel
    assert (row().claim, row().claimed_until) == (claim.token, now + LOOK.lease)
    queue.settle(claim)
    assert (row().claim, row().claimed_at, row().claimed_until) == (None, None, None)
    assert (row().due_at, row().attempts) == (None, 0)


@pytest.mark.parametrize(
    ("status", "fields", "why"),
    [
        ("packed", {}, "not due"),
        ("packed", {"due_at": timedelta(seconds=1)}, "due later"),
        ("sent", {"due_at": timedelta()}, "no status of this queue"),
    ],
)
def test_what_cannot_be_claimed(status, fields, why, now):
    parcel = ParcelFactory(status=status)
    Parcel.objects.update(**{name: now + value for name, value in fields.items()})
    assert queue.claim(LOOK, parcel.pk, now=now) is None, why
    assert row().attempts == 0


def test_a_row_that_is_held_or_gone_is_not_to_be_had(now):
    parcel = due_parcel(now)
    assert queue.claim(LOOK, parcel.pk, now=now) is not None
    assert queue.claim(LOOK, parcel.pk, now=now) is None
    assert queue.claim(LOOK, parcel.pk, now=now + LOOK.lease) is None
    assert queue.claim(LOOK, parcel.pk + 1000, now=now) is None
    assert row().attempts == 1


def test_a_lease_that_ran_out_is_claimed_again_and_says_so(now):
    parcel = due_parcel(now)
    first = queue.claim(LOOK, parcel.pk, now=now)
    later = now + LOOK.lease + SECOND
    second = queue.claim(LOOK, parcel.pk, now=later)
    assert (second.attempts, second.interrupted) == (2, now)
    with pytest.raises(queue.ClaimLost):
        queue.settle(first)
    assert row().claim == second.token
    queue.settle(second)
    with pytest.raises(queue.ClaimLost):
        queue.settle(second)


def test_rows_are_settled_together_or_not_at_all(now):
    ours, other = due_parcel(now), due_parcel(now)
    claims = [queue.claim(LOOK, parcel.pk, now=now) for parcel in (ours, other)]
    queue.due(LOOK, other.pk, now=now)
    with pytest.raises(queue.ClaimLost), transaction.atomic():
        queue.settle_all(claims)
    assert Parcel.objects.get(pk=ours.pk).claim == claims[0].token
    claims[1] = queue.claim(LOOK, other.pk, now=now)
    queue.settle_all(claims)
    kept = list(Parcel.objects.values_list("claim", "claimed_until", "due_at", "attempts"))
    assert kept == [(None, None, None, 0)] * 2


def test_a_late_worker_whose_row_nobody_took_still_settles(now):
    parcel = due_parcel(now)
    claim = queue.claim(LOOK, parcel.pk, now=now)
    with time_machine.travel(now + 10 * LOOK.lease):
        queue.settle(claim)
    assert row().due_at is None


def test_a_person_who_moves_the_case_takes_it_from_the_worker(now):
    parcel = due_parcel(now)
    claim = queue.claim(LOOK, parcel.pk, now=now)
    with transaction.atomic():
        move(Parcel.objects.get(), "hold", by=PORTAL, now=now)
    with pytest.raises(queue.ClaimLost):
        queue.settle(claim)


def test_a_row_given_back_for_later_keeps_or_forgets_its_attempts(now):
    parcel = due_parcel(now)
    queue.settle(queue.claim(LOOK, parcel.pk, now=now), due_at=now, keep_attempts=True)
    assert (row().attempts, row().due_at, row().rung_at) == (1, now, None)
    queue.settle(queue.claim(LOOK, parcel.pk, now=now), due_at=now)
    assert row().attempts == 0


def test_a_batch_takes_the_oldest_free_rows_once(now):
    parcels = [due_parcel(now - n * SECOND) for n in range(6)]
    held = queue.claim(LOOK, parcels[5].pk, now=now)
    batch = queue.claim_batch(LOOK, 3, now=now)
    assert {claim.pk for claim in batch} == {parcels[n].pk for n in (4, 3, 2)}
    assert len({claim.token for claim in batch}) == 1
    rest = queue.claim_batch(LOOK, 10, now=now)
    assert {claim.pk for claim in rest} == {parcels[1].pk, parcels[0].pk}
    assert queue.claim_batch(LOOK, 10, now=now) == []
    for claim in [held, *batch, *rest]:
        queue.settle(claim)


def test_a_batch_tells_which_rows_were_cut_off(now):
    cut_off, fresh = due_parcel(now), due_parcel(now)
    queue.claim(LOOK, cut_off.pk, now=now)
    later = now + LOOK.lease + SECOND
    interrupted = {c.pk: c.interrupted for c in queue.claim_batch(LOOK, 10, now=later)}
    assert interrupted == {cut_off.pk: now, fresh.pk: None}


def test_a_batch_costs_a_constant_number_of_queries(now, django_assert_max_num_queries):
    for _ in range(20):
        due_parcel(now)
    with django_assert_max_num_queries(4):
        assert len(queue.claim_batch(LOOK, 20, now=now)) == 20


def test_claimed_rows_come_with_what_was_read(now, django_assert_max_num_queries):
    cut_off, *fresh = [due_parcel(now - n * SECOND) for n in range(3)]
    queue.claim(LOOK, cut_off.pk, now=now)
    later = now + LOOK.lease + SECOND
    with transaction.atomic(), django_assert_max_num_queries(2):
        taken = queue.claim_rows(LOOK, 10, now=later)
    assert [claim.interrupted for claim, _ in taken] == [None, None, now]
    assert [claim.attempts for claim, _ in taken] == [1, 1, 2]
    for claim, read in taken:
        kept = Parcel.objects.get(pk=read.pk)
        names = ("claim", "claimed_at", "claimed_until", "attempts")
        assert [getattr(read, n) for n in names] == [getattr(kept, n) for n in names]
        assert (claim.pk, claim.token) == (kept.pk, kept.claim)
    with transaction.atomic():
        assert queue.claim_rows(LOOK, 10, now=later) == []
    queue.settle(taken[0][0])
    assert Parcel.objects.get(pk=fresh[1].pk).claim is None


def test_claimed_rows_are_so_many_and_the_oldest(now):
    parcels = [due_parcel(now - n * SECOND) for n in range(6)]
    with transaction.atomic():
        taken = queue.claim_rows(LOOK, 2, now=now)
    assert [read.pk for _, read in taken] == [parcels[5].pk, parcels[4].pk]


# ---- Patience --------------------------------------------------------------------------------


def claim_after(attempts, limit=12):
    patience = queue.Queue("x", "parcels.Parcel", LOOK.ready, limit=limit)
    return queue.Claim(patience, 1, None, attempts)


def test_waiting_grows_from_seconds_to_an_hour(now):
    waits = [(queue.retry_at(claim_after(n), now=now) - now).total_seconds() for n in range(1, 12)]
    for wait, step in zip(waits, [*queue.BACK_OFF_SECONDS, 3600, 3600], strict=True):
        assert step * 0.9 <= wait <= step * 1.1


def test_at_the_limit_a_person_is_asked(now):
    assert queue.retry_at(claim_after(11), now=now) is not None
    assert queue.retry_at(claim_after(12), now=now) is None
    assert queue.retry_at(claim_after(13), now=now) is None


@pytest.mark.parametrize("attempt", range(1, 6))
@pytest.mark.parametrize("after", [1, 90, 3600])
def test_never_sooner_than_the_party_asks(attempt, after, now):
    for _ in range(20):
        assert queue.retry_at(claim_after(attempt), now=now, after=after) >= now + after * SECOND


def test_a_party_cannot_send_us_away_for_ever(now):
    again = queue.retry_at(claim_after(1), now=now, after=float("1" * 400))
    assert again == now + timedelta(hours=6)


def test_waiting_rows_are_woken_and_only_those(now):
    later = now + timedelta(hours=1)
    waiting = due_parcel(later, attempts=3)
    first_time = due_parcel(later)
    held = due_parcel(now)
    claim = queue.claim(LOOK, held.pk, now=now)
    assert queue.wake(LOOK, now=now) == 1
    dues = dict(Parcel.objects.values_list("pk", "due_at"))
    assert now <= dues[waiting.pk] <= now + timedelta(seconds=15)
    assert dues[first_time.pk] == later
    assert Parcel.objects.get(pk=waiting.pk).attempts == 3
    queue.settle(claim)


# ---- The sweep -------------------------------------------------------------------------------


def test_the_sweep_rings_lost_bells_and_not_those_just_rung(now, bells):
    lost = due_parcel(now)
    old = due_parcel(now, rung_at=now - queue.RING_AGAIN_AFTER - SECOND)
    due_parcel(now, rung_at=now - SECOND)
    due_parcel(now + SECOND)
    due_parcel(now, status="sent")
    assert queue.sweep(now=now) == 2
    assert sorted(bells) == sorted([("parcels.look", lost.pk), ("parcels.look", old.pk)])
    assert queue.sweep(now=now + SECOND) == 1  # the row that came due meanwhile
    bells.clear()
    assert queue.sweep(now=now + queue.RING_AGAIN_AFTER + 2 * SECOND) == 4


def test_the_sweep_does_not_ring_for_held_rows_until_their_lease_ends(now, bells):
    parcel = due_parcel(now)
    queue.claim(LOOK, parcel.pk, now=now)
    assert queue.sweep(now=now + LOOK.lease) == 0
    assert queue.sweep(now=now + LOOK.lease + SECOND) == 1
    assert bells == [("parcels.look", parcel.pk)]


def test_the_sweep_covers_every_queue(now, bells):
    due_parcel(now)
    email = EmailFactory()
    queue.sweep(now=now)
    assert ("core.send_mail", email.pk) in bells


def test_the_sweep_task_shows_that_it_is_alive(now, bells):
    from core import housekeeping
    from core.tasks import sweep

    due_parcel(now)
    sweep()
    assert housekeeping.heartbeat_age("sweep", now=timezone.now()) < timedelta(seconds=5)
    assert len(bells) == 1


def test_one_sweep_rings_a_limited_number(now, bells, monkeypatch):
    monkeypatch.setattr(queue, "SWEEP_LIMIT", 3)
    for n in range(5):
        due_parcel(now - n * SECOND)
    assert queue.sweep(now=now) == 3
    assert queue.sweep(now=now) == 2


# ---- Work that must not be repeated ----------------------------------------------------------


def test_a_once_row_is_claimed_a_single_time(now):
    parcel = due_parcel(now, "sending")
    claim = queue.claim(SEND, parcel.pk, now=now)
    late = now + 100 * SEND.lease
    assert queue.claim(SEND, parcel.pk, now=late) is None
    assert queue.claim_batch(SEND, 10, now=late) == []
    queue.settle(claim)
    assert row().claim is None


def test_a_once_row_that_was_abandoned_goes_to_its_own_task_and_is_never_sent(now, bells):
    parcel = due_parcel(now, "sending", rung_at=now)
    queue.claim(SEND, parcel.pk, now=now)
    assert queue.sweep(now=now + SEND.lease) == 0
    late = now + SEND.lease + SECOND
    assert queue.sweep(now=late) == 1
    assert bells == [("parcels.abandoned", parcel.pk)]
    assert queue.sweep(now=late + SECOND) == 0
    assert queue.sweep(now=late + queue.RING_AGAIN_AFTER + SECOND) == 1


def test_an_abandoned_once_row_becomes_not_known(now, work):
    parcel = due_parcel(now, "sending")
    queue.claim(SEND, parcel.pk, now=now)
    work(until=now + SEND.lease + 2 * SECOND)
    assert row().status == "unknown"
    work(until=now + timedelta(days=1))
    assert row().status == "unknown"


def test_a_once_row_in_somebodys_hands_is_not_made_due_again(now):
    parcel = due_parcel(now, "sending")
    claim = queue.claim(SEND, parcel.pk, now=now)
    queue.due(SEND, parcel.pk, now=now + SECOND)
    assert row().claim == claim.token
    assert queue.claim(SEND, parcel.pk, now=now + SECOND) is None


def test_a_once_row_that_was_not_sent_may_be_tried_again(now):
    parcel = due_parcel(now, "sending")
    queue.settle(queue.claim(SEND, parcel.pk, now=now), due_at=now, keep_attempts=True)
    assert queue.claim(SEND, parcel.pk, now=now).attempts == 2


# ---- Standings -------------------------------------------------------------------------------


def test_standings_count_waiting_overdue_and_held(now, django_assert_num_queries):
    due_parcel(now - timedelta(minutes=5))
    due_parcel(now + timedelta(minutes=5))
    held = due_parcel(now)
    queue.claim(LOOK, held.pk, now=now)
    with django_assert_num_queries(len(queue.all_queues())):
        found = {standing.name: standing for standing in queue.standings(now=now)}
    look = found["parcels.look"]
    assert (look.waiting, look.overdue, look.claimed) == (2, 1, 1)
    assert look.oldest == now - timedelta(minutes=5)
    assert found["parcels.send"].oldest is None


def test_every_queue_names_tasks_that_exist():
    current_app.loader.import_default_modules()
    for one in queue.all_queues():
        assert one.name in current_app.tasks
        assert not one.once or one.abandoned_task in current_app.tasks
