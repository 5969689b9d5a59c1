"""The table of the database cache, used where there is no Redis."""

from typing import Any

from django.core.management import call_command
from django.db import migrations


def create(apps: Any, schema_editor: Any) -> None:
    """Make the table; repeating it changes nothing."""
    call_command("createcachetable", "core_cache", database=schema_editor.connection.alias)


class Migration(migrations.Migration):
    """Beside the models: Django's cache table has none."""

    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
