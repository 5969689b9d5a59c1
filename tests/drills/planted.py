"""A worker with a defect on purpose, so that a drill can show that it would be found.

`celery --app tests.drills.planted worker` with DRILL_PLANT; the portal itself knows nothing of it.
"""

import os
from datetime import timedelta

from celery.signals import worker_init

from config.celery import app

__all__ = ["app"]


def claims_ignored():
    """A row that somebody holds is taken once more, and given back without asking whose it is."""
    from django.db.models import QuerySet

    from core import queue

    def free(self, now):
        return self.rows().filter(due_at__lte=now)

    def settle(claim, *, due_at=None, keep_attempts=False):
        fields = {**queue.FREE, "due_at": due_at, "rung_at": None}
        if not keep_attempts:
            fields["attempts"] = 0
        QuerySet.update(claim.queue.rows().filter(pk=claim.pk), **fields)

    queue.Queue.free, queue.settle = free, settle


def claims_for_ever():
    """What a killed worker held is never taken up again."""
    from core import queue

    for one in queue.all_queues():
        object.__setattr__(one, "lease", timedelta(days=1))


def told_before_it_left():
    """An e-mail is written down as sent, and then sent."""
    import time

    from django.utils import timezone

    from core import mail, queue
    from core.models import Email

    def send(claim, *, now):
        email = claim.row()
        queue.settle(claim)
        Email.objects.filter(pk=claim.pk).update(state=Email.State.SENT, sent_at=timezone.now())
        time.sleep(1.5)
        mail._message(email).send()
        return True

    mail.send = send


PLANTS = {plant.__name__: plant for plant in (claims_ignored, claims_for_ever, told_before_it_left)}


@worker_init.connect
def plant(**_):
    """Put the defect in."""
    PLANTS[os.environ["DRILL_PLANT"]]()
