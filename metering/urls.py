"""Addresses of the metering desk."""

from django.urls import path

from metering import meter_lists, meter_views, views, webhook
from metering.lists import AlarmList, DeliveryList, ReadList

app_name = "metering"
urlpatterns = [
    path("", ReadList.as_view(), name="list"),
    path("ask/", views.ask, name="ask"),
    path("batches/<int:pk>/", views.batch, name="batch"),
    path("alarms/", AlarmList.as_view(), name="alarms"),
    path("alarms/<int:pk>/", views.acknowledge, name="acknowledge"),
    path("deliveries/", DeliveryList.as_view(), name="deliveries"),
    path("deliveries/<int:pk>/", views.replay, name="replay"),
    path("set-aside/", views.set_aside, name="set-aside"),
    path("reads/<slug:reference>/", views.case, name="case"),
    path("reads/<slug:reference>/again/", views.again, name="again"),
    path("reads/<slug:reference>/note/", views.note, name="note"),
    path("reads/<slug:reference>/assign/", views.assign, name="assign"),
    path("reads/<slug:reference>/<slug:name>/", views.decide, name="decide"),
    path("meters/", meter_lists.MeterList.as_view(), name="meters"),
    path("meters/add/", meter_views.add, name="meter-add"),
    path("meters/import/", meter_views.import_meters, name="import"),
    path("meters/import/<int:pk>/", meter_views.confirm_import, name="import-confirm"),
    path("meters/export/", meter_views.export_readings, name="export"),
    path("meters/<int:pk>/", meter_views.meter, name="meter"),
    path("meters/<int:pk>/particulars/", meter_views.edit, name="meter-change"),
    path("meters/<int:pk>/change/", meter_views.change, name="change-of-meter"),
    path("gaps/", meter_views.gaps, name="gaps"),
    path("results/<str:token>", webhook.collection_result, name="results"),
    path("results/<str:token>/collection-result", webhook.collection_result, name="result"),
    path("results/<str:token>/service-status", webhook.service_status, name="service-status"),
]
