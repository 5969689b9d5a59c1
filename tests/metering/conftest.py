"""The meter communications service, played over HTTP, and the portal where it posts results."""

import json
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from core.workflow import actor_for
from metering.models import Delivery
from tests.factories.metering import MeterReadFactory, meter_of

ASK, READ, ADJUST = (
    f"metering.{name}" for name in ("request_meterread", "decide_meterread", "adjust_meter_time")
)
FIRST_DAY = datetime(2026, 5, 1, tzinfo=UTC)
JSON = "application/json"


# ---- The service -----------------------------------------------------------------------------


@dataclass
class PlayedService:
    """The service as a test sees it; `url` is its base address."""

    running: object
    url: str

    def fault(self, name, *, calls=None, seconds=None, match="", **how):
        """Switch a fault on ("500", "lost", …), for so many calls or until the test ends."""
        settings = {"calls": calls, "seconds": seconds, "match": match, **how}
        return self.running.switch_on("meters", name, **settings)

    def mend(self):
        """Switch every fault off."""
        self.running.switch_off("meters")

    def log(self, path=""):
        """What it received, oldest first."""
        rows = self.running.log(party="meters")[::-1]
        return [row for row in rows if path in row["path"]]

    def meter(self, purpose="Clean: every register, a workshop"):
        """A meter by words of its purpose."""
        found = [row for row in self.control("/meters")["meters"] if purpose in row["purpose"]]
        assert found, purpose
        return found[0]

    def behave(self, meter, *words):
        """Have a meter do something out of the ordinary from now on."""
        self.control(f"/meters/{meter['serialNumber']}", {"behaviours": list(words)})

    def collections(self):
        """What it has accepted, oldest first."""
        return self.control("/collections")["collections"][::-1]

    def collecting(self, **options):
        """Change how it collects: paused, collection_seconds, …"""
        self.control("/collecting", options)

    def finished(self, reference, seconds=8):
        """Wait until a collection has run and its posts are over; give it."""
        return waited(lambda: self._finished(str(reference)), seconds)

    def _finished(self, reference):
        found = [row for row in self.collections() if row["requestReference"] == reference]
        over = {"sent", "failed"}
        ended = found and found[0]["state"] in {"done", "cancelled"}
        return found[0] if ended and {p["state"] for p in found[0]["posts"]} <= over else None

    def control(self, path, content=None):
        """Call its control interface below /control."""
        body = None if content is None else json.dumps(content).encode()
        method = "POST" if body else "GET"
        headers = {"Content-Type": JSON}
        request = urllib.request.Request(
            f"{self.running.url}/control{path}", body, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)


def waited(found, seconds=8):
    """Ask again and again until there is something; it is the result."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.03)
    raise AssertionError("Nothing came in time.")


@pytest.fixture
def service(sandbox, settings):
    """The service on its own port, quick, without faults, collections or log."""
    sandbox.reset()
    settings.METERING_API_URL = sandbox.party_url("meters")
    played = PlayedService(sandbox, settings.METERING_API_URL)
    played.collecting(collection_seconds=0.02, check_receiver="never")
    yield played
    sandbox.reset()


@pytest.fixture
def paused(service):
    """The service that takes requests and collects nothing until it is told to."""
    service.collecting(paused=True)
    return service


@pytest.fixture
def portal(live_server, settings):
    """The portal on a port, where the service can post its results."""
    settings.PUBLIC_BASE_URL = live_server.url
    return live_server


@pytest.fixture
def meter(db, service):
    """A clean meter that the sandbox plays as well."""
    return meter_of(service.meter())


@pytest.fixture
def clerk(person):
    """Somebody who asks meters and decides on readings."""
    return actor_for(person(permissions=[ASK, READ]))


# ---- Results -----------------------------------------------------------------------------------


def stamps(count, first=FIRST_DAY):
    """The starts of so many half hours, as the specification writes them."""
    moments = (first + timedelta(minutes=30 * n) for n in range(count))
    return [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in moments]


def survey(values, first=FIRST_DAY, name="kWh Import", units="kWh"):
    """One register's survey, a value a half hour."""
    times = stamps(len(values), first)
    readings = [{"timestamp": at, "value": v} for at, v in zip(times, values, strict=True)]
    return {"name": name, "units": units, "readings": readings}


def document(read, **changes):
    """A clean result for a read, as a dict; a change to `...` leaves a property out."""
    ended = FIRST_DAY + timedelta(days=1, minutes=5)
    fields = {
        "requestReference": str(read.our_reference),
        "mpan": read.meter.mpan,
        "meterType": read.meter.meter_type.code,
        "remoteAddress": read.remote_address,
        "outstationAddress": read.meter.outstation_address,
        "password": read.meter.password,
        "adjustTime": False,
        "surveyDays": 1,
        "surveyDate": f"{FIRST_DAY:%Y-%m-%d}",
        "result": "SUCCESS",
        "collectionStartTime": f"{ended - timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}",
        "collectionEndTime": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
        "serialNumber": read.meter.serial_number,
        "meterTime": f"{ended:%Y-%m-%dT%H:%M:%S} +0s",
        "statusEvents": [],
        "registerValues": [
            {
                "name": "kWh Import",
                "timestamp": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
                "value": "1048.000",
                "units": "kWh",
            }
        ],
        "surveyData": [survey([f"{1000 + n}.000" for n in range(48)])],
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def written(content):
    """The document's bytes."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.fixture
def asked(db):
    """A read that was asked for and waits for its result."""
    return MeterReadFactory(status="requested")


def post(read_or_token, content, *, ending="/collection-result", client=None, **extra):
    """Post a result as the service does."""
    token = getattr(read_or_token, "token", read_or_token)
    url = f"/metering/results/{token}{ending}"
    client = client or Client(raise_request_exception=False)
    return client.post(url, written(content), content_type=JSON, **extra)


def only_delivery():
    """The one delivery that is kept."""
    return Delivery.objects.get()
