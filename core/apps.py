"""The frame: workflow, queue, calls, e-mail, people and the pages around the desks."""

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    """Makes the roles after every migrate."""

    name = "core"
    verbose_name = "Portal"

    def ready(self) -> None:
        """Connect the set-up of roles."""
        from core import fields, mail  # noqa: F401 - mail registers the e-mail queue

        fields.encrypt("a start with keys that cannot be used is refused")

        post_migrate.connect(make_roles, sender=self)


def make_roles(using: str, **_: Any) -> None:
    """Make the roles once every app's permissions exist."""
    from core import roles

    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0, using=using)
    roles.set_up()
