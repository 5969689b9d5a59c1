"""The supply point service, played over HTTP, and what the desk needs to ask it."""

import json
import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from core.workflow import actor_for
from gasquotes import actions, bulk, mprn_csv
from gasquotes.actions import Enquiry, Terms
from gasquotes.messages import Filter
from tests.factories.gasquotes import PriceBookFactory

KEY = "sandbox-gas-key"
HOME = "1234567810"


@dataclass
class PlayedService:
    """The service as a test sees it; `url` is its base address."""

    running: object
    url: str

    def fault(self, name, *, calls=None, seconds=None, match="", **how):
        """Switch a fault on ("500", "hang", …), for so many calls or until the test ends."""
        settings = {"calls": calls, "seconds": seconds, "match": match, **how}
        return self.running.switch_on("supply-points", name, **settings)

    def mend(self):
        """Switch every fault off."""
        self.running.switch_off("supply-points")

    def options(self, **how):
        """Set how it answers: per_minute, per_month, unit, envelope, answer_after_ms …"""
        return self._control("/options", how)

    def answer(self, mprn, code):
        """Let one point answer with a code, None for as it should be."""
        return self._control(f"/{mprn}", {"answer": code})

    def change(self, mprn, **fields):
        """Change output fields of a point; quantities in kWh."""
        return self._control(f"/{mprn}", fields)

    def look_ups(self):
        """How often each point was looked up."""
        return self._control("/look-ups")

    def log(self, **choice):
        """What the service received, newest first."""
        return self.running.log(party="supply-points", **choice)

    def _control(self, path, content=None):
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.running.url}/control/supply-points{path}",
            body,
            headers,
            method="POST" if body else "GET",
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)


@pytest.fixture
def service(sandbox, settings):
    """The service on its own port, without faults, changes or log; the desk's client calls it."""
    sandbox.reset()
    settings.GASQUOTES_API_URL = sandbox.party_url("supply-points")
    settings.GASQUOTES_API_KEY = KEY
    settings.GASQUOTES_CALLS_PER_MINUTE = 600_000
    played = PlayedService(sandbox, settings.GASQUOTES_API_URL)
    played.options(per_minute=1_000_000)
    yield played
    sandbox.reset()


@pytest.fixture(autouse=True)
def levies(request):
    """The figures that the migration seeds; a test with real transactions empties every table."""
    if {"db", "transactional_db"} & set(request.fixturenames) or request.node.get_closest_marker(
        "django_db"
    ):
        request.getfixturevalue("db")
        import_module("gasquotes.migrations.0002_levies").add_levies(apps, None)


@pytest.fixture
def clerk(person):
    """A member of the gas quotes desk."""
    return actor_for(person("gas quotes"))


@pytest.fixture
def chief(supervisor):
    """A supervisor, who publishes price books."""
    return actor_for(supervisor)


@pytest.fixture
def book(db):
    """A published price book with a price for everybody."""
    return PriceBookFactory()


def terms(**changes):
    """Twelve months from the first day of next month but one, by direct debit."""
    start = timezone.localdate() + timedelta(days=30)
    return Terms(**{"start": start, "months": 12, "payment": "direct_debit", **changes})


@pytest.fixture
def ask(clerk):
    """Open a quote: ask("1234567810"), ask(postcode="AW1 0AA", months=24)."""

    def enquire(mprn="", *, name="Mill Lane Bakery", email="office@mill-lane.example", **rest):
        asked = {key: rest.pop(key) for key in list(rest) if key in Filter.__struct_fields__}
        enquiry = Enquiry(name, Filter(mprn=mprn, **asked), terms(**rest), email)
        return actions.enquire(enquiry=enquiry, by=clerk, now=timezone.now)

    return enquire


def listed(*mprns):
    """An uploaded list of MPRNs, as read."""
    return mprn_csv.read("\n".join(("mprn", *mprns)).encode())


@pytest.fixture
def run_of(clerk):
    """A started run over these MPRNs."""

    def start(*mprns, **how):
        run = bulk.prepare(title="A list", lines=listed(*mprns), by=clerk, now=timezone.now, **how)
        bulk.start(run=run, by=clerk, now=timezone.now)
        run.refresh_from_db()
        return run

    return start
