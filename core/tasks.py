"""The frame's tasks: the sweep with its heartbeat, e-mails, and tidying up."""

from typing import Any

from celery import shared_task
from celery.signals import task_failure
from django.utils import timezone

from core import alarms, housekeeping, mail, queue


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


@task_failure.connect
def raise_alarm(sender: Any = None, exception: Exception | None = None, **_: Any) -> None:
    """Tell staff about a fault of ours; the row stays due and is tried again after its lease."""
    task = getattr(sender, "name", "unknown task")
    alarms.sound(
        f"task {task}",
        desk=task.partition(".")[0],
        title=f"The portal failed in “{task}”",
        text=f"{type(exception).__name__}; the worker’s log has the rest.",
        next_step="Tell the portal’s engineers. Nothing is lost: it is tried again by itself.",
        now=timezone.now(),
        lasting=False,
    )
