"""The verbs of the metering desk, and the only place that changes its state.

The service asks the meters, one open collection a remote address. A result is committed as
a delivery before it is answered, and stored later; the order in which results come changes nothing.
"""

import contextlib
import hashlib
import secrets
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from core import alarms, calls, queue
from core.models import Note, StatusChange, User, next_references
from core.outcomes import CallRecord, Outcome, Refused, Unavailable, Unexpected
from core.settlement import HALF_HOUR, Span
from core.workflow import PORTAL, Actor, Impossible, NotAllowed, Who, move
from metering import messages, missing, rules, stored
from metering.client import Found, MeterCommunications
from metering.messages import CollectionRequest, OutcomeKind, Result
from metering.models import (
    ASK,
    CANCEL,
    FETCH,
    READ,
    REQUEST,
    STORE,
    Batch,
    Channel,
    Delivery,
    Meter,
    MeterAlarm,
    MeterChange,
    MeterImport,
    MeterRead,
    MeterType,
    ReadCheck,
    Schedule,
    hash_token,
)
from metering.readings import Arrival, Stored, checked_meters, store_readings

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
Status = MeterRead.Status
Fault = MeterRead.Fault
SILENT = "metering service silent"
ODD = "metering service odd"
NOT_STORED = "metering result not stored"
QUIET = timedelta(seconds=30)
ADDRESS_BUSY = timedelta(seconds=60)
AT_ONCE = 500
MOST_STRANGERS = 5  # documents under one collection's address that are not about it
LONGEST_COMPARED = timedelta(days=100)
COMPARED_READS = 6  # register reads whose half hours are looked at again with a new one


class AskedAlready(Impossible):
    """This very confirmation was carried out before: a double click, the back button."""

    sentence = "This was asked already; it was not asked twice."


class AdjustNotAllowed(NotAllowed):
    """Adjusting a meter's clock is a permission of its own."""

    sentence = "Your role does not adjust clocks. Ask without it, or ask a supervisor."


@dataclass(frozen=True)
class Wish:
    """What is asked of each meter; the parameters of collection-request that people choose."""

    survey_days: int = 0
    survey_date: date | None = None
    delay_until: datetime | None = None
    priority: int | None = None
    adjust_time: bool = False


# ---- Asking -----------------------------------------------------------------------------------


def ask(
    *,
    meters: Iterable[Meter],
    wish: Wish,
    by: Actor,
    now: Clock,
    title: str,
    after: MeterRead | None = None,
    confirmation: str | None = None,
) -> Batch:
    """Ask these meters: one read each, in one transaction, sent by the worker.

    Raises `NotAllowed` when the person may not ask, or may not have clocks adjusted, and
    `AskedAlready` when a batch with this confirmation exists.
    """
    if by.who is not Who.PORTAL and not (by.user and by.user.has_perm(ASK)):
        raise NotAllowed("Your role does not ask meters.")
    if wish.adjust_time and not (by.user and by.user.has_perm("metering.adjust_meter_time")):
        raise AdjustNotAllowed
    moment = now()
    with transaction.atomic():
        batch, fresh = Batch.objects.get_or_create(
            confirmation=confirmation or str(uuid.uuid4()),
            defaults={"title": title[:100], "by": by.user, "at": moment},
        )
        if not fresh:
            raise AskedAlready
        chosen = list(meters)
        for first in range(0, len(chosen), AT_ONCE):
            _open(batch, chosen[first : first + AT_ONCE], wish, by, now=moment, after=after)
    return batch


def _open(
    batch: Batch,
    meters: Sequence[Meter],
    wish: Wish,
    by: Actor,
    *,
    now: datetime,
    after: MeterRead | None,
) -> None:
    references = next_references("MTR", timezone.localtime(now), len(meters))
    reads = [
        _new_read(batch, meter, wish, reference, now=now, after=after)
        for meter, reference in zip(meters, references, strict=True)
    ]
    made = MeterRead.objects.bulk_create(reads)
    StatusChange.objects.bulk_create(
        StatusChange(
            case_label="metering.meterread",
            case_id=read.pk,
            reference=read.reference,
            move="open",
            to_status=read.status,
            by=by.user,
            by_name=by.name,
            at=now,
        )
        for read in made
    )
    transaction.on_commit(lambda: queue.ring(REQUEST.name, made[0].pk))


def _new_read(
    batch: Batch,
    meter: Meter,
    wish: Wish,
    reference: str,
    *,
    now: datetime,
    after: MeterRead | None,
) -> MeterRead:
    token = secrets.token_urlsafe(32)
    return MeterRead(
        reference=reference,
        status=MeterRead.FIRST,
        status_at=now,
        created_at=now,
        due_at=now,
        caused_by=batch.by,
        caused_by_name=str(batch.by) if batch.by else "",
        meter=meter,
        batch=batch,
        asked_after=after,
        why="Waiting to be asked",
        priority=wish.priority or meter.priority,
        delay_until=wish.delay_until,
        survey_days=wish.survey_days,
        survey_date=wish.survey_date,
        adjust_time=wish.adjust_time,
        remote_address=meter.remote_address,
        token=token,
        token_sha256=hash_token(token),
    )


def request(*, claim: queue.Claim, service: MeterCommunications, now: Clock) -> None:
    """Send one request, unless its address is held; look it up first if in doubt."""
    read = _row(claim)
    with structlog.contextvars.bound_contextvars(case=read.reference):
        if not _hold_address(read, claim):
            # The address is busy, or a person took the read back just now.
            with contextlib.suppress(queue.ClaimLost), transaction.atomic():
                queue.settle(claim, due_at=now() + ADDRESS_BUSY)
            return
        try:
            call, document = _send(read, service)
        except Outcome as problem:
            _not_requested(claim, read, problem, now())
            return
        _requested(claim, read, call, now())
        if document:
            take_fetched(read=read, body=document, now=now)


def _row(claim: queue.Claim) -> MeterRead:
    rows = MeterRead.objects.select_related("meter__meter_type")
    read: MeterRead = rows.get(pk=claim.pk)
    return read


def _hold_address(read: MeterRead, claim: queue.Claim) -> bool:
    """Hold the remote address for this read alone, and note that it may be sent from now on."""
    mine = MeterRead.objects.filter(pk=read.pk, claim=claim.token)
    try:
        with transaction.atomic():
            return bool(mine.update(holds_address=read.remote_address, maybe_sent=True))
    except IntegrityError:
        return False


def _send(read: MeterRead, service: MeterCommunications) -> tuple[CallRecord, bytes]:
    """Send, or find that an earlier attempt arrived. Returns the call and a document if found."""
    if read.maybe_sent:
        found = service.find_collection(str(read.our_reference))
        if found.body is not None:
            return found.call, found.body
    return service.request_collection(request_for(read)).call, b""


def request_for(read: MeterRead) -> CollectionRequest:
    """The request as it goes out, with the meter's particulars as they are now."""
    meter = read.meter
    return CollectionRequest(
        request_reference=str(read.our_reference),
        response_url=settings.PUBLIC_BASE_URL + reverse("metering:results", args=[read.token]),
        mpan=meter.mpan,
        priority=read.priority,
        meter_type=meter.meter_type.code,
        remote_address=read.remote_address,
        delay_until=read.delay_until,
        coms_settings=meter.coms_settings,
        outstation_address=meter.outstation_address,
        serial_number=meter.serial_number,
        password=meter.password,
        survey_days=read.survey_days,
        survey_date=read.survey_date,
        adjust_time=read.adjust_time,
    )


def _settled(claim: queue.Claim, *, due_at: datetime | None) -> bool:
    """Settle; False when a result or a person was faster than our own record, which wins."""
    try:
        queue.settle(claim, due_at=due_at, keep_attempts=due_at is not None)
    except queue.ClaimLost:
        return False
    return True


def _requested(claim: queue.Claim, read: MeterRead, call: CallRecord, now: datetime) -> None:
    due = max(now, read.delay_until or now)
    due += timedelta(minutes=settings.METERING_RESULT_DUE_AFTER)
    with transaction.atomic():
        calls.record(call, case=read)
        if not _settled(claim, due_at=None):
            _tell_if_cancelled(read, now)
            return
        why = "Asked; the result is expected"
        move(read, "request", by=PORTAL, now=now, why=why, sent_at=now, due_by=due)
        queue.due(FETCH, read.pk, now=now, at=due)
    alarms.over(SILENT, now=now, quiet_for=QUIET)
    alarms.over(ODD, now=now, quiet_for=QUIET)


def _tell_if_cancelled(read: MeterRead, now: datetime) -> None:
    """Cancel once more what arrived after it was cancelled."""
    if MeterRead.objects.filter(pk=read.pk, status=Status.CANCELLED).update(cancel_due=True):
        queue.due(CANCEL, read.pk, now=now)


def _not_requested(claim: queue.Claim, read: MeterRead, problem: Outcome, now: datetime) -> None:
    surely_not_sent = isinstance(problem, Unavailable) and not problem.sent
    again = None if isinstance(problem, Refused) else queue.retry_at(claim, now=now)
    with transaction.atomic():
        calls.record(problem.call, case=read)
        if not _settled(claim, due_at=again):
            return
        if again is None:
            fault = _fault_of(problem, read, surely_not_sent=surely_not_sent)
            _fail(read, problem.sentence, problem.next_step, now, fault=fault)
            return
        why = f"{problem.sentence} Next try {timezone.localtime(again):%H:%M}."
        fields: dict[str, Any] = {"why": why[:300]}
        # As it was read before this attempt: an earlier one may have arrived, then look it up.
        if surely_not_sent and not read.maybe_sent:
            fields |= {"maybe_sent": False, "holds_address": None}
        MeterRead.objects.filter(pk=read.pk).update(**fields)
    _sound(problem, now)


def _fault_of(problem: Outcome, read: MeterRead, *, surely_not_sent: bool) -> str:
    if isinstance(problem, Refused):
        # Without a call we refused it ourselves: it breaks the parameter table.
        return Fault.REFUSED if problem.call else Fault.NOT_SENT
    return Fault.NOT_SENT if surely_not_sent and not read.maybe_sent else Fault.SERVICE


def request_stopped(*, claim: queue.Claim, problem: Exception, now: Clock) -> None:
    """Give a request back after a fault of our own; at the limit the read fails and says so."""
    moment = now()
    again = queue.retry_at(claim, now=moment)
    with _left_to_its_lease(claim), transaction.atomic():
        if _settled(claim, due_at=again) and again is None:
            sentence = f"A fault of the portal stopped this request ({type(problem).__name__})."
            step = "Tell whoever runs the portal, then ask the meter again."
            _fail(_row(claim), sentence, step, moment, fault=Fault.NOT_SENT)


@contextlib.contextmanager
def _left_to_its_lease(claim: queue.Claim) -> Iterator[None]:
    """Go on with the other rows even if this one cannot be given back now."""
    try:
        yield
    except Exception:
        log.exception("left_to_its_lease", queue=claim.queue.name, pk=claim.pk)


def _fail(read: MeterRead, sentence: str, next_step: str, now: datetime, *, fault: str) -> None:
    why = f"{sentence} {next_step}".strip()[:300]
    fields: dict[str, Any] = {
        "why": why,
        "holds_address": None,
        "outcome": sentence[:300],
        "due_by": None,
        "fault": fault,
    }
    move(read, "fail", by=PORTAL, now=now, note=why, **fields)
    _next_on(read.remote_address, now)


def _sound(problem: Outcome, now: datetime) -> None:
    odd = isinstance(problem, Unexpected)
    alarms.sound(
        ODD if odd else SILENT,
        desk="metering",
        title="The meter communications service’s reply is not what it promises"
        if odd
        else "The meter communications service gives no usable answer",
        text=problem.sentence,
        next_step=problem.next_step,
        now=now,
    )


def _next_on(address: str, now: datetime) -> None:
    """The address is free: let the next waiting read for it go."""
    waiting = MeterRead.objects.filter(remote_address=address, status=Status.WAITING, claim=None)
    pk = waiting.order_by("priority", "created_at", "pk").values_list("pk", flat=True).first()
    if pk is not None:
        queue.due(REQUEST, pk, now=now)


def _next_on_each(addresses: Iterable[str], now: datetime) -> None:
    """The addresses are free; nearly always nothing waits for any of them (one query)."""
    waiting = MeterRead.objects.filter(
        remote_address__in=addresses, status=Status.WAITING, claim=None
    )
    for address in waiting.order_by().values_list("remote_address", flat=True).distinct():
        _next_on(address, now)


# ---- Taking back --------------------------------------------------------------------------------


def cancel(*, read: MeterRead, by: Actor, now: Clock) -> None:
    """Cancel a read; where it may have been sent, the service is told. Raises `Conflict`."""
    moment = now()
    with transaction.atomic():
        why = f"Cancelled by {by.name}"[:300]
        # Not what was read: a worker may have sent it since.
        fields: dict[str, Any] = {"why": why, "holds_address": None, "due_by": None}
        move(read, "cancel", by=by, now=moment, cancel_due=F("maybe_sent"), **fields)
        if CANCEL.rows().filter(pk=read.pk).exists():
            queue.due(CANCEL, read.pk, now=moment)
        _next_on(read.remote_address, moment)


def tell_cancelled(*, claim: queue.Claim, service: MeterCommunications, now: Clock) -> None:
    """Tell the service that a request is taken back; "OK" does not mean that it did not run."""
    read = _row(claim)
    try:
        call: CallRecord | None = service.cancel_collection(str(read.our_reference)).call
        again = None
    except Refused as problem:
        call, again = problem.call, None
    except Outcome as problem:
        call, again = problem.call, queue.retry_at(claim, now=now())
        _sound(problem, now())
    with transaction.atomic():
        calls.record(call, case=read)
        if _settled(claim, due_at=again) and again is None:
            MeterRead.objects.filter(pk=read.pk).update(cancel_due=False)


# ---- Fetching what did not come -----------------------------------------------------------------


def fetch(*, claim: queue.Claim, service: MeterCommunications, now: Clock) -> None:
    """Ask for a result that is overdue and take it exactly like one that was delivered."""
    read = _row(claim)
    try:
        found = service.find_collection(str(read.our_reference))
    except Outcome as problem:
        _not_fetched(claim, read, problem, now())
        return
    _fetched(claim, read, found, now())
    if found.body:
        take_fetched(read=read, body=found.body, now=now)


def _not_fetched(claim: queue.Claim, read: MeterRead, problem: Outcome, now: datetime) -> None:
    again = queue.retry_at(claim, now=now, after=60)
    with transaction.atomic():
        calls.record(problem.call, case=read)
        if _settled(claim, due_at=again) and again is None:
            step = "Ask the meter again when the service works."
            _fail(read, problem.sentence, step, now, fault=Fault.SERVICE)
    _sound(problem, now)


def _fetched(claim: queue.Claim, read: MeterRead, found: Found, now: datetime) -> None:
    with transaction.atomic():
        calls.record(found.call, case=read)
        again = queue.retry_at(claim, now=now, after=600) if found.body else None
        if not _settled(claim, due_at=again):
            return
        if found.body is None:
            sentence = "The service does not know our request."
            _fail(read, sentence, "Ask the meter again.", now, fault=Fault.SERVICE)
        elif again is None:
            sentence = "No result came for a long time."
            _fail(read, sentence, "Ask the meter again.", now, fault=Fault.SERVICE)


# ---- Deliveries ---------------------------------------------------------------------------------


def deliver(
    *,
    read: MeterRead,
    reference: str,
    body: bytes,
    sender: str,
    secrets: Sequence[str],
    now: Clock,
) -> bool:
    """Commit a result before it is answered. False when its reference belongs to another read.

    The same body again changes nothing. The password is gone before anything is written, and so
    are `secrets`: what the meter's is known to be. Of those with another reference a few are kept
    for people to look at.
    """
    ours = reference.strip().lower() == str(read.our_reference)
    if ours or _may_keep_stranger(read):
        _commit(read if ours else None, reference, body, sender, now(), secrets=secrets)
    return ours


def _may_keep_stranger(read: MeterRead) -> bool:
    """Count a document that is not about this read: who has its address cannot fill the disk."""
    mine = MeterRead.objects.filter(pk=read.pk)
    if mine.filter(strangers__lt=MOST_STRANGERS).update(strangers=F("strangers") + 1):
        return True
    mine.update(strangers=F("strangers") + 1)
    log.warning("stranger_not_kept", case=read.reference)
    return False


def take_fetched(*, read: MeterRead, body: bytes, now: Clock) -> None:
    """Commit a result that we asked for; one that is still PENDING is not a result."""
    known = [read.meter.password]
    try:
        result = messages.read_result(body)
    except messages.NotReadable as problem:
        keep_unreadable(read=read, body=body, sender="", why=problem.reason, secrets=known, now=now)
        return
    if result.outcome.kind is not OutcomeKind.PENDING:
        _commit(read, result.request_reference, body, "", now(), secrets=known, fetched=True)


def _commit(
    read: MeterRead | None,
    reference: str,
    body: bytes,
    sender: str,
    now: datetime,
    *,
    secrets: Sequence[str],
    fetched: bool = False,
) -> None:
    clean = messages.without_password(body, secrets)
    delivery = Delivery(
        read=read,
        their_reference=reference[:100],
        received_at=now,
        sender=sender,
        fetched=fetched,
        body=zlib.compress(clean, 1),
        size=len(clean),
        sha256=hashlib.sha256(clean).hexdigest(),
        state=Delivery.State.WAITING if read else Delivery.State.ASIDE,
        reason="" if read else "No collection under this address has this reference",
        due_at=now if read else None,
        rung_at=now if read else None,
    )
    if _inserted(delivery):
        if read:
            transaction.on_commit(lambda: queue.ring_soon(STORE.name, delivery.pk))
    else:
        log.info("the_same_result_again", case=read.reference if read else "")


def _inserted(delivery: Delivery) -> bool:
    """Insert a delivery unless its read has the same document; False when it has.

    One statement without a transaction around it: it is committed when it returns. `save()` would
    be four, while the sender waits.
    """
    columns = [each for each in Delivery._meta.concrete_fields if not each.primary_key]
    names = ", ".join(connection.ops.quote_name(str(each.column)) for each in columns)
    values = [each.get_db_prep_save(each.pre_save(delivery, True), connection) for each in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO metering_delivery ({names})"  # noqa: S608 - names of our own columns
            f" VALUES ({', '.join(['%s'] * len(columns))}) ON CONFLICT DO NOTHING RETURNING id",
            values,
        )
        row = cursor.fetchone()
    if row:
        delivery.pk = row[0]
    return row is not None


def keep_unreadable(
    *,
    read: MeterRead,
    body: bytes,
    sender: str,
    why: str,
    secrets: Sequence[str],
    now: Clock,
) -> Delivery | None:
    """Keep a body that is no result, encrypted and masked; None when a read has enough of them."""
    if not _may_keep_stranger(read):
        return None
    masked = messages.without_password(body, secrets)
    return Delivery.objects.create(
        read=None,
        their_reference=read.reference,
        received_at=now(),
        sender=sender,
        body=b"",
        unreadable=masked[:200_000].decode("utf-8", "replace").replace("\x00", ""),
        size=len(body),
        sha256=hashlib.sha256(masked).hexdigest(),
        state=Delivery.State.UNREADABLE,
        reason=why[:300],
    )


def replay(*, delivery: Delivery, read: MeterRead, by: Actor, now: Clock) -> None:
    """Store a delivery that was kept aside, for the read that a person names."""
    if by.user is None or not by.user.has_perm(READ):
        raise NotAllowed("Your role does not replay deliveries.")
    aside = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.ASIDE)
    try:
        with transaction.atomic():
            reason = f"Replayed by {by.name}"
            if not aside.update(read=read, state=Delivery.State.WAITING, reason=reason):
                raise Impossible("This delivery is not kept aside any more. Nothing was changed.")
            queue.due(STORE, delivery.pk, now=now())
    except IntegrityError as problem:
        raise Impossible("This read has the very same document already.") from problem


def store(*, claims: Sequence[queue.Claim], now: Clock) -> None:
    """Store the readings of claimed deliveries, those of different meters in one transaction.

    Where that fails each is stored in its own, so that one alone may fail.
    """
    for some in _of_different_meters(claims):
        if len(some) > 1 and _stored_together(some, now):
            continue
        for claim in some:
            _store_alone(claim, now)


def _of_different_meters(claims: Sequence[queue.Claim]) -> list[list[queue.Claim]]:
    """Deal claims out, in their order: two results of a meter are judged one after the other."""
    if len(claims) == 1:
        return [[*claims]]
    rows = Delivery.objects.filter(pk__in=[claim.pk for claim in claims])
    meters = dict(rows.values_list("pk", "read__meter"))
    dealt: list[list[queue.Claim]] = []
    turns: Counter[int | None] = Counter()
    for claim in claims:
        meter = meters.get(claim.pk)
        if turns[meter] == len(dealt):
            dealt.append([])
        dealt[turns[meter]].append(claim)
        turns[meter] += 1
    return dealt


def _stored_together(claims: Sequence[queue.Claim], now: Clock) -> bool:
    """Whether all could be stored; if not, nothing was, and why is found out one by one."""
    try:
        store_all(claims=claims, now=now)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the one it belongs to meets it again
        log.info("not_stored_together", count=len(claims), problem=type(problem).__name__)
        return False
    return True


def _store_alone(claim: queue.Claim, now: Clock) -> None:
    try:
        store_all(claims=[claim], now=now)
    except queue.ClaimLost:
        log.info("another_worker_stores_it", delivery=claim.pk)
    except Exception as problem:
        log.exception("not_stored", delivery=claim.pk)
        with _left_to_its_lease(claim):
            _not_stored(claim, problem, now())


def _not_stored(claim: queue.Claim, problem: Exception, now: datetime) -> None:
    """Try again later; in the end a person is told, and the document stays where it is."""
    again = queue.retry_at(claim, now=now)
    with transaction.atomic():
        if not _settled(claim, due_at=again) or again is not None:
            return
        reason = f"It could not be stored ({type(problem).__name__}); replay it after a repair"
        _close([claim.pk], Delivery.State.ASIDE, reason)
    alarms.sound(
        NOT_STORED,
        desk="metering",
        title="A meter result could not be stored",
        text=f"{reason}. The document is kept.",
        next_step="Tell whoever runs the portal, then replay the delivery.",
        now=now,
        lasting=False,
    )


def store_all(*, claims: Sequence[queue.Claim], now: Clock) -> None:
    """Store deliveries of different meters: readings, checks and the reads' moves, all or nothing.

    Raises `ClaimLost` when one of them is not ours any more.
    """
    rows = Delivery.objects.filter(pk__in=[claim.pk for claim in claims]).exclude(read=None)
    found = [
        (delivery, messages.read_result(zlib.decompress(bytes(delivery.body))))
        for delivery in rows.defer("unreadable").order_by("pk")
    ]
    if not found:
        return
    with transaction.atomic():
        queue.settle_all(claims)
        reads = _held_reads([delivery.read_id for delivery, _ in found])
        arrivals = [
            Arrival(reads[delivery.read_id], delivery, result) for delivery, result in found
        ]
        _judge(_kept(arrivals), now())


def _held_reads(keys: Iterable[int | None]) -> dict[int | None, MeterRead]:
    """Lock reads in the order of their keys: documents for one read are judged one by one."""
    rows = MeterRead.objects.select_for_update(of=("self",)).filter(pk__in=keys).order_by("pk")
    whole = rows.select_related("meter__meter_type").defer("token", "meter__password")
    return {read.pk: read for read in whole}


class Kept(NamedTuple):
    """A result that is to be judged, and what storing it came to."""

    read: MeterRead
    result: Result
    stored: Stored


def _kept(arrivals: Sequence[Arrival]) -> list[Kept]:
    """Store what is about the meters that were asked, and close every delivery."""
    closed: dict[tuple[str, str], list[int]] = {}
    kept, good = [], []
    for arrival in arrivals:
        read, delivery, result = arrival
        reason = "" if delivery.reason else _mismatch(result, read)
        if result.outcome.kind is OutcomeKind.PENDING:
            pending = (Delivery.State.STORED, "Still pending: nothing to store")
            closed.setdefault(pending, []).append(delivery.pk)
        elif reason:
            closed.setdefault((Delivery.State.ASIDE, reason), []).append(delivery.pk)
            kept.append(Kept(read, result, Stored(0, 0, 0)))
        else:
            good.append(arrival)
    for (read, delivery, result), each in zip(good, store_readings(good), strict=True):
        closed.setdefault((Delivery.State.STORED, each.sentence), []).append(delivery.pk)
        kept.append(Kept(read, result, each))
    for (state, reason), keys in closed.items():
        _close(keys, state, reason)
    return kept


def _close(keys: Iterable[int], state: str, reason: str) -> None:
    Delivery.objects.filter(pk__in=keys).update(state=state, reason=reason[:300])


def _mismatch(result: Result, read: MeterRead) -> str:
    """Why a result is not about the meter that was asked; empty when it is."""
    meter = read.meter
    serials = (result.serial_number, meter.serial_number)
    if result.mpan and result.mpan.strip() != meter.mpan:
        return f"It is about MPAN {result.mpan[:40]}, we asked {meter.mpan}"
    if all(serials) and rules.serial_key(serials[0]) != rules.serial_key(serials[1]):
        return f"It is about meter {serials[0][:40]}, we asked {serials[1]}"
    return ""


def _judge(kept: Sequence[Kept], now: datetime) -> None:
    """Apply the rules and move the reads; a later version that disagrees goes to a person."""
    meters = checked_meters([each.read for each in kept])
    judged = [(each, _checks(each, meters[each.read.meter_id], now)) for each in kept]
    _keep_checks([(each.read, checks) for each, checks in judged])
    _raise_alarms([(each.read, checks) for each, checks in judged], now)
    for each, checks in judged:
        _move_on(each, rules.verdict(checks), now)
    _next_on_each({each.read.remote_address for each in kept}, now)


def _checks(kept: Kept, meter: rules.Meter, now: datetime) -> tuple[rules.Check, ...]:
    return rules.check(kept.result, _with_half_hours(meter, kept.read, kept.result, now))


def _move_on(kept: Kept, verdict: rules.Verdict, now: datetime) -> None:
    read = kept.read
    fields = {**_facts(kept.result), "why": verdict.why[:300], "holds_address": None}
    fields |= {"due_by": None, "versions": read.versions + 1}
    fields["fault"] = Fault.METER if verdict.kind == "failed" else ""
    again = read.versions > 0 and kept.stored.overruled
    name = _move_name(read, verdict.kind, again=bool(again))
    if again:
        fields["why"] = f"A later result disagrees with the first. {verdict.why}"[:300]
    if name:
        move(read, name, by=PORTAL, now=now, **fields)
    else:
        fields.pop("why")
        MeterRead.objects.filter(pk=read.pk).update(**fields)


def _with_half_hours(
    meter: rules.Meter, read: MeterRead, result: Result, now: datetime
) -> rules.Meter:
    """The meter with what is stored since its latest reads, where half hours are each their own.

    A survey ends at midnight, the register is read later: their sum can be compared one read on.
    """
    since = [past[-COMPARED_READS:][0].at for past in meter.history.values() if past]
    if meter.cumulative or not result.surveys or not since:
        return meter
    ended = max((survey.times[-1] for survey in result.surveys if len(survey)), default=0)
    end = min(now, datetime.fromtimestamp(ended, UTC)) + HALF_HOUR
    span = Span(_on_the_grid(max(min(since), end - LONGEST_COMPARED)), _on_the_grid(end))
    if span.end <= span.start:
        return meter
    names = dict(Channel.objects.filter(meter=read.meter).values_list("name", "pk"))
    rows = stored.day_rows(names.values(), span)
    kept = {name: stored.half_hours(rows[pk], span) for name, pk in names.items() if rows[pk]}
    return msgspec.structs.replace(meter, half_hours=kept)


def _on_the_grid(moment: datetime) -> datetime:
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % 1800, UTC)


def _move_name(read: MeterRead, kind: str, *, again: bool) -> str:
    """Which move a result makes; empty when it changes nothing for people."""
    opened = read.status in (Status.WAITING, Status.REQUESTED, Status.FAILED)
    if kind == "failed":
        return "fail" if read.status in MeterRead.OPEN else ""
    if kind == "accept" and not again:
        return (
            "accept_clean"
            if opened
            else "give_to_person"
            if read.status == Status.CANCELLED
            else ""
        )
    settled = (Status.TO_CHECK, Status.REJECTED)
    return "" if read.status in settled else "give_to_person"


Checked = Sequence[tuple[MeterRead, Sequence[rules.Check]]]


def _keep_checks(checked: Checked) -> None:
    ReadCheck.objects.filter(read__in=[read.pk for read, _ in checked]).delete()
    ReadCheck.objects.bulk_create(
        ReadCheck(
            read_id=read.pk,
            position=position,
            code=each.code,
            title=each.title,
            result=each.result,
            sentence=each.sentence,
            figures=[list(pair) for pair in each.figures],
        )
        for read, checks in checked
        for position, each in enumerate(checks)
    )


ALARM_KINDS = {
    "tamper": MeterAlarm.Kind.TAMPER,
    "clock": MeterAlarm.Kind.CLOCK,
    "serial": MeterAlarm.Kind.SERIAL,
    "adjustment": MeterAlarm.Kind.ADJUSTMENT,
}


def _raise_alarms(checked: Checked, now: datetime) -> None:
    MeterAlarm.objects.bulk_create(
        [
            MeterAlarm(
                meter_id=read.meter_id,
                read_id=read.pk,
                kind=ALARM_KINDS[code],
                text=sentence[:300],
                raised_at=now,
            )
            for read, checks in checked
            for code, sentence in rules.alarms(checks)
            if code in ALARM_KINDS
        ],
        ignore_conflicts=True,
    )


def _facts(result: Result) -> dict[str, Any]:
    clock = result.clock
    outcome = result.outcome
    adjustment = result.adjustment
    return {
        "outcome": f"{outcome.kind.value}{': ' + outcome.details if outcome.details else ''}"[:300],
        "collection_start": result.collection_started_at,
        "collection_end": result.collection_ended_at,
        "connection_start": result.connection_started_at,
        "connection_end": result.connection_ended_at,
        "serial_read": (result.serial_number or result.serial_number_error)[:300],
        "meter_time": clock.at if clock else None,
        "clock_offset": clock.offset if clock else None,
        "time_adjustment": f"{adjustment.kind.value} {adjustment.details}".strip()[:300]
        if adjustment
        else "",
        "status_events": list(result.status_events),
        "problems": [[each.path, each.reason] for each in result.problems],
    }


# ---- People decide ----------------------------------------------------------------------------


def accept(*, read: MeterRead, reason: str, by: Actor, now: Clock) -> None:
    """Accept readings that a check questions. Raises `Conflict`, `NotAllowed`."""
    with transaction.atomic():
        move(
            read,
            "accept",
            by=by,
            now=now(),
            note=reason,
            why=f"Accepted by {by.name}: {reason}"[:300],
        )


def reject(*, read: MeterRead, reason: str, by: Actor, now: Clock) -> None:
    """Reject readings; the raw values stay. Raises `Conflict`, `NotAllowed`."""
    with transaction.atomic():
        move(
            read,
            "reject",
            by=by,
            now=now(),
            note=reason,
            why=f"Rejected by {by.name}: {reason}"[:300],
        )


def set_aside(*, read: MeterRead, reason: str, by: Actor, now: Clock) -> None:
    """Close a failed read: nothing more is expected of it. Raises `Conflict`, `NotAllowed`.

    A result that comes after all is given to a person, as after a cancellation.
    """
    why = f"Set aside by {by.name}: {reason}"[:300]
    with transaction.atomic():
        move(read, "set_aside", by=by, now=now(), note=reason, why=why)


def ask_again(*, read: MeterRead, by: Actor, now: Clock) -> MeterRead:
    """Ask the meter once more for the same, as a read linked to this one."""
    wish = Wish(survey_days=read.survey_days, survey_date=read.survey_date, priority=read.priority)
    title = f"Again after {read.reference}"
    once = f"again {read.pk} {read.asked_again.count()}"
    batch = ask(
        meters=[read.meter], wish=wish, by=by, now=now, title=title, after=read, confirmation=once
    )
    return batch.reads.get()


def acknowledge(*, alarm: MeterAlarm, note: str, by: Actor, now: Clock) -> None:
    """Record that a person has seen an alarm, with a note."""
    if by.user is None or not by.user.has_perm(READ):
        raise NotAllowed("Your role does not acknowledge alarms.")
    waiting = MeterAlarm.objects.filter(pk=alarm.pk, acknowledged_at=None)
    fields = {"acknowledged_at": now(), "acknowledged_by": by.user, "note": note}
    if not waiting.update(**fields):
        raise Impossible("Somebody has acknowledged this alarm already.")


def open_on_address(address: str) -> Q:
    """Reads that wait for, or hold, a remote address."""
    return Q(remote_address=address, status__in=MeterRead.OPEN)


# ---- By themselves ------------------------------------------------------------------------------


def run_schedules(*, now: Clock) -> list[Batch]:
    """Ask the groups whose hour has come today; a schedule runs once a day, or once a month."""
    local = timezone.localtime(now())
    today = local.date()
    due = Schedule.objects.filter(active=True, hour__lte=local.hour).exclude(last_run_on=today)
    return [batch for each in due if (batch := _run(each, today, now)) is not None]


def _run(schedule: Schedule, today: date, now: Clock) -> Batch | None:
    if schedule.every == Schedule.Every.MONTH and today.day != 1:
        return None
    mine = Schedule.objects.filter(pk=schedule.pk).exclude(last_run_on=today)
    with transaction.atomic():
        if not mine.update(last_run_on=today):
            return None
        meters = Meter.objects.filter(active=True, group=schedule.group)
        wish = Wish(survey_days=schedule.survey_days)
        return ask(meters=meters, wish=wish, by=PORTAL, now=now, title=str(schedule))


# ---- Missing half hours -------------------------------------------------------------------------


@dataclass(frozen=True)
class Filled:
    """What asking for missing half hours came to: how many meters are asked, what people decide."""

    asked: int
    alarms: int
    waiting: int
    batch: Batch | None = None


def ask_missing(*, meters: Iterable[Meter], by: Actor, now: Clock) -> Filled:
    """Ask these meters for their missing days within the limits; an alarm where tries are used up.

    One request a remote address, the oldest days first. Raises `NotAllowed`.
    """
    _may(by, ASK, "Your role does not ask meters.")
    moment = now()
    chosen = {meter.pk: meter for meter in meters}
    with transaction.atomic():
        found = missing.standings(chosen.values(), now=moment)
        plan = missing.plan(found, now=moment)
        batch = _ask_planned(plan.asks, chosen, by, moment)
        raised = _raise_gaps(plan.held, moment)
    return Filled(len(plan.asks), raised, len({held.meter for held in plan.held}), batch)


def fill_gaps(*, now: Clock) -> Filled:
    """Ask every active meter for what is missing, a few hundred at a time."""
    keys = list(Meter.objects.filter(active=True).order_by("pk").values_list("pk", flat=True))
    asked = raised = waiting = 0
    for first in range(0, len(keys), AT_ONCE):
        some = Meter.objects.filter(pk__in=keys[first : first + AT_ONCE]).defer("password")
        filled = ask_missing(meters=some, by=PORTAL, now=now)
        asked, raised = asked + filled.asked, raised + filled.alarms
        raised += _raise_forgotten(some, now())
        waiting += filled.waiting
    return Filled(asked, raised, waiting)


def _ask_planned(
    asks: Sequence[rules.NextAsk], meters: Mapping[int, Meter], by: Actor, now: datetime
) -> Batch | None:
    if not asks:
        return None
    batch = Batch.objects.create(title="Missing half hours", by=by.user, at=now)
    alike: dict[Wish, list[Meter]] = {}
    for each in asks:
        wish = Wish(survey_days=each.survey_days, survey_date=each.survey_date)
        alike.setdefault(wish, []).append(meters[each.meter])
    for wish, some in alike.items():
        _open(batch, some, wish, by, now=now, after=None)
    return batch


def _raise_gaps(held: Iterable[rules.Held], now: datetime) -> int:
    """Tell a person about gaps that were asked for often enough."""
    given_up: dict[int, list[rules.Gap]] = {}
    for each in held:
        if each.why is rules.Hold.TRIES:
            given_up.setdefault(each.meter, []).append(each.gap)
    told = {meter: missing.joined(gaps) for meter, gaps in given_up.items()}
    return _tell_gaps(told, _given_up_text, now)


def _raise_forgotten(meters: Iterable[Meter], now: datetime) -> int:
    """Tell a person about gaps that the meters do not keep any more."""
    return _tell_gaps(missing.forgotten(meters, now=now), _forgotten_text, now)


def _tell_gaps(
    gaps: Mapping[int, Sequence[rules.Gap]], text: Callable[[rules.Gap], str], now: datetime
) -> int:
    """Raise an alarm for each gap that touches none told before; one that goes on is no news."""
    rows = MeterAlarm.objects.filter(meter__in=gaps, kind=MeterAlarm.Kind.GAP)
    told: dict[int, list[MeterAlarm]] = {}
    for alarm in rows.exclude(gap_end=None):
        told.setdefault(alarm.meter_id, []).append(alarm)
    new, longer = [], []
    for meter, gap in ((meter, gap) for meter, some in gaps.items() for gap in some):
        known = _told(told.get(meter, ()), gap)
        if known is None:
            new.append(_gap_alarm(meter, gap, text(gap), now))
        elif known.gap_end and known.gap_end < gap.end:
            known.gap_end = gap.end
            longer.append(known)
    MeterAlarm.objects.bulk_create(new)
    MeterAlarm.objects.bulk_update(longer, ["gap_end"])
    return len(new)


def _told(alarms: Iterable[MeterAlarm], gap: rules.Gap) -> MeterAlarm | None:
    touching = (
        alarm
        for alarm in alarms
        if alarm.gap_start and alarm.gap_end
        if alarm.gap_start <= gap.end and gap.start <= alarm.gap_end
    )
    return next(touching, None)


def _gap_alarm(meter: int, gap: rules.Gap, text: str, now: datetime) -> MeterAlarm:
    return MeterAlarm(
        meter_id=meter,
        kind=MeterAlarm.Kind.GAP,
        text=text,
        raised_at=now,
        gap_start=gap.start,
        gap_end=gap.end,
    )


def _given_up_text(gap: rules.Gap) -> str:
    first, last = (timezone.localtime(at) for at in (gap.start, gap.end))
    return (
        f"Half hours are missing from {first:%-d %b %Y %H:%M} to {last:%-d %b %Y %H:%M}, asked for "
        f"{gap.tries} times: {gap.cause.value[:1].lower()}{gap.cause.value[1:]}."
    )


def _forgotten_text(gap: rules.Gap) -> str:
    start = timezone.localtime(gap.start)
    return (
        f"Half hours are missing from {start:%-d %b %Y %H:%M} on. The meter keeps "
        f"{missing.LIMITS.kept_days} days: they are not asked for any more."
    )


# ---- Meters -------------------------------------------------------------------------------------

ADD_METER = "metering.add_meter"
CHANGE_METER = "metering.change_meter"
TWICE = "There is a meter with this MPAN and serial number already. Nothing was changed."


@dataclass(frozen=True)
class Particulars:
    """What people say about a meter; a password of None leaves the stored one as it is."""

    mpan: str
    meter_type: MeterType
    remote_address: str
    serial_number: str = ""
    coms_settings: str = ""
    outstation_address: str = ""
    password: str | None = field(default=None, repr=False)
    priority: int = 5
    group: str = ""
    capacity_kw: Decimal | None = None
    active: bool = True

    def written(self) -> dict[str, Any]:
        """The columns that are set."""
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.password is None:
            del columns["password"]
        return columns


def add_meter(*, particulars: Particulars, by: Actor, now: Clock) -> Meter:
    """Add a meter. Raises `NotAllowed`, and `Impossible` when it is there already."""
    _may(by, ADD_METER, "Your role does not add meters.")
    moment = now()
    try:
        with transaction.atomic():
            meter = Meter.objects.create(**particulars.written(), added_at=moment)
            _tell(meter, "Added.", by, moment)
    except IntegrityError as problem:
        raise Impossible(TWICE) from problem
    return meter


def change_meter(*, meter: Meter, particulars: Particulars, by: Actor, now: Clock) -> list[str]:
    """Change a meter and record what changed. Raises `NotAllowed`, `Impossible`."""
    _may(by, CHANGE_METER, "Your role does not change meters.")
    try:
        with transaction.atomic():
            held = Meter.objects.select_for_update(of=("self",)).get(pk=meter.pk)
            changed = _changes(held, particulars)
            if changed:
                Meter.objects.filter(pk=held.pk).update(**particulars.written())
                _tell(held, " ".join(changed), by, now())
    except IntegrityError as problem:
        raise Impossible(TWICE) from problem
    return changed


def _changes(meter: Meter, wanted: Particulars) -> list[str]:
    """What changes, in words; a password is never told."""
    found = []
    for name, value in wanted.written().items():
        before = getattr(meter, name)
        if before == value:
            continue
        label = _label(name)
        label = f"{label[:1].upper()}{label[1:]}"
        shown = [str(each) if each not in (None, "") else "nothing" for each in (before, value)]
        told = "changed" if name == "password" else f"{shown[0]} became {shown[1]}"
        found.append(f"{label}: {told}.")
    return found


def _label(name: str) -> str:
    column: Any = Meter._meta.get_field(name)
    return str(column.verbose_name)


def record_meter_change(
    *, meter: Meter, at: datetime, note: str, serial_number: str, by: Actor, now: Clock
) -> MeterChange:
    """Record that another meter hangs there since a time; its serial number if it is known.

    Raises `NotAllowed`, `Impossible`.
    """
    _may(by, CHANGE_METER, "Your role does not change meters.")
    moment = now()
    if at > moment:
        raise Impossible("A meter change that is still to come is not recorded.")
    text = f"Meter changed at {timezone.localtime(at):%-d %b %Y %H:%M}. {note}"
    try:
        with transaction.atomic():
            change = MeterChange.objects.create(meter=meter, at=at, note=note, by=_person(by))
            if serial_number and serial_number != meter.serial_number:
                Meter.objects.filter(pk=meter.pk).update(serial_number=serial_number)
                text += (
                    f" Serial number: {meter.serial_number or 'nothing'} became {serial_number}."
                )
            _tell(meter, text, by, moment)
    except IntegrityError as problem:
        raise Impossible(TWICE) from problem
    return change


@dataclass(frozen=True)
class Imported:
    """What an import came to."""

    added: int
    changed: int
    same: int
    batch: Batch | None = None


def keep_upload(
    *, rows: Sequence[Mapping[str, str]], file_name: str, by: Actor, now: Clock
) -> MeterImport:
    """Keep the good rows of an upload, encrypted, until the person who sent it confirms it."""
    _may(by, ADD_METER, "Your role does not import meters.")
    moment = now()
    MeterImport.objects.filter(by=_person(by), done_at=None).delete()
    return MeterImport.objects.create(
        by=_person(by), at=moment, file_name=file_name[-100:], rows=[dict(row) for row in rows]
    )


def import_meters(*, upload: MeterImport, ask_now: bool, by: Actor, now: Clock) -> Imported:
    """Add and change the meters of an upload, all or none, once; the upload is forgotten.

    An empty cell leaves what is recorded. Raises `NotAllowed`, `Impossible`.
    """
    _may(by, ADD_METER, "Your role does not import meters.")
    _may(by, CHANGE_METER, "Your role does not import meters.")
    if ask_now:
        _may(by, ASK, "Your role does not ask meters.")
    moment = now()
    with transaction.atomic():
        rows = _taken(upload, by, moment)
        sorted_out = sort_out(rows)
        _write_meters(sorted_out, by, moment)
        batch = _ask_imported(sorted_out, by, moment) if ask_now else None
    kinds = [each.kind for each in sorted_out]
    return Imported(kinds.count("new"), kinds.count("changed"), kinds.count("same"), batch)


def _taken(upload: MeterImport, by: Actor, now: datetime) -> list[dict[str, str]]:
    mine = MeterImport.objects.select_for_update().filter(pk=upload.pk, by=by.user, done_at=None)
    held = mine.first()
    if held is None or not held.rows:
        raise Impossible("This upload was imported already, or is too old. Nothing was changed.")
    rows: list[dict[str, str]] = held.rows
    mine.update(done_at=now, rows=None)
    return rows


@dataclass
class Sorted:
    """One row of an upload beside the meter that it is about."""

    row: Mapping[str, str]
    meter: Meter
    kind: str
    said: list[str]


def sort_out(rows: Sequence[Mapping[str, str]]) -> list[Sorted]:
    """Say of each row whether it adds a meter, changes one or changes nothing; nothing is saved."""
    types = {each.code: each for each in MeterType.objects.all()}
    mpans = [row["MPAN"] for row in rows]
    known: dict[tuple[str, str], Meter] = {}
    for first in range(0, len(mpans), AT_ONCE):
        some = Meter.objects.filter(mpan__in=mpans[first : first + AT_ONCE])
        known |= {(meter.mpan, meter.serial_number): meter for meter in some}
    return [_sorted(row, known.get((row["MPAN"], row["SERIAL_NUMBER"])), types) for row in rows]


def _sorted(row: Mapping[str, str], meter: Meter | None, types: Mapping[str, MeterType]) -> Sorted:
    if row["METER_TYPE"] not in types:
        raise Impossible(f"The meter type {row['METER_TYPE']} is gone. Nothing was imported.")
    wanted = {
        "meter_type": types[row["METER_TYPE"]],
        "remote_address": row["REMOTE_ADDRESS"],
        "coms_settings": row["COM_SETTINGS"],
        "outstation_address": row["OUTSTATION"],
        "password": row["PASSWORD"],
    }
    if meter is None:
        meter = Meter(mpan=row["MPAN"], serial_number=row["SERIAL_NUMBER"], **wanted)
        return Sorted(row, meter, "new", [])
    given = {name: value for name, value in wanted.items() if value}
    differing = {name: each for name, each in given.items() if getattr(meter, name) != each}
    said = [_label(name) for name in differing]
    for name, value in differing.items():
        setattr(meter, name, value)
    return Sorted(row, meter, "changed" if differing else "same", said)


def _write_meters(rows: Sequence[Sorted], by: Actor, now: datetime) -> None:
    new = [each.meter for each in rows if each.kind == "new"]
    for meter in new:
        meter.added_at = now
    changed = [each for each in rows if each.kind == "changed"]
    names = [*("meter_type", "remote_address", "coms_settings"), "outstation_address", "password"]
    try:
        Meter.objects.bulk_create(new, batch_size=AT_ONCE)
        Meter.objects.bulk_update([each.meter for each in changed], names, batch_size=AT_ONCE)
    except IntegrityError as problem:
        raise Impossible("Somebody added one of these meters meanwhile. Look again.") from problem
    notes = [_note(meter, "Added by an import.", by, now) for meter in new]
    notes += [
        _note(each.meter, f"Changed by an import: {', '.join(each.said)}.", by, now)
        for each in changed
    ]
    Note.objects.bulk_create(notes, batch_size=AT_ONCE)


def _ask_imported(rows: Sequence[Sorted], by: Actor, now: datetime) -> Batch | None:
    alike: dict[Wish, list[Meter]] = {}
    for each in rows:
        if (days := int(each.row["SURVEY_DAYS"] or 0)) > 0:
            day = each.row["SURVEY_DATE"]
            wish = Wish(survey_days=days, survey_date=date.fromisoformat(day) if day else None)
            alike.setdefault(wish, []).append(each.meter)
    if not alike:
        return None
    batch = Batch.objects.create(title="Imported meters", by=by.user, at=now)
    for wish, meters in alike.items():
        for first in range(0, len(meters), AT_ONCE):
            _open(batch, meters[first : first + AT_ONCE], wish, by, now=now, after=None)
    return batch


def forget_uploads(*, now: datetime, **_: Any) -> None:
    """Forget uploads that nobody confirmed within a day."""
    MeterImport.objects.filter(at__lt=now - timedelta(days=1)).delete()


def _tell(meter: Meter, text: str, by: Actor, now: datetime) -> None:
    _note(meter, text, by, now).save()


def _note(meter: Meter, text: str, by: Actor, now: datetime) -> Note:
    """A line of the meter's history."""
    return Note(
        case_label="metering.meter",
        case_id=meter.pk,
        reference=(meter.serial_number or meter.mpan)[:20],
        kind=Note.Kind.EVENT,
        by=by.user,
        by_name=by.name,
        at=now,
        text=text[:5000],
    )


def _person(by: Actor) -> User:
    if by.user is None:
        raise NotAllowed("Only a person can do this.")
    return by.user


def _may(by: Actor, permission: str, sentence: str) -> None:
    if by.who is not Who.PORTAL and not (by.user and by.user.has_perm(permission)):
        raise NotAllowed(sentence)
