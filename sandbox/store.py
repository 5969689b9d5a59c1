"""The sandbox's own file: changes of played records, faults, and the log of what was received.

One SQLite file, never the portal's database. One connection, one lock: calls come from threads.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

SCHEMA = """
create table if not exists record (
    party text not null, key text not null, fields text not null default '{}',
    calls integer not null default 0, primary key (party, key)
);
create table if not exists fault (
    id integer primary key autoincrement, party text not null, fault text not null,
    calls_left integer, settings text not null, match text not null, since text not null
);
create table if not exists log (
    id integer primary key autoincrement, at text not null, party text not null,
    method text not null, path text not null, headers text not null, body text not null,
    credentials integer, fault text, status integer, written integer, duration_ms integer,
    direction text not null default 'received', answer text
);
create index if not exists log_party on log (party, id);
"""
# Columns that state files of earlier versions lack.
LOG_ADDED = {"direction": "text not null default 'received'", "answer": "text"}
LOG_KEPT = 20_000
BODY_KEPT = {"received": 100_000, "posted": 10_000}


class Store:
    """Everything the sandbox remembers between two starts."""

    def __init__(self, path: Path | str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Condition()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._closed = False
        self._waiting_allowed = True
        for pragma in ("journal_mode=wal", "synchronous=normal", "busy_timeout=5000"):
            self._connection.execute(f"pragma {pragma}")
        self.prepare(SCHEMA)
        self._complete_log()

    def prepare(self, schema: str) -> None:
        """Make the tables that are not there yet."""
        with self._lock:
            self._connection.executescript(schema)

    def _complete_log(self) -> None:
        present = {row["name"] for row in self.run("pragma table_info(log)")}
        for name in LOG_ADDED.keys() - present:
            self.run(f"alter table log add column {name} {LOG_ADDED[name]}")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let no other thread run a statement meanwhile."""
        with self._lock:
            yield

    def run(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run one statement and give its rows; nothing happens once the store is closed."""
        with self._lock:
            return [] if self._closed else self._connection.execute(sql, values).fetchall()

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row, all of them or none."""
        with self._lock:
            if self._closed:
                return
            self._connection.execute("begin")
            try:
                self._connection.executemany(sql, rows)
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def stop_waiting(self) -> None:
        """Send everyone away who waits for the log to be complete."""
        with self._lock:
            self._waiting_allowed = False
            self._lock.notify_all()

    def close(self) -> None:
        """Close the file; a thread that ends late writes nothing."""
        with self._lock:
            self._closed = True
            self._connection.close()

    # Records: what was changed by hand, and how often each was asked for.

    def changes(self, party: str, key: str) -> dict[str, Any]:
        """Give the changed fields of one record."""
        rows = self.run("select fields from record where party=? and key=?", party, key)
        return json.loads(rows[0]["fields"], parse_float=Decimal) if rows else {}

    def change(self, party: str, key: str, fields: Mapping[str, Any]) -> None:
        """Keep changed fields of one record, beside those changed before."""
        with self._lock:
            merged = {**self.changes(party, key), **fields}
            self.run(
                "insert into record (party, key, fields) values (?, ?, ?)"
                " on conflict (party, key) do update set fields=excluded.fields",
                party,
                key,
                json.dumps(merged, default=float),
            )

    def calls(self, party: str, key: str) -> int:
        """Give how often a record was asked for."""
        rows = self.run("select calls from record where party=? and key=?", party, key)
        return int(rows[0]["calls"]) if rows else 0

    def count_call(self, party: str, key: str) -> int:
        """Count one more call for a record and give the new count."""
        rows = self.run(
            "insert into record (party, key, calls) values (?, ?, 1)"
            " on conflict (party, key) do update set calls=calls+1 returning calls",
            party,
            key,
        )
        return int(rows[0]["calls"]) if rows else 0

    def all_calls(self, party: str) -> dict[str, int]:
        """Give how often each record was asked for, of those that were."""
        rows = self.run("select key, calls from record where party=? and calls > 0", party)
        return {row["key"]: row["calls"] for row in rows}

    # The log: a row when a request was received (or is being posted), completed with its answer.

    def log_received(
        self,
        *,
        party: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        credentials: bool | None,
        fault: str | None,
        direction: str = "received",
    ) -> int:
        """Add a request to the log, before it is answered; give its number."""
        now = time.time()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
        text = body[: BODY_KEPT[direction]].decode(errors="replace")
        row = (at, party, method, path, json.dumps(dict(headers)), text)
        rows = self._run_and_tell(
            "insert into log (at, party, method, path, headers, body, credentials, fault,"
            " direction) values (?, ?, ?, ?, ?, ?, ?, ?, ?) returning id",
            *(*row, credentials, fault, direction),
        )
        number = int(rows[0]["id"]) if rows else 0
        if number % 1000 == 0:
            self.run("delete from log where id <= ?", number - LOG_KEPT)
        return number

    def log_answered(
        self,
        number: int,
        *,
        status: int | None,
        written: bool,
        duration: float,
        answer: str | None = None,
    ) -> None:
        """Complete a log row: the status, and whether every byte of ours was handed over."""
        self._run_and_tell(
            "update log set status=?, written=?, duration_ms=?, answer=? where id=?",
            *(status, written, round(duration * 1000), answer, number),
        )

    def _run_and_tell(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            rows = self.run(sql, *values)
            self._lock.notify_all()
        return rows

    def log(
        self,
        *,
        party: str = "",
        number: str = "",
        after: int = 0,
        limit: int = 100,
        wait: float = 0.0,
        least: int = 0,
    ) -> list[dict[str, Any]]:
        """Give the latest rows, newest first.

        Waits up to `wait` seconds until there are at least `least` and all of them are complete.
        """
        ends = time.monotonic() + wait
        with self._lock:
            while True:
                rows = self.run(
                    "select * from log where party like ? and instr(path || body, ?) and id > ?"
                    " order by id desc limit ?",
                    *(party or "%", number, after, limit),
                )
                left = ends - time.monotonic()
                complete = len(rows) >= least and all(row["written"] is not None for row in rows)
                if complete or left <= 0 or not self._waiting_allowed:
                    return [_entry(row) for row in rows]
                self._lock.wait(left)

    def log_counts(self, party: str = "") -> dict[str, int]:
        """Count the kept rows by their path, spoiled calls among them."""
        rows = self.run(
            "select path, count(*) as calls from log where party like ? group by path", party or "%"
        )
        return {row["path"]: row["calls"] for row in rows}

    def forget(self, *tables: str) -> None:
        """Empty the named tables."""
        with self._lock:
            for table in tables or ("record", "fault", "log"):
                self.run(f"delete from {table}")  # noqa: S608 - names of our own


def _entry(row: sqlite3.Row) -> dict[str, Any]:
    entry = dict(row)
    entry["headers"] = json.loads(row["headers"])
    for name in ("credentials", "written"):
        entry[name] = None if row[name] is None else bool(row[name])
    return entry


class Shelf:
    """The part of the store that belongs to one party."""

    def __init__(self, store: Store, party: str) -> None:
        self._store = store
        self._party = party

    def changes(self, key: str) -> dict[str, Any]:
        """Give the changed fields of one record."""
        return self._store.changes(self._party, key)

    def change(self, key: str, fields: Mapping[str, Any]) -> None:
        """Keep changed fields of one record."""
        self._store.change(self._party, key, fields)

    def calls(self, key: str) -> int:
        """Give how often a record was asked for."""
        return self._store.calls(self._party, key)

    def count_call(self, key: str) -> int:
        """Count one more call for a record and give the new count."""
        return self._store.count_call(self._party, key)

    def all_calls(self) -> dict[str, int]:
        """Give how often each record was asked for, of those that were."""
        return self._store.all_calls(self._party)

    def forget(self, key: str) -> None:
        """Forget the changes and the count of one record."""
        self._store.run("delete from record where party=? and key=?", self._party, key)

    def log(self, *, number: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Give the party's latest rows of the log, newest first."""
        return self._store.log(party=self._party, number=number, after=after, limit=limit)

    # Tables of a party's own, whose names begin with the party's.

    def prepare(self, schema: str) -> None:
        """Make the party's own tables."""
        self._store.prepare(schema)

    def run(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run one statement on the party's own tables and give its rows."""
        return self._store.run(sql, *values)

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement on the party's own tables for each row, all of them or none."""
        self._store.run_many(sql, rows)

    def together(self) -> AbstractContextManager[None]:
        """Let no other thread run a statement meanwhile."""
        return self._store.together()
