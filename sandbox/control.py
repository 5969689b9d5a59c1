"""The sandbox's own addresses: the control page, and the JSON calls below `/control`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox import guard, pages
from sandbox.exchange import (
    Answer,
    BadRequest,
    Request,
    Route,
    html_answer,
    json_answer,
    run_route,
)
from sandbox.faults import (
    ANSWER_FAULTS,
    DOING_FAULTS,
    FAULTS,
    KNOWN,
    LONGEST,
    POST_FAULTS,
    Fault,
    faults_of,
)
from sandbox.party import Party
from sandbox.posting import PostFault
from sandbox.stage import Stage

LOG_SHOWN = 100
LOG_MOST = 5000
LONGEST_WAIT = 30.0
MOST_DRILLED = 2000
PAGE_HEADERS = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
    ),
    # Not no-referrer: browsers then send `Origin: null` with our own forms.
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)


class Control:
    """Answers everything that is not for a party."""

    def __init__(self, stage: Stage, stylesheet: Path) -> None:
        self._stage = stage
        self._stylesheet = stylesheet
        self._pages = (
            Route("GET", "/", self.page),
            Route("GET", "/portal.css", self.style),
        )
        self._calls = (
            Route("GET", "/parties", self.parties),
            Route("GET", "/faults", self.faults),
            Route("POST", "/faults", self.switch_on),
            Route("POST", "/faults/off", self.switch_off),
            Route("POST", "/faults/drill", self.drill),
            Route("DELETE", "/faults", self.switch_off),
            Route("DELETE", "/faults/{id}", self.switch_off),
            Route("GET", "/log", self.log),
            Route("GET", "/log/counts", self.log_counts),
            Route("DELETE", "/log", self.clear_log),
            Route("POST", "/reset", self.reset),
        )

    def answer(self, request: Request) -> Answer:
        """Answer one request; a problem is a JSON object with `details`, or a page for a form."""
        problem = guard.host_problem(request)
        if request.method != "GET":
            problem = problem or guard.change_problem(request)
        if problem:
            return self._refused(request, problem, 403)
        try:
            answer = self._routed(request)
        except BadRequest as unclear:
            return self._refused(request, str(unclear), 400)
        if request.is_form and answer.status < 300:
            return Answer(303, headers=(("Location", "/"),))
        return replace(answer, headers=(*answer.headers, *PAGE_HEADERS))

    def _routed(self, request: Request) -> Answer:
        if request.path.startswith("/control/"):
            below = replace(request, path=request.path.removeprefix("/control"))
            answer = run_route(self._all_calls(), below)
        else:
            answer = run_route(self._pages, request)
        return answer or json_answer({"details": "There is nothing at this address."}, 404)

    def _all_calls(self) -> Sequence[Route]:
        parties = self._stage.parties.values()
        return [*self._calls, *(route for party in parties for route in party.controls)]

    def _refused(self, request: Request, problem: str, status: int) -> Answer:
        if request.is_form:
            return replace(html_answer(pages.problem(problem), status), headers=PAGE_HEADERS)
        return json_answer({"details": problem}, status)

    # Pages.

    def page(self, request: Request) -> Answer:
        """Show the control page."""
        log = self._stage.store.log(limit=LOG_SHOWN)
        return html_answer(pages.control_page(self._stage, log))

    def style(self, request: Request) -> Answer:
        """Serve the portal's stylesheet, so that both look the same."""
        try:
            return Answer(200, self._stylesheet.read_bytes(), "text/css; charset=utf-8")
        except OSError:
            return Answer(404, b"", "text/css; charset=utf-8")

    # JSON calls.

    def parties(self, request: Request) -> Answer:
        """List the parties with both addresses."""
        shown = [
            {
                "name": party.name,
                "title": party.title,
                "shared_url": self._stage.places[party.name].shared_url,
                "own_url": self._stage.places[party.name].own_url,
                "refuses": self._stage.board.refuses(party.name),
            }
            for party in self._stage.parties.values()
        ]
        return json_answer({"parties": shown})

    def faults(self, request: Request) -> Answer:
        """List the faults that are on, and those that can be switched on."""
        on = self._stage.board.listed(request.query.get("party", ""))
        return json_answer(
            {
                "on": [switched.shown() for switched in on],
                "known": _listed(FAULTS),
                "known_active": _listed({**DOING_FAULTS, **POST_FAULTS}),
                "known_answer": _listed({**DOING_FAULTS, **ANSWER_FAULTS}),
            }
        )

    def switch_on(self, request: Request) -> Answer:
        """Switch a fault on: party, fault, and if wanted calls, seconds, retry_after, match."""
        fields = request.fields()
        party = self._party(fields)
        fault = str(fields.pop("fault", ""))
        if fault in KNOWN:
            _check_fault(party, fault)
        switched = self._stage.board.switch_on(
            party.name,
            fault,
            calls=_whole(fields, "calls", 1, 1_000_000),
            seconds=_decimal(fields, "seconds", 0, LONGEST),
            retry_after=_whole(fields, "retry_after", 0, 86_400, 30) or 0,
            match=str(fields.pop("match", "")),
        )
        if fields:
            # Nothing may stay on that was not fully understood.
            self._stage.board.switch_off(number=switched.id)
            raise BadRequest(f"Not understood: {', '.join(sorted(fields))}.")
        self._stage.sync_doors()
        return json_answer(switched.shown(), 201)

    def drill(self, request: Request) -> Answer:
        """Line up faults for the next calls: party, seed, calls, share, among, seconds."""
        fields = request.fields()
        party = self._party(fields)
        among = fields.pop("among", None)
        if not isinstance(among, list) or not among:
            raise BadRequest("among must be a list of faults.")
        for fault in among:
            _check_fault(party, fault)
            if not KNOWN[fault].counted:
                raise BadRequest("Refused connections cannot be counted, so not drilled either.")
        seed, calls = _whole(fields, "seed", 0, 2**53, 0), _whole(fields, "calls", 1, MOST_DRILLED)
        share = _decimal(fields, "share", 0, 1, 0.5)
        seconds = _decimal(fields, "seconds", 0, LONGEST)
        if fields or calls is None:
            raise BadRequest("Send party, among, calls and, if wanted, seed, share, seconds.")
        lined_up = self._stage.board.drill(
            party.name,
            seed=seed or 0,
            calls=calls,
            share=share or 0.0,
            among=among,
            seconds=seconds,
        )
        return json_answer({"faults": [switched.fault for switched in lined_up]}, 201)

    def _party(self, fields: dict[str, Any]) -> Party:
        name = str(fields.pop("party", ""))
        if name not in self._stage.parties:
            raise BadRequest(f"There is no party {name!r}.")
        return self._stage.parties[name]

    def switch_off(self, request: Request) -> Answer:
        """Switch off one fault by its id, the faults of one party, or all."""
        fields = {**request.query, **request.fields(), **request.values}
        number = _whole(fields, "id", 0, 10**12)
        off = self._stage.board.switch_off(str(fields.get("party", "")), number)
        self._stage.sync_doors()
        return json_answer({"switched_off": off})

    def log(self, request: Request) -> Answer:
        """Give the log, newest first; `wait` seconds for `least` calls and their answers."""
        query = dict(request.query)
        entries = self._stage.store.log(
            party=query.get("party", ""),
            number=query.get("number", ""),
            after=_whole(query, "after", 0, 10**12, 0) or 0,
            limit=_whole(query, "limit", 1, LOG_MOST, LOG_SHOWN) or LOG_SHOWN,
            wait=_decimal(query, "wait", 0, LONGEST_WAIT, 0.0) or 0.0,
            least=_whole(query, "least", 0, LOG_MOST, 0) or 0,
        )
        return json_answer({"entries": entries})

    def log_counts(self, request: Request) -> Answer:
        """Count the log's rows by their path."""
        return json_answer({"calls": self._stage.store.log_counts(request.query.get("party", ""))})

    def clear_log(self, request: Request) -> Answer:
        """Empty the log."""
        self._stage.store.forget("log")
        return json_answer({})

    def reset(self, request: Request) -> Answer:
        """Forget every change, fault and log row."""
        self._stage.reset()
        return json_answer({})


def _listed(faults: Mapping[str, Fault | PostFault]) -> list[dict[str, Any]]:
    return [
        {"fault": name, "title": fault.title, "seconds": fault.seconds}
        for name, fault in faults.items()
    ]


def _check_fault(party: Party, fault: object) -> None:
    """Raise BadRequest where this party cannot have this fault."""
    if str(fault) not in faults_of(party):
        raise BadRequest(f"{party.title} cannot have this fault.")


def _whole(
    fields: dict[str, Any], name: str, least: int, most: int, default: int | None = None
) -> int | None:
    """Take a whole number out of the fields; raises BadRequest when it is none."""
    number = _decimal(fields, name, least, most, default)
    if number is not None and number != int(number):
        raise BadRequest(f"{name} must be a whole number.")
    return None if number is None else int(number)


def _decimal(
    fields: dict[str, Any], name: str, least: float, most: float, default: float | None = None
) -> float | None:
    """Take a number out of the fields; raises BadRequest when it is none or out of bounds."""
    given = fields.pop(name, None)
    if given is None:
        return default
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise BadRequest(f"{name} must be a number.") from None
    if not least <= number <= most:
        raise BadRequest(f"{name} must be from {least} to {most}.")
    return number
