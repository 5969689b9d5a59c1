"""What `manage.py check --deploy` says about this desk's settings."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security, deploy=True)
def results_are_limited(**_: Any) -> list[checks.CheckMessage]:
    """Warn where results are taken from any address that knows a collection's own one."""
    if settings.METERING_RESULT_ALLOWED_IPS:
        return []
    text = "METERING_RESULT_ALLOWED_IPS is empty: the unguessable address alone guards results."
    hint = "Name the addresses of the meter communications service."
    return [checks.Warning(text, hint=hint, id="metering.W001")]
