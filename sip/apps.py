"""The safe isolation desk: an isolation job becomes exactly one market message."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core import desks

ROLE = (
    "sip.view_job",
    "sip.add_job",
    "sip.change_job",
    "sip.fill_job",
    "sip.send_job",
    "sip.resolve_job",
    "sip.view_code",
    "sip.view_codelist",
    "sip.add_code",
    "sip.change_code",
)
LOOK = ("sip.view_job", "sip.view_code", "sip.view_codelist")
BEHIND = (
    "sip.view_attempt",
    "sip.view_message",
    "sip.view_resolution",
    "sip.view_keystop",
    "sip.view_photo",
)


class SipConfig(AppConfig):
    """Registers the desk with the frame."""

    name = "sip"
    verbose_name = "Safe isolation"

    def ready(self) -> None:
        """Say what the frame must know."""
        from core.housekeeping import tidying
        from core.http import PlainHttpRefused, refuse_plain_http
        from sip import actions

        try:
            refuse_plain_http(settings.SIP_API_URL)
        except PlainHttpRefused as problem:
            raise ImproperlyConfigured(f"SIP_API_URL: {problem}") from problem
        tidying.connect(actions.forget_uploads, dispatch_uid="sip.forget_uploads")
        tidying.connect(actions.remove_private, dispatch_uid="sip.remove_private")
        desks.register(
            desks.Desk(
                slug="sip",
                label="Safe isolation",
                url_name="sip:list",
                permission="sip.view_job",
                decide_permission="sip.send_job",
                parties=("Market messages",),
                tile="sip.lists.tile",
                inbox="sip.lists.inbox",
                search="sip.lists.search",
                try_again="sip.lists.try_again",
                demo="sip.demo.fill",
                stop_mail="sip.lists.stop_mail",
                role="safe isolation",
                role_permissions=ROLE,
                supervisor_permissions=(
                    *BEHIND,
                    "sip.delete_code",
                    "sip.change_codelist",
                ),
                view_permissions=(*LOOK, *BEHIND),
                own_permission="sip.work_own_job",
                engineer_permissions=("sip.work_own_job", "sip.fill_job"),
                private_permissions=("sip.read_private",),
            )
        )
