"""Tasks of the production desk: each claims, builds the client and calls one action."""

from collections.abc import Callable

import structlog
from celery import shared_task
from django.utils import timezone

from core import queue
from pts import actions
from pts.client import ProductionTracking
from pts.models import POLL, SEND, SYNCHRONISE, TEST

log = structlog.get_logger(__name__)


@shared_task(name="pts.synchronise")
def synchronise(pk: int) -> None:
    """Ask MassCEC for our systems."""
    _work(SYNCHRONISE, pk, actions.compare)


@shared_task(name="pts.test")
def test(pk: int) -> None:
    """Send one test batch."""
    _work(TEST, pk, actions.run_test)


@shared_task(name="pts.send")
def send(pk: int) -> None:
    """Send one authorised batch."""
    _work(SEND, pk, actions.send)


@shared_task(name="pts.poll")
def poll(pk: int) -> None:
    """Ask how the submissions of a window stand."""
    _work(POLL, pk, actions.poll)


@shared_task(name="pts.keep_windows")
def keep_windows() -> None:
    """Open, warn about and close windows on time."""
    actions.keep_windows(now=timezone.now)


def _work(work: queue.Queue, pk: int, act: Callable[..., None]) -> None:
    claim = queue.claim(work, pk, now=timezone.now())
    if claim is not None:
        with ProductionTracking() as tracking:
            try:
                act(claim=claim, tracking=tracking, now=timezone.now)
            except queue.ClaimLost:
                log.info("claim_lost", queue=work.name, pk=pk)  # whoever has it now records it
