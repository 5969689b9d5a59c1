"""The portal's settings with the plain way beside it."""

from config.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.plain"]  # noqa: F405
ROOT_URLCONF = "benchmarks.plain.urls"
