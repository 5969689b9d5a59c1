"""Invented load profiles: the same meter and moment always give the same energy, in watt-hours.

Everything is UTC, so a clock change is no event here. A day is one of eight curves of its meter,
scaled by season, weekday and the day's own luck; totals from 1 January 2023 on are remembered.
"""

import hashlib
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

HALF_HOUR = 1800
DAY = 86_400
SLOTS = 48
INSTALLED = 1_672_531_200  # 2023-01-01T00:00:00Z
FIRST_DAY = INSTALLED // DAY
VARIANTS = 8
YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Profile:
    """Mean watts of each hour of the day, and how days differ.

    `winter` and `weekend` in percent of the mean, `luck` the least percent of a poor day.
    """

    watts: tuple[int, ...]
    winter: int = 0
    weekend: int = 100
    luck: int = 85


def _watts(*spans: tuple[int, int]) -> tuple[int, ...]:
    return tuple(watts for hours, watts in spans for _ in range(hours))


PROFILES: Mapping[str, Profile] = {
    "house": Profile(
        _watts((6, 140), (1, 320), (2, 620), (7, 260), (2, 540), (3, 980), (2, 520), (1, 240)),
        winter=25,
        weekend=112,
    ),
    "shop": Profile(_watts((7, 900), (1, 2400), (11, 5200), (2, 2600), (3, 1000)), 10, 80),
    "workshop": Profile(_watts((6, 1500), (2, 9000), (9, 24_000), (1, 8000), (6, 1800)), 5, 15),
    "school": Profile(_watts((6, 2200), (2, 9500), (8, 16_500), (3, 6400), (5, 2400)), 35, 20),
    "dairy": Profile(_watts((4, 2000), (4, 14_000), (8, 3800), (4, 13_000), (4, 2300)), -8),
    "store heating": Profile(_watts((7, 6200), (10, 220), (5, 640), (2, 300)), 60),
    "mast": Profile(_watts((24, 1450)), 2, luck=98),
    "solar": Profile(
        _watts(
            *((4, 0), (1, 30), (1, 160), (1, 420), (1, 800), (1, 1300), (1, 1750), (1, 2050)),
            *((2, 2200), (1, 2050), (1, 1700), (1, 1300), (1, 850), (1, 430), (1, 170), (1, 40)),
            (5, 0),
        ),
        winter=-75,
        luck=18,
    ),
    "standby": Profile(_watts((5, 9), (14, 2), (5, 9)), luck=95),
    "nothing": Profile(_watts((24, 0))),
}


class Load:
    """The energy of one profile at one meter since it was installed."""

    def __init__(self, profile: Profile, seed: str) -> None:
        self._profile = profile
        self._seed = seed
        self._lock = threading.Lock()
        self._curves = [_curve(profile, f"{seed}/{number}") for number in range(VARIANTS)]
        # For each day: watt-hours before it, its curve, and its thousandths of the mean.
        self._days: list[tuple[int, tuple[int, ...], int]] = []

    def at(self, moment: int) -> int:
        """Give the watt-hours from the installation until a moment (seconds since 1970)."""
        day, second = divmod(moment - INSTALLED, DAY)
        if day < 0:
            return 0
        if day >= len(self._days):
            self._reach(day)
        before, curve, scale = self._days[day]
        slot, rest = divmod(second, HALF_HOUR)
        here = curve[slot] * scale // 1000
        if rest:
            here += (curve[slot + 1] * scale // 1000 - here) * rest // HALF_HOUR
        return before + here

    def _reach(self, day: int) -> None:
        with self._lock:
            while len(self._days) <= day:
                place = len(self._days)
                before, curve, scale = self._days[-1] if place else (0, self._curves[0], 0)
                chance = hashlib.blake2b(f"{self._seed}/{place}".encode(), digest_size=2)
                variant, luck = chance.digest()
                start = before + curve[SLOTS] * scale // 1000
                scale = _scale(self._profile, FIRST_DAY + place, luck)
                self._days.append((start, self._curves[variant % VARIANTS], scale))


def _curve(profile: Profile, seed: str) -> tuple[int, ...]:
    """Give the running total of a day in watt-hours at each half hour, in 49 values."""
    uneven = hashlib.blake2b(seed.encode(), digest_size=SLOTS).digest()
    total, curve = 0, [0]
    for slot, byte in enumerate(uneven):
        total += profile.watts[slot // 2] * (55 + 90 * byte // 255) // 200
        curve.append(total)
    return tuple(curve)


def _scale(profile: Profile, day: int, luck: int) -> int:
    """Give a day's thousandths of the mean; `luck` is 0 to 255."""
    weekend = profile.weekend if (day + 3) % 7 >= 5 else 100
    lucky = profile.luck + (200 - 2 * profile.luck) * luck // 255
    return _season(profile.winter, day % 1461) * weekend * lucky // 10_000


@cache
def _season(winter: int, day: int) -> int:
    """Give the thousandths of a day of the four-year round; mid-January has the most winter."""
    return round(1000 + 10 * winter * math.cos(2 * math.pi * (day % YEAR - 15) / YEAR))


@lru_cache(maxsize=256)
def load_of(profile: str, seed: str) -> Load:
    """Give the load of a meter; kept, since its totals take a while."""
    return Load(PROFILES[profile], seed)
