"""Pages about many supply points: lists of MPRNs, bulk runs, the formula year watch, orders."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from core import charts, confirm
from core.permissions import needs, staff_user
from core.workflow import Actor, Impossible, actor_for
from gasquotes import budget, bulk, looks, mprn_csv, portfolios
from gasquotes.forms import TermsForm
from gasquotes.models import LOOK_UP, BulkLine, BulkRun, Portfolio, PortfolioPoint, QuoteOrder
from gasquotes.portfolio_forms import KeepForm, ListForm, WatchForm
from gasquotes.portfolio_lists import ADD
from gasquotes.sheets import NotASheet
from gasquotes.watching import Change, Summary

VIEW = "gasquotes.view_portfolio"
RUNS = "gasquotes.view_bulkrun"
VIEW_QUOTE = "gasquotes.view_quote"
SHOWN = 50
LONGEST_KEY = 18
NAMED = 12  # repeated rows that are named one by one


# ---- Overviews ---------------------------------------------------------------------------------


@needs(VIEW)
def portfolio_list(request: HttpRequest) -> HttpResponse:
    """Every portfolio with how much of it is known."""
    rows = Portfolio.objects.select_related("created_by").annotate(
        count=_count(PortfolioPoint.objects.all()),
        known=_count(PortfolioPoint.objects.exclude(look_up=None)),
    )
    context = {
        "page_title": "Portfolios",
        "portfolios": rows,
        "may_add": request.user.has_perm(LOOK_UP),
    }
    return render(request, "gasquotes/portfolios.html", context)


def _count(points: QuerySet[Any]) -> Subquery:
    of_one = points.filter(portfolio=OuterRef("pk")).order_by().values("portfolio")
    return Subquery(of_one.annotate(n=Count("pk")).values("n"), output_field=IntegerField())


@needs(RUNS)
def run_list(request: HttpRequest) -> HttpResponse:
    """The latest bulk runs."""
    lines = BulkLine.objects.filter(run=OuterRef("pk")).order_by().values("run")
    total = Subquery(lines.annotate(n=Count("pk")).values("n"), output_field=IntegerField())
    context = {
        "page_title": "Bulk look-ups",
        "runs": BulkRun.objects.annotate(total=total)[:SHOWN],
        "may_look_up": request.user.has_perm(LOOK_UP),
        "stands": budget.standing(now=timezone.now()),
    }
    return render(request, "gasquotes/runs.html", context)


# ---- A list of MPRNs ---------------------------------------------------------------------------


@needs(LOOK_UP)
def add_run(request: HttpRequest) -> HttpResponseBase:
    """Upload MPRNs; they are read and shown, nothing is looked up yet."""
    form = ListForm(request.POST or None, request.FILES or None, initial={"key": str(uuid.uuid4())})
    if request.method == "POST" and form.is_valid() and (run := _taken(request, form)):
        return redirect(run)
    context = {
        "form": form,
        "page_title": "Look up a list of MPRNs",
        "lead": "The file is read and shown first, with the look-ups it needs. Nothing is looked "
        "up until you start it.",
        "button": "Read this file",
        "cancel_url": reverse("gasquotes:runs"),
        "cancel_label": "Back without reading",
        "stands": budget.standing(now=timezone.now()),
        "may_look_up": True,
    }
    return render(request, "gasquotes/run_add.html", context)


def _taken(request: HttpRequest, form: ListForm) -> BulkRun | None:
    """Keep the list as a run; None when the form says what is wrong."""
    said, by = form.cleaned_data, actor_for(staff_user(request))
    key = said["key"] or str(uuid.uuid4())
    before: BulkRun | None = BulkRun.objects.filter(confirmation=key).first()
    if before is not None:
        messages.info(request, bulk.PreparedAlready.sentence)
        return before
    try:
        found = mprn_csv.read(said["file"].read())
        portfolio = _kept(said, found, by) if request.user.has_perm(ADD) else None
    except (NotASheet, Impossible) as problem:
        where = "file" if isinstance(problem, NotASheet) else "title"
        form.add_error(where, str(getattr(problem, "sentence", problem)))
        return None
    if found.repeated:
        messages.warning(request, _repeated(found))
    return bulk.prepare(
        title=said["title"],
        lines=found,
        by=by,
        now=timezone.now,
        portfolio=portfolio,
        look_up_all=said["look_up_all"],
        confirmation=key,
    )


def _kept(said: dict[str, Any], found: mprn_csv.MprnList, by: Actor) -> Portfolio | None:
    if not said["keep"]:
        return None
    return portfolios.save(name=said["title"], mprns=found.mprns, by=by, now=timezone.now)


def _repeated(found: mprn_csv.MprnList) -> str:
    numbers = ", ".join(str(row.number) for row in found.repeated[:NAMED])
    more = " and more" if len(found.repeated) > NAMED else ""
    many = "1 row is" if len(found.repeated) == 1 else f"{len(found.repeated):,} rows are"
    return f"{many} left out because the same MPRN stands above: row {numbers}{more}."


# ---- A run -------------------------------------------------------------------------------------

DO = {
    "start": (bulk.start, "Started. It goes on by itself; you may close this page."),
    "pause": (bulk.pause, "Paused. Look-ups that were under way are still recorded."),
    "resume": (bulk.resume, "It goes on."),
    "cancel": (bulk.cancel, "Cancelled. What was looked up stays."),
}


@require_POST
@needs(LOOK_UP)
def do_run(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """Start, pause, go on with, cancel or discard a run."""
    run, by = get_object_or_404(BulkRun, pk=pk), actor_for(staff_user(request))
    try:
        if name == "discard":
            bulk.discard(run=run, by=by)
            messages.success(request, f"“{run}” is discarded. Nothing was looked up.")
            return redirect("gasquotes:runs")
        act, said = DO[name]
        act(run=run, by=by, now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, said)
    return redirect(run)


@needs(ADD)
def keep_run(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Keep the supply points of a run as a portfolio."""
    run = get_object_or_404(BulkRun, pk=pk)
    form = KeepForm(request.POST or None, initial={"name": run.title})
    if request.method == "POST" and form.is_valid():
        try:
            by, name = actor_for(staff_user(request)), form.cleaned_data["name"]
            portfolio = portfolios.save_run(run=run, name=name, by=by, now=timezone.now)
        except Impossible as problem:
            form.add_error("name", problem.sentence)
        else:
            messages.success(request, "Kept as a portfolio.")
            return redirect(portfolio)
    context = {
        "form": form,
        "page_title": "Keep it as a portfolio",
        "lead": run.title,
        "button": "Keep it",
        "cancel_url": run.get_absolute_url(),
        "cancel_label": "Back to the run",
    }
    return render(request, "gasquotes/run_keep.html", context)


@require_POST
@needs(LOOK_UP)
def look_up_portfolio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Prepare a run over a portfolio, to be looked at and started."""
    portfolio = get_object_or_404(Portfolio, pk=pk)
    try:
        run = portfolios.prepare_run(
            portfolio=portfolio,
            by=actor_for(staff_user(request)),
            now=timezone.now,
            look_up_all="all" in request.POST,
        )
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(portfolio)
    return redirect(run)


# ---- The formula year watch --------------------------------------------------------------------


@needs(VIEW)
def watch(request: HttpRequest, pk: int) -> HttpResponse:
    """What the next Formula Year changes for a portfolio."""
    portfolio = get_object_or_404(Portfolio, pk=pk)
    form = WatchForm(request.GET or None)
    chosen = form.chosen()
    seen = portfolios.watch(portfolio=portfolio, now=timezone.now(), **chosen)
    context = {
        "page_title": "Formula year watch",
        "portfolio": portfolio,
        "form": WatchForm(initial=chosen),
        "seen": seen,
        "figures": _figures(seen.summary),
        "rises": [_row(each, seen.keys) for each in seen.rises],
        "falls": [_row(each, seen.keys) for each in seen.falls],
        "moves": [
            {"from": now.value, "to": later.value, "words": later.words, "count": count}
            for (now, later), count in seen.band_moves.items()
        ],
        "picture": _picture(seen) if seen.summary.compared else None,
        "choices": _choices(portfolio, seen),
        "not_priced": seen.summary.compared - seen.summary.priced,
        "may_quote": request.user.has_perm(LOOK_UP),
        "quote_url": reverse("gasquotes:portfolio-quote", args=[pk]),
    }
    return render(request, "gasquotes/watch.html", context)


def _figures(found: Summary) -> list[tuple[str, str, str]]:
    """The portfolio in a few figures: label, figure, what it is compared with."""
    aq = f"{looks.kwh(found.aq_now)} now"
    cost = f"{looks.pounds(found.cost_now)} now"
    return [
        (
            "AQ of the next year",
            looks.kwh(found.aq_next),
            f"{aq}, {looks.percent(found.aq_now, found.aq_next)}",
        ),
        (
            "Yearly cost at the book",
            looks.pounds(found.cost_next),
            f"{cost}, {looks.percent(found.cost_now, found.cost_next)}",
        ),
        ("Rise", f"{found.rises:,}", f"of {found.compared:,} compared"),
        ("Fall", f"{found.falls:,}", f"{found.unchanged:,} do not change"),
        ("Change their band", f"{found.band_changes:,}", "across 73,200 or 732,000 kWh"),
    ]


def _row(each: Change, keys: dict[str, int]) -> dict[str, Any]:
    cost = each.cost_change
    return {
        "key": keys[each.mprn],
        "mprn": each.mprn,
        "ldz": each.ldz,
        "aq_now": looks.kwh(each.aq_now),
        "aq_next": looks.kwh(each.aq_next),
        "change": looks.signed(each.aq_change),
        "percent": looks.percent(each.aq_now, each.aq_next),
        "soq": looks.signed(each.soq_change),
        "bands": _bands(each),
        "cost": "" if cost is None else f"{'+' if cost > 0 else '−'}{looks.pounds(abs(cost))}",
        "no_cost": each.no_cost,
    }


def _bands(each: Change) -> str:
    if not each.band_changed or each.band_now is None or each.band_next is None:
        return ""
    return f"{each.band_now.value} to {each.band_next.value}"


def _picture(seen: portfolios.Watch) -> dict[str, Any]:
    counts = [each.count for each in seen.bins]
    chart = charts.Chart(
        key="aq-changes",
        title="Supply points by the change of their AQ",
        labels=[each.label for each in seen.bins],
        series=[charts.Series(name="supply points", values=counts)],
        unit="supply points",
        places=0,
        starts=False,
        ticks={n: _tick(each.label) for n, each in enumerate(seen.bins)},
    )
    return {
        "svg": charts.columns(chart),
        "caption": chart.title,
        "first": "Change of the AQ",
        "heads": ["Supply points"],
        "rows": charts.rows(chart),
    }


def _tick(label: str) -> str:
    """A label that is short enough to stand under its column."""
    for words, sign in (("no change", "0"), ("up over ", "> +"), ("down over ", "< −")):
        if label.startswith(words):
            return sign + label.removeprefix(words)
    return label.replace("up ", "+").replace("down ", "−")


CHOICES = {
    "rises": "Every rise",
    "falls": "Every fall",
    "bands": "Every change of band",
    "all": "Every supply point",
}


def _choices(portfolio: Portfolio, seen: portfolios.Watch) -> list[dict[str, Any]]:
    """Groups that can be quoted again at once, with their size."""
    url = reverse("gasquotes:portfolio-quote", args=[portfolio.pk])
    counts = {
        "rises": seen.summary.rises,
        "falls": seen.summary.falls,
        "bands": seen.summary.band_changes,
        "all": len(seen.keys),
    }
    return [
        {"label": label, "count": counts[name], "url": f"{url}?{urlencode({'which': name})}"}
        for name, label in CHOICES.items()
        if counts[name]
    ]


# ---- Quotes for many ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Chosen:
    """The points that are to be quoted; None: all of the portfolio."""

    points: Sequence[int] | None
    count: int
    words: str


@needs(LOOK_UP)
def quote_portfolio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Say on which terms chosen points of a portfolio are quoted, and order the quotes once."""
    portfolio, user = get_object_or_404(Portfolio, pk=pk), staff_user(request)
    chosen = _chosen(request, portfolio)
    if not chosen.count:
        messages.warning(request, "Nothing was done: choose supply points first.")
        return redirect("gasquotes:watch", pk=pk)
    form = TermsForm(request.POST or None)
    shown = confirm.ShownOrder("gasquotes.order", f"{pk} {chosen.points}")
    if request.method == "POST" and form.is_valid():
        return _order(request, portfolio, chosen, form, shown)
    many = "1 supply point" if chosen.count == 1 else f"{chosen.count:,} supply points"
    context = {
        "form": form,
        "portfolio": portfolio,
        "page_title": f"Quote {many}",
        "lead": f"{portfolio.name}: {chosen.words}.",
        "token": confirm.token_for(shown, user),
        "button": f"Make quotes for {many}",
        "cancel_url": reverse("gasquotes:watch", args=[pk]),
        "cancel_label": "Back to the watch",
    }
    return render(request, "gasquotes/portfolio_quote.html", context)


def _chosen(request: HttpRequest, portfolio: Portfolio) -> Chosen:
    which = request.GET.get("which", "")
    if which == "all":
        return Chosen(None, portfolio.points.count(), "every supply point")
    if which in CHOICES:
        keys = _keys_of(which, portfolio)
        return Chosen(keys, len(keys), CHOICES[which].lower())
    named = [
        int(k) for k in request.GET.getlist("point") if k.isdecimal() and len(k) <= LONGEST_KEY
    ]
    rows = portfolio.points.filter(pk__in=named).order_by("pk")
    keys = list(rows.values_list("pk", flat=True))
    return Chosen(keys, len(keys), "the ones you chose")


def _keys_of(which: str, portfolio: Portfolio) -> list[int]:
    seen = portfolios.watch(portfolio=portfolio, now=timezone.now())
    tests: dict[str, Callable[[Change], bool]] = {
        "rises": lambda each: (each.aq_change or 0) > 0,
        "falls": lambda each: (each.aq_change or 0) < 0,
        "bands": lambda each: not each.problem and each.band_changed,
    }
    return sorted(seen.keys[each.mprn] for each in seen.changes if tests[which](each))


def _order(
    request: HttpRequest,
    portfolio: Portfolio,
    chosen: Chosen,
    form: TermsForm,
    shown: confirm.ShownOrder,
) -> HttpResponseBase:
    user, number = staff_user(request), ""
    try:
        number = confirm.redeem(request.POST.get("token", ""), shown, user)
        order = portfolios.quote_all(
            portfolio=portfolio,
            points=chosen.points,
            terms=form.terms(),
            by=actor_for(user),
            now=timezone.now,
            confirmation=number,
        )
    except portfolios.OrderedAlready as problem:
        messages.info(request, problem.sentence)
        return redirect("gasquotes:order", pk=QuoteOrder.objects.get(confirmation=number).pk)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(request.get_full_path())
    return redirect("gasquotes:order", pk=order.pk)


@needs(VIEW_QUOTE)
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """How far the quotes of an order are; the page asks again until all are made."""
    row = get_object_or_404(QuoteOrder.objects.select_related("portfolio").defer("points"), pk=pk)
    context = {
        "order": row,
        "page_title": f"Quotes for {row.title}",
        "over": row.made + row.left_out,
        "waiting": row.wanted - row.made - row.left_out,
        "order_url": reverse("gasquotes:order", args=[pk]),
        "list_url": f"{reverse('gasquotes:list')}?order={pk}",
    }
    page = "order_part" if request.htmx else "order"  # type: ignore[attr-defined]
    return render(request, f"gasquotes/{page}.html", context)
