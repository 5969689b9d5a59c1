"""The Safe Isolation Provider service as a party: `POST /v4/sip` and its API key.

Clauses 3.1 to 3.5 and 4.1. It has no idempotency key and no call that looks a message up: what is
sent twice is accepted twice.
"""

from collections.abc import Sequence
from functools import cached_property

from sandbox.exchange import Answer, Request, Route
from sandbox.parties.market_messages import spelling
from sandbox.parties.market_messages.blocks import BLOCKS
from sandbox.parties.market_messages.book import Book, kept_of
from sandbox.parties.market_messages.check import NotJson, Problem, problems, read
from sandbox.parties.market_messages.controls import Controls, known_codes
from sandbox.parties.market_messages.limit import Limit
from sandbox.parties.market_messages.options import Options, options
from sandbox.parties.market_messages.samples import SAMPLES, Sample
from sandbox.parties.market_messages.scenario import Scenario, scenario_of
from sandbox.party import Exhibit
from sandbox.store import Shelf


class MarketMessages:
    """The service that turns a site visit into market messages; one header holds the API key."""

    KEY = "sandbox-sip-key"
    HEADER = "Authorization"
    SCHEME = "Bearer"

    name = "market-messages"
    title = "Market messages"
    notes = (
        "Takes the report of a site visit at /v4/sip, checks it against the document, and accepts "
        "it as often as it is sent. It keeps the job, hash and size of a message, and nothing that "
        "it says. The scenarios are its own: the document prints none."
    )
    secret_fields: frozenset[str] = frozenset()
    change_form = None

    def __init__(self, key: str = KEY, header: str = HEADER, scheme: str = SCHEME) -> None:
        self._header = header
        self._credentials = f"{scheme} {key}".lstrip()
        self._limit = Limit()
        self.secret_headers = frozenset({header.lower()})
        self.routes: Sequence[Route] = (Route("POST", "/v4/sip", self.sip),)

    def open(self, shelf: Shelf) -> None:
        """Take the part of the store that belongs to the service."""
        self._shelf = shelf
        self._book = Book(shelf)

    @cached_property
    def controls(self) -> Sequence[Route]:
        """Its own calls below `/control`."""
        return Controls(self._shelf, self._book).routes

    def forget(self) -> None:
        """Forget what was accepted, and how many calls there were."""
        self._book.forget()
        self._limit.forget()

    def kept(self, body: bytes) -> bytes:
        """Keep job, hash, size and the names of the blocks: the rest is about people."""
        return kept_of(body).as_json()

    # What every party says.

    def knows(self, request: Request) -> bool:
        """Check the API key (clause 3.2)."""
        return request.headers.get(self._header) == self._credentials

    def stranger(self) -> Answer:
        """Reject a request without a valid API key (clause 3.2)."""
        return spelling.stranger(self._options)

    def no_such_call(self) -> Answer:
        """Know only the one endpoint (clause 3.3)."""
        return spelling.said(404)

    def problem(self, status: int) -> Answer:
        """Say that something is wrong without saying what."""
        return spelling.said(status)

    def good_answer(self, request: Request, *, another: bool) -> Answer:
        """Give an answer as to an accepted message, without accepting any.

        An answer names no job, so somebody else's cannot be told from one's own.
        """
        request_id = f"00000000-0000-4000-8000-{int(another):012}"
        return spelling.accepted(request_id, Scenario.ISOLATOR_FITTED, self._options)

    def exhibits(self) -> Sequence[Exhibit]:
        """Give the sample messages for the control page."""
        return [_exhibit(sample) for sample in SAMPLES.values()]

    # The one operation.

    @property
    def _options(self) -> Options:
        return options(self._shelf)

    def sip(self, request: Request) -> Answer:
        """Requests: accept a good message, and answer with its request id and scenario."""
        now = self._options
        wait = self._limit.wait(now.calls_per_minute, now.minute_seconds)
        if wait is not None:
            return spelling.too_many(wait, now)
        if len(request.body) > now.largest_body:
            return spelling.said(413)
        if request.headers.get_content_type() != "application/json":
            return spelling.said(415)
        return self._checked(request, now)

    def _checked(self, request: Request, now: Options) -> Answer:
        try:
            message = read(request.body)
        except NotJson as problem:
            return spelling.refused([Problem("body", str(problem))], now)
        codes = known_codes(self._shelf) if now.refuse_unknown_codes else {}
        if found := problems(message, now, codes):
            return spelling.refused(found, now)
        scenario = scenario_of(message)
        request_id = self._book.accept(kept_of(request.body), scenario, request.number)
        return spelling.accepted(request_id, scenario, now)


def _exhibit(sample: Sample) -> Exhibit:
    blocks = [block for block in BLOCKS if block in sample.message]
    return Exhibit(
        key=sample.name,
        purpose=sample.purpose,
        facts=", ".join(blocks),
        state=f"{sample.scenario.code}, {sample.scenario.title.lower()}",
        url=f"/control/market-messages/samples/{sample.name}",
    )
