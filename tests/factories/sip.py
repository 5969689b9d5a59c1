"""Isolation jobs: JobFactory(status="check") walks there by moves; filled(job, …) by its sample.

Only `tests/sip/conftest.py` sends: what the factory makes was never near the party.
"""

import base64
import io
from datetime import timedelta

import factory
from django.utils import timezone
from PIL import Image

from core.workflow import PORTAL, actor_for, opened
from sip import actions, messages
from sip.models import Attempt, Job, Message, Sheet
from tests.factories.applications import mpan
from tests.factories.parcels import walk
from tests.factories.people import UserFactory

PORTAL_MOVES = ("accept", "refuse", "lose")
SENT = ("start", "hand_in", "authorise")
WAYS = {
    "planned": (),
    "in_progress": ("start",),
    "check": ("start", "hand_in"),
    "sending": SENT,
    "accepted": (*SENT, "accept"),
    "refused": (*SENT, "refuse"),
    "unknown": (*SENT, "lose"),
    "cancelled": ("cancel",),
}
OUTCOMES = {"sending": "waiting", "accepted": "accepted", "refused": "refused"}
HEALTH = {
    "customer_vulnerability": "Planted frailty of Mr Alderwick",
    "site_risk": "Planted dog behind the gate",
}


class JobFactory(factory.django.DjangoModelFactory):
    """A job that walked to its status; nothing is due. Past "check" it has one attempt."""

    class Meta:
        model = Job

    status = "planned"
    reference = factory.Sequence(lambda n: f"SIP-2001-{n:04d}")
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1))
    status_at = factory.SelfAttribute("created_at")
    mpan = factory.Sequence(lambda n: mpan(120000000000 + n))
    supplier_mpid = "LARK"
    contact_name = factory.Sequence(lambda n: f"Alder Wickham {n}")
    address = factory.Sequence(lambda n: f"{n} Teasel Court")
    town = "Eastwold"
    post_code = "CV5 4DD"
    planned_date = factory.LazyFunction(timezone.localdate)
    submission_key = factory.Sequence(lambda n: f"factory {n}")

    @classmethod
    def _create(cls, model, *args, status, **fields):
        job = model.objects.create(status=Job.FIRST, **fields)
        opened(job, by=PORTAL, now=job.created_at)
        Sheet.objects.bulk_create(Sheet(job=job, block=name) for name in messages.BLOCKS)
        way = [
            (name, PORTAL if name in PORTAL_MOVES else actor_for(UserFactory(admin=True)))
            for name in WAYS[status]
        ]
        if "authorise" in WAYS[status]:
            attempt_of(job, OUTCOMES.get(status, "unknown"))
        return walk(job, way, job.created_at)


def attempt_of(job, outcome, **fields):
    """An attempt of a message that says nothing."""
    version = job.versions.count() + 1
    message = Message.objects.create(
        job=job,
        version=version,
        outline="{}",
        size=2,
        sha256=f"{job.pk:060x}{version:04x}",
        frozen_at=job.created_at,
    )
    at = job.created_at
    return Attempt.objects.create(
        **{
            "job": job,
            "message": message,
            "number": job.sends.count() + 1,
            "by": UserFactory(),
            "by_name": "Wren Halloway",
            "confirmation": f"factory {job.pk} {version}",
            "confirmed_at": at,
            "send_at": at,
            "outcome": outcome,
            **fields,
        }
    )


def details(**said):
    """The details of a new job, as a form gives them."""
    number = Job.objects.count()
    return actions.Details(
        **{
            "mpan": mpan(130000000000 + number),
            "supplier_mpid": "LARK",
            "contact_name": f"Briony Catch {number}",
            "address": f"{number + 1} Thimble Court",
            "town": "Quenmouth",
            "post_code": "CV5 4DD",
            "contact_telephone": "01632 960124",
            "planned_date": timezone.localdate(),
            **said,
        }
    )


def jpeg(width=40, height=20, colour="red", **how):
    """A small JPEG."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG", **how)
    return out.getvalue()


def filled(job, blocks, by, now=timezone.now):
    """Fill a job's worksheet with the blocks of a message, photos included, and return the job."""
    for name, values in blocks.items():
        if name == "job_details":
            continue
        photos = {key for key in values if f"{name}.{key}" in messages.photo_keys()}
        answers = {key: value for key, value in values.items() if key not in photos}
        sheet = job.sheets.get(block=name)
        held = Job.objects.get(pk=job.pk)
        actions.save_block(
            job=held, block=name, answers=answers, revision=sheet.revision, by=by, now=now
        )
        for key in photos:
            content = base64.b64decode(values[key])
            held = Job.objects.get(pk=job.pk)
            actions.add_photo(
                job=held, block=name, field=key, content=content, name="p.jpg", by=by, now=now
            )
    return Job.objects.get(pk=job.pk)
