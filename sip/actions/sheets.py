"""The worksheet as it is filled in: blocks and photos are saved, two devices never overwrite.

Hand in, hand back and correct say whose turn it is.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import F

from core.workflow import Actor, Conflict, Impossible, conflict, move
from sip import messages, rules, worksheet
from sip.actions.shared import COPIED, Clock, NotComplete, Status, filler
from sip.messages import Kind, Value
from sip.models import Clash, FilledBy, Job, Photo, Sheet
from sip.photos import prepare

LONGEST_ANSWER = 5000


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
    user = filler(job, by)
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
    filler(clash.sheet.job, by)
    Clash.objects.filter(pk=clash.pk, settled_at=None).update(settled_at=now())


def add_photo(
    *, job: Job, block: str, field: str, content: bytes, name: str, by: Actor, now: Clock
) -> Photo:
    """Add a photo to a block, in place of an earlier one, upright, scaled and without location.

    Raises `UploadError`, `NotAllowed`, `Conflict`, `Impossible`.
    """
    user = filler(job, by)
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
    filler(photo.job, by)
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


# ---- Hand in, hand back, correct -------------------------------------------------------------


def hand_in(*, job: Job, by: Actor, now: Clock) -> None:
    """Hand a complete worksheet in for checking. Raises `NotComplete`, `NotAllowed`, `Conflict`."""
    user = filler(job, by)
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
    filler(job, by)
    with transaction.atomic():
        why = f"Being corrected by {by.name} after their refusal"
        move(job, "correct", by=by, now=now(), why=why)
