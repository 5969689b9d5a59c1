"""Pages of the gas quotes desk about one quote: load, one action, message, redirect."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from core import casework, confirm
from core.forms import AssignForm, NoteForm
from core.models import User
from core.permissions import check, needs, staff_user
from core.timeline import timeline
from core.workflow import Impossible, actor_for, allowed_moves, conflict, transition
from gasquotes import actions, budget, codes, looks, paper
from gasquotes.forms import (
    AcceptForm,
    EnquiryForm,
    IssueForm,
    PointForm,
    ReasonForm,
    RequoteForm,
    asked_before,
    terms_before,
)
from gasquotes.models import DECIDE, LOOK_UP, Document, Quote

VIEW = "gasquotes.view_quote"
Status = Quote.Status
PDF = "application/pdf"
PREVIEW_PPI = 110

NEXT: dict[str, tuple[str, str]] = {
    Status.LOOKING_UP: ("The service is asked", "The portal"),
    Status.ADDRESS: ("Give more of the address, or the MPRN", ""),
    Status.REVIEW: ("Decide, or have it looked up again", ""),
    Status.READY: ("Issue the quote", ""),
    Status.ISSUED: ("The customer answers; you record it", "The customer"),
    Status.ACCEPTED: ("Nothing: the customer has accepted", "Nobody"),
    Status.CLOSED: ("Nothing", "Nobody"),
}


def _load(reference: str) -> Quote:
    rows = Quote.objects.select_related(
        "assigned_to", "look_up", "look_up__call", "requote_of", "order", "price_book"
    ).defer("look_up__call__reply_unread", "look_up__call__reply_body", "requote_of__priced")
    quote: Quote = get_object_or_404(rows, reference=reference)
    return quote


# ---- The case --------------------------------------------------------------------------------


@needs(VIEW)
def case(request: HttpRequest, reference: str) -> HttpResponse:
    """One quote: what happens next, what was found, the price in parts, and its history."""
    return _case_page(request, _load(reference))


def _case_page(request: HttpRequest, quote: Quote) -> HttpResponse:
    user, now = staff_user(request), timezone.now()
    context = {
        "case": quote,
        "next": _next(quote, user),
        "moves": _buttons(quote, user),
        "case_note": quote.why,
        "timeline": timeline(quote),
        "note_form": NoteForm() if user.has_perm(DECIDE) else None,
        "note_url": reverse("gasquotes:note", args=[quote.reference]),
        "assign_form": _assign_form(quote) if user.has_perm(DECIDE) else None,
        "documents": Document.objects.for_case(quote).defer("pdf"),
        "requotes": quote.requotes.defer("priced", "findings").order_by("pk"),
        "letter": actions.suggested_letter(quote),
        "reused": looks.reuse_words(quote),
        "stands": budget.standing(now=now),
        "may_look_up": user.has_perm(LOOK_UP),
        **_live(quote, user, now),
        **looks.quote_facts(quote),
    }
    return render(request, "gasquotes/case.html", context)


def _next(quote: Quote, user: User) -> list[dict[str, Any]]:
    what, who = NEXT[quote.status]
    assigned = quote.assigned_to
    name = f"{assigned} (you)" if assigned == user else str(assigned or "Nobody yet")
    ended = f"Nothing: {quote.get_closed_as_display().lower()}" if quote.closed_as else ""
    rows: list[dict[str, Any]] = [
        {"term": "Next", "text": ended or what},
        {"term": "Who acts", "text": who or name},
        {"term": "Like this since", "at": quote.status_at},
    ]
    return rows


BUTTON_ORDER = (
    "give_address",
    "issue",
    "accept",
    "accept_referral",
    "decline",
    "look_up_again",
    "withdraw",
)
PAGES = {"give_address": "gasquotes:address", "look_up_again": "gasquotes:again"}


def _buttons(quote: Quote, user: User) -> list[dict[str, Any]]:
    moves = {row.name: row for row in allowed_moves(quote, user)}
    buttons = [
        {
            "label": moves[name].label,
            "url": _url_of(quote, name),
            "primary": moves[name].primary,
            "post": name == "look_up_again",
        }
        for name in BUTTON_ORDER
        if name in moves and (name != "accept_referral" or quote.can_offer)
    ]
    if quote.can_requote and user.has_perm(LOOK_UP):
        url = reverse("gasquotes:requote", args=[quote.reference])
        over = quote.status == Status.CLOSED
        buttons.append({"label": "Make a new quote from this", "url": url, "primary": over})
    return buttons


def _url_of(quote: Quote, name: str) -> str:
    if name in PAGES:
        return reverse(PAGES[name], args=[quote.reference])
    return reverse("gasquotes:decide", args=[quote.reference, name])


# ---- What moves by itself ----------------------------------------------------------------------


def _live(quote: Quote, user: User, now: datetime) -> dict[str, Any]:
    """What the small part shows that the page asks for again, and how often."""
    until = _stop_until(quote, user)
    left = math.ceil((until - now).total_seconds()) if until else 0
    paces: dict[str, int] = {Status.LOOKING_UP: 2, Status.ISSUED: 1 if left > 0 else 30}
    seen = quote.status_at.isoformat()
    return {
        "live_url": f"{reverse('gasquotes:live', args=[quote.reference])}?seen={seen}",
        "live_every": paces.get(quote.status, 0),
        "stop_left": max(0, left),
        "waiting_mail": actions.waiting_email(quote) if quote.status == Status.ISSUED else None,
        "lapsed": quote.is_lapsed(now),
    }


def _stop_until(quote: Quote, user: User) -> datetime | None:
    """Until when a quote that goes out without e-mail can be taken back."""
    may = quote.status == Status.ISSUED and not quote.by_email and user.has_perm(DECIDE)
    if not may or quote.issued_at is None:
        return None
    return quote.issued_at + timedelta(seconds=actions.delay_seconds())


@needs(VIEW)
def live(request: HttpRequest, reference: str) -> HttpResponse:
    """The part that changes by itself; the whole page once the quote has moved on."""
    quote = _load(reference)
    if request.GET.get("seen", "").replace(" ", "+") == quote.status_at.isoformat():
        context = {"case": quote, **_live(quote, staff_user(request), timezone.now())}
        return render(request, "gasquotes/live.html", context)
    response = _case_page(request, quote)
    response["HX-Retarget"] = response["HX-Reselect"] = "#case"
    response["HX-Reswap"] = "outerHTML"
    return response


# ---- A new quote -------------------------------------------------------------------------------


@needs(LOOK_UP)
def enquire(request: HttpRequest) -> HttpResponseBase:
    """Ask for a quote; the supply point is looked up by the worker."""
    form = EnquiryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        by, key = actor_for(staff_user(request)), form.cleaned_data["key"] or None
        quote = actions.enquire(enquiry=form.enquiry(), by=by, now=timezone.now, key=key)
        return redirect(quote)
    context = {
        "form": form,
        "page_title": "New quote",
        "lead": "From one supply point to a price. The look-up takes a few seconds.",
        "button": "Look up and price",
        "cancel_url": reverse("gasquotes:list"),
        "cancel_label": "Back without asking",
        "stands": budget.standing(now=timezone.now()),
    }
    return render(request, "gasquotes/enquire.html", context)


@needs(LOOK_UP)
def address(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Give more of the address, or the MPRN, and have it looked up again."""
    quote = _load(reference)
    if quote.status != Status.ADDRESS:
        messages.error(request, conflict(quote).sentence)
        return redirect(quote)
    form = PointForm(request.POST or None, initial=asked_before(quote))
    if request.method == "POST" and form.is_valid():
        by, asked = actor_for(staff_user(request)), form.asked()
        if asked == quote.asked:
            form.add_error(None, "This is what was asked before: change something first")
        else:
            return _done(
                request,
                quote,
                lambda: actions.give_address(quote=quote, asked=asked, by=by, now=timezone.now),
                "It is being looked up with what you gave.",
            )
    context = {
        "form": form,
        "case": quote,
        "missing": looks.missing(quote),
        "letter": actions.suggested_letter(quote),
        "page_title": "Give more of the address",
        "lead": f"{quote.reference}, {quote.name}",
        "button": "Look up again",
        "cancel_url": quote.get_absolute_url(),
        "cancel_label": "Back to the quote",
        "stands": budget.standing(now=timezone.now()),
    }
    return render(request, "gasquotes/address.html", context)


@require_POST
@needs(LOOK_UP)
def again(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Have the service asked again whatever is known; costs one call."""
    quote, by = _load(reference), actor_for(staff_user(request))
    if quote.status == Status.LOOKING_UP:
        messages.info(request, "The supply point is being looked up already.")
        return redirect(quote)
    return _done(
        request,
        quote,
        lambda: actions.look_up_again(quote=quote, by=by, now=timezone.now),
        "The service is asked again; this costs one call.",
    )


@needs(LOOK_UP)
def requote(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Make a new quote from this one, with the same terms or others."""
    quote = _load(reference)
    if not quote.can_requote:
        messages.error(request, actions.NoRequote.sentence)
        return redirect(quote)
    form = RequoteForm(request.POST or None, initial=terms_before(quote))
    if request.method == "POST" and form.is_valid():
        try:
            new = actions.requote(
                quote=quote,
                by=actor_for(staff_user(request)),
                now=timezone.now,
                terms=form.terms(),
                key=form.cleaned_data["key"] or None,
            )
        except Impossible as problem:
            messages.error(request, problem.sentence)
            return redirect(quote)
        messages.success(request, f"This is the new quote, made from {quote.reference}.")
        return redirect(new)
    context = {
        "form": form,
        "case": quote,
        "page_title": "Make a new quote from this",
        "lead": f"{quote.reference}, {quote.name}, {quote.site}. The quote itself stays as it is.",
        "button": "Make the new quote",
        "cancel_url": quote.get_absolute_url(),
        "cancel_label": "Back to the quote",
        "stands": budget.standing(now=timezone.now()),
        "reuse_days": settings.GASQUOTES_REUSE_DAYS,
    }
    return render(request, "gasquotes/requote.html", context)


def _done(
    request: HttpRequest, quote: Quote, act: Callable[[], object], said: str
) -> HttpResponseBase:
    """Do it, or say why it could not be done; back to the quote."""
    try:
        act()
    except Impossible as problem:
        if not _done_already(request):
            messages.error(request, problem.sentence)
    else:
        messages.success(request, said)
    return redirect(quote)


# ---- Decisions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """One kind of decision: its form, its action and its words."""

    form: type[forms.Form]
    action: Callable[..., Any]
    title: str
    button: str
    said: str
    consequence: str


def _accept(*, reason: str, **rest: Any) -> None:
    actions.accept(note=reason, **rest)


DECISIONS: dict[str, Decision] = {
    "accept": Decision(
        AcceptForm,
        _accept,
        "Record that {0} accepts",
        "Record the acceptance",
        "Accepted.",
        "A customer who got the quote by e-mail gets a confirmation.",
    ),
    "accept_referral": Decision(
        ReasonForm,
        actions.accept_referral,
        "Offer these prices to {0}",
        "Offer these prices",
        "The quote is ready to be issued.",
        "The quote becomes ready. Nothing leaves before it is issued.",
    ),
    "decline": Decision(
        ReasonForm,
        actions.decline,
        "Record that {0} declines",
        "Record the refusal",
        "Closed as declined.",
        "The quote is closed and cannot be accepted any more. The customer is not written to.",
    ),
    "withdraw": Decision(
        ReasonForm,
        actions.withdraw,
        "Close the enquiry of {0}",
        "Close without a quote",
        "Closed.",
        "The enquiry is closed. The customer is not written to.",
    ),
}


def decide(request: HttpRequest, reference: str, name: str) -> HttpResponseBase:
    """Take one decision: read what it means, give the reason, press once."""
    quote = _load(reference)
    check(request, VIEW)
    if name != "issue" and name not in DECISIONS:
        raise Http404
    row = transition(Quote, name)
    check(request, row.permission)
    if _done_already(request):
        return redirect(quote)
    if quote.status not in row.sources:
        messages.error(request, conflict(quote).sentence)
        return redirect(quote)
    if name == "accept_referral" and not quote.can_offer:
        messages.error(request, actions.NotOffered.sentence)
        return redirect(quote)
    if name == "issue":
        return _issue(request, quote)
    return _decide(request, quote, name)


def _done_already(request: HttpRequest) -> bool:
    """Say so when this very confirmation was carried out before: a double click."""
    used = confirm.used(request.POST.get("token", ""))
    if used:
        messages.info(request, "This was done already; it was not done twice.")
    return used


def _decide(request: HttpRequest, quote: Quote, name: str) -> HttpResponseBase:
    decision, user = DECISIONS[name], staff_user(request)
    form = decision.form(request.POST or None)
    shown = confirm.Shown(quote, name, "")
    if request.method == "POST" and form.is_valid():
        return _done(
            request,
            quote,
            lambda: decision.action(
                quote=quote,
                reason=form.cleaned_data["reason"],
                by=actor_for(user),
                now=timezone.now,
                confirmation=confirm.redeem(request.POST.get("token", ""), shown, user),
            ),
            decision.said,
        )
    context = {
        "title": decision.title.format(quote.name),
        "lead": f"{quote.reference}, {quote.site}",
        "answers_title": "The quote",
        "answers": _answers(quote),
        "warnings": [row["sentence"] for row in looks.checks(quote) if row["result"] != "pass"],
        "form": form,
        "token": confirm.token_for(shown, user),
        "do_title": "Your decision",
        "cannot_undo": decision.consequence,
        "button": decision.button,
        "cancel_url": quote.get_absolute_url(),
        "cancel_label": "Back to the quote",
        "case": quote,
    }
    return render(request, "gasquotes/check.html", context)


def _answers(quote: Quote) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"label": "Customer", "value": quote.name},
        {"label": "MPRN", "value": quote.mprn or quote.asked_mprn, "mono": True},
        {"label": "Start of supply", "value": f"{quote.start.day} {quote.start:%B %Y}"},
        {"label": "Contract length", "value": f"{quote.months} months"},
        {"label": "Payment", "value": quote.get_payment_display().capitalize()},
    ]
    if priced := quote.price:
        year, whole = priced.average_year, priced.whole
        rows += [
            {
                "label": "A year",
                "value": f"{looks.pounds(year.including)} including VAT",
                "source": f"{looks.pounds(year.excluding_vat)} excluding VAT",
            },
            {
                "label": "Whole contract",
                "value": f"{looks.pounds(whole.including)} including VAT",
                "source": f"price book {priced.book}"
                + (", parts of it estimated" if priced.estimated else ""),
            },
        ]
    return rows


# ---- Issuing -----------------------------------------------------------------------------------


def _issue(request: HttpRequest, quote: Quote) -> HttpResponseBase:
    """Show exactly what would leave; issue it once."""
    user = staff_user(request)
    form = IssueForm(request.POST or None, email=quote.email)
    shown = confirm.Shown(quote, "issue", quote.priced)
    if request.method == "POST" and form.is_valid():
        return _carry_out(request, quote, form, shown)
    until = timezone.now() + timedelta(hours=settings.GASQUOTES_VALID_HOURS)
    letter = actions.letter_for(quote, valid_until=until) if quote.email else None
    context = {
        "title": f"Issue the quote to {quote.name}",
        "lead": f"{quote.reference}. Once issued it binds us for "
        f"{settings.GASQUOTES_VALID_HOURS} hours.",
        "answers_title": "What is offered",
        "answers": [*_answers(quote), {"label": "Valid", "value": _validity(until)}],
        "warnings": [row["sentence"] for row in looks.checks(quote) if row["result"] != "pass"],
        "pages": [
            reverse("gasquotes:preview", args=[quote.reference, page])
            for page in range(1, _page_count(quote) + 1)
        ],
        "letter": letter and {"to": quote.email, "subject": letter.subject, "text": letter.text},
        "form": form,
        "token": confirm.token_for(shown, user),
        "do_title": "Issue it",
        "cannot_undo": _cannot_undo(),
        "button": "Issue this quote",
        "warning_button": True,
        "cancel_url": quote.get_absolute_url(),
        "cancel_label": "Back without issuing",
        "case": quote,
    }
    return render(request, "gasquotes/issue.html", context)


def _validity(until: datetime) -> str:
    return f"until about {timezone.localtime(until):%-d %B %Y, %H:%M}, {_hours()} after you press"


def _hours() -> str:
    return f"{settings.GASQUOTES_VALID_HOURS} hours"


def _cannot_undo() -> str:
    return (
        f"For {actions.delay_seconds()} seconds after you press you can stop it. After that the "
        "price binds us until the quote lapses, and an e-mail cannot be called back. The PDF that "
        "is made now never changes."
    )


def _page_count(quote: Quote) -> int:
    return len(_preview(quote))


def _preview(quote: Quote) -> tuple[bytes, ...]:
    """The pages as they would be issued now, as pictures."""
    now = timezone.now()
    until = now + timedelta(hours=settings.GASQUOTES_VALID_HOURS)
    sheet = actions.paper_of(quote, issued_at=now, valid_until=until)
    return paper.pngs(sheet, ppi=PREVIEW_PPI)


def _carry_out(
    request: HttpRequest, quote: Quote, form: IssueForm, shown: confirm.Shown
) -> HttpResponseBase:
    user, by_email = staff_user(request), form.cleaned_data["by_email"]
    try:
        actions.issue(
            quote=quote,
            by_email=by_email,
            by=actor_for(user),
            now=timezone.now,
            confirmation=confirm.redeem(request.POST.get("token", ""), shown, user),
        )
    except Impossible as problem:
        if not _done_already(request):
            messages.error(request, problem.sentence)
        return redirect(quote)
    if by_email and (email := actions.waiting_email(quote)):
        return redirect("mail", pk=email.pk)
    messages.success(request, "Issued. Give the PDF to the customer.")
    return redirect(quote)


@require_POST
@needs(DECIDE)
def take_back(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Stop a quote that was issued without e-mail, while its moment lasts."""
    quote, by = _load(reference), actor_for(staff_user(request))
    return _done(
        request,
        quote,
        lambda: actions.take_back(quote=quote, by=by, now=timezone.now),
        "Stopped. The quote is ready again and that PDF is void: do not pass it on.",
    )


@needs(DECIDE)
def preview(request: HttpRequest, reference: str, page: int) -> HttpResponse:
    """One page of the PDF as it would be issued now, as a picture."""
    quote = _load(reference)
    if quote.status != Status.READY or not quote.priced:
        raise Http404
    pages = _preview(quote)
    if not 1 <= page <= len(pages):
        raise Http404
    response = HttpResponse(pages[page - 1], content_type="image/png")
    response["Cache-Control"] = "private, no-store"
    return response


@needs(VIEW)
def document(request: HttpRequest, pk: int) -> HttpResponse:
    """The PDF of a quote as it was issued; a void one says so in its name."""
    row = get_object_or_404(Document, pk=pk)
    current = Quote.objects.filter(reference=row.reference, document=row).exists()
    response = HttpResponse(bytes(row.pdf), content_type=PDF)
    name = f"{row.reference}{'' if current else '-void'}.pdf"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


# ---- Notes, assignment -------------------------------------------------------------------------


@require_POST
@needs(DECIDE)
def note(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Add a note for colleagues."""
    quote, form = _load(reference), NoteForm(request.POST)
    if form.is_valid():
        by = actor_for(staff_user(request))
        casework.note(quote, text=form.cleaned_data["text"], by=by, now=timezone.now())
        messages.success(request, "Note added.")
    else:
        text = "The note was empty or too long (5,000 characters). Nothing was added."
        messages.error(request, text)
    return redirect(quote)


def _assign_form(quote: Quote, posted: Any = None) -> AssignForm:
    people = User.objects.filter(is_active=True, groups__permissions__codename="decide_quote")
    return AssignForm(posted, people=people.distinct(), initial={"person": quote.assigned_to_id})


@require_POST
@needs(DECIDE)
def assign(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Give the quote to somebody, or to nobody."""
    quote = _load(reference)
    form = _assign_form(quote, request.POST)
    if form.is_valid():
        to, by = form.cleaned_data["person"], actor_for(staff_user(request))
        casework.assign(quote, to=to, by=by, now=timezone.now())
        messages.success(request, f"Given to {to or 'nobody'}.")
    else:
        messages.error(request, "Choose a person from the list. Nothing was changed.")
    return redirect(quote)


# ---- The service -------------------------------------------------------------------------------

LEADS = {
    codes.Lead.ADDRESS: ("look", "Needs more address"),
    codes.Lead.REFUSED: ("idle", "Closed, with the reason"),
    codes.Lead.REVIEW: ("look", "Needs review"),
    codes.Lead.STOP_KEY: ("bad", "Look-ups stop"),
    codes.Lead.STOP_QUOTA: ("bad", "Look-ups stop until next month"),
    codes.Lead.SLOW_DOWN: ("busy", "Slower, and again by itself"),
    codes.Lead.RETRY: ("busy", "Again by itself"),
}


@needs(VIEW)
def meanings(request: HttpRequest) -> HttpResponse:
    """What the service's codes mean, and what follows from each."""
    rows = [{"meaning": each, "tag": LEADS[each.lead]} for each in codes.MEANINGS.values()]
    context = {"page_title": "What the service’s codes mean", "rows": rows}
    return render(request, "gasquotes/codes.html", context)


@require_POST
@needs(LOOK_UP)
def calls_again(request: HttpRequest) -> HttpResponseBase:
    """Let one look-up through although look-ups are stopped."""
    by = actor_for(staff_user(request))
    if actions.try_calls_again(by=by, now=timezone.now):
        messages.success(request, "The next look-up is sent at once; if it is answered, all go on.")
    else:
        messages.info(request, "Look-ups are not stopped.")
    return redirect("gasquotes:list")
