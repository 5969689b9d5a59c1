"""The export tariff desk: applications for the Smart Export Guarantee."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core import desks


class SegConfig(AppConfig):
    """Registers the desk with the frame."""

    name = "seg"
    verbose_name = "Export tariff"

    def ready(self) -> None:
        """Say what the frame must know."""
        from core.housekeeping import tidying
        from core.http import PlainHttpRefused, refuse_plain_http
        from seg import actions

        try:
            refuse_plain_http(settings.SEG_API_URL)
        except PlainHttpRefused as problem:
            raise ImproperlyConfigured(f"SEG_API_URL: {problem}") from problem
        tidying.connect(actions.forget_drafts, dispatch_uid="seg.forget_drafts")
        desks.register(
            desks.Desk(
                slug="seg",
                label="Export tariff",
                url_name="seg:list",
                permission="seg.view_application",
                decide_permission="seg.decide_application",
                parties=("Installation registry",),
                tile="seg.lists.tile",
                inbox="seg.lists.inbox",
                search="seg.lists.search",
                try_again="seg.lists.try_again",
                demo="seg.demo.fill",
                stop_mail="seg.actions.stop_decision",
                role="export tariff",
                role_permissions=(
                    "seg.view_application",
                    "seg.decide_application",
                    "seg.reveal_bank_details",
                    "seg.view_tariff",
                ),
                supervisor_permissions=(
                    "seg.reopen_application",
                    "seg.add_tariff",
                    "seg.change_tariff",
                    "seg.view_verification",
                    "seg.view_check",
                    "seg.view_question",
                    "seg.view_attachment",
                ),
                view_permissions=(
                    "seg.view_application",
                    "seg.view_tariff",
                    "seg.view_verification",
                    "seg.view_check",
                    "seg.view_question",
                ),
            )
        )
