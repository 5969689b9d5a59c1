"""Answers the metering benchmark from inside a portal: a line of JSON in, a line of JSON out."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import django

from benchmarks import payloads
from benchmarks.payloads import SIZES

YEAR = 2025
HALF_HOURS_A_YEAR = 365 * 48
REGISTERS = 4
FIRST_NIGHT = datetime(YEAR, 1, 1, tzinfo=UTC)


def fill(registers: int) -> dict[str, int]:
    """Write a year of readings for so many registers: packed by our own code, sent by COPY.

    Every meter has a read and a delivery for each night, as if the readings had come that way.
    """
    from django.db import connection

    from benchmarks.plain.models import TABLES

    with connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement)
    meters = _meters("FILL", -(-registers // REGISTERS))
    channels = _channels([meter.pk for meter in meters], registers)
    with connection.cursor() as cursor:
        copy: Any = cursor.copy("COPY metering_day (channel_id, day, slots) FROM STDIN")
        with copy as rows:
            for row in _packed(channels):
                rows.write_row(row)
        _nights(cursor, [meter.pk for meter in meters])
        _plain_year(cursor)
        cursor.execute("VACUUM ANALYZE")
    return {"readings": len(channels) * HALF_HOURS_A_YEAR, "register": channels[0]}


def _meters(group: str, count: int) -> list[Any]:
    """The first meters of a group, made where they are missing."""
    from django.utils import timezone

    from metering.models import Meter, MeterType

    kind, _ = MeterType.objects.get_or_create(code="BENCH", defaults={"survey": "cumulative"})
    known = list(Meter.objects.filter(group=group).order_by("pk")[:count])
    place = 10 + ["FILL", *SIZES].index(group)
    made = Meter.objects.bulk_create(
        Meter(
            mpan=f"{place}{number:011d}",
            serial_number=f"{group}{number}",
            meter_type=kind,
            remote_address=f"10.{place}.{number // 250}.{number % 250}:3400",
            password=payloads.PASSWORD,
            group=group,
            added_at=timezone.now(),
        )
        for number in range(len(known), count)
    )
    return known + made


def _channels(meters: list[int], count: int) -> list[int]:
    from metering.models import Channel

    made = Channel.objects.bulk_create(
        Channel(meter_id=meters[n // REGISTERS], name=f"Register {n % REGISTERS}", unit="kWh")
        for n in range(count)
    )
    return [channel.pk for channel in made]


def _packed(channels: list[int]) -> Iterator[tuple[int, date, bytes]]:
    from metering import days

    begin = int(FIRST_NIGHT.timestamp())
    times = list(range(begin, begin + HALF_HOURS_A_YEAR * 1800, 1800))
    for channel in channels:
        texts = payloads.texts(payloads.totals(channel, HALF_HOURS_A_YEAR))
        source = days.source_of(FIRST_NIGHT, channel.to_bytes(8, "big"))
        for day, packed in days.split(times, texts, None, source).days.items():
            yield channel, day, packed


def _nights(cursor: Any, meters: list[int]) -> None:
    """Copy one accepted read and its delivery for every meter and night."""
    from metering.models import Delivery, MeterRead

    (told,) = reads("S", 1, 0)
    read = MeterRead.objects.get(our_reference=told["reference"])
    body = next(payloads.bodies(payloads.SMALL, 0, [told]))
    delivery = _deliver(read, body)
    nights = "generate_series(1, 365) night, unnest(%s::bigint[]) meter"
    cursor.execute(
        "INSERT INTO metering_meterread"  # noqa: S608 - our own words
        " SELECT (jsonb_populate_record(read, jsonb_build_object("
        "'id', 1000000 + night * 100000 + meter, 'meter_id', meter, 'status', 'accepted',"
        "'reference', 'F-' || night || '-' || meter, 'our_reference', gen_random_uuid(),"
        "'due_at', null, 'token_sha256', gen_random_uuid()))).*"
        f" FROM metering_meterread read, {nights} WHERE read.id = %s",
        [meters, read.pk],
    )
    cursor.execute(
        "INSERT INTO metering_delivery"  # noqa: S608 - our own words
        " SELECT (jsonb_populate_record(sent, jsonb_build_object("
        "'id', 1000000 + night * 100000 + meter, 'state', 'stored', 'due_at', null,"
        "'read_id', 1000000 + night * 100000 + meter))).*"
        f" FROM metering_delivery sent, {nights} WHERE sent.id = %s",
        [meters, delivery],
    )
    Delivery.objects.filter(pk=delivery).delete()


def _deliver(read: Any, body: bytes) -> int:
    from django.utils import timezone

    from metering import actions
    from metering.models import Delivery

    actions.deliver(
        read=read,
        reference=str(read.our_reference),
        body=body,
        sender="",
        secrets=[read.meter.password],
        now=timezone.now,
    )
    delivery = Delivery.objects.get(read=read)
    Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.STORED, due_at=None)
    return delivery.pk


def _plain_year(cursor: Any) -> None:
    """A year of six registers as one row a reading."""
    from benchmarks.plain.models import COPIED

    values = payloads.texts(payloads.totals(1, HALF_HOURS_A_YEAR))
    with cursor.copy(f"COPY {COPIED} FROM STDIN") as rows:
        for channel in range(6):
            for place, value in enumerate(values):
                rows.write_row((channel, FIRST_NIGHT + timedelta(minutes=30 * place), value, 0))


def reads(size: str, count: int, turn: int) -> list[dict[str, str]]:
    """Ask so many meters for a turn, as if the service had taken note of it."""
    from django.db import transaction
    from django.db.models import QuerySet
    from django.utils import timezone

    from core.workflow import PORTAL
    from metering import actions
    from metering.models import MeterRead

    asked, now = SIZES[size], timezone.now()
    wish = actions.Wish(survey_days=asked.days, survey_date=asked.first(turn).date())
    with transaction.atomic():
        meters = _meters(size, count)
        batch = actions.ask(meters=meters, wish=wish, by=PORTAL, now=timezone.now, title=size)
        later = now + timedelta(hours=1)
        QuerySet.update(
            MeterRead.objects.filter(batch=batch),
            status=MeterRead.Status.REQUESTED,
            due_at=later,
            due_by=later,
        )
    return [
        {
            "reference": str(read.our_reference),
            "token": read.token,
            "mpan": read.meter.mpan,
            "serial": read.meter.serial_number,
        }
        for read in batch.reads.select_related("meter").order_by("pk")
    ]


def stored(size: str, turn: int) -> int:
    """Count the readings that are stored of a turn, slot by slot."""
    from metering import days
    from metering.models import Day

    asked = SIZES[size]
    rows = Day.objects.filter(
        channel__meter__group=size,
        day__gte=asked.first(turn).date(),
        day__lt=asked.first(turn + 1).date(),
    )
    return sum(
        days.presence(bytes(slots)).bit_count() for slots in rows.values_list("slots", flat=True)
    )


def outcomes() -> dict[str, int]:
    """How many deliveries stand where, and how many reads."""
    from django.db.models import Count

    from metering.models import Delivery, MeterRead

    found: dict[str, int] = {}
    for model, name in ((Delivery, "state"), (MeterRead, "status")):
        rows = model._default_manager.values_list(name).annotate(count=Count("pk"))
        found |= {f"{model.__name__} {state}": count for state, count in rows}
    return found


def _seconds(run: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return taken


def decode(times: int) -> dict[str, list[float]]:
    """Read and check a large result (its password taken out before), and json.loads of it."""
    from metering import messages

    told = {"reference": "1", "mpan": "1300000000000", "serial": "L0"}
    body = messages.without_password(next(payloads.bodies(payloads.LARGE, 0, [told])))
    if messages.read_result(body).reading_count != payloads.LARGE.readings:
        raise RuntimeError("Not every reading is understood.")
    ours, plain = [], []
    for _ in range(times):
        plain += _seconds(lambda: json.loads(body), 1)
        ours += _seconds(lambda: messages.read_result(body), 1)
    return {"ours": ours, "plain": plain}


def year(register: int, times: int) -> dict[str, list[float]]:
    """Read a year of one register as the chart does, and as one row a reading."""
    from django.db import connection

    from benchmarks.plain.models import COPIED
    from core import settlement
    from metering import stored as kept

    span = settlement.span(date(YEAR, 1, 1), date(YEAR, 12, 31))
    question = f"SELECT at, value FROM {COPIED} WHERE channel = 3 ORDER BY at"  # noqa: S608

    def ours() -> None:
        values = kept.half_hours(kept.day_rows([register], span)[register], span).values
        if sum(value is not None for value in values) != HALF_HOURS_A_YEAR:
            raise RuntimeError("The year is not complete.")

    def plain() -> None:
        with connection.cursor() as cursor:
            cursor.execute(question)
            if len(cursor.fetchall()) != HALF_HOURS_A_YEAR:
                raise RuntimeError("The plain year is not complete.")

    found: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(times):
        found["plain"] += _seconds(plain, 1)
        found["ours"] += _seconds(ours, 1)
    return found


def copy(size: str, turn: int, count: int) -> float:
    """Seconds of COPY of a turn's readings from one buffer into a row each, committed."""
    from django.db import connection, transaction

    from benchmarks.plain.models import COPIED

    text = payloads.copy_text(SIZES[size], turn, range(100, 100 + count))
    begun = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy(f"COPY {COPIED} FROM STDIN") as rows:
            rows.write(text)
        written = cursor.rowcount
    taken = time.perf_counter() - begun
    if written != count * SIZES[size].readings:
        raise RuntimeError(f"COPY wrote {written} rows.")
    return taken


def rows(table: str) -> int:
    """Count the rows of a plain table."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own word
        return int(cursor.fetchone()[0])


def disk() -> dict[str, int]:
    """Bytes on disk of what readings are kept in, and how many readings there are."""
    from django.db import connection
    from django.db.models import Count

    from metering import days
    from metering.models import Channel, Day, RegisterReading, SideReading

    kept = [model._meta.db_table for model in (Day, Channel, SideReading, RegisterReading)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(kept::regclass)) FROM unnest(%s::text[]) kept",
            [kept],
        )
        size = int(cursor.fetchone()[0])
    every = Day.objects.values_list("slots", flat=True).iterator(chunk_size=5000)
    readings = sum(days.presence(bytes(slots)).bit_count() for slots in every)
    counted = Day.objects.aggregate(days=Count("pk"))
    return {"bytes": size, "readings": readings, **counted}


def meter_of(register: int) -> int:
    """The meter that a register belongs to."""
    from metering.models import Channel

    return int(Channel.objects.values_list("meter_id", flat=True).get(pk=register))


ANSWERS = (fill, reads, stored, outcomes, decode, year, copy, rows, disk, meter_of)


def main() -> None:
    """Answer until nobody asks."""
    django.setup()
    answers: dict[str, Callable[..., Any]] = {one.__name__: one for one in ANSWERS}
    for line in sys.stdin:
        what, how = json.loads(line)
        try:
            said = {"answer": answers[what](**how)}
        except Exception as problem:  # noqa: BLE001 - told to whoever asked
            said = {"problem": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
