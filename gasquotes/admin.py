"""The gas quotes desk in the stock admin: levies are edited, everything else is only read."""

from django.contrib import admin

from core.admin import ReadOnly
from gasquotes.models import (
    BulkLine,
    BulkRun,
    CallGate,
    Crew,
    Document,
    Levy,
    LookUp,
    MonthOfCalls,
    Portfolio,
    PortfolioPoint,
    Price,
    PriceBook,
    Quote,
    QuoteOrder,
)


@admin.register(Levy)
class LevyAdmin(admin.ModelAdmin[Levy]):
    """VAT, climate change levy and thresholds, each from a day on."""

    list_display = ("kind", "valid_from", "value", "source")
    list_filter = ("kind",)


@admin.register(Quote)
class QuoteAdmin(ReadOnly):
    """Quotes."""

    list_display = ("reference", "name", "mprn", "status", "why", "created_at")
    list_filter = ("status", "closed_as")
    search_fields = ("reference", "name", "mprn")
    list_select_related = ("assigned_to",)
    show_full_result_count = False


@admin.register(LookUp)
class LookUpAdmin(ReadOnly):
    """Answers of the supply point service."""

    list_display = ("at", "mprn", "local_distribution_zone", "market_sector_code", "reference")
    search_fields = ("mprn", "reference")
    raw_id_fields = ("call",)
    show_full_result_count = False


@admin.register(PriceBook)
class PriceBookAdmin(ReadOnly):
    """Versions of our prices."""

    list_display = ("version", "valid_from", "valid_to", "published_at", "published_by")
    list_select_related = ("published_by",)


@admin.register(Price)
class PriceAdmin(ReadOnly):
    """Single prices."""

    list_display = ("book", "ldz", "band", "sector", "months", "payment", "unit_rate")
    list_filter = ("ldz", "band", "sector", "months", "payment")
    list_select_related = ("book",)


@admin.register(Portfolio)
class PortfolioAdmin(ReadOnly):
    """Lists of supply points."""

    list_display = ("name", "created_at", "created_by")
    list_select_related = ("created_by",)
    search_fields = ("name",)


@admin.register(PortfolioPoint)
class PortfolioPointAdmin(ReadOnly):
    """Supply points of portfolios."""

    list_display = ("mprn", "portfolio", "look_up")
    list_select_related = ("portfolio", "look_up")
    search_fields = ("mprn",)
    show_full_result_count = False


@admin.register(BulkRun)
class BulkRunAdmin(ReadOnly):
    """Bulk runs."""

    list_display = ("title", "state", "created_at", "by_name", "finished_at")
    list_filter = ("state",)
    exclude = ("confirmation",)


@admin.register(BulkLine)
class BulkLineAdmin(ReadOnly):
    """Lines of bulk runs."""

    list_display = ("run", "number", "mprn", "state", "code", "repeats")
    list_filter = ("state",)
    list_select_related = ("run",)
    search_fields = ("mprn",)
    show_full_result_count = False


@admin.register(QuoteOrder)
class QuoteOrderAdmin(ReadOnly):
    """Quotes that are made together."""

    list_display = ("title", "wanted", "made", "left_out", "at", "done_at")
    exclude = ("confirmation", "points")


@admin.register(Document)
class DocumentAdmin(ReadOnly):
    """Issued quotes: only when and with which digest."""

    list_display = ("at", "reference", "sha256", "size")
    search_fields = ("reference",)
    exclude = ("pdf",)


admin.site.register(Crew, ReadOnly)
admin.site.register(CallGate, ReadOnly)
admin.site.register(MonthOfCalls, ReadOnly)
