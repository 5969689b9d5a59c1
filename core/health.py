"""Is everything alive? The facts behind /readyz, the health page and the parties on home."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection

from core import desks, housekeeping
from core.models import PartnerCall
from core.templatetags.portal import ago

GOOD_OUTCOMES = ("answered", "refused")
SPARK_SLOTS = 48
SLOT = timedelta(minutes=30)
CALLS_LOOKED_AT = 20_000  # the latest, however busy the day


@dataclass(frozen=True)
class Check:
    """One thing that must work, and a sentence about it."""

    name: str
    ok: bool
    text: str


def checks(*, now: datetime) -> list[Check]:
    """The database and the worker's heartbeat."""
    database = _database()
    return [
        database,
        _heartbeat(now) if database.ok else Check("Worker", False, "Not known."),
    ]


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as problem:
        return Check("Database", False, f"Does not answer ({type(problem).__name__}).")
    return Check("Database", True, f"Answers ({connection.vendor}).")


def _heartbeat(now: datetime) -> Check:
    age = housekeeping.heartbeat_age("sweep", now=now)
    if age is None:
        return Check("Worker", False, "Has never started. Start the worker with its beat.")
    seconds = int(age.total_seconds())
    ok = age <= housekeeping.STALE_AFTER
    advice = "" if ok else " Start the worker with its beat; nothing is lost meanwhile."
    return Check("Worker", ok, f"Last heartbeat {seconds} s ago.{advice}")


def parties(user: Any, *, now: datetime) -> list[dict[str, Any]]:
    """Each party's state from the calls of the last 24 hours (one query)."""
    names = [name for desk in desks.desks_for(user) for name in desk.parties]
    since = now - SPARK_SLOTS * SLOT
    calls: dict[str, list[tuple[datetime, str, int | None]]] = defaultdict(list)
    rows = PartnerCall.objects.filter(party__in=names, started_at__gte=since)
    latest = rows.order_by("-started_at")[:CALLS_LOOKED_AT]
    facts = latest.values_list("party", "started_at", "outcome", "duration_ms")
    for name, at, outcome, took in reversed(facts):
        calls[name].append((at, outcome, took))
    return [_party(name, calls[name], since) for name in names]


def _party(
    name: str, calls: list[tuple[datetime, str, int | None]], since: datetime
) -> dict[str, Any]:
    kind, label = _state(calls)
    last = calls[-1] if calls else None
    failed = sum(outcome not in GOOD_OUTCOMES for _, outcome, _ in calls)
    return {
        "name": name,
        "state_kind": kind,
        "state_label": label,
        "spark": _spark(calls, since),
        "spark_text": f"{len(calls)} calls in 24 hours, {failed} without a usable answer",
        "last_text": f"{(last[2] or 0) / 1000:.1f} s, {ago(last[0])}" if last else "",
    }


def _state(calls: list[tuple[datetime, str, int | None]]) -> tuple[str, str]:
    if not calls:
        return "idle", "Not asked today"
    recent = [outcome in GOOD_OUTCOMES for _, outcome, _ in calls[-10:]]
    if all(recent):
        return "good", "Answering"
    if any(recent[-5:]):
        return "look", "Unsteady"
    return "bad", "Not answering"


def _spark(
    calls: Iterable[tuple[datetime, str, int | None]], since: datetime
) -> list[dict[str, Any]]:
    slots = [[0, 0] for _ in range(SPARK_SLOTS)]
    for at, outcome, _ in calls:
        slot = slots[min(int((at - since) / SLOT), SPARK_SLOTS - 1)]
        slot[0] += 1
        slot[1] += outcome not in GOOD_OUTCOMES
    most = max((total for total, _ in slots), default=0) or 1
    return [{"height": total / most, "kind": "bad" if bad else "idle"} for total, bad in slots]
