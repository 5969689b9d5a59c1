"""Results as the meter communications service posts them, in three sizes, and the same as rows."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
PASSWORD = "AAAA0000"  # noqa: S105 - invented
Read = Mapping[str, str]  # reference, token, mpan, serial


@dataclass(frozen=True)
class Size:
    """How much one result holds."""

    name: str
    days: int
    registers: int

    @property
    def readings(self) -> int:
        """How many readings that is."""
        return self.days * self.registers * 48

    def first(self, turn: int) -> datetime:
        """The first half hour of a turn: the turns follow one another, so all is new."""
        return FIRST + timedelta(days=self.days * turn)


SMALL = Size("S", 1, 2)
MEDIUM = Size("M", 10, 4)
LARGE = Size("L", 31, 8)
SIZES = {size.name: size for size in (SMALL, MEDIUM, LARGE)}


def totals(seed: int, count: int) -> list[int]:
    """What a register showed every half hour, in thousandths: it goes up by 0 to 2 kWh."""
    chance, total = random.Random(seed), 1_000_000 + 1000 * seed  # noqa: S311 - no secret
    found = []
    for _ in range(count):
        total += int(chance.random() ** 2 * 2000)
        found.append(total)
    return found


def texts(values: Iterable[int]) -> list[str]:
    """Write thousandths as a meter does."""
    return [f"{value // 1000}.{value % 1000:03}" for value in values]


@cache
def _registers(size: Size, turn: int) -> list[list[str]]:
    """What the registers showed in a turn: they go on from the one before."""
    found = []
    for number in range(size.registers):
        column = totals(number, 48 * size.days)
        grown = turn * (column[-1] - column[0] + 500)
        found.append(texts(value + grown for value in column))
    return found


def _rest(size: Size, turn: int) -> bytes:
    """Write everything of a result that is the same for every meter."""
    first, ended = size.first(turn), size.first(turn + 1) + timedelta(hours=2)
    times = [f"{first + n * HALF_HOUR:%Y-%m-%dT%H:%M:%SZ}" for n in range(48 * size.days)]
    end = f"{ended:%Y-%m-%dT%H:%M:%SZ}"
    fields = {
        "result": "SUCCESS",
        "collectionStartTime": f"{ended - timedelta(seconds=90):%Y-%m-%dT%H:%M:%SZ}",
        "collectionEndTime": end,
        "meterTime": f"{ended:%Y-%m-%dT%H:%M:%S} + 2s",
        "statusEvents": None,
        "timeAdjustmentResult": "NOT REQUIRED",
        "registerValues": [
            {"name": f"Register {number}", "timestamp": end, "value": column[-1], "units": "kWh"}
            for number, column in enumerate(_registers(size, turn))
        ],
        "surveyData": [
            {
                "name": f"Register {number}",
                "units": "kWh",
                "readings": [
                    {"timestamp": at, "value": value, "statusFlags": 0}
                    for at, value in zip(times, column, strict=True)
                ],
            }
            for number, column in enumerate(_registers(size, turn))
        ],
    }
    return json.dumps(fields).encode()


def bodies(size: Size, turn: int, reads: Iterable[Read]) -> Iterator[bytes]:
    """Write the result of every read."""
    rest = _rest(size, turn)
    for read in reads:
        own = {
            "requestReference": read["reference"],
            "mpan": read["mpan"],
            "password": PASSWORD,
            "serialNumber": read["serial"],
        }
        yield json.dumps(own).encode()[:-1] + b", " + rest[1:]


def copy_text(size: Size, turn: int, channels: Iterable[int]) -> bytes:
    """Write the same readings for COPY: `channels` are one number for each meter."""
    first = size.first(turn)
    times = [f"{first + n * HALF_HOUR:%Y-%m-%d %H:%M:%S+00}" for n in range(48 * size.days)]
    return "".join(
        f"{channel * 10 + number}\t{at}\t{value}\t0\n"
        for channel in channels
        for number, column in enumerate(_registers(size, turn))
        for at, value in zip(times, column, strict=True)
    ).encode()
