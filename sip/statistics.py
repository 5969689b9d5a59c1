"""Figures of the safe isolation desk: jobs by outcome and scenario, first-time acceptance, time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from sip.models import Job


@dataclass(frozen=True)
class Summary:
    """Jobs created in a stretch of time, and what became of them."""

    jobs: int
    by_status: dict[str, int]
    by_outcome: dict[str, int]
    by_scenario: dict[str, int]
    accepted: int
    accepted_first_time: int
    median_to_acceptance: timedelta | None

    @property
    def first_time_share(self) -> float | None:
        """The share of accepted jobs that nobody had refused before, from 0 to 1."""
        return self.accepted_first_time / self.accepted if self.accepted else None


def summary(since: datetime, until: datetime) -> Summary:
    """Count the jobs created from `since` to before `until` (five queries).

    The time from site to acceptance runs from the first hand-in; a median, in whole seconds.
    """
    jobs = Job.objects.filter(created_at__gte=since, created_at__lt=until)
    accepted = Q(status=Job.Status.ACCEPTED)
    counts = jobs.aggregate(
        accepted=Count("pk", filter=accepted),
        first=Count("pk", filter=accepted & Q(refusals=0)),
    )
    by_status = _counted(jobs, "status")
    took = jobs.filter(accepted, handed_in_at__isnull=False, accepted_at__isnull=False)
    seconds = [
        each.total_seconds()
        for each in took.annotate(took=F("accepted_at") - F("handed_in_at")).values_list(
            "took", flat=True
        )
    ]
    return Summary(
        jobs=sum(by_status.values()),
        by_status=by_status,
        by_outcome=_counted(jobs.exclude(outcome=""), "outcome"),
        by_scenario=_counted(jobs.exclude(scenario=""), "scenario"),
        accepted=counts["accepted"],
        accepted_first_time=counts["first"],
        median_to_acceptance=timedelta(seconds=round(median(seconds))) if seconds else None,
    )


def _counted(jobs: QuerySet[Any], column: str) -> dict[str, int]:
    rows = jobs.order_by().values_list(column).annotate(number=Count("pk"))
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))
