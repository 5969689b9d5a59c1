"""The meter communications service as a party: its request API, as its text says.

Operations: `collection-request`, `collection-cancel`, `collection-status`, `service-status`. It
asks for no credentials ("Security and Authentication: to be decided").
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from sqlite3 import Row

from sandbox.clock import Clock
from sandbox.courier import Courier
from sandbox.exchange import Answer, BadRequest, Request, Route, json_answer
from sandbox.parties.meters import bulk, demo, document, visit
from sandbox.parties.meters.behaviour import BEHAVIOURS
from sandbox.parties.meters.controls import Controls
from sandbox.parties.meters.meter import Meter
from sandbox.parties.meters.queue import Queue
from sandbox.parties.meters.request import asked as checked
from sandbox.parties.meters.request import body_of, reference_of, stored
from sandbox.parties.meters.work import Work
from sandbox.party import ChangeForm, Exhibit
from sandbox.store import Shelf

VERSION = "1.4.2"
UNKNOWN = "No collection with this request reference is known"
SENTENCES = {
    400: "The request is not valid",
    429: "Too many requests, try again later",
    500: "Internal error in the collection service",
}


class Meters:
    """The service that dials meters and posts what they say."""

    name = "meters"
    title = "Meter communications service"
    notes = (
        "Takes collection requests, visits the sixty meters below and BK000000 to BK099999 (all "
        "clean), and posts each result to the responseUrl of its request, on this machine only. "
        "Where two meters are read at one remote address at once, both collections fail."
    )
    secret_headers: frozenset[str] = frozenset()
    secret_fields = frozenset({"password"})
    change_form = ChangeForm(
        "/control/meters",
        "Behaviour",
        (("none", "As it should be"), *((word, title) for word, title in BEHAVIOURS.items())),
    )

    def __init__(self) -> None:
        self._fixed = {meter.serial: meter for meter in demo.meters()}
        self.routes: Sequence[Route] = (
            Route("POST", "/collection-request", _answering(self.collection_request)),
            Route("DELETE", "/collection-cancel", _answering(self.collection_cancel)),
            Route("GET", "/collection-status", _answering(self.collection_status)),
            Route("GET", "/collection-status/{reference}", _answering(self.collection_status)),
            Route("GET", "/service-status", self.service_status),
        )

    def open(self, shelf: Shelf) -> None:
        """Take the part of the store that belongs to the service."""
        self._shelf = shelf
        self._queue = Queue(shelf)
        self._clock = Clock(shelf)
        self._work = Work(shelf, self._queue, self._clock, self._meter_at, self._unchanged)

    @cached_property
    def controls(self) -> Sequence[Route]:
        """Its own calls below `/control`."""
        shelf, queue, clock = self._shelf, self._queue, self._clock
        known = Controls(
            shelf, queue, clock, demo=self._demo, find=self._find, ring=self._work.ring
        )
        return known.routes

    # In the background.

    def begin(self, courier: Courier) -> None:
        """Go on with the queue."""
        self._work.begin(courier)

    def end(self) -> None:
        """Stop collecting; the queue stays."""
        self._work.end()

    def forget(self) -> None:
        """Drop the queue and show real time again."""
        self._work.forget()
        self._clock.reset()

    # What every party says.

    def knows(self, request: Request) -> None:
        """Ask for no credentials."""

    def stranger(self) -> Answer:
        """Refuse, as a server in front of it would that lets only known addresses in."""
        return json_answer({"details": "Unauthorised"}, 401)

    def no_such_call(self) -> Answer:
        """Response codes: 404, with details as every code but 200 has."""
        return json_answer({"details": "There is no such method"}, 404)

    def problem(self, status: int) -> Answer:
        """Response codes: 400, 429 and 500 with details."""
        return json_answer({"details": SENTENCES[status]}, status)

    def good_answer(self, request: Request, *, another: bool) -> Answer:
        """Give a good answer to this request, or one that names another reference."""
        if request.path == "/service-status":
            return self.service_status(request)
        reference = _reference(request)
        named = f"not-{reference}" if another else reference
        return json_answer({"requestReference": named, "result": "PENDING"})

    def exhibits(self) -> Sequence[Exhibit]:
        """Give the demo meters for the control page."""
        return [_exhibit(meter) for meter in self._demo()]

    # The request API.

    def collection_request(self, request: Request) -> Answer:
        """Data Collection Request: queue it and give its reference back."""
        now = self._clock.now()
        asked = checked(body_of(request), now.date())
        if not self._queue.accept(asked, now.timestamp()):
            raise BadRequest("requestReference has been used before, it must be unique")
        self._work.ring()
        return json_answer({"requestReference": asked.reference})

    def collection_cancel(self, request: Request) -> Answer:
        """Data Collection Cancel: take it from the queue; answer well though it has run."""
        reference = reference_of(body_of(request))
        if self._queue.find(reference) is None:
            return json_answer({"requestReference": reference, "details": UNKNOWN}, 404)
        self._queue.cancel(reference)
        return json_answer({"requestReference": reference})

    def collection_status(self, request: Request) -> Answer:
        """Data Collection Status: by query string, or by path as in the second sample."""
        row = self._queue.find(reference_of({**request.query, "requestReference": _asked(request)}))
        if row is None:
            return json_answer({"details": UNKNOWN}, 404)
        return Answer(200, self._status(row).encode())

    def service_status(self, request: Request) -> Answer:
        """Service Status: version and status."""
        return json_answer({"version": VERSION, "status": "OK"})

    def _status(self, row: Row) -> str:
        asked = stored(row["asked"])
        if row["state"] == "cancelled":
            return document.cancelled(asked)
        if row["visit"] is None:
            return document.pending(asked)
        made = visit.stored(row["visit"], self._unchanged)
        disagree = made.meter and {"disagree", "disagree_tie"} & set(made.meter.behaviours)
        return document.result(asked, made, "altered" if disagree else "whole")

    # Its meters.

    def _unchanged(self, serial: str) -> Meter | None:
        return self._fixed.get(serial) or bulk.by_serial(serial)

    def _find(self, serial: str) -> Meter | None:
        meter = self._unchanged(serial)
        return self._as_changed(meter) if meter else None

    def _as_changed(self, meter: Meter) -> Meter:
        return meter.changed(self._shelf.changes(meter.serial))

    def _demo(self) -> list[Meter]:
        return [self._as_changed(meter) for meter in self._fixed.values()]

    def _meter_at(self, address: str, outstation: str) -> Meter | None:
        """Give the meter at a remote address, the one with this outstation where there are more."""
        there = [meter for meter in self._fixed.values() if meter.remote_address == address]
        named = [meter for meter in there if meter.outstation == outstation]
        meter = next(iter([*named, *there]), None) or bulk.by_address(address)
        return self._as_changed(meter) if meter else None


def _answering(run: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """Answer 400 with the reason where a request is not understood."""

    def answer(request: Request) -> Answer:
        try:
            return run(request)
        except BadRequest as problem:
            return json_answer({"details": str(problem)}, 400)

    return answer


def _asked(request: Request) -> str:
    return request.values.get("reference") or request.query.get("requestReference", "")


def _reference(request: Request) -> str:
    """Give the reference of any request, well made or not."""
    try:
        return reference_of(body_of(request))
    except BadRequest:
        return _asked(request) or request.path.rpartition("/")[2]


def _exhibit(meter: Meter) -> Exhibit:
    return Exhibit(
        key=meter.serial,
        purpose=meter.purpose,
        facts=f"{meter.kind.code}, {meter.mpan}, {meter.remote_address} ({meter.outstation})",
        state=", ".join(meter.behaviours) or "as it should be",
        url=f"/control/meters/{meter.serial}",
    )
