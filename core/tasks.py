"""The frame's tasks: the sweep with its heartbeat, e-mails, and tidying up."""

from celery import shared_task
from django.utils import timezone

from core import housekeeping, mail, queue


@shared_task(name="core.sweep")
def sweep() -> None:
    """Find due rows whose bell was lost, and show that the worker and its beat are alive."""
    housekeeping.beat("sweep", now=timezone.now())
    queue.sweep(now=timezone.now())


@shared_task(name="core.send_mail")
def send_mail(pk: int) -> None:
    """Send one e-mail that is due."""
    claim = queue.claim(mail.MAIL, pk, now=timezone.now())
    if claim is not None:
        mail.send(claim, now=timezone.now())


@shared_task(name="core.tidy")
def tidy() -> None:
    """Remove what has passed its time."""
    housekeeping.tidy(now=timezone.now())
