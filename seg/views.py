"""Staff pages of the export tariff desk: load, one action, message, redirect."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from core import casework, confirm, mail
from core.forms import AssignForm, NoteForm
from core.models import Email, User
from core.permissions import check, needs, staff_user
from core.timeline import timeline
from core.workflow import Impossible, actor_for, allowed_moves, conflict, transition
from seg import actions, rules
from seg.forms import ApproveForm, AskForm, RefuseForm, ReopenForm, WithdrawForm
from seg.letters import Letter
from seg.models import Application, Attachment, Check, Verification
from seg.public_forms import CorrectForm, ExportMpanForm

VIEW = "seg.view_application"
DECIDE = "seg.decide_application"
Status = Application.Status

NEXT: dict[str, tuple[str, str]] = {
    Status.CHECKING: ("The registry is asked", "The portal"),
    Status.REVIEW: ("Decide, or ask the customer", ""),
    Status.WAITING: ("The customer answers", "The customer"),
    Status.APPROVED: ("The certificate is read again", "The portal"),
    Status.SUSPENDED: ("Decide whether the tariff goes on", ""),
    Status.REFUSED: ("Nothing, unless the customer asks for a review", "Nobody"),
    Status.WITHDRAWN: ("Nothing", "Nobody"),
}


def _load(reference: str) -> Application:
    rows = Application.objects.select_related("assigned_to", "tariff")
    application: Application = get_object_or_404(rows, reference=reference)
    return application


# ---- The case --------------------------------------------------------------------------------


@needs(VIEW)
def case(request: HttpRequest, reference: str) -> HttpResponse:
    """One application: what happens next, both sides, checks and history."""
    application = _load(reference)
    verification = application.latest_verification()
    checks = _ordered(verification)
    user = staff_user(request)
    context = {
        "case": application,
        "next": _next(application, user),
        "moves": _buttons(application, user),
        "case_note": _case_note(application, checks),
        "comparison": _comparison(application, verification),
        "verification": verification,
        "checks": checks,
        "tally": {r: sum(c.result == r for c in checks) for r in ("fail", "look", "pass")},
        "timeline": timeline(application),
        "questions": application.questions.select_related("asked_by").prefetch_related(
            "attachments"
        ),
        "attachments": application.attachments.filter(question=None),
        "note_form": NoteForm() if user.has_perm(DECIDE) else None,
        "note_url": reverse("seg:note", args=[reference]),
        "assign_form": _assign_form(application) if user.has_perm(DECIDE) else None,
        "waiting_mail": mail.waiting_for(application, actions.DECISION),
        "may_reveal": user.has_perm("seg.reveal_bank_details"),
        "then_tariff": application.tariff or actions.tariff_for(application),
        "export_form": _export_form(application, user),
    }
    return render(request, "seg/case.html", context)


def _export_form(application: Application, user: User) -> ExportMpanForm | None:
    missing = application.status in actions.PAID and not application.export_mpan
    return ExportMpanForm() if missing and user.has_perm(DECIDE) else None


def _ordered(verification: Verification | None) -> list[Any]:
    """Checks, failures first."""
    order = {"fail": 0, "look": 1, "pass": 2}
    rows = list(verification.checks.all()) if verification else []
    return sorted(rows, key=lambda row: (order[row.result], row.position))


def _next(application: Application, user: User) -> list[dict[str, Any]]:
    what, who = NEXT[application.status]
    assigned = application.assigned_to
    name = f"{assigned} (you)" if assigned == user else str(assigned or "Nobody yet")
    at = (
        application.due_at if application.status in ("checking", "approved") else application.due_by
    )
    rows: list[dict[str, Any]] = [
        {"term": "Next", "text": what},
        {"term": "Who acts", "text": who or name},
        {"term": "By", "at": at} if at else {},
        {"term": "Like this since", "at": application.status_at},
    ]
    return [row for row in rows if row]


BUTTON_ORDER = (
    "approve",
    "reinstate",
    "ask",
    "refuse",
    "amend",
    "check_again",
    "reopen",
    "withdraw",
)
PAGES = {"check_again": "seg:again", "amend": "seg:amend"}


def _buttons(application: Application, user: User) -> list[dict[str, Any]]:
    moves = {row.name: row for row in allowed_moves(application, user)}
    buttons = []
    for name in BUTTON_ORDER:
        if row := moves.get(name):
            url_name = PAGES.get(name, "seg:decide")
            args = [application.reference] + ([] if name in PAGES else [name])
            buttons.append(
                {
                    "label": _label(application, name, row.label),
                    "url": reverse(url_name, args=args),
                    "primary": row.primary,
                    "post": name == "check_again",
                }
            )
    if application.status in (Status.CHECKING, Status.APPROVED) and user.has_perm(DECIDE):
        again = reverse("seg:again", args=[application.reference])
        buttons.append({"label": "Ask the registry again now", "url": again, "post": True})
    return buttons


def _label(application: Application, name: str, label: str) -> str:
    if name in ("approve", "reinstate"):
        tariff = application.tariff or actions.tariff_for(application)
        if tariff:
            return label.replace("the tariff", f"tariff {tariff.code}")
    return label


def _case_note(application: Application, checks: list[Any]) -> str:
    if application.status != Status.REVIEW or not checks:
        return ""
    failed = sum(row.result == "fail" for row in checks)
    look = sum(row.result == "look" for row in checks)
    if not failed and not look:
        return "Every check passes. You read the customer’s e-mail before it leaves."
    return (
        f"{failed} {'check fails' if failed == 1 else 'checks fail'}, {look} "
        f"{'needs' if look == 1 else 'need'} a look. Approving asks for your reason; "
        "you read the customer’s e-mail before it leaves."
    )


COMPARED = (
    "number",
    "address",
    "postcode",
    "import_mpan",
    "technology",
    "capacity",
    "commissioned",
    "distributor",
)
MARKED = ("number", "address", "postcode", "import_mpan")


def _comparison(
    application: Application, verification: Verification | None
) -> list[dict[str, Any]]:
    """Both sides of each fact, with the differing pieces marked."""
    if verification is None or not verification.found:
        return []
    rows = {row.code: row for row in verification.checks.all()}
    return [
        {
            "fact": rows[code].title,
            "check": rows[code],
            "ours": _pieces(rows[code], rows[code].ours, rows[code].theirs),
            "theirs": _pieces(rows[code], rows[code].theirs, rows[code].ours),
            "label": _label_of(rows[code]),
        }
        for code in COMPARED
        if code in rows
    ]


def _label_of(row: Check) -> str:
    if not (row.ours and row.theirs) or row.code not in MARKED:
        return row.get_result_display()
    return "Same" if row.result == Check.Result.PASS else "Differs"


def _pieces(row: Check, text: str, other: str) -> list[tuple[str, bool]]:
    if row.result == Check.Result.PASS or row.code not in MARKED or not (text and other):
        return [(text, False)]
    return rules.differences(text, other)


# ---- Decisions: reason, check page, done -----------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """One kind of decision: its form, its letter, its action and its words."""

    form: type[forms.Form]
    action: Callable[..., Any]
    title: str
    button: str
    letter: Callable[[Application, str], Letter | None]


def _approval(application: Application, _: str) -> Letter | None:
    tariff = application.tariff or actions.tariff_for(application)
    return actions.approval_letter(application, tariff) if tariff else None


DECISIONS: dict[str, Decision] = {
    "approve": Decision(
        ApproveForm,
        actions.approve,
        "Approve {0}",
        "Approve and tell the customer",
        _approval,
    ),
    "reinstate": Decision(
        ApproveForm,
        actions.approve,
        "Reinstate {0}",
        "Reinstate and tell the customer",
        _approval,
    ),
    "refuse": Decision(
        RefuseForm,
        actions.refuse,
        "Refuse {0}",
        "Refuse and tell the customer",
        actions.refusal_letter,
    ),
    "ask": Decision(AskForm, actions.ask, "Ask {0}", "Send this question", actions.question_letter),
    "withdraw": Decision(
        WithdrawForm,
        actions.withdraw,
        "Withdraw for {0}",
        "Withdraw and tell the customer",
        lambda application, _: actions.withdrawal_letter(application),
    ),
    "reopen": Decision(
        ReopenForm,
        actions.reopen,
        "Reopen {0}",
        "Reopen this application",
        lambda *_: None,
    ),
}


def decide(request: HttpRequest, reference: str, name: str) -> HttpResponseBase:
    """Take one decision: write the reason, read what leaves, press once."""
    application = _load(reference)
    check(request, VIEW)
    if _done_already(request):
        return redirect(application)
    decision = DECISIONS.get(name)
    if decision is None:
        raise Http404
    row = transition(Application, name)
    check(request, row.permission)
    if application.status not in row.sources:
        messages.error(request, conflict(application).sentence)
        return redirect(application)
    if request.method != "POST":
        return _reason_page(request, application, decision, _form(decision, application))
    form = _form(decision, application, request.POST)
    if not form.is_valid():
        return _reason_page(request, application, decision, form)
    if "token" not in request.POST:
        return _check_page(request, application, name, form)
    return _carry_out(request, application, name, form)


def _done_already(request: HttpRequest) -> bool:
    """Say so when this very confirmation was carried out before: a double click."""
    used = confirm.used(request.POST.get("token", ""))
    if used:
        messages.info(request, "This was done already; it was not done twice.")
    return used


def _form(decision: Decision, application: Application, posted: Any = None) -> forms.Form:
    if decision.form is ApproveForm:
        return ApproveForm(posted, reason_needed=actions.has_open_checks(application))
    return decision.form(posted)


def _reason_page(
    request: HttpRequest, application: Application, decision: Decision, form: forms.Form
) -> HttpResponse:
    context = {
        "page_title": decision.title.format(application.name),
        "lead": f"{application.reference}, {application.certificate_number}, {application.site}",
        "form": form,
        "button": "Continue",
        "cancel_url": application.get_absolute_url(),
        "cancel_label": "Back to the case",
        "case": application,
        "open_checks": _not_passed(application),
    }
    return render(request, "seg/decide.html", context)


def _not_passed(application: Application) -> list[Any]:
    return [row for row in _ordered(application.latest_verification()) if row.result != "pass"]


def _check_page(
    request: HttpRequest, application: Application, name: str, form: forms.Form
) -> HttpResponse:
    decision, reason = DECISIONS[name], form.cleaned_data["reason"]
    letter = decision.letter(application, reason)
    link = actions.tracking_link(application)
    shown = confirm.Shown(application, name, reason)
    for field in form.fields.values():
        field.widget = forms.HiddenInput()
    context = {
        "title": decision.title.format(application.name),
        "answers_title": "What you decided",
        "answers": _answers(application, name, reason),
        "warnings": [row.sentence for row in _not_passed(application)] if name in APPROVALS else [],
        "letter": letter
        and {
            "to": application.email,
            "subject": letter.subject,
            "text": letter.text.replace(link, "[the customer’s private link]"),
        },
        "form": form,
        "token": confirm.token_for(shown, staff_user(request)),
        "cannot_undo": _cannot_undo(letter),
        "button": decision.button,
        "warning_button": letter is not None,
        "cancel_url": application.get_absolute_url(),
        "case": application,
    }
    return render(request, "core/check.html", context)


APPROVALS = ("approve", "reinstate")


def _answers(application: Application, name: str, reason: str) -> list[dict[str, Any]]:
    change = reverse("seg:decide", args=[application.reference, name])
    rows = [
        {
            "label": "Application",
            "value": f"{application.reference}, {application.name}",
        },
        {"label": "Reason", "value": reason or "None needed", "change_url": change},
    ]
    if name in APPROVALS:
        tariff = application.tariff or actions.tariff_for(application)
        value = f"{tariff.name}: {tariff}" if tariff else "None was open on the day of receipt"
        rows.insert(
            1,
            {"label": "Tariff", "value": value, "source": "open on the day of receipt"},
        )
    return rows


def _cannot_undo(letter: Letter | None) -> str:
    if letter is None:
        return "The application goes back to “Needs review”. The customer is not told."
    seconds = actions.delay_seconds()
    return (
        f"The e-mail leaves {seconds} seconds after you press. Until then you can stop it, and the "
        "decision with it. Once it has left, it cannot be called back."
    )


def _carry_out(
    request: HttpRequest, application: Application, name: str, form: forms.Form
) -> HttpResponseBase:
    decision, reason = DECISIONS[name], form.cleaned_data["reason"]
    user = staff_user(request)
    shown = confirm.Shown(application, name, reason)
    try:
        done = decision.action(
            application=application,
            by=actor_for(user),
            now=timezone.now,
            confirmation=confirm.redeem(request.POST["token"], shown, user),
            **{"text" if name == "ask" else "reason": reason},
        )
    except Impossible as problem:
        if not _done_already(request):
            messages.error(request, problem.sentence)
        return redirect(application)
    if isinstance(done, Email):
        return redirect("mail", pk=done.pk)
    messages.success(request, "Done.")
    return redirect(application)


@require_POST
@needs(DECIDE)
def again(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Ask the registry again now."""
    application = _load(reference)
    by = actor_for(staff_user(request))
    ask = partial(actions.check_again, application=application, by=by, now=timezone.now)
    return _done(request, application, ask, "The registry is asked now; its answer appears here.")


# ---- Notes, assignment, secrets, files -------------------------------------------------------


@require_POST
@needs(DECIDE)
def note(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Add a note for colleagues."""
    application, form = _load(reference), NoteForm(request.POST)
    if form.is_valid():
        by = actor_for(staff_user(request))
        casework.note(application, text=form.cleaned_data["text"], by=by, now=timezone.now())
        messages.success(request, "Note added.")
    else:
        messages.error(
            request,
            "The note was empty or too long (5,000 characters). Nothing was added.",
        )
    return redirect(application)


def _assign_form(application: Application, posted: Any = None) -> AssignForm:
    people = User.objects.filter(is_active=True, groups__permissions__codename="decide_application")
    return AssignForm(
        posted, people=people.distinct(), initial={"person": application.assigned_to_id}
    )


@require_POST
@needs(DECIDE)
def assign(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Give the case to somebody, or to nobody."""
    application = _load(reference)
    form = _assign_form(application, request.POST)
    if form.is_valid():
        to, by = form.cleaned_data["person"], actor_for(staff_user(request))
        casework.assign(application, to=to, by=by, now=timezone.now())
        messages.success(request, f"Given to {to or 'nobody'}.")
    else:
        messages.error(request, "Choose a person from the list. Nothing was changed.")
    return redirect(application)


@needs(DECIDE)
def amend(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Correct what the customer told us, as they asked on the phone."""
    application = _load(reference)
    names = [field.name for field in dataclasses.fields(actions.Correction)]
    before = {name: getattr(application, name) for name in names}
    form = CorrectForm(request.POST or None, initial=before)
    if not form.is_valid():
        context = {
            "page_title": f"Correct for {application.name}",
            "lead": "The registry is asked again with what stands here.",
            "form": form,
            "button": "Save the corrections",
            "cancel_url": application.get_absolute_url(),
            "cancel_label": "Back to the case",
            "case": application,
        }
        return render(request, "seg/decide.html", context)
    correction = actions.Correction(**form.cleaned_data)
    by = actor_for(staff_user(request))
    return _done(
        request,
        application,
        partial(
            actions.correct, application=application, correction=correction, by=by, now=timezone.now
        ),
        "Corrected. The registry is asked again.",
    )


@require_POST
@needs(DECIDE)
def export_mpan(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Add the export MPAN of an approved application."""
    application, form = _load(reference), ExportMpanForm(request.POST)
    if not form.is_valid():
        said = " ".join(str(each) for each in form.errors["export_mpan"])
        messages.error(request, f"{said} Nothing was changed.")
        return redirect(application)
    add = partial(
        actions.add_export_mpan,
        application=application,
        export_mpan=form.cleaned_data["export_mpan"],
        by=actor_for(staff_user(request)),
        now=timezone.now,
    )
    return _done(request, application, add, "Export MPAN added. Payments can start.")


def _done(
    request: HttpRequest, application: Application, act: Callable[[], None], said: str
) -> HttpResponseBase:
    """Do it, or say why it could not be done; back to the case."""
    try:
        act()
    except Impossible as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, said)
    return redirect(application)


@require_POST
@needs("seg.reveal_bank_details")
def reveal(request: HttpRequest, reference: str) -> HttpResponse:
    """Show the bank details once; that is recorded first."""
    application = _load(reference)
    by = actor_for(staff_user(request))
    casework.reveal(application, what="the bank details", by=by, now=timezone.now())
    response = render(request, "seg/bank.html", {"case": application})
    response["Cache-Control"] = "no-store"
    return response


@needs(VIEW)
def attachment(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a customer's file as a download, never shown inside the portal."""
    row = get_object_or_404(Attachment.objects.exclude(application=None), pk=pk)
    try:
        content = row.file.open("rb")
    except FileNotFoundError as problem:
        raise Http404 from problem
    response = FileResponse(
        content,
        as_attachment=True,
        filename=row.name,
        content_type=row.content_type,
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response
