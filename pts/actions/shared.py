"""What the verbs of this desk share: who may, alarms about MassCEC, and moves by the portal."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from core import alarms, queue
from core.models import Note, User
from core.outcomes import Outcome, Refused, Unavailable, Unexpected
from core.workflow import PORTAL, Actor, Different, Impossible, NotAllowed, move_many
from pts.client import OUR_FAULT
from pts.models import SEND, SYNCHRONISE, TEST, Report, System, Window

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
Row = TypeVar("Row")
SILENT = "pts silent"
ODD = "pts odd"
KEY = "pts key"
PROBE_EVERY = timedelta(minutes=5)
AT_ONCE = 1000  # rows in one statement


class NoTriesLeft(Impossible):
    """One more submission could exceed MassCEC's limit."""


class Blocked(Impossible):
    """A check blocks the reading: it cannot be accepted, tested or sent."""


class WouldReplace(Impossible):
    """The report has passed; a new submission may lose that."""

    sentence = (
        "This report has passed. A new submission replaces it and may lose the pass: "
        "confirm that you want this. Nothing was changed."
    )


def some_at_once(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Split rows into parts that fit one statement."""
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


def portal_moves(
    reports: Sequence[Report],
    name: str,
    now: datetime,
    *,
    why: str = "",
    note: str = "",
    different: dict[int, Different] | None = None,
) -> None:
    """Move by the portal; where a person was faster, the person wins."""
    fields = {"why": why[:300]} if why else {}
    moved = move_many(reports, name, by=PORTAL, now=now, note=note, different=different, **fields)
    if len(moved) < len(reports):
        log.info("reports_moved_on", move=name, number=len(reports) - len(moved))


def is_our_fault(problem: Outcome) -> bool:
    """Whether MassCEC refuses us altogether: our key, or our address of it."""
    return isinstance(problem, Refused) and problem.code in OUR_FAULT


def retry_at(claim: queue.Claim, problem: Outcome, now: datetime) -> datetime | None:
    """When to try a harmless call again; our own configuration waits for as long as it takes."""
    if is_our_fault(problem):
        return now + PROBE_EVERY
    if isinstance(problem, Unavailable):
        return queue.retry_at(claim, now=now, after=problem.retry_after)
    return None


def sound(problem: Outcome, now: datetime) -> None:
    """Raise the alarm that fits what a call came to."""
    key, title = SILENT, "The production tracking system is silent"
    if is_our_fault(problem):
        key, title = KEY, "MassCEC refuses our key: nothing is sent to it"
    elif isinstance(problem, Refused | Unexpected):
        key, title = ODD, "The production tracking system’s reply is not what it promises"
    alarms.sound(
        key,
        desk="pts",
        title=title,
        text=problem.sentence,
        next_step=problem.next_step,
        now=now,
        lasting=key != ODD,
    )


def sound_odd(unread: Sequence[Any], operation: str, now: datetime) -> None:
    """Raise an alarm about items of a reply that cannot be read."""
    if unread:
        alarms.sound(
            ODD,
            desk="pts",
            title="The production tracking system’s reply is not what it promises",
            text=f"{operation}: {len(unread)} systems cannot be read; {unread[0].why}"[:500],
            next_step="The others are not harmed. Tell pts@masscec.com; the reply is kept.",
            now=now,
            lasting=False,
        )


def answers(now: datetime) -> None:
    """MassCEC answers and takes our key: what waited goes on."""
    ended = [alarms.over(key, now=now) for key in (SILENT, KEY)]
    if any(ended):
        for waiting in (SYNCHRONISE, TEST, SEND):
            queue.wake(waiting, now=now)


def may(by: Actor, permission: str, sentence: str) -> None:
    """Raise `NotAllowed` unless this person may; the portal itself may."""
    if by.user is not None and not by.user.has_perm(permission):
        raise NotAllowed(f"{sentence} Nothing was changed.")


def person(by: Actor) -> User:
    """The member of staff. Raises `NotAllowed` for the portal."""
    if by.user is None:
        raise NotAllowed("Only a person can do this. Nothing was changed.")
    return by.user


def note_about(row: System | Window, text: str, by: Actor, now: datetime) -> None:
    """Record something about a row that is not a case."""
    Note.objects.create(
        case_label=row._meta.label_lower,
        case_id=row.pk,
        kind=Note.Kind.EVENT,
        by=by.user,
        by_name=by.name,
        at=now,
        text=text,
    )
