"""Two hundred isolation jobs at once while everything goes wrong, then both sides are compared.

Two people press whatever they find, twice and on old pages; workers die and sleep at every point of
a send, bells are lost and doubled, the party stumbles before and after it accepts. DRILL_SEED
repeats what was done, DRILL_HISTORIES says to how many jobs; the seed is shown with a failure.
"""

import os
import random
import secrets
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

from tests.drills import isolation_checker as checker
from tests.drills import isolation_desk as at_the_desk
from tests.drills.isolation_planted import KILLED_AT, PAUSE, PAUSED_AT, PLANTS
from tests.journeys.town import ROOT, Clerk, Market, Town, ends_with_us

HISTORIES = 200
PLANTED_HISTORIES = 60
SETTLED_WITHIN = 60.0
# Longer than the read timeout: what hangs or is slow answers too late.
SECONDS = 2.5
SAMPLES = ("prevented", "prevented", "prevented", "unsafe", "completed")
BEFORE = (
    *("hang", "reset", "closed", "400", "400_html", "404", "408", "429", "429_bare"),
    *("500", "503", "html", "empty", "redirect"),
)
AFTER = (
    *("lost", "done_hang", "done_closed", "done_408", "done_500", "done_504", "done_redirect"),
    *(
        "done_html",
        "done_empty",
        "truncated",
        "cut",
        "wrong_types",
        "drip_all",
        "slow",
        "late_doing",
    ),
)
KEY_REFUSED = ("401", "403")
START = (
    f"exec {sys.executable} -m celery --quiet --app tests.drills.isolation_planted worker "
    "--pool threads --concurrency 8 --without-gossip --without-mingle --without-heartbeat"
)
# Those that are killed, and one that lives on, and comes too late with its answers.
KILLED = ("worker 1", "worker 2")
WORKERS = {
    **dict.fromkeys(KILLED, f"export DRILL_ACT=kill; {START}"),
    "late worker": f"export DRILL_ACT=pause; {START}",
}
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tests.drills.isolation_settings",
    "SIP_READ_TIMEOUT": "1",
    "SIP_DEADLINE": "1.5",
    "SIP_TRIES": "3",
}


class Desk(Clerk):
    """A process of the portal in which one person is signed in."""

    def __init__(self, town, person, delay=0):
        given = {"DRILL_PERSON": person, "SEND_DELAY_SECONDS": str(delay)}
        with (town.logs / f"{person}.log").open("ab") as log:
            self._clerk = subprocess.Popen(
                [*ends_with_us(), sys.executable, "-m", "tests.drills.isolation_desk"],
                cwd=ROOT,
                env={**town.given, **given},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )


class IsolationTown(Town):
    """The party, three workers that stumble on order, beat, and two people beside the office."""

    people = ()

    def open(self):
        """Start everything and wait until the party and the people are there."""
        self.orders = self.folder / "orders"
        self.orders.mkdir()
        self.given["DRILL_ORDERS"] = str(self.orders)
        self.start("sandbox")
        self.market = Market(self._sandbox_url())
        self.given["SIP_API_URL"] = self.market.own_url
        self.given["DRILL_PARTY"] = f"{self.market.url}/control/market-messages"
        self.clerk = Desk(self, at_the_desk.PEOPLE[0])
        self.clerk.ask("set_up")
        # What one confirms can be stopped for a second; what the other does leaves at once.
        self.people = [Desk(self, who, delay) for delay, who in enumerate(at_the_desk.PEOPLE)]
        return self

    def work(self):
        """Start what does the work, also what has died."""
        for name, command in WORKERS.items():
            if not self.runs(name):
                self.start(name, command)
        if not self.runs("beat"):
            self.start("beat")

    def close(self):
        """Send the people home and end everything."""
        for person in self.people:
            person.close()
        super().close()


@dataclass
class Drill:
    """One drill on one town: its jobs, what was pressed, and what was done to it."""

    town: IsolationTown
    dice: random.Random
    histories: int
    jobs: list = field(default_factory=list)
    told: list = field(default_factory=list)
    arrived: list = field(default_factory=list)
    done: Counter = field(default_factory=Counter)
    said: Counter = field(default_factory=Counter)
    broken: list = field(default_factory=list)

    @property
    def seconds(self):
        """How long it goes on."""
        return 12 + self.histories / 8

    # ---- Before ------------------------------------------------------------------------------

    def prepare(self):
        """Hand in a worksheet for every history; each knows what the party will do to it."""
        made = [(self.dice.choice(SAMPLES), f"{self.dice.random()}") for _ in range(self.histories)]
        samples = {name: self.town.market.sample(name) for name in SAMPLES}

        def both(place):
            ask = self.town.people[place].ask
            return [ask("prepare", blocks=samples[name], key=key) for name, key in made[place::2]]

        with ThreadPoolExecutor(2) as pool:
            self.jobs = [job for jobs in pool.map(both, (0, 1)) for job in jobs]
        for job in self.jobs:
            for name in self._faults():
                about = {"calls": 1, "seconds": SECONDS, "retry_after": 1, "match": job["job_id"]}
                self.town.market.fault(name, **about)

    def _faults(self):
        """What goes wrong with the first calls of one job."""
        if self.dice.random() < 0.02:
            return [self.dice.choice(KEY_REFUSED)]
        kinds = self.dice.choice(((), (), (BEFORE,), (AFTER,), (BEFORE, AFTER), (BEFORE, BEFORE)))
        return [self.dice.choice(kind) for kind in kinds]

    def script(self):
        """What both people press, and when: [(at, person, job, click)] in the order of time."""
        steps = [step for job in self.jobs for step in self._history(job["pk"])]
        tended = range(2, int(self.seconds))
        return sorted(steps + [(at, person, 0, "tend") for at in tended for person in (0, 1)])

    def _history(self, pk):
        dice = self.dice
        begins, who = dice.uniform(0, self.seconds * 0.7), dice.randrange(2)
        yield begins, who, pk, dice.choice(("authorise", "authorise", "double"))
        if dice.random() < 0.3:
            yield begins, 1 - who, pk, "authorise"
        for click, chance, within in (
            ("stop", 0.35, 0.3),
            ("stop", 0.25, 2.0),
            ("back", 0.5, 3.0),
            ("back", 0.3, 8.0),
            ("correct", 0.15, 3.0),
            ("resolve", 0.15, 6.0),
            ("cancel", 0.08, 4.0),
            ("accept_after_all", 0.05, 12.0),
        ):
            if dice.random() < chance:
                yield begins + dice.uniform(0, within), dice.randrange(2), pk, click

    # ---- During ------------------------------------------------------------------------------

    def run(self):
        """Let both press, and do the rest of the harm meanwhile."""
        script = self.script()
        began = time.monotonic()
        sleep_until = partial(_sleep_until, began)
        with ThreadPoolExecutor(2) as pool:
            people = [pool.submit(self._press, place, script, sleep_until) for place in (0, 1)]
            for at, title, harm in self._harms():
                sleep_until(at)
                self.done[title] += 1
                harm()
                self.town.work()
        for person in people:
            person.result()

    def _press(self, place, script, sleep_until):
        ask = self.town.people[place].ask
        for at, who, pk, click in script:
            if who != place:
                continue
            sleep_until(at)
            try:
                if click == "tend":
                    self.said.update((what, answer) for what, answer in ask("tend"))
                else:
                    self.said[click, ask("click", pk=pk, button=click)] += 1
            except AssertionError as problem:
                self.broken.append(f"{click}: {problem}")

    def _harms(self):
        """What is done to the portal, and when: [(at, title, harm)] in the order of time."""
        paused = PAUSED_AT * max(3, self.histories // 50)
        orders = [("kill", point) for point in KILLED_AT] + [("pause", point) for point in paused]
        harms = [
            (f"{act} {point}", partial(self._order, f"{number:03}.{act}.{point}"))
            for number, (act, point) in enumerate(orders)
        ]
        often = (self.lose, self.lose, self.ring, self.ring, self.close, self.close, self.refuse)
        harms += [(harm.__name__, harm) for harm in (*often, *often, self.kill)]
        self.dice.shuffle(harms)
        times = sorted(self.dice.uniform(1, self.seconds * 0.8) for _ in harms)
        return [(at, *harm) for at, harm in zip(times, harms, strict=True)]

    def _order(self, name):
        (self.town.orders / name).touch()

    def lose(self):
        """Lose the bells that nobody has heard yet."""
        self.town.clerk.ask("lose")

    def ring(self):
        """Ring twice for jobs that are being sent and for some that are not."""
        pks = self.town.clerk.ask("under_way")["pks"] + self._some()
        for task in ("sip.send", "sip.abandoned"):
            self.town.clerk.ask("ring", pks=pks, task=task)

    def _some(self):
        return [job["pk"] for job in self.dice.sample(self.jobs, min(10, len(self.jobs)))]

    def close(self):
        """Let the party drop the next call unread."""
        self.town.market.fault("close", calls=1)

    def refuse(self):
        """Let the party refuse connections for a second."""
        number = self.town.market.fault("refuse")["id"]
        time.sleep(1)
        self.town.market._call("/faults/off", {"id": number})

    def kill(self):
        """Kill a worker while it holds something."""
        ends = time.monotonic() + 4
        while not self.town.clerk.ask("under_way")["held"] and time.monotonic() < ends:
            time.sleep(0.05)
        self.town.kill(self.dice.choice(KILLED))

    # ---- After -------------------------------------------------------------------------------

    def settle(self, within):
        """Tend what waits until those who sleep are awake; then wait until everything rests.

        Faults that nobody has met yet stay on: they are part of the histories.
        """
        began = time.monotonic()
        for order in self.town.orders.glob("*.*.*"):
            if not order.name.endswith("-done"):
                order.unlink(missing_ok=True)
        for at in range(1, int(PAUSE) + 1):
            self._press(at % 2, [(at, at % 2, 0, "tend")], partial(_sleep_until, began))
            self.town.work()
        while time.monotonic() < began + within:
            self.town.work()
            self.town.clerk.ask("mend_key")
            if not checker.unsettled(self.town.clerk.ask("jobs")):
                return
            time.sleep(0.5)

    def problems(self):
        """What is wrong in the end."""
        self.told = self.town.clerk.ask("jobs")
        pages = {}
        for person in self.town.people:
            pages |= person.ask("opened_pages")
        accepted = self.town.market._call("/market-messages/accepted")["accepted"]
        self.arrived = self.town.market._call("/market-messages/attempts")["attempts"]
        return self.broken + checker.problems(self.told, pages, accepted, self.arrived)

    def in_short(self):
        """What was done and what came of it, in numbers."""
        orders = Counter(
            order.name.split(".", 1)[1].removesuffix("-done")
            for order in self.town.orders.glob("*-done")
        )
        return "\n".join(
            f"{title}: {dict(sorted(counts.items(), key=str))}"
            for title, counts in (
                ("Done", self.done),
                ("Carried out", orders),
                ("Pressed", self.said),
                ("Faults", Counter(str(row["fault"]) for row in self.arrived)),
                ("Jobs", Counter(job["status"] for job in self.told)),
                ("Attempts", Counter(one["outcome"] for one in self._attempts())),
                ("Late", Counter(one["late_outcome"] for one in self._attempts())),
                ("Calls", self.calls()),
            )
        )

    def _attempts(self):
        return [one for job in self.told for one in job["attempts"]]

    def calls(self):
        """How many calls came to what."""
        return Counter(call[0] for job in self.told for call in job["calls"])


def _sleep_until(began, at):
    time.sleep(max(0.0, began + at - time.monotonic()))


# ---- The machine -----------------------------------------------------------------------------


@pytest.fixture
def services():
    """A database and keys of this drill alone where DATABASE_URL and REDIS_URL are given."""
    name, given = f"portal_drill_{secrets.token_hex(4)}", {}
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if database_url:
        server = urlunsplit(urlsplit(database_url)._replace(path="/postgres"))
        _run(server, f'CREATE DATABASE "{name}"')
        given["DATABASE_URL"] = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    if redis_url:
        given |= {"REDIS_URL": redis_url, "DRILL_KEYS": f"{name}:"}
    yield given
    if database_url:
        _run(server, f'DROP DATABASE "{name}" WITH (FORCE)')
    if redis_url:
        with redis.Redis.from_url(redis_url) as keys:
            for key in keys.scan_iter(f"*{name}:*"):
                keys.delete(key)


def _run(server, statement):
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def seed():
    """The drill's seed, from DRILL_SEED or a new one."""
    chosen = os.environ.get("DRILL_SEED") or str(random.SystemRandom().randrange(10**6))
    print(f"DRILL_SEED={chosen}", file=sys.stderr)
    return chosen


@pytest.fixture
def drilled(tmp_path, services, seed):
    """Carry out a drill: drilled(histories, plant) gives it with what is wrong in the end."""
    towns = []

    def carry_out(histories, plant=""):
        given = {**SETTINGS, **services, "DRILL_SEED": seed, "DRILL_PLANT": plant}
        towns.append(town := IsolationTown(tmp_path / "var", **given))
        town.open()
        drill = Drill(town, random.Random(int(seed)), histories)
        drill.prepare()
        town.work()
        drill.run()
        drill.settle(SETTLED_WITHIN)
        found = drill.problems()
        print(drill.in_short(), file=sys.stderr)
        return drill, found

    yield carry_out
    for town in towns:
        town.close()


def test_every_history_ends_with_one_message_at_most(drilled, seed):
    """Whatever is done, both sides agree, nothing is sent twice by itself and nothing is stuck."""
    drill, found = drilled(int(os.environ.get("DRILL_HISTORIES") or HISTORIES))
    assert not found, "\n".join([f"DRILL_SEED={seed}", *found])
    came_to = {call for call, count in drill.calls().items() if count}
    assert {"answered", "unknown", "cut off"} <= came_to, (
        "This was no drill: too little went wrong."
    )


@pytest.mark.parametrize("plant", PLANTS)
def test_a_defect_on_purpose_is_found(drilled, seed, plant):
    """A portal without one of its guards does not pass."""
    _, found = drilled(PLANTED_HISTORIES, plant)
    print(
        "\n".join([f"{plant}, DRILL_SEED={seed}: {len(found)} found", *found[:5]]), file=sys.stderr
    )
    assert found, f"DRILL_SEED={seed}: nobody noticed {plant}."
