"""Heartbeats of the worker, and removal of rows that have passed their time."""

from datetime import datetime, timedelta

from django.contrib.sessions.models import Session
from django.dispatch import Signal

from core.models import Counter, Heartbeat

STALE_AFTER = timedelta(seconds=30)

tidying = Signal()  # desks connect what they must forget; receives `now`


def beat(name: str, *, now: datetime) -> None:
    """Write one heartbeat."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": now})


def heartbeat_at(name: str) -> datetime | None:
    """When this part last showed that it is alive; None when it never did."""
    return Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()


def heartbeat_age(name: str, *, now: datetime) -> timedelta | None:
    """How long ago that was."""
    at = heartbeat_at(name)
    return None if at is None else max(now - at, timedelta())


def tidy(*, now: datetime) -> None:
    """Remove old sessions and counters, and let each desk remove what it must forget."""
    Session.objects.filter(expire_date__lt=now).delete()
    Counter.objects.filter(forget_after__lt=now).delete()
    tidying.send(sender="core", now=now)
