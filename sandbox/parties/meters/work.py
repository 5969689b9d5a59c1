"""The service at work: threads that visit meters and post the results.

A thread sleeps as long as a collection takes, so what a caller sees is real: the address is busy,
a restart cuts in, results of different meters overtake each other.
"""

import threading
from collections.abc import Callable
from sqlite3 import Row
from zlib import crc32

from sandbox.clock import Clock
from sandbox.courier import Courier
from sandbox.parties.meters import request, visit
from sandbox.parties.meters.document import result
from sandbox.parties.meters.meter import Meter
from sandbox.parties.meters.options import Options, options
from sandbox.parties.meters.queue import Queue
from sandbox.parties.meters.request import Asked
from sandbox.parties.meters.visit import Visit
from sandbox.posting import Letter, Said, below
from sandbox.store import Shelf

THREADS = 8
LONGEST_SLEEP = 3600.0
GAP_DAYS = (10, 18)
OPERATION, SERVICE_STATUS = "collection-result", "service-status"
VARIANTS = {
    "twice": ("whole", "whole"),
    "second_day_first": ("second", "first"),
    "disagree": ("whole", "altered"),
    "disagree_tie": ("whole", "altered"),
    "never": (),
}


class Work:
    """The threads; they start with the first thing to do."""

    def __init__(
        self,
        shelf: Shelf,
        queue: Queue,
        clock: Clock,
        meter_at: Callable[[str, str], Meter | None],
        meter_by_serial: Callable[[str], Meter | None],
    ) -> None:
        self._shelf, self._queue, self._clock = shelf, queue, clock
        self._meter_at, self._meter_by_serial = meter_at, meter_by_serial
        self._bell = threading.Condition()
        self._rung = 0
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._courier: Courier | None = None

    def begin(self, courier: Courier) -> None:
        """Go on with what the last run left."""
        self._courier = courier
        if self._queue.resume():
            self.ring()

    def end(self) -> None:
        """Stop every thread, whatever it is waiting for."""
        courier, self._courier = self._courier, None
        with self._bell:
            self._stopping.set()
            self._bell.notify_all()
            threads, self._threads = self._threads, []
        if courier and threads:
            courier.cut_all()
        for thread in threads:
            thread.join(5)

    def forget(self) -> None:
        """Stop, drop everything, and be ready again."""
        courier = self._courier
        self.end()
        self._queue.forget()
        self._stopping = threading.Event()
        self._courier = courier
        if self._queue.resume():
            # Asked for while the threads were stopping.
            self.ring()

    def ring(self) -> None:
        """Say that there is something to do, or that the clock or an option has changed."""
        with self._bell:
            self._rung += 1
            if not self._threads and self._courier and not self._stopping.is_set():
                self._threads = [self._thread() for _ in range(THREADS)]
            self._bell.notify_all()

    def _thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(self._stopping, self._courier))
        thread.daemon = True
        thread.start()
        return thread

    def _run(self, stopping: threading.Event, courier: Courier) -> None:
        while not stopping.is_set():
            heard = self._rung
            if not self._step(stopping, courier):
                self._sleep(stopping, heard)

    def _sleep(self, stopping: threading.Event, heard: int) -> None:
        """Wait for the bell, or until the next thing is due."""
        now = self._now()
        due = None if self._clock.stands_still else self._queue.next_due(now)
        seconds = LONGEST_SLEEP if due is None else min(due - now, LONGEST_SLEEP)
        with self._bell:
            self._bell.wait_for(lambda: stopping.is_set() or self._rung != heard, seconds)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _step(self, stopping: threading.Event, courier: Courier) -> bool:
        """Do one thing; False when there is none to do now."""
        post = self._queue.take_post(self._now())
        if post is not None:
            self._post(post, courier)
            return True
        chosen = options(self._shelf)
        if chosen.paused:
            return False
        row = self._queue.take(self._now(), wait_for_address=chosen.same_address == "wait")
        if row is not None:
            self._collect(request.stored(row["asked"]), chosen, stopping)
        return row is not None

    # A collection.

    def _collect(self, asked: Asked, chosen: Options, stopping: threading.Event) -> None:
        started = int(self._now())
        if stopping.wait(chosen.collection_seconds):
            return
        meter = self._meter_at(asked.remote_address, asked.outstation)
        if meter and meter.does("stuck"):
            self._queue.stick(asked.reference)
            return
        made = self._visit(asked, meter, started, chosen)
        posts = _posts(asked, meter, self._now(), chosen.late_seconds)
        self._queue.finish(asked.reference, made.stored(), posts)
        self.ring()

    def _visit(self, asked: Asked, meter: Meter | None, started: int, chosen: Options) -> Visit:
        count = self._shelf.count_call(meter.serial) if meter else 0
        problem = visit.problem(asked, meter, count)
        if self._queue.disturbed(asked.reference):
            problem = visit.DISTURBED
        now = int(self._now())
        if meter is None or problem:
            return Visit(meter, started, now, problem)
        serial = visit.serial_number(asked, meter, now)
        if serial.startswith("ERROR"):
            return Visit(meter, started, now, visit.MISMATCH, serial)
        adjusted = self._adjusted(meter, now, chosen) if asked.adjust_time else ""
        offset, lost = meter.offset(now), self._lost_days(asked, meter)
        return Visit(meter, started, now, "", serial, offset, adjusted, lost)

    def _adjusted(self, meter: Meter, now: int, chosen: Options) -> str:
        outcome = visit.adjustment(meter, meter.offset(now), chosen.limits)
        if outcome == "SUCCESS":
            self._shelf.change(meter.serial, {"clock_set_at": now})
        return outcome

    def _lost_days(self, asked: Asked, meter: Meter) -> tuple[str, ...]:
        """Give the days of which something is missing, as it is the first time they are read."""
        if not meter.does("gap_once"):
            return ()
        days = (day.isoformat() for day in visit.survey_days(asked) if day.day in GAP_DAYS)
        return tuple(day for day in days if self._shelf.count_call(f"{meter.serial} {day}") == 1)

    # A post.

    def _post(self, row: Row, courier: Courier) -> None:
        found = self._queue.find(row["reference"])
        if found is None:
            return
        asked = request.stored(found["asked"])
        made = visit.stored(found["visit"], self._meter_by_serial)
        self._check_receiver(asked, courier)
        about = f"{asked.reference} {asked.mpan} {made.meter.serial if made.meter else ''}"
        url = below(asked.response_url, OPERATION)
        said = courier.carry(Letter(url, result(asked, made, row["variant"]).encode(), about=about))
        self._queue.posted(row["id"], said.status, said.text, self._again(row, said))

    def _check_receiver(self, asked: Asked, courier: Courier) -> None:
        """Ask for the receiver's own status, now and then; the result is posted all the same."""
        chosen = options(self._shelf).check_receiver
        sometimes = crc32(asked.reference.encode()) % 5 == 0
        if chosen == "always" or (chosen == "sometimes" and sometimes):
            courier.carry(Letter(below(asked.response_url, SERVICE_STATUS), method="GET"))

    def _again(self, row: Row, said: Said) -> float | None:
        """Say when to post again; nothing in the specification says that it is done."""
        chosen = options(self._shelf)
        if said.status == 200 or row["tries"] > chosen.retries:
            return None
        return self._now() + chosen.retry_seconds


def _posts(
    asked: Asked, meter: Meter | None, now: float, late_seconds: float
) -> list[tuple[str, float]]:
    """Say which variants of the result are to be posted, and when."""
    special = [] if meter is None else [word for word in meter.behaviours if word in VARIANTS]
    variants = VARIANTS[special[0]] if special else ("whole",)
    if "first" in variants and not asked.survey_days:
        variants = ("whole",)
    late = late_seconds if meter and meter.does("late") else 0.0
    return [(variant, now + late) for variant in variants]
