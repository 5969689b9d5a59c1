"""The service's queue in the sandbox's own file: collections asked for, and results to be posted.

A restart loses nothing: what was under way is queued again. A result whose posting was cut off by
the restart counts as posted, since nothing says that the service repeats it.
"""

import sqlite3
from typing import Any

from sandbox.parties.meters.request import Asked
from sandbox.store import Shelf

SCHEMA = """
create table if not exists meters_collection (
    id integer primary key autoincrement, reference text not null unique, asked text not null,
    address text not null, priority integer not null, due real not null, state text not null,
    accepted real not null, disturbed integer not null default 0, visit text
);
create index if not exists meters_collection_next on meters_collection (state, priority, id);
create table if not exists meters_post (
    id integer primary key autoincrement, reference text not null, variant text not null,
    due real not null, state text not null, tries integer not null default 0,
    status integer, answer text
);
create index if not exists meters_post_next on meters_post (state, due);
create index if not exists meters_post_reference on meters_post (reference, id);
"""
ANSWER_KEPT = 500


class Queue:
    """What was asked for, and what is to be posted.

    A collection is queued, running, done, cancelled or stuck; a post waiting, sending, sent or
    failed.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        shelf.prepare(SCHEMA)

    def resume(self) -> bool:
        """Queue again what a stop cut off; say whether there is anything to do."""
        self._shelf.run(
            "update meters_collection set state='queued', disturbed=0 where state='running'"
        )
        self._shelf.run("update meters_post set state='failed' where state='sending'")
        rows = self._shelf.run(
            "select exists (select 1 from meters_collection where state='queued')"
            " or exists (select 1 from meters_post where state='waiting') as busy"
        )
        return bool(rows and rows[0]["busy"])

    def forget(self) -> None:
        """Drop everything."""
        self._shelf.run("delete from meters_collection")
        self._shelf.run("delete from meters_post")

    # Collections.

    def accept(self, asked: Asked, now: float) -> bool:
        """Queue a request; False when its reference was used before."""
        rows = self._shelf.run(
            "insert into meters_collection"
            " (reference, asked, address, priority, due, state, accepted)"
            " values (?, ?, ?, ?, ?, 'queued', ?) on conflict (reference) do nothing returning id",
            *(asked.reference, asked.stored(), asked.remote_address),
            *(asked.priority, asked.due, now),
        )
        return bool(rows)

    def find(self, reference: str) -> sqlite3.Row | None:
        """Give a collection; None when no request had this reference."""
        rows = self._shelf.run("select * from meters_collection where reference=?", reference)
        return rows[0] if rows else None

    def cancel(self, reference: str) -> bool:
        """Take a collection out of the queue; False when it ran or is running."""
        return bool(
            self._shelf.run(
                "update meters_collection set state='cancelled'"
                " where reference=? and state='queued' returning id",
                reference,
            )
        )

    def take(self, now: float, *, wait_for_address: bool) -> sqlite3.Row | None:
        """Begin the next collection: due, lowest priority first, then in their order.

        One more to an address that is being talked to disturbs both, or waits.
        """
        with self._shelf.together():
            rows = self._shelf.run(
                "update meters_collection set state='running' where id = (select id"
                " from meters_collection where state='queued' and due <= ? and not (? and address"
                " in (select address from meters_collection where state='running'))"
                " order by priority, id limit 1) returning *",
                *(now, wait_for_address),
            )
            if rows:
                self._disturb(rows[0]["address"])
        return rows[0] if rows else None

    def _disturb(self, address: str) -> None:
        self._shelf.run(
            "update meters_collection set disturbed=1 where state='running' and address=?"
            " and (select count(*) from meters_collection where state='running' and address=?) > 1",
            *(address, address),
        )

    def disturbed(self, reference: str) -> bool:
        """Was another collection made to the same address meanwhile?"""
        row = self.find(reference)
        return bool(row and row["disturbed"])

    def stick(self, reference: str) -> None:
        """Leave a collection for ever: it is not performed and never comes to an end."""
        self._shelf.run("update meters_collection set state='stuck' where reference=?", reference)

    def finish(self, reference: str, visit: str, posts: list[tuple[str, float]]) -> bool:
        """Record a visit and queue its posts, each a variant and when; False when dropped."""
        with self._shelf.together():
            done = self._shelf.run(
                "update meters_collection set state='done', visit=?"
                " where reference=? and state='running' returning id",
                *(visit, reference),
            )
            for variant, due in posts if done else ():
                self._shelf.run(
                    "insert into meters_post (reference, variant, due, state)"
                    " values (?, ?, ?, 'waiting')",
                    *(reference, variant, due),
                )
        return bool(done)

    # Posts.

    def take_post(self, now: float) -> sqlite3.Row | None:
        """Begin the next post; those of one collection go one after another."""
        rows = self._shelf.run(
            "update meters_post set state='sending', tries=tries+1 where id = (select id"
            " from meters_post as next where state='waiting' and due <= ? and not exists"
            " (select 1 from meters_post as before where before.reference=next.reference"
            " and before.id < next.id and before.state in ('waiting', 'sending'))"
            " order by due, id limit 1) returning *",
            now,
        )
        return rows[0] if rows else None

    def posted(self, number: int, status: int | None, answer: str, again: float | None) -> None:
        """Record the receiver's answer; `again` is when to try once more."""
        state = "sent" if status == 200 else "failed" if again is None else "waiting"
        self._shelf.run(
            "update meters_post set state=?, status=?, answer=?, due=coalesce(?, due) where id=?",
            *(state, status, answer[:ANSWER_KEPT], again, number),
        )

    def next_due(self, now: float) -> float | None:
        """Give when the next thing that is not due yet will be."""
        rows = self._shelf.run(
            "select min(due) as due from (select due from meters_collection where state='queued'"
            " union all select due from meters_post where state='waiting') where due > ?",
            now,
        )
        return rows[0]["due"] if rows else None

    # What the control calls show.

    def listed(self, state: str, number: str, limit: int) -> list[sqlite3.Row]:
        """Give the latest collections, newest first; `number` is looked for in the request."""
        return self._shelf.run(
            "select * from meters_collection where state like ? and instr(asked, ?)"
            " order by id desc limit ?",
            *(state or "%", number, limit),
        )

    def counts(self) -> dict[str, int]:
        """Count the collections in each state."""
        rows = self._shelf.run("select state, count(*) as n from meters_collection group by state")
        return {row["state"]: row["n"] for row in rows}

    def posts(self, reference: str) -> list[dict[str, Any]]:
        """Give the posts of a collection, in their order."""
        rows = self._shelf.run(
            "select variant, due, state, tries, status, answer from meters_post"
            " where reference=? order by id",
            reference,
        )
        return [dict(row) for row in rows]
