"""The crews of the worker that work on bulk runs: each some threads, and one that writes.

Lines are claimed and recorded in batches. A crew holds no more lines than its threads plus one
write batch, so a kill repeats no more than that, and each repeat is counted on its line.
"""

import contextlib
import queue as handover
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, F, Min, OuterRef, Q, QuerySet, When

from core import queue
from core.outcomes import Outcome
from gasquotes import budget, bulk, lookups, recording
from gasquotes.client import Answer, SupplyPoints
from gasquotes.messages import Filter
from gasquotes.models import BULK, LINES, BulkLine, BulkRun, Crew, LookUp
from gasquotes.recording import Job, Result

Clock = Callable[[], datetime]
State, LineState = BulkRun.State, BulkLine.State
WRITTEN_AT_ONCE = 50  # lines, by all crews together
TURN = timedelta(seconds=8)  # then a crew makes room for other work
WRITE_AFTER = 0.2  # seconds that a result waits for others
LOOK_AGAIN = timedelta(seconds=0.5)  # when no line was due


def work(*, claim: queue.Claim, open_service: Callable[[], SupplyPoints], now: Clock) -> None:
    """Work on running runs for one turn of a crew; say when it is needed next."""
    crew: Crew = claim.row()
    if crew.number > settings.GASQUOTES_CREWS:
        queue.settle(claim)
        return
    threads = _share(settings.GASQUOTES_AT_ONCE, crew.number)
    batch = _share(WRITTEN_AT_ONCE, crew.number)
    with _Callers(threads, open_service, now) as callers:
        _Turn(callers, batch, now).run(until=now() + TURN)
    with contextlib.suppress(queue.ClaimLost), transaction.atomic():
        queue.settle(claim)
    _finish_runs(now())
    _next_turn(crew, now())


def _share(whole: int, number: int) -> int:
    """A crew's part of a number that all crews share; at least one."""
    crews = settings.GASQUOTES_CREWS
    return max(1, whole // crews + (1 if number <= whole % crews else 0))


def _next_turn(crew: Crew, now: datetime) -> None:
    """Due again as soon as a line of a running run is, or when calls may be made again.

    Asked after the claim was given up: a run that started meanwhile is seen here.
    """
    free_at = Case(When(claim=None, then=F("due_at")), default=F("claimed_until"))
    at = _waiting_lines([*_running()]).aggregate(at=Min(free_at))["at"]
    if at is None:
        return
    stands = budget.standing(now=now)
    at = max(at, now, stands.stopped_until or now)
    rung_at = now if at <= now else None
    with transaction.atomic():
        Crew.objects.filter(pk=crew.pk, claim=None).update(due_at=at, rung_at=rung_at)
        if rung_at:
            transaction.on_commit(lambda: queue.ring(BULK.name, crew.pk))


def _running() -> dict[int, BulkRun]:
    return {run.pk: run for run in BulkRun.objects.filter(state=State.RUNNING)}


def _waiting_lines(runs: Sequence[int]) -> QuerySet[BulkLine]:
    return BulkLine.objects.filter(run__in=runs, state=LineState.WAITING)


def _finish_runs(now: datetime) -> None:
    """Close runs whose last line is over, and let their portfolios know what was found."""
    waiting = BulkLine.objects.filter(run=OuterRef("pk"), state=LineState.WAITING)
    over = BulkRun.objects.filter(~Exists(waiting), state=State.RUNNING)
    for run in over:
        with transaction.atomic():
            mine = BulkRun.objects.filter(pk=run.pk, state=State.RUNNING)
            if mine.update(state=State.FINISHED, state_at=now, finished_at=now):
                bulk.to_portfolio(run)


# ---- One turn ----------------------------------------------------------------------------------


class _Callers:
    """Threads that call the service, each on its own connection; none touches the database."""

    def __init__(self, size: int, open_service: Callable[[], SupplyPoints], now: Clock) -> None:
        self.size = size
        self.results: handover.SimpleQueue[Result] = handover.SimpleQueue()
        self._jobs: handover.SimpleQueue[Job | None] = handover.SimpleQueue()
        self._open, self._now = open_service, now
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(size)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for _thread in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def send(self, job: Job) -> None:
        """Hand a job to whichever thread is free."""
        self._jobs.put(job)

    def _run(self) -> None:
        with self._open() as service:
            while (job := self._jobs.get()) is not None:
                self.results.put(self._call(service, job))

    def _call(self, service: SupplyPoints, job: Job) -> Result:
        wait = (job.moment - self._now()).total_seconds()
        if wait > 0 and self._ended.wait(wait):
            return Result(job, None, self._now())
        if -wait > budget.LATE.total_seconds():
            return Result(job, None, self._now())
        try:
            came: Answer | Exception = service.quantities(Filter(mprn=job.line.mprn))
        except Exception as problem:  # noqa: BLE001 - a fault of ours ends the turn, not a thread
            came = problem
        return Result(job, came, self._now())


class _Turn:
    """One crew at work: claims lines, gets them permits, hands them out and writes what came."""

    def __init__(self, callers: _Callers, batch: int, now: Clock) -> None:
        self._callers, self._batch, self._now = callers, batch, now
        self._held: deque[tuple[queue.Claim, BulkLine]] = deque()  # claimed, without a permit yet
        self._out = 0  # handed out
        self._back: list[Result] = []  # answered, not written
        self._ask_at = self._claim_at = now()  # not before

    def run(self, *, until: datetime) -> None:
        """Work until the time is over or nothing is left to do now."""
        while self._now() < until and self._step(self._now()):
            self._collect()
        self._release()
        while self._out or self._back:
            self._collect()
            self._step(self._now(), feed=False)

    def _step(self, now: datetime, *, feed: bool = True) -> bool:
        """Write what came and take new work, in one transaction; then hand that out.

        One transaction, because each waits for the other crews' on SQLite. False: nothing to do.
        """
        jobs: list[Job] = []
        ripe, hungry = self._is_ripe(now), feed and self._is_hungry(now)
        if ripe or hungry:
            with transaction.atomic():
                if ripe:
                    self._write(now)
                if hungry:
                    self._claim(now)
                    jobs = self._permitted(now)
        for job in jobs:
            self._callers.send(job)
        may_go_on = bool(self._held) and self._ask_at <= now + budget.AHEAD
        return bool(self._out or self._back or may_go_on)

    @property
    def _room(self) -> int:
        """How many more lines may be claimed."""
        mine = self._out + len(self._back) + len(self._held)
        return min(self._callers.size + self._batch - mine, self._batch)

    @property
    def _idle(self) -> int:
        """How many more may be handed out; some wait their turn, so that no thread waits."""
        return self._callers.size + self._batch // 2 - self._out

    def _is_hungry(self, now: datetime) -> bool:
        some = bool(self._held) or self._claim_at <= now
        return some and self._ask_at <= now and self._idle * 2 >= self._batch

    def _is_ripe(self, now: datetime) -> bool:
        """Whether results are many or old, or nothing else is under way."""
        if not self._back:
            return False
        oldest = min(result.at for result in self._back)
        many = len(self._back) * 2 >= self._batch
        return many or not self._out or (now - oldest).total_seconds() >= WRITE_AFTER

    def _write(self, now: datetime) -> None:
        recording.write(self._back, now)
        self._back = []

    def _claim(self, now: datetime) -> None:
        """Take lines; those that an earlier look-up answers are over at once."""
        if self._claim_at > now or self._room <= 0:
            return
        taken = self._take(now)
        recording.count_repeats(taken)
        known = _known(taken, now)
        recording.save_done([line for _, line in taken if line.mprn in known], known)
        self._held.extend((claim, line) for claim, line in taken if line.mprn not in known)
        if not taken:
            self._claim_at = now + LOOK_AGAIN

    def _take(self, now: datetime) -> list[tuple[queue.Claim, BulkLine]]:
        runs = _running()
        due = replace(LINES, ready=LINES.ready & Q(run__in=[*runs]))
        taken = queue.claim_rows(due, self._room, now=now)
        for _, line in taken:
            line.run = runs[line.run_id]
        return taken

    def _permitted(self, now: datetime) -> list[Job]:
        """Have calls counted and given their moments; they are sent after the commit."""
        wanted = min(self._idle, len(self._held))
        if wanted <= 0 or self._ask_at > now:
            return []
        permit = budget.permit(wanted, now=now)
        self._ask_at = now if permit.moments else permit.again_at
        self._out += len(permit.moments)
        return [Job(*self._held.popleft(), moment) for moment in permit.moments]

    def _collect(self) -> None:
        """Wait a moment for results, and take those that are there."""
        with contextlib.suppress(handover.Empty):
            self._took(self._callers.results.get(timeout=WRITE_AFTER if self._out else 0.05))
            while len(self._back) * 2 < self._batch:
                self._took(self._callers.results.get(timeout=0.01))

    def _took(self, result: Result) -> None:
        self._out -= 1
        if result.came is None:
            budget.give_back(1, now=result.at)
            self._held.append((result.job.claim, result.job.line))
        elif isinstance(result.came, Answer | Outcome):
            self._back.append(result)
        else:
            raise result.came

    def _release(self) -> None:
        """Give back claimed lines that were not handed out."""
        held = [line.pk for _, line in self._held]
        tokens = {claim.token for claim, _ in self._held}
        BulkLine.objects.filter(pk__in=held, claim__in=tokens).update(**queue.FREE)
        self._held.clear()


def _known(taken: Sequence[tuple[queue.Claim, BulkLine]], now: datetime) -> dict[str, LookUp]:
    wanted = [line.mprn for _, line in taken if not line.run.look_up_all]
    return lookups.recent(wanted, now=now) if wanted else {}
