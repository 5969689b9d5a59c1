"""The budget with many workers: never above, hardly below, counted before anything is sent."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from gasquotes import budget
from gasquotes.models import CallGate, MonthOfCalls

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def take(wanted, now):
    return budget.permit(wanted, now=now).moments


def all_of(minutes, *, wanted=50):
    """Every moment that eager workers get in so many minutes."""
    moments, now, end = [], NOON, NOON + timedelta(minutes=minutes)
    while now < end:
        got = budget.permit(wanted, now=now)
        moments += got.moments
        now = max(got.again_at, now + timedelta(milliseconds=300))
    return [moment for moment in moments if moment < end]


def most_in_a_minute(moments, late=timedelta()):
    """The most calls in any sixty seconds, where each may be sent a little late."""
    spread = timedelta(seconds=60) + late
    return max(sum(m <= other < m + spread for other in moments) for m in moments)


@pytest.mark.parametrize("limit", [1, 7, 60, 600])
def test_no_minute_holds_more_and_hardly_less(limit, settings):
    settings.GASQUOTES_CALLS_PER_MINUTE = limit
    moments = all_of(10 if limit < 600 else 3)
    assert most_in_a_minute(moments, budget.LATE) <= limit
    minutes = (moments[-1] - moments[0]).total_seconds() / 60
    assert (len(moments) - 1) / minutes >= 0.95 * limit if limit > 1 else len(moments) >= 9


def test_moments_are_not_handed_out_far_ahead(settings):
    settings.GASQUOTES_CALLS_PER_MINUTE = 60
    moments = take(100, NOON)
    assert max(moments) <= NOON + budget.AHEAD
    assert MonthOfCalls.objects.get().used == len(moments)


def test_slowed_by_a_fifth_and_back_after_five_minutes(settings):
    settings.GASQUOTES_CALLS_PER_MINUTE = 600
    take(1, NOON)
    budget.slow_down(now=NOON)
    budget.slow_down(now=NOON + timedelta(seconds=1))  # under way with the first
    assert all(moment >= NOON + timedelta(seconds=2) for moment in take(5, NOON))
    slowed = all_of(2)
    assert most_in_a_minute(slowed) <= 480
    later = NOON + timedelta(minutes=6)
    steps = take(3, later)
    assert (steps[1] - steps[0]).total_seconds() < 0.11


def test_how_it_stands(settings, django_assert_num_queries):
    settings.GASQUOTES_CALLS_PER_MONTH = 10
    take(4, NOON)
    with django_assert_num_queries(2):
        stands = budget.standing(now=NOON)
    assert (stands.used, stands.left, stands.limit, stands.stopped) == (4, 6, 10, "")
    assert stands.next_month == datetime(2026, 12, 1, tzinfo=UTC)
    budget.give_back(1, now=NOON)
    assert budget.standing(now=NOON).used == 3


def test_what_is_stopped_is_tried_once():
    budget.stop_for_key("No.", "Fix it.", now=NOON)
    assert take(5, NOON) == ()
    later = NOON + budget.PROBE_AFTER
    assert len(take(5, later)) == 1
    assert take(5, later) == ()
    assert not budget.answered(sent_at=NOON - timedelta(seconds=1), now=later)  # sent before
    assert budget.answered(sent_at=later, now=later)
    assert len(take(2, later + timedelta(seconds=5))) == 2


@pytest.mark.django_db(transaction=True)
def test_many_workers_never_take_more_than_the_month_or_the_same_moment(settings):
    settings.GASQUOTES_CALLS_PER_MONTH = 100
    settings.GASQUOTES_CALLS_PER_MINUTE = 60_000
    got, ready = [], threading.Barrier(8)

    def worker():
        try:
            ready.wait(timeout=10)
            for _ in range(10):
                got.extend(take(3, timezone.now()))
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 100 == MonthOfCalls.objects.get().used
    assert max(Counter(got).values()) == 1
    assert CallGate.objects.count() == 1
