"""The real submission: authorised by a person, counted, sent once, and never sent on a guess."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import alarms, calls, queue
from core.outcomes import CallRecord, LookUpFirst, Outcome, Refused, Unexpected
from core.workflow import Actor, Different, Impossible, conflict, move_many
from pts.actions.lines import (
    State,
    Status,
    Verdict,
    decide,
    end,
    freeze,
    give_back,
    lines_of,
    poll_soon,
    refuse_without_tries,
    return_lines,
    room,
    still_open,
    validating,
)
from pts.actions.shared import (
    KEY,
    PROBE_EVERY,
    Clock,
    answers,
    is_our_fault,
    may,
    some_at_once,
    sound,
)
from pts.actions.testing import check_again
from pts.client import AR_POST, NAME, ProductionTracking, Receipt
from pts.models import SEND, SUBMIT, Batch, Report, System

CLOSED = "The window has closed; nothing was sent."


def authorise(
    *, reports: Sequence[Report], notes: str, confirmation: str, by: Actor, now: Clock
) -> list[Batch]:
    """Authorise one submission of tested readings, all or none; a try of each is counted now.

    It waits SEND_DELAY_SECONDS, in which Stop gives the tries back. Raises `Blocked`,
    `NoTriesLeft`, `Conflict`, `NotAllowed`; IntegrityError when the confirmation was used before.
    """
    may(by, SUBMIT, "Your role does not send to MassCEC.")
    if not reports:
        raise Impossible("No tested reading was chosen. Nothing was sent.")
    moment = now()
    check_again(reports, moment)
    send_at = moment + timedelta(seconds=settings.SEND_DELAY_SECONDS)
    with transaction.atomic():
        _count_tries(reports)
        _move_authorised(reports, confirmation, send_at, by, moment)
        batches = freeze(reports, Batch.Kind.REAL, notes, by, moment, send_at=send_at)
        for batch in batches:
            queue.due(SEND, batch.pk, now=moment, at=send_at, by=by)
    return batches


def _count_tries(reports: Sequence[Report]) -> None:
    """Count one undecided try of each, by conditional UPDATE. Raises `NoTriesLeft`."""
    refuse_without_tries(reports)
    for some in some_at_once([report.pk for report in reports]):
        counted = Report.objects.filter(room(), pk__in=some)
        if counted.update(undecided_tries=F("undecided_tries") + 1) < len(some):
            raise Impossible("Somebody was faster: look at the reports again. Nothing was sent.")


def _move_authorised(
    reports: Sequence[Report], confirmation: str, send_at: datetime, by: Actor, now: datetime
) -> None:
    different = {
        report.pk: Different(f"{report.meter_value.normalize():,f} kWh")
        for report in reports
        if report.meter_value is not None
    }
    moved = move_many(
        reports,
        "submit",
        by=by,
        now=now,
        different=different,
        confirmation=confirmation,
        why=f"Is sent at {timezone.localtime(send_at):%H:%M:%S}",
    )
    there = {case.pk for case in moved}
    for report in reports:
        if report.pk not in there:
            raise conflict(report)


def stop(*, batch: Batch, by: Actor, now: Clock) -> None:
    """Stop a submission before it is sent; the tries come back. Raises `Impossible`."""
    may(by, SUBMIT, "Your role does not stop submissions.")
    moment = now()
    with transaction.atomic():
        # Not the claim but SENDING, committed before the call, says that it may have left.
        waiting = Batch.objects.filter(pk=batch.pk, kind=Batch.Kind.REAL, state=Batch.State.WAITING)
        stopped = {"state": Batch.State.STOPPED, "ended_at": moment, "due_at": None, **queue.FREE}
        if not waiting.update(sentence=f"Stopped by {by.name}"[:500], **stopped):
            raise Impossible("It has left already and cannot be stopped. Nothing was changed.")
        lines = still_open(batch.lines.select_related("report"))
        batch.lines.update(state=State.NOT_SENT, decided_at=moment)
        give_back(lines)
        reports = [line.report for line in lines if line.report.status == Status.VALIDATING]
        move_many(reports, "stop", by=by, now=moment, why="Stopped before it was sent")


def send(*, claim: queue.Claim, tracking: ProductionTracking, now: Clock) -> None:
    """Send one authorised batch. One that an earlier worker may have sent is looked up instead."""
    batch: Batch = claim.row()
    if batch.state == Batch.State.SENDING:
        _cut_off(claim, batch, now())
        return
    if not _may_leave(claim, batch, tracking, now):
        return
    try:
        receipt = tracking.post(lines_of(batch), notes=batch.notes)
    except (LookUpFirst, Unexpected) as problem:
        # Whatever is not promised comes after the request had left: it may have been received.
        _lost(claim, batch, problem.sentence, problem.call, now())
        sound(problem, now())
    except Outcome as problem:
        _not_sent(claim, batch, problem, now())
    else:
        _received(claim, batch, receipt, now())


def _cut_off(claim: queue.Claim, batch: Batch, now: datetime) -> None:
    with transaction.atomic():
        calls.record_cut_off(
            party=NAME,
            operation=AR_POST.name,
            kind=AR_POST.kind,
            started_at=batch.sent_at or now,
        )
        _lost(claim, batch, "The worker stopped while it was sending.", None, now)


def _may_leave(claim: queue.Claim, batch: Batch, tracking: ProductionTracking, now: Clock) -> bool:
    """Mark the batch as being sent, committed before the call; False when it may not leave."""
    if not batch.window.opens_at <= now() < batch.window.closes_at:
        with transaction.atomic():
            queue.settle(claim)
            _return(batch, Batch.State.FAILED, CLOSED, now())
        return False
    if alarms.is_open(KEY) and not _key_works(tracking, now):
        with transaction.atomic():
            queue.settle(claim, due_at=now() + PROBE_EVERY, keep_attempts=True)
        return False
    mine = Batch.objects.filter(pk=batch.pk, claim=claim.token, state=Batch.State.WAITING)
    return bool(mine.update(state=Batch.State.SENDING, sent_at=now()))


def _key_works(tracking: ProductionTracking, now: Clock) -> bool:
    """Ask for one system: does MassCEC accept our key again?"""
    key = System.objects.filter(active=True).values_list("fk_system", flat=True).first() or 0
    try:
        answer = tracking.get_systems([key])
    except Outcome as problem:
        calls.record(problem.call)
        return not is_our_fault(problem)
    calls.record(answer.call)
    answers(now())
    return True


def _received(claim: queue.Claim, batch: Batch, receipt: Receipt, now: datetime) -> None:
    with transaction.atomic():
        queue.settle(claim)
        end(batch, Batch.State.RECEIVED, "", now)
        lines = still_open(batch.lines.select_related("report__system"))
        errors = {
            line.pk: Verdict(State.FAILED, receipt.errors[line.report.system.fk_system])
            for line in lines
            if line.report.system.fk_system in receipt.errors
        }
        validating([line for line in lines if line.pk not in errors])
        decide([line for line in lines if line.pk in errors], errors, now, move="refuse")
        calls.record(receipt.call)
    poll_soon(batch.window, now)
    answers(now)


def _not_sent(claim: queue.Claim, batch: Batch, problem: Outcome, now: datetime) -> None:
    """MassCEC surely has nothing: try again later, or give the tries back."""
    refused = isinstance(problem, Refused)
    again = None if refused else queue.retry_at(claim, now=now, after=problem.retry_after)
    with transaction.atomic():
        queue.settle(claim, due_at=again, keep_attempts=again is not None)
        calls.record(problem.call)
        sound(problem, now)
        if again is None:
            state = Batch.State.REFUSED if refused else Batch.State.FAILED
            _return(batch, state, problem.sentence, now)
        else:
            _wait(batch, problem.sentence, again)


def _wait(batch: Batch, sentence: str, again: datetime) -> None:
    said = {"state": Batch.State.WAITING, "sentence": sentence[:500]}
    Batch.objects.filter(pk=batch.pk).update(**said)
    why = f"Not sent yet, next try {timezone.localtime(again):%H:%M}: {sentence}"
    Report.objects.filter(submissions__batch=batch, status=Status.VALIDATING).update(why=why[:300])


def _return(batch: Batch, state: str, sentence: str, now: datetime) -> None:
    """Nothing of this batch was received: tries come back, reports are tested as before."""
    end(batch, state, sentence, now)
    return_lines(list(batch.lines.select_related("report")), sentence, now)


def _lost(
    claim: queue.Claim, batch: Batch, sentence: str, call: CallRecord | None, now: datetime
) -> None:
    """The answer is missing: it is looked up by the next polls; the tries stay counted."""
    with transaction.atomic():
        queue.settle(claim)
        end(batch, Batch.State.LOST, sentence, now)
        batch.lines.filter(state=State.WAITING).update(state=State.LOST)
        reports = Report.objects.filter(submissions__batch=batch, status=Status.VALIDATING)
        reports.update(why="The answer was lost; MassCEC is asked whether it arrived")
        calls.record(call)
    poll_soon(batch.window, now)
