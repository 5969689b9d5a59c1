"""Pages about many supply points: upload and preview, progress, results, the watch, orders."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gasquotes import bulk, portfolios
from gasquotes.models import BulkRun, Portfolio, Quote, QuoteOrder

pytestmark = pytest.mark.django_db
BASE = "/gas-quotes/"
ROLES = ("gas quotes", "supervisor", "auditor", "export tariff", "engineer", "")
MAY_LOOK = {"gas quotes", "supervisor", "auditor"}
MAY_ACT = {"gas quotes", "supervisor"}
HTMX = {"HX-Request": "true"}
RISES, FALLS, REFUSED, DOUBTFUL = "7000032508", "7000032609", "7000000506", "7000080902"
UP_A_BAND, DOWN_A_BAND = "7000032104", "7000032205"
LISTED = (UP_A_BAND, DOWN_A_BAND, RISES, FALLS, REFUSED, DOUBTFUL)


@pytest.fixture
def desk(person, signed_in):
    return signed_in(person("gas quotes"))


@pytest.fixture(autouse=True)
def quiet(bells):
    return bells


def text_of(response):
    return " ".join(response.content.decode().split())


def upload(desk, *lines, **changes):
    body = "\n".join(("mprn", *lines)).encode()
    said = {"title": "Harbour", "file": SimpleUploadedFile("a.csv", body), "key": "k", **changes}
    return desk.post(f"{BASE}runs/add/", said)


@pytest.fixture
def portfolio(service, book, desk, work):
    """A portfolio that was looked up."""
    upload(desk, *LISTED, keep="on")
    desk.post(f"{BulkRun.objects.get().get_absolute_url()}start/")
    work()
    return Portfolio.objects.get()


def wish(**changes):
    start = timezone.localdate() + timedelta(days=30)
    return {"start": start.isoformat(), "months": "12", "payment": "direct_debit", **changes}


# ---- Who may do what -------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_pages_by_role(role, portfolio, clerk, person, signed_in):
    run, client = BulkRun.objects.get(), signed_in(person(role))
    points = [portfolio.points.first().pk]
    terms = bulk_terms()
    order = portfolios.quote_all(
        portfolio=portfolio, points=points, terms=terms, by=clerk, now=timezone.now
    )
    base = portfolio.get_absolute_url()
    look = [
        f"{BASE}portfolios/", f"{BASE}runs/", run.get_absolute_url(), base, f"{base}watch/",
        f"{BASE}orders/{order.pk}/",
    ]  # fmt: skip
    for url in look:
        assert client.get(url).status_code == (200 if role in MAY_LOOK else 403), url
    for url in (f"{BASE}runs/add/", f"{base}quote/?which=all", f"{run.get_absolute_url()}keep/"):
        assert client.get(url).status_code == (200 if role in MAY_ACT else 403), url
    for url in (f"{run.get_absolute_url()}pause/", f"{base}look-up/"):
        assert client.post(url).status_code == (302 if role in MAY_ACT else 403), url


def bulk_terms():
    start = timezone.localdate() + timedelta(days=30)
    return portfolios.Terms(start, 12, "direct_debit")


# ---- Upload and preview ----------------------------------------------------------------------


def test_the_preview_says_what_it_costs_before_anything_is_looked_up(service, desk):
    answer = upload(desk, *LISTED, LISTED[0], "none", keep="on")
    page = desk.get(answer.url)
    preview = page.context["preview"]
    assert (preview.rows, preview.bad, preview.warned, preview.calls) == (7, 1, 1, 6)
    assert "1 row is left out because the same MPRN stands above: row 8" in text_of(page)
    assert Portfolio.objects.get().points.count() == 6
    assert service.look_ups()["total"] == 0
    doubtful = desk.get(f"{answer.url}?digits=doubtful")
    assert [row.record.mprn for row in doubtful.context["table"].paginated_rows] == [DOUBTFUL]


def test_a_run_that_exceeds_the_month_says_so_first(service, desk, settings):
    settings.GASQUOTES_CALLS_PER_MONTH = 5
    page = desk.get(upload(desk, *LISTED).url)
    assert "It needs 6 and 5 are left" in text_of(page)


def test_the_same_upload_is_taken_once(service, desk):
    assert upload(desk, *LISTED, keep="on").url == upload(desk, *LISTED, keep="on").url
    assert (BulkRun.objects.count(), Portfolio.objects.count()) == (1, 1)


def test_what_is_no_list_is_said(desk):
    assert "file" in upload(desk).context["form"].errors
    pdf = SimpleUploadedFile("a.csv", b"%PDF-1.7\n\0")
    assert "file" in upload(desk, file=pdf).context["form"].errors
    upload(desk, *LISTED, keep="on")
    again = upload(desk, *LISTED, keep="on", key="another")
    assert again.context["form"].errors["title"] == [portfolios.NameTaken.sentence]


def test_a_list_that_was_not_started_can_be_discarded(service, desk):
    url = upload(desk, *LISTED).url
    desk.post(f"{url}discard/")
    assert not BulkRun.objects.exists()
    assert desk.get(url).status_code == 404


# ---- Progress and results --------------------------------------------------------------------


def test_a_run_shows_its_progress_by_itself_and_survives_reload(service, book, desk, work):
    url = upload(desk, *LISTED).url
    for _ in range(2):
        desk.post(f"{url}start/")
    part = desk.get(f"{url}?seen=running", headers=HTMX)
    assert "0 of 6" in text_of(part)
    assert "<html" not in text_of(part)
    assert "0 of 6" in text_of(desk.get(url))
    desk.post(f"{url}pause/")
    work()
    assert "Paused" in text_of(desk.get(url))
    assert service.look_ups()["total"] == 0
    desk.post(f"{url}resume/")
    work()
    moved_on = desk.get(f"{url}?seen=running", headers=HTMX)
    assert moved_on["HX-Retarget"] == "#run-page"
    page = desk.get(url)
    assert [tab["count"] for tab in page.context["tabs"]] == [6, 0, 5, 1, 0]
    failed = desk.get(f"{url}?status=failed")
    assert "e005" in text_of(failed)
    assert "hx-get" not in text_of(page)


def test_results_as_csv(portfolio, desk):
    url = BulkRun.objects.get().get_absolute_url()
    lines = b"".join(desk.get(f"{url}?as=csv").streaming_content).decode().splitlines()
    assert len(lines) == 7
    assert lines[0].lstrip("\ufeff") == ",".join(bulk.RESULT_COLUMNS)
    failed = b"".join(desk.get(f"{url}?as=csv&status=failed").streaming_content).splitlines()
    assert len(failed) == 2


def test_cancelling_keeps_what_was_looked_up(service, desk, work):
    url = upload(desk, *LISTED).url
    desk.post(f"{url}start/")
    desk.post(f"{url}cancel/")
    work()
    assert [tab["count"] for tab in desk.get(url).context["tabs"]] == [6, 0, 0, 0, 6]
    answer = desk.post(f"{url}resume/", follow=True)
    assert "Nothing was done" in text_of(answer)


def test_a_run_can_be_kept_as_a_portfolio_afterwards(service, desk, work):
    url = upload(desk, *LISTED).url
    desk.post(f"{url}start/")
    work()
    desk.post(f"{url}keep/", {"name": "Kept"})
    assert Portfolio.objects.get().points.exclude(look_up=None).count() == 5
    assert desk.post(f"{url}keep/", {"name": "Kept"}).context["form"].errors


def test_pages_cost_the_same_with_more_points(portfolio, clerk, desk):
    run = BulkRun.objects.get()
    urls = [run.get_absolute_url(), portfolio.get_absolute_url()]
    urls += [f"{portfolio.get_absolute_url()}watch/", f"{BASE}portfolios/", f"{BASE}runs/"]

    def queries():
        found = []
        for url in urls:
            with CaptureQueriesContext(connection) as caught:
                desk.get(url)
            found.append(len(caught))
        return found

    queries()
    before = queries()
    lines = bulk.BulkLine.objects.filter(run=run)
    look_up = lines.exclude(look_up=None).first().look_up
    for number in range(40):
        mprn = f"{4_000_000_000 + number}"
        run.lines.create(number=number + 10, mprn=mprn, state="done", look_up=look_up)
        portfolio.points.create(mprn=mprn, look_up=look_up)
    for number in range(5):
        portfolios.save(name=f"P{number}", mprns=["1"], by=clerk, now=timezone.now)
    assert queries() == before
    assert max(before) <= 20


# ---- The watch, and quotes for many ------------------------------------------------------------


def test_the_watch_shows_rises_falls_bands_and_cost(portfolio, desk):
    page = desk.get(f"{portfolio.get_absolute_url()}watch/")
    assert [row["mprn"] for row in page.context["rises"]][:2] == [RISES, UP_A_BAND]
    assert {row["mprn"] for row in page.context["falls"]} == {FALLS, DOWN_A_BAND}
    assert [(m["from"], m["to"], m["count"]) for m in page.context["moves"]] == [
        ("small", "medium", 1),
        ("medium", "small", 1),
    ]
    assert page.context["rises"][0]["cost"].startswith("+£")
    text = text_of(page)
    assert "<svg" in text
    assert "Show as a table" in text
    assert "1 supply point was never looked up" in text
    dearer = desk.get(f"{portfolio.get_absolute_url()}watch/?months=12&payment=on_receipt")
    assert dearer.context["seen"].summary.cost_now > page.context["seen"].summary.cost_now


def test_the_watch_without_look_ups_says_what_to_do(service, desk):
    upload(desk, *LISTED, keep="on")
    page = desk.get(f"{Portfolio.objects.get().get_absolute_url()}watch/")
    assert "Nothing to compare yet" in text_of(page)


@pytest.mark.parametrize(
    ("query", "count"), [("which=all", 6), ("which=bands", 2), ("point={0}&point=x", 1)]
)
def test_chosen_points_are_quoted_once(query, count, portfolio, desk, work):
    first = portfolio.points.order_by("pk").first().pk
    url = f"{portfolio.get_absolute_url()}quote/?{query.format(first)}"
    page = desk.get(url)
    supply_points = "1 supply point" if count == 1 else f"{count} supply points"
    assert page.context["page_title"] == f"Quote {supply_points}"
    said = {"token": page.context["token"], **wish()}
    answers = {desk.post(url, said).url for _ in range(2)}
    order = QuoteOrder.objects.get()
    assert answers == {f"{BASE}orders/{order.pk}/"}
    assert f"0 of {count}" in text_of(desk.get(answers.pop(), headers=HTMX))
    work()
    order.refresh_from_db()
    assert order.made + order.left_out == count
    made = desk.get(f"{BASE}?order={order.pk}")
    assert made.context["total"] == order.made == Quote.objects.count()


def test_terms_that_make_no_sense_order_nothing(portfolio, desk):
    url = f"{portfolio.get_absolute_url()}quote/?which=all"
    token = desk.get(url).context["token"]
    assert desk.post(url, {"token": token, **wish(months="13")}).status_code == 200
    assert desk.post(url, wish()).status_code == 302
    assert not QuoteOrder.objects.exists()


def test_without_a_choice_nothing_is_quoted(portfolio, desk):
    answer = desk.get(f"{portfolio.get_absolute_url()}quote/", follow=True)
    assert "choose supply points first" in text_of(answer)


def test_a_portfolio_is_looked_up_again_when_it_is_wanted(portfolio, desk):
    url = f"{portfolio.get_absolute_url()}look-up/"
    page = desk.get(desk.post(url).url)
    assert (page.context["preview"].reused, page.context["preview"].calls) == (5, 1)
    page = desk.get(desk.post(url, {"all": "1"}).url)
    assert page.context["preview"].calls == 6
