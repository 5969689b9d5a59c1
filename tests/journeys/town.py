"""The whole portal for a browser or a drill: real processes of the Procfile, a folder of its own.

Nothing is shared with other runs: own database, queue, mail folder, secrets, people and ports.
"""

import base64
import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
READY_WITHIN = 90.0
KEPT_ENVIRONMENT = ("HOME", "LANG", "TMPDIR", "USER")


class NotReady(AssertionError):
    """A part of the town did not start; the text holds what it said last."""


class Town:
    """A running portal. `open()` it, talk to it, and `close()` it whatever happened."""

    def __init__(self, folder, **settings):
        self.folder = Path(folder)
        self.logs = self.folder / "logs"
        self.logs.mkdir(parents=True)
        self._running = {}
        self._free = itertools.count(1)
        self.clerk = None
        self.registry = None
        self.meters = None
        self.market = None
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.given = self._environment(settings)

    def _environment(self, settings):
        user, token = f"{secrets.token_hex(4)}@larkmoor.example", secrets.token_urlsafe(24)
        key, subscription, market = (secrets.token_urlsafe(24) for _ in range(3))
        return {
            **{name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ENV_FILE": str(self.folder / "none"),
            "VAR_DIR": str(self.folder),
            "DEBUG": "off",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "SEG_API_USER": user,
            "SEG_API_TOKEN": token,
            "SANDBOX_SEG_USER": user,
            "SANDBOX_SEG_TOKEN": token,
            "GASQUOTES_API_KEY": token,
            "SANDBOX_GAS_KEY": token,
            "PTS_API_KEY": key,
            "PTS_SUBSCRIPTION_KEY": subscription,
            "SANDBOX_PTS_KEY": key,
            "SANDBOX_PTS_SUBSCRIPTION_KEY": subscription,
            "SANDBOX_PTS_WINDOW": "always",
            "SIP_API_KEY": market,
            "SANDBOX_SIP_KEY": market,
            "SANDBOX_STATE": str(self.folder / "sandbox.sqlite3"),
            "SANDBOX_PORT": "0",
            "SEG_AUTO_APPROVE": "on",
            "PORT": str(self.port),
            "PUBLIC_BASE_URL": self.url,
            **settings,
        }

    # ---- Opening and closing -----------------------------------------------------------------

    def open(self, *, web=True):
        """Start the sandbox, set the portal up, start its processes and wait until it works."""
        self.start("sandbox")
        sandbox = self._sandbox_url()
        self.registry, self.meters = Registry(sandbox), Meters(sandbox)
        self.given["SEG_API_URL"] = self.registry.own_url
        self.given["METERING_API_URL"] = self.meters.own_url
        self.market = Market(sandbox)
        self.given["SIP_API_URL"] = self.market.own_url
        self.given["PTS_API_URL"] = f"{sandbox}/production-tracking"
        self.given["GASQUOTES_API_URL"] = f"{sandbox}/supply-points"
        self.clerk = Clerk(self)
        self.clerk.ask("set_up")
        for name in ("worker", "beat", *(["web"] if web else [])):
            self.start(name)
        if web:
            self._until(lambda: answers(f"{self.url}/readyz"), "web", "worker", "beat")
        return self

    def _sandbox_url(self):
        log = self.logs / "sandbox.log"
        self._until(lambda: "own port" in log.read_text(), "sandbox")
        first = next(line for line in log.read_text().splitlines() if "Sandbox on " in line)
        return first.rpartition(" ")[2]

    def until(self, ready, *, within=30.0):
        """Wait until something is so."""
        ends = time.monotonic() + within
        while not ready():
            assert time.monotonic() < ends, f"It did not come to that within {within:.0f} s."
            time.sleep(0.2)

    def _until(self, ready, *names, within=READY_WITHIN):
        ends = time.monotonic() + within
        while not ready():
            ended = [name for name in names if not self.runs(name)]
            if ended or time.monotonic() > ends:
                said = "\n".join(f"--- {name}\n{self.said(name)}" for name in ended or names)
                raise NotReady(f"{', '.join(ended or names)}: ended or too slow.\n{said}")
            time.sleep(0.1)

    def close(self):
        """End everything that was started, whole process groups, at once."""
        if self.clerk is not None:
            self.clerk.close()
        for name in list(self._running):
            self.kill(name)

    # ---- Processes ---------------------------------------------------------------------------

    def start(self, name, command=""):
        """Start a process of the Procfile (or another command under its name) in its own group."""
        with (self.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*ends_with_us(), "sh", "-c", command or procfile()[name]],
                cwd=ROOT,
                env=self.given,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name):
        """Kill a process and all it started, as a power cut would."""
        running = self._running.pop(name, None)
        if running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def runs(self, name):
        """Whether a process is alive."""
        return name in self._running and self._running[name].poll() is None

    def check(self):
        """Raise when a process has ended by itself, with what it said last."""
        ended = [name for name in self._running if not self.runs(name)]
        if ended:
            raise NotReady("\n".join(f"{name} has ended.\n{self.said(name)}" for name in ended))

    def said(self, name, lines=30):
        """The last lines that a process wrote."""
        log = self.logs / f"{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    # ---- What is in it -----------------------------------------------------------------------

    @property
    def mail_folder(self):
        """Where sent e-mails are written."""
        return self.folder / "mail"

    @property
    def people(self):
        """Everybody of the demo by first name: {"orla": (e-mail, password)}."""
        lines = (self.folder / "demo-sign-ins.txt").read_text().splitlines()
        pairs = (line.split()[:2] for line in lines if line.strip())
        return {email.partition(".")[0]: (email, password) for email, password in pairs}

    def certificate(self, **properties):
        """A certificate that nobody has used yet, with some of its properties changed."""
        number = f"MCS-{80_000_000 + next(self._free)}-A"
        if properties:
            self.registry.change(number, **properties)
        return self.registry.certificate(number)

    def apply(self, certificate, **said):
        """Send an application through the action behind the form: its reference and its link."""
        facts = {name: value or "" for name, value in certificate["applicant"].items()}
        facts |= {"certificate_number": certificate["number"], **said}
        return self.clerk.ask("submit", facts=facts, key=secrets.token_hex(8))

    def status_of(self, reference):
        """Where an application stands now."""
        return self.clerk.ask("case", reference=reference)["status"]

    def wait_for(self, reference, *statuses, what="case", within=30.0):
        """Wait until a case has one of these statuses, and return what is known of it.

        `what` is the clerk's word for it: "case" for an application, "read" for a meter read.
        """
        ends = time.monotonic() + within
        while (case := self.clerk.ask(what, reference=reference))["status"] not in statuses:
            if time.monotonic() > ends:
                raise AssertionError(f"{reference} is {case['status']} ({case['why']})")
            time.sleep(0.2)
        return case


class Clerk:
    """A process inside the portal that answers questions (`tests.journeys.clerk`)."""

    def __init__(self, town):
        with (town.logs / "clerk.log").open("ab") as log:
            self._clerk = subprocess.Popen(
                [*ends_with_us(), sys.executable, "-m", "tests.journeys.clerk"],
                cwd=ROOT,
                env=town.given,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def ask(self, what, **how):
        """Ask one thing; raises what went wrong on the other side."""
        print(json.dumps([what, how]), file=self._clerk.stdin, flush=True)
        said = self._clerk.stdout.readline()
        if not said:
            raise NotReady(f"The clerk ended while it was asked: {what}.")
        answer = json.loads(said)
        if "problem" in answer:
            raise AssertionError(f"{what}: {answer['problem']}")
        return answer["answer"]

    def close(self):
        """Send the clerk home."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._clerk.pid, signal.SIGKILL)
        self._clerk.wait()
        self._clerk.stdin.close()
        self._clerk.stdout.close()


class Played:
    """A party that the sandbox plays, and its control calls."""

    name = ""

    def __init__(self, url):
        self.url = url
        (party,) = (one for one in self._call("/parties")["parties"] if one["name"] == self.name)
        self.own_url = party["own_url"]

    def fault(self, name, **how):
        """Switch a fault on: "500", "hang", "refuse" …; calls, seconds and match as wanted."""
        return self._call("/faults", {"party": self.name, "fault": name, **how})

    def mend(self):
        """Switch every fault off."""
        self._call("/faults/off", {"party": self.name})

    def log(self, **choice):
        """What it received, newest first, after all of it was answered."""
        query = "&".join(f"{name}={value}" for name, value in {"wait": 5, **choice}.items())
        return self._call(f"/log?party={self.name}&{query}")["entries"]

    def _call(self, path, content=None):
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/control{path}", body, headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)


class Registry(Played):
    """The played registry."""

    name = "registry"

    def certificate(self, number):
        """A certificate: number, certificate (properties), applicant."""
        return self._call(f"/certificates/{number}")

    def certificates(self, group):
        """Every fixed certificate of a group: "uat" or "special"."""
        return self._call(f"/certificates?group={group}")

    def change(self, number, **properties):
        """Change properties of a certificate: change(number, Status=3)."""
        return self._call(f"/certificates/{number}", properties)


class Meters(Played):
    """The played meter communications service."""

    name = "meters"

    def meter(self, purpose):
        """A meter by words of its purpose."""
        rows = self._call("/meters")["meters"]
        return next(row for row in rows if purpose in row["purpose"])

    def collecting(self, **options):
        """Change how it collects: paused, collection_seconds …"""
        self._call("/collecting", options)

    def mend(self):
        """Switch every fault off, and collect."""
        super().mend()
        self.collecting(paused=False)


class Market(Played):
    """The played market message service's control calls."""

    name = "market-messages"

    def accepted(self, job_id):
        """What it has accepted for a job, oldest first."""
        return self._call(f"/{self.name}/accepted?job_id={job_id}")["accepted"]

    def switch(self, **switches):
        """Set its switches: switch(refuse_unknown_codes=True); None sets one back."""
        return self._call(f"/{self.name}/switches", switches)

    def sample(self, name):
        """The blocks of a sample message."""
        return self._call(f"/{self.name}/samples/{name}")


# ---- The machine -----------------------------------------------------------------------------


def procfile():
    """The commands of the Procfile by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    pairs = (line.partition(":") for line in lines if line and not line.startswith("#"))
    return {name: command.strip() for name, _, command in pairs}


def ends_with_us():
    """The words before a command that end it together with this process, where there are any."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    """Whether an address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (OSError, urllib.error.URLError):
        return False
