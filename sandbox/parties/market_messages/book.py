"""What was accepted: hashes, sizes and names, never anything that a message says of a customer.

There is no idempotency key, so nothing is refused for having been sent before: the book proves it.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from sqlite3 import Row
from typing import Any

from sandbox.parties.market_messages.blocks import BLOCKS
from sandbox.parties.market_messages.check import NotJson, read
from sandbox.parties.market_messages.scenario import Scenario
from sandbox.store import Shelf

SCHEMA = """
create table if not exists market_messages_accepted (
    id integer primary key autoincrement, attempt integer not null, at text not null,
    job_id text not null, sha256 text not null, size integer not null, blocks text not null,
    request_id text not null, scenario integer not null
);
create index if not exists market_messages_job on market_messages_accepted (job_id);
"""
LONGEST_JOB_ID = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of a body; job_id is None where the body does not show one."""

    job_id: str | None
    sha256: str
    size: int
    blocks: tuple[str, ...]

    def as_json(self) -> bytes:
        """Write it for the log."""
        shown = {
            "job_id": self.job_id,
            "sha256": self.sha256,
            "size": self.size,
            "blocks": self.blocks,
        }
        return json.dumps(shown).encode()


def kept_of(body: bytes) -> Kept:
    """Take from a body, good or bad, what may be kept."""
    try:
        message = read(body)
    except NotJson:
        message = {}
    blocks = tuple(block for block in BLOCKS if message.get(block) is not None)
    return Kept(_job_id(message), sha256(body).hexdigest(), len(body), blocks)


def _job_id(message: Mapping[str, Any]) -> str | None:
    details = message.get("job_details")
    given = details.get("job_id") if isinstance(details, dict) else None
    return given[:LONGEST_JOB_ID] if isinstance(given, str) else None


class Book:
    """Every accepted message in its order."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        shelf.prepare(SCHEMA)

    def accept(self, kept: Kept, scenario: Scenario, attempt: int) -> str:
        """Enter one message and give its new request id, whatever was entered before."""
        request_id = str(uuid.uuid4())
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._shelf.run(
            "insert into market_messages_accepted"
            " (attempt, at, job_id, sha256, size, blocks, request_id, scenario)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            *(attempt, at, kept.job_id, kept.sha256, kept.size),
            *(json.dumps(kept.blocks), request_id, int(scenario)),
        )
        return request_id

    def listed(self, *, job_id: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Give what was accepted, oldest first."""
        rows = self._shelf.run(
            "select * from market_messages_accepted"
            " where (?1 = '' or job_id = ?1) and id > ?2 order by id limit ?3",
            *(job_id, after, limit),
        )
        return [_shown(row) for row in rows]

    def repeated(self, columns: str) -> list[dict[str, Any]]:
        """Give what was accepted more than once, by `job_id` or by `job_id, sha256`."""
        rows = self._shelf.run(
            f"select {columns}, count(*) as times from market_messages_accepted"  # noqa: S608
            f" group by {columns} having count(*) > 1 order by min(id)"
        )
        return [dict(row) for row in rows]

    def outcomes(self) -> dict[int, str]:
        """Give the request id that each call of the log led to."""
        rows = self._shelf.run("select attempt, request_id from market_messages_accepted")
        return {row["attempt"]: row["request_id"] for row in rows}

    def forget(self) -> None:
        """Empty the book."""
        self._shelf.run("delete from market_messages_accepted")


def _shown(row: Row) -> dict[str, Any]:
    scenario = Scenario(row["scenario"])
    return {
        **dict(row),
        "blocks": json.loads(row["blocks"]),
        "scenario": scenario.code,
        "scenario_title": scenario.title,
    }
