"""Reading a job's worksheet, and composing the message that it makes. Changes nothing."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from django.utils import timezone

from core.confirm import Shown
from core.workflow import Impossible
from sip import messages, rules
from sip.messages import Answers, Kind, Value
from sip.models import Clash, Code, Job, Message, Photo, Sheet


class Removed(Impossible):
    """The message was removed after the retention period; its hash and outcome are kept."""

    sentence = "This message was removed after the retention period. Its hash is kept."


class NotAsFrozen(Impossible):
    """What is stored does not add up to the message that was frozen: it must not be sent."""

    sentence = "A stored file has changed since the message was frozen. Nothing was sent."


@dataclass(frozen=True)
class Composed:
    """A worksheet as the message it makes now, with what the rules say about it."""

    answers: Answers = field(repr=False)
    sent: Answers = field(repr=False)
    photos: Mapping[str, Photo]
    message: bytes = field(repr=False)
    outline: str = field(repr=False)
    problems: list[rules.Problem]
    warnings: list[rules.Warning]
    left_out: list[rules.LeftOut]

    @property
    def sha256(self) -> str:
        """The hash of the whole message."""
        return hashlib.sha256(self.message).hexdigest()

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.message)


def answers_of(job: Job) -> dict[str, dict[str, Value]]:
    """Read the answers of every block; job details hold the job's own id."""
    found: dict[str, dict[str, Value]] = {name: {} for name in messages.BLOCKS}
    found |= {sheet.block: dict(sheet.answers) for sheet in job.sheets.all()}
    found["job_details"]["job_id"] = str(job.job_id)
    return found


def photos_of(job: Job) -> dict[str, Photo]:
    """The photos of a worksheet as it is now, by "block.field"."""
    return {photo.key: photo for photo in job.photos.filter(replaced_at=None)}


def sheet_of(job: Job, block: str) -> Sheet:
    """One block of a job's worksheet."""
    found: Sheet = job.sheets.get(block=block)
    return found


def open_clashes(job: Job) -> list[Clash]:
    """Answers of another device that nobody has settled yet."""
    rows = Clash.objects.filter(sheet__job=job, settled_at=None).select_related("sheet", "by")
    return list(rows)


def codes() -> dict[str, set[str]]:
    """The active values of every code list."""
    found: dict[str, set[str]] = {}
    rows = Code.objects.filter(active=True).values_list("code_list__name", "value")
    for name, value in rows:
        found.setdefault(name, set()).add(value)
    return found


def choices(name: str) -> list[Code]:
    """The active codes of one list."""
    return list(Code.objects.filter(code_list__name=name, active=True))


def composed(job: Job, *, now: datetime | None = None) -> Composed:
    """Compose the message of a worksheet as it is now, and judge it. Reads the photos' files."""
    answers, photos = answers_of(job), photos_of(job)
    sent = rules.sent(answers)
    chosen = {key: photos[key] for key in rules.sent_photos(answers, photos)}
    today = timezone.localdate(now)
    return Composed(
        answers=answers,
        sent=sent,
        photos=chosen,
        message=messages.build_message(sent, {key: _read(each) for key, each in chosen.items()}),
        outline=messages.build_outline(sent, {key: each.sha256 for key, each in chosen.items()}),
        problems=rules.problems(answers, photos, today=today),
        warnings=rules.warnings(answers, codes(), photos),
        left_out=rules.left_out(answers, photos),
    )


def shown(job: Job, made: Composed) -> Shown:
    """What a check page showed, for its one-time token: this job, as it stands, these bytes."""
    return Shown(job, "authorise", made.sha256)


def shown_json(made: Composed) -> str:
    """The exact message for people to read, with size and hash in place of each photo."""
    text = made.outline
    for photo in made.photos.values():
        size = f"photo of {photo.size:,} bytes, SHA-256 {photo.sha256}"
        text = text.replace(f"photo sha256:{photo.sha256}", size)
    return indented(text)


def indented(text: str) -> str:
    """Write JSON over several lines without changing its values."""
    return msgspec.json.format(text, indent=2)


def bytes_of(message: Message) -> bytes:
    """Put a frozen message together again, byte for byte. Raises `Removed`, `NotAsFrozen`."""
    if not message.outline:
        raise Removed
    photos = {photo.sha256: _read(photo) for photo in message.photos.all()}
    body = messages.fill_outline(message.outline, photos)
    if hashlib.sha256(body).hexdigest() != message.sha256:
        raise NotAsFrozen
    return body


def _read(photo: Photo) -> bytes:
    try:
        with photo.file.open("rb") as file:
            content: bytes = file.read()
    except OSError as problem:
        raise NotAsFrozen from problem
    return content


def private_fields(block: str) -> list[str]:
    """The fields of a block that hold health, risks or free notes."""
    return [each.name for each in messages.BLOCKS[block].fields if each.private]


def without_private(parts: Iterable[rules.Part]) -> list[rules.Part]:
    """The message in words for people who may not read health data and risks."""
    return [
        msgspec.structs.replace(
            part,
            lines=tuple(
                msgspec.structs.replace(line, words="hidden") if line.private else line
                for line in part.lines
            ),
        )
        for part in parts
    ]


def in_words(
    sent: Answers, photos: Iterable[Photo], codes: rules.Codes | None = None
) -> list[rules.Part]:
    """A message in the engineer's words, photos by name and size."""
    named = {photo.key: f"{photo.name}, {photo.size // 1024:,} kB" for photo in photos}
    return rules.in_words(sent, named, codes)


def frozen_answers(message: Message) -> dict[str, Any]:
    """The answers of a frozen message, without its photos. Raises `Removed`."""
    if not message.outline:
        raise Removed
    found = messages.read_answers(message.outline)
    photos = {
        (block.name, each.name) for block, each in messages.every_field() if each.kind is Kind.PHOTO
    }
    return {
        block: {name: value for name, value in values.items() if (block, name) not in photos}
        for block, values in found.items()
    }
