"""Staff pages of meters: one meter with its readings, forms, import, export, missing readings."""

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django_tables2 import RequestConfig

from core import settlement
from core.csvout import CONTENT_TYPE, rows_as_csv
from core.models import Note
from core.permissions import check, needs, staff_user
from core.workflow import Impossible, actor_for
from metering import actions, charting, export, looks, meter_csv, missing, stored
from metering.charting import FIRST_YEAR, LAST_YEAR, Period, Shown, Window
from metering.meter_forms import (
    ConfirmForm,
    ExportForm,
    MeterChangeForm,
    MeterForm,
    UploadForm,
)
from metering.meter_lists import KINDS, VIEW, GapForm, GapTable, fill, matches, say_filled
from metering.models import (
    ASK,
    READ,
    Channel,
    Meter,
    MeterAlarm,
    MeterImport,
    MeterRead,
    MeterType,
    RegisterKind,
    RegisterReading,
)
from metering.rules import Cause, tamper_events

LATEST_READS = 400
SHOWN_READS = 12
SHOWN_VALUES = 24
SHOWN_ODD = 50
SHOWN_OF_VALUES = (
    *("at", "value", "channel__name", "channel__unit", "channel__meter"),
    *("read__reference", "read__status"),
)
KEPT_DRAWINGS = 32
SHOWN_ROWS = 300
TWO_REGISTERS = 2


# ---- One meter ----------------------------------------------------------------------------------


@needs(VIEW)
def meter(request: HttpRequest, pk: int) -> HttpResponse:
    """One meter: its use over a stretch, registers, clock, events, collections, alarms."""
    row = _load(pk)
    channels = list(row.channels.annotate(latest=Max("day__day")))
    seen = _window(request, channels)
    judged = _judged(row)
    changes = list(row.changes.select_related("by").order_by("-at"))
    context = {
        "meter": row,
        "page_title": f"Meter {row.serial_number or row.mpan}",
        "facts": _facts(row),
        "tabs": _tabs(request, seen),
        "drawn": _drawn(request, row, channels, seen, [judged, [one.at for one in changes]]),
        "changes": changes,
        **_beside(row),
        "export_url": reverse("metering:export")
        + f"?meter={row.pk}&first={seen.first}&last={seen.last}",
        "may_change": request.user.has_perm(actions.CHANGE_METER),
        "may_ask": request.user.has_perm(ASK) and row.active,
        "may_acknowledge": request.user.has_perm(READ),
    }
    return render(request, "metering/meter.html", context)


def _load(pk: int) -> Meter:
    rows = Meter.objects.select_related("meter_type").defer("password")
    found: Meter = get_object_or_404(rows, pk=pk)
    return found


def _window(request: HttpRequest, channels: Iterable[Any]) -> Window:
    """The stretch that the address names, else the newest day with readings."""
    named = request.GET.get("period", "")
    period = next((each for each in Period if each.value == named), Period.DAY)
    latest = [channel.latest for channel in channels if channel.latest]
    usual = max(latest, default=timezone.localdate() - timedelta(days=1))
    return charting.window(period, _day(request.GET.get("on", "")) or usual)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR < day.year < LAST_YEAR else None


def _chosen(
    request: HttpRequest, channels: Sequence[Any], row: Meter
) -> list[tuple[Channel, bool]]:
    """The registers to draw, each with whether it hangs down: the named one, or in and out."""
    kinds = {each.name: each for each in row.meter_type.registers.all()}
    named = [channel for channel in channels if channel.name == request.GET.get("register")]
    if named:
        return [(named[0], False)]
    with_days = [channel for channel in channels if channel.latest]
    found: dict[str, Channel] = {}
    for channel in with_days:
        if (direction := _direction(channel, kinds)) and direction not in found:
            found[direction] = channel
    both = [
        (found[direction], direction == RegisterKind.Direction.EXPORT)
        for direction in (RegisterKind.Direction.IMPORT, RegisterKind.Direction.EXPORT)
        if direction in found
    ]
    return both or [(channel, False) for channel in with_days[:1]]


def _direction(channel: Channel, kinds: Mapping[str, RegisterKind]) -> str:
    """Which way a register's energy flows, by its kind or else by its name."""
    if not stored.in_kwh(channel):
        return ""
    if kind := kinds.get(channel.name):
        return "" if kind.direction == RegisterKind.Direction.NONE else kind.direction
    words = channel.name.casefold()
    return next((way for way in ("import", "export") if way in words), "")


# ---- What is drawn ------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """The drawn parts of the page, as HTML."""

    use: str
    reads: str
    events: str


_kept: dict[str, Drawn] = {}
_keeping = threading.Lock()


def _drawn(
    request: HttpRequest, row: Meter, channels: Sequence[Any], seen: Window, said: Sequence[Any]
) -> Drawn:
    """Draw the stretch, or take what this process drew from the very same facts before.

    `said` is how every read of the meter stands and when the meter was changed: with each result
    and each decision something in it changes.
    """
    chosen = _chosen(request, channels, row)
    shown = [(channel.pk, channel.name, channel.unit, hangs) for channel, hangs in chosen]
    days = [(channel.name, channel.latest) for channel in channels]
    kind = (row.meter_type.survey, row.meter_type.digits, row.capacity_kw)
    due = _due(seen, cumulative=row.meter_type.survey == MeterType.Survey.CUMULATIVE)
    this_year = timezone.localdate().year  # dates of other years are written with theirs
    facts = (row.pk, str(row), request.GET.urlencode(), seen, due, shown, days, kind, said)
    key = hashlib.sha256(repr((this_year, facts)).encode()).hexdigest()
    with _keeping:
        found = _kept.get(key)
    return found or _keep(key, _draw(request, row, channels, seen, chosen))


def _keep(key: str, drawn: Drawn) -> Drawn:
    with _keeping:
        while len(_kept) >= KEPT_DRAWINGS:
            del _kept[next(iter(_kept))]
        _kept[key] = drawn
    return drawn


def _judged(row: Meter) -> list[tuple[Any, ...]]:
    """How every read of a meter stands: what is stored of it changes with one of these alone.

    No status comes back without another version, so that its time need not be read.
    """
    rows = MeterRead.objects.filter(meter=row).order_by("pk")
    return list(rows.values_list("pk", "status", "versions", "why"))


def _draw(
    request: HttpRequest,
    row: Meter,
    channels: Sequence[Any],
    seen: Window,
    chosen: Sequence[tuple[Channel, bool]],
) -> Drawn:
    shown = _shown(row, chosen, seen)
    use = {
        "seen": seen,
        "before_url": _url(request, on=seen.before.isoformat()),
        "after_url": _url(request, on=seen.after.isoformat()),
        "registers": _register_links(request, channels, shown),
        "shown": shown,
        "reads_url": _reads_url(row),
        **_pictures(seen, shown),
        **_side(row, seen),
    }
    return Drawn(
        render_to_string("metering/meter_use.html", use),
        render_to_string("metering/meter_reads.html", _brought(row)),
        render_to_string("metering/meter_events.html", {"events": [*_events(row)][:SHOWN_READS]}),
    )


def _shown(row: Meter, chosen: Sequence[tuple[Channel, bool]], seen: Window) -> list[Shown]:
    """Decode and derive; six queries whatever the stretch is."""
    if not chosen:
        return []
    keys = [channel.pk for channel, _ in chosen]
    listed = stored.day_rows(keys, seen.span)
    around = stored.around(row, keys, seen.span)
    said = stored.verdicts(row.pk)
    down = len(chosen) == TWO_REGISTERS
    due = _due(seen, cumulative=around.cumulative)
    return [
        Shown(
            channel.name,
            channel.unit,
            down and hangs,
            around.use(channel, listed[channel.pk], seen.span),
            due,
            looks.doubts(listed[channel.pk], said, seen.span),
        )
        for channel, hangs in chosen
    ]


def _due(seen: Window, *, cumulative: bool) -> int:
    """The half hour of the window from which on nothing is expected yet."""
    due = (missing.expected(timezone.now()).end - seen.span.start) // settlement.HALF_HOUR
    # The use of the last half hour needs the total after it, which comes with the next day.
    return max(0, due - cumulative)


def _pictures(seen: Window, shown: Sequence[Shown]) -> dict[str, Any]:
    odd = charting.odd(seen, shown)
    known = any(one.use.known for one in shown)
    return {
        "picture": charting.picture(seen, shown) if known else None,
        "heats": [charting.heat(seen, one) for one in shown]
        if known and seen.period is Period.YEAR
        else [],
        "totals": charting.totals(shown),
        "doubts": charting.doubts(shown),
        "goes_on": charting.goes_on(shown),
        "odd": odd[:SHOWN_ODD],
        "more_odd": max(0, len(odd) - SHOWN_ODD),
    }


def _side(row: Meter, seen: Window) -> dict[str, Any]:
    lines = looks.side_readings(row, seen.span)
    most = looks.SHOWN_SIDE_READINGS
    return {"side": lines[:most], "more_side": max(0, len(lines) - most)}


def _brought(row: Meter) -> dict[str, Any]:
    """What the reads of a meter brought beside half hours."""
    values = RegisterReading.objects.filter(channel__meter=row).select_related("channel", "read")
    reads = list(_reads(row)[: SHOWN_READS + 1])
    return {
        "drift": charting.drift(_offsets(row)),
        "values": values.only(*SHOWN_OF_VALUES).order_by("-at", "channel__name")[:SHOWN_VALUES],
        "reads": reads[:SHOWN_READS],
        "more_reads": len(reads) > SHOWN_READS,
        "all_reads": MeterRead.objects.filter(meter=row).count(),
        "reads_url": _reads_url(row),
    }


def _beside(row: Meter) -> dict[str, Any]:
    """What people did, or have to do."""
    alarms = MeterAlarm.objects.filter(meter=row).select_related("read")
    notes = Note.objects.filter(case_label="metering.meter", case_id=row.pk)
    return {
        "alarms": alarms.defer("read__token")[:SHOWN_READS],
        "history": notes.order_by("-at", "-pk")[:SHOWN_READS],
    }


def _reads_url(row: Meter) -> str:
    return f"{reverse('metering:list')}?meter={row.pk}"


def _reads(row: Meter) -> QuerySet[MeterRead]:
    """The reads of a meter, the newest first, with what the page shows of them."""
    rows = MeterRead.objects.filter(meter=row).order_by("-created_at", "-pk")
    return rows.only("reference", "status", "created_at", "collection_end", "why", "status_events")


def _offsets(row: Meter) -> list[charting.Offset]:
    columns = ("connection_end", "collection_end", "clock_offset", "time_adjustment")
    return [
        charting.Offset(at, offset, _adjusted(adjusted))
        for connected, ended, offset, adjusted in _reads(row).values_list(*columns)[:LATEST_READS]
        if offset is not None and (at := connected or ended)
    ]


def _adjusted(text: str) -> str:
    if text.startswith("SUCCESS"):
        return "Clock set"
    return f"Not set: {text.removeprefix('ERROR').strip()}" if text.startswith("ERROR") else ""


def _events(row: Meter) -> Iterable[dict[str, Any]]:
    """Status events by read, those of tampering marked."""
    for read in _reads(row).exclude(status_events=[])[:SHOWN_READS]:
        tamper = set(tamper_events(read.status_events))
        for text in read.status_events:
            at = read.collection_end or read.created_at
            yield {"read": read, "at": at, "text": text, "tamper": text in tamper}


def _facts(row: Meter) -> list[dict[str, Any]]:
    facts = (
        ("MPAN", row.mpan, True),
        ("Serial number", row.serial_number, True),
        ("Meter type", f"{row.meter_type} ({row.meter_type.get_survey_display()})", False),
        ("Remote address", row.remote_address, True),
        ("Coms settings", row.coms_settings, True),
        ("Outstation address", row.outstation_address, True),
        ("Collection group", row.group, False),
        ("Priority", str(row.priority), False),
        ("Capacity", f"{row.capacity_kw} kW" if row.capacity_kw is not None else "", False),
    )
    return [{"label": label, "value": value, "mono": mono} for label, value, mono in facts]


def _url(request: HttpRequest, **changes: str) -> str:
    query = request.GET.copy()
    for name, value in changes.items():
        query[name] = value
    return "?" + query.urlencode()


def _tabs(request: HttpRequest, seen: Window) -> list[dict[str, Any]]:
    # A day stands for the window, so that switching to a day and back stays near it.
    on = request.GET.get("on") if _day(request.GET.get("on", "")) else seen.last.isoformat()
    return [
        {
            "label": period.value.capitalize(),
            "url": _url(request, period=period.value, on=str(on)),
            "current": period is seen.period,
        }
        for period in Period
    ]


def _register_links(
    request: HttpRequest, channels: Sequence[Any], shown: Sequence[Shown]
) -> list[dict[str, Any]]:
    """Every register with half hours, to look at by itself."""
    with_days = [channel for channel in channels if channel.latest]
    if len(with_days) <= TWO_REGISTERS:
        return []
    names = [one.name for one in shown]
    return [
        {
            "label": channel.name,
            "url": _url(request, register=channel.name),
            "current": names == [channel.name],
        }
        for channel in with_days
    ]


# ---- Adding and changing ------------------------------------------------------------------------


@needs(actions.ADD_METER)
def add(request: HttpRequest) -> HttpResponseBase:
    """Add a meter."""
    form = MeterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            by = actor_for(staff_user(request))
            row = actions.add_meter(particulars=form.particulars(), by=by, now=timezone.now)
        except Impossible as problem:
            form.add_error("serial_number", problem.sentence)
        else:
            messages.success(request, "The meter is added.")
            return redirect(row)
    return _form_page(request, form, "Add a meter", reverse("metering:meters"), "Add this meter")


@needs(actions.CHANGE_METER)
def edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Change a meter's particulars; its password can be replaced, never read."""
    row = get_object_or_404(Meter.objects.select_related("meter_type"), pk=pk)
    form = MeterForm(request.POST or None, meter=row)
    if request.method == "POST" and form.is_valid():
        try:
            changed = actions.change_meter(
                meter=row,
                particulars=form.particulars(),
                by=actor_for(staff_user(request)),
                now=timezone.now,
            )
        except Impossible as problem:
            form.add_error("serial_number", problem.sentence)
        else:
            messages.success(request, " ".join(changed) or "Nothing was changed.")
            return redirect(row)
    return _form_page(request, form, f"Change meter {row.serial_number or row.mpan}", row)


@needs(actions.CHANGE_METER)
def change(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Record that another meter hangs there now."""
    row = _load(pk)
    form = MeterChangeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        by = actor_for(staff_user(request))
        try:
            actions.record_meter_change(meter=row, by=by, now=timezone.now, **form.cleaned_data)
        except Impossible as problem:
            form.add_error(None, problem.sentence)
        else:
            messages.success(request, "The meter change is recorded.")
            return redirect(row)
    return _form_page(request, form, "Record a meter change", row, "Record this change")


def _form_page(
    request: HttpRequest, form: Any, title: str, back: Any, button: str = "Save"
) -> HttpResponse:
    url = back if isinstance(back, str) else back.get_absolute_url()
    context = {"form": form, "page_title": title, "button": button, "cancel_url": url}
    if not isinstance(back, str):
        context["lead"] = f"MPAN {back.mpan}, serial number {back.serial_number or 'not known'}"
    return render(request, "metering/meter_form.html", context)


# ---- Import -------------------------------------------------------------------------------------


@needs(actions.ADD_METER)
def import_meters(request: HttpRequest) -> HttpResponseBase:
    """Upload a list of meters; it is read and shown, nothing is imported yet."""
    check(request, actions.CHANGE_METER)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            types = MeterType.objects.values_list("code", flat=True)
            sheet = meter_csv.read(file.read(), list(types))
        except meter_csv.NotASheet as problem:
            form.add_error("file", str(problem))
        else:
            return _preview(request, sheet, file.name)
    context = {
        "form": form,
        "page_title": "Import meters",
        "lead": "The file is read and shown first. Nothing is imported until you confirm it.",
        "button": "Read this file",
        "cancel_url": reverse("metering:meters"),
        "columns": meter_csv.COLUMNS,
        "needed": meter_csv.NEEDED,
    }
    return render(request, "metering/import.html", context)


def _preview(request: HttpRequest, sheet: meter_csv.Sheet, name: str) -> HttpResponse:
    """Show what the file would do; its rows wait on the server, encrypted."""
    good = [row for row in sheet.rows if not row.problems]
    upload = None
    if good:
        by = actor_for(staff_user(request))
        values = [dict(row.values) for row in good]
        upload = actions.keep_upload(rows=values, file_name=name, by=by, now=timezone.now)
    beside = actions.sort_out([row.values for row in good])
    context = {
        "page_title": "Check this import",
        "upload": upload,
        "file_name": name,
        "wrong": [row for row in sheet.rows if row.problems],
        "rows": [_previewed(*pair) for pair in zip(good, beside, strict=True)][:SHOWN_ROWS],
        "count": len(good),
        "counts": {
            kind: sum(e.kind == kind for e in beside) for kind in ("new", "changed", "same")
        },
        "ignored": sheet.ignored,
        "form": ConfirmForm() if request.user.has_perm(ASK) else None,
        "asks": sum(row.values["SURVEY_DAYS"] not in ("", "0") for row in good),
    }
    return render(request, "metering/import_check.html", context)


KIND_LABELS = {
    "new": ("good", "New"),
    "changed": ("busy", "Changes"),
    "same": ("idle", "As it is"),
}


def _previewed(row: meter_csv.Row, each: actions.Sorted) -> dict[str, Any]:
    """What a line of the preview shows: never the password itself."""
    shown = {name: value for name, value in row.values.items() if name != "PASSWORD"}
    kind, label = KIND_LABELS[each.kind]
    return {
        "number": row.number,
        "values": shown,
        "password": "given" if row.values["PASSWORD"] else "",
        "tag": kind,
        "label": label,
        "said": ", ".join(each.said),
    }


@needs(actions.ADD_METER)
def confirm_import(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Import what was shown, once."""
    check(request, actions.CHANGE_METER)
    if request.method != "POST":
        return redirect("metering:import")
    by = actor_for(staff_user(request))
    upload = MeterImport.objects.filter(pk=pk, by=by.user).first()
    if upload is None:
        messages.error(request, "This upload is too old. Send the file again.")
        return redirect("metering:import")
    form = ConfirmForm(request.POST)
    wanted = form.is_valid() and form.cleaned_data["ask_now"]
    try:
        done = actions.import_meters(upload=upload, ask_now=wanted, by=by, now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect("metering:import")
    asked = " The service is asked as the file says." if done.batch else ""
    meters = "1 meter" if done.added == 1 else f"{done.added:,} meters"
    messages.success(
        request, f"{meters} added, {done.changed:,} changed, {done.same:,} as they were.{asked}"
    )
    return redirect("metering:meters")


# ---- Missing readings ---------------------------------------------------------------------------


@needs(VIEW)
def gaps(request: HttpRequest) -> HttpResponseBase:
    """The work list of meters whose half hours are missing, late or stale."""
    if request.method == "POST":
        return _ask_chosen(request)
    form = GapForm(request.GET)
    found, _ = missing.with_plan(
        missing.standings(_gap_meters(form), now=timezone.now()), now=timezone.now()
    )
    found = [one for one in found if one.kinds and _on_side(one, form)]
    counts = {kind: sum(kind in one.kinds for one in found) for kind in KINDS}
    kind = request.GET.get("kind", "")
    listed = [one for one in found if kind in one.kinds] if kind in KINDS else found
    table = GapTable(listed)
    RequestConfig(request, paginate={"per_page": 50}).configure(table)
    context = {
        "page_title": "Missing readings",
        "page_lead": "Meters whose half hours of the last 90 days are not all here. "
        "What can still be asked for is asked for every night.",
        "tabs": _kind_tabs(request, kind, counts, len(found)),
        "filter": SimpleNamespace(form=form),
        "table": table,
        "bulk": [{"label": "Ask for missing days now", "value": "ask", "primary": True}]
        if request.user.has_perm(ASK)
        else [],
        "empty": {
            "title": "Nothing is missing",
            "text": "Every half hour that should be here is here, or the filters hide the rest.",
            "url": "?",
            "label": "Show all",
        },
    }
    return render(request, "metering/gaps.html", context)


def _gap_meters(form: GapForm) -> QuerySet[Meter]:
    rows = Meter.objects.filter(active=True).select_related("meter_type").defer("password")
    if form.is_valid():
        if text := form.cleaned_data["q"]:
            rows = rows.filter(matches(text))
        if group := form.cleaned_data["group"]:
            rows = rows.filter(group__iexact=group.strip())
    return rows


def _on_side(one: missing.Standing, form: GapForm) -> bool:
    cause = form.cleaned_data.get("cause") if form.is_valid() else ""
    return not cause or Cause[cause].value in one.causes


def _kind_tabs(
    request: HttpRequest, chosen: str, counts: Mapping[str, int], total: int
) -> list[dict[str, Any]]:
    query = request.GET.copy()
    query.pop("page", None)
    rows = [("", "All", total), *((kind, label, counts[kind]) for kind, label in KINDS.items())]
    tabs = []
    for kind, label, count in rows:
        query["kind"] = kind
        url = "?" + query.urlencode()
        tabs.append({"label": label, "url": url, "count": count, "current": kind == chosen})
    return tabs


def _ask_chosen(request: HttpRequest) -> HttpResponseBase:
    if not request.user.has_perm(ASK):
        raise PermissionDenied("Your role does not ask meters.")
    named = [row for row in request.POST.getlist("row") if row.isdecimal() and len(row) <= 18]
    meters = Meter.objects.filter(pk__in=[int(row) for row in named], active=True)
    if not named:
        messages.warning(request, "Nothing was done: choose meters first.")
    else:
        say_filled(request, fill(meters.defer("password"), request))
    return redirect(request.get_full_path())


# ---- Export -------------------------------------------------------------------------------------


@needs(VIEW)
def export_readings(request: HttpRequest) -> HttpResponseBase:
    """Choose a stretch, then download: one line a register and half hour, streamed."""
    one = _named_meter(request)
    wanted = "download" in request.GET
    form = ExportForm(request.GET if wanted or "first" in request.GET else None, meter=one)
    if wanted and form.is_valid():
        return _stream(form, one)
    context = {
        "form": form,
        "meter": one,
        "page_title": "Export readings",
        "cancel_url": one.get_absolute_url() if one else reverse("metering:meters"),
    }
    return render(request, "metering/meter_export.html", context)


def _named_meter(request: HttpRequest) -> Meter | None:
    named = request.GET.get("meter", "")
    return _load(int(named)) if named.isdecimal() and len(named) <= 18 else None


def _stream(form: ExportForm, one: Meter | None) -> HttpResponseBase:
    asked = form.cleaned_data
    rows = Meter.objects.select_related("meter_type").defer("password")
    rows = rows.prefetch_related("channels")
    if one is not None:
        rows = rows.filter(pk=one.pk)
    elif asked["group"]:
        rows = rows.filter(group=asked["group"])
    span = settlement.span(asked["first"], asked["last"])
    lines = export.rows(rows.iterator(chunk_size=100), span, accepted_only=asked["accepted"])
    response = StreamingHttpResponse(rows_as_csv(export.HEADING, lines), content_type=CONTENT_TYPE)
    kind = "billing" if asked["accepted"] else "readings"
    of = one.serial_number or one.mpan if one else asked["group"] or "all"
    safe = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in of)
    name = f"{kind}-{safe}-{asked['first']}-{asked['last']}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
