"""Tasks of the export tariff desk: each claims one row, builds the client and calls one action."""

from celery import shared_task
from django.utils import timezone

from seg import actions
from seg.client import InstallationRegistry
from seg.models import VERIFY, VERIFY_AGAIN


@shared_task(name="seg.verify")
def verify(pk: int) -> None:
    """Ask the registry about a new application."""
    claim = actions.take(VERIFY, pk, now=timezone.now)
    if claim is not None:
        with InstallationRegistry() as registry:
            actions.verify(claim=claim, registry=registry, now=timezone.now)


@shared_task(name="seg.verify_again")
def verify_again(pk: int) -> None:
    """Ask the registry again about an approved certificate."""
    claim = actions.take(VERIFY_AGAIN, pk, now=timezone.now)
    if claim is not None:
        with InstallationRegistry() as registry:
            actions.verify_again(claim=claim, registry=registry, now=timezone.now)
