"""The market message service, played over HTTP, and jobs on their way to it."""

import json
import urllib.request
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from uuid import uuid4

import pytest
from django.apps import apps
from django.utils import timezone

from core import confirm
from core.workflow import actor_for
from sip import actions, worksheet
from sip.models import Job
from tests.factories.sip import HEALTH, details, filled

NAME = "market-messages"


@dataclass
class PlayedService:
    """The service as a test sees it; `url` is its base address."""

    running: object
    url: str

    def fault(self, name, *, calls=None, seconds=None, match="", **how):
        """Switch a fault on ("500", "lost", …), for so many calls or until the test ends."""
        settings = {"calls": calls, "seconds": seconds, "match": match, **how}
        return self.running.switch_on(NAME, name, **settings)

    def mend(self):
        """Switch every fault off."""
        self.running.switch_off(NAME)

    def switch(self, **switches):
        """Set its switches ("details_form", "scenario_key", …)."""
        return self.control("/switches", switches)

    def accepted(self, job):
        """What it has accepted for a job, oldest first."""
        return self.control(f"/accepted?job_id={job.job_id}")["accepted"]

    def arrived(self, job):
        """Every call about a job that arrived, oldest first."""
        return self.control(f"/attempts?job_id={job.job_id}")["attempts"]

    def sample(self, name="completed"):
        """The blocks of a sample message."""
        return deepcopy(self.control(f"/samples/{name}"))

    def control(self, path, content=None):
        """Call its control pages."""
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.running.url}/control/{NAME}{path}",
            body,
            headers,
            method="POST" if body else "GET",
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)


@pytest.fixture
def service(sandbox, settings):
    """The service on its own port, without faults or memory; the desk's client calls it."""
    sandbox.reset()
    settings.SIP_API_URL = sandbox.party_url(NAME)
    settings.SIP_READ_TIMEOUT, settings.SIP_DEADLINE = 1.0, 3.0
    settings.SEND_DELAY_SECONDS = 0
    yield PlayedService(sandbox, settings.SIP_API_URL)
    sandbox.reset()


@pytest.fixture
def code_lists(db):
    """The lists of the migration, also after a test that emptied every table."""
    import_module("sip.migrations.0002_code_lists").add_lists(apps, None)


@pytest.fixture
def clerk(person):
    """A member of the safe isolation desk."""
    return person("safe isolation")


@pytest.fixture
def by(clerk):
    """The clerk as who does something."""
    return actor_for(clerk)


@pytest.fixture
def office(by):
    """Actions as members of the desk do them, on the job as it stands now."""
    return Office(by)


@dataclass
class Office:
    """Somebody at the desk; each verb reads the job again first."""

    by: object

    def create(self, **said):
        """A new job."""
        return actions.create_job(
            details=details(**said), key=str(uuid4()), by=self.by, now=timezone.now
        )

    def to_check(self, blocks, **said):
        """A job whose worksheet was filled in and handed in."""
        job = filled(self.create(**{**HEALTH, **said}), blocks, self.by)
        actions.hand_in(job=job, by=self.by, now=timezone.now)
        return now(job)

    def token(self, job):
        """The token of the check page as this person sees it now."""
        return confirm.token_for(worksheet.shown(job, worksheet.composed(job)), self.by.user)

    def authorise(self, job, *, at=timezone.now):
        """Check and send."""
        job = now(job)
        return actions.authorise(job=job, token=self.token(job), by=self.by, now=at)

    def sending(self, blocks, **said):
        """A job whose message is due."""
        job = self.to_check(blocks, **said)
        self.authorise(job)
        return now(job)


def now(job):
    """A job as it stands in the database now."""
    return Job.objects.get(pk=job.pk)


@pytest.fixture
def private_jobs(service):
    """A message full of planted health data."""
    blocks = service.sample("completed")
    blocks["customer_contact"] |= {
        "critical_medical_equipment": True,
        "critical_medical_equipment_info": "Planted feeding machine",
        "third_party_presence": True,
        "third_party_presence_info": "Planted carer from Oakmere",
    }
    blocks["risk_assessment"]["site_risk_list"] = ["Planted asbestos in the loft"]
    blocks["job_completion"]["job_notes"] = "Planted note about her heart"
    return blocks
