"""The desk's part of `manage.py demo`: sixty meters, a read in every status, nothing twice."""

import threading
from collections import Counter

import pytest
from django.db import connections

from core.demo import wait_until
from metering import demo, lists
from metering.models import Batch, Delivery, Meter, MeterAlarm, MeterRead, Schedule
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(work, service, portal, settings, monkeypatch):
    """A worker in a thread, and the sandbox on the address that has its control pages.

    A shorter time is asked for than in the demo itself.
    """
    settings.METERING_API_URL = service.running.shared_url("meters")
    monkeypatch.setattr(demo, "MONTH_DAYS", 4)
    monkeypatch.setattr(demo, "YEAR_DAYS", 3)
    stopping = threading.Event()

    def go_on():
        try:
            while not stopping.is_set():
                work()
                stopping.wait(0.05)
        finally:
            connections.close_all()

    thread = threading.Thread(target=go_on)
    thread.start()
    yield
    stopping.set()
    thread.join(30)
    assert not thread.is_alive()


def settled():
    """Wait until every result that comes by itself is stored."""

    def done():
        clean = MeterRead.objects.filter(batch__title=demo.YEAR, status__in=MeterRead.OPEN)
        return not (clean.exists() or Delivery.objects.filter(state="waiting").exists())

    assert wait_until(done)


def counts():
    return {
        model._meta.label: model.objects.count() for model in (Meter, MeterRead, Batch, Schedule)
    }


def test_every_status_is_there_and_the_second_run_adds_nothing(worker):
    person = UserFactory(role="metering")
    told = list(demo.fill())
    assert "60 meters in 2 groups" in told
    assert any("decisions, a cancelled read" in line for line in told)
    settled()
    statuses = Counter(MeterRead.objects.values_list("status", flat=True))
    assert set(statuses) == set(MeterRead.Status.values), statuses
    assert statuses["accepted"] > 60
    assert MeterRead.objects.filter(assigned_to=person).exists()
    assert MeterAlarm.objects.exclude(acknowledged_at=None).exists()

    # Enough to look at, and no line after line of the same.
    for group in lists.inbox(person, only_mine=False):
        assert 1 <= group.count <= 4, (group.title, [item.text for item in group.items])
    for status in ("waiting", "requested", "to_check", "failed"):
        assert 1 <= statuses[status] <= 4, (status, statuses)

    before = counts()
    list(demo.fill())
    settled()
    assert counts() == before


def test_without_anybody_of_the_role_it_says_so(worker):
    assert any("run set_up_people first" in line for line in demo.fill())
