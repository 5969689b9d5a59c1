"""The frame's own pages: home, search, calls, e-mails, alarms, health, and the error pages."""

import math
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from core import alarms, casework, desks, health, housekeeping, queue
from core.forms import AcknowledgeForm
from core.lists import OUTCOME_TAGS, OUTCOMES
from core.models import Alarm, Email, PartnerCall, User
from core.permissions import check, needs, staff_user
from core.workflow import actor_for

SEARCH_MINIMUM = 3
WORST_FIRST = ("bad", "look", "")  # edges of the groups on the home page


# ---- Home and search -------------------------------------------------------------------------


def home(request: HttpRequest) -> HttpResponse:
    """What needs this person: each desk's queues with counts and ages, alarms and parties."""
    user, now = staff_user(request), timezone.now()
    only_mine = "mine" in request.GET
    found = list(desks.desks_for(user))
    groups = [group for desk in found for group in desk.inbox_for(user, only_mine=only_mine)]
    groups.sort(key=lambda group: WORST_FIRST.index(group.edge))
    tiles = [desk.tile_for(user) for desk in found]
    context = {
        "greeting_line": _greeting(tiles, groups, now),
        "tiles": tiles,
        "groups": [*_alarm_group(user), *groups],
        "parties": health.parties(user, now=now),
        "only_mine": only_mine,
        "mine_url": reverse("home") if only_mine else "?mine",
        "health_url": reverse("health") if user.has_perm("core.view_heartbeat") else "",
    }
    return render(request, "core/home.html", context)


def _greeting(tiles: list[desks.Tile], groups: list[desks.InboxGroup], now: datetime) -> str:
    today = f"{timezone.localtime(now):%A %-d %B %Y, %H:%M}."
    late = sum(item.overdue for group in groups for item in group.items)
    total = sum(tile.big for tile in tiles)
    if not total:
        return f"{today} Nothing waits."
    things = "One thing is" if total == 1 else f"{total} things are"
    return (
        f"{today} {things} yours or nobody’s; {late or 'none'} {'is' if late == 1 else 'are'} late."
    )


def _alarm_group(user: User) -> list[desks.InboxGroup]:
    seen = (desk.slug for desk in desks.desks_for(user) if user.has_perm(desk.permission))
    slugs = [*seen, "core"]
    rows = Alarm.objects.filter(acknowledged_at=None, over_at=None, desk__in=slugs)[:20]
    items = [
        desks.InboxItem(
            reference="Alarm",
            url=reverse("health"),
            text=row.title,
            source=row.text,
            tag=("bad", f"{row.times} times" if row.times > 1 else "New"),
            consequence=row.next_step,
            age_at=row.raised_at,
        )
        for row in rows
    ]
    lead = "Each needs one sentence from you."
    return [desks.InboxGroup("Alarms", lead, items, "bad", len(items))] if items else []


def search(request: HttpRequest) -> HttpResponse:
    """Find cases of every desk this person may see, by any identifier."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    groups = []
    if len(text) >= SEARCH_MINIMUM:
        user = staff_user(request)
        found = [(desk.label, desk.hits(text, user)) for desk in desks.desks_for(user)]
        groups = [{"desk": label, "hits": hits} for label, hits in found if hits]
    return render(
        request,
        "core/search.html",
        {
            "q": text,
            "groups": groups,
            "total": sum(len(group["hits"]) for group in groups),
        },
    )


# ---- Calls to parties ------------------------------------------------------------------------


@needs("core.view_partnercall")
def call(request: HttpRequest, pk: int) -> HttpResponse:
    """One call: what was sent, what came back, what of it was kept."""
    row = get_object_or_404(PartnerCall, pk=pk)
    _check_desk(request, row.desk)
    return render(request, "core/call.html", _call_context(request, row))


def _call_context(request: HttpRequest, row: PartnerCall) -> dict[str, Any]:
    user = staff_user(request)
    hidden = row.reply_unread and user.has_perm("core.reveal_reply")
    return {
        "call": row,
        "tag": (
            OUTCOME_TAGS.get(row.outcome, "idle"),
            dict(OUTCOMES).get(row.outcome, row.outcome),
        ),
        "reveal_url": reverse("call-reply", args=[row.pk]) if hidden else "",
        "try_again_url": desks.desk(row.desk).try_again_url(row, user) if row.desk else "",
    }


@require_POST
@needs("core.reveal_reply")
def reveal_reply(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a reply that could not be read; looking is recorded on the case."""
    row = get_object_or_404(PartnerCall, pk=pk)
    _check_desk(request, row.desk)
    by = actor_for(staff_user(request))
    casework.reveal_about(row, what=f"the unread reply of call {row.pk}", by=by, now=timezone.now())
    context = {**_call_context(request, row), "unread": row.reply_unread}
    return render(request, "core/call.html", context)


def _check_desk(request: HttpRequest, slug: str) -> None:
    """A row of a desk is for people who may see that desk."""
    if slug:
        check(request, desks.desk(slug).permission)


# ---- E-mails ---------------------------------------------------------------------------------


@needs("core.view_email")
def email(request: HttpRequest, pk: int) -> HttpResponse:
    """One e-mail as the customer gets it; a person's decision counts down here until it leaves."""
    row = get_object_or_404(Email, pk=pk)
    _check_desk(request, row.desk)
    context = _mail_context(request, row)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "core/sending_part.html", context)
    waiting = row.state == Email.State.WAITING and row.by_id is not None
    return render(request, "core/sending.html" if waiting else "core/mail.html", context)


def _mail_context(request: HttpRequest, row: Email) -> dict[str, Any]:
    left = (row.send_at - timezone.now()).total_seconds()
    return {
        "mail": row,
        "page_title": "The decision is about to be told",
        "reference": row.reference,
        "state": row.state,
        "problem": row.problem,
        "seconds_left": max(0, math.ceil(left)),
        "seconds_total": max(1, round((row.send_at - row.created_at).total_seconds())),
        "leaves_at": row.send_at,
        "poll_url": row.get_absolute_url(),
        "case_url": row.case_url,
        "stop_url": reverse("mail-stop", args=[row.pk]) if _may_stop(request, row) else "",
    }


def _may_stop(request: HttpRequest, row: Email) -> bool:
    if not row.desk or row.by_id is None or row.state != Email.State.WAITING:
        return False
    return request.user.has_perm(desks.desk(row.desk).decide_permission)


@require_POST
def stop_mail(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stop an e-mail that has not left. The desk decides what else is undone with it."""
    row = get_object_or_404(Email, pk=pk)
    check(request, desks.desk(row.desk).decide_permission)
    stopped = desks.desk(row.desk).stop(row, actor_for(staff_user(request)))
    if stopped:
        messages.success(request, "Stopped. The e-mail does not leave.")
    else:
        messages.error(request, "Too late: the e-mail has left already. Nothing was changed.")
    return redirect(row.case_url or row)


# ---- Alarms and health -----------------------------------------------------------------------


@require_POST
@needs("core.acknowledge_alarm")
def acknowledge(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Record that a person has seen an alarm, with one sentence."""
    alarm, form = get_object_or_404(Alarm, pk=pk), AcknowledgeForm(request.POST)
    _check_desk(request, alarm.desk if alarm.desk != "core" else "")
    if not form.is_valid():
        messages.error(request, "Write one sentence: what you did or know about it.")
    elif alarms.acknowledge(
        alarm,
        by=staff_user(request),
        note=form.cleaned_data["note"],
        now=timezone.now(),
    ):
        messages.success(request, f"Acknowledged: {alarm.title}.")
    else:
        messages.warning(request, "Somebody has acknowledged this alarm already.")
    return redirect("health")


@needs("core.view_heartbeat")
def health_page(request: HttpRequest) -> HttpResponse:
    """Parts, queues, parties and alarms on one page."""
    now = timezone.now()
    slugs = [*(desk.slug for desk in desks.desks_for(staff_user(request))), "core"]
    rows = alarms.open_alarms().filter(desk__in=slugs).select_related("acknowledged_by")[:50]
    context = {
        "checks": health.checks(now=now),
        "heartbeat_at": housekeeping.heartbeat_at("sweep"),
        "queues": list(queue.standings(now=now)),
        "parties": health.parties(staff_user(request), now=now),
        "alarms": [(row, _acknowledge_url(request, row)) for row in rows],
    }
    return render(request, "core/health.html", context)


def _acknowledge_url(request: HttpRequest, row: Alarm) -> str:
    may = request.user.has_perm("core.acknowledge_alarm") and row.acknowledged_at is None
    return reverse("alarm-acknowledge", args=[row.pk]) if may else ""


@never_cache
@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the web process is alive; looks at nothing else."""
    return JsonResponse({"alive": True})


@never_cache
@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether work can be done: database and queue heartbeat. 200 or 503."""
    found = health.checks(now=timezone.now())
    ok = all(one.ok for one in found)
    body = {"ready": ok, "checks": {one.name.lower(): one.text for one in found}}
    return JsonResponse(body, status=200 if ok else 503)


@login_not_required
def admin_sign_in(request: HttpRequest) -> HttpResponseBase:
    """Send people to the one sign-in page; who is signed in already has no right to the tables."""
    if request.user.is_authenticated:
        raise PermissionDenied("Your role does not include the reference tables.")
    return redirect_to_login(request.GET.get("next", "/admin/"))


# ---- Error pages -----------------------------------------------------------------------------


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose protection did not fit: nothing was done, what was typed is one step back."""
    return render(request, "403_csrf.html", status=403)
