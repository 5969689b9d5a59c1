"""One played meter: who it is, and what its registers and its clock show at a moment.

Energy is in whole watt-hours, moments in seconds since 1970, both exact.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sandbox.parties.meters.kinds import REGISTERS, MeterType
from sandbox.parties.meters.load import DAY, HALF_HOUR, INSTALLED, load_of

FOUR_DIGITS = 10_000_000
MEMORY = 450 * DAY  # how far back a meter keeps half hours
FALL, SPIKE = 25_000, 900_000
# What a change may say, and as what it is kept.
CHANGEABLE: Mapping[str, Callable[[Any], Any]] = {
    "behaviours": tuple,
    "password": str,
    "says_serial": str,
    "clock_offset": int,
    "clock_rate": float,
    "clock_set_at": int,
    "shift_wh": int,
    "shift_at": int,
}


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter as the sandbox plays it."""

    serial: str
    mpan: str
    kind: MeterType
    remote_address: str
    outstation: str
    password: str
    purpose: str
    imports: str
    exports: str = "nothing"
    surveyed: tuple[str, ...] = ("kWh Import", "kWh Export")
    behaviours: tuple[str, ...] = ()
    coms_settings: str = ""
    decimals: int = 3
    clock_offset: int = 0
    clock_rate: float = 0.0
    says_serial: str = ""
    shift_wh: int = 0
    shift_at: int = 0
    clock_set_at: int = 0
    group: str = "demo"
    changes: Mapping[str, Any] = field(default_factory=dict)

    def does(self, behaviour: str) -> bool:
        """Is this behaviour switched on?"""
        return behaviour in self.behaviours

    def changed(self, changes: Mapping[str, Any]) -> "Meter":
        """Give this meter with changed fields; null leaves a field as it was."""
        real: dict[str, Any] = {
            name: CHANGEABLE[name](value) for name, value in changes.items() if value is not None
        }
        return replace(self, **real, changes=dict(changes))

    # Registers.

    def total(self, register: str, moment: int) -> int:
        """Give what a register shows at a moment, in watt-hours."""
        if self.does("exchange") and (since := last_exchange(moment)) > INSTALLED:
            return self._followed(register, moment) - self._followed(register, since)
        shown = _start(self.serial, register) + self._followed(register, moment)
        if self.does("backwards"):
            shown -= FALL * _months(moment, 5, 10 * 3600)
        if self.does("spike"):
            shown += SPIKE * _months(moment, 12, 12 * 3600 + HALF_HOUR)
        if self.shift_wh and moment >= self.shift_at:
            shown += self.shift_wh
        return shown % FOUR_DIGITS if self.does("rollover") else shown

    def _followed(self, register: str, moment: int) -> int:
        known = REGISTERS[register]
        profile = self.imports if known.follows == "import" else self.exports
        return (
            load_of(profile, f"{self.serial}/{known.follows}").at(moment) * known.permille // 1000
        )

    @property
    def cumulative(self) -> bool:
        """Are its survey values running totals?"""
        return self.kind.cumulative and not self.does("other_values")

    def survey_value(self, register: str, moment: int) -> int:
        """Give the survey value whose half hour starts at this moment, in watt-hours."""
        here = self.total(register, moment)
        return here if self.cumulative else self.total(register, moment + HALF_HOUR) - here

    def survey(self, register: str, start: int, end: int, now: int) -> Iterator[tuple[int, int]]:
        """Give start and value of each half hour from `start` until before `end` that it holds."""
        # A running total stands when the half hour starts, the energy of a period when it ends.
        latest = now if self.cumulative else now - HALF_HOUR
        first = -(-max(start, INSTALLED, now - MEMORY) // HALF_HOUR) * HALF_HOUR
        for moment in range(first, min(end, latest + 1), HALF_HOUR):
            yield moment, self.survey_value(register, moment)

    def text(self, watt_hours: int) -> str:
        """Write watt-hours in kWh, cut off after the decimals that this meter shows."""
        sign = "-" if watt_hours < 0 else ""
        whole, rest = divmod(abs(watt_hours), 1000)
        fraction = f".{rest:03}"[: self.decimals + 1] if self.decimals else ""
        return f"{sign}{whole}{fraction}"

    # Serial number and clock.

    def serial_at(self, moment: int) -> str:
        """Give the serial number that the meter returns."""
        if self.says_serial:
            return self.says_serial
        if self.does("serial_error") or self.does("serial_value"):
            return f"{int(self.serial) + 40_000}"
        if self.does("exchange"):
            return f"{int(self.serial) + 1000 * _exchanges(moment)}"
        return self.serial

    def offset(self, moment: int) -> int:
        """Give by how many seconds its clock is ahead (or, below 0, behind)."""
        if self.clock_set_at:
            return round(self.clock_rate * (moment - self.clock_set_at) / DAY)
        new_year = int(datetime(_date(moment).year, 1, 1, tzinfo=UTC).timestamp())
        return self.clock_offset + round(self.clock_rate * (moment - new_year) / DAY)


def _date(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def _start(serial: str, register: str) -> int:
    digest = hashlib.blake2b(f"{serial}/{register}".encode(), digest_size=4).digest()
    return 2_000_000 + int.from_bytes(digest) % 38_000_000


def _months(moment: int, day: int, second: int) -> int:
    """Count how often this day and second of a month has come since the installation."""
    date = _date(moment)
    reached = moment % DAY + (date.day - 1) * DAY >= (day - 1) * DAY + second
    return max(0, (date.year - _date(INSTALLED).year) * 12 + date.month - 1 + int(reached))


def _exchange_moments(moment: int) -> list[int]:
    years = range(_date(INSTALLED).year, _date(moment).year + 1)
    dates = (datetime(year, month, 15, 10, tzinfo=UTC) for year in years for month in (3, 9))
    return [int(date.timestamp()) for date in dates if date.timestamp() <= moment]


def _exchanges(moment: int) -> int:
    return len(_exchange_moments(moment))


def last_exchange(moment: int) -> int:
    """Give the latest exchange until a moment; the installation where there was none."""
    return max(_exchange_moments(moment), default=INSTALLED)
