"""What a control call may change of a system, checked.

Everything raises BadRequest with a sentence for whoever sent it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.exchange import BadRequest
from sandbox.parties.production_tracking.behaviour import BEHAVIOURS

LARGEST = 1e12
MOST_LISTED = 20_000
CHANGES = (
    "name", "capacity", "active", "behaviours", "last_value", "last_date", "extra_valid",
    "extra_failed",
)  # fmt: skip


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a change names, and give it as `System.changed` takes it."""
    unknown = sorted(fields.keys() - set(CHANGES))
    if unknown:
        raise BadRequest(f"Not understood: {', '.join(unknown)}. Known: {', '.join(CHANGES)}.")
    changes: dict[str, Any] = {}
    if "name" in fields:
        changes["name"] = None if fields["name"] is None else str(fields["name"])[:100]
    if "capacity" in fields:
        changes["capacity"] = _maybe(fields, "capacity")
    if "active" in fields:
        changes["active"] = fields["active"] is None or bool(fields["active"])
    if "behaviours" in fields:
        changes["behaviours"] = _behaviours(fields["behaviours"])
    return changes | _last(fields)


def _last(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Take a last reading set by hand; "never" for a system that was never read."""
    changes: dict[str, Any] = {}
    if "last_value" in fields:
        never = fields["last_value"] == "never"
        changes["read"] = not never
        changes["last_value"] = None if never else _maybe(fields, "last_value")
    if "last_date" in fields:
        given = fields["last_date"]
        try:
            moment = datetime.fromisoformat(str(given)) if given else None
        except ValueError:
            raise BadRequest("last_date must be a time such as 2026-10-31T23:59:00.") from None
        changes["last_moment"] = moment.replace(tzinfo=None).isoformat() if moment else None
    return changes


def _behaviours(given: Any) -> list[str] | None:
    if given is None:
        return None
    words = given if isinstance(given, list) else [given]
    wrong = [str(word) for word in words if word not in BEHAVIOURS]
    if wrong:
        raise BadRequest(f"No behaviour: {', '.join(wrong)}. Known: {', '.join(BEHAVIOURS)}.")
    return words


def _maybe(fields: Mapping[str, Any], name: str) -> float | None:
    return None if fields[name] is None else number_of(fields, name, 0.0)


def number_of(fields: Mapping[str, Any], name: str, usual: float) -> float:
    """Give a number of 0 or more."""
    try:
        number = float(fields.get(name, usual))
    except (TypeError, ValueError):
        raise BadRequest(f"{name} must be a number.") from None
    if not 0 <= number <= LARGEST:
        raise BadRequest(f"{name} must be 0 or more, and not too large.")
    return number


def key_of(given: Any) -> int:
    """Give a key of a system, sent as a number or as a text."""
    try:
        return int(str(given))
    except ValueError:
        raise BadRequest("fk_system must be a whole number.") from None


def whole_of(query: Mapping[str, str], name: str, usual: int) -> int:
    """Give a whole number of a query."""
    given = query.get(name, str(usual))
    if not given.isdigit() or int(given) > MOST_LISTED:
        raise BadRequest(f"{name} must be a whole number up to {MOST_LISTED}.")
    return int(given)
