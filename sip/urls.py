"""Addresses of the safe isolation desk: the office's pages, and the worksheet on the phone."""

from django.urls import path

from sip import office_views, send_views, sheet_views, views
from sip.lists import JobList

app_name = "sip"
urlpatterns = [
    path("", JobList.as_view(), name="list"),
    path("add/", office_views.add, name="add"),
    path("import/", office_views.import_jobs, name="import"),
    path("import/<int:pk>/", office_views.confirm_import, name="import-confirm"),
    path("plan/", office_views.plan_many, name="plan-many"),
    path("statistics/", office_views.figures, name="statistics"),
    path("key/", views.key, name="key"),
    path("codes/", office_views.codes, name="codes"),
    path("codes/<slug:name>/", office_views.code_list, name="code-list"),
    path("codes/<slug:name>/import/", office_views.import_codes, name="code-import"),
    path("codes/<slug:name>/<int:pk>/", office_views.code, name="code"),
    path("photos/<int:pk>/", views.photo, name="photo"),
    path("evidence/<int:pk>/", views.resolution_file, name="resolution-file"),
    path("cases/<slug:reference>/", views.case, name="case"),
    path("cases/<slug:reference>/private/", views.private, name="private"),
    path("cases/<slug:reference>/note/", views.note, name="note"),
    path("cases/<slug:reference>/assign/", views.assign, name="assign"),
    path("cases/<slug:reference>/plan/", views.plan, name="plan"),
    path("cases/<slug:reference>/pack/", views.pack, name="pack"),
    path("cases/<slug:reference>/attempts/<int:number>/", views.attempt, name="attempt"),
    path("cases/<slug:reference>/check/", send_views.check_page, name="check"),
    path("cases/<slug:reference>/sending/", send_views.sending, name="sending"),
    path("cases/<slug:reference>/stop/", send_views.stop, name="stop"),
    path("cases/<slug:reference>/settle/", send_views.settle, name="settle"),
    path("cases/<slug:reference>/worksheet/", sheet_views.overview, name="worksheet"),
    path("cases/<slug:reference>/worksheet/hand-in/", sheet_views.hand_in, name="hand-in"),
    path("cases/<slug:reference>/worksheet/two/<int:pk>/", sheet_views.clash, name="clash"),
    path("cases/<slug:reference>/worksheet/<slug:name>/", sheet_views.block, name="block"),
    path("cases/<slug:reference>/<slug:name>/", views.move, name="move"),
]
