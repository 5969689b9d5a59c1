"""The portal's settings with a folder of their own: a developer's .env and var/ stay untouched.

DATABASE_URL and REDIS_URL from the environment are honoured; everything else is fixed.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from uuid import uuid4

_folder = Path(tempfile.mkdtemp(prefix="portal-tests-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
_OURS = (
    *("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "EMAIL_URL", "PUBLIC_BASE_URL", "ENVIRONMENT_LABEL"),
    *("TRUSTED_PROXY_COUNT", "SEND_DELAY_SECONDS", "DEFAULT_FROM_EMAIL", "SUPPLIER_NAME"),
    *("SUPPLIER_EMAIL", "SUPPLIER_PHONE", "SUPPLIER_ADDRESS", "SUPPLIER_REGISTRATION"),
)
_DESKS = ("SEG_", "GASQUOTES_", "METERING_", "PTS_", "SIP_")
for _name in [*_OURS, *(name for name in os.environ if name.startswith(_DESKS))]:
    os.environ.pop(_name, None)
os.environ.update(
    ENV_FILE=str(_folder / "no.env"),
    VAR_DIR=str(_folder),
    DEBUG="on",
    ALLOWED_HOSTS="localhost,127.0.0.1,[::1]",
)

from config.settings import *  # noqa: E402, F403
from config.settings import CACHES, DATABASES, INSTALLED_APPS, REDIS_URL, STATIC_ROOT  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "tests.parcels"]
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
SEND_DELAY_SECONDS = 30
Path(STATIC_ROOT).mkdir(exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
CELERY_TASK_DEFAULT_QUEUE = "tests"
if REDIS_URL:
    CACHES["default"]["KEY_PREFIX"] = f"tests {uuid4()}"
else:
    CELERY_BROKER_URL = "memory://"
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Nothing here has to survive a power cut.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-16000"
    )
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
