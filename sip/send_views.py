"""Check, send, stop, settle: what leaves for the market and cannot be called back.

A message is shown whole before it is confirmed, confirmed once, and stopped while it waits.
"""

import math
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from core import confirm
from core.permissions import needs, staff_user
from core.workflow import Impossible, actor_for, conflict
from sip import actions, looks, rules, worksheet
from sip.forms import EvidenceForm, SettleForm
from sip.messages import BLOCKS
from sip.models import RESOLVE, SEND_IT, VIEW, Attempt, Job, KeyStop, Resolution

Status = Job.Status
DONE_ALREADY = "This was done already; it was not done twice."


def _no_store(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "private, no-store"
    return response


# ---- Check and send --------------------------------------------------------------------------


@needs(SEND_IT)
@never_cache
def check_page(request: HttpRequest, reference: str) -> HttpResponseBase:
    """The whole message before it is sent; pressing once confirms exactly what was shown."""
    job = looks.load(request, reference)
    if request.method == "POST":
        return _authorise(request, job)
    if job.status != Status.CHECK:
        messages.error(request, conflict(job).sentence)
        return redirect(job)
    user = staff_user(request)
    private = job.may_read_private(user)
    if private:
        actions.read_private(job=job, by=actor_for(user), now=timezone.now)
    try:
        made = worksheet.composed(job, now=timezone.now())
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(job)
    return _no_store(render(request, "sip/check.html", _check_context(request, job, made)))


def _check_context(request: HttpRequest, job: Job, made: worksheet.Composed) -> dict[str, Any]:
    user = staff_user(request)
    private = job.may_read_private(user)
    problem = actions.may_send(job, user)
    seen = looks.judged(made, private=private)
    ready = not made.problems and not problem
    return {
        "case": job,
        "page_title": f"Check before you send {job.reference}",
        "seen": seen,
        "blocks": _blocks(made, seen),
        "problems": [BLOCKS[each.block].title for each in made.problems],
        "send_problem": problem,
        "private": private,
        "made": made,
        "previous": job.versions.defer("outline").order_by("-version").first(),
        "earlier": job.sends.order_by("-number").first(),
        "json": worksheet.shown_json(made) if private else "",
        "token": confirm.token_for(worksheet.shown(job, made), user) if ready else "",
        "seconds": settings.SEND_DELAY_SECONDS,
        "key_stop": KeyStop.current(),
        "photos": looks.named_photos(made.photos.values()) if private else [],
    }


def _blocks(made: worksheet.Composed, seen: looks.Judged) -> list[dict[str, Any]]:
    """Every block of the worksheet: what is sent of it, or why it is left out."""
    parts = {part.block: part for part in seen.parts}
    return [
        {"title": BLOCKS[name].title, "verdict": verdict, "part": parts.get(name)}
        for name, verdict in rules.required_blocks(made.answers).items()
    ]


def _authorise(request: HttpRequest, job: Job) -> HttpResponseBase:
    token = request.POST.get("token", "")
    if confirm.used(token):
        messages.info(request, DONE_ALREADY)
        return redirect("sip:sending", reference=job.reference)
    by = actor_for(staff_user(request))
    try:
        actions.authorise(job=job, token=token, by=by, now=timezone.now)
    except Impossible as problem:
        if confirm.used(token):
            messages.info(request, DONE_ALREADY)
            return redirect("sip:sending", reference=job.reference)
        messages.error(request, problem.sentence)
        return redirect(job)
    return redirect("sip:sending", reference=job.reference)


# ---- Sending, and what came of it ------------------------------------------------------------


@needs(VIEW)
@never_cache
def sending(request: HttpRequest, reference: str) -> HttpResponse:
    """Count down until the message leaves, then say what came of it; Stop while it waits."""
    job = looks.load(request, reference)
    attempt = job.sends.select_related("message").order_by("-number").first()
    if attempt is None:
        return redirect(job)
    context = _sending_context(request, job, attempt)
    part = bool(request.htmx)  # type: ignore[attr-defined]
    name = "sip/sending_part.html" if part else "sip/sending.html"
    return _no_store(render(request, name, context))


def _sending_context(request: HttpRequest, job: Job, attempt: Attempt) -> dict[str, Any]:
    left = math.ceil((attempt.send_at - timezone.now()).total_seconds())
    waiting = attempt.outcome == Attempt.Outcome.WAITING and job.status == Status.SENDING
    first = attempt.tries == 0
    total = round((attempt.send_at - attempt.confirmed_at).total_seconds())
    may_stop = waiting and job.claim is None and request.user.has_perm(SEND_IT)
    return {
        "case": job,
        "attempt": attempt,
        "page_title": f"Sending {job.reference}",
        "state": attempt.outcome,
        "open": attempt.outcome in Attempt.OPEN,
        "first": first,
        "seconds_left": max(0, left) if waiting and first else 0,
        "seconds_total": max(1, total),
        "again_at": attempt.send_at if waiting and not first else None,
        "key_stop": KeyStop.current() if waiting else None,
        "poll_url": reverse("sip:sending", args=[job.reference]),
        "stop_url": reverse("sip:stop", args=[job.reference]) if may_stop else "",
        "phone": looks.phone(),
    }


@require_POST
@needs(SEND_IT)
def stop(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Stop a message that has not left."""
    job = looks.load(request, reference)
    try:
        actions.stop(job=job, by=actor_for(staff_user(request)), now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, "Stopped. Nothing was sent.")
    return redirect(job)


# ---- Unknown ---------------------------------------------------------------------------------


@never_cache
def settle(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Record what the party says about a message whose fate is unknown: form, check, once."""
    job, user = looks.load(request, reference), staff_user(request)
    if not user.has_perm(RESOLVE):
        raise PermissionDenied("Your role does not settle unknown messages. Ask a supervisor.")
    if job.status != Status.UNKNOWN:
        messages.error(request, conflict(job).sentence)
        return redirect(job)
    form = SettleForm(request.POST or None)
    if request.method != "POST" or not form.is_valid() or "change" in request.POST:
        return _settle_form(request, job, form)
    if "token" not in request.POST:
        return _settle_check(request, job, form, EvidenceForm())
    files = EvidenceForm(request.POST, request.FILES)
    if not files.is_valid():
        return _settle_check(request, job, form, files)
    return _settled(request, job, form, files)


def _settle_form(request: HttpRequest, job: Job, form: SettleForm) -> HttpResponse:
    attempt = job.sends.filter(outcome=Attempt.Outcome.UNKNOWN).order_by("-number").first()
    context = {
        "page_title": "Record what they say",
        "lead": f"{job.reference}, {job.contact_name}, {job.post_code}",
        "form": form,
        "button": "Continue",
        "cancel_url": job.get_absolute_url(),
        "cancel_label": "Back to the case",
        "case": job,
        "attempt": attempt,
        "phone": looks.phone(),
    }
    return render(request, "sip/settle.html", context)


def _words_of(form: SettleForm) -> str:
    said = form.cleaned_data
    return "\n".join((said["answer"], said["told_by"], said["reason"]))


def _settle_check(
    request: HttpRequest, job: Job, form: SettleForm, files: EvidenceForm
) -> HttpResponse:
    said = form.cleaned_data
    answers = [
        {"label": "Job", "value": f"{job.reference}, {job.contact_name}"},
        {"label": "They say", "value": Resolution.Answer(said["answer"]).label},
        {"label": "Told by", "value": said["told_by"]},
        {"label": "How they know", "value": said["reason"]},
    ]
    for field in form.fields.values():
        field.widget = forms.HiddenInput()
    shown = confirm.Shown(job, "settle", _words_of(form))
    context = {
        "title": "Check what you record",
        "page_title": "Check what you record",
        "answers_title": "What you record",
        "answers": answers,
        "form": files,
        "hidden": form,
        "token": confirm.token_for(shown, staff_user(request)),
        "cannot_undo": CONSEQUENCES[said["answer"]],
        "button": "Record what they said",
        "warning_button": True,
        "cancel_url": job.get_absolute_url(),
        "cancel_label": "Back without recording",
        "case": job,
    }
    return render(request, "sip/settle_check.html", context)


CONSEQUENCES = {
    Resolution.Answer.RECEIVED: "The job becomes Accepted and nothing is sent again. You cannot "
    "take this back.",
    Resolution.Answer.NEVER: "The job can be checked and sent again, as a new attempt that "
    "somebody confirms. If they do have it after all, sending again makes a second market message. "
    "You cannot take this back.",
}


def _settled(
    request: HttpRequest, job: Job, form: SettleForm, files: EvidenceForm
) -> HttpResponseBase:
    user, token = staff_user(request), request.POST["token"]
    try:
        confirm.redeem(token, confirm.Shown(job, "settle", _words_of(form)), user)
        actions.resolve_unknown(
            job=job,
            by=actor_for(user),
            now=timezone.now,
            evidence=files.cleaned_data["evidence"],
            **form.cleaned_data,
        )
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(job)
    messages.success(request, "Recorded. Nothing was sent.")
    return redirect(job)
