"""The faults that can be switched on for a party, and the board that counts them down.

A fault spoils the answer, its delivery, or both. The board is a queue: the oldest fault that
matches a call is taken, and is gone when its number of calls is used up.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from sandbox import delivery, posting
from sandbox.delivery import Deliver, Settings
from sandbox.exchange import Answer, BadRequest, Request, as_json, html_answer, json_answer
from sandbox.party import Active, Party
from sandbox.posting import PostFault
from sandbox.store import Store

BIG = 10_000_000
LONGEST = 600.0  # seconds
NO_FAULT = "none"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault can work with when it spoils an answer."""

    party: Party
    request: Request
    settings: Settings
    usual: Callable[[], Answer]
    port: int

    def good(self) -> Answer:
        """Give the usual answer if it is a good one, else some good answer of this party."""
        usual = self.usual()
        if usual.status == 200:
            return usual
        return self.party.good_answer(self.request, another=False)


Spoil = Callable[[Scene], Answer]


def as_usual(scene: Scene) -> Answer:
    """Leave the answer as it is."""
    return scene.usual()


def stranger(scene: Scene) -> Answer:
    """Refuse the credentials, whatever they are."""
    return scene.party.stranger()


def no_such_call(scene: Scene) -> Answer:
    """Know no such call."""
    return scene.party.no_such_call()


def too_many(scene: Scene) -> Answer:
    """Ask the caller to wait."""
    wait = (("Retry-After", str(scene.settings.retry_after)),)
    return replace(scene.party.problem(429), headers=wait)


def broken(scene: Scene) -> Answer:
    """Fail inside."""
    return scene.party.problem(500)


def page(scene: Scene) -> Answer:
    """Send a web page with 200, as a gateway or a maintenance notice does."""
    return html_answer("<!doctype html><title>Maintenance</title><h1>Back soon</h1>")


def truncated(scene: Scene) -> Answer:
    """End the JSON in the middle; the length is that of what is sent."""
    good = scene.good()
    return Answer(good.status, good.body[: len(good.body) // 2], good.content_type)


def wrong_types(scene: Scene) -> Answer:
    """Turn texts into numbers and numbers into texts."""
    return json_answer(_swapped(json.loads(scene.good().body or b"{}")))


def _swapped(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _swapped(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_swapped(item) for item in content]
    if isinstance(content, str):
        return 17
    return content if content is None else f"about {content}"


def big(scene: Scene) -> Answer:
    """Send a good answer with ten megabytes of padding in it."""
    content = json.loads(scene.good().body or b"{}")
    padding = {"Padding": "x" * BIG}
    return json_answer([*content, padding] if isinstance(content, list) else padding | content)


def elsewhere(scene: Scene) -> Answer:
    """Send the caller to another host name; a caller who follows shows up in the log."""
    location = f"http://localhost:{scene.port}/{scene.party.name}/elsewhere"
    return Answer(302, b"", headers=(("Location", location),))


def another(scene: Scene) -> Answer:
    """Answer about something else than was asked."""
    return scene.party.good_answer(scene.request, another=True)


def nothing(scene: Scene) -> Answer:
    """Send 200 with an empty body."""
    return Answer(200, b"")


def bad_request(scene: Scene) -> Answer:
    """Send 400 with a JSON body."""
    return scene.party.problem(400)


def bad_request_page(scene: Scene) -> Answer:
    """Send 400 with an HTML body, as a gateway in front of the party does."""
    return html_answer("<!doctype html><title>400</title><h1>Bad request</h1>", 400)


def forbidden(scene: Scene) -> Answer:
    """Refuse the credentials as known but not entitled."""
    return replace(scene.party.stranger(), status=403)


def too_many_bare(scene: Scene) -> Answer:
    """Ask the caller to wait without saying how long."""
    return scene.party.problem(429)


def timed_out(scene: Scene) -> Answer:
    """Say that the request took too long to arrive, as a server in front of the party does."""
    return Answer(408, b"", headers=(("Connection", "close"),))


def unavailable(scene: Scene) -> Answer:
    """Send the page of a gateway that has nobody behind it."""
    return html_answer("<!doctype html><title>503</title><h1>Service Unavailable</h1>", 503)


def gateway_timeout(scene: Scene) -> Answer:
    """Send the page of a gateway that waited in vain for the party."""
    return html_answer("<!doctype html><title>504</title><h1>Gateway Time-out</h1>", 504)


def after_doing(spoil: Spoil) -> Spoil:
    """Do what was asked, and only then spoil the answer."""

    def spoil_after(scene: Scene) -> Answer:
        scene.usual()
        return spoil(scene)

    return spoil_after


@dataclass(frozen=True, slots=True)
class Fault:
    """One way of going wrong."""

    title: str
    spoil: Spoil = as_usual
    deliver: Deliver = delivery.whole
    seconds: float = 0.0
    counted: bool = True
    unread: bool = False


FAULTS: Mapping[str, Fault] = {
    "slow": Fault("Slow: waits before it answers", deliver=delivery.slow, seconds=5.0),
    "drip": Fault("Drips the body, a byte at a time", deliver=delivery.drip, seconds=1.0),
    "drip_all": Fault("Drips headers and body", deliver=delivery.drip_all, seconds=1.0),
    "hang": Fault("Hangs: reads, never answers", deliver=delivery.hang, seconds=120.0),
    "401": Fault("401, credentials refused", stranger),
    "404": Fault("404, no such call", no_such_call),
    "429": Fault("429 with Retry-After", too_many),
    "500": Fault("500", broken),
    "400": Fault("400 with a JSON body", bad_request),
    "400_html": Fault("400 with an HTML body", bad_request_page),
    "html": Fault("HTML page with 200", page),
    "empty": Fault("200 with an empty body", nothing),
    "truncated": Fault("Truncated JSON with 200", truncated),
    "cut": Fault("Half the promised body, then closes", deliver=delivery.cut),
    "wrong_types": Fault("Wrong types with 200", wrong_types),
    "wrong_number": Fault("Answers about another number", another),
    "big": Fault("10 MB body", big),
    "redirect": Fault("302 to elsewhere", elsewhere),
    "reset": Fault("Resets after the request was read", deliver=delivery.reset),
    "close": Fault("Closes without reading", deliver=delivery.unread, unread=True),
    "refuse": Fault("Refuses connections on its own port", counted=False, unread=True),
}
# What else can go wrong where a call makes the party do something.
DOING_FAULTS: Mapping[str, Fault] = {
    "lost": Fault(
        "Does what was asked, then resets instead of answering",
        deliver=delivery.after_doing(delivery.reset),
    ),
    "done_500": Fault("Does what was asked, then 500", after_doing(broken)),
}
# What else can go wrong where the answer is all that the caller ever hears of an act.
ANSWER_FAULTS: Mapping[str, Fault] = {
    "403": Fault("403, credentials not entitled", forbidden),
    "408": Fault("408, before anything was done", timed_out),
    "429_bare": Fault("429 without Retry-After", too_many_bare),
    "503": Fault("503 with an HTML body, before anything was done", unavailable),
    "closed": Fault("Reads the request, does nothing, closes", deliver=delivery.closed),
    "late_doing": Fault(
        "Waits, then does what was asked though the caller may have gone",
        deliver=delivery.late,
        seconds=5.0,
    ),
    "done_hang": Fault(
        "Does what was asked, then hangs",
        deliver=delivery.after_doing(delivery.hang),
        seconds=120.0,
    ),
    "done_closed": Fault(
        "Does what was asked, then closes instead of answering",
        deliver=delivery.after_doing(delivery.closed),
    ),
    "done_408": Fault("Does what was asked, then 408", after_doing(timed_out)),
    "done_504": Fault("Does what was asked, then 504 with HTML", after_doing(gateway_timeout)),
    "done_redirect": Fault("Does what was asked, then 302", after_doing(elsewhere)),
    "done_html": Fault("Does what was asked, then an HTML page with 200", after_doing(page)),
    "done_empty": Fault("Does what was asked, then 200 with an empty body", after_doing(nothing)),
}
# What can go wrong with what a party posts by itself.
POST_FAULTS: Mapping[str, PostFault] = {
    "post_wrong_reference": PostFault(
        "Posts the result under a wrong reference, to the right address",
        posting.wrong_reference,
    ),
    "post_wrong_token": PostFault(
        "Posts the result to an address with a wrong last part", posting.wrong_token
    ),
    "post_truncated": PostFault("Posts half the result as if it were whole", posting.truncated),
    "post_big": PostFault("Posts the result with 20 MB of padding", posting.big),
    "post_slow": PostFault("Posts the result slowly", send=posting.slow, seconds=5.0),
    "post_cut": PostFault("Posts half the promised result, then closes", send=posting.cut),
    "post_closed": PostFault("Posts the result and closes unanswered", send=posting.closed),
    "post_never": PostFault("Never posts the result", send=posting.never),
}
ANSWERING: Mapping[str, Fault] = {**FAULTS, **DOING_FAULTS, **ANSWER_FAULTS}
KNOWN: Mapping[str, Fault | PostFault] = {
    **ANSWERING,
    **POST_FAULTS,
    # A place in a drill at which nothing goes wrong.
    NO_FAULT: Fault("As it should be"),
}


def faults_of(party: Party) -> Mapping[str, Fault | PostFault]:
    """Give the faults that a party can have: more where it is asked to do, or posts by itself."""
    does = any(route.method != "GET" for route in party.routes)
    if isinstance(party, Active):
        return {**FAULTS, **DOING_FAULTS, **POST_FAULTS}
    return {**FAULTS, **DOING_FAULTS, **ANSWER_FAULTS} if does else FAULTS


@dataclass(slots=True)
class Switched:
    """A fault that is on: for which party, how many calls more (None: until off), which calls."""

    id: int
    party: str
    fault: str
    calls_left: int | None
    settings: Settings
    match: str
    since: str

    def shown(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        return {**asdict(self), "title": KNOWN[self.fault].title}


class FaultBoard:
    """The faults that are on, oldest first, kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._on = [
            Switched(**{**dict(row), "settings": Settings(**json.loads(row["settings"]))})
            for row in store.run("select * from fault order by id")
        ]

    def listed(self, party: str = "") -> list[Switched]:
        """Give the faults that are on."""
        with self._lock:
            return [switched for switched in self._on if party in ("", switched.party)]

    def refuses(self, party: str) -> bool:
        """Is this party to refuse connections?"""
        return any(switched.fault == "refuse" for switched in self.listed(party))

    def switch_on(
        self,
        party: str,
        fault: str,
        *,
        calls: int | None = None,
        seconds: float | None = None,
        retry_after: int = 30,
        match: str = "",
    ) -> Switched:
        """Switch a fault on for so many calls, or until it is switched off; raises BadRequest."""
        known = KNOWN.get(fault)
        if known is None:
            raise BadRequest(f"There is no fault {fault!r}. Known: {', '.join(KNOWN)}.")
        if calls is not None and not known.counted:
            raise BadRequest("Refused connections cannot be counted: leave the calls empty.")
        settings = Settings(known.seconds if seconds is None else seconds, retry_after)
        return self._add(party, fault, calls, settings, match)

    def _add(
        self, party: str, fault: str, calls: int | None, settings: Settings, match: str
    ) -> Switched:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock:
            rows = self._store.run(
                "insert into fault (party, fault, calls_left, settings, match, since)"
                " values (?, ?, ?, ?, ?, ?) returning id",
                *(party, fault, calls, as_json(asdict(settings)), match, since),
            )
            number = int(rows[0]["id"]) if rows else 0
            switched = Switched(number, party, fault, calls, settings, match, since)
            self._on.append(switched)
        return switched

    def drill(
        self,
        party: str,
        *,
        seed: int,
        calls: int,
        share: float,
        among: Sequence[str],
        seconds: float | None = None,
    ) -> list[Switched]:
        """Line up one drawn fault, or none, for each of the next calls: the same for a seed.

        `share` is the part of the calls that go wrong, 0 to 1; raises BadRequest.
        """
        dice = Random(seed)  # noqa: S311 - a drill is to be repeatable
        drawn = [dice.choice(among) if dice.random() < share else NO_FAULT for _ in range(calls)]
        return [self.switch_on(party, fault, calls=1, seconds=seconds) for fault in drawn]

    def switch_off(self, party: str = "", number: int | None = None) -> int:
        """Switch off one fault, a party's faults, or all; give how many."""
        with self._lock:
            gone = [
                switched
                for switched in self._on
                if party in ("", switched.party) and number in (None, switched.id)
            ]
            for switched in gone:
                self._drop(switched)
        return len(gone)

    def take(
        self, party: str, text: str, *, unread: bool = False, posting: bool = False
    ) -> Switched | None:
        """Take the oldest fault for this call and count it.

        `unread` before the call is read; `posting` when it is the party that calls.
        """
        with self._lock:
            waiting = (
                one
                for one in self._on
                if one.party == party
                and one.match in text
                and (one.fault in POST_FAULTS) is posting
            )
            switched = next(waiting, None)
            if switched is None or KNOWN[switched.fault].unread is not unread:
                return None
            self._count(switched)
        return None if switched.fault == NO_FAULT else switched

    def _count(self, switched: Switched) -> None:
        if switched.calls_left is None:
            return
        switched.calls_left -= 1
        if switched.calls_left <= 0:
            self._drop(switched)
        else:
            self._store.run(
                "update fault set calls_left=? where id=?", switched.calls_left, switched.id
            )

    def _drop(self, switched: Switched) -> None:
        self._on.remove(switched)
        self._store.run("delete from fault where id=?", switched.id)
