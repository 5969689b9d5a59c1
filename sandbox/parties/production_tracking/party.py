"""The Production Tracking System as a party: its automated reporting API, as its text says.

Operations: GetSystems, GetLastReading, ARPostTest, ARPost, GetSubmissionStatus. The key is in a
header and, with the posts, in the body as well; a wrong one is 400.
"""

import json
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from sandbox.exchange import Answer, BadRequest, Request, Route, json_answer
from sandbox.parties.production_tracking import document
from sandbox.parties.production_tracking.behaviour import BEHAVIOURS
from sandbox.parties.production_tracking.book import Submission
from sandbox.parties.production_tracking.controls import Controls, shown_state
from sandbox.parties.production_tracking.office import Office
from sandbox.parties.production_tracking.reading import posted
from sandbox.parties.production_tracking.system import System
from sandbox.party import ChangeForm, Exhibit
from sandbox.store import Shelf

POSTS = ("/ARPost", "/ARPostTest")
MOST_ITEMS = 20_000
NOTES_KEPT = 200
SENTENCES = {
    400: "Bad Request",
    429: "Too many requests",
    500: "Service Unavailable",
}


class ProductionTracking:
    """The reporting API; credentials are a header's key, a second header, and a body's key."""

    KEY = "sandbox-pts-key"
    SUBSCRIPTION_KEY = "sandbox-pts-subscription-key"

    name = "production-tracking"
    title = "Production Tracking System"
    notes = (
        "Knows 300 invented systems, 1000 to 1299, with their lifetime readings, and takes new "
        "readings in its reporting window: the last five days of a month to the fifth of the "
        "next, New York dates. Validates within seconds; closes the window by its own clock."
    )
    secret_headers = frozenset({"ocp-apim-subscription-key"})
    secret_fields = frozenset({"APIKey"})
    change_form = ChangeForm(
        "/control/production-tracking/systems",
        "Behaviour",
        (("none", "As it should be"), *((word, title) for word, title in BEHAVIOURS.items())),
    )

    def __init__(
        self,
        key: str = KEY,
        subscription_key: str = SUBSCRIPTION_KEY,
        window: str = "dates",
    ) -> None:
        self._key, self._subscription_key = key, subscription_key
        self._usual_window = window
        self.routes: Sequence[Route] = (
            Route("GET", "/GetSystems", _answering(self.get_systems)),
            Route("POST", "/GetSystems", _answering(self.get_systems)),
            Route("GET", "/GetLastReading", _answering(self.get_last_reading)),
            Route("POST", "/GetLastReading", _answering(self.get_last_reading)),
            Route("POST", "/ARPostTest", _answering(self.ar_post_test)),
            Route("POST", "/ARPost", _answering(self.ar_post)),
            Route("GET", "/GetSubmissionStatus", _answering(self.get_submission_status)),
        )

    def open(self, shelf: Shelf) -> None:
        """Take the part of the store that belongs to the system."""
        self._shelf = shelf
        self._office = Office(shelf, self._usual_window)

    @cached_property
    def controls(self) -> Sequence[Route]:
        """Its own calls below `/control`."""
        return Controls(self._shelf, self._office).routes

    def forget(self) -> None:
        """Drop submissions, readings and changes, and show real time again."""
        self._office.forget()

    # What every party says.

    def knows(self, request: Request) -> bool:
        """Check both headers, and the key in the body of a post that can be read."""
        if self._office.revoked:
            return False
        headers = request.headers
        traced = str(headers.get("Ocp-Apim-Trace", "")).lower() == "true"
        if headers.get("Ocp-Apim-Subscription-Key") != self._subscription_key or not traced:
            return False
        try:
            return request.path not in POSTS or _body(request).get("APIKey") == self._key
        except BadRequest:
            return True

    def stranger(self) -> Answer:
        """Http Results: 400, Bad API Key."""
        return json_answer({"Message": "Bad API Key"}, 400)

    def no_such_call(self) -> Answer:
        """Answer 404, as any server does; the specification has no code for it."""
        return json_answer({"Message": "No such resource"}, 404)

    def problem(self, status: int) -> Answer:
        """Http Results: 400 and 500 with their words; 429 is not in the specification."""
        return json_answer({"Message": SENTENCES[status]}, status)

    def good_answer(self, request: Request, *, another: bool) -> Answer:
        """Give a good answer to this request, or one about systems that it did not ask for."""
        systems = self._office.systems()
        asked = _keys_sent(request)
        other = [one for key, one in systems.items() if key not in asked][:1]
        chosen = (
            other
            if another or not asked
            else [systems[key] for key in sorted(asked & systems.keys())]
        )
        if request.path == "/GetSystems":
            return _list(document.system(one) for one in chosen)
        if request.path in POSTS:
            return _list(document.receipt(one, None, "") for one in chosen)
        last = self._office.last_readings(chosen)
        rows = [document.last_reading(one, last.get(one.key)) for one in chosen]
        if request.path == "/GetSubmissionStatus":
            rows = [document.as_status(row) for row in rows]
        return _list(rows)

    def exhibits(self) -> Sequence[Exhibit]:
        """Give the systems for the control page."""
        return [_exhibit(system) for system in list(self._office.systems().values())[:300]]

    # The five operations.

    def get_systems(self, request: Request) -> Answer:
        """GetSystems: the active systems, all or those asked for."""
        return _list(
            row
            for system in self._asked_for(request)
            for row in document.spelled(document.system(system), system)
        )

    def get_last_reading(self, request: Request) -> Answer:
        """GetLastReading: the last known meter reading of each active system."""
        systems = [one for one in self._asked_for(request) if not one.does("unlisted")]
        last = self._office.last_readings(systems)
        return _list(
            row
            for system in systems
            for row in document.spelled(document.last_reading(system, last.get(system.key)), system)
        )

    def ar_post_test(self, request: Request) -> Answer:
        """ARPostTest: "run through Validation, just not saved"; 200 received data."""
        taken = self._taken(request, test=True)
        if self._office.chosen.test_reply == "empty":
            return Answer(200)
        # Nothing is saved, so a failed validation can be told here and nowhere else.
        return _list(
            document.receipt(system, one, one.error or one.validation_notes)
            for system, one in taken
        )

    def ar_post(self, request: Request) -> Answer:
        """ARPost: saved to the interim table and validated afterwards; 200 received data."""
        taken = self._taken(request, test=False)
        if self._office.chosen.post_reply == "empty":
            return Answer(200)
        return _list(document.receipt(system, one, one.error) for system, one in taken)

    def get_submission_status(self, request: Request) -> Answer:
        """GetSubmissionStatus: each system submitted during the current window, or those asked."""
        wanted = _filter(request)
        self._office.poll()
        if self._office.revoked:
            return self.stranger()
        systems = self._office.systems()
        return _list(
            row
            for one in self._office.submitted()
            if one.key in systems and (wanted is None or one.key in wanted)
            for row in self._status_rows(systems[one.key], one)
        )

    def _status_rows(self, system: System, one: Submission) -> Sequence[dict[str, Any]]:
        if system.does("unlisted"):
            return ()
        status = 7 if system.does("odd_status") else self._office.status(one)
        return document.spelled(document.status(system, one, status), system)

    def _asked_for(self, request: Request) -> list[System]:
        wanted = _filter(request)
        found = (one for one in self._office.systems().values() if one.active)
        return [one for one in found if wanted is None or one.key in wanted]

    def _taken(self, request: Request, *, test: bool) -> list[tuple[System | None, Submission]]:
        body, chosen = _body(request), self._office.chosen
        items = [posted(item, chosen) for item in _items(body)]
        notes = str(body.get("Notes") or "")[:NOTES_KEPT]
        return self._office.submit(items, notes, test=test)


def _answering(run: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """Answer 400 with the reason where a request is not understood."""

    def answer(request: Request) -> Answer:
        try:
            return run(request)
        except BadRequest as problem:
            return json_answer({"Message": f"Bad Request: {problem}"}, 400)

    return answer


def _list(rows: Any) -> Answer:
    # Not `json_answer`: five thousand systems must not take long.
    return Answer(200, json.dumps(list(rows)).encode())


def _body(request: Request) -> dict[str, Any]:
    """Read the JSON object in the body; raises BadRequest."""
    try:
        body = json.loads(request.body or b"{}", parse_int=_whole)
    except (ValueError, RecursionError) as problem:
        raise BadRequest(f"the body is not JSON ({problem})") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _whole(digits: str) -> int | float:
    """Read a whole number; one of hundreds of digits is infinite, as it is to a database."""
    return int(digits) if len(digits) < 20 else math.inf


def _items(body: dict[str, Any]) -> list[Any]:
    items = body.get("systems")
    if not isinstance(items, list):
        raise BadRequest("systems must be a list")
    if len(items) > MOST_ITEMS:
        raise BadRequest("the JSON object is too large")
    return items


def _filter(request: Request) -> set[int] | None:
    """Give the keys that a request filters by, in its query or its body; None for every system."""
    if "fk_system" in request.query:
        try:
            return {int(key) for key in request.query["fk_system"].split(",")}
        except ValueError:
            raise BadRequest("fk_system must be whole numbers with commas between them") from None
    body = _body(request)
    if "systems" not in body:
        return None
    keys = [one.get("fk_system") if isinstance(one, dict) else None for one in _items(body)]
    if not all(isinstance(key, int) and not isinstance(key, bool) for key in keys):
        raise BadRequest("each of systems must have a whole fk_system")
    return {key for key in keys if isinstance(key, int)}


def _keys_sent(request: Request) -> set[int]:
    """Give the keys in any request, well made or not."""
    try:
        return _filter(request) or set()
    except BadRequest:
        return set()


def _exhibit(system: System) -> Exhibit:
    return Exhibit(
        key=str(system.key),
        purpose=system.name,
        facts=f"{system.system_id}, {system.capacity:g} kW",
        state=shown_state(system),
        url=f"/control/production-tracking/systems/{system.key}",
    )
