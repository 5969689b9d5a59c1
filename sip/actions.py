"""The verbs of the safe isolation desk, and the only place that changes its state.

A message is frozen when a person confirms it, claimed and committed before a connection is opened,
and sent once. Nothing sends it again by itself after a byte may have left.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from core import alarms, calls, casework, confirm, queue
from core.models import Note, User, next_reference
from core.outcomes import CallRecord, Outcome, Unavailable
from core.uploads import Upload
from core.workflow import (
    PORTAL,
    Actor,
    Conflict,
    Impossible,
    NotAllowed,
    Who,
    conflict,
    move,
    opened,
)
from sip import job_csv, messages, rules, worksheet
from sip.client import NAME, SEND_MESSAGE, Accepted, KeyRefused, Lost, MarketMessages, NotAccepted
from sip.messages import Acceptance, Kind, Value
from sip.models import (
    ADD,
    CHANGE,
    OWN,
    SEND,
    SEND_IT,
    Attempt,
    Clash,
    Code,
    CodeList,
    FilledBy,
    Job,
    JobImport,
    KeyStop,
    Message,
    Photo,
    Resolution,
    Sheet,
)
from sip.photos import prepare

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
Status = Job.Status
Sent = Attempt.Outcome
KEY_REFUSED = "sip key refused"
SILENT = "sip party silent"
READ_AGAIN = timedelta(hours=1)
LONGEST_ANSWER = 5000
ENDED = (Status.ACCEPTED, Status.CANCELLED)
COPIED: Final = ("mpan", "supplier_mpid", "contact_name", "address", "town", "post_code")


class NotComplete(Impossible):
    """The worksheet lacks an answer, or one is wrong."""

    def __init__(self, problems: Sequence[rules.Problem]) -> None:
        titles = dict.fromkeys(messages.BLOCKS[each.block].title for each in problems)
        number = "One answer is" if len(problems) == 1 else f"{len(problems)} answers are"
        super().__init__(f"{number} missing or wrong in: {', '.join(titles)}. Nothing was changed.")
        self.problems = problems


class SecondPersonNeeded(NotAllowed):
    """Who filled in a worksheet does not send it."""

    sentence = "You filled in this worksheet: a second person must check and send it."


class SentAlready(Impossible):
    """They accepted an earlier attempt after all, so another message would be a second one."""

    sentence = (
        "A late answer says that they accepted an earlier attempt. Sending again would make a "
        "second market message. Record that they accepted it after all."
    )


class ChangedMeanwhile(Impossible):
    """Another device saved this block since; both answers are kept, nothing was overwritten."""

    sentence = (
        "This block was saved on another device meanwhile. Both answers are kept: look at them "
        "and save what holds."
    )

    def __init__(self, sheet: Sheet, clash: Clash) -> None:
        super().__init__()
        self.sheet = sheet
        self.clash = clash


# ---- Jobs ------------------------------------------------------------------------------------


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
    _may(by, ADD, "Your role does not create jobs.")
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
    _may(by, CHANGE, "Your role does not plan jobs.")
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


# ---- Import of jobs and codes ----------------------------------------------------------------


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
    _may(by, ADD, "Your role does not import jobs.")
    JobImport.objects.filter(by=_person(by), done_at=None).delete()
    return JobImport.objects.create(
        by=_person(by), at=now(), file_name=file_name[-100:], rows=[dict(row) for row in rows]
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
    _may(by, ADD, "Your role does not import jobs.")
    moment = now()
    with transaction.atomic():
        mine = JobImport.objects.filter(pk=upload.pk, by=_person(by), done_at=None)
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


def import_codes(*, code_list: CodeList, body: bytes, by: Actor, now: Clock) -> tuple[int, int]:
    """Add and explain codes of a list from a CSV file: how many are new, and how many changed.

    Codes that the file lacks stay. Raises `job_csv.NotASheet`, `NotAllowed`.
    """
    _may(by, "sip.add_code", "Your role does not edit code lists.")
    rows = job_csv.read_codes(body)
    added = changed = 0
    with transaction.atomic():
        known = {code.value: code for code in Code.objects.filter(code_list=code_list)}
        for row in rows:
            held = known.get(row.value)
            if held is None:
                Code.objects.create(code_list=code_list, value=row.value, meaning=row.meaning)
                added += 1
            elif (row.meaning and held.meaning != row.meaning) or not held.active:
                meaning = row.meaning or held.meaning
                Code.objects.filter(pk=held.pk).update(meaning=meaning, active=True)
                changed += 1
        source = f"CSV by {by.name}, {timezone.localtime(now()):%-d %B %Y}"
        CodeList.objects.filter(pk=code_list.pk).update(source=source[:200])
    return added, changed


def keep_code(
    *,
    code_list: CodeList,
    code: Code | None,
    value: str,
    meaning: str,
    active: bool,
    by: Actor,
    now: Clock,
) -> Code:
    """Add a code to a list, or change one; `code` is the one to change.

    Raises `NotAllowed`, `Impossible` when the list has this value already.
    """
    permission = "sip.change_code" if code else "sip.add_code"
    _may(by, permission, "Your role does not edit code lists.")
    kept = code or Code(code_list=code_list)
    kept.value, kept.meaning, kept.active = value, meaning, active
    source = f"Edited by {by.name}, {timezone.localtime(now()):%-d %B %Y}"
    try:
        with transaction.atomic():
            kept.save()
            CodeList.objects.filter(pk=code_list.pk).update(source=source[:200])
    except IntegrityError:
        raise Impossible("This list has this code already.") from None
    return kept


# ---- The worksheet ---------------------------------------------------------------------------


def save_block(
    *,
    job: Job,
    block: str,
    answers: Mapping[str, Value],
    revision: int,
    by: Actor,
    now: Clock,
) -> int:
    """Save one block that was read at `revision`, and return its new revision.

    The same answers sent again are no conflict. Raises `ChangedMeanwhile` (both answers are kept),
    `NotAllowed`, `Conflict` (the worksheet is closed), `Impossible`.
    """
    cleaned = _cleaned(block, answers)
    user = _filler(job, by)
    try:
        with transaction.atomic():
            moment = now()
            _open_worksheet(job, by, moment)
            FilledBy.objects.get_or_create(job=job, user=user)
            new = Sheet(job=job, block=block, answers=cleaned, saved_by=user)
            return _saved(new, revision, moment)
    except ChangedMeanwhile as clash:
        # Kept in a transaction of its own: the answers of both devices survive.
        clash.clash.save()
        raise


def _saved(new: Sheet, revision: int, now: datetime) -> int:
    mine = Sheet.objects.filter(job=new.job, block=new.block, revision=revision)
    changed = mine.update(
        answers=new.answers,
        revision=F("revision") + 1,
        saved_at=now,
        saved_by=new.saved_by,
    )
    if not changed:
        return _same_or_clash(new, revision, now)
    _copy(new.job, new.block, new.answers)
    return revision + 1


def _same_or_clash(new: Sheet, revision: int, now: datetime) -> int:
    sheet: Sheet = Sheet.objects.get(job=new.job, block=new.block)
    if sheet.answers == new.answers:
        return sheet.revision
    clash = Clash(
        sheet=sheet,
        answers=new.answers,
        based_on=revision,
        found=sheet.revision,
        by=new.saved_by,
        at=now,
    )
    raise ChangedMeanwhile(sheet, clash)


def _filler(job: Job, by: Actor) -> User:
    user = _person(by)
    if not job.may_fill(user):
        raise NotAllowed("This worksheet is filled in by its engineer and the desk.")
    return user


def _open_worksheet(job: Job, by: Actor, now: datetime) -> None:
    """Hold the worksheet open for this transaction; a planned job is started."""
    if job.status == Status.PLANNED:
        # Another device may have started it just now; then it is open already.
        with suppress(Conflict):
            move(job, "start", by=by, now=now, why=f"Worksheet started by {by.name}")
    opened_jobs = Job.objects.filter(pk=job.pk, status=Status.IN_PROGRESS)
    if not opened_jobs.update(worked_at=now):
        raise conflict(job)


def _cleaned(block: str, answers: Mapping[str, Value]) -> dict[str, Value]:
    """Keep what is answered, in the worksheet's order. Raises `Impossible` for what is no field."""
    fields = {each.name: each for each in messages.BLOCKS[block].fields if each.name != "job_id"}
    photos = {name for name, each in fields.items() if each.kind is Kind.PHOTO}
    if answers.keys() - (fields.keys() - photos):
        raise Impossible("This page does not fit the worksheet. Load it again.")
    kept: dict[str, Value] = {}
    for name, each in fields.items():
        value = answers.get(name)
        value = value.strip() if isinstance(value, str) else value
        if value in (None, "", []):
            continue
        if len(str(value)) > LONGEST_ANSWER:
            raise Impossible(f"“{each.label}” is too long. Nothing was saved.")
        kept[name] = value
    return kept


def _copy(job: Job, block: str, answers: Mapping[str, Value]) -> None:
    """Copy what lists and search need; nothing about health or risks."""
    if block == "job_details":
        wrong = [each for each in _details_problems(answers) if each.field in COPIED]
        if wrong:
            raise NotComplete(wrong)
        Job.objects.filter(pk=job.pk).update(**{name: answers[name] for name in COPIED})
    elif block == "job_completion":
        outcome = str(answers.get("outcome", ""))[:100]
        Job.objects.filter(pk=job.pk).update(outcome=outcome)


def _details_problems(answers: Mapping[str, Value]) -> list[rules.Problem]:
    whole = {"job_details": {**answers, "job_id": "made once"}}
    return rules.block_problems(whole, "job_details")


def settle_clash(*, clash: Clash, by: Actor, now: Clock) -> None:
    """Record that a person has looked at both answers and saved what holds."""
    _filler(clash.sheet.job, by)
    Clash.objects.filter(pk=clash.pk, settled_at=None).update(settled_at=now())


def add_photo(
    *, job: Job, block: str, field: str, content: bytes, name: str, by: Actor, now: Clock
) -> Photo:
    """Add a photo to a block, in place of an earlier one, upright, scaled and without location.

    Raises `UploadError`, `NotAllowed`, `Conflict`, `Impossible`.
    """
    user = _filler(job, by)
    if f"{block}.{field}" not in messages.photo_keys():
        raise Impossible("There is no photo at this place of the worksheet.")
    prepared = prepare(
        content,
        name,
        longest_side=settings.SIP_PHOTO_LONGEST_SIDE,
        most_bytes=settings.SIP_PHOTO_BYTES,
    )
    with transaction.atomic():
        moment = now()
        _open_worksheet(job, by, moment)
        FilledBy.objects.get_or_create(job=job, user=user)
        _replace(job, block, field, moment)
        return Photo.objects.create(
            job=job,
            block=block,
            field=field,
            file=ContentFile(prepared.content, name="photo.jpg"),
            name=prepared.name,
            width=prepared.width,
            height=prepared.height,
            size=len(prepared.content),
            sha256=prepared.sha256,
            original_sha256=prepared.original_sha256,
            added_at=moment,
            added_by=user,
        )


def remove_photo(*, photo: Photo, by: Actor, now: Clock) -> None:
    """Take a photo out of the worksheet; a frozen message keeps its own."""
    _filler(photo.job, by)
    with transaction.atomic():
        moment = now()
        _open_worksheet(photo.job, by, moment)
        _replace(photo.job, photo.block, photo.field, moment)


def _replace(job: Job, block: str, field: str, now: datetime) -> None:
    """End the photo that stands there; its file goes with it unless a message needs it."""
    for photo in job.photos.filter(block=block, field=field, replaced_at=None):
        Photo.objects.filter(pk=photo.pk).update(replaced_at=now)
        if not photo.versions.exists():
            transaction.on_commit(partial(photo.file.delete, save=False))


def read_private(*, job: Job, by: Actor, now: Clock) -> None:
    """Record that a person reads health data and risks of a job; call it before showing them.

    One record a person, job and hour. Raises `NotAllowed`.
    """
    user, moment = _person(by), now()
    if not job.may_read_private(user):
        raise NotAllowed("Health data and risks are shown to the job’s engineer and this desk.")
    lately = Note.objects.for_case(job).filter(
        kind=Note.Kind.REVEALED, by=user, at__gt=moment - READ_AGAIN
    )
    if not lately.exists():
        casework.reveal(job, what="health data and site risks", by=by, now=moment)


# ---- Hand in, hand back, correct -------------------------------------------------------------


def hand_in(*, job: Job, by: Actor, now: Clock) -> None:
    """Hand a complete worksheet in for checking. Raises `NotComplete`, `NotAllowed`, `Conflict`."""
    user = _filler(job, by)
    if worksheet.open_clashes(job):
        raise Impossible("Two devices saved different answers. Look at both first.")
    made = worksheet.composed(job, now=now())
    if made.problems:
        raise NotComplete(made.problems)
    moment = now()
    with transaction.atomic():
        fields: dict[str, Any] = {
            "handed_in_at": job.handed_in_at or moment,
            "handed_in_by": user,
        }
        why = f"Handed in by {by.name}; somebody checks and sends it"
        move(job, "hand_in", by=by, now=moment, why=why, **fields)
        _refuse_other_worksheet(job, made)


def _refuse_other_worksheet(job: Job, made: worksheet.Composed) -> None:
    """Raise `Conflict` when something was saved between looking and moving."""
    if worksheet.answers_of(job) != made.answers:
        raise Conflict(
            "Another device saved something just now. Look at it and hand it in again.",
            status=Status.IN_PROGRESS,
        )


def hand_back(*, job: Job, reason: str, by: Actor, now: Clock) -> None:
    """Hand a worksheet back to its engineer with a reason. Raises `NotAllowed`, `Conflict`."""
    with transaction.atomic():
        why = f"Handed back by {by.name}"
        move(job, "hand_back", by=by, now=now(), note=reason, why=why)


def correct(*, job: Job, by: Actor, now: Clock) -> None:
    """Open a refused worksheet for correction. Raises `NotAllowed`, `Conflict`."""
    _filler(job, by)
    with transaction.atomic():
        why = f"Being corrected by {by.name} after their refusal"
        move(job, "correct", by=by, now=now(), why=why)


# ---- Confirm and stop ------------------------------------------------------------------------


def may_send(job: Job, user: User) -> str:
    """Say why this person cannot send this job's message; empty when they can."""
    if not user.has_perm(SEND_IT):
        return "Your role does not send market messages."
    if not job.may_read_private(user):
        return "You may not read all of this message, so somebody else checks and sends it."
    filled = job.fillers.filter(user=user).exists() or job.handed_in_by_id == user.pk
    if settings.SIP_SECOND_PERSON and filled:
        return SecondPersonNeeded.sentence
    if job.sends.filter(late_outcome=Sent.ACCEPTED).exists():
        return SentAlready.sentence
    return ""


def authorise(*, job: Job, token: str, by: Actor, now: Clock) -> Attempt:
    """Freeze the message that was shown and let it leave after the delay, once.

    Raises `confirm.NotConfirmed`, `NotComplete`, `SecondPersonNeeded`, `SentAlready`,
    `NotAllowed`, `Conflict`.
    """
    user, moment = _person(by), now()
    _refuse_sender(job, user)
    made = worksheet.composed(job, now=moment)
    number = confirm.redeem(token, worksheet.shown(job, made), user)
    if made.problems:
        raise NotComplete(made.problems)
    at = moment + timedelta(seconds=settings.SEND_DELAY_SECONDS)
    with transaction.atomic():
        why = f"Confirmed by {by.name}"
        move(job, "authorise", by=by, now=moment, confirmation=number, why=why)
        _refuse_sender(job, user)
        attempt = Attempt.objects.create(
            job=job,
            message=_frozen(job, made, moment),
            number=job.sends.count() + 1,
            by=user,
            by_name=by.name,
            confirmation=number,
            confirmed_at=moment,
            send_at=at,
        )
        queue.due(SEND, job.pk, now=moment, at=at, by=by)
    return attempt


def _refuse_sender(job: Job, user: User) -> None:
    sentence = may_send(job, user)
    if sentence == SecondPersonNeeded.sentence:
        raise SecondPersonNeeded
    if sentence == SentAlready.sentence:
        raise SentAlready
    if sentence:
        raise NotAllowed(sentence)


def _frozen(job: Job, made: worksheet.Composed, now: datetime) -> Message:
    """Freeze a new version, linked to the one before; the same bytes stay the same version."""
    last = job.versions.order_by("version").last()
    if last is not None and last.sha256 == made.sha256 and last.outline:
        same: Message = last
        return same
    message: Message = Message.objects.create(
        job=job,
        version=last.version + 1 if last else 1,
        previous=last,
        outline=made.outline,
        size=made.size,
        sha256=made.sha256,
        frozen_at=now,
    )
    message.photos.set(made.photos.values())
    if worksheet.bytes_of(message) != made.message:
        raise worksheet.NotAsFrozen
    return message


def stop(*, job: Job, by: Actor, now: Clock) -> None:
    """Stop a message before it is sent; it wins only before a worker has claimed it.

    Raises `Conflict`, `NotAllowed`.
    """
    with transaction.atomic():
        why = f"Stopped by {by.name} before it was sent"
        _take_back(job, "stop", by=by, now=now(), why=why)


def _take_back(job: Job, name: str, *, by: Actor, now: datetime, why: str) -> None:
    """Take a waiting message back; raises `Conflict` once it is claimed."""
    waiting = Job.objects.filter(pk=job.pk, status=Status.SENDING, claim=None)
    if not waiting.update(due_at=None):
        raise _too_late(job)
    move(job, name, by=by, now=now, why=why[:300])
    open_attempts = Attempt.objects.filter(job=job, outcome=Sent.WAITING)
    open_attempts.update(outcome=Sent.STOPPED, ended_at=now, sentence=why[:500])


def _too_late(job: Job) -> Conflict:
    if Job.objects.filter(pk=job.pk, status=Status.SENDING).exists():
        return Conflict(
            "It is too late to stop: the message is being sent at this moment.",
            status=Status.SENDING,
        )
    return conflict(job)


# ---- Send ------------------------------------------------------------------------------------


class NothingAuthorised(RuntimeError):
    """A job is due for sending without an open attempt: nothing may be sent."""


@dataclass(frozen=True)
class Taken:
    """A claimed job with the attempt that is now being made."""

    claim: queue.Claim
    job: Job
    attempt: Attempt


def take(pk: int, *, now: Clock) -> Taken | None:
    """Claim a due job and note that its attempt has begun, committed before any connection.

    None while nothing is due, another worker has it, or their refusal of our key is not fixed.
    """
    if KeyStop.current() is not None:
        return None
    with transaction.atomic():
        moment = now()
        claim = queue.claim(SEND, pk, now=moment)
        if claim is None:
            return None
        begun = Attempt.objects.filter(job_id=pk, outcome=Sent.WAITING).update(
            outcome=Sent.SENDING, claim=claim.token, started_at=moment, tries=F("tries") + 1
        )
        if begun != 1:
            raise NothingAuthorised(f"job {pk}")
    attempt = Attempt.objects.select_related("message").get(claim=claim.token)
    return Taken(claim, claim.row(), attempt)


@dataclass(frozen=True)
class Result:
    """What one try came to, as it is recorded; texts are without private answers."""

    outcome: Attempt.Outcome
    sentence: str
    next_step: str = ""
    call: CallRecord | None = None
    acceptance: Acceptance | None = None
    text: str = field(default="", repr=False)
    details: Sequence[rules.Placed] = field(default=(), repr=False)
    retry_after: float | None = None
    key_status: int = 0

    def columns(self) -> dict[str, Any]:
        """The columns of the attempt that it fills."""
        said = self.acceptance
        return {
            "sentence": self.sentence[:500],
            "next_step": self.next_step[:500],
            "http_status": self.call.http_status if self.call else None,
            "reply": self.text,
            "details": [
                {"text": each.text, "path": each.path, "block": each.block, "field": each.field}
                for each in self.details
            ],
            **(_theirs(said) if said else {}),
        }


def _theirs(said: Acceptance) -> dict[str, str]:
    return {
        "their_status": said.status[:200],
        "their_message": said.message[:1000],
        "their_reference": said.request_id[:200],
        "scenario": said.scenario[:200],
    }


def send(*, taken: Taken, service: MarketMessages, now: Clock) -> None:
    """Send the frozen message of a claimed job, and record what came of it in one transaction."""
    with structlog.contextvars.bound_contextvars(case=taken.job.reference):
        result = _tried(taken, service, now)
        try:
            _record(taken, result, now())
        except (queue.ClaimLost, Conflict):
            log.info("answer_came_late", outcome=result.outcome.value)
            answered_late(taken=taken, result=result, now=now)


def _tried(taken: Taken, service: MarketMessages, now: Clock) -> Result:
    """Read the frozen bytes and make the call; nothing is sent when the claim has grown old."""
    try:
        body = worksheet.bytes_of(taken.attempt.message)
    except Impossible as problem:
        return Result(Sent.STOPPED, problem.sentence, "Check the worksheet again.")
    private = messages.private_texts(worksheet.frozen_answers(taken.attempt.message))
    if now() > _latest_start(taken):
        return Result(Sent.NOT_SENT, "The worker was too slow to begin; nothing was sent.")
    try:
        answer = service.send(body, job_id=str(taken.job.job_id), private=private)
    except Outcome as problem:
        return _result(problem)
    return _accepted(answer, private)


def _latest_start(taken: Taken) -> datetime:
    """When the call must have begun: its deadline ends well before others give it up."""
    begun: datetime = taken.attempt.started_at or taken.job.status_at
    return begun + timedelta(seconds=settings.SIP_LEASE_MARGIN / 2)


def _accepted(answer: Accepted, private: Sequence[str]) -> Result:
    said = answer.acceptance
    clean = Acceptance(
        status=_without(said.status, private),
        message=_without(said.message, private),
        request_id=_without(said.request_id, private),
        scenario=_without(said.scenario, private),
    )
    sentence = f"Accepted: scenario {clean.scenario}, request id {clean.request_id}."
    return Result(Sent.ACCEPTED, sentence, call=answer.call, acceptance=clean, text=answer.text)


def _without(text: str, private: Sequence[str]) -> str:
    for each in sorted(private, key=len, reverse=True):
        text = text.replace(each, "[removed]")
    return text


def _result(problem: Outcome) -> Result:
    """Map what the client raised: 4xx refused; surely not sent; everything else is Unknown."""
    common: dict[str, Any] = {"next_step": problem.next_step, "call": problem.call}
    if isinstance(problem, NotAccepted):
        refusal = problem.refusal
        details = rules.placed(refusal.details)
        return Result(Sent.REFUSED, problem.sentence, text=refusal.text, details=details, **common)
    if isinstance(problem, Unavailable):
        key_status = int(problem.code) if isinstance(problem, KeyRefused) else 0
        return Result(
            Sent.NOT_SENT,
            problem.sentence,
            retry_after=problem.retry_after,
            key_status=key_status,
            **common,
        )
    text = problem.text if isinstance(problem, Lost) else ""
    return Result(Sent.UNKNOWN, problem.sentence, text=text, **common)


def _record(taken: Taken, result: Result, now: datetime) -> None:
    """Settle, move, and write attempt and call in one transaction. Raises `ClaimLost`."""
    with transaction.atomic():
        if result.outcome is Sent.NOT_SENT:
            _wait(taken, result, now)
        else:
            queue.settle(taken.claim)
            _end(taken, result, now)
        calls.record(result.call, case=taken.job)
    if result.outcome in (Sent.ACCEPTED, Sent.REFUSED):
        alarms.over(SILENT, now=now)


def _end(taken: Taken, result: Result, now: datetime) -> None:
    name, why, fields = _consequence(taken.job, result, now)
    move(taken.job, name, by=PORTAL, now=now, why=why[:300], **fields)
    Attempt.objects.filter(pk=taken.attempt.pk).update(
        outcome=result.outcome, ended_at=now, **result.columns()
    )


def _consequence(job: Job, result: Result, now: datetime) -> tuple[str, str, dict[str, Any]]:
    """Name the move that a result means, why the job is there then, and what else is written."""
    if result.acceptance is not None:
        return "accept", result.sentence, {**_theirs(result.acceptance), "accepted_at": now}
    if result.outcome is Sent.REFUSED:
        why = rules.attempt_sentence(len(result.details))
        return "refuse", why, {"refusals": job.refusals + 1}
    if result.outcome is Sent.UNKNOWN:
        return "lose", f"{result.sentence} Nothing is sent again by itself.", {}
    return "give_up", f"Surely not sent. {result.sentence}", {}


def _wait(taken: Taken, result: Result, now: datetime) -> None:
    """Surely not sent: try again later, visibly; at the limit a person looks."""
    again = now if result.key_status else _next_try(taken, result, now)
    queue.settle(taken.claim, due_at=again, keep_attempts=True)
    if again is None:
        _end(taken, result, now)
        return
    why = f"Surely not sent. {result.sentence}"
    if result.key_status:
        _stop_desk(result, now)
        why += " It waits until a person says that the key is fixed."
    else:
        why += f" Next try {timezone.localtime(again):%H:%M:%S}."
        _sound(result, now)
    Job.objects.filter(pk=taken.job.pk).update(why=why[:300])
    Attempt.objects.filter(pk=taken.attempt.pk).update(
        outcome=Sent.WAITING, claim=None, send_at=again, **result.columns()
    )


def _next_try(taken: Taken, result: Result, now: datetime) -> datetime | None:
    return queue.retry_at(taken.claim, now=now, after=result.retry_after)


def _stop_desk(result: Result, now: datetime) -> None:
    """Let nothing be sent until a person says that the key is fixed."""
    if KeyStop.current() is None:
        KeyStop.objects.bulk_create(
            [KeyStop(since=now, http_status=result.key_status, sentence=result.sentence[:500])],
            ignore_conflicts=True,
        )
    alarms.sound(
        KEY_REFUSED,
        desk="sip",
        title="The market message service does not take our key: nothing is sent",
        text=result.sentence,
        next_step=result.next_step,
        now=now,
    )


def _sound(result: Result, now: datetime) -> None:
    alarms.sound(
        SILENT,
        desk="sip",
        title="The market message service cannot be reached or takes no more messages",
        text=result.sentence,
        next_step="Messages wait; each is tried again by itself up to a limit.",
        now=now,
    )


def key_is_fixed(*, note: str, by: Actor, now: Clock) -> None:
    """Let messages be sent again after a person has fixed the key. Raises `NotAllowed`."""
    _may(by, SEND_IT, "Your role does not let messages be sent.")
    if not note.strip():
        raise NotAllowed("Write what was done about the key.")
    moment = now()
    with transaction.atomic():
        held = KeyStop.objects.filter(over_at=None)
        if not held.update(over_at=moment, over_by=_person(by), note=note):
            raise Impossible("The desk is not stopped. Nothing was changed.")
        alarms.over(KEY_REFUSED, now=moment)
        for pk in SEND.free(moment).values_list("pk", flat=True)[: queue.SWEEP_LIMIT]:
            transaction.on_commit(partial(queue.ring, SEND.name, pk))


def give_up_abandoned(pk: int, *, now: Clock) -> None:
    """Record as Unknown what a worker claimed and never settled: it may have been sent."""
    moment = now()
    with transaction.atomic():
        job: Job | None = SEND.abandoned(moment).filter(pk=pk).first()
        if job is None:
            return
        held = Job.objects.filter(pk=pk, claim=job.claim, claimed_until__lt=moment)
        if not held.update(rung_at=moment):
            return
        sentence = "The worker stopped while it was sending: it may have arrived."
        why = f"{sentence} Nothing is sent again by itself."
        move(job, "lose", by=PORTAL, now=moment, why=why)
        lost = {"outcome": Sent.UNKNOWN, "ended_at": moment, "sentence": sentence}
        Attempt.objects.filter(claim=job.claim).update(**lost)
        calls.record_cut_off(
            party=NAME,
            operation=SEND_MESSAGE.name,
            kind=SEND_MESSAGE.kind,
            started_at=job.claimed_at or moment,
            case=job,
            what_now="It is not made again by itself.",
        )


# ---- Late answers and unknown ----------------------------------------------------------------


LATE_MOVES: Final = {
    Sent.ACCEPTED: "accept_late",
    Sent.REFUSED: "refuse_late",
    Sent.NOT_SENT: "not_sent_late",
    Sent.STOPPED: "not_sent_late",
}


def answered_late(*, taken: Taken, result: Result, now: Clock) -> None:
    """Take an answer that came after its attempt was given up.

    It settles an unknown job, unless a person has: then nothing moves and an alarm is raised.
    """
    moment = now()
    with transaction.atomic():
        calls.record(result.call, case=taken.job)
        Attempt.objects.filter(pk=taken.attempt.pk).update(
            late_at=moment, late_outcome=result.outcome, **result.columns()
        )
    if result.outcome is Sent.UNKNOWN:
        return
    try:
        with transaction.atomic():
            _settle_late(taken, result, moment)
    except Conflict:
        with transaction.atomic():
            _halt_second(taken, result, moment)
            _tell_late(taken, result, moment)


def _settle_late(taken: Taken, result: Result, now: datetime) -> None:
    """Move an unknown job on. Raises `Conflict` when somebody or something else has."""
    job: Job = Job.objects.get(pk=taken.job.pk)
    last = job.sends.order_by("number").last()
    if last is None or last.pk != taken.attempt.pk:
        raise conflict(job)
    _, why, fields = _consequence(job, result, now)
    name = LATE_MOVES[result.outcome]
    move(job, name, by=PORTAL, now=now, why=f"Late answer. {why}"[:300], **fields)
    Attempt.objects.filter(pk=last.pk).update(outcome=result.outcome, ended_at=now)


def _halt_second(taken: Taken, result: Result, now: datetime) -> None:
    """They accepted the first attempt after all: a second one that still waits must not leave."""
    job: Job = Job.objects.get(pk=taken.job.pk)
    waits = job.status == Status.SENDING and job.claim is None
    if result.outcome is Sent.ACCEPTED and waits:
        why = "Not sent again: a late answer says that they accepted the earlier attempt"
        _take_back(job, "give_up", by=PORTAL, now=now, why=why)


def _tell_late(taken: Taken, result: Result, now: datetime) -> None:
    said = result.outcome.label.lower()
    text = f"A late answer to attempt {taken.attempt.number} says: {said}."
    casework.note(taken.job, text=text, by=PORTAL, now=now, kind=Note.Kind.EVENT)
    alarms.sound(
        f"sip late {taken.job.reference} {taken.attempt.number}",
        desk="sip",
        title=f"{taken.job.reference}: an answer came after a person had settled it",
        text=text,
        next_step="Compare it with what was recorded, and ring the party if they differ.",
        lasting=False,
        now=now,
    )


def resolve_unknown(
    *,
    job: Job,
    answer: str,
    told_by: str,
    reason: str,
    evidence: tuple[Upload, bytes] | None,
    by: Actor,
    now: Clock,
) -> Resolution:
    """Settle an unknown job by what the party says: "received", or "never" received.

    Only "never" makes a new send possible, which is checked and confirmed again. Raises
    `NotAllowed`, `Conflict`.
    """
    user, moment = _person(by), now()
    if not told_by.strip():
        raise NotAllowed("Write who at the party told you.")
    received = answer == Resolution.Answer.RECEIVED
    with transaction.atomic():
        why = f"{Resolution.Answer(answer).label}: {by.name}, told by {told_by}"
        fields: dict[str, Any] = {"accepted_at": moment} if received else {}
        name = "confirm_received" if received else "confirm_never"
        move(job, name, by=by, now=moment, note=reason, why=why[:300], **fields)
        attempt = job.sends.filter(outcome=Sent.UNKNOWN).latest("number")
        return Resolution.objects.create(
            attempt=attempt,
            answer=answer,
            told_by=told_by[:200],
            reason=reason,
            by=user,
            at=moment,
            **_evidence(evidence),
        )


def _evidence(evidence: tuple[Upload, bytes] | None) -> dict[str, Any]:
    if evidence is None:
        return {}
    upload, content = evidence
    return {
        "evidence": ContentFile(content, name=f"evidence{upload.extension}"),
        "evidence_name": upload.name,
        "evidence_type": upload.content_type,
        "evidence_sha256": upload.sha256,
    }


def accept_after_all(*, job: Job, reason: str, by: Actor, now: Clock) -> None:
    """Record that they accepted an attempt after all, as their late answer says.

    Raises `Impossible` without such an answer, `NotAllowed`, `Conflict`.
    """
    late = job.sends.filter(late_outcome=Sent.ACCEPTED).order_by("number").last()
    if late is None:
        raise Impossible("No late answer says that they accepted it. Nothing was changed.")
    moment = now()
    theirs = {name: getattr(late, name) for name in _THEIRS}
    with transaction.atomic():
        why = f"Accepted after all, by their late answer to attempt {late.number}"
        fields = {**theirs, "accepted_at": late.late_at}
        move(job, "accept_after_all", by=by, now=moment, note=reason, why=why, **fields)


_THEIRS: Final = ("their_status", "their_message", "their_reference", "scenario")


# ---- Retention -------------------------------------------------------------------------------


def remove_private(*, now: datetime, **_: Any) -> int:
    """Remove health data, risks, messages and photos of jobs that ended long ago.

    Hash, size, outcome, times and people stay. Returns how many jobs.
    """
    if settings.SIP_HEALTH_KEPT_DAYS <= 0:
        return 0
    before = now - timedelta(days=settings.SIP_HEALTH_KEPT_DAYS)
    old = Job.objects.filter(status__in=ENDED, status_at__lt=before, private_removed_at=None)
    pks = list(old.values_list("pk", flat=True))
    for pk in pks:
        with transaction.atomic():
            _remove_private(Job.objects.get(pk=pk), now)
    return len(pks)


def _remove_private(job: Job, now: datetime) -> None:
    Clash.objects.filter(sheet__job=job).delete()
    for sheet in job.sheets.all():
        hidden = worksheet.private_fields(sheet.block)
        kept = {name: value for name, value in sheet.answers.items() if name not in hidden}
        Sheet.objects.filter(pk=sheet.pk).update(answers=kept)
    job.versions.update(outline="", removed_at=now)
    job.sends.update(reply="", details=[])
    for photo in job.photos.all():
        transaction.on_commit(partial(photo.file.delete, save=False))
    Job.objects.filter(pk=job.pk).update(private_removed_at=now)
    text = "Health data, risks, messages and photos were removed after the retention period."
    casework.note(job, text=text, by=PORTAL, now=now, kind=Note.Kind.EVENT)


# ---- Who -------------------------------------------------------------------------------------


def _person(by: Actor) -> User:
    if by.user is None:
        raise NotAllowed("Only a person can do this.")
    return by.user


def _may(by: Actor, permission: str, sentence: str) -> None:
    if by.who is not Who.PERSON or by.user is None or not by.user.has_perm(permission):
        raise NotAllowed(sentence)
