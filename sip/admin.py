"""The safe isolation desk in the stock admin: code lists are edited, the rest read.

Answers, messages and replies hold health data and stand in no page here.
"""

from typing import Any

from django.contrib import admin

from core.admin import ReadOnly
from sip.models import (
    Attempt,
    Clash,
    Code,
    CodeList,
    FilledBy,
    Job,
    JobImport,
    KeyStop,
    Message,
    Photo,
    Resolution,
    Sheet,
)


class Codes(admin.TabularInline[Code, CodeList]):
    """The codes of a list."""

    model = Code
    extra = 1


@admin.register(CodeList)
class CodeListAdmin(admin.ModelAdmin[CodeList]):
    """Code lists; their names belong to the interface and stay."""

    list_display = ("title", "name", "source")
    readonly_fields = ("name",)
    search_fields = ("title", "name")
    inlines = (Codes,)

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        """Never: the worksheet names the lists that there are."""
        return False


@admin.register(Code)
class CodeAdmin(admin.ModelAdmin[Code]):
    """Codes by list."""

    list_display = ("value", "meaning", "code_list", "active")
    list_filter = ("code_list", "active")
    search_fields = ("value", "meaning")


@admin.register(Job)
class JobAdmin(ReadOnly):
    """Jobs; moved on their own pages alone."""

    list_display = ("reference", "status", "post_code", "planned_date", "engineer", "scenario")
    list_filter = ("status",)
    search_fields = ("reference", "mpan", "their_reference")


@admin.register(Sheet)
class SheetAdmin(ReadOnly):
    """Blocks of worksheets, without their answers."""

    list_display = ("job", "block", "revision", "saved_at", "saved_by")
    exclude = ("answers",)


@admin.register(Clash)
class ClashAdmin(ReadOnly):
    """Answers of two devices, without the answers."""

    list_display = ("sheet", "based_on", "found", "by", "at", "settled_at")
    exclude = ("answers",)


@admin.register(Photo)
class PhotoAdmin(ReadOnly):
    """Photos, without their files."""

    list_display = ("job", "block", "field", "size", "added_at", "replaced_at")
    exclude = ("file",)


@admin.register(Message)
class MessageAdmin(ReadOnly):
    """Frozen messages, without what they say."""

    list_display = ("job", "version", "size", "sha256", "frozen_at", "removed_at")
    exclude = ("outline",)


@admin.register(Attempt)
class AttemptAdmin(ReadOnly):
    """Authorised sends, without what the party wrote."""

    list_display = ("job", "number", "outcome", "by_name", "confirmed_at", "ended_at", "scenario")
    list_filter = ("outcome",)
    exclude = ("reply", "details")


@admin.register(Resolution)
class ResolutionAdmin(ReadOnly):
    """How people settled unknown attempts."""

    list_display = ("attempt", "answer", "told_by", "by", "at")
    exclude = ("evidence",)


@admin.register(KeyStop)
class KeyStopAdmin(ReadOnly):
    """When the party did not take our key."""

    list_display = ("since", "http_status", "sentence", "over_at", "over_by")


@admin.register(FilledBy)
class FilledByAdmin(ReadOnly):
    """Who filled in which worksheet."""

    list_display = ("job", "user")


@admin.register(JobImport)
class JobImportAdmin(ReadOnly):
    """Uploads of jobs, without their rows."""

    list_display = ("file_name", "by", "at", "done_at")
    exclude = ("rows",)
