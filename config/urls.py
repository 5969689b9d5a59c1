"""Every address of the portal. Sign-in pages are allauth's, without sign-up."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from core.views import admin_sign_in

urlpatterns = [
    path("", include("core.urls")),
    path("seg/", include("seg.urls")),
    path("metering/", include("metering.urls")),
    path("gas-quotes/", include("gasquotes.urls")),
    path("pts/", include("pts.urls")),
    path("sip/", include("sip.urls")),
    path("accounts/signup/", RedirectView.as_view(pattern_name="account_login")),
    path("accounts/", include("allauth.urls")),
    path("admin/login/", admin_sign_in),
    path("admin/", admin.site.urls),
    path("api/schema/", login_not_required(SpectacularAPIView.as_view()), name="schema"),
]
