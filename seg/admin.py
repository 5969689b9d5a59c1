"""The export tariff desk in the stock admin: tariffs are edited here, cases only looked at."""

from typing import Any

from django.contrib import admin

from core.admin import ReadOnly
from seg.models import (
    Application,
    Attachment,
    Check,
    Draft,
    Question,
    Tariff,
    Verification,
)


@admin.register(Tariff)
class TariffAdmin(admin.ModelAdmin[Tariff]):
    """Tariffs and when they are open."""

    list_display = ("code", "name", "rate", "open_from", "open_to")
    search_fields = ("code", "name")


@admin.register(Application)
class ApplicationAdmin(ReadOnly):
    """Applications, without secrets."""

    list_display = (
        "reference",
        "name",
        "status",
        "why",
        "certificate_number",
        "received_at",
    )
    list_filter = ("status", "kind", "tariff")
    search_fields = (
        "reference",
        "name",
        "email",
        "postcode",
        "certificate_number",
        "import_mpan",
    )
    exclude = ("sort_code", "account_number", "token", "token_sha256", "submission_key")
    date_hierarchy = "received_at"


class CheckLines(admin.TabularInline[Check, Verification]):
    """The checks of a verification."""

    model = Check
    can_delete = False
    extra = 0

    def has_add_permission(self, *_: Any) -> bool:
        """Never."""
        return False

    def has_change_permission(self, *_: Any) -> bool:
        """Never."""
        return False


@admin.register(Verification)
class VerificationAdmin(ReadOnly):
    """What the registry said."""

    list_display = ("at", "application", "asked_number", "found", "verdict", "why")
    list_filter = ("verdict", "found")
    search_fields = ("asked_number", "application__reference")
    inlines = (CheckLines,)


@admin.register(Check)
class CheckAdmin(ReadOnly):
    """Single checks."""

    list_display = ("verification", "title", "result", "sentence")
    list_filter = ("code", "result")
    list_select_related = ("verification",)


@admin.register(Question)
class QuestionAdmin(ReadOnly):
    """Questions to customers."""

    list_display = ("asked_at", "application", "text", "answered_at")
    search_fields = ("application__reference", "text", "answer")


@admin.register(Attachment)
class AttachmentAdmin(ReadOnly):
    """Files from customers."""

    list_display = ("name", "application", "content_type", "size", "received_at")
    search_fields = ("name", "application__reference")


@admin.register(Draft)
class DraftAdmin(ReadOnly):
    """Unfinished forms: only when, never what."""

    list_display = ("created_at", "updated_at")
    exclude = ("key", "answers")
