"""The control calls of the played service: its meters, their truth, its queue, and its clock."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from sqlite3 import Row
from typing import Any

from sandbox.clock import Clock, read, written
from sandbox.exchange import Answer, BadRequest, Request, Route, json_answer
from sandbox.parties.meters import bulk, options, request, visit
from sandbox.parties.meters.behaviour import BEHAVIOURS
from sandbox.parties.meters.deliver import deliver
from sandbox.parties.meters.kinds import REGISTERS, TYPES
from sandbox.parties.meters.load import DAY, HALF_HOUR, INSTALLED, load_of
from sandbox.parties.meters.meter import Meter
from sandbox.parties.meters.queue import Queue
from sandbox.store import Shelf

YEAR = 365 * DAY
MOST_LISTED = 1000
MOST_READINGS = 400 * 48
NO_METER = "There is no meter with this serial number."
# What a change may name, and the field of the meter that it changes.
CHANGES = ("behaviours", "clock_offset", "clock_rate", "password", "says_serial")


class Controls:
    """Answers below `/control`."""

    def __init__(
        self,
        shelf: Shelf,
        queue: Queue,
        clock: Clock,
        *,
        demo: Callable[[], list[Meter]],
        find: Callable[[str], Meter | None],
        ring: Callable[[], None],
    ) -> None:
        self._shelf, self._queue, self._clock = shelf, queue, clock
        self._demo, self._find, self._ring = demo, find, ring
        self.routes = (
            Route("GET", "/meters", self.list_meters),
            Route("POST", "/meters", self.change_meter),
            Route("GET", "/meters/{serial}", self.show_meter),
            Route("POST", "/meters/{serial}", self.change_meter),
            Route("GET", "/meters/{serial}/readings", self.readings),
            Route("GET", "/collections", self.list_collections),
            Route("GET", "/collections/{reference}", self.show_collection),
            Route("GET", "/collecting", self.show_options),
            Route("POST", "/collecting", self.change_options),
            Route("POST", "/deliver", self.deliver),
            Route("GET", "/clock", self.show_clock),
            Route("POST", "/clock", self.move_clock),
        )

    # Meters.

    def list_meters(self, asked: Request) -> Answer:
        """List the demo meters; `?bulk=10&first=0` lists meters made from their number."""
        count = _whole(asked.query, "bulk", 0, MOST_LISTED)
        first = _whole(asked.query, "first", 0, bulk.MOST - 1)
        places = range(first, min(first + count, bulk.MOST))
        found = (self._find(f"BK{place:06}") for place in places) if count else self._demo()
        return json_answer(
            {
                "meters": [self._shown(meter) for meter in found if meter],
                "types": [
                    {"code": kind.code, "survey": kind.survey, "registers": list(kind.registers)}
                    for kind in TYPES.values()
                ],
                "behaviours": dict(BEHAVIOURS),
            }
        )

    def show_meter(self, asked: Request) -> Answer:
        """Show one meter."""
        meter = self._find(asked.values["serial"])
        return json_answer(self._shown(meter) if meter else {"details": NO_METER}, _found(meter))

    def change_meter(self, asked: Request) -> Answer:
        """Change how a meter behaves from now on; null undoes a change."""
        fields = asked.fields()
        number = asked.values.get("serial") or str(fields.pop("number", ""))
        meter = self._find(number)
        if meter is None:
            raise BadRequest(f"There is no meter {number!r}.")
        if "Behaviour" in fields:
            fields["behaviours"] = [word for word in (fields.pop("Behaviour"),) if word != "none"]
        self._shelf.change(meter.serial, _changes(fields, self._clock.now()))
        return self.show_meter(Request("GET", "", asked.headers, values={"serial": meter.serial}))

    def _shown(self, meter: Meter) -> dict[str, Any]:
        now = int(self._clock.now().timestamp())
        return {
            "serialNumber": meter.serial,
            "mpan": meter.mpan,
            "meterType": meter.kind.code,
            "remoteAddress": meter.remote_address,
            "comsSettings": meter.coms_settings,
            "outstationAddress": meter.outstation,
            "password": meter.password,
            "purpose": meter.purpose,
            "group": meter.group,
            "behaviours": list(meter.behaviours),
            "survey": "cumulative" if meter.cumulative else "per period",
            "survey_registers": list(meter.surveyed),
            "registers": [_register(meter, name, now) for name in meter.kind.registers],
            "profile": {
                follows: {"name": name, "yearly_kwh": _yearly(meter, name, follows, now)}
                for follows, name in (("import", meter.imports), ("export", meter.exports))
            },
            "decimals": meter.decimals,
            "installed_at": written(datetime.fromtimestamp(INSTALLED, UTC)),
            "says_serial": meter.serial_at(now),
            "clock_offset": meter.offset(now),
            "clock_rate": meter.clock_rate,
            "visits": self._shelf.calls(meter.serial),
        }

    def readings(self, asked: Request) -> Answer:
        """Give what a meter holds, whatever its results leave out: values as texts, in kWh."""
        meter = self._find(asked.values["serial"])
        if meter is None:
            return json_answer({"details": NO_METER}, 404)
        now = int(self._clock.now().timestamp())
        start = _moment(asked.query, "from", now - now % DAY - DAY)
        end = _moment(asked.query, "to", now)
        if end - start > MOST_READINGS * HALF_HOUR:
            raise BadRequest("Ask for 400 days or less.")
        name = asked.query.get("register", "")
        names = [name] if name else list(meter.kind.registers)
        if not set(names) <= set(meter.kind.registers):
            raise BadRequest(f"This meter has {', '.join(meter.kind.registers)}.")
        return json_answer(
            {
                "serialNumber": meter.serial,
                "survey": "cumulative" if meter.cumulative else "per period",
                "registers": [_truth(meter, one, start, end) for one in names],
            }
        )

    # Collections.

    def list_collections(self, asked: Request) -> Answer:
        """List the latest collections, newest first, and count all by their state."""
        limit = _whole(asked.query, "limit", 0, MOST_LISTED) or 100
        query = asked.query
        rows = self._queue.listed(query.get("state", ""), query.get("number", ""), limit)
        shown = [self._collection(row) for row in rows]
        return json_answer({"counts": self._queue.counts(), "collections": shown})

    def show_collection(self, asked: Request) -> Answer:
        """Show one collection with its posts."""
        row = self._queue.find(asked.values["reference"])
        if row is None:
            return json_answer({"details": "There is no collection with this reference."}, 404)
        return json_answer(self._collection(row))

    def _collection(self, row: Row) -> dict[str, Any]:
        one = request.stored(row["asked"])
        made = visit.stored(row["visit"], self._find) if row["visit"] else None
        meter = made.meter if made else None
        return {
            "requestReference": one.reference,
            "state": row["state"],
            "mpan": one.mpan,
            "remoteAddress": one.remote_address,
            "responseUrl": one.response_url,
            "priority": one.priority,
            "delayUntil": one.delay_until,
            "serialNumber": meter.serial if meter else None,
            "result": visit.summary(one, made) if made else "PENDING",
            "posts": [
                {**post, "due": written(datetime.fromtimestamp(post["due"], UTC))}
                for post in self._queue.posts(one.reference)
            ],
        }

    def show_options(self, asked: Request) -> Answer:
        """Show how it collects and posts."""
        return json_answer(options.options(self._shelf).shown())

    def change_options(self, asked: Request) -> Answer:
        """Change how it collects and posts; null sets one back."""
        options.change(self._shelf, asked.fields())
        self._ring()
        return self.show_options(asked)

    def deliver(self, asked: Request) -> Answer:
        """Post many results right now and give the figures."""
        return json_answer(deliver(asked.fields(), self._clock.now(), self._find))

    # The clock.

    def show_clock(self, asked: Request) -> Answer:
        """Show the time by which meters are read and results become due."""
        return json_answer(self._clock.shown())

    def move_clock(self, asked: Request) -> Answer:
        """Move, stop or start it."""
        self._clock.move(asked.fields())
        self._ring()
        return self.show_clock(asked)


def _found(meter: Meter | None) -> int:
    return 200 if meter else 404


def _register(meter: Meter, name: str, now: int) -> dict[str, str]:
    known = REGISTERS[name]
    shown = meter.text(meter.total(name, now))
    return {"name": name, "units": known.units, "direction": known.follows, "value": shown}


def _yearly(meter: Meter, name: str, follows: str, now: int) -> int:
    load = load_of(name, f"{meter.serial}/{follows}")
    return (load.at(now) - load.at(now - YEAR)) // 1000


def _truth(meter: Meter, name: str, start: int, end: int) -> dict[str, Any]:
    """Give the survey values, and the register at both ends, which they must agree with."""
    first = -(-start // HALF_HOUR) * HALF_HOUR
    readings = [
        {"timestamp": _stamp(at), "value": meter.text(meter.survey_value(name, at))}
        for at in range(first, end, HALF_HOUR)
    ]
    return {
        "name": name,
        "units": REGISTERS[name].units,
        "at_from": meter.text(meter.total(name, start)),
        "at_to": meter.text(meter.total(name, end)),
        "readings": readings,
    }


def _stamp(moment: int) -> str:
    return written(datetime.fromtimestamp(moment, UTC))


def _moment(query: Mapping[str, str], name: str, usual: int) -> int:
    # A plus sign in a query string arrives as a space.
    given = query.get(name, "").replace(" ", "+")
    return int(read(given, name).timestamp()) if given else usual


def _whole(query: Mapping[str, str], name: str, least: int, most: int) -> int:
    given = query.get(name, "0")
    if not given.isdigit() or not least <= int(given) <= most:
        raise BadRequest(f"{name} must be a whole number from {least} to {most}.")
    return int(given)


# Changes of a meter.


def _changes(fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Check what a change names; raises BadRequest."""
    unknown = sorted(fields.keys() - {*CHANGES, "shift_kwh", "shift_at"})
    if unknown:
        known = ", ".join((*CHANGES, "shift_kwh", "shift_at"))
        raise BadRequest(f"Not understood: {', '.join(unknown)}. Known: {known}.")
    changes = {name: _checked(name, fields[name]) for name in CHANGES if name in fields}
    if "clock_offset" in fields or "clock_rate" in fields:
        changes["clock_set_at"] = None
    return changes | _shift(fields, now)


def _checked(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "behaviours":
        words = value if isinstance(value, list) else [value]
        wrong = [str(word) for word in words if word not in BEHAVIOURS]
        if wrong:
            raise BadRequest(f"No behaviour: {', '.join(wrong)}. Known: {', '.join(BEHAVIOURS)}.")
        return words
    if name in {"password", "says_serial"}:
        return str(value)
    number = _number(name, value)
    return int(number) if name == "clock_offset" else number


def _shift(fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Move every register by so many kWh from a moment on, now if none is named."""
    if "shift_kwh" not in fields:
        if "shift_at" in fields:
            raise BadRequest("shift_at needs shift_kwh.")
        return {}
    given = fields["shift_kwh"]
    at = read(fields["shift_at"], "shift_at") if fields.get("shift_at") else now
    moved = None if given is None else round(_number("shift_kwh", given) * 1000)
    return {"shift_wh": moved, "shift_at": int(at.timestamp())}


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadRequest(f"{name} must be a number.") from None
    if not abs(number) <= 10**9:
        raise BadRequest(f"{name} is too large.")
    return number
