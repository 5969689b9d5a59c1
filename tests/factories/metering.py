"""Meters and reads: MeterFactory(), MeterReadFactory(status="to_check") walks there by moves.

meter_of(service.meter("Clean: a house")) is the portal's row for a meter of the sandbox.
"""

from datetime import timedelta

import factory
from django.utils import timezone

from core.workflow import PORTAL, actor_for, opened
from metering.models import Delivery, Meter, MeterRead, MeterType, hash_token
from tests.factories.applications import mpan
from tests.factories.parcels import walk
from tests.factories.people import UserFactory

PEOPLE_MOVE = ("accept", "reject", "cancel")
WAYS = {
    "waiting": (),
    "requested": ("request",),
    "to_check": ("request", "give_to_person"),
    "accepted": ("request", "accept_clean"),
    "rejected": ("request", "give_to_person", "reject"),
    "failed": ("request", "fail"),
    "cancelled": ("cancel",),
}


class MeterTypeFactory(factory.django.DjangoModelFactory):
    """A kind of meter that counts up; the same row for the same code."""

    class Meta:
        model = MeterType
        django_get_or_create = ("code",)

    code = "ELSTER_A1700"
    survey = MeterType.Survey.CUMULATIVE


class MeterFactory(factory.django.DjangoModelFactory):
    """A meter with a password, at an address of its own."""

    class Meta:
        model = Meter

    mpan = factory.Sequence(lambda n: mpan(110000000000 + n))
    serial_number = factory.Sequence(lambda n: f"{61000000 + n}")
    meter_type = factory.SubFactory(MeterTypeFactory)
    remote_address = factory.Sequence(lambda n: f"0770090{n % 10000:04d}")
    outstation_address = "1"
    password = factory.Sequence(lambda n: f"Meter-pass-{n}")
    added_at = factory.LazyFunction(lambda: timezone.now() - timedelta(days=400))


class MeterReadFactory(factory.django.DjangoModelFactory):
    """A read that walked to its status; nothing is due. `token` is the secret of its address."""

    class Meta:
        model = MeterRead

    status = "waiting"
    meter = factory.SubFactory(MeterFactory)
    reference = factory.Sequence(lambda n: f"MTR-2001-{n:04d}")
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1))
    status_at = factory.SelfAttribute("created_at")
    remote_address = factory.LazyAttribute(lambda read: read.meter.remote_address)
    token = factory.Sequence(lambda n: f"result-token-{n:05d}-nobody-can-guess-it")
    token_sha256 = factory.LazyAttribute(lambda read: hash_token(read.token))

    @classmethod
    def _create(cls, model, *args, status, **fields):
        read = model.objects.create(status=MeterRead.FIRST, **fields)
        opened(read, by=PORTAL, now=read.created_at)
        way = [
            (name, actor_for(UserFactory(admin=True)) if name in PEOPLE_MOVE else PORTAL)
            for name in WAYS[status]
        ]
        return walk(read, way, read.created_at)


class DeliveryFactory(factory.django.DjangoModelFactory):
    """A delivery kept aside without a read, unless told otherwise."""

    class Meta:
        model = Delivery

    received_at = factory.LazyFunction(timezone.now)
    body = b""
    size = 0
    sha256 = factory.Sequence(lambda n: f"{n:064x}")
    state = Delivery.State.ASIDE


def meter_of(shown, **fields):
    """The portal's row for a meter as the sandbox's control page shows it."""
    survey = "period" if shown["survey"] == "per period" else "cumulative"
    return MeterFactory(
        **{
            "mpan": shown["mpan"],
            "serial_number": shown["serialNumber"],
            "meter_type": MeterTypeFactory(code=shown["meterType"], survey=survey),
            "remote_address": shown["remoteAddress"],
            "coms_settings": shown["comsSettings"],
            "outstation_address": shown["outstationAddress"],
            "password": shown["password"],
            **fields,
        }
    )
