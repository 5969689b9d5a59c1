"""The control calls of the played service: what it accepted and saw, its switches, its samples."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.exchange import Answer, BadRequest, Request, Route, json_answer
from sandbox.parties.market_messages import options
from sandbox.parties.market_messages.blocks import CODE_FIELDS
from sandbox.parties.market_messages.book import Book
from sandbox.parties.market_messages.samples import SAMPLES
from sandbox.store import Shelf

CODES = "codes"
MOST_LISTED = 20_000
# Of a row of the log, what an attempt shows; the rest of it is in `/control/log`.
SHOWN = ("id", "at", "path", "credentials", "fault", "status", "written", "duration_ms")


class Controls:
    """Answers below `/control/market-messages`."""

    def __init__(self, shelf: Shelf, book: Book) -> None:
        self._shelf, self._book = shelf, book
        base = "/market-messages"
        self.routes = (
            Route("GET", f"{base}/accepted", self.accepted),
            Route("GET", f"{base}/attempts", self.attempts),
            Route("GET", f"{base}/switches", self.show_switches),
            Route("POST", f"{base}/switches", self.change_switches),
            Route("GET", f"{base}/codes", self.show_codes),
            Route("POST", f"{base}/codes", self.add_codes),
            Route("GET", f"{base}/samples", self.list_samples),
            Route("GET", f"{base}/samples/{{name}}", self.show_sample),
        )

    def accepted(self, request: Request) -> Answer:
        """List what was accepted, oldest first, and what was accepted more than once."""
        return json_answer(
            {
                "accepted": self._book.listed(**_choice(request)),
                "repeated_jobs": self._book.repeated("job_id"),
                "repeated_messages": self._book.repeated("job_id, sha256"),
            }
        )

    def attempts(self, request: Request) -> Answer:
        """List every call that arrived, oldest first, with what it led to."""
        choice = _choice(request)
        job_id, outcomes = choice.pop("job_id"), self._book.outcomes()
        # The log finds a text anywhere in a row, so the job is looked at once more here.
        entries = self._shelf.log(number=json.dumps(job_id)[1:-1], **choice)
        attempts = (_attempt(entry, outcomes.get(entry["id"])) for entry in reversed(entries))
        return json_answer({"attempts": [one for one in attempts if job_id in ("", one["job_id"])]})

    def show_switches(self, request: Request) -> Answer:
        """Show the switches, and what each may be."""
        switches = options.options(self._shelf).shown()
        return json_answer({"switches": switches, "choices": options.CHOICES})

    def change_switches(self, request: Request) -> Answer:
        """Set switches; null sets one back."""
        options.change(self._shelf, request.fields())
        return self.show_switches(request)

    def show_codes(self, request: Request) -> Answer:
        """Show the codes of each field that are known when unknown ones are refused."""
        return json_answer({"codes": known_codes(self._shelf)})

    def add_codes(self, request: Request) -> Answer:
        """Add codes: a field such as `job_completion.outcome` with a list; null takes them back."""
        fields = request.fields()
        for field, codes in fields.items():
            if field not in CODE_FIELDS:
                raise BadRequest(f"Not a field with codes: {field}.")
            if codes is not None and not _are_texts(codes):
                raise BadRequest(f"The codes of {field} must be a list of texts.")
        self._shelf.change(CODES, fields)
        return self.show_codes(request)

    def list_samples(self, request: Request) -> Answer:
        """List the sample messages."""
        shown = [
            {"name": sample.name, "purpose": sample.purpose, "scenario": sample.scenario.code}
            for sample in SAMPLES.values()
        ]
        return json_answer({"samples": shown})

    def show_sample(self, request: Request) -> Answer:
        """Give one sample message, ready to be sent."""
        sample = SAMPLES.get(request.values["name"])
        if sample is None:
            return json_answer({"details": "There is no sample with this name."}, 404)
        return json_answer(sample.message)


def known_codes(shelf: Shelf) -> dict[str, list[str]]:
    """Give the printed codes of each field with those that were added."""
    added = shelf.changes(CODES)
    return {
        field: list(dict.fromkeys([*printed, *(added.get(field) or [])]))
        for field, printed in CODE_FIELDS.items()
    }


def _are_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)


def _choice(request: Request) -> dict[str, Any]:
    query = request.query
    return {
        "job_id": query.get("job_id", ""),
        "after": _whole(query, "after", 0),
        "limit": _whole(query, "limit", MOST_LISTED),
    }


def _whole(query: Mapping[str, str], name: str, usual: int) -> int:
    given = query.get(name, str(usual))
    if not given.isascii() or not given.isdigit() or len(given) > 12:
        raise BadRequest(f"{name} must be a whole number.")
    return int(given)


def _attempt(entry: Mapping[str, Any], request_id: str | None) -> dict[str, Any]:
    # A call that was dropped unread has no body, so nothing is known of it.
    kept = json.loads(entry["body"] or '{"job_id": null}')
    row = {name: entry[name] for name in SHOWN}
    return {**row, **kept, "accepted": request_id is not None, "request_id": request_id}
