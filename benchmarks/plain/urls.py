"""The portal's addresses and /plain/."""

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path

from benchmarks.plain.views import PlainResult

urlpatterns = [
    path("plain/", login_not_required(PlainResult.as_view())),
    path("", include("config.urls")),
]
