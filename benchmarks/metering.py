"""Meter results and the year's chart, each against the plain thing measured beside it.

On PostgreSQL alone, in two databases of its own: 10⁵ and 10⁷ readings. What is posted is counted
again in the database; a run that lost or doubled a reading ends with an error.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import clients
from benchmarks.metering_desk import Desk, NotThere, services
from benchmarks.payloads import LARGE, MEDIUM, SMALL
from benchmarks.table import Judged

ROUNDS = 5
FEW, MANY = 6, 571  # registers with a year each: 105,120 and 10,003,920 readings
POSTS = {"S": 320, "M": 40, "L": 24}
PLAIN_POSTS = 8  # the plain way takes long
EMPTY = 640
PAGES = 12


def measure() -> Iterator[Judged]:
    """Measure everything, or say what is missing."""
    with ExitStack() as opened:
        try:
            database, queues = services()
        except NotThere as problem:
            print(f"   {problem}\n   Nothing of the metering desk was measured.", flush=True)
            return
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="portal-bench-")))
        begun, load = time.monotonic(), os.getloadavg()
        few, many = (
            opened.enter_context(
                Desk(folder / name, f"portal_bench_{os.getpid()}_{name}", database, queue)
            )
            for name, queue in zip(("few", "many"), queues, strict=True)
        )
        print(f"   {few.said}; load average {_loads(load)} before", flush=True)
        yield from Rounds(few, many).run()
        print(
            f"   {time.monotonic() - begun:.0f} s; load average {_loads(os.getloadavg())} after",
            flush=True,
        )


def _loads(load: tuple[float, float, float]) -> str:
    return ", ".join(f"{each:.1f}" for each in load)


class Rounds:
    """Five rounds over both databases; each keeps a figure for every thing measured."""

    def __init__(self, few: Desk, many: Desk) -> None:
        self._few, self._many = few, many
        self._kept: dict[str, list[float]] = {}

    def run(self) -> Iterator[Judged]:
        """Fill, go round, judge."""
        self._few.fill(FEW)
        self._many.fill(MANY)
        disk = self._many.ask("disk")
        for turn in range(ROUNDS + 1):  # the first one warms up
            for step in (self._small, self._medium, self._large, self._plain, self._inside):
                step(turn)
            self._page()
            if turn == 0:
                self._kept.clear()
        self._few.add_worker()
        for turn in range(ROUNDS + 1, 2 * ROUNDS + 2):
            self._two_workers(turn, warm=turn > ROUNDS + 1)
        for desk in (self._few, self._many):
            print(f"   {desk.database}: {desk.ask('outcomes')}", flush=True)
        yield from self._judged()
        held = disk["bytes"] / disk["readings"]
        note = f"{disk['bytes'] / 1e6:,.0f} MB, {disk['readings']:,} readings counted"
        yield Judged("Disk for each reading, with indexes", 16, (held,), note, unit=" bytes")

    def _keep(self, name: str, figure: float) -> None:
        self._kept.setdefault(name, []).append(figure)

    # ---- What is measured --------------------------------------------------------------------

    def _small(self, turn: int) -> None:
        """S acknowledged, beside the empty view; then the very same posted again."""
        few, many, count = self._few, self._many, POSTS["S"]
        self._keep("empty", few.served(EMPTY))
        posts = few.results(SMALL, count, 2 * turn)
        self._keep("S", few.acknowledge(posts, alone=True))
        self._keep("S stored", count / few.await_stored(SMALL, count, 2 * turn))
        self._keep("S again", few.acknowledge(posts, alone=True))
        few.await_stored(SMALL, count, 2 * turn)
        posts = many.results(SMALL, count, 2 * turn)
        self._keep("S of many", many.acknowledge(posts, alone=True))
        many.await_stored(SMALL, count, 2 * turn)
        posts = few.results(SMALL, count, 2 * turn + 1)
        self._keep("S meanwhile", few.acknowledge(posts, alone=False))
        few.await_stored(SMALL, count, 2 * turn + 1)

    def _medium(self, turn: int) -> None:
        self._keep("M", self._few.store(MEDIUM, POSTS["M"], turn))

    def _large(self, turn: int) -> None:
        count = POSTS["L"]
        self._keep("COPY", LARGE.readings * count / self._few.copy(LARGE, turn, count))
        self._keep("L", self._few.store(LARGE, count, turn))
        self._keep("L of many", self._many.store(LARGE, count, turn))

    def _two_workers(self, turn: int, *, warm: bool) -> None:
        count = POSTS["L"]
        plain = LARGE.readings * count / self._few.copy(LARGE, turn, count)
        ours = self._few.store(LARGE, count, turn)
        if warm:
            self._keep("COPY beside two", plain)
            self._keep("L of two", ours)

    def _plain(self, turn: int) -> None:
        self._keep("plain L", self._few.store_plainly(LARGE, PLAIN_POSTS, turn))

    def _inside(self, _: int) -> None:
        decoding = self._few.ask("decode", times=5)
        self._keep("json.loads", statistics.median(decoding["plain"]))
        self._keep("decode", statistics.median(decoding["ours"]))
        read = self._few.ask("year", register=self._few.register, times=5)
        self._keep("plain year", statistics.median(read["plain"]))
        self._keep("year", statistics.median(read["ours"]))
        read = self._many.ask("year", register=self._many.register, times=5)
        self._keep("year of many", statistics.median(read["ours"]))

    def _page(self) -> None:
        few = self._few
        empty = [clients.get(f"{few.url}/healthz")] * PAGES
        self._keep("empty page", few.page_seconds(empty))
        self._keep("year page", few.page_seconds(few.year_pages(anew=False)))
        self._keep("year page anew", few.page_seconds(few.year_pages(anew=True)))

    # ---- What it comes to --------------------------------------------------------------------

    def _judged(self) -> Iterator[Judged]:
        at_least = partial(Judged, at_least=True)
        rate, seconds = self._rates, self._seconds
        yield at_least(
            "L: readings a second until all are stored, against COPY of a row for each",
            0.8,
            self._over("L", "COPY"),
            rate("L", "COPY"),
        )
        yield at_least(
            "L: the same with a second worker",
            0.8,
            self._over("L of two", "COPY beside two"),
            rate("L of two", "COPY beside two"),
        )
        yield at_least(
            "M: the same with one worker",
            None,
            self._over("M", "COPY"),
            rate("M", "COPY"),
        )
        yield at_least(
            "S: acknowledged a second, against an empty view",
            0.25,
            self._over("S", "empty"),
            rate("S", "empty"),
        )
        yield at_least(
            "S: the same while a worker stores them",
            0.25,
            self._over("S meanwhile", "empty"),
            rate("S meanwhile", "empty"),
        )
        yield at_least(
            "S: stored a second by one worker, against acknowledged",
            None,
            self._over("S stored", "S"),
            rate("S stored", "S"),
        )
        yield at_least(
            "L: readings a second, against a nested serializer and bulk_create",
            20,
            self._over("L", "plain L"),
            rate("L", "plain L"),
        )
        yield at_least(
            "S posted again, against posted first",
            0.5,
            self._over("S again", "S"),
            rate("S again", "S"),
        )
        yield Judged(
            "L: decoded and checked, time against json.loads",
            3,
            self._over("decode", "json.loads"),
            seconds("decode", "json.loads"),
        )
        yield Judged(
            "A year of a register from the database, time against 17,520 rows",
            0.25,
            self._over("year", "plain year"),
            seconds("year", "plain year"),
        )
        yield Judged(
            "Page with a year's chart, time against an empty view",
            15,
            self._over("year page", "empty page"),
            seconds("year page", "empty page"),
        )
        yield Judged(
            "The same, looked at for the first time",
            None,
            self._over("year page anew", "empty page"),
            seconds("year page anew", "empty page"),
        )
        for name, words in (("S", "S acknowledged"), ("L", "L stored")):
            figures = self._over(name, f"{name} of many")
            note = rate(f"{name} of many", name)
            yield Judged(f"{words}, time at 10⁷ readings against 10⁵", 2, figures, note)
        figures, note = self._over("year of many", "year"), seconds("year of many", "year")
        yield Judged("Year read, time at 10⁷ readings against 10⁵", 2, figures, note)

    def _over(self, name: str, reference: str) -> Sequence[float]:
        """Ours over the reference, round by round: both were measured within seconds."""
        pairs = zip(self._kept[name], self._kept[reference], strict=True)
        return [ours / theirs for ours, theirs in pairs]

    def _rates(self, *names: str) -> str:
        return " against ".join(f"{statistics.median(self._kept[name]):,.0f}" for name in names)

    def _seconds(self, *names: str) -> str:
        found = (statistics.median(self._kept[name]) for name in names)
        return " against ".join(f"{each * 1000:.1f} ms" for each in found)
