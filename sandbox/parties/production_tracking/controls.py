"""The control calls of the played system: its clock, options, systems, submissions and key."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sandbox.exchange import Answer, BadRequest, Request, Route, json_answer
from sandbox.parties.production_tracking import options
from sandbox.parties.production_tracking.behaviour import BEHAVIOURS
from sandbox.parties.production_tracking.book import Submission
from sandbox.parties.production_tracking.change import (
    MOST_LISTED,
    checked,
    key_of,
    number_of,
    whole_of,
)
from sandbox.parties.production_tracking.office import Office
from sandbox.parties.production_tracking.reading import FAILED, PASSED, Official, plausible
from sandbox.parties.production_tracking.system import System
from sandbox.store import Shelf

PLACE = "/production-tracking"
NO_SYSTEM = "There is no system with this fk_system."
VERDICTS: Mapping[str, int | None] = {"passed": PASSED, "failed": FAILED, "own": None}


class Controls:
    """Answers below `/control/production-tracking`."""

    def __init__(self, shelf: Shelf, office: Office) -> None:
        self._shelf, self._office = shelf, office
        self.routes = (
            Route("GET", PLACE, self.show),
            Route("GET", f"{PLACE}/clock", self.show_clock),
            Route("POST", f"{PLACE}/clock", self.move_clock),
            Route("GET", f"{PLACE}/options", self.show_options),
            Route("POST", f"{PLACE}/options", self.change_options),
            Route("POST", f"{PLACE}/key", self.change_key),
            Route("GET", f"{PLACE}/systems", self.list_systems),
            Route("POST", f"{PLACE}/systems", self.change_system),
            Route("GET", f"{PLACE}/systems/{{key}}", self.show_system),
            Route("POST", f"{PLACE}/systems/{{key}}", self.change_system),
            Route("DELETE", f"{PLACE}/systems/{{key}}", self.remove_system),
            Route("GET", f"{PLACE}/counts", self.counts),
            Route("GET", f"{PLACE}/submissions", self.submissions),
            Route("POST", f"{PLACE}/decide", self.decide),
        )

    # The whole.

    def show(self, asked: Request) -> Answer:
        """Show clock, window, key, polls, and how many submissions of this window are what."""
        self._office.close_windows()
        window, (polls, early) = self._office.window(), self._office.book.polls()
        period = window.period_end.isoformat() if window else ""
        listed = self._office.book.submissions(period) if window else []
        return json_answer(
            {
                "clock": self._office.clock.shown(),
                "local_time": self._office.now().isoformat(timespec="seconds"),
                "window": {
                    "first": window.first.isoformat(),
                    "last": window.last.isoformat(),
                    "period_end": window.period_end.isoformat(),
                }
                if window
                else None,
                "revoked": self._office.revoked,
                "polls": {"all": polls, "too_early": early},
                "submissions": dict(Counter(self._word(one) for one in listed)),
            }
        )

    def show_clock(self, asked: Request) -> Answer:
        """Show the time by which windows open and close."""
        return json_answer(self._office.clock.shown())

    def move_clock(self, asked: Request) -> Answer:
        """Move, stop or start it."""
        self._office.clock.move(asked.fields())
        self._office.close_windows()
        return self.show_clock(asked)

    def show_options(self, asked: Request) -> Answer:
        """Show how it reports, validates and counts."""
        return json_answer(self._office.chosen.shown())

    def change_options(self, asked: Request) -> Answer:
        """Change it; null sets one back."""
        options.change(self._shelf, asked.fields())
        self._office.close_windows()
        return self.show_options(asked)

    def change_key(self, asked: Request) -> Answer:
        """Revoke the key, or give it back."""
        revoked = asked.fields().get("revoked")
        if not isinstance(revoked, bool):
            raise BadRequest("Send revoked (true or false).")
        self._office.revoke(revoked=revoked)
        return json_answer({"revoked": revoked})

    # Systems.

    def list_systems(self, asked: Request) -> Answer:
        """List the systems with their last readings; `?first=0&limit=100`."""
        first = whole_of(asked.query, "first", 0)
        systems = list(self._office.systems().values())
        chosen = systems[first : first + whole_of(asked.query, "limit", MOST_LISTED)]
        last = self._office.last_readings(chosen)
        return json_answer(
            {
                "count": len(systems),
                "systems": [self._shown(one, last.get(one.key)) for one in chosen],
                "behaviours": dict(BEHAVIOURS),
            }
        )

    def show_system(self, asked: Request) -> Answer:
        """Show one system: how it is, its tries, its readings, and what would be plausible now."""
        system = self._office.systems().get(key_of(asked.values["key"]))
        if system is None:
            return json_answer({"details": NO_SYSTEM}, 404)
        last = self._office.last_readings([system]).get(system.key)
        return json_answer(
            {
                **self._shown(system, last),
                "tries": self._tries().get(system.key) or _no_tries(),
                "plausible": self._plausible(system, last),
                "history": [_reading(one) for one in self._office.book.history(system.key)],
            }
        )

    def _plausible(self, system: System, last: Official | None) -> dict[str, float] | None:
        """Give meter values of this moment that are just plausible, and the expected one."""
        if last is None:
            return None
        least, usual, most = plausible(system, last, self._office.now())
        values = {"least": least, "expected": usual, "most": most}
        return {name: round(last.value + energy, 1) for name, energy in values.items()}

    def change_system(self, asked: Request) -> Answer:
        """Change a system, or add one that is not there; null sets a field back."""
        fields = asked.fields()
        key = key_of(asked.values.get("key") or fields.pop("number", fields.pop("fk_system", "")))
        if "Behaviour" in fields:
            fields["behaviours"] = [word for word in (fields.pop("Behaviour"),) if word != "none"]
        changes = checked(fields)
        self._allow(key, fields)
        if "last_value" in fields or "last_date" in fields:
            self._office.book.drop_readings(key)
        kept = self._office.book.changes().get(key, {})
        added = key not in self._office.systems()
        changed = kept | changes | ({"added": True, "active": True} if added else {})
        self._office.book.change(key, changed)
        return self.show_system(Request("GET", "", asked.headers, values={"key": str(key)}))

    def remove_system(self, asked: Request) -> Answer:
        """Make a system inactive: GetSystems and GetLastReading no longer list it."""
        key = key_of(asked.values["key"])
        if key not in self._office.systems():
            return json_answer({"details": NO_SYSTEM}, 404)
        kept = self._office.book.changes().get(key, {})
        self._office.book.change(key, {**kept, "active": False})
        return json_answer({})

    def _allow(self, key: int, fields: Mapping[str, Any]) -> None:
        """Make the help desk's exception for the window that is open."""
        if not {"extra_valid", "extra_failed"} & fields.keys():
            return
        window = self._office.window()
        if window is None:
            raise BadRequest("There is no open window to make an exception for.")
        period = window.period_end.isoformat()
        valid, failed = self._office.book.allowances(period).get(key, (0, 0))
        self._office.book.allow(
            key,
            period,
            int(number_of(fields, "extra_valid", valid)),
            int(number_of(fields, "extra_failed", failed)),
        )

    def _shown(self, system: System, last: Official | None) -> dict[str, Any]:
        return {
            "fk_system": system.key,
            "SystemID": system.system_id,
            "name": system.name,
            "capacity": system.capacity,
            "active": system.active,
            "behaviours": list(system.behaviours),
            "last": _reading(last) if last else None,
        }

    # Submissions.

    def counts(self, asked: Request) -> Answer:
        """Count the tries of each system in a window, the open one unless `?period=2026-11-30`."""
        return json_answer({str(key): tries for key, tries in self._tries(asked.query).items()})

    def _tries(self, query: Mapping[str, str] | None = None) -> dict[int, dict[str, int]]:
        window = self._office.window()
        period = (query or {}).get("period") or (window.period_end.isoformat() if window else "")
        counted: dict[int, dict[str, int]] = {}
        for one in self._office.book.submissions(period) if period else ():
            if one.counted and one.key is not None:
                tries = counted.setdefault(one.key, _no_tries())
                tries[_COUNTED[self._office.status(one)]] += 1
        return counted

    def submissions(self, asked: Request) -> Answer:
        """List submissions, newest first, by period, fk_system and limit."""
        key = key_of(asked.query["fk_system"]) if "fk_system" in asked.query else None
        period, limit = asked.query.get("period", ""), whole_of(asked.query, "limit", 1000)
        listed = self._office.book.submissions(period, key, limit)
        return json_answer({"submissions": [self._submission(one) for one in listed]})

    def _submission(self, one: Submission) -> dict[str, Any]:
        return {
            "id": one.number,
            "fk_system": one.key,
            "period_end": one.period,
            "MeterValue": one.value,
            "MeterDate": one.moment,
            "DateTimeReported": one.received,
            "Notes": one.notes,
            "batch_notes": one.batch_notes,
            "test": bool(one.test),
            "verdict": self._word(one),
            "Error": one.error or None,
            "ValidationNotes": one.validation_notes,
            "will_be": _WORDS[one.finding],
            "counted": bool(one.counted),
            "invalidated": bool(one.invalidated),
        }

    def _word(self, one: Submission) -> str:
        return "error" if one.error else _WORDS[self._office.status(one)]

    def decide(self, asked: Request) -> Answer:
        """End validation now, of one system, one submission or all: passed, failed or its own."""
        fields = asked.fields()
        unknown = sorted(fields.keys() - {"id", "fk_system", "verdict", "notes"})
        verdict = str(fields.get("verdict") or "own")
        if unknown or verdict not in VERDICTS:
            raise BadRequest(
                "Send verdict (passed, failed or own) and, if wanted, id or fk_system, and notes."
            )
        key = key_of(fields["fk_system"]) if "fk_system" in fields else None
        window = self._office.window()
        listed = self._office.book.submissions(window.period_end.isoformat(), key) if window else []
        chosen = [
            one.number
            for one in listed
            if not one.error and fields.get("id") in (None, one.number) and self._open(one, fields)
        ]
        notes = None if fields.get("notes") is None else str(fields["notes"])[:500]
        self._office.book.decide(chosen, VERDICTS[verdict], notes)
        return json_answer({"decided": len(chosen)})

    def _open(self, one: Submission, fields: Mapping[str, Any]) -> bool:
        """Is it still validating, or named by its id?"""
        return "id" in fields or self._office.status(one) == 0


_COUNTED = {PASSED: "valid", FAILED: "failed", 0: "undecided"}
_WORDS = {PASSED: "passed", FAILED: "failed", 0: "validating"}


def shown_state(system: System) -> str:
    """Say in a few words how a system is."""
    return ", ".join(system.behaviours) or ("as it should be" if system.active else "removed")


def _no_tries() -> dict[str, int]:
    return {"valid": 0, "failed": 0, "undecided": 0}


def _reading(one: Official) -> dict[str, Any]:
    return {
        "period_end": one.period_end.isoformat(),
        "MeterValue": one.value,
        "MeterDate": one.moment.isoformat(),
        "EnergyProduced": one.energy,
        "IsEstimated": one.estimated,
        "Notes": one.notes,
    }
