"""Addresses of the gas quotes desk."""

from django.urls import path, re_path

from gasquotes import book_views, portfolio_views, views
from gasquotes.book_lists import BookPage
from gasquotes.lists import QuoteList
from gasquotes.portfolio_lists import PortfolioPage, RunPage

app_name = "gasquotes"
urlpatterns = [
    path("", QuoteList.as_view(), name="list"),
    path("enquire/", views.enquire, name="enquire"),
    path("codes/", views.meanings, name="codes"),
    path("calls/again/", views.calls_again, name="calls-again"),
    path("documents/<int:pk>/", views.document, name="document"),
    path("quotes/<slug:reference>/", views.case, name="case"),
    path("quotes/<slug:reference>/now/", views.live, name="live"),
    path("quotes/<slug:reference>/address/", views.address, name="address"),
    path("quotes/<slug:reference>/again/", views.again, name="again"),
    path("quotes/<slug:reference>/requote/", views.requote, name="requote"),
    path("quotes/<slug:reference>/take-back/", views.take_back, name="take-back"),
    path("quotes/<slug:reference>/preview/<int:page>.png", views.preview, name="preview"),
    path("quotes/<slug:reference>/note/", views.note, name="note"),
    path("quotes/<slug:reference>/assign/", views.assign, name="assign"),
    path("quotes/<slug:reference>/<slug:name>/", views.decide, name="decide"),
    path("prices/", book_views.book_list, name="books"),
    path("prices/import/", book_views.import_book, name="book-import"),
    path("prices/<int:pk>/", BookPage.as_view(), name="book"),
    path("prices/<int:pk>/publish/", book_views.publish, name="book-publish"),
    path("prices/<int:pk>/discard/", book_views.discard, name="book-discard"),
    path("portfolios/", portfolio_views.portfolio_list, name="portfolios"),
    path("portfolios/<int:pk>/", PortfolioPage.as_view(), name="portfolio"),
    path("portfolios/<int:pk>/look-up/", portfolio_views.look_up_portfolio, name="portfolio-run"),
    path("portfolios/<int:pk>/watch/", portfolio_views.watch, name="watch"),
    path("portfolios/<int:pk>/quote/", portfolio_views.quote_portfolio, name="portfolio-quote"),
    path("orders/<int:pk>/", portfolio_views.order, name="order"),
    path("runs/", portfolio_views.run_list, name="runs"),
    path("runs/add/", portfolio_views.add_run, name="run-add"),
    path("runs/<int:pk>/", RunPage.as_view(), name="run"),
    path("runs/<int:pk>/keep/", portfolio_views.keep_run, name="run-keep"),
    re_path(
        r"^runs/(?P<pk>[0-9]{1,18})/(?P<name>start|pause|resume|cancel|discard)/$",
        portfolio_views.do_run,
        name="run-do",
    ),
]
