"""Health data and site risks: reading is recorded, and they are removed when they have aged."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from core import casework
from core.models import Note
from core.workflow import PORTAL, Actor, NotAllowed
from sip import worksheet
from sip.actions.shared import ENDED, Clock, person
from sip.models import Clash, Job, Sheet

READ_AGAIN = timedelta(hours=1)


def read_private(*, job: Job, by: Actor, now: Clock) -> None:
    """Record that a person reads health data and risks of a job; call it before showing them.

    One record a person, job and hour. Raises `NotAllowed`.
    """
    user, moment = person(by), now()
    if not job.may_read_private(user):
        raise NotAllowed("Health data and risks are shown to the job’s engineer and this desk.")
    lately = Note.objects.for_case(job).filter(
        kind=Note.Kind.REVEALED, by=user, at__gt=moment - READ_AGAIN
    )
    if not lately.exists():
        casework.reveal(job, what="health data and site risks", by=by, now=moment)


def remove_private(*, now: datetime, **_: Any) -> int:
    """Remove health data, risks, messages and photos of jobs that ended long ago.

    Hash, size, outcome, times and people stay. Returns how many jobs.
    """
    if settings.SIP_HEALTH_KEPT_DAYS <= 0:
        return 0
    before = now - timedelta(days=settings.SIP_HEALTH_KEPT_DAYS)
    old = Job.objects.filter(status__in=ENDED, status_at__lt=before, private_removed_at=None)
    pks = list(old.values_list("pk", flat=True))
    for pk in pks:
        with transaction.atomic():
            _remove_private(Job.objects.get(pk=pk), now)
    return len(pks)


def _remove_private(job: Job, now: datetime) -> None:
    Clash.objects.filter(sheet__job=job).delete()
    for sheet in job.sheets.all():
        hidden = worksheet.private_fields(sheet.block)
        kept = {name: value for name, value in sheet.answers.items() if name not in hidden}
        Sheet.objects.filter(pk=sheet.pk).update(answers=kept)
    job.versions.update(outline="", removed_at=now)
    job.sends.update(reply="", details=[])
    for photo in job.photos.all():
        transaction.on_commit(partial(photo.file.delete, save=False))
    Job.objects.filter(pk=job.pk).update(private_removed_at=now)
    text = "Health data, risks, messages and photos were removed after the retention period."
    casework.note(job, text=text, by=PORTAL, now=now, kind=Note.Kind.EVENT)
