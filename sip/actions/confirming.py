"""A message is frozen when a person confirms it, and taken back while no worker has it."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from core import confirm, queue
from core.models import User
from core.workflow import Actor, Conflict, Impossible, NotAllowed, conflict, move
from sip import worksheet
from sip.actions.shared import Clock, NotComplete, Sent, Status, person
from sip.models import SEND, SEND_IT, Attempt, Job, Message


class SecondPersonNeeded(NotAllowed):
    """Who filled in a worksheet does not send it."""

    sentence = "You filled in this worksheet: a second person must check and send it."


class SentAlready(Impossible):
    """They accepted an earlier attempt after all, so another message would be a second one."""

    sentence = (
        "A late answer says that they accepted an earlier attempt. Sending again would make a "
        "second market message. Record that they accepted it after all."
    )


def may_send(job: Job, user: User) -> str:
    """Say why this person cannot send this job's message; empty when they can."""
    if not user.has_perm(SEND_IT):
        return "Your role does not send market messages."
    if not job.may_read_private(user):
        return "You may not read all of this message, so somebody else checks and sends it."
    filled = job.fillers.filter(user=user).exists() or job.handed_in_by_id == user.pk
    if settings.SIP_SECOND_PERSON and filled:
        return SecondPersonNeeded.sentence
    if job.sends.filter(late_outcome=Sent.ACCEPTED).exists():
        return SentAlready.sentence
    return ""


def authorise(*, job: Job, token: str, by: Actor, now: Clock) -> Attempt:
    """Freeze the message that was shown and let it leave after the delay, once.

    Raises `confirm.NotConfirmed`, `NotComplete`, `SecondPersonNeeded`, `SentAlready`,
    `NotAllowed`, `Conflict`.
    """
    user, moment = person(by), now()
    _refuse_sender(job, user)
    made = worksheet.composed(job, now=moment)
    number = confirm.redeem(token, worksheet.shown(job, made), user)
    if made.problems:
        raise NotComplete(made.problems)
    at = moment + timedelta(seconds=settings.SEND_DELAY_SECONDS)
    with transaction.atomic():
        why = f"Confirmed by {by.name}"
        move(job, "authorise", by=by, now=moment, confirmation=number, why=why)
        _refuse_sender(job, user)
        attempt = Attempt.objects.create(
            job=job,
            message=_frozen(job, made, moment),
            number=job.sends.count() + 1,
            by=user,
            by_name=by.name,
            confirmation=number,
            confirmed_at=moment,
            send_at=at,
        )
        queue.due(SEND, job.pk, now=moment, at=at, by=by)
    return attempt


def _refuse_sender(job: Job, user: User) -> None:
    sentence = may_send(job, user)
    if sentence == SecondPersonNeeded.sentence:
        raise SecondPersonNeeded
    if sentence == SentAlready.sentence:
        raise SentAlready
    if sentence:
        raise NotAllowed(sentence)


def _frozen(job: Job, made: worksheet.Composed, now: datetime) -> Message:
    """Freeze a new version, linked to the one before; the same bytes stay the same version."""
    last = job.versions.order_by("version").last()
    if last is not None and last.sha256 == made.sha256 and last.outline:
        same: Message = last
        return same
    message: Message = Message.objects.create(
        job=job,
        version=last.version + 1 if last else 1,
        previous=last,
        outline=made.outline,
        size=made.size,
        sha256=made.sha256,
        frozen_at=now,
    )
    message.photos.set(made.photos.values())
    if worksheet.bytes_of(message) != made.message:
        raise worksheet.NotAsFrozen
    return message


def stop(*, job: Job, by: Actor, now: Clock) -> None:
    """Stop a message before it is sent; it wins only before a worker has claimed it.

    Raises `Conflict`, `NotAllowed`.
    """
    with transaction.atomic():
        why = f"Stopped by {by.name} before it was sent"
        take_back(job, "stop", by=by, now=now(), why=why)


def take_back(job: Job, name: str, *, by: Actor, now: datetime, why: str) -> None:
    """Take a waiting message back; raises `Conflict` once it is claimed."""
    waiting = Job.objects.filter(pk=job.pk, status=Status.SENDING, claim=None)
    if not waiting.update(due_at=None):
        raise _too_late(job)
    move(job, name, by=by, now=now, why=why[:300])
    open_attempts = Attempt.objects.filter(job=job, outcome=Sent.WAITING)
    open_attempts.update(outcome=Sent.STOPPED, ended_at=now, sentence=why[:500])


def _too_late(job: Job) -> Conflict:
    if Job.objects.filter(pk=job.pk, status=Status.SENDING).exists():
        return Conflict(
            "It is too late to stop: the message is being sent at this moment.",
            status=Status.SENDING,
        )
    return conflict(job)
