"""The tasks of the test-only desk: look counts, send arrives, abandoned is not known."""

from celery import shared_task
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import queue
from core.workflow import PORTAL, move
from tests.parcels.models import LOOK, SEND, Parcel


@shared_task(name="parcels.look")
def look(pk):
    claim = queue.claim(LOOK, pk, now=timezone.now())
    if claim is not None:
        with transaction.atomic():
            queue.settle(claim)
            Parcel.objects.filter(pk=pk).update(looked=F("looked") + 1)


@shared_task(name="parcels.send")
def send(pk):
    claim = queue.claim(SEND, pk, now=timezone.now())
    if claim is not None:
        with transaction.atomic():
            queue.settle(claim)
            move(Parcel.objects.get(pk=pk), "arrived", by=PORTAL, now=timezone.now())


@shared_task(name="parcels.abandoned")
def abandoned(pk):
    parcel = SEND.abandoned(timezone.now()).filter(pk=pk).first()
    if parcel is not None:
        with transaction.atomic():
            move(parcel, "lost", by=PORTAL, now=timezone.now())
