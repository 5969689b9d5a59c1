"""Pages about prices: books, their import with a preview, publishing, and the levies."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from core import confirm
from core.permissions import needs, staff_user
from core.workflow import Impossible, actor_for
from gasquotes import books, looks, price_csv
from gasquotes.book_forms import BookForm
from gasquotes.book_lists import VIEW, days
from gasquotes.models import PUBLISH, Levy, PriceBook
from gasquotes.pricing import Rate
from gasquotes.sheets import NotASheet

SHOWN = 200  # changes and wrong rows on a page; the counts are of all


@needs(VIEW)
def book_list(request: HttpRequest) -> HttpResponse:
    """Every price book, newest first, and which one holds today."""
    today = timezone.localdate()
    rows = PriceBook.objects.select_related("created_by", "published_by")
    context = {
        "page_title": "Prices",
        "books": rows.annotate(count=Count("prices")),
        "today": PriceBook.on(today),
        "may_import": request.user.has_perm(books.ADD),
        "levies": [(row, f"{row.value.normalize():f}") for row in Levy.objects.all()],
        "may_change": request.user.has_perm("gasquotes.change_levy") and request.user.is_staff,
    }
    return render(request, "gasquotes/books.html", context)


# ---- Import ------------------------------------------------------------------------------------


@needs(books.ADD)
def import_book(request: HttpRequest) -> HttpResponseBase:
    """Read a file; if every row is right it becomes a draft, else the page says what is wrong."""
    form = BookForm(request.POST or None, request.FILES or None)
    wrong: list[price_csv.Row] = []
    if request.method == "POST" and form.is_valid():
        try:
            sheet = price_csv.read(form.cleaned_data["file"].read())
        except NotASheet as problem:
            form.add_error("file", str(problem))
        else:
            wrong = list(sheet.bad)
            if not wrong and (book := _draft(request, form, sheet)):
                return redirect("gasquotes:book-publish", pk=book.pk)
    if wrong:
        rows = "1 row is" if len(wrong) == 1 else f"{len(wrong):,} rows are"
        form.add_error("file", f"{rows} wrong; nothing was imported. Correct the file.")
    context = {
        "form": form,
        "page_title": "Import a price book",
        "lead": "The file becomes a draft, and you see what it changes. No quote is priced with "
        "it before it is published.",
        "button": "Read this file",
        "cancel_url": reverse("gasquotes:books"),
        "cancel_label": "Back without importing",
        "wrong": wrong[:SHOWN],
        "wrong_count": len(wrong),
        "columns": price_csv.COLUMNS,
    }
    return render(request, "gasquotes/book_import.html", context)


def _draft(request: HttpRequest, form: BookForm, sheet: price_csv.Sheet) -> PriceBook | None:
    said = form.cleaned_data
    try:
        book = books.import_book(
            version=said["version"],
            valid_from=said["valid_from"],
            valid_to=said["valid_to"],
            exit_fee=said["exit_fee"],
            prices=sheet.prices,
            file_name=said["file"].name,
            by=actor_for(staff_user(request)),
            now=timezone.now,
        )
    except Impossible as problem:
        form.add_error("version", problem.sentence)
        return None
    except ValidationError as problem:
        form.add_error(None, " ".join(problem.messages))
        return None
    if sheet.ignored:
        names = ", ".join(sheet.ignored)
        messages.warning(request, f"These columns are not known and left out: {names}.")
    messages.success(request, f"{len(sheet.prices):,} prices are a draft now.")
    return book


# ---- Publishing --------------------------------------------------------------------------------


@needs(VIEW)
def publish(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show what a draft changes against the book before; a supervisor publishes it once."""
    book = get_object_or_404(PriceBook.objects.select_related("created_by"), pk=pk)
    if book.is_published:
        messages.info(request, f"Price book {book.version} is published already.")
        return redirect(book)
    user = staff_user(request)
    prices = books.rates_of(book)
    shown = confirm.ShownOrder("gasquotes.publish", _answers_text(book, prices))
    if request.method == "POST":
        return _publish(request, book, shown)
    before = _before(book)
    changes = price_csv.preview(books.rates_of(before) if before else {}, prices)
    context = {
        "title": f"What price book {book.version} changes",
        "lead": f"{days(book)}. A draft: no quote is priced with it yet.",
        "answers_title": "The book",
        "answers": _answers(book, before, changes, len(prices)),
        "book": book,
        "before": before,
        "changed": [_changed(each) for each in changes.changed[:SHOWN]],
        "added": [_added(key.words, prices[key]) for key in changes.added[:SHOWN]],
        "removed": [key.words for key in changes.removed[:SHOWN]],
        "counts": (len(changes.changed), len(changes.added), len(changes.removed)),
        "shown": SHOWN,
        "may_publish": user.has_perm(PUBLISH),
        "may_discard": user.has_perm(books.ADD),
        "token": confirm.token_for(shown, user),
        "do_title": "Publish it",
        "cannot_undo": "Publishing cannot be undone: a published book never changes and cannot be "
        f"deleted. From {book.valid_from:%-d %B %Y} every new quote is priced with it.",
        "button": f"Publish {book.version} for good",
        "warning_button": True,
        "cancel_url": reverse("gasquotes:books"),
        "cancel_label": "Back without publishing",
    }
    return render(request, "gasquotes/book_publish.html", context)


def _before(book: PriceBook) -> PriceBook | None:
    """The published book that holds last before this one starts."""
    rows = PriceBook.objects.filter(PriceBook.PUBLISHED, valid_from__lte=book.valid_from)
    found: PriceBook | None = rows.exclude(pk=book.pk).order_by("-valid_from").first()
    return found


def _answers_text(book: PriceBook, prices: Any) -> str:
    return f"{book.pk} {book.version} {days(book)} {book.exit_fee}\n{price_csv.write(prices)}"


def _answers(
    book: PriceBook, before: PriceBook | None, changes: price_csv.Preview, count: int
) -> list[dict[str, Any]]:
    return [
        {"label": "Version", "value": book.version, "source": book.file_name},
        {"label": "Valid", "value": days(book)},
        {"label": "Exit fee", "value": looks.pounds(book.exit_fee)},
        {"label": "Prices", "value": f"{count:,}", "source": f"{changes.unchanged:,} as before"},
        {
            "label": "Compared with",
            "value": f"{before.version}, {days(before)}" if before else "No published book before",
        },
    ]


def _added(words: str, rate: Rate) -> str:
    charge = looks.pence(rate.standing_charge)
    return f"{words}: {looks.pence(rate.unit_rate)} p/kWh, {charge} p/day"


def _changed(each: price_csv.Changed) -> dict[str, Any]:
    return {
        "words": each.key.words,
        "unit": _move(each.before.unit_rate, each.after.unit_rate),
        "standing": _move(each.before.standing_charge, each.after.standing_charge),
    }


def _move(before: Any, after: Any) -> dict[str, Any]:
    percent = (after - before) * 100 / before if before else None
    return {
        "before": looks.pence(before),
        "after": looks.pence(after),
        "percent": "" if percent is None or not percent else f"{percent:+.1f}\N{NO-BREAK SPACE}%",
    }


def _publish(request: HttpRequest, book: PriceBook, shown: confirm.ShownOrder) -> HttpResponseBase:
    user = staff_user(request)
    try:
        confirm.redeem(request.POST.get("token", ""), shown, user)
        books.publish(book=book, by=actor_for(user), now=timezone.now)
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect("gasquotes:book-publish", pk=book.pk)
    messages.success(request, f"Price book {book.version} is published.")
    return redirect(book)


@require_POST
@needs(books.ADD)
def discard(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Delete a draft."""
    book = get_object_or_404(PriceBook, pk=pk)
    try:
        books.discard(book=book, by=actor_for(staff_user(request)))
    except Impossible as problem:
        messages.error(request, problem.sentence)
        return redirect(book)
    messages.success(request, f"The draft {book.version} is deleted.")
    return redirect("gasquotes:books")
