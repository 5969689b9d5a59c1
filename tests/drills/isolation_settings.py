"""The portal's settings for the isolation drill: a short lease, and keys of its own in Redis.

Production refuses such a margin; here a lease has to run out while somebody waits for it.
"""

import os

from config.settings import *  # noqa: F403
from config.settings import (
    CACHES,
    CELERY_BROKER_TRANSPORT_OPTIONS,
    DATABASES,
    INSTALLED_APPS,
    REDIS_URL,
)

INSTALLED_APPS = [*INSTALLED_APPS, "tests.parcels"]
SIP_LEASE_MARGIN = 2.0
if REDIS_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = os.environ["DRILL_KEYS"]
    CACHES["default"]["KEY_PREFIX"] = os.environ["DRILL_KEYS"]
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Processes are killed here, machines are not.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"
    )
