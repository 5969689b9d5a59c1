"""Office pages of the safe isolation desk: new jobs, imports, planning, code lists, figures."""

import secrets
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from core.permissions import needs, staff_user
from core.templatetags.portal import span
from core.workflow import Impossible, actor_for
from sip import actions, job_csv, statistics
from sip.forms import CodeForm, FileForm, JobForm, PeriodForm, PlanForm
from sip.messages import every_field
from sip.models import ADD, CHANGE, VIEW, Code, CodeList, Job, JobImport

SHOWN_ROWS = 300
MOST_PLANNED = 500
SEE_CODES, ADD_CODE, CHANGE_CODE = "sip.view_code", "sip.add_code", "sip.change_code"


# ---- One job ---------------------------------------------------------------------------------


@needs(ADD)
def add(request: HttpRequest) -> HttpResponseBase:
    """Create a job."""
    form = JobForm(request.POST or None, initial={"planned_date": timezone.localdate()})
    key = request.POST.get("key", "")[:60] or secrets.token_urlsafe(16)
    if request.method == "POST" and form.is_valid():
        by = actor_for(staff_user(request))
        try:
            job = actions.create_job(
                details=form.details(), key=f"form {key}", by=by, now=timezone.now
            )
        except Impossible as problem:
            form.add_error(None, problem.sentence)
        else:
            messages.success(request, "The job is created.")
            return redirect(job)
    context = {
        "form": form,
        "key": key,
        "page_title": "Create a job",
        "lead": "One visit to one premise. It becomes exactly one market message.",
        "button": "Create this job",
        "cancel_url": reverse("sip:list"),
    }
    response = render(request, "sip/job_form.html", context)
    response["Cache-Control"] = "private, no-store"
    return response


@needs(CHANGE)
def plan_many(request: HttpRequest) -> HttpResponseBase:
    """Give several jobs to an engineer at once."""
    named = [each for each in request.GET.getlist("job") if each.isdecimal() and len(each) < 19]
    jobs = list(
        Job.objects.filter(pk__in=[int(each) for each in named[:MOST_PLANNED]])
        .exclude(status__in=actions.ENDED)
        .select_related("engineer")
        .order_by("planned_date", "pk")
    )
    if not jobs:
        messages.warning(request, "Nothing was done: the chosen jobs have ended.")
        return redirect("sip:list")
    form = PlanForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        _planned(request, jobs, form)
        return redirect("sip:list")
    context = {
        "form": form,
        "jobs": jobs,
        "left": len(set(named)) - len(jobs),
        "page_title": f"Give {len(jobs)} job{'s' if len(jobs) > 1 else ''} to an engineer",
        "button": "Give them",
        "cancel_url": reverse("sip:list"),
        "cancel_label": "Back without changing",
    }
    return render(request, "sip/plan.html", context)


def _planned(request: HttpRequest, jobs: Iterable[Job], form: PlanForm) -> None:
    by, done, left = actor_for(staff_user(request)), 0, []
    for job in jobs:
        try:
            actions.assign_engineer(job=job, by=by, now=timezone.now, **form.cleaned_data)
            done += 1
        except Impossible:
            left.append(job.reference)
    messages.success(request, f"{done} given to {form.cleaned_data['engineer'] or 'nobody'}.")
    if left:
        text = f"Left as they are, because somebody was faster: {', '.join(left)}."
        messages.warning(request, text)


# ---- Import ----------------------------------------------------------------------------------


@needs(ADD)
def import_jobs(request: HttpRequest) -> HttpResponseBase:
    """Upload a list of jobs; it is read and shown, nothing is created yet."""
    form = FileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        names = {email: str(user) for email, user in actions.engineers().items()}
        try:
            sheet = job_csv.read(file.read(), names)
        except job_csv.NotASheet as problem:
            form.add_error("file", str(problem))
        else:
            return _preview(request, sheet, file.name)
    context = {
        "form": form,
        "page_title": "Import jobs",
        "lead": "The file is read and shown first. Nothing is created until you confirm it.",
        "button": "Read this file",
        "cancel_url": reverse("sip:list"),
        "columns": job_csv.COLUMNS,
        "needed": job_csv.NEEDED,
    }
    return render(request, "sip/import.html", context)


def _preview(request: HttpRequest, sheet: job_csv.Sheet, name: str) -> HttpResponse:
    """Show what the file would do; its rows wait on the server, encrypted."""
    good = [row for row in sheet.rows if not row.problems]
    by = actor_for(staff_user(request))
    upload = None
    if good:
        rows = [dict(row.values) for row in good]
        upload = actions.keep_upload(rows=rows, file_name=name, by=by, now=timezone.now)
    beside = actions.sort_out([row.values for row in good])
    context = {
        "page_title": "Check this import",
        "upload": upload,
        "file_name": name[-100:],
        "wrong": [row for row in sheet.rows if row.problems],
        "rows": [_previewed(*pair) for pair in zip(good, beside, strict=True)][:SHOWN_ROWS],
        "count": len(good),
        "counts": {kind: sum(each.kind == kind for each in beside) for kind in KINDS},
        "ignored": sheet.ignored,
    }
    return render(request, "sip/import_check.html", context)


KINDS = {"new": ("good", "New"), "there": ("idle", "There already")}
HIDDEN_COLUMNS = ("CUSTOMER_VULNERABILITY", "SITE_RISK")


def _previewed(row: job_csv.Row, each: actions.Sorted) -> dict[str, Any]:
    """A line of the preview: that health data or risks are given, never which."""
    tag, label = KINDS[each.kind]
    return {
        "number": row.number,
        "values": {k: v for k, v in row.values.items() if k not in HIDDEN_COLUMNS},
        "private": any(row.values[name] for name in HIDDEN_COLUMNS),
        "engineer": str(each.engineer or "Nobody yet"),
        "tag": tag,
        "label": label,
    }


@needs(ADD)
def confirm_import(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Create the jobs that were shown, once."""
    if request.method != "POST":
        return redirect("sip:import")
    by = actor_for(staff_user(request))
    upload = JobImport.objects.filter(pk=pk, by=by.user).first()
    if upload is None:
        messages.error(request, "This upload is too old. Send the file again.")
        return redirect("sip:import")
    try:
        done = actions.import_jobs(upload=upload, by=by, now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect("sip:import")
    there = f" {done.there:,} were planned already and left." if done.there else ""
    messages.success(request, f"{done.added:,} jobs created.{there}")
    return redirect("sip:list")


# ---- Codes -----------------------------------------------------------------------------------


@needs(SEE_CODES)
def codes(request: HttpRequest) -> HttpResponse:
    """Every list of codes with how many it has and where it is used."""
    counted = Count("codes", filter=Q(codes__active=True))
    rows = CodeList.objects.annotate(in_use=counted, all=Count("codes"))
    used: dict[str, list[str]] = {}
    for block, field in every_field():
        if field.codes:
            used.setdefault(field.codes, []).append(f"{block.title}: {field.label}")
    context = {
        "page_title": "Code lists",
        "lists": [{"row": row, "used": used.get(row.name, [])} for row in rows],
        "empty": {"title": "No code lists", "text": "They come with the portal."},
    }
    return render(request, "sip/codes.html", context)


@needs(SEE_CODES)
def code_list(request: HttpRequest, name: str) -> HttpResponseBase:
    """The codes of one list, and a form to add one."""
    row: CodeList = get_object_or_404(CodeList, name=name)
    may_add = request.user.has_perm(ADD_CODE)
    form = CodeForm(request.POST or None) if may_add else None
    if form is not None and _kept_code(request, row, form, None):
        return redirect("sip:code-list", name=name)
    context = {
        "page_title": row.title,
        "list": row,
        "codes": row.codes.order_by("-active", "value"),
        "form": form,
        "may_change": request.user.has_perm(CHANGE_CODE),
    }
    return render(request, "sip/code_list.html", context)


@needs(CHANGE_CODE)
def code(request: HttpRequest, name: str, pk: int) -> HttpResponseBase:
    """Change a code: what it means, and whether it can be chosen."""
    rows = Code.objects.select_related("code_list")
    row: Code = get_object_or_404(rows, pk=pk, code_list__name=name)
    known = {"value": row.value, "meaning": row.meaning, "active": row.active}
    form = CodeForm(request.POST or None, initial=known)
    if _kept_code(request, row.code_list, form, row):
        return redirect("sip:code-list", name=name)
    context = {
        "form": form,
        "page_title": f"Change code {row.value}",
        "lead": f"{row.code_list.title}. Worksheets that hold it keep what they hold.",
        "cancel_url": reverse("sip:code-list", args=[name]),
        "list": row.code_list,
    }
    return render(request, "sip/code_form.html", context)


def _kept_code(request: HttpRequest, row: CodeList, form: CodeForm, held: Code | None) -> bool:
    if request.method != "POST" or not form.is_valid():
        return False
    by = actor_for(staff_user(request))
    try:
        actions.keep_code(code_list=row, code=held, by=by, now=timezone.now, **form.cleaned_data)
    except Impossible as problem:
        form.add_error("value", problem.sentence)
        return False
    messages.success(request, f"Code {form.cleaned_data['value']} is saved.")
    return True


@needs(ADD_CODE)
def import_codes(request: HttpRequest, name: str) -> HttpResponseBase:
    """Add the codes of a CSV file to a list; codes that the file lacks stay."""
    row: CodeList = get_object_or_404(CodeList, name=name)
    form = FileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        by = actor_for(staff_user(request))
        try:
            added, changed = actions.import_codes(
                code_list=row, body=form.cleaned_data["file"].read(), by=by, now=timezone.now
            )
        except (job_csv.NotASheet, Impossible) as problem:
            form.add_error("file", getattr(problem, "sentence", "") or str(problem))
        else:
            messages.success(request, f"{added} codes added, {changed} changed.")
            return redirect("sip:code-list", name=name)
    context = {
        "form": form,
        "page_title": f"Import codes: {row.title}",
        "lead": "A CSV file from the party with the columns VALUE and, if they say it, MEANING. "
        "Codes that the file lacks stay.",
        "button": "Import these codes",
        "cancel_url": reverse("sip:code-list", args=[name]),
        "list": row,
    }
    return render(request, "sip/code_form.html", context)


# ---- Figures ---------------------------------------------------------------------------------


@needs(VIEW)
def figures(request: HttpRequest) -> HttpResponse:
    """Jobs of a stretch of time by status, outcome and scenario; how well and fast they went."""
    form = PeriodForm(request.GET or None)
    last = timezone.localdate()
    first = last - timedelta(days=29)
    if form.is_valid():
        first, last = form.cleaned_data["first"] or first, form.cleaned_data["last"] or last
    elif not form.is_bound:
        form = PeriodForm(initial={"first": first, "last": last})
    found = statistics.summary(_midnight(first), _midnight(last + timedelta(days=1)))
    labels = dict(Job.Status.choices)
    context = {
        "page_title": "Statistics",
        "form": form,
        "first": first,
        "last": last,
        "summary": found,
        "share": None if found.first_time_share is None else round(100 * found.first_time_share),
        "took": span(found.median_to_acceptance) or "under 1 min"
        if found.median_to_acceptance is not None
        else None,
        "tables": [
            _table("By status", found.by_status, found.jobs, labels),
            _table("By how they ended on site", found.by_outcome, found.jobs, {}),
            _table("By scenario", found.by_scenario, found.jobs, {}),
        ],
    }
    return render(request, "sip/statistics.html", context)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _table(
    title: str, counts: dict[str, int], total: int, labels: dict[str, str]
) -> dict[str, Any]:
    rows = [
        {"name": labels.get(name, name), "count": count, "total": total}
        for name, count in counts.items()
    ]
    return {"title": title, "rows": rows}
