"""Sixty applications while workers are killed, bells lost and doubled, and the registry stumbles.

DRILL_SEED repeats what was done to the portal; it is printed, and shown with a failure. When all
that ends, everything must come to rest where its certificate says, once.
"""

import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from tests.drills import checker
from tests.journeys.letters import letters
from tests.journeys.town import Town

APPLICATIONS = 60
ROUNDS = 10
LEASE = 9
DEADLINE = 3.0
SETTLED_WITHIN = 40.0
FAULTS = (
    ("slow", {"seconds": 1.5}),
    ("hang", {"seconds": 2.0}),
    ("500", {}),
    ("reset", {}),
    ("close", {}),
    ("refuse", {}),
)
# How a certificate differs from its applicant's form, and what that must come to.
MIX = (
    ({}, checker.APPROVED),
    ({}, checker.APPROVED),
    ({"Status": 3}, checker.REFUSED),
    ({"Status": 4}, checker.REFUSED),
    ({"Technology": 1}, checker.REFUSED),
    ({"Postcode": "LX9 8RT"}, checker.REVIEW),
    ({"TotalCapacity": 52}, checker.REVIEW),
    ({"Status": 1}, checker.IN_PROGRESS),
    (None, checker.NUMBER),
)
# Special certificates: what kind of thing they are is in the number.
SPECIALS = {
    "MCS-70000072": checker.APPROVED,
    "MCS-70000003": checker.REFUSED,
    "MCS-70000013": checker.REFUSED,
    "MCS-70000061": checker.REVIEW,
    "MCS-70000073": checker.NUMBER,
}


@dataclass
class Drill:
    """One drill on one town: what was sent, what is expected, what was done to it."""

    town: Town
    dice: random.Random
    expected: dict = field(default_factory=dict)
    done: list = field(default_factory=list)
    unused: list = field(default_factory=list)

    def send(self):
        """Send one application, of any kind."""
        if self.unused and self.dice.random() < 0.2:
            certificate, outcome = self.unused.pop()
        else:
            changes, outcome = self.dice.choice(MIX)
            certificate = self.town.certificate(**(changes or {}))
            if changes is None:
                certificate["number"] = certificate["number"].replace("MCS-80", "MCS-81")
        sent = self.town.apply(certificate)
        self.expected[sent["reference"]] = outcome

    def stumble(self):
        """Let the registry stumble for some calls, or mend what lasts."""
        name, how = self.dice.choice(FAULTS)
        calls = None if name == "refuse" else self.dice.randint(1, 4)
        self.town.registry.mend()
        self.town.registry.fault(name, **how, **({"calls": calls} if calls else {}))

    def lose(self):
        """Lose a bell that nobody has heard yet."""
        if found := self._bells():
            self.dice.choice(found).unlink(missing_ok=True)

    def double(self):
        """Ring a bell twice."""
        if found := self._bells():
            double(self.dice.choice(found))

    def _bells(self):
        wait_until(lambda: bells(self.town), within=0.3)
        return bells(self.town)

    def kill(self):
        """Kill the worker, mostly while it holds something, and start another."""
        if self.dice.random() < 0.8:
            self.town.registry.mend()
            self.town.registry.fault("slow", seconds=1.5)
            wait_until(lambda: _held(self.town), within=4)
        time.sleep(self.dice.uniform(0, 0.5))
        self.town.kill("worker")
        for what in (self.lose, self.double):
            self._note(what)
        self.town.start("worker")

    def round(self, number, applications):
        """Send, stumble, lose and double in any order; then kill the worker, once also its beat."""
        steps = [self.send] * applications + [self.stumble, self.lose, self.double] * 2
        self.dice.shuffle(steps)
        for step in steps:
            self._note(step)
            time.sleep(self.dice.uniform(0, 0.15))
        self._note(self.kill)
        if number == ROUNDS // 2:
            self.town.kill("beat")
            self.town.start("beat")

    def _note(self, step):
        self.done.append(step.__name__)
        step()

    def settle(self, within):
        """End the faults and wait until everything has come to rest, or the time is up.

        One more application is answered then, which brings those forward that wait after failures.
        """
        self.town.registry.mend()
        time.sleep(DEADLINE)
        sent = self.town.apply(self.town.certificate())
        self.expected[sent["reference"]] = checker.APPROVED
        ask = self.town.clerk.ask
        wait_until(lambda: not checker.unsettled(self.expected, ask("cases")), within=within)

    def in_short(self):
        """What was done and what came of it, in numbers."""
        did = Counter(self.done)
        return f"Done: {dict(did)}. Calls: {dict(self.calls())}."

    def calls(self):
        """How many calls came to what."""
        return Counter(one[1] for case in self.town.clerk.ask("cases") for one in case["calls"])

    def problems(self):
        """What is wrong in the end."""
        return checker.problems(
            self.expected,
            self.town.clerk.ask("cases"),
            self.town.registry.log(limit=5000),
            letters(self.town.mail_folder),
        )


def wait_until(ready, *, within):
    """Wait until something is so, or the time is up."""
    ends = time.monotonic() + within
    while not ready() and time.monotonic() < ends:
        time.sleep(0.02)


def bells(town):
    """The messages that nobody has heard yet."""
    return sorted((town.folder / "queue").rglob("*.msg"))


def double(bell):
    """Put a copy of a message beside it."""
    name, _, ending = bell.name.partition(".")
    copy = bell.with_name(f"{name}-{uuid4()}.{ending}")
    try:
        part = copy.with_suffix(".part")
        part.write_bytes(bell.read_bytes())
        part.rename(copy)
    except FileNotFoundError:
        return  # It was heard meanwhile.


@pytest.fixture
def town(tmp_path):
    """A portal without its web process, with short calls and short leases."""
    opened = Town(
        tmp_path / "var",
        QUEUE_LEASE_SECONDS=str(LEASE),
        SEG_DEADLINE=str(DEADLINE),
        SEG_READ_TIMEOUT=str(DEADLINE - 0.5),
    )
    try:
        yield opened.open(web=False)
    finally:
        opened.close()


@pytest.fixture
def dice():
    """The drill's chances, from DRILL_SEED or anew."""
    seed = int(os.environ.get("DRILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"DRILL_SEED={seed}", file=sys.stderr)
    return random.Random(seed)


def test_killed_workers_lost_bells_and_a_stumbling_registry(town, dice):
    """Whatever is done to it, each application ends where it belongs, told once."""
    drill = Drill(town, dice, unused=_specials(town))
    for number in range(ROUNDS):
        drill.round(number, APPLICATIONS // ROUNDS)
    drill.settle(SETTLED_WITHIN)
    found = drill.problems()
    print(drill.in_short(), file=sys.stderr)
    assert len(drill.expected) == APPLICATIONS + 1
    assert drill.calls()["cut off"], "No worker was killed while it asked: this was no drill."
    assert not found, "\n".join([*found, f"Done: {' '.join(drill.done)}", town.said("worker", 5)])


def _specials(town):
    known = town.registry.certificates("special")
    return [
        (certificate, outcome)
        for certificate in known
        for start, outcome in SPECIALS.items()
        if certificate["number"].startswith(start)
    ]


@pytest.mark.parametrize(
    ("plant", "kills"), [("claims_ignored", 0), ("claims_for_ever", 2), ("told_before_it_left", 3)]
)
def test_a_planted_defect_is_found(town, dice, plant, kills):
    """A small drill over a worker with a defect: the checker must say so."""
    town.given["DRILL_PLANT"] = plant
    town.kill("worker")
    command = f"exec {sys.executable} -m celery --app tests.drills.planted worker"
    options = "--pool threads --concurrency 4 --without-gossip --without-mingle"
    drill = Drill(town, dice)
    town.registry.fault("slow", seconds=1.5)
    for changes, outcome in MIX[:-1]:
        sent = town.apply(town.certificate(**changes))
        drill.expected[sent["reference"]] = outcome
    for bell in bells(town):
        double(bell)
    town.start("worker", f"{command} {options}")
    for _ in range(kills):
        town.until(lambda: _held(town), within=20)
        time.sleep(0.5)
        town.kill("worker")
        town.start("worker", f"{command} {options}")
    town.until(lambda: all(case["calls"] for case in town.clerk.ask("cases")) or kills)
    drill.settle(LEASE + 12)
    found = drill.problems()
    print("\n".join([plant, drill.in_short(), *found]), file=sys.stderr)
    assert found, f"Nobody noticed: {plant}"


def _held(town):
    """Whether a worker holds an application or an e-mail."""
    return any(
        case["claimed"] or any(mail["claimed"] for mail in case["emails"])
        for case in town.clerk.ask("cases")
    )
