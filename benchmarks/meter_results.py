"""`python -m benchmarks.meter_results`: measure meter results inside the portal, print JSON.

Runs with the settings of the database that is measured. Small (S) is a day of two registers, 96
readings; large (L) is 31 days of eight registers, 11,904 readings.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import django
import structlog

if TYPE_CHECKING:
    from django.test import Client

    from metering.models import MeterRead

FIRST = datetime(2026, 5, 1, tzinfo=UTC)
LARGE = 31 * 8 * 48
Line = dict[str, Any]


def result(read: "MeterRead", days: int, registers: int) -> bytes:
    """Write a clean result as the service does."""
    times = [f"{FIRST + timedelta(minutes=30 * n):%Y-%m-%dT%H:%M:%SZ}" for n in range(48 * days)]
    series = [
        {
            "name": f"Register {number}",
            "units": "kWh",
            "readings": [
                {"timestamp": at, "value": f"{1000 + number + place * 0.731:.3f}"}
                for place, at in enumerate(times)
            ],
        }
        for number in range(registers)
    ]
    fields = {
        "requestReference": str(read.our_reference),
        "mpan": read.meter.mpan,
        "password": read.meter.password,
        "result": "SUCCESS",
        "collectionEndTime": "2026-07-01T00:05:00Z",
        "serialNumber": read.meter.serial_number,
        "surveyData": series,
    }
    return json.dumps(fields).encode()


def timed(run: Callable[[], object], times: int) -> list[float]:
    """Run so often; seconds of each."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return taken


def reads(count: int) -> "list[MeterRead]":
    """Make reads of as many meters, waiting to be asked."""
    from django.utils import timezone

    from core.workflow import PORTAL
    from metering import actions
    from metering.models import Meter, MeterType

    kind, _ = MeterType.objects.get_or_create(code="BENCH", defaults={"survey": "cumulative"})
    known = Meter.objects.count()
    meters = [
        Meter.objects.create(
            mpan=f"{10 + n % 14}{known + n:011d}",
            serial_number=f"B{known + n}",
            meter_type=kind,
            remote_address=f"10.2.{n // 250}.{n % 250}:{3400 + known % 5000}",
            password="AAAA0000",  # noqa: S106 - invented
            added_at=timezone.now(),
        )
        for n in range(count)
    ]
    wish = actions.Wish(survey_days=1)
    batch = actions.ask(meters=meters, wish=wish, by=PORTAL, now=timezone.now, title="benchmark")
    return list(batch.reads.select_related("meter").order_by("pk"))


def decoded() -> Line:
    """Reading a large document against json.loads."""
    from metering import messages

    body = result(reads(1)[0], 31, 8)
    mine = timed(lambda: messages.read_result(messages.without_password(body)), 60)
    plain = timed(lambda: json.loads(body), 60)
    note = f"{len(body) / 1e6:.1f} MB, password taken out; reference: json.loads"
    return line("Decode L", mine, plain, note)


def posting(client: "Client", url: str, body: bytes) -> Callable[[], None]:
    """Say how to post a body and insist on a good answer."""

    def post() -> None:
        reply = client.post(url, body, content_type="application/json")
        if reply.status_code != 200:
            raise RuntimeError(f"{reply.status_code}: {reply.content[:200]!r}")

    return post


def acknowledged() -> Line:
    """A small result until it is answered, against a view that does nothing."""
    from django.test import Client

    client, waiting = Client(headers={"host": "localhost"}), reads(300)
    posts = [
        posting(client, f"/metering/results/{read.token}", result(read, 1, 2)) for read in waiting
    ]
    mine = [seconds for post in posts for seconds in timed(post, 1)]
    plain = timed(lambda: client.get("/healthz"), 300)
    return line("Acknowledge S", mine, plain, "through the application; reference: /healthz")


def stored() -> tuple[Line, Line]:
    """Storing large results, and the same once more, against COPY of as many plain rows."""
    fresh, again = [], []
    for read in reads(12):
        body = result(read, 31, 8)
        fresh += _stored_once(read, body)
        again += _stored_once(read, body.replace(b"00:05:00Z", b"00:06:00Z"))
    plain = copied(8)
    rate = f"{LARGE * len(fresh) / sum(fresh):,.0f} readings a second"
    note = f"{rate}, COPY {LARGE * len(plain) / sum(plain):,.0f}" if plain else rate
    return (
        line("Store L", fresh, plain, f"{note}; reference: COPY of a row a reading"),
        line("Store L again", again, fresh, "the same readings; reference: stored fresh"),
    )


def _stored_once(read: "MeterRead", body: bytes) -> list[float]:
    from django.utils import timezone

    from core import queue
    from metering import actions
    from metering.models import STORE, Delivery

    actions.deliver(
        read=read, reference=str(read.our_reference), body=body, sender="", now=timezone.now
    )
    pk = Delivery.objects.values_list("pk", flat=True).latest("pk")
    claim = queue.claim(STORE, pk, now=timezone.now())
    if claim is None:
        raise RuntimeError("The delivery is not to be had.")
    taken = timed(lambda: actions.store_one(claim=claim, now=timezone.now), 1)
    if Delivery.objects.get(pk=pk).state != Delivery.State.STORED:
        raise RuntimeError(Delivery.objects.get(pk=pk).reason)
    return taken


def copied(times: int) -> list[float]:
    """Seconds of COPY into a plain table with an index, nothing on SQLite."""
    from django.db import connection, transaction

    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "create table plain (channel int, at timestamptz, value numeric, source int,"
            " primary key (channel, at, source))"
        )
    moments = [FIRST + timedelta(minutes=30 * n) for n in range(31 * 48)]

    def copy(turn: int) -> None:
        with (
            transaction.atomic(),
            connection.cursor() as cursor,
            cursor.copy("copy plain from stdin") as rows,
        ):
            for channel in range(8):
                for place, at in enumerate(moments):
                    rows.write_row((channel, at, f"{1000 + place * 0.731:.3f}", turn))

    taken = []
    for turn in range(times):
        taken += timed(lambda turn=turn: copy(turn), 1)  # type: ignore[misc]
    return taken


def line(name: str, seconds: Sequence[float], reference: Sequence[float], note: str) -> Line:
    """What Measured takes."""
    return {"name": name, "seconds": seconds, "reference": reference, "note": note}


def main() -> None:
    """Measure everything once."""
    django.setup()
    logging.disable(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(json.dumps([decoded(), acknowledged(), *stored()]))


if __name__ == "__main__":
    main()
