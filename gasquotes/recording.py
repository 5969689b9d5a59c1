"""What a crew writes down: calls, look-ups and lines of a batch, and cut-off attempts.

Everything runs in the transaction of whoever calls it. Calls nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F

from core import calls, queue
from core.models import PartnerCall
from core.outcomes import CallRecord, Outcome
from gasquotes import lookups
from gasquotes.client import NAME, QUANTITIES, Answer
from gasquotes.codes import Lead
from gasquotes.messages import Filter
from gasquotes.models import BulkLine, LookUp

LineState = BulkLine.State


@dataclass(frozen=True)
class Job:
    """A claimed line with the moment at which it may be sent."""

    claim: queue.Claim
    line: BulkLine
    moment: datetime


@dataclass(frozen=True)
class Result:
    """What a line came to; None: its moment had passed, nothing was sent."""

    job: Job
    came: Answer | Outcome | Exception | None
    at: datetime


def write(results: Sequence[Result], now: datetime) -> None:
    """Record a batch: calls, look-ups, lines, and what it means for all workers."""
    kept = _keep_calls(results)
    held = _still_held(results)
    found = _keep_look_ups(results, kept)
    mine = [result for result in results if result.job.line.pk in held]
    save_done([r.job.line for r in mine if r.job.line.mprn in found], found)
    _save_others([r for r in mine if r.job.line.mprn not in found], now)
    _heed_all(results, now)


def _heed_all(results: Sequence[Result], now: datetime) -> None:
    """Each kind of outcome is heeded once a batch, before any answer opens what it shut."""
    problems = [result.came for result in results if isinstance(result.came, Outcome)]
    for problem in {lookups.lead_of(each): each for each in problems}.values():
        lookups.heed(problem, now=now)
    sent = [r.came.call.started_at for r in results if isinstance(r.came, Answer)]
    if sent:
        lookups.answered(sent_at=max(sent), now=now)


def _keep_calls(results: Sequence[Result]) -> dict[int, PartnerCall]:
    """Keep every call that was made, in the name of who started the run."""
    made: list[tuple[Result, CallRecord]] = [
        (result, result.came.call)
        for result in results
        if isinstance(result.came, Answer | Outcome) and result.came.call is not None
    ]
    rows = calls.record_many(
        [call for _, call in made],
        causes=[(result.job.line.run.by_id, result.job.line.run.by_name) for result, _ in made],
    )
    return {id(result): row for (result, _), row in zip(made, rows, strict=True)}


def _still_held(results: Sequence[Result]) -> set[int]:
    """Lines that are still ours; a cancelled one is not, though its look-up is kept."""
    tokens = {result.job.claim.token for result in results}
    mine = BulkLine.objects.filter(claim__in=tokens, pk__in=[r.job.line.pk for r in results])
    return set(mine.filter(state=LineState.WAITING).values_list("pk", flat=True))


def _keep_look_ups(results: Sequence[Result], kept: dict[int, PartnerCall]) -> dict[str, LookUp]:
    """Keep every answer. Returns the rows by the MPRN that was asked for."""
    answered = [(r, r.came) for r in results if isinstance(r.came, Answer)]
    rows = LookUp.objects.bulk_create(
        lookups.row_of(
            answer, Filter(mprn=result.job.line.mprn), kept[id(result)], at=result.at, case=None
        )
        for result, answer in answered
    )
    return {result.job.line.mprn: row for (result, _), row in zip(answered, rows, strict=True)}


OVER: dict[str, Any] = {"due_at": None, "attempts": 0, **queue.FREE}


def save_done(lines: Sequence[BulkLine], found: dict[str, LookUp]) -> None:
    """Write lines that have their look-up; it is an earlier one where this run made no call."""
    if not lines:
        return
    for line in lines:
        line.look_up = found[line.mprn]
        line.reused = line.look_up.at < line.claimed_at if line.claimed_at else True
    _name_look_ups(lines)
    rows = BulkLine.objects.filter(pk__in=[line.pk for line in lines])
    rows.update(state=LineState.DONE, code="", sentence="", **OVER)


def _name_look_ups(lines: Sequence[BulkLine]) -> None:
    """Write which look-up each line has; `bulk_update` takes longer for this than the call did."""
    table = connection.ops.quote_name(BulkLine._meta.db_table)
    change = f"UPDATE {table} SET look_up_id = %s, reused = %s WHERE id = %s"  # noqa: S608 - ours
    with connection.cursor() as cursor:
        cursor.executemany(change, [(line.look_up_id, line.reused, line.pk) for line in lines])


def _save_others(results: Sequence[Result], now: datetime) -> None:
    """Write lines without a look-up: failed with their code, or due again."""
    if not results:
        return
    for result in results:
        if isinstance(result.came, Outcome):
            _not_found(result.job.line, result.job.claim, result.came, now)
    lines = [result.job.line for result in results]
    BulkLine.objects.bulk_update(lines, ["state", "code", "sentence", "due_at", "attempts"])
    BulkLine.objects.filter(pk__in=[line.pk for line in lines]).update(**queue.FREE)


def _not_found(line: BulkLine, claim: queue.Claim, problem: Outcome, now: datetime) -> None:
    """Say on a line, in memory, what became of it; a stop of all calls is no attempt of its own."""
    lead = lookups.lead_of(problem)
    line.code, line.sentence = problem.code[:60], problem.sentence[:300]
    if lead in lookups.STOPS:
        line.due_at, line.attempts = now, 0
        return
    repeatable = lead in (Lead.RETRY, Lead.SLOW_DOWN)
    again = queue.retry_at(claim, now=now, after=problem.retry_after) if repeatable else None
    line.due_at, line.attempts = again, claim.attempts
    if again is None:
        line.state = LineState.FAILED


def count_repeats(taken: Sequence[tuple[queue.Claim, BulkLine]]) -> None:
    """Count on its line, and among the calls, that an earlier attempt was cut off."""
    cut = [(claim, line) for claim, line in taken if claim.interrupted is not None]
    if not cut:
        return
    BulkLine.objects.filter(pk__in=[c.pk for c, _ in cut]).update(repeats=F("repeats") + 1)
    calls.record_many(
        [
            calls.cut_off(
                party=NAME,
                operation=QUANTITIES.name,
                kind=QUANTITIES.kind,
                started_at=claim.interrupted,
            )
            for claim, _ in cut
            if claim.interrupted is not None
        ]
    )
