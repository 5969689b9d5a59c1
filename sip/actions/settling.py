"""What was left open is settled: by an answer that came late, or by a person who has asked."""

from datetime import datetime
from typing import Any, Final

from django.core.files.base import ContentFile
from django.db import transaction

from core import alarms, calls, casework
from core.models import Note
from core.uploads import Upload
from core.workflow import PORTAL, Actor, Conflict, Impossible, NotAllowed, conflict, move
from sip.actions.confirming import take_back
from sip.actions.results import Result, Taken, consequence
from sip.actions.shared import Clock, Sent, Status, person
from sip.models import Attempt, Job, Resolution

LATE_MOVES: Final = {
    Sent.ACCEPTED: "accept_late",
    Sent.REFUSED: "refuse_late",
    Sent.NOT_SENT: "not_sent_late",
    Sent.STOPPED: "not_sent_late",
}
_THEIRS: Final = ("their_status", "their_message", "their_reference", "scenario")


def answered_late(*, taken: Taken, result: Result, now: Clock) -> None:
    """Take an answer that came after its attempt was given up.

    It settles an unknown job, unless a person has: then nothing moves and an alarm is raised.
    """
    moment = now()
    with transaction.atomic():
        calls.record(result.call, case=taken.job)
        Attempt.objects.filter(pk=taken.attempt.pk).update(
            late_at=moment, late_outcome=result.outcome, **result.columns()
        )
    if result.outcome is Sent.UNKNOWN:
        return
    try:
        with transaction.atomic():
            _settle_late(taken, result, moment)
    except Conflict:
        with transaction.atomic():
            _halt_second(taken, result, moment)
            _tell_late(taken, result, moment)


def _settle_late(taken: Taken, result: Result, now: datetime) -> None:
    """Move an unknown job on. Raises `Conflict` when somebody or something else has."""
    job: Job = Job.objects.get(pk=taken.job.pk)
    last = job.sends.order_by("number").last()
    if last is None or last.pk != taken.attempt.pk:
        raise conflict(job)
    _, why, fields = consequence(job, result, now)
    name = LATE_MOVES[result.outcome]
    move(job, name, by=PORTAL, now=now, why=f"Late answer. {why}"[:300], **fields)
    Attempt.objects.filter(pk=last.pk).update(outcome=result.outcome, ended_at=now)


def _halt_second(taken: Taken, result: Result, now: datetime) -> None:
    """They accepted the first attempt after all: a second one that still waits must not leave."""
    job: Job = Job.objects.get(pk=taken.job.pk)
    waits = job.status == Status.SENDING and job.claim is None
    if result.outcome is Sent.ACCEPTED and waits:
        why = "Not sent again: a late answer says that they accepted the earlier attempt"
        take_back(job, "give_up", by=PORTAL, now=now, why=why)


def _tell_late(taken: Taken, result: Result, now: datetime) -> None:
    said = result.outcome.label.lower()
    text = f"A late answer to attempt {taken.attempt.number} says: {said}."
    casework.note(taken.job, text=text, by=PORTAL, now=now, kind=Note.Kind.EVENT)
    alarms.sound(
        f"sip late {taken.job.reference} {taken.attempt.number}",
        desk="sip",
        title=f"{taken.job.reference}: an answer came after a person had settled it",
        text=text,
        next_step="Compare it with what was recorded, and ring the party if they differ.",
        lasting=False,
        now=now,
    )


def resolve_unknown(
    *,
    job: Job,
    answer: str,
    told_by: str,
    reason: str,
    evidence: tuple[Upload, bytes] | None,
    by: Actor,
    now: Clock,
) -> Resolution:
    """Settle an unknown job by what the party says: "received", or "never" received.

    Only "never" makes a new send possible, which is checked and confirmed again. Raises
    `NotAllowed`, `Conflict`.
    """
    user, moment = person(by), now()
    if not told_by.strip():
        raise NotAllowed("Write who at the party told you.")
    received = answer == Resolution.Answer.RECEIVED
    with transaction.atomic():
        why = f"{Resolution.Answer(answer).label}: {by.name}, told by {told_by}"
        fields: dict[str, Any] = {"accepted_at": moment} if received else {}
        name = "confirm_received" if received else "confirm_never"
        move(job, name, by=by, now=moment, note=reason, why=why[:300], **fields)
        attempt = job.sends.filter(outcome=Sent.UNKNOWN).latest("number")
        return Resolution.objects.create(
            attempt=attempt,
            answer=answer,
            told_by=told_by[:200],
            reason=reason,
            by=user,
            at=moment,
            **_evidence(evidence),
        )


def _evidence(evidence: tuple[Upload, bytes] | None) -> dict[str, Any]:
    if evidence is None:
        return {}
    upload, content = evidence
    return {
        "evidence": ContentFile(content, name=f"evidence{upload.extension}"),
        "evidence_name": upload.name,
        "evidence_type": upload.content_type,
        "evidence_sha256": upload.sha256,
    }


def accept_after_all(*, job: Job, reason: str, by: Actor, now: Clock) -> None:
    """Record that they accepted an attempt after all, as their late answer says.

    Raises `Impossible` without such an answer, `NotAllowed`, `Conflict`.
    """
    late = job.sends.filter(late_outcome=Sent.ACCEPTED).order_by("number").last()
    if late is None:
        raise Impossible("No late answer says that they accepted it. Nothing was changed.")
    moment = now()
    theirs = {name: getattr(late, name) for name in _THEIRS}
    with transaction.atomic():
        why = f"Accepted after all, by their late answer to attempt {late.number}"
        fields = {**theirs, "accepted_at": late.late_at}
        move(job, "accept_after_all", by=by, now=moment, note=reason, why=why, **fields)
