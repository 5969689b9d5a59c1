"""The production desk in the stock admin: everything is read here, changed on the desk's pages."""

from django.contrib import admin

from core.admin import ReadOnly
from pts.models import (
    Batch,
    HelpDeskException,
    MeterChange,
    PartyReading,
    Report,
    Submission,
    Synchronisation,
    System,
    Window,
)


@admin.register(System)
class SystemAdmin(ReadOnly):
    """Systems as MassCEC lists them, with what is ours."""

    list_display = ("fk_system", "system_id", "name", "capacity", "active", "trouble")
    list_filter = ("active",)
    search_fields = ("=fk_system", "system_id", "name", "mpan")


@admin.register(Window)
class WindowAdmin(ReadOnly):
    """Reporting windows."""

    list_display = ("month", "opens_at", "closes_at", "overridden", "begun_at", "closed_at")
    list_filter = ("overridden",)


@admin.register(Report)
class ReportAdmin(ReadOnly):
    """Reports, one a system and month."""

    list_display = ("reference", "system", "window", "status", "meter_value", "why")
    list_filter = ("status", "window")
    list_select_related = ("system", "window")
    search_fields = ("reference", "=system__fk_system", "system__system_id", "system__name")


@admin.register(Batch)
class BatchAdmin(ReadOnly):
    """What was tested or submitted together."""

    list_display = ("created_at", "kind", "window", "state", "by_name", "sentence")
    list_filter = ("kind", "state")
    list_select_related = ("window",)
    date_hierarchy = "created_at"


@admin.register(Submission)
class SubmissionAdmin(ReadOnly):
    """Single lines of batches and what became of them."""

    list_display = ("report", "batch", "meter_value", "meter_date", "state", "validation_notes")
    list_filter = ("state", "batch__kind")
    list_select_related = ("report", "batch")
    search_fields = ("report__reference", "=report__system__fk_system")


@admin.register(Synchronisation)
class SynchronisationAdmin(ReadOnly):
    """Comparisons with MassCEC's systems."""

    list_display = ("asked_at", "state", "answered_at", "applied_by", "sentence")
    list_filter = ("state",)
    list_select_related = ("applied_by",)


@admin.register(PartyReading)
class PartyReadingAdmin(ReadOnly):
    """Last readings as MassCEC has them."""

    list_display = ("system", "meter_value", "meter_at", "period_end", "is_estimated")
    list_select_related = ("system",)
    search_fields = ("=system__fk_system", "system__system_id")


@admin.register(MeterChange)
class MeterChangeAdmin(ReadOnly):
    """Recorded meter replacements."""

    list_display = ("system", "at", "final_value", "first_value", "by")
    list_select_related = ("system", "by")


@admin.register(HelpDeskException)
class HelpDeskExceptionAdmin(ReadOnly):
    """Exceptions that MassCEC's help desk granted."""

    list_display = ("report", "more_valid", "more_failed", "granted_by", "by", "at")
    list_select_related = ("report", "by")
