"""The parties, their faults and their log together: one call to a party from start to end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sandbox.courier import Courier
from sandbox.delivery import Delivered, Settings, Wire
from sandbox.exchange import Answer, Request, run_route
from sandbox.faults import ANSWERING, Fault, FaultBoard, Scene, Switched
from sandbox.masking import masked_body, masked_headers, masked_text
from sandbox.party import Active, Discreet, Forgetful, Party
from sandbox.store import Shelf, Store

AS_IT_SHOULD_BE = Fault("As the specification says")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a party can be reached: below the shared address, and on a port of its own."""

    shared_url: str
    own_url: str


class Stage:
    """Everything that outlives a single call."""

    def __init__(self, store: Store, parties: Sequence[Party]) -> None:
        self.store = store
        self.parties = {party.name: party for party in parties}
        self.board = FaultBoard(store)
        self.places: dict[str, Place] = {}
        self.port = 0
        self.sync_doors: Callable[[], None] = lambda: None
        for party in parties:
            party.open(Shelf(store, party.name))

    def party_of(self, target: str) -> Party | None:
        """Find the party that a request target such as /registry/... is for."""
        first, _, _ = target.removeprefix("/").partition("/")
        return self.parties.get(first.partition("?")[0])

    def take_unread(self, party: Party, method: str, target: str) -> Switched | None:
        """Take a fault that strikes before the request is read, and log the call."""
        switched = self.board.take(party.name, target, unread=True)
        if switched is not None:
            number = self.store.log_received(
                party=party.name,
                method=method,
                path=masked_text(target, party.secret_fields),
                headers={},
                body=b"",
                credentials=None,
                fault=switched.fault,
            )
            self.store.log_answered(number, status=None, written=False, duration=0.0)
        return switched

    def perform(self, party: Party, request: Request, target: str, wire: Wire) -> None:
        """Answer one call to a party, as it should be or with the fault that is on."""
        body = kept_body(party, request.body)
        switched = self.board.take(party.name, f"{target} {body.decode()}")
        fault = ANSWERING[switched.fault] if switched else AS_IT_SHOULD_BE
        settings = switched.settings if switched else Settings()
        number = self.store.log_received(
            party=party.name,
            method=request.method,
            path=masked_text(target, party.secret_fields),
            headers=masked_headers(request.headers.items(), party.secret_headers),
            body=body,
            credentials=party.knows(request),
            fault=switched.fault if switched else None,
        )
        request = replace(request, number=number)
        usual = partial(usual_answer, party, request)
        scene = Scene(party, request, settings, usual, self.port)
        began = time.monotonic()
        delivered = Delivered(None, False)
        try:
            delivered = fault.deliver(wire, partial(fault.spoil, scene), settings)
        finally:
            took = time.monotonic() - began
            self.store.log_answered(
                number, status=delivered.status, written=delivered.written, duration=took
            )

    def begin(self) -> None:
        """Let the parties that act by themselves begin."""
        for party in self.parties.values():
            if isinstance(party, Active):
                party.begin(Courier(self.store, self.board, party))

    def end(self) -> None:
        """Let them end."""
        for party in self._active():
            party.end()

    def _active(self) -> list[Active]:
        return [party for party in self.parties.values() if isinstance(party, Active)]

    def reset(self) -> None:
        """Forget every change, fault and log row."""
        self.board.switch_off()
        for party in self.parties.values():
            if isinstance(party, Forgetful):
                party.forget()
        self.store.forget()
        self.sync_doors()


def kept_body(party: Party, body: bytes) -> bytes:
    """Give what the log may keep of a request body."""
    if isinstance(party, Discreet):
        return party.kept(body)
    return masked_body(body, party.secret_fields)


def usual_answer(party: Party, request: Request) -> Answer:
    """Give what the party says by its specification: no such call, stranger, or the answer."""
    known = any(route.match(request.method, request.path) is not None for route in party.routes)
    if not known:
        return party.no_such_call()
    if party.knows(request) is False:
        return party.stranger()
    return run_route(party.routes, request) or party.no_such_call()
