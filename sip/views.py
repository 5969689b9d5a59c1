"""Pages of one isolation job for the office: the case, its moves, its files, the desk's key."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from core import casework
from core.forms import AssignForm, NoteForm
from core.models import User
from core.permissions import check, needs, staff_user
from core.timeline import timeline
from core.workflow import Impossible, actor_for, conflict, transition
from sip import actions, evidence, looks, worksheet
from sip.forms import KeyForm, PlanForm, ReasonForm
from sip.models import CHANGE, SEND_IT, VIEW, Attempt, Job, KeyStop, Photo, Resolution

Status = Job.Status


# ---- The case --------------------------------------------------------------------------------


def case(request: HttpRequest, reference: str) -> HttpResponseBase:
    """One job: what happens next, its attempts, what is known, its history."""
    job, user = looks.load(request, reference), staff_user(request)
    if not looks.sees_desk(user):
        return redirect("sip:worksheet", reference=reference)
    attempts = looks.attempts_of(job)
    private = job.may_read_private(user)
    refused = attempts[0] if attempts and job.status == Status.REFUSED else None
    if refused and private:
        actions.read_private(job=job, by=actor_for(user), now=timezone.now)
    context = {
        "case": job,
        "next": looks.next_steps(job, user),
        "moves": looks.buttons(job, user, attempts),
        "case_note": looks.why(job),
        "facts": looks.facts(job),
        "attempts": attempts,
        "refused": refused,
        "reasons": looks.reasons(refused) if refused and private else [],
        "private": private,
        "key_stop": KeyStop.current() if job.status in (Status.CHECK, Status.SENDING) else None,
        "late": looks.accepted_late(job, attempts),
        "send_problem": looks.send_problem(job, user) if job.status == Status.CHECK else "",
        "clashes": worksheet.open_clashes(job) if private else [],
        "photos": looks.named_photos(worksheet.photos_of(job).values()) if private else [],
        "versions": job.versions.defer("outline").order_by("-version"),
        "phone": looks.phone(),
        "may_open": looks.may_open_worksheet(job, user),
        **_beside(job, user),
    }
    response = render(request, "sip/case.html", context)
    if refused:
        response["Cache-Control"] = "private, no-store"
    return response


def _beside(job: Job, user: User) -> dict[str, Any]:
    may = user.has_perm(CHANGE)
    planned = may and job.status in (*Job.WORKSHEET_OPEN, Status.REFUSED)
    return {
        "timeline": timeline(job),
        "note_form": NoteForm() if may else None,
        "note_url": reverse("sip:note", args=[job.reference]),
        "assign_form": _assign_form(job) if may else None,
        "plan_form": _plan_form(job) if planned else None,
    }


def _assign_form(job: Job, posted: Any = None) -> AssignForm:
    people = User.objects.filter(is_active=True, groups__permissions__codename="send_job")
    return AssignForm(posted, people=people.distinct(), initial={"person": job.assigned_to_id})


def _plan_form(job: Job, posted: Any = None) -> PlanForm:
    known = {"engineer": job.engineer_id, "planned_date": job.planned_date}
    return PlanForm(posted, initial=known, day_needed=True)


@require_POST
@needs(VIEW)
@never_cache
def private(request: HttpRequest, reference: str) -> HttpResponse:
    """Show health data and risks once; that is recorded first."""
    job, user = looks.load(request, reference), staff_user(request)
    _record_reading(request, job)
    context = {
        "case": job,
        "parts": looks.private_parts(job),
        "page_title": f"Health data and site risks, {job.reference}",
        "worksheet": looks.may_open_worksheet(job, user),
    }
    response = render(request, "sip/private.html", context)
    response["Cache-Control"] = "private, no-store"
    return response


def _record_reading(request: HttpRequest, job: Job) -> None:
    try:
        by = actor_for(staff_user(request))
        actions.read_private(job=job, by=by, now=timezone.now)
    except Impossible as problem:
        raise PermissionDenied(problem.sentence) from problem


# ---- Moves -----------------------------------------------------------------------------------

REASONS: dict[str, tuple[str, str, Callable[..., Any], str]] = {
    "hand_back": (
        "Hand {0} back to the engineer",
        "What the engineer should look at",
        actions.hand_back,
        "Handed back. The engineer sees your reason on the worksheet.",
    ),
    "cancel": (
        "Cancel {0}",
        "Why this job is cancelled",
        actions.cancel,
        "Cancelled. Nothing is sent for this job.",
    ),
    "accept_after_all": (
        "Record that they accepted {0} after all",
        "What you know about it",
        actions.accept_after_all,
        "Recorded as accepted. Nothing is sent.",
    ),
}


def move(request: HttpRequest, reference: str, name: str) -> HttpResponseBase:
    """Make a move that needs a reason, or open a refused worksheet again."""
    job = looks.load(request, reference)
    if name == "correct":
        return _correct(request, job)
    if name not in REASONS:
        raise Http404
    row = transition(Job, name)
    check(request, row.permission)
    if job.status not in row.sources:
        messages.error(request, conflict(job).sentence)
        return redirect(job)
    title, label, action, said = REASONS[name]
    form = ReasonForm(request.POST or None, label=label)
    if request.method == "POST" and form.is_valid():
        act = partial(action, job=job, by=actor_for(staff_user(request)), now=timezone.now)
        return _done(request, job, partial(act, reason=form.cleaned_data["reason"]), said)
    context = {
        "page_title": title.format(reference),
        "lead": f"{job.contact_name}, {job.site}",
        "form": form,
        "button": row.label,
        "cancel_url": job.get_absolute_url(),
        "cancel_label": "Back to the case",
        "case": job,
    }
    return render(request, "sip/form.html", context)


def _correct(request: HttpRequest, job: Job) -> HttpResponseBase:
    check(request, transition(Job, "correct").permission)
    if request.method == "POST":
        try:
            actions.correct(job=job, by=actor_for(staff_user(request)), now=timezone.now)
        except Impossible as problem:
            messages.error(request, problem.sentence)
        else:
            messages.success(request, "The worksheet is open. What they refused stands there.")
            if looks.may_open_worksheet(job, staff_user(request)):
                return redirect("sip:worksheet", reference=job.reference)
    return redirect(job)


def _done(request: HttpRequest, job: Job, act: Callable[[], Any], said: str) -> HttpResponseBase:
    """Do it, or say why it could not be done; back to the case."""
    try:
        act()
    except Impossible as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, said)
    return redirect(job)


# ---- Notes and people ------------------------------------------------------------------------


@require_POST
@needs(CHANGE)
def note(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Add a note for colleagues."""
    job, form = looks.load(request, reference), NoteForm(request.POST)
    if form.is_valid():
        by = actor_for(staff_user(request))
        casework.note(job, text=form.cleaned_data["text"], by=by, now=timezone.now())
        messages.success(request, "Note added.")
    else:
        text = "The note was empty or too long (5,000 characters). Nothing was added."
        messages.error(request, text)
    return redirect(job)


@require_POST
@needs(CHANGE)
def assign(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Give the case to somebody of the desk, or to nobody."""
    job = looks.load(request, reference)
    form = _assign_form(job, request.POST)
    if form.is_valid():
        to, by = form.cleaned_data["person"], actor_for(staff_user(request))
        casework.assign(job, to=to, by=by, now=timezone.now())
        messages.success(request, f"Given to {to or 'nobody'}.")
    else:
        messages.error(request, "Choose a person from the list. Nothing was changed.")
    return redirect(job)


@require_POST
@needs(CHANGE)
def plan(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Give the job to an engineer and plan its day."""
    job = looks.load(request, reference)
    form = _plan_form(job, request.POST)
    if not form.is_valid():
        messages.error(request, "Choose an engineer and a day. Nothing was changed.")
        return redirect(job)
    by = actor_for(staff_user(request))
    act = partial(actions.assign_engineer, job=job, by=by, now=timezone.now, **form.cleaned_data)
    who = form.cleaned_data["engineer"] or "nobody"
    return _done(request, job, act, f"Given to {who}.")


# ---- Files -----------------------------------------------------------------------------------


@never_cache
def photo(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show one photo to the job's engineer and the desk; that it was looked at is recorded."""
    seen = Job.objects.seen_by(staff_user(request))
    row: Photo = get_object_or_404(Photo.objects.select_related("job"), pk=pk, job__in=seen)
    _record_reading(request, row.job)
    return _file(row.file, f"{row.field}.jpg", "image/jpeg", download=False)


@needs(VIEW)
@never_cache
def resolution_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send what the party gave in writing about an unknown message, as a download."""
    rows = Resolution.objects.exclude(evidence="").select_related("attempt__job")
    row: Resolution = get_object_or_404(rows, pk=pk)
    _record_reading(request, row.attempt.job)
    return _file(row.evidence, row.evidence_name, row.evidence_type, download=True)


def _file(file: Any, name: str, content_type: str, *, download: bool) -> HttpResponseBase:
    try:
        content = file.open("rb")
    except FileNotFoundError as problem:
        raise Http404 from problem
    response = FileResponse(
        content, as_attachment=download, filename=name, content_type=content_type
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


@needs(VIEW)
@never_cache
def pack(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Send the evidence pack of a job; with what this person may read."""
    job, user = looks.load(request, reference), staff_user(request)
    private_too = job.may_read_private(user)
    if private_too:
        actions.read_private(job=job, by=actor_for(user), now=timezone.now)
    try:
        body = evidence.pack(job, private=private_too, now=timezone.now())
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(job)
    response = HttpResponse(body, content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{job.reference}.zip"'
    response["Cache-Control"] = "private, no-store"
    return response


# ---- One attempt -----------------------------------------------------------------------------


@needs(VIEW)
@never_cache
def attempt(request: HttpRequest, reference: str, number: int) -> HttpResponse:
    """One attempt: who confirmed it, when it left, what came back, word by word."""
    job, user = looks.load(request, reference), staff_user(request)
    rows = job.sends.select_related("message", "resolution__by")
    row: Attempt = get_object_or_404(rows, number=number)
    may_read = job.may_read_private(user)
    if may_read and (row.reply or row.details):
        actions.read_private(job=job, by=actor_for(user), now=timezone.now)
    context = {
        "case": job,
        "attempt": row,
        "private": may_read,
        "reasons": looks.reasons(row) if may_read else [],
        "page_title": f"Attempt {number} of {job.reference}",
    }
    response = render(request, "sip/attempt.html", context)
    response["Cache-Control"] = "private, no-store"
    return response


# ---- The key ---------------------------------------------------------------------------------


@needs(VIEW)
def key(request: HttpRequest) -> HttpResponseBase:
    """The desk is stopped because the party refused our key: say that it is fixed."""
    stop = KeyStop.current()
    if stop is None:
        messages.info(request, "The desk is not stopped: messages are sent.")
        return redirect("sip:list")
    may = request.user.has_perm(SEND_IT)
    form = KeyForm(request.POST or None) if may else None
    if form is not None and request.method == "POST" and form.is_valid():
        by = actor_for(staff_user(request))
        try:
            actions.key_is_fixed(note=form.cleaned_data["note"], by=by, now=timezone.now)
        except Impossible as problem:
            messages.error(request, problem.sentence)
        else:
            messages.success(request, "Messages are sent again, each as it comes due.")
        return redirect("sip:list")
    waiting = Job.objects.filter(status=Status.SENDING).count()
    context = {"stop": stop, "form": form, "waiting": waiting, "page_title": "Nothing is sent"}
    return render(request, "sip/key.html", context)
