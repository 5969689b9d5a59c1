"""What the calls answer with, in the words and the order of the specification's samples."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sandbox.parties.production_tracking.book import Submission
from sandbox.parties.production_tracking.reading import FAILED, Official
from sandbox.parties.production_tracking.system import System

TRAPPED = "System cannot be read at this time"
Row = dict[str, Any]


def named(system: System) -> Row:
    """Give what every answer begins with."""
    return {
        "fk_system": system.key,
        "SystemID": system.system_id,
        "SystemName": system.name,
    }


def system(one: System) -> Row:
    """Give an item of GetSystems."""
    trapped = one.does("error") or one.does("systems_error")
    return {**named(one), "capacity": one.capacity, "Error": TRAPPED if trapped else None}


def last_reading(one: System, last: Official | None) -> Row:
    """Give an item of GetLastReading; one that was never read has nulls."""
    trapped = one.does("error") or one.does("reading_error")
    row = {
        **named(one),
        "MeterValue": last.value if last else None,
        "MeterDate": _moment(last.moment) if last else None,
        "DateTimeReported": _moment(last.reported) if last else None,
        "PeriodEndDate": _midnight(last.period_end) if last else None,
        "EnergyProduced": last.energy if last else None,
        "IsEstimated": last.estimated if last else False,
        "Notes": last.notes if last else "",
    }
    return {**row, "Error": TRAPPED if trapped else None}


def status(one: System, submission: Submission, verdict: int) -> Row:
    """Give an item of GetSubmissionStatus; the notes come with the verdict."""
    return {
        **named(one),
        "MeterValue": submission.value,
        "MeterDate": submission.moment,
        "DateTimeReported": submission.received,
        "PeriodEndDate": f"{submission.period}T00:00:00",
        "EnergyProduced": submission.energy,
        "IsEstimated": bool(submission.estimated),
        "Notes": submission.notes,
        "ValidationNotes": submission.validation_notes if verdict == FAILED else "",
        "ValidationStatus": verdict,
    }


def as_status(row: Row) -> Row:
    """Give an item of GetLastReading as one of GetSubmissionStatus that has passed."""
    kept = {name: value for name, value in row.items() if name != "Error"}
    return {**kept, "ValidationNotes": "", "ValidationStatus": 1}


def receipt(one: System | None, submission: Submission | None, error: str) -> Row:
    """Give an item of the reply to a post; the specification shows none, so it is like the others.

    An item that names no system of ours has its key alone.
    """
    key = submission.key if submission else None
    return {**(named(one) if one else {"fk_system": key}), "Error": error or None}


def spelled(row: Row, one: System) -> Sequence[Row]:
    """Spell an item as the behaviours of its system say; give it once, or twice."""
    if not one.behaviours:
        return (row,)
    changed = {name: _spelled(name, value, one) for name, value in row.items()}
    if one.does("missing"):
        changed = {"fk_system": one.key}
    if one.does("extra"):
        changed |= {"Utility": "Eversource", "Links": [{"rel": "self"}]}
    return (changed, changed) if one.does("twice") else (changed,)


def _spelled(name: str, value: Any, one: System) -> Any:
    if name == "fk_system":
        return value
    if one.does("nulls"):
        return None
    if one.does("wrong_types"):
        return 17 if isinstance(value, str) else value if value is None else f"about {value}"
    return f" {value}" if name == "SystemID" and one.does("spaces") else value


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00"
