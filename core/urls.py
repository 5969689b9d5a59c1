"""Addresses of the frame's own pages."""

from django.urls import path

from core import views
from core.lists import CallList, MailList

urlpatterns = [
    path("", views.home, name="home"),
    path("search/", views.search, name="search"),
    path("calls/", CallList.as_view(), name="calls"),
    path("calls/<int:pk>/", views.call, name="call"),
    path("calls/<int:pk>/reply/", views.reveal_reply, name="call-reply"),
    path("mails/", MailList.as_view(), name="mails"),
    path("mails/<int:pk>/", views.email, name="mail"),
    path("mails/<int:pk>/stop/", views.stop_mail, name="mail-stop"),
    path("alarms/<int:pk>/acknowledge/", views.acknowledge, name="alarm-acknowledge"),
    path("health/", views.health_page, name="health"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
