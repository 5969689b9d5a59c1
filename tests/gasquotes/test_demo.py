"""The demo: a quote in every status, a watched portfolio, a paused run, and nothing twice."""

import threading

import pytest
from django.db import connections

from core.demo import wait_until
from gasquotes import demo
from gasquotes.models import BulkRun, Portfolio, PriceBook, Quote
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(work, sandbox, service, settings):
    """A worker in a thread, and the sandbox on the address that has its control pages."""
    settings.GASQUOTES_API_URL = sandbox.shared_url("supply-points")
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


def test_a_case_in_every_status_and_nothing_twice(worker):
    UserFactory(role="gas quotes")
    UserFactory(role="supervisor")
    said = list(demo.fill())
    assert any("one in every status" in line for line in said)
    assert set(Quote.objects.values_list("status", flat=True)) >= set(Quote.Status.values) - {
        Quote.Status.LOOKING_UP
    }
    assert {*Quote.objects.exclude(closed_as="").values_list("closed_as", flat=True)} >= {
        "declined", "refused", "withdrawn",
    }  # fmt: skip
    assert PriceBook.objects.filter(PriceBook.PUBLISHED).count() == 1
    assert wait_until(lambda: BulkRun.objects.filter(state="finished").exists())
    assert BulkRun.objects.filter(state="paused").count() == 1
    assert wait_until(lambda: not Quote.objects.filter(status="looking_up").exists())
    before = (Quote.objects.count(), PriceBook.objects.count(), BulkRun.objects.count())
    list(demo.fill())
    assert (Quote.objects.count(), PriceBook.objects.count(), BulkRun.objects.count()) == before
    portfolio = Portfolio.objects.get()
    assert portfolio.points.exclude(look_up=None).count() >= 190


def test_without_people_nothing_is_made(db):
    (said,) = demo.fill()
    assert "set_up_people" in said
    assert not Quote.objects.exists()
