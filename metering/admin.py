"""The metering desk in the stock admin: meter types and schedules are edited, the rest read."""

from django.contrib import admin

from core.admin import ReadOnly
from metering.models import (
    Batch,
    Channel,
    Day,
    Delivery,
    Meter,
    MeterAlarm,
    MeterChange,
    MeterImport,
    MeterRead,
    MeterType,
    ReadCheck,
    RegisterKind,
    RegisterReading,
    Schedule,
    SideReading,
)


class Registers(admin.TabularInline[RegisterKind, MeterType]):
    """The registers of a meter type."""

    model = RegisterKind
    extra = 1


@admin.register(MeterType)
class MeterTypeAdmin(admin.ModelAdmin[MeterType]):
    """Meter types and what their survey values mean."""

    list_display = ("code", "survey", "digits")
    list_filter = ("survey",)
    search_fields = ("code",)
    inlines = (Registers,)


@admin.register(RegisterKind)
class RegisterKindAdmin(ReadOnly):
    """Registers by meter type; edited with their type."""

    list_display = ("name", "meter_type", "unit", "direction")
    list_filter = ("meter_type",)
    search_fields = ("name",)


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin[Schedule]):
    """When groups are read by themselves."""

    list_display = ("group", "every", "hour", "survey_days", "active", "last_run_on")
    search_fields = ("group",)


@admin.register(Meter)
class MeterAdmin(ReadOnly):
    """Meters, without their passwords."""

    list_display = ("mpan", "serial_number", "meter_type", "remote_address", "group", "active")
    list_filter = ("meter_type", "group", "active")
    list_select_related = ("meter_type",)
    search_fields = ("mpan", "serial_number", "remote_address")
    exclude = ("password",)


@admin.register(MeterRead)
class MeterReadAdmin(ReadOnly):
    """Meter reads, without the secret part of their address."""

    list_display = ("reference", "meter", "status", "why", "created_at")
    list_filter = ("status",)
    list_select_related = ("meter",)
    search_fields = ("reference", "meter__mpan", "meter__serial_number")
    exclude = ("token", "token_sha256")
    date_hierarchy = "created_at"


@admin.register(Batch)
class BatchAdmin(ReadOnly):
    """What was asked together."""

    list_display = ("title", "at", "by")
    search_fields = ("title",)
    exclude = ("confirmation",)


@admin.register(ReadCheck)
class ReadCheckAdmin(ReadOnly):
    """Single checks."""

    list_display = ("read", "title", "result", "sentence")
    list_filter = ("code", "result")
    list_select_related = ("read",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """Results as they arrived; what could not be read is shown masked on its own page only."""

    list_display = ("received_at", "read", "state", "size", "reason")
    list_filter = ("state", "fetched")
    list_select_related = ("read",)
    search_fields = ("their_reference", "read__reference")
    exclude = ("unreadable",)
    date_hierarchy = "received_at"


@admin.register(MeterAlarm)
class MeterAlarmAdmin(ReadOnly):
    """Alarms about meters."""

    list_display = ("raised_at", "meter", "kind", "text", "acknowledged_by")
    list_filter = ("kind",)
    list_select_related = ("meter", "acknowledged_by")
    search_fields = ("text", "meter__mpan", "meter__serial_number")


@admin.register(MeterChange)
class MeterChangeAdmin(ReadOnly):
    """Recorded changes of meter."""

    list_display = ("at", "meter", "note", "by")
    list_select_related = ("meter", "by")


@admin.register(MeterImport)
class MeterImportAdmin(ReadOnly):
    """Uploads of meters: only when and by whom, never what."""

    list_display = ("at", "file_name", "by", "done_at")
    exclude = ("rows",)


@admin.register(Channel)
class ChannelAdmin(ReadOnly):
    """Registers of single meters."""

    list_display = ("name", "meter", "unit")
    list_select_related = ("meter",)
    search_fields = ("meter__mpan", "meter__serial_number")


@admin.register(Day)
class DayAdmin(ReadOnly):
    """Which days have readings; the readings themselves are packed."""

    list_display = ("day", "channel")
    list_select_related = ("channel__meter",)
    show_full_result_count = False


@admin.register(RegisterReading)
class RegisterReadingAdmin(ReadOnly):
    """What registers showed."""

    list_display = ("at", "channel", "value", "read")
    list_select_related = ("channel__meter", "read")


@admin.register(SideReading)
class SideReadingAdmin(ReadOnly):
    """Readings beside the grid."""

    list_display = ("at", "channel", "value", "why")
    list_filter = ("why",)
    list_select_related = ("channel__meter",)
