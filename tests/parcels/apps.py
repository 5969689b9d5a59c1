"""The test-only desk."""

from django.apps import AppConfig


class ParcelsConfig(AppConfig):
    name = "tests.parcels"
    label = "parcels"
