"""A worker killed for good while MassCEC reads a submission: looked up, never sent twice."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.request

import pytest

from tests.journeys.town import ROOT, Town

PREPARE = """
    from datetime import timedelta
    from decimal import Decimal
    from django.contrib.auth import get_user_model
    from pts.demo import _window, _readings
    from pts.models import Report, SYNCHRONISE, TEST, Synchronisation
    user = get_user_model().objects.create_superuser("boss", "boss@larkmoor.example")
    by = actor_for(user)
    window = _window(by)
    actions.keep_windows(now=now)
    for _ in range(2):
        tasks.synchronise(Synchronisation.objects.first().pk)
        shown = Synchronisation.objects.first()
        if shown.state == "to_apply":
            actions.apply(synchronisation=shown, by=by, now=now)
    actions.enter_many(readings=_readings(window, [1000]), window=window, by=by, now=now)
    rows = Report.objects.select_related("system", "window").filter(system__fk_system=1000)
    (batch,) = actions.test(reports=rows, notes="", by=by, now=now)
    tasks.test(batch.pk)
    (batch,) = actions.authorise(reports=rows.all(), notes="", confirmation="x", by=by, now=now)
    Batch.objects.update(due_at=now())
    print(batch.pk)
"""
SEND = "tasks.send({pk})"
STATE = """
    from pts.models import Report
    row = Report.objects.get(system__fk_system=1000)
    batch = Batch.objects.get(pk={pk})
    print(batch.state, row.status, row.undecided_tries, row.valid_tries)
"""
LATER = """
    from datetime import timedelta
    from core import queue
    from pts.models import Window, POLL
    Batch.objects.filter(claim__isnull=False).update(claimed_until=now() - timedelta(seconds=1))
    tasks.send({pk})
"""
POLL = """
    from datetime import timedelta
    from pts.models import Window
    Window.objects.update(polled_at=now() - timedelta(minutes=16), due_at=now())
    tasks.poll(Batch.objects.get(pk={pk}).window_id)
"""


class Killed:
    """The portal's code in processes of its own, beside a sandbox."""

    def __init__(self, folder):
        self.town = Town(folder)
        self.town.start("sandbox")
        self.sandbox = self.town._sandbox_url()
        self.town.given["PTS_API_URL"] = f"{self.sandbox}/production-tracking"
        command = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=ROOT, env=self.town.given, check=True)

    def begin(self, script):
        """Start a process that runs a script."""
        head = (
            "import django; django.setup()\n"
            "import logging; logging.disable(logging.CRITICAL)\n"
            "from django.utils.timezone import now\n"
            "from core.workflow import actor_for\n"
            "from pts import actions, tasks\n"
            "from pts.models import Batch\n"
        )
        command = [sys.executable, "-c", head + textwrap.dedent(script)]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.town.given, stdout=subprocess.PIPE, text=True
        )

    def run(self, script):
        """Run a script; the last line that it printed."""
        process = self.begin(script)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said.strip().splitlines()[-1] if said.strip() else ""

    def control(self, path, content=None):
        """Call the sandbox's control interface."""
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        method = "POST" if body else "GET"
        asked = urllib.request.Request(
            f"{self.sandbox}/control{path}", body, headers, method=method
        )
        with urllib.request.urlopen(asked, timeout=10) as reply:
            return json.load(reply)

    def batch(self, pk):
        """A batch's state, read past the portal: starting it takes longer than the moment lasts."""
        with contextlib.closing(sqlite3.connect(self.town.folder / "portal.sqlite3")) as rows:
            return rows.execute("SELECT state FROM pts_batch WHERE id = ?", [pk]).fetchone()[0]

    def submissions(self):
        """What ARPost brought."""
        rows = self.control("/production-tracking/submissions?fk_system=1000")["submissions"]
        return [row for row in rows if not row["test"]]


@pytest.fixture
def killed(tmp_path):
    one = Killed(tmp_path)
    yield one
    one.town.close()


@pytest.mark.parametrize(("fault", "arrives"), [("hang", False), ("slow", True)])
def test_a_worker_killed_while_it_sends(killed, fault, arrives):
    pk = killed.run(PREPARE)
    how = {"party": "production-tracking", "fault": fault, "match": "/ARPost {", "seconds": 8}
    killed.control("/faults", how)
    worker = killed.begin(SEND.format(pk=pk))
    ends = time.monotonic() + 30
    while killed.batch(pk) != "sending":
        assert time.monotonic() < ends
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    assert killed.run(STATE.format(pk=pk)) == "sending validating 1 0"
    killed.run(LATER.format(pk=pk))
    assert killed.run(STATE.format(pk=pk)) == "lost validating 1 0"
    ends = time.monotonic() + 20
    while arrives and not killed.submissions() and time.monotonic() < ends:
        time.sleep(0.2)
    arrived = len(killed.submissions())
    assert arrived <= 1
    for _ in range(2):
        killed.run(POLL.format(pk=pk))
    wanted = "received passed 0 1" if arrived else "received tested 0 0"
    assert killed.run(STATE.format(pk=pk)) == wanted
    assert len(killed.submissions()) == arrived
