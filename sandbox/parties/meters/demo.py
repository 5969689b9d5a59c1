"""The sixty fixed meters: nineteen as they should be, and one for each thing that can go wrong.

Telephone numbers are of the range kept for drama, IP addresses of the ranges for documentation.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from sandbox.parties.meters.kinds import TYPES
from sandbox.parties.meters.meter import Meter
from sandbox.parties.registry.mpan import mpan

FULL = ("kWh Import", "kWh Export", "kvarh Q1", "kvarh Q2", "kvarh Q3", "kvarh Q4")
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list: type, what it is for, what it follows, and what is special."""

    kind: str
    purpose: str
    imports: str = "house"
    behaviours: tuple[str, ...] = ()
    changes: dict[str, Any] | None = None


A1700, AS230, A1140 = "ELSTER_A1700", "ELSTER_AS230", "ELSTER_A1140"
SOLAR = {"exports": "solar"}
CLEAN = (
    Line(A1700, "Clean: every register, a shop; answers only with comsSettings 7E1", "shop",
         changes={"surveyed": FULL}),
    Line(A1700, "Clean: every register, a workshop", "workshop", changes={"surveyed": FULL}),
    Line(A1700, "Clean: every register, a school", "school", changes={"surveyed": FULL}),
    Line(A1700, "Clean: a house with solar panels", changes=SOLAR),
    Line(A1700, "Clean: a dairy with solar panels", "dairy", changes=SOLAR),
    Line(A1700, "Clean: store heating at night, one decimal", "store heating", (), {"decimals": 1}),
    Line(AS230, "Clean: values per period, a house"),
    Line(AS230, "Clean: values per period, a house with solar panels", changes=SOLAR),
    Line(AS230, "Clean: values per period, store heating at night", "store heating"),
    Line(AS230, "Clean: values per period, nobody lives there: zeros", "nothing"),
    Line(A1140, "Clean: solar export meter", "standby", (), SOLAR),
    Line(A1140, "Clean: solar export meter, its outcome in resultSummary", "standby", ("summary",),
         SOLAR),
    Line("ISKRA_MX37X", "Clean: values per period, a house (ISKRA_MX37X)"),
    Line("LG_DLMS", "Clean: a shop", "shop"),
    Line("EMLITE_COP10", "Clean: values per period, a house (EMLITE_COP10)"),
    Line("PREMIER_PRI", "Clean: nobody uses anything, the register stands still", "nothing"),
    Line("CEWE_PRO", "Clean: whole kilowatt hours only", "mast", (), {"decimals": 0}),
    Line(A1700, "Shares its modem with the next meter: outstation 1", "shop"),
    Line(A1700, "Shares its modem with the meter before: outstation 2", "shop"),
)  # fmt: skip
SPECIAL = (
    Line(A1700, "Partial: registers without survey", "shop", ("no_survey",)),
    Line(A1700, "Partial: the survey breaks off half-way", "shop", ("half_survey",)),
    Line(A1700, "Wrong serial number, reported as ERROR", "house", ("serial_error",)),
    Line(A1700, "Wrong serial number, reported as the value", "house", ("serial_value",)),
    Line(A1700, "Clock 74 s fast; adjusted when asked: SUCCESS, then NOT REQUIRED", "house", (),
         {"clock_offset": 74}),
    Line(A1700, "Clock loses half a second a day since New Year", "house", (),
         {"clock_rate": -0.5}),
    Line(A1700, "Clock 4,000 s slow, above the maximum: adjustment is ERROR", "house", (),
         {"clock_offset": -4000}),
    Line(A1700, "Clock 120 s fast, refuses to be adjusted: ERROR", "house", ("adjust_refused",),
         {"clock_offset": 120}),
    Line(A1700, "The time cannot be read: meterTime is ERROR", "house", ("time_error",)),
    Line(A1700, "Tamper event", "shop", ("tamper",)),
    Line(A1700, "Several status events, tamper among them", "shop", ("events",)),
    Line(A1700, "statusEvents is null", "house", ("events_null",)),
    Line(A1700, "Registers go backwards on the 5th of each month", "house", ("backwards",)),
    Line(A1700, "Four-digit registers that roll over about every two months", "workshop",
         ("rollover",)),
    Line(A1700, "Exchanged each 15 March and 15 September", "house", ("exchange",)),
    Line(A1700, "Gap: 02:30 to 05:00 UTC missing on every day", "house", ("gap_half_hours",)),
    Line(AS230, "Gap: the 8th, 9th and 21st of each month missing for good", "house",
         ("gap_days",)),
    Line(A1700, "Gap: the 10th in part and the 18th, filled when asked again", "house",
         ("gap_once",)),
    Line(A1700, "Connects, then: ERROR: No answer from meter", "house", ("no_answer",)),
    Line(A1700, "Never connects: ERROR before any connection", "house", ("no_connection",)),
    Line(A1700, "No answer at the first, third, fifth … collection", "house", ("second_try",)),
    Line(A1700, "The result is posted twice", "house", ("twice",)),
    Line(A1700, "Out of order: later days posted before earlier ones", "house",
         ("second_day_first",)),
    Line(A1700, "Readings in no order, some half hours twice", "house", ("unordered",)),
    Line(A1700, "Posted two hours late", "house", ("late",)),
    Line(A1700, "Never posted; only collection-status has it", "house", ("never",)),
    Line(A1700, "Stays PENDING for ever", "house", ("stuck",)),
    Line(A1700, "Two results that disagree: the later end wins", "house", ("disagree",)),
    Line(A1700, "Two results that disagree and ended together", "house", ("disagree_tie",)),
    Line(A1700, "Timestamps off the half-hour grid", "house", ("off_grid",)),
    Line(A1700, "Every spelling of the samples at once", "shop",
         ("summary", "text_numbers", "no_zone", "bad_meter_time", "serial_twice"),
         {"decimals": 0}),
    Line("EDMI_ATLAS", "Numbers are texts", "mast", ("text_numbers",)),
    Line(A1700, "Times without Z", "house", ("no_zone",)),
    Line(A1700, "Malformed meterTime", "house", ("bad_meter_time",)),
    Line(AS230, "Readings carry statusFlags", "house", ("status_flags",)),
    Line(A1700, "serialNumber twice in the JSON text", "house", ("serial_twice",)),
    Line(A1700, "Unknown extra fields", "house", ("extra",)),
    Line(A1700, "Optional fields are null", "house", ("nulls", "events_null")),
    Line(A1700, "A jump of 900 kWh on the 12th of each month", "house", ("spike",)),
    Line(A1700, "Survey per period although the type is cumulative", "house", ("other_values",)),
    Line(A1700, "The result names another MPAN", "house", ("wrong_mpan",)),
)  # fmt: skip


def meters() -> list[Meter]:
    """Give the sixty, in the order of the control page."""
    return [_meter(place, line) for place, line in enumerate((*CLEAN, *SPECIAL), start=1)]


def _meter(place: int, line: Line) -> Meter:
    serial = f"{71_000_000 + place * 101}"
    shares = "outstation 2" in line.purpose
    return Meter(
        serial=serial,
        mpan=mpan(10 + place % 14, 8_100_000_000 + place * 7),
        kind=TYPES[line.kind],
        remote_address=_address(place - 1 if shares else place),
        outstation="2" if shares else "1",
        password=_password(serial),
        purpose=line.purpose,
        imports=line.imports,
        behaviours=line.behaviours,
        coms_settings="7E1" if "7E1" in line.purpose else "",
        **(line.changes or {}),
    )


def _address(place: int) -> str:
    """Give a telephone number, an IP address with its port, or a PAKNET number."""
    if place == 18 or place % 3 == 1:
        return f"07700900{100 + place}"
    if place % 3 == 2:
        return f"192.0.2.{place}:3400"
    return f"230000{place:08}"


def _password(serial: str) -> str:
    digest = hashlib.blake2b(serial.encode(), digest_size=8).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest)
