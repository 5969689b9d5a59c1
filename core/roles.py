"""Roles are Django groups: one a desk, and engineer, supervisor and auditor across desks."""

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission

from core import desks

EVERY_DESK = ("core.view_partnercall", "core.view_email", "core.view_heartbeat")
SUPERVISOR = (
    *EVERY_DESK,
    "core.view_user",
    "core.change_user",
    "core.add_user",
    "core.view_statuschange",
    "core.view_note",
    "core.view_alarm",
    "core.acknowledge_alarm",
    "core.reveal_reply",
)
AUDITOR = (*EVERY_DESK, "core.view_statuschange", "core.view_note", "core.view_alarm")


def set_up() -> None:
    """Make every role with exactly the permissions the desks name. Repeating it changes nothing."""
    supervisor, auditor, engineer = set(SUPERVISOR), set(AUDITOR), set[str]()
    for desk in desks.all_desks():
        alone = {*desk.private_permissions, *EVERY_DESK, "core.acknowledge_alarm"}
        _role(desk.role, {*desk.role_permissions, *alone})
        supervisor |= {*desk.role_permissions, *desk.supervisor_permissions}
        auditor |= set(desk.view_permissions)
        engineer |= set(desk.engineer_permissions)
    _role("supervisor", supervisor)
    _role("auditor", auditor)
    _role("engineer", engineer)


def _role(name: str, permissions: Iterable[str]) -> None:
    group, _ = Group.objects.get_or_create(name=name)
    group.permissions.set(_permission(path) for path in sorted(permissions))


def _permission(path: str) -> Permission:
    app, _, codename = path.partition(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)
