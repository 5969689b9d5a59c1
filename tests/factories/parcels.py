"""Cases of the test-only desk, in any status: ParcelFactory(status="unknown")."""

from datetime import timedelta

import factory
from django.db import transaction
from django.utils import timezone

from core.workflow import PORTAL, actor_for, move, opened
from tests.factories.people import UserFactory
from tests.parcels.models import Parcel

WAYS = {
    "packed": (),
    "held": ("hold",),
    "sending": ("send",),
    "sent": ("send", "arrived"),
    "unknown": ("send", "lost"),
}


def walk(case, way, at):
    """Move a case along a way, a second a step, and return it as it stands then."""
    for name, by in way:
        at += timedelta(seconds=1)
        with transaction.atomic():
            move(case, name, by=by, now=at, note="for a test")
        case = type(case).objects.get(pk=case.pk)
    return case


class ParcelFactory(factory.django.DjangoModelFactory):
    """A parcel that walked to its status; nothing is due."""

    class Meta:
        model = Parcel

    status = "packed"
    reference = factory.Sequence(lambda n: f"PAR-{n:04d}")
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1))
    status_at = factory.SelfAttribute("created_at")

    @classmethod
    def _create(cls, model, *args, status, **fields):
        parcel = model.objects.create(status=Parcel.FIRST, **fields)
        opened(parcel, by=PORTAL, now=parcel.created_at)
        way = [
            (name, actor_for(UserFactory(admin=True)) if name == "send" else PORTAL)
            for name in WAYS[status]
        ]
        return walk(parcel, way, parcel.created_at)
