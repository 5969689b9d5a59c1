"""A worker killed for good while MassCEC reads a submission: looked up, never sent twice."""

import contextlib
import json
import shlex
import sqlite3
import subprocess
import sys
import urllib.request

import pytest

from tests.journeys.town import ROOT, Town, ends_with_us

SYSTEMS = (1000, 1001)
PARTY = "production-tracking"
HEAD = """
import django; django.setup()
import logging; logging.disable(logging.CRITICAL)
import json
from datetime import timedelta
from django.utils.timezone import now
from core.workflow import actor_for
from pts import actions, tasks
from pts.models import Batch, Report, Synchronisation, Window
"""
PREPARE = """
from django.contrib.auth import get_user_model
from django.core.management import call_command
from pts import demo
call_command("migrate", verbosity=0)
by = actor_for(get_user_model().objects.create_superuser("boss", "boss@larkmoor.example"))
window = demo._window(by)
actions.keep_windows(now=now)
for _ in range(2):
    tasks.synchronise(Synchronisation.objects.first().pk)
    shown = Synchronisation.objects.first()
    if shown.state == "to_apply":
        actions.apply(synchronisation=shown, by=by, now=now)
readings = demo._readings(window, SYSTEMS)
actions.enter_many(readings=readings, window=window, by=by, now=now)
reports = Report.objects.select_related("system", "window")
ready = reports.filter(system__fk_system__in=SYSTEMS)
(batch,) = actions.test(reports=ready, notes="", by=by, now=now)
tasks.test(batch.pk)
batches = []
for key in SYSTEMS:
    rows = reports.filter(system__fk_system=key)
    batches += actions.authorise(reports=rows, notes="", confirmation=str(key), by=by, now=now)
Batch.objects.update(due_at=now())
print(json.dumps([batch.pk for batch in batches]))
"""
SEND = "tasks.send({pk})"
# The lease of the dead worker ends; the next one takes the batch up, then polls twice.
AFTERWARDS = """
def state():
    batch = Batch.objects.get(pk={pk})
    row = Report.objects.get(submissions__batch=batch)
    return [batch.state, row.status, row.undecided_tries, row.valid_tries, row.failed_tries]
found = [state()]
Batch.objects.filter(claim__isnull=False).update(claimed_until=now() - timedelta(seconds=1))
tasks.send({pk})
found.append(state())
for _ in range(2):
    Window.objects.update(polled_at=now() - timedelta(minutes=16), due_at=now())
    tasks.poll(Batch.objects.get(pk={pk}).window_id)
found.append(state())
print(json.dumps(found))
"""


class Desk:
    """The desk's code in processes of its own, beside a sandbox."""

    def __init__(self, town):
        self.town = town
        town.start("sandbox")
        self.sandbox = town._sandbox_url()
        town.given["PTS_API_URL"] = f"{self.sandbox}/{PARTY}"
        self.control(f"/{PARTY}/options", {"validation_seconds": 0})
        self.batches = dict(zip(SYSTEMS, self.run(PREPARE), strict=True))

    def run(self, script):
        """Run a script to its end; what it printed last."""
        done = subprocess.run(
            [*ends_with_us(), *self._command(script)],
            cwd=ROOT,
            env=self.town.given,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    def begin(self, script):
        """Begin a script that `town.kill("worker")` ends."""
        self.town.start("worker", f"exec {shlex.join(self._command(script))}")

    @staticmethod
    def _command(script):
        return [sys.executable, "-c", f"{HEAD}SYSTEMS = {SYSTEMS}\n{script}"]

    def control(self, path, content=None):
        """Call the sandbox's control interface."""
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.sandbox}/control{path}", body, headers)
        with urllib.request.urlopen(asked, timeout=10) as reply:
            return json.load(reply)

    def state(self, pk):
        """A batch's state, read past the portal: starting it takes longer than the moment lasts."""
        with contextlib.closing(sqlite3.connect(self.town.folder / "portal.sqlite3")) as rows:
            return rows.execute("SELECT state FROM pts_batch WHERE id = ?", [pk]).fetchone()[0]

    def heard(self, key):
        """How often ARPost with a system reached the party."""
        entries = self.control(f"/log?party={PARTY}&limit=500&number=%22fk_system%22:{key},")
        return sum(entry["path"].endswith("/ARPost") for entry in entries["entries"])

    def kept(self, key):
        """How many submissions of a system the party keeps."""
        rows = self.control(f"/{PARTY}/submissions?fk_system={key}")["submissions"]
        return sum(not row["test"] for row in rows)

    def tries(self, key):
        """The party's own count: undecided, valid, failed."""
        counted = self.control(f"/{PARTY}/counts").get(str(key), {})
        return [counted.get(name, 0) for name in ("undecided", "valid", "failed")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """One system of each test is tested by the party, authorised and due."""
    town = Town(tmp_path_factory.mktemp("killed"))
    try:
        yield Desk(town)
    finally:
        town.close()


@pytest.mark.parametrize(
    ("key", "fault", "arrives", "ends"),
    [
        (SYSTEMS[0], "hang", 0, ["received", "tested", 0, 0, 0]),
        (SYSTEMS[1], "slow", 1, ["received", "passed", 0, 1, 0]),
    ],
)
def test_a_worker_killed_while_it_sends(desk, key, fault, arrives, ends):
    """`hang` reads and does nothing, `slow` does it and is silent: the portal cannot know."""
    pk = desk.batches[key]
    desk.control("/faults", {"party": PARTY, "fault": fault, "match": "/ARPost {", "seconds": 60})
    desk.begin(SEND.format(pk=pk))
    desk.town.until(lambda: desk.heard(key) == 1 and desk.kept(key) == arrives)
    assert (desk.state(pk), desk.town.runs("worker")) == ("sending", True)
    desk.town.kill("worker")
    desk.control("/faults/off", {"party": PARTY})

    cut_off, looked_up, told = desk.run(AFTERWARDS.format(pk=pk))
    assert cut_off == ["sending", "validating", 1, 0, 0]
    assert looked_up == ["lost", "validating", 1, 0, 0]
    assert told == ends
    assert (desk.heard(key), desk.kept(key)) == (1, arrives)
    assert desk.tries(key) == told[2:]
