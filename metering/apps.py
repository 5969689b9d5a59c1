"""The metering desk: meters are asked, results arrive, half-hourly readings become usable."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core import desks

ROLE = (
    "metering.view_meterread",
    "metering.request_meterread",
    "metering.decide_meterread",
    "metering.view_meter",
    "metering.add_meter",
    "metering.change_meter",
    "metering.view_meteralarm",
    "metering.view_delivery",
)
LOOK = (
    "metering.view_meterread",
    "metering.view_meter",
    "metering.view_meteralarm",
    "metering.view_delivery",
)
BEHIND = (
    "metering.view_metertype",
    "metering.view_registerkind",
    "metering.view_schedule",
    "metering.view_batch",
    "metering.view_meterchange",
    "metering.view_registerreading",
    "metering.view_sidereading",
)


class MeteringConfig(AppConfig):
    """Registers the desk with the frame."""

    name = "metering"
    verbose_name = "Metering"

    def ready(self) -> None:
        """Say what the frame must know."""
        from core.housekeeping import tidying
        from core.http import PlainHttpRefused, refuse_plain_http
        from metering import (
            actions,
            checks,  # noqa: F401 - registers the deploy check
        )

        try:
            refuse_plain_http(settings.METERING_API_URL)
        except PlainHttpRefused as problem:
            raise ImproperlyConfigured(f"METERING_API_URL: {problem}") from problem
        tidying.connect(actions.forget_uploads, dispatch_uid="metering.forget_uploads")
        desks.register(
            desks.Desk(
                slug="metering",
                label="Metering",
                url_name="metering:list",
                permission="metering.view_meterread",
                decide_permission="metering.decide_meterread",
                parties=("Meter communications",),
                tile="metering.lists.tile",
                inbox="metering.lists.inbox",
                search="metering.lists.search",
                try_again="metering.lists.try_again",
                demo="metering.demo.fill",
                stop_mail="metering.lists.stop_mail",
                role="metering",
                role_permissions=ROLE,
                supervisor_permissions=(
                    *BEHIND,
                    "metering.adjust_meter_time",
                    "metering.add_metertype",
                    "metering.change_metertype",
                    "metering.add_registerkind",
                    "metering.change_registerkind",
                    "metering.delete_registerkind",
                    "metering.add_schedule",
                    "metering.change_schedule",
                    "metering.delete_schedule",
                ),
                view_permissions=(*LOOK, *BEHIND),
            )
        )
