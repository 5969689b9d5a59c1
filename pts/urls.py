"""Addresses of the production desk."""

from datetime import date

from django.urls import path, register_converter

from pts import month_views, submit_views, system_views, views
from pts.lists import MonthList, SystemList


class MonthConverter:
    """A month in an address: "2026-11" is its first day."""

    regex = "[0-9]{4}-[0-9]{2}"

    def to_python(self, text: str) -> date:
        """The month's first day. Raises ValueError for no month."""
        return date.fromisoformat(f"{text}-01")

    def to_url(self, month: date | str) -> str:
        """The month as it stands in an address."""
        return month if isinstance(month, str) else f"{month:%Y-%m}"


register_converter(MonthConverter, "month")

app_name = "pts"
urlpatterns = [
    path("", MonthList.as_view(), name="list"),
    path("months/<month:month>/", MonthList.as_view(), name="month"),
    path("months/<month:month>/test/", submit_views.test, name="test"),
    path("months/<month:month>/submit/", submit_views.submit, name="submit"),
    path("months/<month:month>/meters/", month_views.take_from_meters, name="meters"),
    path("months/<month:month>/import/", month_views.import_readings, name="import"),
    path("months/<month:month>/import/confirm/", month_views.confirm_import, name="import-confirm"),
    path("months/<month:month>/window/", month_views.window, name="window"),
    path("windows/", month_views.windows, name="windows"),
    path("batches/<int:pk>/", submit_views.batch, name="batch"),
    path("batches/<int:pk>/stop/", submit_views.stop, name="stop"),
    path("systems/", SystemList.as_view(), name="systems"),
    path("systems/<int:key>/", system_views.system, name="system"),
    path("systems/<int:key>/particulars/", system_views.edit, name="system-change"),
    path("systems/<int:key>/meter/", system_views.meter_change, name="meter-change"),
    path("synchronisations/", system_views.synchronise, name="synchronise"),
    path("synchronisations/<int:pk>/", system_views.synchronisation, name="synchronisation"),
    path("<slug:reference>/", views.case, name="case"),
    path("<slug:reference>/reading/", views.enter, name="enter"),
    path("<slug:reference>/exception/", views.grant, name="grant"),
    path("<slug:reference>/photo/", views.photo, name="photo"),
    path("<slug:reference>/note/", views.note, name="note"),
    path("<slug:reference>/assign/", views.assign, name="assign"),
    path("<slug:reference>/<slug:name>/", views.decide, name="decide"),
]
