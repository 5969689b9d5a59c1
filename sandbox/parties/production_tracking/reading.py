"""Readings: as they are posted, whether they are taken in, and what validation finds.

Every refusal is one sentence for the item's `Error`; every finding comes with its ValidationNotes.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sandbox.parties.production_tracking.options import Options
from sandbox.parties.production_tracking.sun import HIGH, LOW, SHARES, expected
from sandbox.parties.production_tracking.system import System
from sandbox.parties.production_tracking.window import Window, month_after

PASSED, VALIDATING, FAILED = 1, 0, -1
NOT_ACTIVE = "fk_system is not an active system of this organization"
NO_VALUE = "MeterValue is not a number of 0 or more"
NO_DATE = "MeterDate is not a date and time"
NO_WINDOW = "There is no open Reporting Period"
OUTSIDE = "MeterDate is not within the current Reporting Period"
FUTURE = "MeterDate is in the future"
REFUSED = "System cannot be processed, contact the MassCEC Help Desk"
VALID_LIMIT = (
    "Maximum limit of {} valid submissions for this system in this Reporting Window reached"
)
FAILED_LIMIT = (
    "Maximum limit of {} failed submissions for this system in this Reporting Window reached"
)
BELOW = "MeterValue {} is below the last reading of {}"
IMPLAUSIBLE = "EnergyProduced {:.1f} kWh is outside {:.1f} to {:.1f} kWh expected for this period"
TEXT_KEPT = 200
LARGEST = 1e15


@dataclass(frozen=True, slots=True)
class Posted:
    """One item of a post, as far as it can be read, and its date as it was sent."""

    key: int | None
    value: float | None
    moment: datetime | None
    notes: str
    said_moment: str


@dataclass(frozen=True, slots=True)
class Official:
    """A reading that is in production."""

    period_end: date
    value: float
    moment: datetime
    reported: datetime
    energy: float
    estimated: bool = False
    notes: str = ""


def posted(item: Any, chosen: Options) -> Posted:
    """Read one item of `systems`; what cannot be read is None."""
    fields = item if isinstance(item, dict) else {}
    key, value, moment = (fields.get(name) for name in ("fk_system", "MeterValue", "MeterDate"))
    return Posted(
        key=key if isinstance(key, int) and not isinstance(key, bool) and key < 2**31 else None,
        value=_value(value),
        moment=_moment(moment, chosen),
        notes=str(fields.get("Notes") or "")[:TEXT_KEPT],
        said_moment=str(moment)[:TEXT_KEPT],
    )


def _value(given: Any) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if math.isfinite(given) and 0 <= given <= LARGEST else None


def _moment(given: Any, chosen: Options) -> datetime | None:
    """Read a date and time, local where it names no zone."""
    try:
        moment = datetime.fromisoformat(given)
        return chosen.local(moment) if moment.tzinfo else moment
    except (TypeError, ValueError, OverflowError):
        return None


def refusal(one: Posted, system: System | None, window: Window | None, now: datetime) -> str:
    """Say why an item is not taken in at all; empty when it is."""
    if system is None or not system.active:
        return NOT_ACTIVE
    if one.value is None:
        return NO_VALUE
    if one.moment is None:
        return NO_DATE
    untimely = _untimely(one.moment, window, now)
    return untimely or (REFUSED if system.does("post_error") else "")


def _untimely(moment: datetime, window: Window | None, now: datetime) -> str:
    if window is None:
        return NO_WINDOW
    if not window.holds(moment.date()):
        return OUTSIDE
    return FUTURE if moment > now else ""


def finding(
    system: System, last: Official | None, value: float, moment: datetime
) -> tuple[int, str]:
    """Give the verdict on a reading, PASSED or FAILED, with its ValidationNotes."""
    if system.does("passes"):
        return PASSED, ""
    if system.does("fails"):
        return FAILED, "Reading failed validation, contact the MassCEC Help Desk"
    if last is None:
        return PASSED, ""
    if value < last.value:
        return FAILED, BELOW.format(value, last.value)
    low, usual, high = plausible(system, last, moment)
    energy = value - last.value
    if usual > 0 and not low <= energy <= high:
        return FAILED, IMPLAUSIBLE.format(energy, low, high)
    return PASSED, ""


def plausible(system: System, last: Official, moment: datetime) -> tuple[float, float, float]:
    """Give the least, expected and most energy in kWh since the last reading."""
    usual = expected(system.capacity, last.moment, moment)
    return LOW * usual, usual, HIGH * usual


def apportioned(
    last: Official | None, period_end: date, value: float
) -> list[tuple[date, float, float]]:
    """Spread the energy since the last reading over its months, by their sunlight.

    Gives period end, lifetime total and energy of each: "the data will be extrapolated for prior
    months".
    """
    if last is None or last.period_end >= period_end:
        return [(period_end, value, round(value - (last.value if last else 0.0), 1))]
    periods = [month_after(last.period_end)]
    while periods[-1] < period_end:
        periods.append(month_after(periods[-1]))
    whole = sum(SHARES[period.month - 1] for period in periods)
    spread, total = [], last.value
    for period in periods:
        energy = round((value - last.value) * SHARES[period.month - 1] / whole, 1)
        total = round(total + energy, 1)
        spread.append((period, total, energy))
    spread[-1] = (period_end, value, spread[-1][2])
    return spread
