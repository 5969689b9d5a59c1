"""Tasks of the metering desk: each claims, builds the client and calls one action.

A bell for one row empties the queue in batches, so thousands of rows need one bell.
"""

from itertools import accumulate

import structlog
from celery import shared_task
from django.utils import timezone

from core import queue
from metering import actions
from metering.client import MeterCommunications
from metering.models import CANCEL, FETCH, REQUEST, STORE

log = structlog.get_logger(__name__)
BATCH = 20
# Bytes of results that one worker takes at once: few large ones, so that others work beside it.
BATCH_BYTES = 4_000_000


@shared_task(name="metering.request")
def request(pk: int) -> None:
    """Send the requests that are due."""
    with MeterCommunications() as service:
        while claims := queue.claim_batch(REQUEST, BATCH, now=timezone.now()):
            for claim in claims:
                _request_one(claim, service)


def _request_one(claim: queue.Claim, service: MeterCommunications) -> None:
    """Send one request; a fault of ours at one row harms no other."""
    try:
        actions.request(claim=claim, service=service, now=timezone.now)
    except Exception as problem:
        log.exception("not_requested", read=claim.pk)
        actions.request_stopped(claim=claim, problem=problem, now=timezone.now)


@shared_task(name="metering.fetch")
def fetch(pk: int) -> None:
    """Fetch one result that is overdue."""
    claim = queue.claim(FETCH, pk, now=timezone.now())
    if claim is not None:
        with MeterCommunications() as service:
            actions.fetch(claim=claim, service=service, now=timezone.now)


@shared_task(name="metering.cancel")
def cancel(pk: int) -> None:
    """Tell the service that one request is taken back."""
    claim = queue.claim(CANCEL, pk, now=timezone.now())
    if claim is not None:
        with MeterCommunications() as service:
            actions.tell_cancelled(claim=claim, service=service, now=timezone.now)


@shared_task(name="metering.store")
def store(pk: int) -> None:
    """Store the deliveries that wait."""
    while (size := _store_size()) and (
        claims := queue.claim_batch(STORE, size, now=timezone.now())
    ):
        actions.store(claims=claims, now=timezone.now)


def _store_size() -> int:
    """How many to take now: the oldest up to BATCH_BYTES, and at least one."""
    waiting = STORE.free(timezone.now()).order_by("due_at", "pk")
    sizes = list(waiting.values_list("size", flat=True)[:BATCH])
    small = sum(total <= BATCH_BYTES for total in accumulate(sizes))
    return max(small, 1) if sizes else 0


@shared_task(name="metering.schedule")
def schedule() -> None:
    """Ask the groups whose hour has come."""
    actions.run_schedules(now=timezone.now)


@shared_task(name="metering.fill_gaps")
def fill_gaps() -> None:
    """Ask for the half hours that are missing; runs every night."""
    actions.fill_gaps(now=timezone.now)
