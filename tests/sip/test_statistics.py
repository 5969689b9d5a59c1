"""Figures of the desk."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sip import statistics
from sip.models import Job
from tests.factories.sip import JobFactory

pytestmark = pytest.mark.django_db


def test_jobs_are_counted_by_status_outcome_and_scenario(django_assert_num_queries):
    at = timezone.now()
    for hours, refusals, scenario in ((1, 0, "SC01"), (3, 0, "SC02"), (11, 2, "SC02")):
        job = JobFactory(status="accepted", outcome="Aborted", refusals=refusals)
        Job.objects.filter(pk=job.pk).update(
            scenario=scenario, handed_in_at=at, accepted_at=at + timedelta(hours=hours)
        )
    JobFactory(status="unknown")
    JobFactory(status="accepted", created_at=at - timedelta(days=40))
    since, until = at - timedelta(days=7), at + timedelta(minutes=1)
    with django_assert_num_queries(5):
        found = statistics.summary(since, until)
    assert found.jobs == 4
    assert found.by_status == {"accepted": 3, "unknown": 1}
    assert found.by_outcome == {"Aborted": 3}
    assert found.by_scenario == {"SC02": 2, "SC01": 1}
    assert (found.accepted, found.accepted_first_time) == (3, 2)
    assert found.first_time_share == pytest.approx(2 / 3)
    assert found.median_to_acceptance == timedelta(hours=3)


def test_nothing_is_divided_by_nothing():
    found = statistics.summary(timezone.now() - timedelta(days=1), timezone.now())
    assert (found.jobs, found.first_time_share, found.median_to_acceptance) == (0, None, None)
