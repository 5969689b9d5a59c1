"""The stock admin: everything can be looked at, reference data edited, no case moved."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from core import alarms, calls, casework
from core.admin import ReadOnly
from core.models import (
    Alarm,
    Counter,
    Email,
    Heartbeat,
    Note,
    PartnerCall,
    StatusChange,
    User,
    count,
)
from core.outcomes import CallRecord, Kind
from core.workflow import PORTAL, Case, case_models
from seg.models import Application, Draft, Tariff, Verification
from tests.factories import ApplicationFactory, EmailFactory, ParcelFactory, TariffFactory
from tests.parcels.models import Parcel

pytestmark = pytest.mark.django_db
DESKS = {"core", "gasquotes", "metering", "pts", "seg", "sip"}
OURS = [model for model in apps.get_models() if model._meta.app_label in DESKS]
LOGS = [StatusChange, Note, PartnerCall, Email, Alarm, Heartbeat, Counter, Application]


@pytest.fixture
def root(person, signed_in):
    """A browser of somebody who may do everything that can be done here."""
    return signed_in(person(admin=True))


@pytest.fixture
def rows():
    """One row of every log."""
    case, now = ApplicationFactory(status="review"), timezone.now()
    casework.note(case, text="Rang her.", by=PORTAL, now=now)
    calls.record(
        CallRecord("P", "O", Kind.READ, now, 5, "answered", reply_unread="s3cret reply"), case=case
    )
    EmailFactory(case=case, private="https://x/seg/track/s3cret-token/")
    alarms.sound("k", desk="seg", title="Silent", now=now)
    Heartbeat.objects.create(name="sweep", at=now)
    count("calls")
    return {model: model.objects.first() for model in LOGS}


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_model_is_registered():
    missing = [model for model in OURS if not admin.site.is_registered(model)]
    assert missing == []


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_list_opens(model, root, rows):
    for query in ("", "?q=a", "?o=1"):
        assert root.get(url(model, "changelist") + query).status_code == 200


@pytest.mark.parametrize("model", LOGS, ids=lambda model: model.__name__)
def test_logs_and_cases_can_only_be_looked_at(model, root, rows):
    row = rows[model]
    before = type(row).objects.filter(pk=row.pk).values().get()
    page = root.get(url(model, "change", row.pk))
    assert page.status_code == 200
    text = page.content.decode()
    assert 'name="_save"' not in text
    assert "deletelink" not in text
    values = dict.fromkeys(before, "Eve")
    assert root.post(url(model, "change", row.pk), values).status_code == 403
    assert root.get(url(model, "add")).status_code == 403
    assert root.post(url(model, "add"), values).status_code == 403
    assert root.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    root.post(url(model, "changelist"), chosen)
    assert type(row).objects.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("model", case_models(), ids=lambda model: model.__name__)
def test_a_form_made_from_a_case_offers_no_column_of_the_workflow(model, root, rf, person):
    request = rf.get("/")
    request.user = person(admin=True)
    form = admin.site.get_model_admin(model).get_form(request)
    workflow = {field.name for field in Case._meta.local_fields}
    assert workflow.isdisjoint(form.base_fields)


def test_a_case_in_an_ordinary_admin_keeps_its_status(root):
    case = ParcelFactory(status="held")
    values = {"weight": 5, "looked": 0, "status": "sent", "status_at": "2020-01-01", "due_at": ""}
    assert root.post(url(Parcel, "change", case.pk), values).status_code == 302
    case.refresh_from_db()
    assert (case.status, case.weight) == ("held", 5)
    assert StatusChange.objects.for_case(case).count() == 2


def test_no_secret_is_shown(root, rows):
    application = rows[Application]
    secrets = ["s3cret", application.token, application.account_number]
    for model, row in rows.items():
        for page in (url(model, "changelist"), url(model, "change", row.pk)):
            text = root.get(page).content.decode()
            assert not [secret for secret in secrets if secret in text], page


def test_drafts_show_no_answers(root):
    now = timezone.now()
    Draft.objects.create(key="k", answers={"name": "Ada"}, created_at=now, updated_at=now)
    for page in (url(Draft, "changelist"), url(Draft, "change", Draft.objects.get().pk)):
        assert "Ada" not in root.get(page).content.decode()


def test_tariffs_are_edited_by_a_supervisor(person, signed_in):
    client = signed_in(person("supervisor", is_staff=True))
    values = {
        "code": "SEG-9",
        "name": "Nine",
        "rate": "9.5",
        "open_from": "2026-01-01",
        "open_to": "",
    }
    assert client.post(url(Tariff, "add"), values).status_code == 302
    row = Tariff.objects.get()
    assert client.post(url(Tariff, "change", row.pk), {**values, "rate": "0"}).status_code == 200
    assert client.post(url(Tariff, "change", row.pk), {**values, "rate": "10"}).status_code == 302
    row.refresh_from_db()
    assert row.rate == 10
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("role", ["export tariff", "auditor"])
def test_others_only_look_at_tariffs(role, person, signed_in):
    row = TariffFactory()
    client = signed_in(person(role, is_staff=True))
    assert client.get(url(Tariff, "changelist")).status_code == 200
    assert client.post(url(Tariff, "change", row.pk), {"rate": "1"}).status_code == 403
    assert client.get(url(Tariff, "add")).status_code == 403


@pytest.mark.parametrize("role", ["export tariff", "supervisor", "auditor", ""])
def test_without_the_mark_nobody_comes_in(role, person, signed_in):
    response = signed_in(person(role)).get("/admin/", follow=True)
    assert response.status_code == 403


def test_a_stranger_is_sent_to_sign_in(client):
    response = client.get("/admin/", follow=True)
    assert response.request["PATH_INFO"] == "/accounts/login/"


# ---- People ----------------------------------------------------------------------------------


def new_person(number):
    return {
        "username": f"new{number}",
        "email": f"new{number}@larkmoor.example",
        "first_name": "New",
        "last_name": str(number),
        "usable_password": "true",
        "password1": "a-long-Passw0rd-of-nobody",
        "password2": "a-long-Passw0rd-of-nobody",
    }


@pytest.fixture
def supervisor_in_admin(person, signed_in):
    user = person("supervisor", is_staff=True)
    return user, signed_in(user)


def test_a_supervisor_adds_people_who_can_sign_in(supervisor_in_admin, client):
    for number in (1, 2):
        response = supervisor_in_admin[1].post(url(User, "add"), new_person(number))
        assert response.status_code == 302, response.context["errors"]
    assert User.objects.filter(email__startswith="new").count() == 2
    client.post(
        "/accounts/login/",
        {"login": "new2@larkmoor.example", "password": "a-long-Passw0rd-of-nobody"},
    )
    assert client.get("/").status_code == 200


def test_two_people_cannot_share_an_address(supervisor_in_admin):
    _, client = supervisor_in_admin
    client.post(url(User, "add"), new_person(1))
    twin = {**new_person(2), "email": "new1@larkmoor.example"}
    assert client.post(url(User, "add"), twin).status_code == 200
    assert User.objects.filter(email="new1@larkmoor.example").count() == 1


def fields_of(client, user):
    """The values that the change form shows, as a browser would send them back."""
    form = client.get(url(User, "change", user.pk)).context["adminform"].form
    values = {name: form.initial.get(name) for name in form.fields}
    joined = values.pop("date_joined")
    flat = {k: v for k, v in values.items() if v not in (None, False) and k != "password"}
    flat["groups"] = [group.pk for group in values.get("groups", [])]
    flat.pop("last_login", None)
    return {**flat, "date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}


def test_a_supervisor_gives_roles_and_no_more(supervisor_in_admin, person):
    _, client = supervisor_in_admin
    user = person()
    role = Group.objects.get(name="export tariff")
    values = {**fields_of(client, user), "groups": [role.pk], "is_superuser": "on"}
    values["user_permissions"] = ["1"]
    assert client.post(url(User, "change", user.pk), values).status_code == 302
    user = User.objects.get(pk=user.pk)
    assert list(user.groups.all()) == [role]
    assert (user.is_superuser, user.user_permissions.count()) == (False, 0)


def test_a_supervisor_does_not_make_herself_a_superuser(supervisor_in_admin):
    user, client = supervisor_in_admin
    values = {**fields_of(client, user), "is_superuser": "on"}
    client.post(url(User, "change", user.pk), values)
    assert not User.objects.get(pk=user.pk).is_superuser


def test_a_supervisor_does_not_change_a_superuser(supervisor_in_admin, person):
    _, client = supervisor_in_admin
    root = person(admin=True)
    email = root.email
    client.post(url(User, "change", root.pk), {"email": "eve@example.org"})
    password = reverse("admin:auth_user_password_change", args=[root.pk])
    response = client.post(
        password, {"password1": "new-Passw0rd-eve", "password2": "new-Passw0rd-eve"}
    )
    assert response.status_code == 403
    root.refresh_from_db()
    assert root.email == email
    assert root.check_password("correct horse")


def test_people_who_wrote_history_are_kept(root, person):
    user = person("export tariff")
    casework.note(ApplicationFactory(), text="x", by=PORTAL, now=timezone.now())
    Note.objects.bulk_create([Note(by=user, by_name="x", at=timezone.now(), text="y")])
    root.post(url(User, "delete", user.pk), {"post": "yes"})
    assert User.objects.filter(pk=user.pk).exists()


def test_pages_keep_the_policy_against_inline_code(root, rows):
    text = root.get(url(Application, "changelist")).content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text)
    assert " style=" not in text


def test_read_only_means_every_log():
    read_only = {m for m, a in admin.site._registry.items() if isinstance(a, ReadOnly)}
    assert {*LOGS, Verification} <= read_only
