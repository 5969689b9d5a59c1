"""Tasks of the safe isolation desk: each claims one row, builds the client and calls one action."""

from celery import shared_task
from django.utils import timezone

from sip import actions
from sip.client import MarketMessages


@shared_task(name="sip.send")
def send(pk: int) -> None:
    """Send one message that is due."""
    taken = actions.take(pk, now=timezone.now)
    if taken is not None:
        with MarketMessages() as service:
            actions.send(taken=taken, service=service, now=timezone.now)


@shared_task(name="sip.abandoned")
def abandoned(pk: int) -> None:
    """Record what a worker claimed and never settled."""
    actions.give_up_abandoned(pk, now=timezone.now)
