"""A due message is claimed, committed and sent once; what came of it is recorded together.

Only what surely did not leave waits and is tried again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import alarms, calls, queue
from core.outcomes import Outcome, Unavailable
from core.workflow import PORTAL, Actor, Conflict, Impossible, NotAllowed, move
from sip import messages, rules, worksheet
from sip.actions.results import Result, Taken, consequence
from sip.actions.settling import answered_late
from sip.actions.shared import Clock, Sent, may, person
from sip.client import NAME, SEND_MESSAGE, Accepted, KeyRefused, Lost, MarketMessages, NotAccepted
from sip.messages import Acceptance
from sip.models import SEND, SEND_IT, Attempt, Job, KeyStop

log = structlog.get_logger(__name__)

KEY_REFUSED = "sip key refused"
SILENT = "sip party silent"


class NothingAuthorised(RuntimeError):
    """A job is due for sending without an open attempt: nothing may be sent."""


def take(pk: int, *, now: Clock) -> Taken | None:
    """Claim a due job and note that its attempt has begun, committed before any connection.

    None while nothing is due, another worker has it, or their refusal of our key is not fixed.
    """
    if KeyStop.current() is not None:
        return None
    with transaction.atomic():
        moment = now()
        claim = queue.claim(SEND, pk, now=moment)
        if claim is None:
            return None
        begun = Attempt.objects.filter(job_id=pk, outcome=Sent.WAITING).update(
            outcome=Sent.SENDING, claim=claim.token, started_at=moment, tries=F("tries") + 1
        )
        if begun != 1:
            raise NothingAuthorised(f"job {pk}")
    attempt = Attempt.objects.select_related("message").get(claim=claim.token)
    return Taken(claim, claim.row(), attempt)


def send(*, taken: Taken, service: MarketMessages, now: Clock) -> None:
    """Send the frozen message of a claimed job, and record what came of it in one transaction."""
    with structlog.contextvars.bound_contextvars(case=taken.job.reference):
        result = _tried(taken, service, now)
        try:
            _record(taken, result, now())
        except (queue.ClaimLost, Conflict):
            log.info("answer_came_late", outcome=result.outcome.value)
            answered_late(taken=taken, result=result, now=now)


def _tried(taken: Taken, service: MarketMessages, now: Clock) -> Result:
    """Read the frozen bytes and make the call; nothing is sent when the claim has grown old."""
    try:
        body = worksheet.bytes_of(taken.attempt.message)
    except Impossible as problem:
        return Result(Sent.STOPPED, problem.sentence, "Check the worksheet again.")
    private = messages.private_texts(worksheet.frozen_answers(taken.attempt.message))
    if now() > _latest_start(taken):
        return Result(Sent.NOT_SENT, "The worker was too slow to begin; nothing was sent.")
    try:
        answer = service.send(body, job_id=str(taken.job.job_id), private=private)
    except Outcome as problem:
        return _result(problem)
    return _accepted(answer, private)


def _latest_start(taken: Taken) -> datetime:
    """When the call must have begun: its deadline ends well before others give it up."""
    begun: datetime = taken.attempt.started_at or taken.job.status_at
    return begun + timedelta(seconds=settings.SIP_LEASE_MARGIN / 2)


def _accepted(answer: Accepted, private: Sequence[str]) -> Result:
    said = answer.acceptance
    clean = Acceptance(
        status=_without(said.status, private),
        message=_without(said.message, private),
        request_id=_without(said.request_id, private),
        scenario=_without(said.scenario, private),
    )
    sentence = f"Accepted: scenario {clean.scenario}, request id {clean.request_id}."
    return Result(Sent.ACCEPTED, sentence, call=answer.call, acceptance=clean, text=answer.text)


def _without(text: str, private: Sequence[str]) -> str:
    for each in sorted(private, key=len, reverse=True):
        text = text.replace(each, "[removed]")
    return text


def _result(problem: Outcome) -> Result:
    """Map what the client raised: 4xx refused; surely not sent; everything else is Unknown."""
    common: dict[str, Any] = {"next_step": problem.next_step, "call": problem.call}
    if isinstance(problem, NotAccepted):
        refusal = problem.refusal
        details = rules.placed(refusal.details)
        return Result(Sent.REFUSED, problem.sentence, text=refusal.text, details=details, **common)
    if isinstance(problem, Unavailable):
        key_status = int(problem.code) if isinstance(problem, KeyRefused) else 0
        return Result(
            Sent.NOT_SENT,
            problem.sentence,
            retry_after=problem.retry_after,
            key_status=key_status,
            **common,
        )
    text = problem.text if isinstance(problem, Lost) else ""
    return Result(Sent.UNKNOWN, problem.sentence, text=text, **common)


def _record(taken: Taken, result: Result, now: datetime) -> None:
    """Settle, move, and write attempt and call in one transaction. Raises `ClaimLost`."""
    with transaction.atomic():
        if result.outcome is Sent.NOT_SENT:
            _wait(taken, result, now)
        else:
            queue.settle(taken.claim)
            _end(taken, result, now)
        calls.record(result.call, case=taken.job)
    if result.outcome in (Sent.ACCEPTED, Sent.REFUSED):
        alarms.over(SILENT, now=now)


def _end(taken: Taken, result: Result, now: datetime) -> None:
    name, why, fields = consequence(taken.job, result, now)
    move(taken.job, name, by=PORTAL, now=now, why=why[:300], **fields)
    Attempt.objects.filter(pk=taken.attempt.pk).update(
        outcome=result.outcome, ended_at=now, **result.columns()
    )


def _wait(taken: Taken, result: Result, now: datetime) -> None:
    """Surely not sent: try again later, visibly; at the limit a person looks."""
    again = now if result.key_status else _next_try(taken, result, now)
    queue.settle(taken.claim, due_at=again, keep_attempts=True)
    if again is None:
        _end(taken, result, now)
        return
    why = f"Surely not sent. {result.sentence}"
    if result.key_status:
        _stop_desk(result, now)
        why += " It waits until a person says that the key is fixed."
    else:
        why += f" Next try {timezone.localtime(again):%H:%M:%S}."
        _sound(result, now)
    Job.objects.filter(pk=taken.job.pk).update(why=why[:300])
    Attempt.objects.filter(pk=taken.attempt.pk).update(
        outcome=Sent.WAITING, claim=None, send_at=again, **result.columns()
    )


def _next_try(taken: Taken, result: Result, now: datetime) -> datetime | None:
    return queue.retry_at(taken.claim, now=now, after=result.retry_after)


def _stop_desk(result: Result, now: datetime) -> None:
    """Let nothing be sent until a person says that the key is fixed."""
    if KeyStop.current() is None:
        KeyStop.objects.bulk_create(
            [KeyStop(since=now, http_status=result.key_status, sentence=result.sentence[:500])],
            ignore_conflicts=True,
        )
    alarms.sound(
        KEY_REFUSED,
        desk="sip",
        title="The market message service does not take our key: nothing is sent",
        text=result.sentence,
        next_step=result.next_step,
        now=now,
    )


def _sound(result: Result, now: datetime) -> None:
    alarms.sound(
        SILENT,
        desk="sip",
        title="The market message service cannot be reached or takes no more messages",
        text=result.sentence,
        next_step="Messages wait; each is tried again by itself up to a limit.",
        now=now,
    )


def key_is_fixed(*, note: str, by: Actor, now: Clock) -> None:
    """Let messages be sent again after a person has fixed the key. Raises `NotAllowed`."""
    may(by, SEND_IT, "Your role does not let messages be sent.")
    if not note.strip():
        raise NotAllowed("Write what was done about the key.")
    moment = now()
    with transaction.atomic():
        held = KeyStop.objects.filter(over_at=None)
        if not held.update(over_at=moment, over_by=person(by), note=note):
            raise Impossible("The desk is not stopped. Nothing was changed.")
        alarms.over(KEY_REFUSED, now=moment)
        for pk in SEND.free(moment).values_list("pk", flat=True)[: queue.SWEEP_LIMIT]:
            transaction.on_commit(partial(queue.ring, SEND.name, pk))


def give_up_abandoned(pk: int, *, now: Clock) -> None:
    """Record as Unknown what a worker claimed and never settled: it may have been sent."""
    moment = now()
    with transaction.atomic():
        job: Job | None = SEND.abandoned(moment).filter(pk=pk).first()
        if job is None:
            return
        held = Job.objects.filter(pk=pk, claim=job.claim, claimed_until__lt=moment)
        if not held.update(rung_at=moment):
            return
        sentence = "The worker stopped while it was sending: it may have arrived."
        why = f"{sentence} Nothing is sent again by itself."
        move(job, "lose", by=PORTAL, now=moment, why=why)
        lost = {"outcome": Sent.UNKNOWN, "ended_at": moment, "sentence": sentence}
        Attempt.objects.filter(claim=job.claim).update(**lost)
        calls.record_cut_off(
            party=NAME,
            operation=SEND_MESSAGE.name,
            kind=SEND_MESSAGE.kind,
            started_at=job.claimed_at or moment,
            case=job,
            what_now="It is not made again by itself.",
        )
