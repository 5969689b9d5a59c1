"""The system's own tables: submissions (the interim table), readings in production, changes, polls.

Times are local and without a zone, as in the API; `due` is seconds since 1970.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime
from typing import Any

from sandbox.parties.production_tracking.reading import FAILED, PASSED, VALIDATING, Official
from sandbox.store import Shelf

SCHEMA = """
create table if not exists production_tracking_submission (
    id integer primary key autoincrement, key integer, period text not null, value real,
    moment text not null, received text not null, notes text not null, batch_notes text not null,
    test integer not null, error text not null, counted integer not null, finding integer not null,
    validation_notes text not null, due real not null, due_by text not null,
    energy real not null, estimated integer not null, settled integer not null default 0
);
create index if not exists production_tracking_submission_period
    on production_tracking_submission (period, key, id);
create table if not exists production_tracking_reading (
    key integer not null, period text not null, value real not null, moment text not null,
    reported text not null, energy real not null, estimated integer not null, notes text not null,
    primary key (key, period)
);
create table if not exists production_tracking_change (
    key integer primary key, fields text not null
);
create table if not exists production_tracking_allowance (
    key integer not null, period text not null, valid integer not null, failed integer not null,
    primary key (key, period)
);
create table if not exists production_tracking_poll (
    id integer primary key autoincrement, at real not null, too_early integer not null
);
"""
TABLES = ("submission", "reading", "change", "allowance", "poll")
# Saved, not a test, not refused: what "last one in wins" is about.
REAL = "test=0 and error=''"


@dataclass(frozen=True, slots=True)
class Submission:
    """One reading as it was posted, and what validation finds or has found."""

    key: int | None
    period: str
    value: float | None
    moment: str
    received: str
    notes: str
    batch_notes: str
    test: bool
    error: str
    counted: bool
    finding: int
    validation_notes: str
    due: float
    due_by: str
    energy: float
    estimated: bool
    number: int = 0
    invalidated: bool = False

    def status(self, real: float, clock: float) -> int:
        """Give ValidationStatus, by real seconds or by the party's clock."""
        now = {"real": real, "clock": clock}.get(self.due_by, -1.0)
        return self.finding if self.due <= now else VALIDATING


COLUMNS = tuple(field.name for field in fields(Submission))[:-2]


class Book:
    """What the system remembers."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        shelf.prepare(SCHEMA)

    def forget(self) -> None:
        """Drop everything."""
        for table in TABLES:
            self._shelf.run(f"delete from production_tracking_{table}")  # noqa: S608 - own names

    # Changes of systems by hand.

    def changes(self) -> dict[int, dict[str, Any]]:
        """Give what was changed of each system."""
        rows = self._shelf.run("select key, fields from production_tracking_change")
        return {row["key"]: json.loads(row["fields"]) for row in rows}

    def change(self, key: int, changed: Mapping[str, Any]) -> None:
        """Keep the changes of one system, all of them."""
        self._shelf.run(
            "insert into production_tracking_change (key, fields) values (?, ?)"
            " on conflict (key) do update set fields=excluded.fields",
            *(key, json.dumps(dict(changed))),
        )

    # Submissions.

    def record(self, submissions: Iterable[Submission]) -> None:
        """Add submissions, in their order."""
        names, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
        self._shelf.run_many(
            f"insert into production_tracking_submission ({names}) values ({marks})",  # noqa: S608
            (astuple(one)[: len(COLUMNS)] for one in submissions),
        )

    def submissions(
        self, period: str = "", key: int | None = None, limit: int = -1
    ) -> list[Submission]:
        """Give submissions, newest first; a later one of the same window invalidates a real one."""
        rows = self._shelf.run(
            "select * from (select *, id as number, test=0 and error='' and id < max("  # noqa: S608
            f"case when {REAL} then id end) over (partition by key, period) as invalidated"
            " from production_tracking_submission where (?1='' or period=?1)"
            " and (?2 is null or key=?2)) order by number desc limit ?3",
            *(period, key, limit),
        )
        return [Submission(*(row[name] for name in _ALL)) for row in rows]

    def tries(self, period: str) -> dict[int, tuple[int, int]]:
        """Give the valid and failed tries of each system in a window.

        What will be found counts from the moment of posting, so that no delay lets a third through.
        """
        rows = self._shelf.run(
            "select key, sum(finding=?) as valid, sum(finding=?) as failed"
            " from production_tracking_submission where period=? and counted group by key",
            *(PASSED, FAILED, period),
        )
        return {row["key"]: (row["valid"], row["failed"]) for row in rows}

    def decide(self, numbers: Iterable[int], verdict: int | None, notes: str | None) -> None:
        """End the validation of submissions now, with its own finding or with another."""
        self._shelf.run_many(
            "update production_tracking_submission set due=0, due_by='real',"
            " finding=coalesce(?, finding), validation_notes=coalesce(?, validation_notes)"
            " where id=?",
            ((verdict, notes, number) for number in numbers),
        )

    def unsettled(self) -> list[date]:
        """Give the periods with submissions whose window has not been closed."""
        rows = self._shelf.run(
            "select distinct period from production_tracking_submission where not settled"
            " and period != '' order by period"
        )
        return [date.fromisoformat(row["period"]) for row in rows]

    def settle(self, period: date) -> None:
        """Note that a window has been closed."""
        self._shelf.run(
            "update production_tracking_submission set settled=1 where period=?",
            period.isoformat(),
        )

    # The help desk's exceptions.

    def allow(self, key: int, period: str, valid: int, failed: int) -> None:
        """Allow so many more tries for one system in one window."""
        self._shelf.run(
            "insert into production_tracking_allowance values (?, ?, ?, ?) on conflict (key,"
            " period) do update set valid=excluded.valid, failed=excluded.failed",
            *(key, period, valid, failed),
        )

    def allowances(self, period: str) -> dict[int, tuple[int, int]]:
        """Give the valid and failed tries that are allowed beyond the limits."""
        rows = self._shelf.run(
            "select key, valid, failed from production_tracking_allowance where period=?", period
        )
        return {row["key"]: (row["valid"], row["failed"]) for row in rows}

    # Readings in production.

    def readings(self) -> dict[int, Official]:
        """Give the last reading that each system got from a submission."""
        rows = self._shelf.run(
            "select *, max(period) as latest from production_tracking_reading group by key"
        )
        return {row["key"]: _official(row) for row in rows}

    def history(self, key: int) -> list[Official]:
        """Give every reading that a system got from submissions, oldest first."""
        rows = self._shelf.run(
            "select * from production_tracking_reading where key=? order by period", key
        )
        return [_official(row) for row in rows]

    def add_readings(self, readings: Iterable[tuple[int, Official]]) -> None:
        """Take readings into production."""
        self._shelf.run_many(
            "insert or replace into production_tracking_reading values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(key, one.period_end.isoformat(), one.value, one.moment.isoformat()),
                    *(one.reported.isoformat(), one.energy, one.estimated, one.notes),
                )
                for key, one in readings
            ),
        )

    def drop_readings(self, key: int) -> None:
        """Forget the readings of one system that came from submissions."""
        self._shelf.run("delete from production_tracking_reading where key=?", key)

    # Polls.

    def poll(self, at: float, most: int) -> bool:
        """Count a poll; say whether it is more than `most` within a minute."""
        earlier = self._shelf.run(
            "select id from production_tracking_poll where at > ? and at <= ?", at - 60, at
        )
        too_early = len(earlier) >= most
        self._shelf.run(
            "insert into production_tracking_poll (at, too_early) values (?, ?)", at, too_early
        )
        return too_early

    def polls(self) -> tuple[int, int]:
        """Give the number of polls, and of those that came too early."""
        rows = self._shelf.run(
            "select count(*) as n, coalesce(sum(too_early), 0) as early"
            " from production_tracking_poll"
        )
        return (rows[0]["n"], rows[0]["early"]) if rows else (0, 0)


_ALL = (*COLUMNS, "number", "invalidated")


def _official(row: Any) -> Official:
    return Official(
        period_end=date.fromisoformat(row["period"]),
        value=row["value"],
        moment=datetime.fromisoformat(row["moment"]),
        reported=datetime.fromisoformat(row["reported"]),
        energy=row["energy"],
        estimated=bool(row["estimated"]),
        notes=row["notes"],
    )
