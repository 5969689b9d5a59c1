"""Portfolios: saved from lists and runs, watched with few queries, quoted without a call."""

from decimal import Decimal

import pytest
from django.utils import timezone

from core.workflow import NotAllowed, actor_for
from gasquotes import portfolios
from gasquotes.models import PortfolioPoint, Quote
from tests.factories.gasquotes import LookUpFactory, PortfolioFactory
from tests.gasquotes.conftest import HOME, terms

pytestmark = pytest.mark.django_db


def now():
    return timezone.now()


@pytest.fixture
def watched(db):
    """Three points: one rises over a band's edge, one falls, one was never looked up."""
    portfolio = PortfolioFactory()
    rising = LookUpFactory(
        mprn="1",
        current_formula_year_aq_value="0.0700000",
        current_formula_year_soq_value="0.0005000",
        perspective_formula_year_aq_value="0.0800000",
        perspective_formula_year_soq_value="0.0006000",
    )
    falling = LookUpFactory(
        mprn="2",
        perspective_formula_year_aq_value="0.0100000",
        perspective_formula_year_soq_value="0.0000967",
    )
    rows = (("1", rising), ("2", falling), ("3", None))
    PortfolioPoint.objects.bulk_create(
        PortfolioPoint(portfolio=portfolio, mprn=mprn, look_up=row) for mprn, row in rows
    )
    return portfolio


def test_a_list_is_kept_once_under_its_name(clerk):
    kept = portfolios.save(name="Lantern", mprns=["1", "2", "1"], by=clerk, now=now)
    assert kept.points.count() == 2
    with pytest.raises(portfolios.NameTaken):
        portfolios.save(name="Lantern", mprns=["3"], by=clerk, now=now)
    with pytest.raises(portfolios.NothingChosen):
        portfolios.save(name="Empty", mprns=[], by=clerk, now=now)


def test_a_run_over_a_portfolio_finds_its_points(clerk, work, service):
    portfolio = portfolios.save(name="L", mprns=[HOME, "7000000203"], by=clerk, now=now)
    run = portfolios.prepare_run(portfolio=portfolio, by=clerk, now=now)
    portfolios.bulk.start(run=run, by=clerk, now=now)
    work()
    found = dict(portfolio.points.values_list("mprn", "look_up__mprn"))
    assert found == {HOME: HOME, "7000000203": None}


def test_a_finished_run_becomes_a_portfolio(clerk, run_of, work, service):
    run = run_of(HOME, "rubbish", "7000000203")
    work()
    portfolio = portfolios.save_run(run=run, name="From a run", by=clerk, now=now)
    found = dict(portfolio.points.values_list("mprn", "look_up__mprn"))
    assert found == {HOME: HOME, "7000000203": None}


def test_the_watch_compares_both_years(watched, book, django_assert_max_num_queries):
    portfolios.watch(portfolio=watched, now=now())
    with django_assert_max_num_queries(3):
        seen = portfolios.watch(portfolio=watched, now=now())
    assert (seen.summary.compared, seen.missing, seen.summary.band_changes) == (2, 1, 1)
    assert [each.mprn for each in seen.rises] == ["1"]
    assert [each.mprn for each in seen.falls] == ["2"]
    assert seen.rises[0].aq_change == Decimal(10_000)
    assert seen.falls[0].cost_change < 0
    assert {(a.value, b.value): n for (a, b), n in seen.band_moves.items()} == {
        ("small", "medium"): 1
    }


def test_quotes_for_a_portfolio_cost_no_call(watched, book, clerk, work, service):
    order = portfolios.quote_all(
        portfolio=watched, points=None, terms=terms(months=24), by=clerk, now=now, confirmation="1"
    )
    with pytest.raises(portfolios.OrderedAlready):
        portfolios.quote_all(
            portfolio=watched, points=None, terms=terms(), by=clerk, now=now, confirmation="1"
        )
    work()
    order.refresh_from_db()
    assert (order.wanted, order.made, order.left_out) == (3, 2, 1)
    assert order.done_at is not None
    quotes = Quote.objects.filter(order=order).order_by("mprn")
    assert [(quote.mprn, quote.status, quote.months) for quote in quotes] == [
        ("1", "ready", 24), ("2", "ready", 24),
    ]  # fmt: skip
    assert service.log() == []


def test_only_chosen_points_are_quoted(watched, book, clerk, work):
    point = watched.points.get(mprn="2")
    order = portfolios.quote_all(
        portfolio=watched, points=[point.pk, 999_999], terms=terms(), by=clerk, now=now
    )
    work()
    assert [quote.mprn for quote in order.quotes.all()] == ["2"]
    with pytest.raises(portfolios.NothingChosen):
        portfolios.quote_all(portfolio=watched, points=[], terms=terms(), by=clerk, now=now)


def test_the_auditor_changes_nothing(watched, auditor):
    by = actor_for(auditor)
    with pytest.raises(NotAllowed):
        portfolios.save(name="x", mprns=["1"], by=by, now=now)
    with pytest.raises(NotAllowed):
        portfolios.quote_all(portfolio=watched, points=None, terms=terms(), by=by, now=now)
