"""Alarms to staff: raised once while a trouble lasts, over by themselves or acknowledged."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from core.models import Alarm, User


def sound(
    key: str,
    *,
    desk: str,
    title: str,
    now: datetime,
    text: str = "",
    next_step: str = "",
    lasting: bool = True,
) -> bool:
    """Raise an alarm, or count one more occurrence of an open one. True when it is new.

    A lasting one ends when its cause is gone (`over`), any other when somebody acknowledges it.
    """
    open_alarm = Alarm.objects.filter(key=key, over_at=None)
    if open_alarm.update(
        times=F("times") + 1, last_at=now, title=title, text=text, next_step=next_step
    ):
        return False
    try:
        with transaction.atomic():
            Alarm.objects.create(
                key=key,
                desk=desk,
                title=title,
                text=text,
                next_step=next_step,
                raised_at=now,
                last_at=now,
                lasting=lasting,
            )
    except IntegrityError:
        return False
    return True


def is_open(key: str) -> bool:
    """Whether this alarm still lasts."""
    return Alarm.objects.filter(key=key, over_at=None).exists()


def over(key: str, *, now: datetime, quiet_for: timedelta = timedelta()) -> bool:
    """End an alarm because its cause is gone (and has been for a while). True when it ended."""
    lasting = Alarm.objects.filter(key=key, over_at=None, last_at__lte=now - quiet_for)
    return bool(lasting.update(over_at=now))


def open_alarms() -> QuerySet[Alarm]:
    """Alarms that still last or that nobody has acknowledged."""
    return Alarm.objects.filter(acknowledged_at=None) | Alarm.objects.filter(over_at=None)


def acknowledge(alarm: Alarm, *, by: User, note: str, now: datetime) -> bool:
    """Record that a person has seen an alarm. False when somebody already had."""
    seen = {"acknowledged_at": now, "acknowledged_by": by, "acknowledged_note": note}
    ended = {} if alarm.lasting else {"over_at": now}
    waiting = Alarm.objects.filter(pk=alarm.pk, acknowledged_at=None)
    return bool(waiting.update(**seen, **ended))
