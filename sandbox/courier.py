"""Carries what a party sends by itself: picks the fault, sends, and logs the receiver's answer."""

import http.client
import threading
import time

from sandbox.delivery import Settings
from sandbox.faults import POST_FAULTS, FaultBoard
from sandbox.masking import masked_body, masked_text
from sandbox.party import Party
from sandbox.posting import Letter, Line, NotHere, PostFault, Said
from sandbox.store import Store

AS_IT_SHOULD_BE = PostFault("As the specification says")


class Courier:
    """Sends for one party; every letter is a row in the log."""

    def __init__(self, store: Store, board: FaultBoard, party: Party) -> None:
        self._store = store
        self._board = board
        self._party = party
        self._lock = threading.Lock()
        self._lines: set[Line] = set()

    def carry(self, letter: Letter) -> Said:
        """Send a letter, with the fault that is on, and log it; never raises for a bad receiver."""
        fault, settings, name = self._fault(letter)
        letter = fault.spoil(letter)
        number = self._log(letter, name)
        began = time.monotonic()
        said = Said(None, "Not sent.", written=False)
        try:
            said = self._sent(fault, letter, settings)
        finally:
            answer = masked_text(said.text, self._party.secret_fields)
            took = time.monotonic() - began
            self._store.log_answered(
                number, status=said.status, written=said.written, duration=took, answer=answer
            )
        return said

    def cut_all(self) -> None:
        """End every connection that is under way."""
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.cut()

    def _fault(self, letter: Letter) -> tuple[PostFault, Settings, str | None]:
        if letter.method != "POST":
            return AS_IT_SHOULD_BE, Settings(), None
        words = f"{letter.url} {letter.about}"
        switched = self._board.take(self._party.name, words, posting=True)
        if switched is None:
            return AS_IT_SHOULD_BE, Settings(), None
        return POST_FAULTS[switched.fault], switched.settings, switched.fault

    def _log(self, letter: Letter, fault: str | None) -> int:
        secret = self._party.secret_fields
        return self._store.log_received(
            party=self._party.name,
            method=letter.method,
            path=masked_text(letter.url, secret),
            headers={"Content-Length": str(len(letter.body))},
            body=masked_body(letter.body, secret),
            credentials=None,
            fault=fault,
            direction="posted",
        )

    def _sent(self, fault: PostFault, letter: Letter, settings: Settings) -> Said:
        try:
            line = Line(letter)
        except NotHere as refused:
            return Said(None, str(refused), written=False)
        with self._lock:
            self._lines.add(line)
        try:
            return fault.send(line, letter, settings)
        except (OSError, http.client.HTTPException) as problem:
            return Said(None, f"{type(problem).__name__}: {problem}", written=False)
        finally:
            line.close()
            with self._lock:
                self._lines.discard(line)
