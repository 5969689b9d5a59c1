"""The public application for the export tariff, step by step, without signing in.

What is typed is kept in a draft that a signed cookie names; the draft's key also names the sending,
so that however often it is sent there is one application.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from core.address import within_limit
from core.permissions import staff_user
from core.uploads import MAX_BYTES
from core.workflow import CUSTOMER, Actor, actor_for
from seg import actions
from seg.actions import Submission
from seg.models import Application, Attachment, Draft
from seg.public_forms import (
    MOST_FILES,
    AcceptForm,
    AddressForm,
    CertificateForm,
    CheckedFile,
    MetersForm,
    PaymentForm,
    ProofForm,
    StepForm,
    YouForm,
)

TERMS_VERSION: Final = "2026-01"
COOKIE: Final = "application"
SENT_SHOWN_FOR = timedelta(hours=1)
DRAFTS_PER_HOUR = 60
UPLOADS_PER_HOUR = 60
LARGEST_FORM = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
LARGEST_UPLOAD = MOST_FILES * MAX_BYTES + 2 * 1024 * 1024
READ_ON = 8 * LARGEST_UPLOAD

Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Rest], HttpResponseBase]


# ---- What every public page shares -----------------------------------------------------------


def for_anybody(view: View[Rest]) -> View[Rest]:
    """Let anybody in, turn away what is too large before it is read, and keep pages private."""
    protected = csrf_protect(view)

    @wraps(view)
    def guarded(
        request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs
    ) -> HttpResponseBase:
        response = _too_large(request) or protected(request, *args, **kwargs)
        add_never_cache_headers(response)
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return login_not_required(csrf_exempt(guarded))


def _too_large(request: HttpRequest) -> HttpResponseBase | None:
    """Read past a post that is too large, so that the browser gets to see the answer."""
    is_upload = request.content_type == "multipart/form-data"
    size = int(request.META.get("CONTENT_LENGTH") or 0)
    if size <= (LARGEST_UPLOAD if is_upload else LARGEST_FORM):
        return None
    left = min(size, READ_ON)
    while left > 0 and (piece := request.read(64 * 1024)):
        left -= len(piece)
    messages.error(
        request, "That was too large, so nothing was kept. Choose files of 10 MB at most."
    )
    return redirect(request.get_full_path())


def over_limit(request: HttpRequest, what: str, per_hour: int, form: forms.Form) -> bool:
    """Count one more use by this caller; over the limit, say on the form when to come back."""
    now = timezone.now()
    if is_staff(request) or within_limit(request, what, per_hour=per_hour, now=now):
        return False
    again = timezone.localtime(now + timedelta(hours=1))
    clock = f"{again.hour % 12 or 12}{again:%p}".lower()
    form.add_error(
        None,
        "Too much came from your internet connection within this hour. Nothing is lost: press "
        f"the button again after {clock}, or call us.",
    )
    return True


def is_staff(request: HttpRequest) -> bool:
    """Whether a person of the desk enters the application for a customer."""
    user = request.user
    return user.is_authenticated and user.has_perm("seg.decide_application")


def _by(request: HttpRequest) -> Actor:
    """Who sends the application: the customer, or the person who enters it for them."""
    return actor_for(staff_user(request)) if is_staff(request) else CUSTOMER


# ---- The draft -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """What this browser has typed or sent so far."""

    key: str
    draft: Draft | None
    sent: Application | None

    @property
    def answers(self) -> dict[str, dict[str, str]]:
        """What was typed, by step."""
        return dict(self.draft.answers) if self.draft else {}

    def kept(self, slug: str) -> dict[str, str]:
        """What was typed on one step."""
        return dict(self.answers.get(slug, {}))


def _visit(request: HttpRequest) -> Visit:
    days = Draft.KEPT_FOR
    key = str(request.get_signed_cookie(COOKIE, default="", salt=COOKIE, max_age=days))
    draft = Draft.objects.filter(key=key).first() if key else None
    sent = None
    if key and draft is None:
        sent = Application.objects.filter(submission_key=_submission_key(key)).first()
    return Visit(key, draft, sent)


def _submission_key(key: str) -> str:
    """Name the one sending that a draft can lead to."""
    return salted_hmac("seg.submission", key).hexdigest()


def _keep(visit: Visit, slug: str, typed: Mapping[str, str]) -> Draft:
    """Keep a step. What was sent before stays as it is: this begins another application."""
    key = visit.key if visit.draft else secrets.token_urlsafe(32)
    answers = {**visit.answers, slug: dict(typed)}
    return actions.keep_draft(key=key, answers=answers, now=timezone.now)


def _remember(response: HttpResponseBase, key: str) -> None:
    response.set_signed_cookie(
        COOKIE,
        key,
        salt=COOKIE,
        max_age=Draft.KEPT_FOR,
        path=reverse("seg:list"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _forget(response: HttpResponseBase) -> None:
    response.delete_cookie(COOKIE, path=reverse("seg:list"), samesite="Lax")


# ---- The application, step by step -----------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One page of the application."""

    slug: str
    title: str
    lead: str
    form: type[StepForm]
    template: str = "seg/apply_step.html"

    @property
    def number(self) -> int:
        """Its place, from 1."""
        return STAGES.index(self) + 1

    @property
    def url(self) -> str:
        """Its address."""
        return _step_url(self.slug)

    def judge(self, visit: Visit) -> StepForm:
        """Fill its form with what was kept, to be judged again."""
        kept = visit.kept(self.slug)
        return self.form(kept, kept=kept)


STAGES: Final = (
    Stage(
        "certificate",
        "Your installation certificate",
        "The installer who fitted your panels gave you an MCS certificate. We look it up, so you "
        "do not have to send a copy.",
        CertificateForm,
        "seg/apply_certificate.html",
    ),
    Stage(
        "address",
        "Where the panels are",
        "The address of the installation, as it stands on the certificate if you can.",
        AddressForm,
    ),
    Stage(
        "meters",
        "Your meters",
        "What goes into your home and what comes out of it have numbers of their own, called MPAN.",
        MetersForm,
    ),
    Stage("you", "About you", "So that we know who you are and where to write.", YouForm),
    Stage(
        "payment",
        "Where we pay",
        "One question first, then the bank account in the UK that we pay into.",
        PaymentForm,
    ),
    Stage(
        "proof",
        "Proof that it is yours",
        "You need not send anything. A file can save us a question, such as the certificate, the "
        "invoice or a letter of your distributor.",
        ProofForm,
        "seg/apply_proof.html",
    ),
)
BY_SLUG: Final = {stage.slug: stage for stage in STAGES}
ALL_STEPS = len(STAGES) + 1


def _step_url(slug: str) -> str:
    return reverse("seg:apply-step", args=[slug])


@for_anybody
@require_safe
def start(request: HttpRequest) -> HttpResponseBase:
    """Show the first step, or what was begun or sent before."""
    visit = _visit(request)
    if visit.sent and _is_fresh(visit.sent):
        return redirect("seg:apply-step", "sent")
    if visit.draft:
        return render(request, "seg/apply_again.html", {"draft": visit.draft, **_goes_on(visit)})
    return _show(request, STAGES[0], STAGES[0].form())


def _goes_on(visit: Visit) -> dict[str, Any]:
    gap = _first_gap(visit)
    place = gap.number if gap else ALL_STEPS
    return {"go_on": gap.url if gap else _step_url("check"), "place": place, "steps": ALL_STEPS}


def _is_fresh(application: Application) -> bool:
    """Whether it was sent so lately that this browser may show its private link."""
    return timezone.now() - application.received_at < SENT_SHOWN_FOR


def _first_gap(visit: Visit) -> Stage | None:
    """The first step that is not right yet; nobody has to send a file."""
    return next((stage for stage in STAGES[:-1] if not stage.judge(visit).is_valid()), None)


@for_anybody
def step(request: HttpRequest, step: str) -> HttpResponseBase:
    """Show or take one step. Steps cannot be skipped, and nothing is changed after sending."""
    if step in ELSEWHERE:
        return ELSEWHERE[step](request)
    visit = _visit(request)
    if visit.sent and _is_fresh(visit.sent):
        return redirect("seg:apply-step", "sent")
    if step == "check":
        return _check(request, visit)
    if step not in BY_SLUG:
        raise Http404
    stage, gap = BY_SLUG[step], _first_gap(visit)
    if gap and gap.number < stage.number:
        return _back_to(request, gap, visit)
    if "remove" in request.POST:
        return _remove(request, visit)
    return (
        _take(request, visit, stage) if request.method == "POST" else _again(request, visit, stage)
    )


def _back_to(request: HttpRequest, gap: Stage, visit: Visit) -> HttpResponseBase:
    """Send somebody back to the first step that is not right."""
    if request.method == "POST" or visit.draft:
        messages.warning(request, "This page comes first: something is still missing here.")
    return redirect(gap.url)


def _again(request: HttpRequest, visit: Visit, stage: Stage) -> HttpResponseBase:
    """Show a step with what was typed, and what was wrong with it if that was just sent."""
    if "look" in request.GET and visit.kept(stage.slug):
        return _show(request, stage, stage.judge(visit), visit)
    return _show(request, stage, stage.form(kept=visit.kept(stage.slug)), visit)


def _show(
    request: HttpRequest,
    stage: Stage,
    form: StepForm,
    visit: Visit | None = None,
    status: int = 200,
) -> HttpResponseBase:
    draft = visit.draft if visit else None
    before = STAGES[stage.number - 2] if stage.number > 1 else None
    then_check = request.GET.get("then") == "check"
    context = {
        "stage": stage,
        "steps": ALL_STEPS,
        "form": form,
        "action": _with_query(stage.url, request),
        "back": _step_url("check") if then_check else before and before.url,
        "then_check": then_check,
        "draft": draft,
        "attachments": list(draft.attachments.all()) if draft and stage.slug == "proof" else [],
        "most_files": MOST_FILES,
        "for_customer": is_staff(request),
    }
    return render(request, stage.template, context, status=status)


def _with_query(url: str, request: HttpRequest, *, look: bool = False) -> str:
    query = [name for name in ("then=check" if request.GET.get("then") == "check" else "",) if name]
    query += ["look=1"] if look else []
    return f"{url}?{'&'.join(query)}" if query else url


def _take(request: HttpRequest, visit: Visit, stage: Stage) -> HttpResponseBase:
    """Keep a step as it was typed, right or wrong, and go on when it is right."""
    form = stage.form(request.POST, request.FILES, kept=visit.kept(stage.slug))
    right = form.is_valid()
    if visit.draft is None and over_limit(request, "apply-draft", DRAFTS_PER_HOUR, form):
        return _show(request, stage, form, visit, status=429)
    if request.FILES and over_limit(request, "apply-upload", UPLOADS_PER_HOUR, form):
        return _show(request, stage, form, visit, status=429)
    if right and visit.draft and form.cleaned_data.get("file"):
        right = _add_file(visit.draft, form)
    draft = _keep(visit, stage.slug, form.to_keep())
    here = _with_query(stage.url, request, look=True)
    response = redirect(_after(request, stage) if right else here)
    _remember(response, draft.key)
    return response


def _after(request: HttpRequest, stage: Stage) -> str:
    if request.POST.get("do") == "add":
        return _with_query(stage.url, request)
    if request.GET.get("then") == "check" or stage is STAGES[-1]:
        return _step_url("check")
    return STAGES[stage.number].url


def _add_file(draft: Draft, form: StepForm) -> bool:
    """Store the file that came with a step. False, and said on the form, at too many."""
    file: CheckedFile = form.cleaned_data["file"][0]
    present = list(draft.attachments.all())
    if any(one.sha256 == file.upload.sha256 for one in present):
        return True
    if len(present) >= MOST_FILES:
        form.add_error("file", f"{MOST_FILES} files are the most. Remove one first.")
        return False
    actions.attach(upload=file.upload, content=file.content, draft=draft, now=timezone.now)
    return True


def _remove(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Forget one file of this draft."""
    number = request.POST["remove"]
    files = Attachment.objects.filter(draft=visit.draft, draft__isnull=False)
    found = files.filter(pk=int(number)).first() if number.isdecimal() else None
    if found:
        actions.remove_attachment(attachment=found)
        messages.success(request, f"Removed: {found.name}")
    return redirect(_with_query(_step_url("proof"), request))


# ---- Check and send --------------------------------------------------------------------------


def _check(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Show everything once more; send what was shown, once."""
    if visit.sent:
        messages.info(
            request, "That application was sent. Its private link is in the e-mail we sent you."
        )
        return redirect("seg:apply")
    gap = _first_gap(visit)
    if gap or visit.draft is None:
        return _back_to(request, gap or STAGES[0], visit)
    attachments = list(visit.draft.attachments.all())
    shown = _digest(visit, attachments)
    if request.method != "POST":
        form = AcceptForm({} if "look" in request.GET else None)
        return _show_check(request, visit, attachments, form)
    if not constant_time_compare(request.POST.get("shown", ""), shown):
        messages.warning(
            request, "Something changed since this page was opened. Check it once more, then send."
        )
        return redirect("seg:apply-step", "check")
    return _send(request, visit, attachments)


def _send(request: HttpRequest, visit: Visit, attachments: list[Attachment]) -> HttpResponseBase:
    form = AcceptForm(request.POST)
    if not form.is_valid():
        return redirect(f"{_step_url('check')}?look=1")
    if over_limit(request, "apply", settings.SEG_APPLICATIONS_PER_HOUR, form):
        return _show_check(request, visit, attachments, form, status=429)
    actions.submit(
        submission=_submission(visit),
        key=_submission_key(visit.key),
        draft=visit.draft,
        by=_by(request),
        now=timezone.now,
    )
    response = redirect("seg:apply-step", "sent")
    _remember(response, visit.key)
    return response


def _digest(visit: Visit, attachments: list[Attachment]) -> str:
    """Name exactly what the check page shows."""
    what = [visit.key, visit.answers, TERMS_VERSION, [one.sha256 for one in attachments]]
    return salted_hmac("seg.shown", json.dumps(what, sort_keys=True)).hexdigest()


def _submission(visit: Visit) -> Submission:
    said: dict[str, Any] = {}
    for stage in STAGES:
        form = stage.judge(visit)
        form.is_valid()
        said |= form.cleaned_data
    said["no_fit_export"] = said["fit"] == "no"
    said["battery"] = said["battery"] == "yes"
    names = Submission.__dataclass_fields__.keys() - {"terms_version"}
    return Submission(terms_version=TERMS_VERSION, **{name: said[name] for name in names})


def _show_check(
    request: HttpRequest,
    visit: Visit,
    attachments: list[Attachment],
    form: AcceptForm,
    status: int = 200,
) -> HttpResponseBase:
    for_customer = is_staff(request)
    if for_customer:
        form.fields["accept"].label = "The customer has heard the terms and accepts them"
    context = {
        "parts": list(_parts(visit, attachments)),
        "form": form,
        "shown": _digest(visit, attachments),
        "gets_fit": visit.kept("payment").get("fit") == "yes",
        "terms_version": TERMS_VERSION,
        "steps": ALL_STEPS,
        "back": STAGES[-1].url,
        "for_customer": for_customer,
    }
    return render(request, "seg/apply_check.html", context, status=status)


def _parts(visit: Visit, attachments: list[Attachment]) -> Iterator[dict[str, Any]]:
    """What was typed, a heading for each step."""
    for stage in STAGES[:-1]:
        form = stage.judge(visit)
        form.is_valid()
        rows = [
            {
                "label": answer.label,
                "value": answer.value,
                "mono": answer.mono,
                "change_url": f"{stage.url}?then=check#id_{answer.field}",
            }
            for answer in form.answers()
        ]
        yield {"title": stage.title, "answers": rows}
    proof = STAGES[-1]
    value = ", ".join(one.name for one in attachments)
    row = {"label": "Files", "value": value, "change_url": f"{proof.url}?then=check"}
    yield {"title": proof.title, "answers": [row]}


# ---- Beside the steps ------------------------------------------------------------------------


def _sent(request: HttpRequest) -> HttpResponseBase:
    """Show reference and private link of what this browser has just sent."""
    visit = _visit(request)
    if visit.sent is None or not _is_fresh(visit.sent):
        return redirect("seg:apply")
    context = {
        "application": visit.sent,
        "link": actions.tracking_link(visit.sent),
        "for_customer": is_staff(request),
    }
    return render(request, "seg/sent.html", context)


def _terms(request: HttpRequest) -> HttpResponseBase:
    return render(request, "seg/apply_terms.html", {"terms_version": TERMS_VERSION})


@require_POST
def _afresh(request: HttpRequest) -> HttpResponseBase:
    """Forget what was typed and begin again."""
    visit = _visit(request)
    if visit.draft:
        actions.forget_draft(draft=visit.draft)
    response = redirect("seg:apply")
    _forget(response)
    return response


ELSEWHERE: Final = {"sent": _sent, "terms": _terms, "afresh": _afresh}
