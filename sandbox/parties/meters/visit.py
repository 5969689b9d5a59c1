"""One visit to a meter: what came of the line, the serial number and the clock.

A visit is small; the readings follow from it, the request and the meter, and are not stored.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.parties.meters.meter import MEMORY, Meter
from sandbox.parties.meters.request import Asked

NO_CONNECTION = "No connection to the remote address"
NO_ANSWER = "No answer from meter"
DISTURBED = "Connection disturbed by another collection on the same remote address"
WRONG_PASSWORD = "Meter refused the password"  # noqa: S105 - a sentence
MISMATCH = "Serial number mismatch"


@dataclass(frozen=True, slots=True)
class Limits:
    """Within which variation of its time a meter is adjusted (note 1), in seconds."""

    minimum: int = 10
    maximum: int = 600


@dataclass(frozen=True, slots=True)
class Visit:
    """What happened, in seconds since 1970; `problem` is empty when there is something to tell."""

    meter: Meter | None
    started: int
    ended: int
    problem: str = ""
    serial: str = ""
    offset: int = 0
    adjustment: str = ""
    lost_days: tuple[str, ...] = ()

    @property
    def connected(self) -> bool:
        """Was there a connection at all?"""
        return self.problem != NO_CONNECTION

    def stored(self) -> str:
        """Write it for the store: the meter by its serial number and what was changed in it."""
        row: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        meter = row.pop("meter")
        row |= {"at": meter.serial, "changes": dict(meter.changes)} if meter else {}
        return json.dumps(row, default=float)


def stored(text: str, find: Callable[[str], Meter | None]) -> Visit:
    """Read what `Visit.stored` wrote; `find` gives the unchanged meter with a serial number."""
    row = json.loads(text)
    meter = find(row.pop("at", ""))
    changes = row.pop("changes", {})
    row["lost_days"] = tuple(row["lost_days"])
    return Visit(meter=meter.changed(changes) if meter else None, **row)


def problem(asked: Asked, meter: Meter | None, count: int) -> str:
    """Say why nothing can be read at all; empty when the meter answers the `count`th time."""
    if meter is None or meter.does("no_connection"):
        return NO_CONNECTION
    fits = (
        asked.meter_type == meter.kind.code
        and asked.outstation in ("", meter.outstation)
        and (not meter.coms_settings or asked.coms_settings == meter.coms_settings)
    )
    if not fits or meter.does("no_answer") or (meter.does("second_try") and count % 2):
        return NO_ANSWER
    return "" if asked.password == meter.password else WRONG_PASSWORD


def serial_number(asked: Asked, meter: Meter, moment: int) -> str:
    """Give the serial number returned, or ERROR where it is not the one asked for."""
    said = meter.serial_at(moment)
    if asked.serial in ("", said) or meter.does("serial_value") or meter.does("exchange"):
        return said
    return f"ERROR: {MISMATCH}, {asked.serial} was expected and the meter returned {said}"


def adjustment(meter: Meter, offset: int, limits: Limits) -> str:
    """Say what came of adjusting the time (note 1 of the request table)."""
    if meter.does("time_error"):
        return "ERROR: The time of the meter could not be read"
    if abs(offset) <= limits.minimum:
        return "NOT REQUIRED"
    if abs(offset) > limits.maximum:
        return f"ERROR: Variation of {abs(offset)}s is above the maximum of {limits.maximum}s"
    if meter.does("adjust_refused"):
        return "ERROR: Meter refused the new time"
    return "SUCCESS"


def survey_days(asked: Asked) -> list[date]:
    """Give the UTC days whose half hours were asked for."""
    if not asked.survey_days:
        return []
    first = date.fromisoformat(asked.survey_date)
    reach = min(asked.survey_days, (date.max - first).days)
    return [first + timedelta(days=place) for place in range(reach)]


def midnight(day: date) -> int:
    """Give the start of a UTC day in seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def summary(asked: Asked, visit: Visit) -> str:
    """Give the overall result: SUCCESS, PARTIAL SUCCESS (note 3) or ERROR with details."""
    if visit.problem:
        return f"ERROR: {visit.problem}"
    return "PARTIAL SUCCESS" if _partial(asked, visit) else "SUCCESS"


def _partial(asked: Asked, visit: Visit) -> bool:
    meter, days = visit.meter, survey_days(asked)
    if meter is None:
        return False
    if meter.does("time_error"):
        return True
    if not days:
        return False
    broken = any(meter.does(word) for word in ("no_survey", "half_survey", "gap_days"))
    forgotten = midnight(days[0]) < visit.ended - MEMORY
    return broken or forgotten or bool(visit.lost_days)
