"""Invented work for the demo: a job in every status, sent through the same actions and a worker.

The messages are the sandbox's samples. Each send is watched until its answer is recorded.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from PIL import Image, ImageDraw

from core import casework, confirm
from core.demo import ask_sandbox, wait_until
from core.models import User
from core.workflow import Actor, actor_for
from sip import actions, messages, worksheet
from sip.messages import Value
from sip.models import Attempt, CodeList, Job, KeyStop, Resolution

Status = Job.Status
Sent = Attempt.Outcome
PARTY = "market-messages"
PHOTOS = frozenset(messages.photo_keys())
HOURS_6 = 6 * 3600


@dataclass(frozen=True)
class Visit:
    """One job of the demo: where, which sample message it makes, and how far it comes."""

    name: str
    place: tuple[str, str, str]
    mpan: str
    days: float
    sample: str = ""
    ends: str = Status.PLANNED
    fault: str = ""
    assigned: bool = True
    changes: tuple[tuple[str, Value], ...] = ()


VISITS = (
    Visit("Ottoline Marsh", ("3 Teasel Court", "Eastwold", "WX3 7LT"), "2000510000000", 0.4),
    Visit(
        "Basil Thorne", ("18 Lantern Row", "Eastwold", "WX3 2AB"), "2000517341173", 0.2,
        assigned=False,
    ),
    Visit(
        "Corin Pell", ("Flat 2, 40 Weir Street", "Quenmouth", "WX8 1PT"), "2000524682340", 1.1,
        "completed", Status.IN_PROGRESS,
    ),
    Visit(
        "Della Frome", ("7 Saltpan Lane", "Quenmouth", "WX8 5DN"), "2000532023510", 1.3,
        "left-off", Status.CHECK,
        changes=(
            ("job_details.customer_vulnerability", "Two children under five"),
            ("site_safety.dno_issue", "A"),
            ("site_safety.dno_code_a", "A05"),
            ("site_safety.dno_comment", "Cut-out is warm and smells of burning."),
        ),
    ),
    Visit(
        "Emrys Cole", ("22 Mill Rise", "Harrowby", "WX5 9QD"), "2000539364682", 1.6,
        "no-isolator", Status.CHECK,
    ),
    Visit(
        "Fenella Rook", ("5 Chandler Yard", "Harrowby", "WX5 3EF"), "2000546705854", 0.1,
        "completed", Status.SENDING, "429",
    ),
    Visit(
        "Gideon Sparrow", ("61 Orchard Hill", "Eastwold", "WX3 8GH"), "2000554047020", 2.2,
        "completed", Status.ACCEPTED,
    ),
    Visit(
        "Hester Vale", ("9 Tannery Close", "Quenmouth", "WX8 6JL"), "2000561388190", 3.4,
        "prevented", Status.ACCEPTED,
        changes=(
            ("customer_contact.critical_medical_equipment", True),
            ("customer_contact.critical_medical_equipment_info", "Oxygen concentrator"),
        ),
    ),
    Visit(
        "Idris Lock", ("14 Station Parade", "Harrowby", "WX5 1NP"), "2000568729364", 5.3,
        "re-energised", Status.ACCEPTED,
    ),
    Visit(
        "Jocasta Wynn", ("33 Fuller Street", "Eastwold", "WX3 5RS"), "2000576070530", 1.8,
        "prevented", Status.REFUSED, "codes",
        changes=(("job_completion.notices_issued", "Notice of danger"),),
    ),
    Visit(
        "Kit Larkham", ("2 Ferry Steps", "Quenmouth", "WX8 2TU"), "2000583411702", 0.15,
        "completed", Status.UNKNOWN, "lost",
    ),
    Visit(
        "Lettice Holm", ("48 Rope Walk", "Quenmouth", "WX8 7WX"), "2000590752873", 4.2,
        "unsafe", Status.ACCEPTED, "done_500",
    ),
    Visit(
        "Magnus Dray", ("11 Beacon View", "Harrowby", "WX5 6YZ"), "2000598094040", 6.0,
        ends=Status.CANCELLED,
    ),
)  # fmt: skip


def fill() -> Iterator[str]:
    """Make the jobs; what needs the party's answer waits for the worker."""
    clerk = _somebody("safe isolation")
    engineer = _somebody("engineer")
    if clerk is None or engineer is None:
        yield "nobody has the safe isolation and engineer roles; run set_up_people first"
        return
    _codes(actor_for(clerk))
    for visit in VISITS:
        job = _job(visit, clerk, engineer)
        if not _brought_on(visit, job, actor_for(clerk), actor_for(engineer)):
            yield "the worker has not answered yet; run this again when it runs"
            return
    yield f"{len(VISITS)} isolation jobs, one of them unknown"


def _somebody(role: str) -> User | None:
    return User.objects.filter(groups__name=role).order_by("pk").first()


def _codes(by: Actor) -> None:
    """The specification prints no word for a job that was done; the sandbox has one."""
    outcomes = CodeList.objects.get(name="outcome")
    if not outcomes.codes.filter(value="Completed").exists():
        body = b"VALUE,MEANING\nCompleted,\n"
        actions.import_codes(code_list=outcomes, body=body, by=by, now=timezone.now)


def _key(visit: Visit) -> str:
    return f"demo {visit.mpan}"


def _again(job: Job) -> Job:
    found: Job = Job.objects.get(pk=job.pk)
    return found


def _job(visit: Visit, clerk: User, engineer: User) -> Job:
    """The job of a visit, made days ago where it is not there yet."""
    made = timezone.now() - timedelta(days=visit.days)
    address, town, post_code = visit.place
    said = {
        name.partition(".")[2]: str(value)
        for name, value in visit.changes
        if name.startswith("job_details.")
    }
    details = actions.Details(
        mpan=visit.mpan,
        supplier_mpid="LUMX",
        contact_name=visit.name,
        address=address,
        town=town,
        post_code=post_code,
        contact_telephone="01632 960124",
        planned_date=timezone.localdate(made),
        engineer=engineer if visit.assigned else None,
        **said,
    )
    return actions.create_job(
        details=details, key=_key(visit), by=actor_for(clerk), now=lambda: made
    )


def _brought_on(visit: Visit, job: Job, clerk: Actor, engineer: Actor) -> bool:
    """Bring a planned job to where its visit ends. False when the worker does not answer."""
    job = _again(job)
    if job.status == Status.PLANNED and visit.ends == Status.CANCELLED:
        reason = "The customer has moved; another visit is planned."
        actions.cancel(job=job, reason=reason, by=clerk, now=timezone.now)
    if job.status == Status.PLANNED and visit.sample:
        _filled(visit, job, engineer)
    job = _again(job)
    done = visit.ends in (Status.PLANNED, Status.IN_PROGRESS, Status.CANCELLED)
    if not done and job.status == Status.IN_PROGRESS and not job.refusals:
        actions.hand_in(job=job, by=engineer, now=_later(job, minutes=4))
    job = _again(job)
    if visit.ends != Status.CHECK and job.status == Status.CHECK and not job.sends.exists():
        _sent(visit, job, clerk)
    return _waited(visit, job, clerk) if job.sends.exists() else True


def _later(job: Job, *, minutes: float) -> actions.Clock:
    """A clock that stands shortly after the job's last move, never in the future."""
    at = min(_again(job).status_at + timedelta(minutes=minutes), timezone.now())
    return lambda: at


def _filled(visit: Visit, job: Job, by: Actor) -> None:
    """Fill in the worksheet as the sandbox's sample has it, photos drawn."""
    blocks = ask_sandbox(settings.SIP_API_URL, f"/control/{PARTY}/samples/{visit.sample}")
    for path, value in visit.changes:
        block, _, name = path.partition(".")
        blocks[block][name] = value
    del blocks["job_details"]
    if visit.ends == Status.IN_PROGRESS:
        blocks = dict(list(blocks.items())[:2])
    now = _later(job, minutes=18)
    for block, values in blocks.items():
        _save(_again(job), block, values, by, now=now)


def _save(
    job: Job, block: str, values: Mapping[str, Value], by: Actor, *, now: actions.Clock
) -> None:
    answers = {name: each for name, each in values.items() if f"{block}.{name}" not in PHOTOS}
    answers |= {name: _on_the_day(value, now()) for name, value in answers.items() if name in _WHEN}
    revision = worksheet.sheet_of(job, block).revision
    actions.save_block(job=job, block=block, answers=answers, revision=revision, by=by, now=now)
    for name in values.keys() - answers.keys():
        actions.add_photo(
            job=_again(job),
            block=block,
            field=name,
            content=_drawn(f"{job.reference} {name}"),
            name=f"{name}.jpg",
            by=by,
            now=now,
        )


_WHEN = {"date_of_action", "de_energisation_time", "re_energisation_time"}


def _on_the_day(value: Value, now: datetime) -> Value:
    """Move the sample's days and times to the day of the visit, as far apart as they were."""
    if moment := messages.read_time(value):
        minutes = moment.hour * 60 + moment.minute
        return messages.write_time(now - timedelta(minutes=90) + timedelta(minutes=minutes % 60))
    return timezone.localdate(now).isoformat()


def _drawn(words: str) -> bytes:
    """A picture that says what it stands for."""
    picture = Image.new("RGB", (1200, 900), (214, 219, 214))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((380, 170, 820, 730), fill=(245, 245, 240), outline=(60, 66, 60), width=8)
    pen.rectangle((440, 250, 760, 360), fill=(186, 200, 178), outline=(60, 66, 60), width=4)
    pen.text((60, 820), words, fill=(40, 44, 40), font_size=36)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()


def _sent(visit: Visit, job: Job, by: Actor) -> None:
    """Check and send as the desk does, long enough ago that nothing has to be waited for."""
    _arranged(visit, job)
    made = worksheet.composed(job)
    if by.user is None:
        return
    token = confirm.token_for(worksheet.shown(job, made), by.user)
    at = timezone.now() - timedelta(seconds=settings.SEND_DELAY_SECONDS)
    actions.authorise(job=job, token=token, by=by, now=lambda: at)


def _arranged(visit: Visit, job: Job) -> None:
    """Have the sandbox do to this job's message what its visit is about."""
    if visit.fault == "codes":
        _switch(refuse_unknown_codes=True)
    elif visit.fault:
        fault: dict[str, Any] = {"party": PARTY, "fault": visit.fault, "calls": 1}
        fault |= {"match": str(job.job_id), "retry_after": HOURS_6}
        ask_sandbox(settings.SIP_API_URL, "/control/faults", fault)


def _switch(**switches: Any) -> None:
    ask_sandbox(settings.SIP_API_URL, f"/control/{PARTY}/switches", switches)


def _waited(visit: Visit, job: Job, clerk: Actor) -> bool:
    """Wait for what comes of a send, then do what people do about it."""
    attempt = job.sends.filter(number=1)
    untouched = {"outcome__in": Attempt.OPEN, "tries": 0}
    going = attempt.filter(**untouched) | attempt.filter(outcome=Sent.SENDING)
    answered = wait_until(lambda: KeyStop.current() is not None or not going.exists())
    if visit.fault == "codes":
        _switch(refuse_unknown_codes=None)
    job = _again(job)
    if job.status == Status.UNKNOWN and visit.ends == Status.ACCEPTED:
        _settled(job, clerk)
    if job.status == Status.UNKNOWN and visit.ends == Status.UNKNOWN and not job.assigned_to_id:
        text = "Rang their helpdesk; they look for it and ring back."
        casework.note(job, text=text, by=clerk, now=timezone.now())
        casework.assign(job, to=clerk.user, by=clerk, now=timezone.now())
    return answered


def _settled(job: Job, by: Actor) -> None:
    actions.resolve_unknown(
        job=job,
        answer=Resolution.Answer.RECEIVED,
        told_by="Ida Marrow, operations",
        reason="She found it by its job id; it came in once.",
        evidence=None,
        by=by,
        now=timezone.now,
    )
