"""The dry run: ready readings go to ARPostTest, which validates them and saves nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from core import calls, queue
from core.outcomes import Outcome
from core.workflow import Actor, Impossible
from pts import messages, rules
from pts.actions.lines import (
    TEST_WATCHED,
    State,
    Status,
    Verdict,
    end,
    failed_because,
    freeze,
    lines_of,
    poll_soon,
    set_state,
)
from pts.actions.readings import Reading, judge
from pts.actions.shared import (
    Blocked,
    Clock,
    answers,
    may,
    portal_moves,
    retry_at,
    some_at_once,
    sound,
)
from pts.client import ProductionTracking, Receipt
from pts.known import facts_of, zone
from pts.models import SUBMIT, TEST, Batch, Report, Submission


def test(*, reports: Iterable[Report], notes: str, by: Actor, now: Clock) -> list[Batch]:
    """Send ready readings to ARPostTest ("Data will be run through Validation, just not saved").

    Raises `NotAllowed`, `Blocked`, `Impossible` when no report is ready or all are being tested.
    """
    may(by, SUBMIT, "Your role does not send to MassCEC.")
    moment = now()
    ready = _without_running_tests([each for each in reports if each.status == Status.READY])
    if not ready:
        raise Impossible("No reading is ready to be tested. Nothing was sent.")
    check_again(ready, moment)
    with transaction.atomic():
        batches = freeze(ready, Batch.Kind.TEST, notes, by, moment, send_at=moment)
        for batch in batches:
            queue.due(TEST, batch.pk, now=moment, by=by)
        for some in some_at_once([report.pk for report in ready]):
            Report.objects.filter(pk__in=some, status=Status.READY).update(
                why="Being tested at MassCEC"
            )
    return batches


def _without_running_tests(reports: Sequence[Report]) -> list[Report]:
    """Leave out what is being tested as it stands: a double click tests once."""
    running: set[tuple[int, object, str]] = set()
    for some in some_at_once([report.pk for report in reports]):
        rows = Submission.objects.filter(
            report__in=some, state=State.WAITING, batch__kind=Batch.Kind.TEST
        )
        running.update(rows.values_list("report", "meter_value", "meter_date"))
    return [report for report in reports if _as_sent(report) not in running]


def _as_sent(report: Report) -> tuple[int, object, str]:
    at = messages.in_party_time(report.meter_at, zone()) if report.meter_at else ""
    return report.pk, report.meter_value, at


def check_again(reports: Sequence[Report], now: datetime) -> None:
    """Check just before anything leaves. Raises `Blocked` naming the systems, `Impossible`."""
    window = reports[0].window
    if any(report.window_id != window.pk for report in reports):
        raise Impossible("These reports are of several months. Nothing was sent.")
    facts = facts_of([report.system for report in reports], window.month)
    blocked = []
    for report in reports:
        if report.meter_value is None or report.meter_at is None:
            raise Impossible(f"{report.system} has no reading. Nothing was sent.")
        report.window = window
        reading = Reading(value=report.meter_value, at=report.meter_at, source=report.source)
        verdict = judge(report, reading, now=now, facts=facts[report.system_id])
        if not report.system.active:
            blocked.append(f"{report.system}: MassCEC does not list this system any more.")
        elif verdict.result == "block":
            blocked.append(f"{report.system}: {verdict.why}")
    if blocked:
        more = f" {len(blocked) - 3} more cannot be sent either." if len(blocked) > 3 else ""
        raise Blocked(f"{' '.join(blocked[:3])}{more} Nothing was sent.")


def run_test(*, claim: queue.Claim, tracking: ProductionTracking, now: Clock) -> None:
    """Send one test batch; a repeat harms nobody, so an interrupted one is sent again."""
    batch: Batch = claim.row()
    if not batch.window.opens_at <= now() < batch.window.closes_at:
        with transaction.atomic():
            queue.settle(claim)
            _give_up(batch, "The window has closed; nothing was sent.", now())
        return
    try:
        receipt = tracking.post_test(lines_of(batch), notes=batch.notes)
    except Outcome as problem:
        _not_tested(claim, batch, problem, now())
        return
    moment = now()
    with transaction.atomic():
        queue.settle(claim)
        end(batch, Batch.State.RECEIVED, "", moment, sent=True)
        _tested(batch, receipt, moment)
        calls.record(receipt.call)
    poll_soon(batch.window, moment)
    answers(moment)


def _tested(batch: Batch, receipt: Receipt, now: datetime) -> None:
    """Record what a test said about each system; silence is no verdict."""
    lines = list(batch.lines.select_related("report__system", "batch"))
    failed = [line for line in lines if line.report.system.fk_system in receipt.errors]
    fine = [line for line in lines if line.report.system.fk_system not in receipt.errors]
    set_state(fine, state=State.NO_VERDICT)
    until = timezone.localtime(now + TEST_WATCHED)
    portal_moves(
        [line.report for line in fine if is_of(line, Status.READY)],
        "test_passed",
        now,
        why=f"Test received, no verdict (one may come until {until:%H:%M})",
        note="Test received, no verdict",
    )
    test_failed(
        failed,
        {
            line.pk: Verdict(State.FAILED, receipt.errors[line.report.system.fk_system])
            for line in failed
        },
        now,
    )


def is_of(line: Submission, *statuses: str) -> bool:
    """Whether a test still is about the report's reading: another may have been entered since."""
    report = line.report
    same = _as_sent(report)[1:] == (line.meter_value, line.meter_date)
    return same and report.status in statuses


def test_failed(lines: Sequence[Submission], verdicts: dict[int, Verdict], now: datetime) -> None:
    """Record failed tests and send their reports back for correction."""
    for line in lines:
        fields = {"state": State.FAILED, "validation_notes": verdicts[line.pk].notes}
        Submission.objects.filter(pk=line.pk).update(decided_at=now, **fields)
    if settings.PTS_TEST_FAILURES_COUNT:
        _count_failed_tests(lines)
    reports = [line.report for line in lines if is_of(line, Status.READY, Status.TESTED)]
    different = {
        line.report_id: failed_because("Test failed", verdicts[line.pk].notes) for line in lines
    }
    portal_moves(reports, "test_failed", now, different=different)


def test_passed(lines: Sequence[Submission], now: datetime) -> None:
    """Record that MassCEC validated a test after all."""
    set_state(lines, state=State.PASSED, decided_at=now)
    keys = [line.report_id for line in lines if is_of(line, Status.TESTED)]
    Report.objects.filter(pk__in=keys, status=Status.TESTED).update(why="Test passed, to be sent")


def _count_failed_tests(lines: Sequence[Submission]) -> None:
    room = Q(failed_tries__lt=rules.FAILED_TRIES + F("more_failed") - F("undecided_tries"))
    keys = [line.report_id for line in lines]
    Report.objects.filter(room, pk__in=keys).update(failed_tries=F("failed_tries") + 1)


def _not_tested(claim: queue.Claim, batch: Batch, problem: Outcome, now: datetime) -> None:
    again = retry_at(claim, problem, now)
    with transaction.atomic():
        queue.settle(claim, due_at=again, keep_attempts=again is not None)
        calls.record(problem.call)
        sound(problem, now)
        if again is None:
            _give_up(batch, problem.sentence, now)
        else:
            _say(batch, f"Not tested yet: {problem.sentence}")


def _give_up(batch: Batch, sentence: str, now: datetime) -> None:
    end(batch, Batch.State.FAILED, sentence, now)
    batch.lines.update(state=State.NOT_SENT, decided_at=now)
    _say(batch, f"Not tested: {sentence}")


def _say(batch: Batch, why: str) -> None:
    waiting = Report.objects.filter(submissions__batch=batch, status=Status.READY)
    waiting.update(why=why[:300])
