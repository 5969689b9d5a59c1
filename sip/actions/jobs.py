"""Jobs: created one by one or from a confirmed upload, given to an engineer, cancelled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from core import casework
from core.models import Note, User, next_reference
from core.workflow import Actor, Impossible, NotAllowed, conflict, move, opened
from sip import messages, rules
from sip.actions.shared import COPIED, ENDED, Clock, NotComplete, Status, may, person
from sip.messages import Value
from sip.models import ADD, CHANGE, OWN, Job, JobImport, Sheet


@dataclass(frozen=True)
class Details:
    """What the office says about a new job. MPAN and postcode are normalised already."""

    mpan: str
    supplier_mpid: str
    contact_name: str
    address: str
    town: str
    post_code: str
    contact_telephone: str
    planned_date: date
    engineer: User | None = None
    customer_vulnerability: str = field(default="", repr=False)
    site_risk: str = field(default="", repr=False)

    def answers(self) -> dict[str, Value]:
        """The answers of the block "job_details"."""
        names = (each.name for each in messages.JOB_DETAILS.fields if each.name != "job_id")
        return {name: value for name in names if (value := getattr(self, name))}


def details_problems(details: Details) -> list[rules.Problem]:
    """List what is missing or wrong in the details of a new job."""
    answers = {"job_details": {**details.answers(), "job_id": "made when it is created"}}
    return rules.block_problems(answers, "job_details")


def create_job(*, details: Details, key: str, by: Actor, now: Clock) -> Job:
    """Create a job with its empty worksheet; `key` sent again returns the first job.

    Raises `NotAllowed`, `NotComplete`.
    """
    may(by, ADD, "Your role does not create jobs.")
    if found := details_problems(details):
        raise NotComplete(found)
    _refuse_other_engineer(details.engineer)
    try:
        with transaction.atomic():
            return _create(details, key, by, now())
    except IntegrityError:
        made_before: Job | None = Job.objects.filter(submission_key=key).first()
        if made_before is None:
            raise
        return made_before


def _create(details: Details, key: str, by: Actor, now: datetime) -> Job:
    job = Job.objects.create(
        **{name: getattr(details, name) for name in COPIED},
        reference=next_reference("SIP", timezone.localtime(now)),
        status=Job.FIRST,
        status_at=now,
        created_at=now,
        planned_date=details.planned_date,
        engineer=details.engineer,
        why="Waiting for the engineer" if details.engineer else "Waiting for an engineer",
        submission_key=key,
    )
    Sheet.objects.bulk_create(
        Sheet(job=job, block=name, answers=details.answers() if name == "job_details" else {})
        for name in messages.BLOCKS
    )
    opened(job, by=by, now=now)
    created: Job = job
    return created


def _refuse_other_engineer(engineer: User | None) -> None:
    if engineer is not None and not engineer.has_perm(OWN):
        raise NotAllowed(f"{engineer} is not an engineer here. Nothing was changed.")


def assign_engineer(
    *, job: Job, engineer: User | None, planned_date: date | None, by: Actor, now: Clock
) -> None:
    """Give a job to an engineer, or to nobody, and plan its day.

    Raises `NotAllowed`, `Conflict`.
    """
    may(by, CHANGE, "Your role does not plan jobs.")
    _refuse_other_engineer(engineer)
    day = planned_date or job.planned_date
    open_job = Job.objects.filter(pk=job.pk, status=job.status).exclude(status__in=ENDED)
    text = f"Given to {engineer or 'nobody'}, planned for {day:%-d %B %Y}."
    with transaction.atomic():
        if not open_job.update(engineer=engineer, planned_date=day):
            raise conflict(job)
        casework.note(job, text=text, by=by, now=now(), kind=Note.Kind.ASSIGNED)


def cancel(*, job: Job, reason: str, by: Actor, now: Clock) -> None:
    """Cancel a job that is not being sent. Raises `NotAllowed`, `Conflict`."""
    with transaction.atomic():
        why = f"Cancelled by {by.name}"
        move(job, "cancel", by=by, now=now(), note=reason, why=why)


@dataclass(frozen=True)
class Imported:
    """What an import of jobs came to."""

    added: int
    there: int


@dataclass(frozen=True)
class Sorted:
    """One row of an upload: "new", or "there" when the same visit is planned already."""

    row: Mapping[str, str] = field(repr=False)
    kind: str = "new"
    engineer: User | None = None


def engineers() -> dict[str, User]:
    """Everybody who can be given a job, by e-mail address in small letters."""
    rows = User.objects.filter(is_active=True, groups__permissions__codename="work_own_job")
    return {user.email.casefold(): user for user in rows.distinct()}


def keep_upload(
    *, rows: Sequence[Mapping[str, str]], file_name: str, by: Actor, now: Clock
) -> JobImport:
    """Keep the good rows of an upload, encrypted, until the person who sent it confirms it."""
    may(by, ADD, "Your role does not import jobs.")
    JobImport.objects.filter(by=person(by), done_at=None).delete()
    return JobImport.objects.create(
        by=person(by), at=now(), file_name=file_name[-100:], rows=[dict(row) for row in rows]
    )


def sort_out(rows: Iterable[Mapping[str, str]]) -> list[Sorted]:
    """Say of each row whether it adds a job; nothing is saved."""
    rows, known = list(rows), engineers()
    live = Job.objects.exclude(status=Status.CANCELLED)
    planned = live.filter(mpan__in={row["MPAN"] for row in rows})
    there = {(mpan, day.isoformat()) for mpan, day in planned.values_list("mpan", "planned_date")}
    return [
        Sorted(
            row=row,
            kind="there" if (row["MPAN"], row["PLANNED_DATE"]) in there else "new",
            engineer=known.get(row["ENGINEER"]),
        )
        for row in rows
    ]


def import_jobs(*, upload: JobImport, by: Actor, now: Clock) -> Imported:
    """Create the jobs of an upload, all or none, once; visits that are planned already are left.

    Raises `NotAllowed`, `Impossible`.
    """
    may(by, ADD, "Your role does not import jobs.")
    moment = now()
    with transaction.atomic():
        mine = JobImport.objects.filter(pk=upload.pk, by=person(by), done_at=None)
        if not mine.update(done_at=moment):
            raise Impossible("This upload was imported already, or is too old. Nothing was done.")
        rows = JobImport.objects.get(pk=upload.pk).rows or []
        JobImport.objects.filter(pk=upload.pk).update(rows=None)
        found = sort_out(rows)
        new = [each for each in found if each.kind == "new"]
        for number, each in enumerate(new):
            _create(_details_of(each), f"import {upload.pk} {number}", by, moment)
    return Imported(added=len(new), there=len(found) - len(new))


def _details_of(row: Sorted) -> Details:
    texts = {
        each.name: row.row[each.name.upper()]
        for each in messages.JOB_DETAILS.fields
        if each.name != "job_id"
    }
    planned = date.fromisoformat(row.row["PLANNED_DATE"])
    return Details(**texts, planned_date=planned, engineer=row.engineer)


def forget_uploads(*, now: datetime, **_: Any) -> None:
    """Forget uploads that nobody confirmed within a day."""
    JobImport.objects.filter(at__lt=now - timedelta(days=1)).delete()
