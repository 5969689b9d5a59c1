"""Claims, moves and counters raced by real threads on connections of their own.

The barriers stand at the dangerous point: after the last look, before the write.
"""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, models, transaction
from django.utils import timezone

from core import alarms, queue
from core.models import Alarm, StatusChange, count, next_reference
from core.workflow import PORTAL, Conflict, actor_for, move
from tests.core.racing import meeting, race
from tests.factories import ParcelFactory, UserFactory
from tests.parcels.models import LOOK, SEND, Parcel

pytestmark = pytest.mark.django_db(transaction=True)
THREADS, ROWS = 8, 50


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def meet_before_update(monkeypatch):
    """Every raced UPDATE of cases waits until all racers stand before theirs."""

    def arrange(people):
        met = meeting(models.QuerySet.update, people)
        monkeypatch.setattr(models.QuerySet, "update", met)

    return arrange


def due_parcels(number, now, status="packed"):
    parcels = [ParcelFactory(status=status) for _ in range(number)]
    Parcel.objects.update(due_at=now)
    return [parcel.pk for parcel in parcels]


@pytest.mark.parametrize("kind", [LOOK, SEND], ids=["may repeat", "once"])
def test_eight_workers_claim_each_of_fifty_rows_exactly_once(kind, now):
    pks = due_parcels(ROWS, now, "sending" if kind.once else "packed")

    def worker():
        return [pk for pk in pks if queue.claim(kind, pk, now=now) is not None]

    taken = race(*[worker] * THREADS)
    assert sorted(pk for mine in taken for pk in mine) == sorted(pks)
    assert set(Parcel.objects.values_list("attempts", flat=True)) == {1}


def test_eight_workers_share_fifty_rows_in_batches(now):
    pks = due_parcels(ROWS, now)

    def worker():
        mine = []
        while batch := queue.claim_batch(LOOK, 7, now=now):
            mine += [claim.pk for claim in batch]
        return mine

    taken = race(*[worker] * THREADS)
    assert sorted(pk for mine in taken for pk in mine) == sorted(pks)


def test_all_racers_have_seen_the_row_free_before_one_takes_it(now, meet_before_update):
    (pk,) = due_parcels(1, now)
    meet_before_update(THREADS)
    claims = race(*[lambda: queue.claim(LOOK, pk, now=now)] * THREADS)
    assert sum(claim is not None for claim in claims) == 1, claims


def test_batches_that_chose_the_same_rows_do_not_share_them(now, meet_before_update):
    pks = due_parcels(10, now)
    meet_before_update(THREADS)
    batches = race(*[lambda: queue.claim_batch(LOOK, 10, now=now)] * THREADS)
    assert sorted(claim.pk for batch in batches for claim in batch) == pks


def test_a_lease_that_ran_out_is_taken_over_by_one(now, meet_before_update):
    (pk,) = due_parcels(1, now)
    first = queue.claim(LOOK, pk, now=now)
    late = now + LOOK.lease + timedelta(seconds=1)
    meet_before_update(THREADS)
    claims = [c for c in race(*[lambda: queue.claim(LOOK, pk, now=late)] * THREADS) if c]
    assert [claim.attempts for claim in claims] == [2]
    assert claims[0].interrupted == now
    assert claims[0].token != first.token


def test_a_late_worker_and_its_successor_do_not_both_settle(now):
    (pk,) = due_parcels(1, now)
    first = queue.claim(LOOK, pk, now=now)
    late = now + LOOK.lease + timedelta(seconds=1)

    def settle():
        with transaction.atomic():
            queue.settle(first)

    settled, second = race(settle, lambda: queue.claim(LOOK, pk, now=late))
    assert isinstance(settled, queue.ClaimLost) is (second is not None)


def test_two_people_move_the_same_case_and_one_wins(now, meet_before_update):
    case = ParcelFactory()
    people = [UserFactory(admin=True, first_name=name, last_name="") for name in ("Ada", "Ben")]
    if connection.vendor != "sqlite":  # where the second transaction waits at its beginning
        meet_before_update(2)

    def mover(person):
        mine = Parcel.objects.get(pk=case.pk)

        def go():
            with transaction.atomic():
                return move(mine, "send", by=actor_for(person), now=timezone.now())

        return go

    results = race(*[mover(person) for person in people])
    won = [result for result in results if isinstance(result, StatusChange)]
    lost = [result for result in results if isinstance(result, Conflict)]
    assert (len(won), len(lost)) == (1, 1), results
    assert f"{won[0].by_name} moved it to “Being sent”" in lost[0].sentence
    assert StatusChange.objects.for_case(case).filter(move="send").count() == 1


def test_two_opposite_moves_do_not_both_happen(now):
    for _ in range(5):
        case = ParcelFactory()
        person = actor_for(UserFactory(admin=True))

        def go(name, by, case=case):
            with transaction.atomic():
                return move(case, name, by=by, now=timezone.now())

        results = race(partial(go, "hold", PORTAL), partial(go, "send", person))
        assert Counter(type(result) for result in results) == {StatusChange: 1, Conflict: 1}
        moves = StatusChange.objects.for_case(case).exclude(move="open")
        assert moves.get().to_status == Parcel.objects.get(pk=case.pk).status


def test_a_worker_and_a_person_do_not_both_have_the_row(now):
    """The person's move ends the claim, or the worker's settlement comes first; never both."""
    for _ in range(5):
        (pk,) = [due_parcels(1, now)[-1]]
        claim = queue.claim(LOOK, pk, now=now)
        case = Parcel.objects.get(pk=pk)
        person = actor_for(UserFactory(admin=True))

        def finish(claim=claim, case=case):
            with transaction.atomic():
                queue.settle(claim)
                return move(case, "hold", by=PORTAL, now=timezone.now())

        def send(case=case, person=person):
            with transaction.atomic():
                return move(case, "send", by=person, now=timezone.now())

        results = race(finish, send)
        assert sum(isinstance(result, StatusChange) for result in results) == 1, results
        assert sum(isinstance(r, Conflict | queue.ClaimLost) for r in results) == 1, results


def test_counters_and_references_never_repeat(now):
    values = race(*[lambda: [count("calls") for _ in range(10)]] * THREADS)
    assert sorted(v for mine in values for v in mine) == list(range(1, 10 * THREADS + 1))
    references = race(*[lambda: next_reference("SEG", now)] * THREADS)
    assert len(set(references)) == THREADS


def test_an_alarm_raised_by_many_at_once_is_one_alarm(now):
    rung = race(*[lambda: alarms.sound("k", desk="seg", title="Silent", now=now)] * THREADS)
    assert rung.count(True) == 1
    assert Alarm.objects.count() == 1
