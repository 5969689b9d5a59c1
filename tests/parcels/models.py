"""A case with every kind of move, a queue that may repeat and one that must not."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from core import queue
from core.workflow import Case, Transition, Who

DECIDE = "parcels.decide_parcel"
OVERRULE = "parcels.overrule_parcel"


class Parcel(Case):
    class Status(models.TextChoices):
        PACKED = "packed", "Packed"
        HELD = "held", "Held"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        UNKNOWN = "unknown", "Not known"

    FIRST: ClassVar[str] = Status.PACKED
    TAGS: ClassVar[dict[str, str]] = {
        Status.PACKED: "busy",
        Status.HELD: "look",
        Status.SENDING: "busy",
        Status.SENT: "good",
        Status.UNKNOWN: "unknown",
    }
    TRANSITIONS: ClassVar[tuple[Transition, ...]] = (
        Transition("hold", (Status.PACKED,), Status.HELD, "Hold", Who.PORTAL),
        Transition(
            "send", (Status.PACKED, Status.HELD), Status.SENDING, "Send it", Who.PERSON, DECIDE
        ),
        Transition(
            "sent_by_other_means",
            (Status.HELD, Status.UNKNOWN),
            Status.SENT,
            "Record that it was sent",
            Who.PERSON,
            OVERRULE,
            needs_note=True,
        ),
        Transition("arrived", (Status.SENDING,), Status.SENT, "Arrived", Who.PORTAL),
        Transition("lost", (Status.SENDING,), Status.UNKNOWN, "Nobody knows", Who.PORTAL),
        Transition(
            "cancel", (Status.PACKED, Status.HELD), Status.HELD, "Cancel my parcel", Who.CUSTOMER
        ),
        Transition(
            "stop", (Status.SENDING,), Status.HELD, "Stop", Who.PERSON, DECIDE, button=False
        ),
    )

    weight = models.PositiveIntegerField(default=1)
    looked = models.PositiveIntegerField(default=0)

    class Meta:
        permissions = [
            ("decide_parcel", "Can decide parcels"),
            ("overrule_parcel", "Can overrule"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["weight"], condition=Q(weight=999), name="one_parcel_of_999"
            )
        ]


LOOK = queue.register(
    queue.Queue(
        name="parcels.look",
        model_label="parcels.Parcel",
        ready=Q(status__in=[Parcel.Status.PACKED, Parcel.Status.HELD]),
        limit=12,
    )
)
SEND = queue.register(
    queue.Queue(
        name="parcels.send",
        model_label="parcels.Parcel",
        ready=Q(status=Parcel.Status.SENDING),
        once=True,
        abandoned_task="parcels.abandoned",
    )
)
