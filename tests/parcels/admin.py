"""The test-only desk in the stock admin, with every field that the admin would offer."""

from django.contrib import admin

from tests.parcels.models import Parcel

admin.site.register(Parcel)
