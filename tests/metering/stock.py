"""Meters with stored readings, put there as results are: stored(meter, ["100", "101", …])."""

import hashlib
import json
import zlib
from datetime import UTC, datetime, timedelta

from metering import messages
from metering.models import Delivery, MeterRead
from metering.readings import Arrival, store_readings
from tests.factories.metering import MeterFactory, MeterReadFactory, MeterTypeFactory
from tests.metering.conftest import survey

MIDNIGHT = datetime(2026, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def a_meter(survey="cumulative", **fields):
    """A meter whose survey values are totals, or each half hour's own."""
    kind = MeterTypeFactory(code=f"TYPE_{survey.upper()}", survey=survey)
    return MeterFactory(meter_type=kind, **{"added_at": MIDNIGHT, **fields})


def stored(
    meter, values, *, first=MIDNIGHT, status="accepted", end=0, name="kWh Import",
    register=None, read_at=None, flags=None, **fields,
):  # fmt: skip
    """Store one result of a read that came to this status; `end` tells which result is later."""
    days = max(1, -(-len(values) // 48))
    ended = (read_at or first + days * DAY) + timedelta(minutes=end)
    read = MeterReadFactory(
        meter=meter, status=status, survey_days=days + 1, survey_date=first.date(),
        created_at=ended - timedelta(minutes=30), collection_end=ended, connection_end=ended,
        **fields,
    )  # fmt: skip
    surveys = [survey(values, first, name)] if values else []
    for each, flag in zip(surveys[0]["readings"] if surveys else [], flags or [], strict=False):
        each["statusFlags"] = flag
    stamp = f"{ended:%Y-%m-%dT%H:%M:%SZ}"
    registers = [{"name": name, "timestamp": stamp, "value": register, "units": "kWh"}]
    body = json.dumps(
        {
            "requestReference": str(read.our_reference),
            "result": "SUCCESS",
            "collectionEndTime": stamp,
            "registerValues": registers if register else [],
            "surveyData": surveys,
        }
    ).encode()
    delivery = Delivery.objects.create(
        read=read, their_reference=str(read.our_reference), received_at=ended, size=len(body),
        body=zlib.compress(body), sha256=hashlib.sha256(body).hexdigest(),
        state=Delivery.State.STORED,
    )  # fmt: skip
    store_readings([Arrival(read, delivery, messages.read_result(body))])
    return MeterRead.objects.get(pk=read.pk)
