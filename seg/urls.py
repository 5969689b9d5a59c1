"""Addresses of the export tariff desk: staff pages, and the customer's public ones."""

from django.urls import path

from seg import public, public_track, views
from seg.lists import ApplicationList

app_name = "seg"
urlpatterns = [
    path("", ApplicationList.as_view(), name="list"),
    path("apply/", public.start, name="apply"),
    path("apply/<slug:step>/", public.step, name="apply-step"),
    path("track/<str:token>/", public_track.track, name="track"),
    path("track/<str:token>/<slug:what>/", public_track.track_form, name="track-form"),
    path("files/<int:pk>/", views.attachment, name="attachment"),
    path("cases/<slug:reference>/", views.case, name="case"),
    path("cases/<slug:reference>/again/", views.again, name="again"),
    path("cases/<slug:reference>/amend/", views.amend, name="amend"),
    path("cases/<slug:reference>/export-mpan/", views.export_mpan, name="export-mpan"),
    path("cases/<slug:reference>/note/", views.note, name="note"),
    path("cases/<slug:reference>/assign/", views.assign, name="assign"),
    path("cases/<slug:reference>/bank/", views.reveal, name="bank"),
    path("cases/<slug:reference>/<slug:name>/", views.decide, name="decide"),
]
