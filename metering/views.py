"""Pages of the metering desk about reads: load, one action, message, redirect."""

import zlib
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from core import casework, confirm
from core.forms import AcknowledgeForm, AssignForm, NoteForm
from core.listing import LONGEST_KEY
from core.models import User
from core.permissions import check, needs, staff_user
from core.timeline import timeline
from core.workflow import Impossible, actor_for, allowed_moves, conflict, transition
from metering import actions, looks
from metering.forms import AskForm, ReasonForm, ReplayForm, SetAsideForm
from metering.lists import SECRETS, group_choices
from metering.models import ASK, READ, Batch, Delivery, Meter, MeterAlarm, MeterRead

VIEW = "metering.view_meterread"
ADJUST = "metering.adjust_meter_time"
Status = MeterRead.Status
NIGHT_HOUR = 1
SHOWN_BYTES = 20_000
SHOWN_READS = 50

NEXT: dict[str, tuple[str, str]] = {
    Status.WAITING: ("The service is asked when the address is free", "The portal"),
    Status.REQUESTED: ("The service sends the result", "The service"),
    Status.TO_CHECK: ("Accept, reject or ask the meter again", ""),
    Status.ACCEPTED: ("Nothing: the readings are used", "Nobody"),
    Status.REJECTED: ("Nothing: the readings are not used", "Nobody"),
    Status.FAILED: ("Ask the meter again, correct its particulars, or set the read aside", ""),
    Status.CANCELLED: ("Nothing", "Nobody"),
}


def _load(reference: str) -> MeterRead:
    rows = MeterRead.objects.select_related(
        "assigned_to", "meter__meter_type", "batch__by", "asked_after"
    )
    read: MeterRead = get_object_or_404(
        rows.defer(*SECRETS, "asked_after__token"), reference=reference
    )
    return read


# ---- The case --------------------------------------------------------------------------------


@needs(VIEW)
def case(request: HttpRequest, reference: str) -> HttpResponse:
    """One read: what was asked, what came back, what the checks say and its history."""
    read, user = _load(reference), staff_user(request)
    may_note = user.has_perm(READ) or user.has_perm(ASK)
    context = {
        "case": read,
        "next": _next(read, user),
        "moves": _buttons(read, user),
        "case_note": read.why,
        "timeline": timeline(read),
        "note_form": NoteForm() if may_note else None,
        "note_url": reverse("metering:note", args=[reference]),
        "assign_form": _assign_form(read) if user.has_perm(READ) else None,
        "again": read.asked_again.defer("token").first(),
        "kept_strangers": min(read.strangers, actions.MOST_STRANGERS),
        **looks.read_facts(read),
    }
    return render(request, "metering/case.html", context)


def _next(read: MeterRead, user: User) -> list[dict[str, Any]]:
    what, who = NEXT[read.status]
    assigned = read.assigned_to
    name = f"{assigned} (you)" if assigned == user else str(assigned or "Nobody yet")
    at = read.due_at if read.status in MeterRead.OPEN else None
    rows: list[dict[str, Any]] = [
        {"term": "Next", "text": what},
        {"term": "Who acts", "text": who or name},
        {"term": "By", "at": at} if at else {},
        {"term": "Like this since", "at": read.status_at},
    ]
    return [row for row in rows if row]


def _buttons(read: MeterRead, user: User) -> list[dict[str, Any]]:
    buttons = [
        {
            "label": row.label,
            "url": reverse("metering:decide", args=[read.reference, row.name]),
            "primary": row.primary,
            "post": not row.needs_note,
        }
        for row in allowed_moves(read, user)
    ]
    if read.status not in MeterRead.OPEN and user.has_perm(ASK):
        again = {
            "label": "Ask the meter again",
            "url": reverse("metering:again", args=[read.reference]),
            "primary": read.status == Status.FAILED,
            "post": True,
        }
        buttons.insert(0 if again["primary"] else len(buttons), again)
    return buttons


# ---- Decisions -------------------------------------------------------------------------------

DECISIONS: dict[str, tuple[Callable[..., None], str, str]] = {
    "accept": (actions.accept, "Accept the readings of {0}", "Accept the readings"),
    "reject": (actions.reject, "Reject the readings of {0}", "Reject the readings"),
    "set_aside": (actions.set_aside, "Set the read of {0} aside", "Set it aside"),
}
SAID = {
    "accept": "Accepted.",
    "reject": "Rejected. The raw values stay.",
    "set_aside": "Set aside. Nothing more is expected of this read.",
}


def decide(request: HttpRequest, reference: str, name: str) -> HttpResponseBase:
    """Accept, reject or set aside with a reason, or cancel."""
    read = _load(reference)
    check(request, VIEW)
    if name not in (*DECISIONS, "cancel"):
        raise Http404
    row = transition(MeterRead, name)
    check(request, row.permission)
    if read.status not in row.sources:
        messages.error(request, conflict(read).sentence)
        return redirect(read)
    return _cancel(request, read) if name == "cancel" else _decide(request, read, name)


def _cancel(request: HttpRequest, read: MeterRead) -> HttpResponseBase:
    if request.method == "POST":
        by = actor_for(staff_user(request))
        said = "Cancelled. A meter that is being read just now may still send its readings."
        return _done(
            request, read, lambda: actions.cancel(read=read, by=by, now=timezone.now), said
        )
    return redirect(read)


def _stood(read: MeterRead) -> str:
    """How the read stands: its status and how many results it has."""
    return f"{read.status_at.isoformat()} {read.versions}"


def _decide(request: HttpRequest, read: MeterRead, name: str) -> HttpResponseBase:
    action, title, button = DECISIONS[name]
    form = ReasonForm(request.POST or None, initial={"stood": _stood(read)})
    if not form.is_valid():
        context = {
            "page_title": title.format(read.meter.serial_number or read.meter.mpan),
            "lead": f"{read.reference}, MPAN {read.meter.mpan}",
            "form": form,
            "button": button,
            "cancel_url": read.get_absolute_url(),
            "cancel_label": "Back to the read",
            "case": read,
            "open_checks": [row for row in read.checks.all() if row.result != "pass"],
        }
        return render(request, "metering/decide.html", context)
    if form.cleaned_data["stood"] != _stood(read):
        messages.error(request, "The read has changed since you looked at it. Nothing was done.")
        return redirect(read)
    by, reason = actor_for(staff_user(request)), form.cleaned_data["reason"]
    return _done(
        request, read, lambda: action(read=read, reason=reason, by=by, now=timezone.now), SAID[name]
    )


@needs(READ)
def set_aside(request: HttpRequest) -> HttpResponseBase:
    """Set many failed reads aside with one reason."""
    named = [pk for pk in request.GET.getlist("read") if pk.isdecimal() and len(pk) <= LONGEST_KEY]
    rows = MeterRead.objects.filter(pk__in=named, status=Status.FAILED)
    reads = list(rows.select_related("meter").defer(*SECRETS).order_by("pk"))
    back = f"{reverse('metering:list')}?status={Status.FAILED}"
    if not reads:
        messages.info(request, "None of these reads has failed. Nothing was changed.")
        return redirect(back)
    form = SetAsideForm(request.POST or None)
    if not form.is_valid():
        context = {
            "page_title": f"Set {len(reads)} read{'s' if len(reads) > 1 else ''} aside",
            "lead": "Nothing more is expected of them. A result that comes after all is kept, and "
            "given to a person.",
            "form": form,
            "button": "Set aside",
            "cancel_url": back,
            "cancel_label": "Back to the failed reads",
            "reads": reads,
        }
        return render(request, "metering/set_aside.html", context)
    _set_aside(request, reads, form.cleaned_data["reason"])
    return redirect(back)


def _set_aside(request: HttpRequest, reads: list[MeterRead], reason: str) -> None:
    by, done = actor_for(staff_user(request)), 0
    for read in reads:
        try:
            actions.set_aside(read=read, reason=reason, by=by, now=timezone.now)
            done += 1
        except Impossible:
            continue
    messages.success(request, f"{done} set aside.")
    if left := len(reads) - done:
        messages.warning(request, f"{left} left as they are: they have changed meanwhile.")


def _done(
    request: HttpRequest, read: MeterRead, act: Callable[[], object], said: str
) -> HttpResponseBase:
    """Do it, or say why it could not be done; back to the read."""
    try:
        act()
    except Impossible as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, said)
    return redirect(read)


@require_POST
@needs(ASK)
def again(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Ask the meter once more for the same."""
    read = _load(reference)
    if read.status in MeterRead.OPEN:
        messages.info(request, "The meter is being asked already.")
        return redirect(read)
    try:
        new = actions.ask_again(read=read, by=actor_for(staff_user(request)), now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(read)
    messages.success(request, "The meter is asked again; this is the new read.")
    return redirect(new)


# ---- Notes, assignment -----------------------------------------------------------------------


@require_POST
@needs(VIEW)
def note(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Add a note for colleagues."""
    user = staff_user(request)
    if not user.has_perm(ASK):
        check(request, READ)
    read, form = _load(reference), NoteForm(request.POST)
    if form.is_valid():
        text = form.cleaned_data["text"]
        casework.note(read, text=text, by=actor_for(user), now=timezone.now())
        messages.success(request, "Note added.")
    else:
        text = "The note was empty or too long (5,000 characters). Nothing was added."
        messages.error(request, text)
    return redirect(read)


def _assign_form(read: MeterRead, posted: Any = None) -> AssignForm:
    people = User.objects.filter(is_active=True, groups__permissions__codename="decide_meterread")
    return AssignForm(posted, people=people.distinct(), initial={"person": read.assigned_to_id})


@require_POST
@needs(READ)
def assign(request: HttpRequest, reference: str) -> HttpResponseBase:
    """Give the read to somebody, or to nobody."""
    read = _load(reference)
    form = _assign_form(read, request.POST)
    if form.is_valid():
        to, by = form.cleaned_data["person"], actor_for(staff_user(request))
        casework.assign(read, to=to, by=by, now=timezone.now())
        messages.success(request, f"Given to {to or 'nobody'}.")
    else:
        messages.error(request, "Choose a person from the list. Nothing was changed.")
    return redirect(read)


# ---- Asking ----------------------------------------------------------------------------------


@needs(ASK)
def ask(request: HttpRequest) -> HttpResponseBase:
    """Ask one meter, a selection or a group: say what, check it, press once."""
    chosen = _chosen(request)
    form = AskForm(
        request.POST or None,
        groups=group_choices() if chosen is None else None,
        may_adjust=staff_user(request).has_perm(ADJUST),
        initial={"group": request.GET.get("group", "")},
    )
    if not form.is_valid():
        return _ask_page(request, form, chosen)
    group = form.cleaned_data.get("group", "")
    meters = _active().filter(group=group) if chosen is None else chosen
    if "token" not in request.POST:
        return _ask_check_page(request, form, meters, group)
    return _carry_out(request, form, meters, group)


def _active() -> QuerySet[Meter]:
    return Meter.objects.filter(active=True).select_related("meter_type")


def _chosen(request: HttpRequest) -> QuerySet[Meter] | None:
    """The meters named in the address; None when a group is to be chosen."""
    named = [pk for pk in request.GET.getlist("meter") if pk.isdecimal() and len(pk) <= LONGEST_KEY]
    return _active().filter(pk__in=named) if named else None


def _ask_page(request: HttpRequest, form: AskForm, chosen: QuerySet[Meter] | None) -> HttpResponse:
    context = {
        "page_title": _ask_title(chosen.count(), "") if chosen is not None else "Ask meters",
        "lead": "The worker asks each meter through the service; one at a time on each address.",
        "form": form,
        "button": "Continue",
        "cancel_url": reverse("metering:list"),
        "cancel_label": "Back without asking",
        "meters": chosen.defer("password")[:SHOWN_READS] if chosen is not None else [],
    }
    return render(request, "metering/ask.html", context)


def _ask_title(count: int, group: str) -> str:
    meters = "1 meter" if count == 1 else f"{count:,} meters"
    return f"Ask {meters} of {group}" if group else f"Ask {meters}"


def _ask_check_page(
    request: HttpRequest, form: AskForm, meters: QuerySet[Meter], group: str
) -> HttpResponse:
    count = meters.count()
    if not count:
        form.add_error(None, "None of these meters is active, so there is nobody to ask")
        return _ask_page(request, form, None if group else meters)
    order = _order(form, meters)
    for field in form.fields.values():
        field.widget = field.hidden_widget()
    context = {
        "title": _ask_title(count, group),
        "answers": looks.wish_answers(_wish(form), count, group, request.get_full_path()),
        "warnings": _ask_warnings(form, meters),
        "form": form,
        "token": confirm.token_for(order, staff_user(request)),
        "cannot_undo": "A read can be cancelled while it waits. A meter that is being read just "
        "then may still send its readings; they are kept.",
        "button": _ask_title(count, ""),
        "cancel_url": request.get_full_path(),
        "cancel_label": "Back without asking",
    }
    return render(request, "core/check.html", context)


def _ask_warnings(form: AskForm, meters: QuerySet[Meter]) -> list[str]:
    busy = MeterRead.objects.filter(meter__in=meters, status__in=MeterRead.OPEN)
    count = busy.values("meter").distinct().count()
    found = [f"Already being asked: {count} of these. They are asked once more after that."]
    if form.cleaned_data.get("adjust_time"):
        found.append("The clocks of these meters are set right if they are off.")
    return found if count else found[1:]


def _order(form: AskForm, meters: QuerySet[Meter]) -> confirm.ShownOrder:
    """What the check page shows, for its one-time token."""
    answers = {name: str(value) for name, value in sorted(form.cleaned_data.items())}
    pks = list(meters.order_by("pk").values_list("pk", flat=True))
    return confirm.ShownOrder("metering.ask", f"{answers} {pks}")


def _wish(form: AskForm) -> actions.Wish:
    said = form.cleaned_data
    return actions.Wish(
        survey_days=said["survey_days"],
        survey_date=said["survey_date"],
        delay_until=tonight(timezone.now()) if said["tonight"] else None,
        priority=said["priority"],
        adjust_time=said.get("adjust_time", False),
    )


def tonight(now: datetime) -> datetime:
    """The next 1am of London."""
    local = timezone.localtime(now)
    day = local.date() + timedelta(days=1 if local.hour >= NIGHT_HOUR else 0)
    return timezone.make_aware(datetime.combine(day, time(NIGHT_HOUR)))


def _carry_out(
    request: HttpRequest, form: AskForm, meters: QuerySet[Meter], group: str
) -> HttpResponseBase:
    user, token = staff_user(request), request.POST["token"]
    try:
        number = confirm.redeem(token, _order(form, meters), user)
        title = f"{group or 'Chosen meters'}, {_what(form)}"
        batch = actions.ask(
            meters=meters,
            wish=_wish(form),
            by=actor_for(user),
            now=timezone.now,
            title=title,
            confirmation=number,
        )
    except actions.AskedAlready as problem:
        messages.info(request, problem.sentence)
        return redirect(Batch.objects.get(confirmation=number))
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(request.get_full_path())
    return redirect(batch)


def _what(form: AskForm) -> str:
    days = form.cleaned_data["survey_days"]
    return f"{days} days of half hours" if days else "registers"


@needs(VIEW)
def batch(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a batch is: done, failed, waiting. While something waits, the page asks again."""
    row = get_object_or_404(Batch.objects.select_related("by"), pk=pk)
    open_reads = Q(status__in=MeterRead.OPEN)
    unhappy = Q(status__in=(Status.FAILED, Status.TO_CHECK))
    reads = MeterRead.objects.filter(batch=row)
    counts = reads.aggregate(
        total=Count("pk"),
        waiting=Count("pk", filter=open_reads),
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        to_check=Count("pk", filter=Q(status=Status.TO_CHECK)),
    )
    counts["done"] = counts["total"] - counts["waiting"] - counts["failed"]
    context = {
        "batch": row,
        "page_title": row.title,
        "counts": counts,
        "finished": counts["total"] - counts["waiting"],
        "look": reads.filter(unhappy).select_related("meter").defer(*SECRETS)[:SHOWN_READS],
        "list_url": f"{reverse('metering:list')}?batch={row.pk}",
    }
    page = "metering/batch_part.html" if request.htmx else "metering/batch.html"  # type: ignore[attr-defined]
    return render(request, page, context)


# ---- Alarms and deliveries -------------------------------------------------------------------


@needs(READ)
def acknowledge(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Say what was done about an alarm."""
    rows = MeterAlarm.objects.select_related("meter", "read", "acknowledged_by")
    alarm = get_object_or_404(rows.defer("meter__password", "read__token"), pk=pk)
    form = AcknowledgeForm(request.POST or None)
    back = f"{reverse('metering:alarms')}?status=open"
    if not form.is_valid():
        context = {
            "page_title": f"{alarm.get_kind_display()}: {alarm.meter.serial_number}",
            "lead": alarm.text,
            "form": form,
            "button": "Acknowledge",
            "cancel_url": back,
            "cancel_label": "Back to the alarms",
            "alarm": alarm,
        }
        return render(request, "metering/alarm.html", context)
    by = actor_for(staff_user(request))
    try:
        actions.acknowledge(alarm=alarm, note=form.cleaned_data["note"], by=by, now=timezone.now)
        messages.success(request, "Acknowledged.")
    except Impossible as problem:
        messages.error(request, problem.sentence)
    return redirect(back)


@needs("metering.view_delivery")
def replay(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One document as it arrived; one that was kept aside can be stored for a read."""
    delivery = get_object_or_404(
        Delivery.objects.select_related("read").defer("read__token"), pk=pk
    )
    if request.method == "POST":
        check(request, READ)
    first = {"reference": delivery.read.reference if delivery.read else ""}
    form = ReplayForm(request.POST or None, initial=first)
    if form.is_valid() and (answer := _replay(request, delivery, form)):
        return answer
    aside = delivery.state == Delivery.State.ASIDE and staff_user(request).has_perm(READ)
    context = {
        "page_title": f"Delivery of {delivery.read or delivery.their_reference or 'nothing known'}",
        "delivery": delivery,
        "document": _document(delivery),
        "shown_bytes": SHOWN_BYTES,
        "form": form if aside else None,
    }
    response = render(request, "metering/delivery.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _document(delivery: Delivery) -> str:
    """The document's beginning; passwords were masked before it was kept."""
    if delivery.state == Delivery.State.UNREADABLE:
        return str(delivery.unreadable)[:SHOWN_BYTES]
    body = zlib.decompressobj().decompress(bytes(delivery.body), SHOWN_BYTES)
    return body.decode("utf-8", "replace")


def _replay(request: HttpRequest, delivery: Delivery, form: ReplayForm) -> HttpResponseBase | None:
    """Replay it; None when the form says what is wrong."""
    reference = form.cleaned_data["reference"].strip().upper()
    read = MeterRead.objects.filter(reference=reference).first()
    if read is None:
        form.add_error("reference", "There is no read with this reference")
        return None
    by = actor_for(staff_user(request))
    said = "It is being stored; the checks follow."
    return _done(
        request,
        read,
        lambda: actions.replay(delivery=delivery, read=read, by=by, now=timezone.now),
        said,
    )
