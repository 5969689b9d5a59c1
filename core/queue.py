"""Due rows and who works on them: the database is the truth, Celery only the doorbell.

A row is due when its queue's condition holds and `due_at` has come. Workers claim rows with one
conditional UPDATE and hold them for a lease; a lost, late or doubled message costs time only.
"""

import random
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from celery import current_app
from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q

log = structlog.get_logger(__name__)

RING_AGAIN_AFTER = timedelta(seconds=10)
SWEEP_LIMIT = 200
TOGETHER_SECONDS = 0.05
BACK_OFF_SECONDS = (5, 15, 30, 60, 120, 300, 600, 1800, 3600)


class ClaimLost(Exception):
    """The claim is no longer ours: the lease ran out, or a person moved the case on meanwhile."""


class QueueRow(models.Model):
    """A row that a worker may have to do something about. Columns belong to this module alone."""

    due_at = models.DateTimeField(null=True, blank=True, db_index=True, editable=False)
    rung_at = models.DateTimeField(null=True, blank=True, editable=False)
    claim = models.UUIDField(null=True, blank=True, db_index=True, editable=False)
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    caused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )
    caused_by_name = models.CharField(max_length=310, blank=True, editable=False)

    class Meta:
        abstract = True


class Cause(Protocol):
    """Who made a row due: somebody with a name, and a user if they are staff."""

    @property
    def name(self) -> str:
        """The name as it is recorded."""

    @property
    def user(self) -> Any:
        """The member of staff, else None."""


FREE: dict[str, Any] = {"claim": None, "claimed_at": None, "claimed_until": None}


@dataclass(frozen=True)
class Queue:
    """Work of one kind: the rows it takes, the task that does it, its lease and its patience.

    `once` marks work that must not be repeated: its rows are claimed a single time, and a claim
    that was not settled within its lease is given to `abandoned_task`, never claimed again.
    """

    name: str
    model_label: str
    ready: Q
    lease: timedelta = field(
        default_factory=lambda: timedelta(seconds=settings.QUEUE_LEASE_SECONDS)
    )
    limit: int = 40
    once: bool = False
    abandoned_task: str = ""

    def rows(self) -> models.QuerySet[Any]:
        """All rows that this queue's condition takes, due or not."""
        model: type[models.Model] = apps.get_model(self.model_label)
        return model._default_manager.filter(self.ready)

    def free(self, now: datetime) -> models.QuerySet[Any]:
        """Rows that are due and that nobody holds."""
        free = Q(claim=None) if self.once else Q(claim=None) | Q(claimed_until__lt=now)
        return self.rows().filter(free, due_at__lte=now)

    def abandoned(self, now: datetime) -> models.QuerySet[Any]:
        """Rows whose worker stopped without settling its claim."""
        return self.rows().filter(claim__isnull=False, claimed_until__lt=now)


@dataclass(frozen=True)
class Claim:
    """One worker's hold on one row. `interrupted` tells when an earlier worker was cut off."""

    queue: Queue
    pk: int
    token: uuid.UUID
    attempts: int
    interrupted: datetime | None = None

    def row(self) -> Any:
        """Read the claimed row."""
        return apps.get_model(self.queue.model_label)._default_manager.get(pk=self.pk)


_queues: dict[str, Queue] = {}


def register(queue: Queue) -> Queue:
    """Make a queue known to the sweep; its name is the name of the task that works on it."""
    _queues[queue.name] = queue
    return queue


def all_queues() -> tuple[Queue, ...]:
    """Every registered queue in the order of names."""
    return tuple(_queues[name] for name in sorted(_queues))


def due(
    queue: Queue,
    pk: int,
    *,
    now: datetime,
    at: datetime | None = None,
    by: Cause | None = None,
) -> None:
    """Say that a row is due (now, or at a later time) and ring the bell when this commits.

    `by` is who caused it, for the record of the calls it leads to; None is the portal itself.
    Call it in the transaction that gives the row its new state. It restarts the count of attempts.
    Work that must not be repeated stays with its claim until `move()` or `settle()` ends that.
    """
    at = at or now
    rung_at = now if at <= now else None
    rows = queue.rows().filter(pk=pk)
    rows = rows.filter(claim=None) if queue.once else rows
    cause = {"caused_by": by and by.user, "caused_by_name": by.name if by else ""}
    rows.update(due_at=at, rung_at=rung_at, attempts=0, **cause, **FREE)
    if at <= now:
        transaction.on_commit(lambda: ring(queue.name, pk))


def ring(task: str, pk: int) -> None:
    """Tell a worker by task name. A bell that cannot be rung is found by the sweep."""
    try:
        current_app.send_task(task, args=[pk], ignore_result=True)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the row is committed and due
        log.warning("bell_not_rung", task=task, pk=pk, problem=type(problem).__name__)


def ring_soon(task: str, pk: int) -> None:
    """Ring beside the caller, who waits for no broker: at once, then once for all that come soon.

    For tasks that empty their queue whichever row the bell names. What a process has not rung when
    it ends is found by the sweep.
    """
    global _ringer  # noqa: PLW0603 - one a process; a forked one starts its own
    with _ringing:
        _to_ring[task] = pk
        if _ringer is None or not _ringer.is_alive():
            _ringer = threading.Thread(target=_ring_together, name="bells", daemon=True)
            _ringer.start()
    _rung_for.set()


def _ring_together() -> None:
    while _rung_for.wait():
        _rung_for.clear()
        with _ringing:
            bells = dict(_to_ring)
            _to_ring.clear()
        for task, pk in bells.items():
            ring(task, pk)
        time.sleep(TOGETHER_SECONDS)


_ringer: threading.Thread | None = None
_ringing = threading.Lock()
_rung_for = threading.Event()
_to_ring: dict[str, int] = {}


def claim(queue: Queue, pk: int, *, now: datetime) -> Claim | None:
    """Take one due row for the length of the lease, or return None when it is not to be had."""
    taken = _take(queue, queue.free(now).filter(pk=pk), now)
    return taken[0] if taken else None


def claim_batch(queue: Queue, size: int, *, now: datetime) -> list[Claim]:
    """Take up to `size` due rows in one statement, oldest first."""
    oldest = list(queue.free(now).order_by("due_at", "pk").values_list("pk", flat=True)[:size])
    return _take(queue, queue.free(now).filter(pk__in=oldest), now) if oldest else []


def claim_rows(queue: Queue, size: int, *, now: datetime) -> list[tuple[Claim, Any]]:
    """Take up to `size` due rows, oldest first, and return them as they were read.

    Call it in a transaction. Where the database can, rows that another worker is just taking are
    passed over, so that two workers get different ones instead of one getting none.
    """
    oldest = queue.free(now).order_by("due_at", "pk")
    if connection.features.has_select_for_update_skip_locked:
        oldest = oldest.select_for_update(skip_locked=True, of=("self",))
    rows = list(oldest[:size])
    if not rows:
        return []
    token = uuid.uuid4()
    mine = queue.free(now).filter(pk__in=[row.pk for row in rows])
    if _mark(queue, mine, token, now) < len(rows):
        won = set(queue.rows().filter(claim=token).values_list("pk", flat=True))
        rows = [row for row in rows if row.pk in won]
    return [(_claim_of(queue, row, token, now), row) for row in rows]


def _claim_of(queue: Queue, row: Any, token: uuid.UUID, now: datetime) -> Claim:
    """Bring a row that was read before its claim up to date."""
    interrupted = row.claimed_at if row.claim else None
    row.claim, row.claimed_at, row.claimed_until = token, now, now + queue.lease
    row.attempts += 1
    return Claim(queue, row.pk, token, row.attempts, interrupted)


def _take(queue: Queue, rows: models.QuerySet[Any], now: datetime) -> list[Claim]:
    token = uuid.uuid4()
    before = dict(rows.exclude(claim=None).values_list("pk", "claimed_at"))
    if not _mark(queue, rows, token, now):
        return []
    mine = queue.rows().filter(claim=token).values_list("pk", "attempts").order_by("pk")
    return [Claim(queue, pk, token, attempts, before.get(pk)) for pk, attempts in mine]


def _mark(queue: Queue, rows: models.QuerySet[Any], token: uuid.UUID, now: datetime) -> int:
    """Put a claim on rows. Returns on how many."""
    return models.QuerySet.update(
        rows,
        claim=token,
        claimed_at=now,
        claimed_until=now + queue.lease,
        attempts=F("attempts") + 1,
    )


def settle(claim: Claim, *, due_at: datetime | None = None, keep_attempts: bool = False) -> None:
    """Give a row back: done, or due again at a time. Raises `ClaimLost` when it is not ours.

    Call it in the transaction that records the result, before anything else is written.
    """
    fields: dict[str, Any] = {**FREE, "due_at": due_at, "rung_at": None}
    if not keep_attempts:
        fields["attempts"] = 0
    if not claim.queue.rows().filter(pk=claim.pk, claim=claim.token).update(**fields):
        raise ClaimLost(f"{claim.queue.name} {claim.pk}")


def settle_all(claims: Sequence[Claim]) -> None:
    """Give rows of one queue back, all done. Raises `ClaimLost` when one of them is not ours.

    Call it as `settle`: a transaction that meets `ClaimLost` must be rolled back.
    """
    ours = models.Q()
    tokens: dict[uuid.UUID, list[int]] = {}
    for each in claims:
        tokens.setdefault(each.token, []).append(each.pk)
    for token, pks in tokens.items():
        ours |= models.Q(claim=token, pk__in=pks)
    rows = claims[0].queue.rows().filter(ours)
    if rows.update(**FREE, due_at=None, rung_at=None, attempts=0) != len(claims):
        raise ClaimLost(f"{claims[0].queue.name}, one of {len(claims)}")


def retry_at(claim: Claim, *, now: datetime, after: float | None = None) -> datetime | None:
    """When to try again after this attempt (seconds grow, with jitter), None at the limit."""
    if claim.attempts >= claim.queue.limit:
        return None
    step = BACK_OFF_SECONDS[min(claim.attempts, len(BACK_OFF_SECONDS)) - 1]
    wait = max(step * random.uniform(0.9, 1.1), after or 0)  # noqa: S311 - not a secret
    return now + timedelta(seconds=min(wait, 6 * 3600))


def wake(queue: Queue, *, now: datetime, after: timedelta = timedelta(seconds=10)) -> int:
    """Bring rows that wait after a failure forward: the party answers again. Returns how many."""
    waiting = queue.rows().filter(claim=None, attempts__gt=0, due_at__gt=now + after)
    return waiting.update(due_at=now + after, rung_at=None)


def sweep(*, now: datetime) -> int:
    """Ring for every due row whose bell was lost or is old. Returns how many were rung."""
    return sum(_sweep_one(queue, now) for queue in all_queues())


def _sweep_one(queue: Queue, now: datetime) -> int:
    rung = _ring_old(queue, queue.free(now).order_by("due_at"), queue.name, now)
    if queue.once:
        rung += _ring_old(queue, queue.abandoned(now), queue.abandoned_task, now)
    return rung


def _ring_old(queue: Queue, rows: models.QuerySet[Any], task: str, now: datetime) -> int:
    """Ring for rows whose last bell was not just now. Returns for how many."""
    old = Q(rung_at=None) | Q(rung_at__lt=now - RING_AGAIN_AFTER)
    pks = list(rows.filter(old).values_list("pk", flat=True)[:SWEEP_LIMIT])
    if pks:
        queue.rows().filter(pk__in=pks).update(rung_at=now)
    for pk in pks:
        ring(task, pk)
    return len(pks)


@dataclass(frozen=True)
class Standing:
    """How a queue stands, for the health page."""

    name: str
    waiting: int
    overdue: int
    claimed: int
    oldest: datetime | None


def standings(*, now: datetime) -> Iterator[Standing]:
    """Count each queue's rows, one query each. Overdue: due for over a minute, unclaimed."""
    late = Q(due_at__lt=now - timedelta(minutes=1), claim=None)
    for queue in all_queues():
        counts = queue.rows().aggregate(
            waiting=models.Count("pk", filter=Q(due_at__isnull=False, claim=None)),
            overdue=models.Count("pk", filter=late),
            claimed=models.Count("pk", filter=Q(claim__isnull=False)),
            oldest=models.Min("due_at", filter=Q(claim=None, due_at__lte=now)),
        )
        yield Standing(queue.name, **counts)
