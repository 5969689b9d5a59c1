"""How submissions stand: asked for all systems at once, compared by value and date, settled."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from core import calls, queue
from core.outcomes import Outcome
from core.workflow import Actor, Impossible, move
from pts import messages
from pts.actions.lines import (
    POLL_EVERY,
    State,
    Verdict,
    count_verdicts,
    decide,
    poll_soon,
    return_lines,
    set_state,
    validating,
    watched,
)
from pts.actions.shared import Clock, answers, some_at_once, sound, sound_odd
from pts.actions.testing import test_failed, test_passed
from pts.client import Answer, ProductionTracking
from pts.messages import Line, Standing
from pts.models import Batch, Report, Submission, Window

NOT_THERE = 2  # polls that must miss a lost submission before it counts as not received
VERDICTS = {messages.PASSED: State.PASSED, messages.FAILED: State.FAILED}
NOT_RECEIVED = "MassCEC was asked twice and does not have it."


def poll(*, claim: queue.Claim, tracking: ProductionTracking, now: Clock) -> None:
    """Ask once how all submissions stand (GetSubmissionStatus), at most every 15 minutes."""
    window: Window = claim.row()
    moment = now()
    lines = list(watched(window, moment).select_related("report__system", "batch"))
    is_open = window.opens_at <= moment < window.closes_at
    if not lines or not is_open or not _take_turn(window, moment):
        again = window.polled_at + POLL_EVERY if window.polled_at else None
        with transaction.atomic():
            queue.settle(claim, due_at=again if lines and is_open else None)
        return
    try:
        answer = tracking.get_submission_status({line.report.system.fk_system for line in lines})
    except Outcome as problem:
        _not_polled(claim, problem, now())
        return
    _polled(claim, window, lines, answer, now())


def _take_turn(window: Window, now: datetime) -> bool:
    """Count this poll before it is made, so that no crash can lead to a second one too early."""
    due = Q(polled_at=None) | Q(polled_at__lte=now - POLL_EVERY)
    return bool(Window.objects.filter(due, pk=window.pk).update(polled_at=now))


def _polled(
    claim: queue.Claim,
    window: Window,
    lines: Sequence[Submission],
    answer: Answer[Standing],
    now: datetime,
) -> None:
    with transaction.atomic():
        queue.settle(claim)
        calls.record(answer.call)
        found = _found(lines, answer.items)
        _apply(lines, found, now)
        unread = {odd.fk_system for odd in answer.odd}
        if None not in unread:
            _not_listed([each for each in lines if each.pk not in found], unread, now)
        Batch.objects.filter(window=window, state=Batch.State.LOST).exclude(
            lines__state=State.LOST
        ).update(state=Batch.State.RECEIVED)
        sound_odd(answer.odd, "GetSubmissionStatus", now)
    poll_soon(window, now)
    answers(now)


def _found(lines: Sequence[Submission], items: Sequence[Standing]) -> dict[int, Standing]:
    """What MassCEC says about each line, found by value and date."""
    theirs: dict[int, list[Standing]] = {}
    for standing in items:
        theirs.setdefault(standing.fk_system, []).append(standing)
    found = {}
    for line in lines:
        for standing in theirs.get(line.report.system.fk_system, []):
            if messages.is_same(standing, _sent(line)):
                found[line.pk] = standing
                break
    return found


def _sent(line: Submission) -> Line:
    return Line(
        fk_system=line.report.system.fk_system,
        meter_value=line.meter_value,
        meter_date=line.meter_date,
    )


def _apply(lines: Sequence[Submission], found: Mapping[int, Standing], now: datetime) -> None:
    verdicts = {
        pk: Verdict(VERDICTS[standing.status], messages.said(standing.validation_notes or ""))
        for pk, standing in found.items()
        if standing.status in VERDICTS
    }
    real = [line for line in lines if line.batch.kind == Batch.Kind.REAL]
    decide([line for line in real if line.pk in verdicts], verdicts, now)
    validating(
        [
            line
            for line in real
            if line.state == State.LOST and line.pk in found and line.pk not in verdicts
        ]
    )
    tests = [line for line in lines if line.batch.kind == Batch.Kind.TEST and line.pk in verdicts]
    _apply_to_tests(_not_submitted(tests), verdicts, now)


def _apply_to_tests(
    tests: Sequence[Submission], verdicts: dict[int, Verdict], now: datetime
) -> None:
    test_passed([line for line in tests if verdicts[line.pk].state == State.PASSED], now)
    failed = [line for line in tests if verdicts[line.pk].state == State.FAILED]
    test_failed(failed, verdicts, now)


def _not_submitted(tests: Sequence[Submission]) -> list[Submission]:
    """Tests of readings that were never submitted: else the status may be the submission's."""
    submitted = Submission.objects.filter(
        report__in=[line.report_id for line in tests],
        batch__kind=Batch.Kind.REAL,
        state__in=[*Submission.OPEN, State.PASSED, State.FAILED, State.REPLACED],
    )
    seen = set(submitted.values_list("report", "meter_value", "meter_date"))
    return [
        line for line in tests if (line.report_id, line.meter_value, line.meter_date) not in seen
    ]


def _not_listed(lines: Sequence[Submission], unread: set[int | None], now: datetime) -> None:
    """A lost submission that MassCEC does not list twice was not received."""
    lost = [
        line
        for line in lines
        if line.state == State.LOST and line.report.system.fk_system not in unread
    ]
    for some in some_at_once([line.pk for line in lost]):
        Submission.objects.filter(pk__in=some).update(looked_up=F("looked_up") + 1)
    missed = [line for line in lost if line.looked_up + 1 >= NOT_THERE]
    return_lines(missed, NOT_RECEIVED, now)


def _not_polled(claim: queue.Claim, problem: Outcome, now: datetime) -> None:
    with transaction.atomic():
        queue.settle(claim, due_at=now + POLL_EVERY, keep_attempts=True)
        calls.record(problem.call)
        sound(problem, now)


def settle(*, report: Report, passed: bool, reason: str, by: Actor, now: Clock) -> None:
    """Settle a report that stayed undecided, as MassCEC told a person. Raises `Impossible`."""
    moment = now()
    line = report.submissions.filter(state=State.UNDECIDED).first()
    if line is None:
        raise Impossible("MassCEC can still be asked by the portal. Nothing was changed.")
    name, state = ("settle_passed", State.PASSED) if passed else ("settle_failed", State.FAILED)
    with transaction.atomic():
        why = f"Settled by {by.name}: {reason}"[:300]
        move(report, name, by=by, now=moment, note=reason, why=why)
        set_state([line], state=state, validation_notes=reason[:2000], decided_at=moment)
        count_verdicts([report.pk], state)
