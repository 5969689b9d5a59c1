"""What the pages about one job show: what next, the buttons, facts, attempts, warnings.

Texts about health and risks are hidden here from everybody who may not read them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse

from core.models import User
from core.permissions import staff_user
from core.templatetags.portal import age
from core.workflow import allowed_moves
from sip import actions, rules, worksheet
from sip.messages import BLOCKS
from sip.models import FILL, RESOLVE, VIEW, Attempt, Job, Photo

Status = Job.Status
HEALTH_WARNINGS = ("vulnerable",)
NEXT: dict[str, tuple[str, str]] = {
    Status.PLANNED: ("The engineer goes there and fills in the worksheet", ""),
    Status.IN_PROGRESS: ("The engineer completes the worksheet and hands it in", ""),
    Status.CHECK: ("Check the message and send it", "This desk"),
    Status.SENDING: ("The message is sent", "The portal"),
    Status.ACCEPTED: ("Nothing: the party has it", "Nobody"),
    Status.REFUSED: ("Correct the worksheet, then check and send it again", ""),
    Status.UNKNOWN: ("Ring the party, then record what they say", "This desk"),
    Status.CANCELLED: ("Nothing", "Nobody"),
}
BUTTON_ORDER = (
    *("authorise", "settle", "start", "hand_in", "correct", "accept_after_all"),
    *("hand_back", "stop", "cancel"),
)


def load(request: HttpRequest, reference: str) -> Job:
    """A job that this person may see; 404 for any other."""
    rows = Job.objects.seen_by(staff_user(request)).select_related(
        "engineer", "assigned_to", "handed_in_by"
    )
    job: Job = get_object_or_404(rows, reference=reference)
    return job


# ---- What next ----------------------------------------------------------------------------------


def next_steps(job: Job, user: User) -> list[dict[str, Any]]:
    """What happens next, who acts, and since when it stands like this."""
    what, who = NEXT[job.status]
    if job.status in (Status.CHECK, Status.UNKNOWN) and job.assigned_to:
        who = f"{job.assigned_to} (you)" if job.assigned_to == user else str(job.assigned_to)
    if not who:
        who = str(job.engineer or "Nobody yet: give it to an engineer")
    since: dict[str, Any] = {"term": "Like this since", "at": job.status_at}
    if job.status == Status.UNKNOWN:
        since = {"term": "Unknown for", "text": age(job.status_at)}
    rows = [{"term": "Next", "text": what}, {"term": "Who acts", "text": who}, since]
    if job.status == Status.SENDING and job.claim is None and job.due_at:
        rows.insert(2, {"term": "Leaves", "at": job.due_at})
    return rows


def buttons(job: Job, user: User, attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """The moves that the transition table and this person's role allow, each with its page."""
    moves = {row.name: row for row in allowed_moves(job, user)}
    found = {name: _button(job, name, row.label, row.primary) for name, row in moves.items()}
    for name in ("start", "hand_in", "correct"):
        if name in found and not job.may_read_private(user):
            del found[name]
    for name in ("confirm_received", "confirm_never"):
        if found.pop(name, None):
            url = reverse("sip:settle", args=[job.reference])
            found["settle"] = {"label": "Record what they say", "url": url, "primary": True}
    if job.claim is not None:
        found.pop("stop", None)
    if accepted_late(job, attempts) and user.has_perm(RESOLVE):
        label = "Record that they accepted it after all"
        found["accept_after_all"] = _button(job, "accept_after_all", label, primary=True)
        found.pop("authorise", None)
    return [found[name] for name in BUTTON_ORDER if name in found]


def accepted_late(job: Job, attempts: Iterable[Attempt]) -> bool:
    """Whether a late answer says that they accepted an earlier attempt of an open job."""
    late = any(each.late_outcome == Attempt.Outcome.ACCEPTED for each in attempts)
    return late and job.status in (Status.IN_PROGRESS, Status.CHECK)


_PAGES = {"start": "worksheet", "hand_in": "worksheet", "authorise": "check", "stop": "stop"}
_LABELS = {
    "start": "Fill in the worksheet",
    "hand_in": "Go on with the worksheet",
    "authorise": "Check before you send",
}


def _button(job: Job, name: str, label: str, primary: bool) -> dict[str, Any]:  # noqa: FBT001
    page = _PAGES.get(name)
    args = [job.reference] if page else [job.reference, name]
    return {
        "label": _LABELS.get(name, label),
        "url": reverse(f"sip:{page or 'move'}", args=args),
        "primary": primary,
        "post": name in ("stop", "correct"),
    }


def why(job: Job) -> str:
    """Why it is where it is, as a whole sentence."""
    text: str = job.why.rstrip(".")
    return f"{text}." if text else ""


# ---- What it is ---------------------------------------------------------------------------------


def facts(job: Job) -> list[dict[str, Any]]:
    """What lists and search hold of a job; nothing about health or risks."""
    rows = [
        ("MPAN", job.mpan, True),
        ("Supplier", job.supplier_mpid, True),
        ("Person on site", job.contact_name, False),
        ("Address", job.site, False),
        ("Planned for", f"{job.planned_date:%A %-d %B %Y}", False),
        ("Engineer", str(job.engineer or "Nobody yet"), False),
        ("Handed in by", str(job.handed_in_by or ""), False),
        ("How it ended", job.outcome, False),
        ("Job id", str(job.job_id), True),
        ("Their status", job.their_status, False),
        ("Their message", job.their_message, False),
        ("Scenario", job.scenario, True),
        ("Their request id", job.their_reference, True),
    ]
    return [{"label": label, "value": value, "mono": mono} for label, value, mono in rows if value]


def named_photos(photos: Iterable[Photo]) -> list[dict[str, Any]]:
    """Photos with what they show."""
    return [
        {
            "pk": photo.pk,
            "label": BLOCKS[photo.block].field(photo.field).label,
            "width": photo.width,
            "height": photo.height,
            "size": photo.size,
            "added_at": photo.added_at,
        }
        for photo in photos
    ]


def attempts_of(job: Job) -> list[Attempt]:
    """Every authorised send, newest first, without what the party wrote (one query)."""
    rows = job.sends.select_related("message", "resolution__by").defer("reply", "message__outline")
    return list(rows.order_by("-number"))


def reasons(attempt: Attempt) -> list[dict[str, str]]:
    """What the party did not take, each with the question of the worksheet it is about."""
    return [
        {"text": each["text"], "path": each.get("path", ""), "question": _question(each)}
        for each in attempt.details
    ]


def _question(detail: dict[str, str]) -> str:
    block = BLOCKS.get(detail.get("block", ""))
    if block is None:
        return ""
    field = detail.get("field", "")
    return f"{block.title}: {block.field(field).label}" if field else block.title


def phone() -> str:
    """Whom to ring about a message whose fate is unknown."""
    return str(settings.SIP_PARTY_PHONE)


# ---- The message --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A composed message as this person may read it."""

    parts: list[rules.Part]
    warnings: list[str]
    left_out: list[str]


def judged(made: worksheet.Composed, *, private: bool) -> Judged:
    """Say a message in words, with its warnings, as far as this person may read it."""
    parts = worksheet.in_words(made.sent, made.photos.values(), worksheet.codes())
    shown = made.warnings
    kept = made.left_out
    if not private:
        parts = worksheet.without_private(parts)
        shown = [each for each in shown if each.code not in HEALTH_WARNINGS]
        kept = [each for each in kept if not each.field or not _is_private(each)]
    return Judged(
        parts=parts,
        warnings=[each.sentence for each in shown],
        left_out=[each.sentence for each in kept],
    )


def _is_private(each: rules.LeftOut) -> bool:
    return each.field in worksheet.private_fields(each.block)


def private_parts(job: Job) -> list[rules.Part]:
    """Only what is hidden elsewhere: health data, risks and notes as they stand now."""
    answers = worksheet.answers_of(job)
    return [
        rules.Part(block=part.block, title=part.title, lines=lines)
        for part in worksheet.in_words(answers, ())
        if (lines := tuple(line for line in part.lines if line.private))
    ]


def may_open_worksheet(job: Job, user: User) -> bool:
    """Whether this person may look into the worksheet itself."""
    return user.has_perm(FILL) and job.may_fill(user) and job.may_read_private(user)


def sees_desk(user: User) -> bool:
    """Whether this person sees the whole desk."""
    return bool(user.has_perm(VIEW))


def send_problem(job: Job, user: User) -> str:
    """Why this person cannot send the message of this job."""
    return actions.may_send(job, user)
