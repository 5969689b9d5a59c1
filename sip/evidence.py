"""The evidence pack of a job: one ZIP with the message as sent, its hash, the reply, who and when.

Who may not read health data gets the same pack without message, photos and their words.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone

from core.csvout import rows_as_csv
from core.timeline import Entry, timeline
from sip import paper, worksheet
from sip.models import Attempt, Job, Message, Resolution
from sip.rules import Part

HIDDEN = "Health data and site risks are left out: they are for the engineer and the desk."


def pack(job: Job, *, private: bool, now: datetime) -> bytes:
    """Return the ZIP; `private` puts in what only the job's engineer and the desk may read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files(job, private=private, now=now):
            archive.writestr(name, content)
    return out.getvalue()


def _files(job: Job, *, private: bool, now: datetime) -> Iterator[tuple[str, bytes | str]]:
    history = list(reversed(timeline(job)))
    yield f"{job.reference}.pdf", paper.pdf(_copy(job, history, private=private, now=now))
    yield "timeline.csv", _timeline(history)
    yield "attempts.json", json.dumps([_attempt(each) for each in _attempts(job)], indent=2)
    versions = list(job.versions.all())
    sums = [f"{each.sha256}  message-{each.version}.json" for each in versions]
    yield "SHA256SUMS", "".join(f"{line}\n" for line in sums)
    if not private:
        yield "LEFT-OUT.txt", HIDDEN + "\n"
        return
    for each in versions:
        yield from _message(each)
    for attempt in _attempts(job):
        if attempt.reply:
            yield f"reply-{attempt.number}.txt", attempt.reply
    yield from _evidence(job)


def _attempts(job: Job) -> list[Attempt]:
    return list(job.sends.select_related("message", "resolution__by"))


def _message(message: Message) -> Iterator[tuple[str, bytes]]:
    if not message.outline:
        return
    yield f"message-{message.version}.json", worksheet.bytes_of(message)
    for photo in message.photos.all():
        with photo.file.open("rb") as file:
            yield f"photos-{message.version}/{photo.block}-{photo.field}.jpg", file.read()


def _evidence(job: Job) -> Iterator[tuple[str, bytes]]:
    for row in Resolution.objects.filter(attempt__job=job).exclude(evidence=""):
        with row.evidence.open("rb") as file:
            yield f"evidence-{row.attempt.number}-{row.evidence_name}", file.read()


def _attempt(attempt: Attempt) -> dict[str, object]:
    """One attempt for machines, without what the party wrote beyond its four promised texts."""
    resolution = getattr(attempt, "resolution", None)
    return {
        "number": attempt.number,
        "message_version": attempt.message.version,
        "message_sha256": attempt.message.sha256,
        "message_bytes": attempt.message.size,
        "confirmed_by": attempt.by_name,
        "confirmed_at": _utc(attempt.confirmed_at),
        "tries": attempt.tries,
        "last_try_started_at": _utc(attempt.started_at),
        "ended_at": _utc(attempt.ended_at),
        "outcome": attempt.outcome,
        "sentence": attempt.sentence,
        "http_status": attempt.http_status,
        "their_status": attempt.their_status,
        "their_message": attempt.their_message,
        "their_request_id": attempt.their_reference,
        "scenario": attempt.scenario,
        "answered_late_at": _utc(attempt.late_at),
        "resolution": resolution
        and {
            "answer": resolution.answer,
            "told_by": resolution.told_by,
            "reason": resolution.reason,
            "by": str(resolution.by),
            "at": _utc(resolution.at),
            "evidence_sha256": resolution.evidence_sha256,
        },
    }


def _utc(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _timeline(history: list[Entry]) -> bytes:
    rows = ([_utc(each.at), each.title, each.text, each.said] for each in history)
    return b"".join(rows_as_csv(["time", "what", "details", "said"], rows))


def _copy(job: Job, history: list[Entry], *, private: bool, now: datetime) -> paper.Copy:
    last: Message | None = job.versions.order_by("version").last()
    facts = [
        ("Status", job.status_label),
        ("Job id", str(job.job_id)),
        ("MPAN", job.mpan),
        ("Planned for", f"{job.planned_date:%-d %B %Y}"),
        ("Engineer", str(job.engineer or "nobody")),
        ("Scenario", job.scenario or "none"),
        ("Their request id", job.their_reference or "none"),
    ]
    if last is not None:
        facts += [
            ("Message", f"version {last.version}, {last.size:,} bytes"),
            ("SHA-256", last.sha256),
        ]
    return paper.Copy(
        title=f"{job.reference}, {job.status_label.lower()}",
        subtitle=f"{job.site}. Printed {timezone.localtime(now):%-d %B %Y, %H:%M}.",
        facts=tuple(facts),
        parts=tuple(_parts(last, private=private)),
        history=tuple((_when(each), _told(each)) for each in history),
        note="" if private else HIDDEN,
    )


def _parts(message: Message | None, *, private: bool) -> list[Part]:
    if message is None or not message.outline:
        return []
    sent = worksheet.frozen_answers(message)
    parts = worksheet.in_words(sent, message.photos.all(), worksheet.codes())
    return parts if private else worksheet.without_private(parts)


def _when(entry: Entry) -> str:
    return f"{timezone.localtime(entry.at):%-d %b %Y, %H:%M:%S}"


def _told(entry: Entry) -> str:
    return " ".join(part for part in (entry.title, entry.text, entry.said) if part)
