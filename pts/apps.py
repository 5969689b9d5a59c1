"""The production desk: monthly totals of solar systems go to MassCEC's tracking system."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core import desks

ROLE = (
    "pts.view_report",
    "pts.report_production",
    "pts.submit_production",
    "pts.view_system",
    "pts.change_system",
    "pts.add_meterchange",
    "pts.view_window",
    "pts.view_batch",
    "pts.view_synchronisation",
)
LOOK = (
    "pts.view_report",
    "pts.view_system",
    "pts.view_window",
    "pts.view_batch",
    "pts.view_synchronisation",
)
BEHIND = (
    "pts.view_submission",
    "pts.view_meterchange",
    "pts.view_partyreading",
    "pts.view_helpdeskexception",
)


class PtsConfig(AppConfig):
    """Registers the desk with the frame."""

    name = "pts"
    verbose_name = "Production"

    def ready(self) -> None:
        """Say what the frame must know."""
        from core.http import PlainHttpRefused, refuse_plain_http

        try:
            refuse_plain_http(settings.PTS_API_URL)
        except PlainHttpRefused as problem:
            raise ImproperlyConfigured(f"PTS_API_URL: {problem}") from problem
        desks.register(
            desks.Desk(
                slug="pts",
                label="Production",
                url_name="pts:list",
                permission="pts.view_report",
                decide_permission="pts.report_production",
                parties=("Production tracking",),
                tile="pts.lists.tile",
                inbox="pts.lists.inbox",
                search="pts.lists.search",
                try_again="pts.lists.try_again",
                demo="pts.demo.fill",
                stop_mail="pts.lists.stop_mail",
                role="production",
                role_permissions=ROLE,
                supervisor_permissions=(
                    *BEHIND,
                    "pts.record_exception",
                    "pts.change_window",
                ),
                view_permissions=(*LOOK, *BEHIND),
            )
        )
