"""Lines of batches: frozen when they are authorised, counted, and ended together.

Tries are counted here and nowhere else, by conditional UPDATE.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import F, Min, Q, QuerySet

from core import queue
from core.workflow import Actor, Different, Impossible
from pts import messages, rules
from pts.actions.shared import NoTriesLeft, portal_moves, some_at_once
from pts.known import tries_of, zone
from pts.messages import Line
from pts.models import POLL, Batch, Report, Submission, Window

Status = Report.Status
State = Submission.State
POLL_EVERY = timedelta(minutes=15)  # "API Key may be invalidated for abuse of the system"
TEST_WATCHED = timedelta(minutes=10)
VERDICT_AFTER = {
    Batch.Kind.REAL: timedelta(seconds=30),
    Batch.Kind.TEST: timedelta(minutes=3),
}


class Verdict(NamedTuple):
    """What MassCEC says about one line: PASSED or FAILED, and its words."""

    state: str
    notes: str


# ---- Freezing ----------------------------------------------------------------------------------


def line_of(report: Report) -> Line:
    """The line that a report's reading would be sent as. Raises `Impossible` without one."""
    if report.meter_value is None or report.meter_at is None:
        raise Impossible(f"{report.system} has no reading. Nothing was sent.")
    return Line(
        fk_system=report.system.fk_system,
        meter_value=report.meter_value,
        meter_date=messages.in_party_time(report.meter_at, zone()),
        notes=report.party_note or None,
    )


def freeze(
    reports: Sequence[Report],
    kind: str,
    notes: str,
    by: Actor,
    now: datetime,
    *,
    send_at: datetime,
) -> list[Batch]:
    """Freeze lines into batches no larger than a body may be."""
    by_key = {report.system.fk_system: report for report in reports}
    every = [line_of(report) for report in reports]
    made = []
    for lines in messages.batches(every, limit=settings.PTS_BODY_LIMIT, notes=notes):
        batch = Batch.objects.create(
            window=reports[0].window,
            kind=kind,
            notes=notes,
            sha256=hashlib.sha256(messages.post_body(lines, api_key="", notes=notes)).hexdigest(),
            created_at=now,
            send_at=send_at,
            by=by.user,
            by_name=by.name,
        )
        rows = [_frozen(batch, by_key[line.fk_system], line) for line in lines]
        Submission.objects.bulk_create(rows, batch_size=500)
        made.append(batch)
    return made


def _frozen(batch: Batch, report: Report, line: Line) -> Submission:
    return Submission(
        batch=batch,
        report=report,
        meter_value=line.meter_value,
        meter_date=line.meter_date,
        party_note=line.notes or "",
    )


def lines_of(batch: Batch) -> list[Line]:
    """A batch's frozen lines as they go over the wire."""
    rows = batch.lines.order_by("pk").values_list(
        "report__system__fk_system", "meter_value", "meter_date", "party_note"
    )
    return [
        Line(fk_system=key, meter_value=value, meter_date=at, notes=note or None)
        for key, value, at, note in rows
    ]


def end(batch: Batch, state: str, sentence: str, now: datetime, *, sent: bool = False) -> None:
    """Write how a batch ended."""
    fields: dict[str, Any] = {"state": state, "sentence": sentence[:500], "ended_at": now}
    if sent:
        fields["sent_at"] = now
    Batch.objects.filter(pk=batch.pk).update(**fields)


# ---- Tries -------------------------------------------------------------------------------------


def room() -> Q:
    """One more submission can exceed neither limit, whatever becomes of the undecided ones."""
    return Q(
        valid_tries__lt=rules.VALID_TRIES + F("more_valid") - F("undecided_tries"),
        failed_tries__lt=rules.FAILED_TRIES + F("more_failed") - F("undecided_tries"),
    )


def refuse_without_tries(reports: Sequence[Report]) -> None:
    """Raise `NoTriesLeft` naming the first report that has no try left."""
    for report in Report.objects.filter(pk__in=[each.pk for each in reports]).exclude(room()):
        left = tries_of(report).sentence
        raise NoTriesLeft(f"{report.system}: {left} in this window. Nothing was sent.")


def give_back(lines: Sequence[Submission]) -> None:
    """Give tries back: MassCEC surely has nothing of these lines."""
    keys = [line.report_id for line in lines]
    for some in some_at_once(keys):
        rows = Report.objects.filter(pk__in=some, undecided_tries__gt=0)
        rows.update(undecided_tries=F("undecided_tries") - 1)


def count_verdicts(reports: Sequence[int], state: str) -> None:
    """Undecided tries become valid or failed ones, in one update."""
    counted = "valid_tries" if state == State.PASSED else "failed_tries"
    for some in some_at_once(reports):
        Report.objects.filter(pk__in=some, undecided_tries__gt=0).update(
            **{counted: F(counted) + 1, "undecided_tries": F("undecided_tries") - 1}
        )


# ---- What becomes of lines ---------------------------------------------------------------------


def still_open(lines: Iterable[Submission]) -> list[Submission]:
    """Hold lines until the transaction ends; returns those that nobody has ended meanwhile."""
    lines = list(lines)
    standing: set[int] = set()
    for some in some_at_once([line.pk for line in lines]):
        rows = Submission.objects.filter(pk__in=some, state__in=Submission.OPEN)
        rows.update(looked_up=F("looked_up"))
        standing.update(rows.values_list("pk", flat=True))
    return [line for line in lines if line.pk in standing]


def set_state(lines: Sequence[Submission], **fields: Any) -> None:
    """Write the same columns of many lines."""
    for some in some_at_once([line.pk for line in lines]):
        Submission.objects.filter(pk__in=some).update(**fields)


def validating(lines: Sequence[Submission]) -> None:
    """MassCEC has them: "Last one in wins", so earlier ones of this window are replaced."""
    set_state(lines, state=State.VALIDATING)
    _replace_earlier(lines)
    for some in some_at_once([line.report_id for line in lines]):
        Report.objects.filter(pk__in=some, status=Status.VALIDATING).update(
            why="Received by MassCEC, being validated"
        )


def _replace_earlier(lines: Sequence[Submission]) -> None:
    now_valid = {line.pk for line in lines}
    for some in some_at_once([line.report_id for line in lines]):
        earlier = Submission.objects.filter(
            report__in=some,
            batch__kind=Batch.Kind.REAL,
            state__in=[State.VALIDATING, State.PASSED],
        ).values_list("pk", flat=True)
        replaced = [pk for pk in earlier if pk not in now_valid]
        Submission.objects.filter(pk__in=replaced).update(state=State.REPLACED)


def decide(
    lines: Sequence[Submission], verdicts: Mapping[int, Verdict], now: datetime, *, move: str = ""
) -> None:
    """Write verdicts of submissions by the lines' keys: lines, tries and reports, once each."""
    mine = still_open(lines)
    _write_verdicts(mine, verdicts, now)
    _replace_earlier(mine)
    for state in (State.PASSED, State.FAILED):
        some = [line for line in mine if verdicts[line.pk].state == state]
        count_verdicts([line.report_id for line in some], state)
        _move_decided(some, verdicts, state, now, move)


def _write_verdicts(
    lines: Sequence[Submission], verdicts: Mapping[int, Verdict], now: datetime
) -> None:
    alike: dict[Verdict, list[Submission]] = defaultdict(list)
    for line in lines:
        alike[verdicts[line.pk]].append(line)
    for verdict, some in alike.items():
        set_state(some, state=verdict.state, validation_notes=verdict.notes, decided_at=now)


def _move_decided(
    lines: Sequence[Submission],
    verdicts: Mapping[int, Verdict],
    state: str,
    now: datetime,
    move: str,
) -> None:
    waiting = [line for line in lines if line.report.status == Status.VALIDATING]
    if state == State.PASSED:
        name, why = "pass_validation", "Passed MassCEC’s validation"
        different = {
            line.report_id: Different(verdicts[line.pk].notes)
            for line in waiting
            if verdicts[line.pk].notes
        }
    else:
        name, why = move or "fail_validation", ""
        different = {
            line.report_id: failed_because("Failed", verdicts[line.pk].notes) for line in waiting
        }
    portal_moves([line.report for line in waiting], name, now, why=why, different=different)


def failed_because(what: str, notes: str) -> Different:
    """The reason of a failure, in MassCEC's words where there are any."""
    return Different(notes, {"why": f"{what}: {notes or 'no reason given'}"[:300]})


def return_lines(lines: Sequence[Submission], sentence: str, now: datetime) -> None:
    """MassCEC has nothing of these lines: tries come back, the reports are tested as before."""
    mine = still_open(lines)
    set_state(mine, state=State.NOT_SENT, decided_at=now)
    give_back(mine)
    waiting = [line.report for line in mine if line.report.status == Status.VALIDATING]
    portal_moves(waiting, "not_sent", now, why=f"Not received: {sentence}", note=sentence)


# ---- Asking again ------------------------------------------------------------------------------


def watched(window: Window, now: datetime) -> QuerySet[Submission]:
    """Lines whose verdict may still come: submissions, and tests of the last ten minutes."""
    real = Q(batch__kind=Batch.Kind.REAL, state__in=[State.LOST, State.VALIDATING])
    tests = Q(state=State.NO_VERDICT, batch__ended_at__gt=now - TEST_WATCHED)
    lines: QuerySet[Submission] = Submission.objects.filter(real | tests, batch__window=window)
    return lines


def poll_soon(window: Window, now: datetime) -> None:
    """Have the status asked for when a verdict can be there, and 15 minutes after the last poll."""
    received = watched(window, now).values_list("batch__kind").annotate(Min("batch__ended_at"))
    due = [at + VERDICT_AFTER[kind] for kind, at in received.order_by() if at is not None]
    if not due:
        return
    last = Window.objects.values_list("polled_at", flat=True).get(pk=window.pk)
    at = max(now, min(due), *([last + POLL_EVERY] if last else []))
    idle = Window.objects.filter(pk=window.pk, claim=None)
    if idle.filter(Q(due_at=None) | Q(due_at__gt=at)).exists():
        queue.due(POLL, window.pk, now=now, at=at)
