"""Posts many results right now, for benchmarks: no queue, no log, kept connections.

The bodies are complete before the first is posted, so that only posting is measured.
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.clock import read
from sandbox.exchange import BadRequest
from sandbox.parties.meters import bulk
from sandbox.parties.meters.document import result
from sandbox.parties.meters.meter import Meter
from sandbox.parties.meters.request import Asked
from sandbox.parties.meters.visit import Visit, survey_days
from sandbox.posting import PATIENCE, NotHere, address, below

# Days and registers of each size: 96, 1,920 and 11,904 readings.
SIZES: Mapping[str, tuple[int, int]] = {"S": (1, 2), "M": (10, 4), "L": (31, 8)}
MOST_CLIENTS = 64
FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Parcel:
    """One result, ready to be posted."""

    reference: str
    host: str
    port: int
    target: str
    body: bytes


@dataclass(slots=True)
class Tally:
    """What the receivers said."""

    statuses: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def count(self, parcel: Parcel, status: int | None, answer: str, seconds: float) -> None:
        """Count one answer."""
        self.statuses[str(status)] += 1
        self.milliseconds.append(seconds * 1000)
        if status != 200 and len(self.failures) < FAILURES_SHOWN:
            self.failures.append(
                {"requestReference": parcel.reference, "status": status, "answer": answer[:500]}
            )


def deliver(
    fields: Mapping[str, Any], now: datetime, find: Callable[[str], Meter | None]
) -> dict[str, Any]:
    """Post what is asked for and give the figures; raises BadRequest before anything is posted."""
    unknown = sorted(fields.keys() - {"size", "results", "clients", "collected_at"})
    if unknown:
        raise BadRequest(f"Not understood: {', '.join(unknown)}.")
    size, clients = str(fields.get("size")), fields.get("clients", 8)
    if size not in SIZES:
        raise BadRequest(f"size must be one of {', '.join(SIZES)}.")
    if not isinstance(clients, int) or not 1 <= clients <= MOST_CLIENTS:
        raise BadRequest(f"clients must be from 1 to {MOST_CLIENTS}.")
    if at := fields.get("collected_at"):
        now = read(at, "collected_at")
    days, registers = SIZES[size]
    entries = _entries(fields.get("results"))
    parcels = [
        _parcel(entry, _meter(entry, place, registers, find), days, int(now.timestamp()))
        for place, entry in enumerate(entries)
    ]
    return {"readings": len(parcels) * days * registers * 48, **_posted(parcels, clients)}


def _entries(given: object) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given:
        raise BadRequest("results must be a list of requestReference and responseUrl.")
    for entry in given:
        names = ("requestReference", "responseUrl")
        if not isinstance(entry, dict) or not all(isinstance(entry.get(n), str) for n in names):
            raise BadRequest("Each of results needs requestReference and responseUrl.")
    return given


def _parcel(entry: Mapping[str, Any], meter: Meter, days: int, collected: int) -> Parcel:
    yesterday = datetime.fromtimestamp(collected, UTC).date() - timedelta(days=days)
    asked = Asked(
        reference=entry["requestReference"],
        mpan=str(entry.get("mpan") or meter.mpan),
        response_url=entry["responseUrl"],
        priority=1,
        delay_until="",
        meter_type=meter.kind.code,
        remote_address=meter.remote_address,
        coms_settings="",
        outstation=meter.outstation,
        serial=meter.serial,
        password=meter.password,
        survey_days=days,
        survey_date=_day(entry.get("surveyDate"), yesterday),
        adjust_time=False,
    )
    # Read when the last day was complete, wherever the survey lies.
    ended = max(collected, int(_end(asked).timestamp()))
    visit = Visit(meter, ended - 20, ended, serial=meter.serial)
    try:
        where = address(below(asked.response_url, "collection-result"))
    except NotHere as refused:
        raise BadRequest(str(refused)) from refused
    return Parcel(asked.reference, *where, result(asked, visit).encode())


def _meter(
    entry: Mapping[str, Any], place: int, registers: int, find: Callable[[str], Meter | None]
) -> Meter:
    serial = entry.get("serialNumber")
    meter = find(str(serial)) if serial else bulk.meter(place % bulk.MOST)
    if meter is None:
        raise BadRequest(f"There is no meter {serial!r}.")
    if len(meter.kind.registers) < registers:
        raise BadRequest(f"Meter {serial} has fewer than {registers} registers.")
    return replace(meter, surveyed=meter.kind.registers[:registers])


def _day(given: object, usual: date) -> str:
    try:
        return date.fromisoformat(str(given)).isoformat() if given else usual.isoformat()
    except ValueError:
        raise BadRequest("surveyDate must be a date, yyyy-MM-dd.") from None


def _end(asked: Asked) -> datetime:
    last = survey_days(asked)[-1] + timedelta(days=1)
    return datetime(last.year, last.month, last.day, tzinfo=UTC)


def _posted(parcels: Sequence[Parcel], clients: int) -> dict[str, Any]:
    """Post the parcels from several threads and give the figures."""
    left, lock, tally = iter(parcels), threading.Lock(), Tally()

    def post_some() -> None:
        lines: dict[tuple[str, int], http.client.HTTPConnection] = {}
        while True:
            with lock:
                parcel = next(left, None)
            if parcel is None:
                break
            began = time.monotonic()
            status, answer = _post(parcel, lines)
            with lock:
                tally.count(parcel, status, answer, time.monotonic() - began)
        for line in lines.values():
            line.close()

    threads = [threading.Thread(target=post_some, daemon=True) for _ in range(clients)]
    began_at, began = datetime.now(UTC), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "posted": len(parcels),
        "bytes": sum(len(parcel.body) for parcel in parcels),
        "began_at": began_at.isoformat(),
        "seconds": round(time.monotonic() - began, 6),
        "statuses": dict(tally.statuses),
        "slowest_ms": round(max(tally.milliseconds), 3),
        "median_ms": round(sorted(tally.milliseconds)[len(parcels) // 2], 3),
        "failures": tally.failures,
    }


def _post(
    parcel: Parcel, lines: dict[tuple[str, int], http.client.HTTPConnection]
) -> tuple[int | None, str]:
    """Post one parcel on a kept connection."""
    where = (parcel.host, parcel.port)
    line = lines.get(where) or http.client.HTTPConnection(*where, timeout=PATIENCE)
    lines[where] = line
    try:
        line.request(
            "POST", parcel.target, parcel.body, {"Content-Type": "application/json; charset=utf-8"}
        )
        response = line.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as problem:
        line.close()
        return None, f"{type(problem).__name__}: {problem}"
