"""A hundred thousand clean meters for benchmarks and long lists, made from their number.

BK000000 to BK099999, ELSTER_A1700: the same number always gives the same meter and readings.
"""

import re

from sandbox.parties.meters.kinds import TYPES
from sandbox.parties.meters.meter import Meter
from sandbox.parties.registry.mpan import mpan

SERIAL = re.compile(r"BK(0\d{5})")
ADDRESS = re.compile(r"10\.(6[4-9])\.(\d{1,3})\.(\d{1,3}):3400")
MOST = 100_000
FOLLOWED = ("house", "shop", "mast", "school")


def meter(number: int) -> Meter:
    """Make the meter with this number."""
    return Meter(
        serial=f"BK{number:06}",
        mpan=mpan(10 + number % 14, 8_200_000_000 + number),
        kind=TYPES["ELSTER_A1700"],
        remote_address=f"10.{64 + number // 65_536}.{number // 256 % 256}.{number % 256}:3400",
        outstation="1",
        password=f"BULK{number:06}",
        purpose="Bulk meter: clean, cumulative",
        imports=FOLLOWED[number % len(FOLLOWED)],
        exports="solar" if number % 3 == 0 else "nothing",
        group="bulk",
    )


def by_serial(serial: str) -> Meter | None:
    """Make the meter with this serial number; None when it is not one of these."""
    match = SERIAL.fullmatch(serial)
    return meter(int(match.group(1))) if match else None


def by_address(address: str) -> Meter | None:
    """Make the meter at this remote address; None when none of these is there."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        return None
    high, middle, low = (int(part) for part in match.groups())
    number = (high - 64) * 65_536 + middle * 256 + low
    return meter(number) if number < MOST and max(middle, low) < 256 else None
