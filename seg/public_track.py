"""The private tracking page: what a customer reads about an application and may do about it.

The token in the address is the only key. Pages are neither kept nor indexed, and the address is
never passed on to anybody.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from core.workflow import Conflict
from seg import actions, tracking
from seg.actions import Correction
from seg.models import Application
from seg.public import for_anybody, over_limit
from seg.public_forms import AnswerForm, CorrectForm, NumberForm, WithdrawForm
from seg.tracking import Story, story

TRACK_FORMS_PER_HOUR = 60


# ---- The tracking page -----------------------------------------------------------------------


def _by_token(token: str) -> Application | None:
    found = Application.objects.select_related("tariff").by_token(token).first()
    return found if found and constant_time_compare(found.token, token) else None


def _unknown(request: HttpRequest) -> HttpResponse:
    return render(request, "seg/track_unknown.html", status=404)


@for_anybody
@require_safe
def track(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show where an application is. Asked by the page itself, answer only when there is news."""
    application = _by_token(token)
    if application is None:
        return _without_trace(_unknown(request))
    told = story(application)
    if request.headers.get("HX-Request") and "seen" in request.GET:
        return _without_trace(_news(request, told))
    return _without_trace(render(request, "seg/track.html", _page(told)))


def _without_trace(response: HttpResponseBase) -> HttpResponseBase:
    """Keep the private address out of what browsers pass on.

    From a page without referrer a browser posts a form with `Origin: null`, which the protection
    against forged forms refuses. News can bring a form into any page, and the policy stays that of
    the page; so each tells its origin, never its address.
    """
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


def _news(request: HttpRequest, told: Story) -> HttpResponse:
    """Answer the page's own question: nothing, a new pace, or the part that has changed."""
    seen, pace = request.GET.get("seen", ""), str(told.pace(timezone.now()))
    if seen == told.version and request.GET.get("pace") == pace:
        return HttpResponse(status=204)
    if seen == told.version:
        response = render(request, "seg/track_poll.html", {**_poll(told), "swap": True})
        response.headers["HX-Reswap"] = "none"
        return response
    is_new = seen.partition("-")[0] != told.state
    return render(request, "seg/track_part.html", {**_page(told), "swap": True, "is_new": is_new})


def _poll(told: Story) -> dict[str, Any]:
    pace = told.pace(timezone.now())
    url = reverse("seg:track", args=[told.application.token])
    return {"pace": pace, "poll_url": f"{url}?seen={told.version}&pace={pace}"}


def _page(told: Story) -> dict[str, Any]:
    application = told.application
    verification = application.latest_verification()
    return {
        "told": told,
        "application": application,
        "steps": tracking.steps(told, verification),
        "facts": list(_facts(told)),
        "question": told.question,
        "forms": {
            name: entry.form(initial=_initial(application))
            for name, entry in TRACK_FORMS.items()
            if name in ("number", "answer") and told.may(name)
        },
        "may_correct": told.may("correct"),
        "may_withdraw": told.may("withdraw"),
        "is_settled": told.state in tracking.SETTLED,
        "is_late": told.answer_by is not None and told.answer_by < timezone.now(),
        "in_progress_until": tracking.in_progress_until(application),
        **_poll(told),
    }


def _facts(told: Story) -> Iterator[dict[str, Any]]:
    """What the customer told us; the account by its end only."""
    row = told.application
    yield _fact("Certificate", row.certificate_number, mono=True)
    yield _fact("Address", row.site)
    yield _fact("Import MPAN", row.import_mpan, mono=bool(row.import_mpan))
    yield _fact("Export MPAN", row.export_mpan, mono=bool(row.export_mpan))
    yield _fact("Distributor told", row.get_dno_told_display())
    yield _fact("Battery", "Yes" if row.battery else "No")
    if names := [one.name for one in row.attachments.all()]:
        yield _fact("Files", ", ".join(names))
    yield _fact("We write to", row.email)
    if told.tariff:
        text = f"{told.tariff.code}, {told.rate}, as on the day you applied"
        yield _fact("Tariff", text)
    yield _fact("Paid into", f"Account ending {row.account_number[-2:]}")


def _fact(label: str, value: str, *, mono: bool = False) -> dict[str, Any]:
    return {"label": label, "value": value, "mono": mono}


# ---- What a customer may do on it ------------------------------------------------------------


@dataclass(frozen=True)
class TrackForm:
    """One thing a customer may do on the tracking page, and the words for it."""

    name: str
    form: type[forms.Form]
    title: str
    button: str
    done: str
    act: Callable[[Story, forms.Form], None]
    template: str = "seg/track_form.html"


def _correct(told: Story, form: forms.Form) -> None:
    application = told.application
    names = Correction.__dataclass_fields__
    before = {name: getattr(application, name) for name in names}
    said = {name: form.cleaned_data[name] for name in names if name in form.cleaned_data}
    correction = Correction(**{**before, **said})
    actions.correct(application=application, correction=correction, now=timezone.now)


def _answer(told: Story, form: forms.Form) -> None:
    question = told.question
    if question is None:
        raise Conflict("This question is answered already.", status=told.application.status)
    actions.answer(
        application=told.application,
        question=question,
        text=form.cleaned_data["text"],
        uploads=form.cleaned_data["uploads"],
        now=timezone.now,
    )


def _withdraw(told: Story, form: forms.Form) -> None:
    reason = form.cleaned_data["reason"]
    actions.withdraw_own(application=told.application, reason=reason, now=timezone.now)


TRACK_FORMS: Final = {
    "number": TrackForm(
        "number",
        NumberForm,
        "Your certificate number",
        "Look it up again",
        "Thank you. We look your certificate up with this number.",
        _correct,
    ),
    "answer": TrackForm(
        "answer",
        AnswerForm,
        "Your answer",
        "Send my answer",
        "Thank you. We have your answer.",
        _answer,
        "seg/track_answer.html",
    ),
    "correct": TrackForm(
        "correct",
        CorrectForm,
        "Correct a detail",
        "Save the corrections",
        "Thank you. We have your corrections and check them now.",
        _correct,
        "seg/track_correct.html",
    ),
    "withdraw": TrackForm(
        "withdraw",
        WithdrawForm,
        "Withdraw your application?",
        "Withdraw my application",
        "Your application is withdrawn. We have sent you an e-mail that says so.",
        _withdraw,
        "seg/track_withdraw.html",
    ),
}
CORRECTABLE = tuple(Correction.__dataclass_fields__)


def _initial(application: Application) -> dict[str, str]:
    return {name: getattr(application, name) for name in CORRECTABLE}


@for_anybody
def track_form(request: HttpRequest, token: str, what: str) -> HttpResponseBase:
    """Show or take one thing that a customer may do; say so kindly when somebody was faster."""
    application = _by_token(token)
    if application is None or what not in TRACK_FORMS:
        return _without_trace(_unknown(request))
    told, entry = story(application), TRACK_FORMS[what]
    if request.method == "POST":
        return _without_trace(_take_form(request, told, entry))
    if told.untold or not told.may(what):
        messages.warning(request, _too_late(told))
        return _without_trace(redirect("seg:track", token))
    form = entry.form(initial=_initial(application))
    return _without_trace(_show_form(request, told, entry, form))


def _take_form(request: HttpRequest, told: Story, entry: TrackForm) -> HttpResponseBase:
    form = entry.form(request.POST, request.FILES, initial=_initial(told.application))
    if not form.is_valid():
        return _show_form(request, told, entry, form)
    if over_limit(request, "track-form", TRACK_FORMS_PER_HOUR, form):
        return _show_form(request, told, entry, form, status=429)
    try:
        if told.untold or not told.may(entry.name):
            raise Conflict(_too_late(told), status=told.application.status)
        entry.act(told, form)
    except Conflict:
        form.add_error(None, _too_late(story(_reread(told))))
        return _show_form(request, told, entry, form, status=409)
    messages.success(request, entry.done)
    return redirect("seg:track", told.application.token)


def _reread(told: Story) -> Application:
    return Application.objects.get(pk=told.application.pk)


def _too_late(told: Story) -> str:
    """Say kindly that the application has moved on."""
    if told.untold:
        return (
            "A person is deciding on your application at this very moment, so nothing was changed. "
            "Look again in a minute."
        )
    return (
        f"Your application has moved on meanwhile, so nothing was changed. It says now: "
        f"“{told.heading}”."
    )


def _show_form(
    request: HttpRequest,
    told: Story,
    entry: TrackForm,
    form: forms.Form,
    status: int = 200,
) -> HttpResponseBase:
    context = {
        "application": told.application,
        "told": told,
        "form": form,
        "entry": entry,
        "question": told.question if entry.name == "answer" else None,
        "action": reverse("seg:track-form", args=[told.application.token, entry.name]),
        "back": reverse("seg:track", args=[told.application.token]),
    }
    return render(request, entry.template, context, status=status)
