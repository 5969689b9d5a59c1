"""Tasks of the gas quotes desk: each claims, builds the client and calls one action."""

from celery import shared_task
from django.utils import timezone

from core import queue
from gasquotes import actions, crews, portfolios
from gasquotes.client import SupplyPoints
from gasquotes.models import BULK, LAPSE, ORDERS


@shared_task(name="gasquotes.look_up")
def look_up(pk: int) -> None:
    """Look one quote's supply point up."""
    claim = actions.take(pk, now=timezone.now)
    if claim is not None:
        with SupplyPoints() as service:
            actions.look_up(claim=claim, service=service, now=timezone.now)


@shared_task(name="gasquotes.bulk")
def work(pk: int) -> None:
    """Work on bulk runs for one turn of a crew."""
    claim = queue.claim(BULK, pk, now=timezone.now())
    if claim is not None:
        crews.work(claim=claim, open_service=SupplyPoints, now=timezone.now)


@shared_task(name="gasquotes.lapse")
def lapse(pk: int) -> None:
    """Close one quote whose time is over."""
    claim = queue.claim(LAPSE, pk, now=timezone.now())
    if claim is not None:
        actions.lapse(claim=claim, now=timezone.now)


@shared_task(name="gasquotes.make_quotes")
def make_quotes(pk: int) -> None:
    """Make some of the quotes of one order."""
    claim = queue.claim(ORDERS, pk, now=timezone.now())
    if claim is not None:
        portfolios.make_quotes(claim=claim, now=timezone.now)
