"""Registers the desk with the frame: from an MPRN or an address to a priced quote."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core import desks

BEHIND = (
    "gasquotes.view_lookup",
    "gasquotes.view_document",
    "gasquotes.view_levy",
    "gasquotes.view_price",
    "gasquotes.view_bulkline",
    "gasquotes.view_portfoliopoint",
    "gasquotes.view_quoteorder",
    "gasquotes.view_callgate",
    "gasquotes.view_monthofcalls",
    "gasquotes.view_crew",
)
LOOK = (
    "gasquotes.view_quote",
    "gasquotes.view_pricebook",
    "gasquotes.view_portfolio",
    "gasquotes.view_bulkrun",
)
ROLE = (
    *LOOK,
    "gasquotes.look_up_quote",
    "gasquotes.decide_quote",
    "gasquotes.add_portfolio",
    "gasquotes.add_pricebook",
)


class GasQuotesConfig(AppConfig):
    """Registers the desk with the frame."""

    name = "gasquotes"
    verbose_name = "Gas quotes"

    def ready(self) -> None:
        """Say what the frame must know."""
        from core.housekeeping import tidying
        from core.http import PlainHttpRefused, refuse_plain_http
        from gasquotes import actions

        try:
            refuse_plain_http(settings.GASQUOTES_API_URL)
        except PlainHttpRefused as problem:
            raise ImproperlyConfigured(f"GASQUOTES_API_URL: {problem}") from problem
        tidying.connect(actions.go_on_when_free, dispatch_uid="gasquotes.go_on_when_free")
        desks.register(
            desks.Desk(
                slug="gasquotes",
                label="Gas quotes",
                url_name="gasquotes:list",
                permission="gasquotes.view_quote",
                decide_permission="gasquotes.decide_quote",
                parties=("Supply point quantities",),
                tile="gasquotes.lists.tile",
                inbox="gasquotes.lists.inbox",
                search="gasquotes.lists.search",
                try_again="gasquotes.lists.try_again",
                demo="gasquotes.demo.fill",
                stop_mail="gasquotes.actions.stop_issue",
                role="gas quotes",
                role_permissions=ROLE,
                supervisor_permissions=(
                    *BEHIND,
                    "gasquotes.publish_pricebook",
                    "gasquotes.add_levy",
                    "gasquotes.change_levy",
                ),
                view_permissions=(*LOOK, *BEHIND),
            )
        )
