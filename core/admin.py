"""The frame's rows in the stock admin: people can be edited, the history only looked at."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from core.models import (
    Alarm,
    Counter,
    Email,
    Enclosure,
    Heartbeat,
    Note,
    PartnerCall,
    StatusChange,
    User,
)


class ReadOnly(admin.ModelAdmin[Any]):
    """Rows to look at: nothing can be added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(User)
class PeopleAdmin(UserAdmin[User]):
    """Members of staff and their roles."""

    list_display = (
        "email",
        "first_name",
        "last_name",
        "is_active",
        "is_staff",
        "last_login",
    )
    list_filter = ("is_active", "groups")
    add_fieldsets = (
        (None, {"fields": ("email", "first_name", "last_name")}),
        *UserAdmin.add_fieldsets,
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only a superuser makes superusers or gives single permissions."""
        fixed = super().get_readonly_fields(request, obj)
        over_roles = ("is_superuser", "user_permissions")
        return fixed if request.user.is_superuser else (*fixed, *over_roles)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a superuser changes a superuser."""
        protected = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not protected and super().has_change_permission(request, obj)


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnly):
    """Moves of cases."""

    list_display = ("at", "reference", "move", "from_status", "to_status", "by_name")
    list_filter = ("case_label", "move", "to_status")
    search_fields = ("reference", "note", "by_name")
    date_hierarchy = "at"


@admin.register(Note)
class NoteAdmin(ReadOnly):
    """Notes, assignments and looks at secrets."""

    list_display = ("at", "reference", "kind", "by_name", "text")
    list_filter = ("kind", "case_label")
    search_fields = ("reference", "text", "by_name")


@admin.register(PartnerCall)
class PartnerCallAdmin(ReadOnly):
    """Calls to parties."""

    list_display = (
        "started_at",
        "party",
        "operation",
        "reference",
        "http_status",
        "outcome",
    )
    list_filter = ("party", "outcome", "operation")
    search_fields = ("reference", "request_line")
    exclude = ("reply_unread",)
    date_hierarchy = "started_at"


@admin.register(Email)
class EmailAdmin(ReadOnly):
    """E-mails to customers."""

    list_display = ("created_at", "to", "subject", "reference", "state", "sent_at")
    list_filter = ("state", "purpose")
    search_fields = ("to", "subject", "reference")
    exclude = ("private",)


@admin.register(Enclosure)
class EnclosureAdmin(ReadOnly):
    """Files that went with e-mails: only what and with which."""

    list_display = ("name", "email", "content_type")
    list_select_related = ("email",)
    exclude = ("content",)


@admin.register(Alarm)
class AlarmAdmin(ReadOnly):
    """Alarms."""

    list_display = ("raised_at", "title", "times", "over_at", "acknowledged_by")
    list_filter = ("desk",)


admin.site.register(Heartbeat, ReadOnly)
admin.site.register(Counter, ReadOnly)
admin.site.site_header = "Supplier portal: reference tables"
admin.site.site_title = "Supplier portal"
