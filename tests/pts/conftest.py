"""The desk inside November's window beside the played party: eight systems, all synchronised."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from core.workflow import Actor, actor_for
from pts import actions
from pts.models import Batch, Report, Submission, Synchronisation, System, Window
from tests.factories.pts import OPEN

PARTY = "Production tracking"
KEYS = range(1000, 1008)


@dataclass
class Desk:
    """The desk as a test drives it; `by` works there, `boss` supervises."""

    party: Any
    work: Any
    by: Actor
    boss: Actor
    traveller: Any

    now = staticmethod(timezone.now)

    def travel(self, moment):
        """Take the portal and the party to a moment."""
        self.traveller.move_to(moment)
        self.party.at(moment)

    def forward(self, **length):
        """Take both further."""
        self.travel(timezone.now() + timedelta(**length))

    def synchronise(self):
        """Ask for the systems, and apply what is shown."""
        actions.synchronise(by=self.boss, now=timezone.now)
        self.work()
        shown = Synchronisation.objects.first()
        if shown.state == Synchronisation.State.TO_APPLY:
            actions.apply(synchronisation=shown, by=self.boss, now=timezone.now)
            self.work()

    @property
    def window(self):
        """The window that is open."""
        return Window.objects.get(opens_at__lte=timezone.now(), closes_at__gt=timezone.now())

    def report(self, key=1000):
        """A system's report of the open window, read anew."""
        rows = Report.objects.select_related("system", "window")
        return rows.get(system__fk_system=key, window=self.window)

    def reports(self, *keys):
        """Several reports."""
        return [self.report(key) for key in keys]

    def plausible(self, key=1000, which="expected"):
        """A total that the party expects now; `least` and `most` just pass."""
        return Decimal(str(self.party.system(key)["plausible"][which])).quantize(Decimal("0.1"))

    def reading(self, key=1000, *, value=None, **how):
        """A reading of an hour ago."""
        value = self.plausible(key) if value is None else Decimal(str(value))
        at = timezone.now() - timedelta(hours=1)
        return actions.Reading(**{"value": value, "at": at, "source": "typed", **how})

    def enter(self, key=1000, *, value=None, replacing=False, **how):
        """Enter a reading; accept it when it is only to look at."""
        reading = self.reading(key, value=value, **how)
        report = self.report(key)
        verdict = actions.enter(
            report=report, reading=reading, by=self.by, now=timezone.now, replacing=replacing
        )
        if verdict.result == "look":
            actions.accept(
                report=self.report(key), reason="Rang the site.", by=self.by, now=timezone.now
            )
        return verdict

    def test(self, *keys):
        """Have readings tested."""
        batches = actions.test(reports=self.reports(*keys), notes="", by=self.by, now=timezone.now)
        self.work()
        return batches

    def authorise(self, *keys, notes=""):
        """Authorise a submission; it waits for the delay."""
        return actions.authorise(
            reports=self.reports(*keys),
            notes=notes,
            confirmation=uuid4().hex,
            by=self.by,
            now=timezone.now,
        )

    def tested(self, *keys, **how):
        """Bring reports to tested."""
        for key in keys:
            self.enter(key, **how)
        self.test(*keys)

    def submit(self, *keys, **how):
        """Bring reports to validating, as received by the party."""
        self.tested(*keys, **how)
        batches = self.authorise(*keys)
        self.send()
        return [Batch.objects.get(pk=batch.pk) for batch in batches]

    def send(self):
        """Let the delay pass and work."""
        self.forward(seconds=31)
        self.work()

    def verdict(self, verdict, *keys, notes=None):
        """Let the party decide, and ask it."""
        for key in keys:
            self.party.decide(verdict, fk_system=key, **({"notes": notes} if notes else {}))
        self.poll()

    def poll(self):
        """Let the time until the next poll pass, and poll."""
        self.forward(minutes=16)
        actions.keep_windows(now=timezone.now)
        self.work()

    def line(self, key=1000):
        """A system's newest line."""
        return Submission.objects.filter(report__system__fk_system=key).first()

    def status(self, key=1000):
        """A report's status."""
        return self.report(key).status

    def tries(self, key=1000):
        """Our count: valid, failed, undecided."""
        row = self.report(key)
        return (row.valid_tries, row.failed_tries, row.undecided_tries)

    def theirs(self, key=1000):
        """The party's own count."""
        return tuple(self.party.counts(key)[name] for name in ("valid", "failed", "undecided"))


@pytest.fixture
def desk(production, work, person):
    """The desk on 29 November 2026, ten in the morning in New York."""
    production.options(systems=len(KEYS), validation_by="told")
    production.at(OPEN)
    with time_machine.travel(OPEN, tick=True) as traveller:
        boss = actor_for(person("supervisor"))
        one = Desk(production, work, actor_for(person("production")), boss, traveller)
        actions.keep_windows(now=timezone.now)
        work()
        one.synchronise()
        assert System.objects.count() == len(KEYS)
        assert Report.objects.count() == len(KEYS)
        yield one
