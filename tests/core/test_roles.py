"""Roles: the groups that set-up makes, and what each of them may see and do."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from core import alarms, desks, roles
from core.workflow import allowed_moves
from tests.factories import ApplicationFactory

pytestmark = pytest.mark.django_db
DESKS = ("Export tariff", "Gas quotes", "Metering", "Production", "Safe isolation")
WRITES = ("add_", "change_", "delete_", "decide_", "reopen_", "reveal_", "acknowledge_")


def permissions_of(name):
    rows = Group.objects.get(name=name).permissions.select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


def test_migrate_made_every_role():
    wanted = {"engineer", "supervisor", "auditor", *(desk.role for desk in desks.all_desks())}
    assert set(Group.objects.values_list("name", flat=True)) == wanted


def test_set_up_repairs_and_changes_nothing_else():
    before = {name: permissions_of(name) for name in ("export tariff", "supervisor", "auditor")}
    Group.objects.get(name="auditor").permissions.set(Permission.objects.all())
    Group.objects.get(name="supervisor").permissions.clear()
    roles.set_up()
    roles.set_up()
    assert {name: permissions_of(name) for name in before} == before


def test_an_auditor_reads_and_changes_nothing(auditor):
    for permission in auditor.get_all_permissions():
        assert not permission.partition(".")[2].startswith(WRITES), permission
    for status in ("review", "suspended", "approved", "refused"):
        assert allowed_moves(ApplicationFactory(status=status), auditor) == []


def test_a_supervisor_may_what_every_desk_may():
    for desk in desks.all_desks():
        private = set(desk.private_permissions)
        assert permissions_of(desk.role) - private <= permissions_of("supervisor")
        assert not private & (permissions_of("supervisor") | permissions_of("auditor"))
        assert set(desk.supervisor_permissions) <= permissions_of("supervisor")


def test_nobody_gets_single_rows_of_history_to_change():
    for group in Group.objects.all():
        for name in ("statuschange", "note", "partnercall", "email", "application"):
            for verb in ("add", "change", "delete"):
                assert f"core.{verb}_{name}" not in permissions_of(group.name)
                assert f"seg.{verb}_{name}" not in permissions_of(group.name)


@pytest.mark.parametrize(
    ("role", "paths"),
    [
        ("export tariff", {"/", "/seg/", "/calls/", "/mails/", "/health/", "/search/"}),
        ("supervisor", {"/", "/seg/", "/calls/", "/mails/", "/health/", "/search/"}),
        ("auditor", {"/", "/seg/", "/calls/", "/mails/", "/health/", "/search/"}),
        ("engineer", {"/", "/search/"}),
        ("", {"/", "/search/"}),
    ],
)
def test_which_pages_a_role_may_see(role, paths, person, signed_in):
    client = signed_in(person(role))
    for path in ("/", "/seg/", "/calls/", "/mails/", "/health/", "/search/"):
        response = client.get(path)
        assert response.status_code == (200 if path in paths else 403), path
        if path not in paths:
            assert "Your role does not include this page" in response.content.decode()


@pytest.mark.parametrize(
    ("role", "entries"),
    [
        ("export tariff", ["Home", "Export tariff", "Calls", "E-mails", "Health"]),
        ("supervisor", ["Home", *DESKS, "Calls", "E-mails", "Health"]),
        ("auditor", ["Home", *DESKS, "Calls", "E-mails", "Health"]),
        ("gas quotes", ["Home", "Gas quotes", "Calls", "E-mails", "Health"]),
        ("metering", ["Home", "Metering", "Calls", "E-mails", "Health"]),
        ("production", ["Home", "Production", "Calls", "E-mails", "Health"]),
        ("safe isolation", ["Home", "Safe isolation", "Calls", "E-mails", "Health"]),
        ("engineer", ["Home", "Safe isolation"]),
        ("", ["Home"]),
    ],
)
def test_the_menu_shows_only_what_a_role_may_see(role, entries, person, signed_in):
    menu = signed_in(person(role)).get("/").context["menu"]
    shown = [menu["home"], *menu["desks"], *menu["behind"]]
    assert [entry["label"] for entry in shown] == entries
    assert [entry["label"] for entry in shown if entry["current"]] == ["Home"]


def test_an_engineer_sees_no_alarm_of_a_desk(person, signed_in):
    alarms.sound("k", desk="sip", title="Their key is refused", now=timezone.now())
    shown = {
        role: "Their key is refused" in signed_in(person(role)).get("/").content.decode()
        for role in ("safe isolation", "metering", "engineer")
    }
    assert shown == {"safe isolation": True, "metering": False, "engineer": False}


def test_the_menu_leads_staff_to_the_reference_tables(person, signed_in):
    menu = signed_in(person("supervisor", is_staff=True)).get("/calls/").context["menu"]
    assert [entry["label"] for entry in menu["behind"]][-1] == "Reference tables"
    assert [entry["label"] for entry in menu["behind"] if entry["current"]] == ["Calls"]


def test_nobody_signs_up(client):
    response = client.get("/accounts/signup/")
    assert response.status_code == 302
    assert response.url.startswith("/accounts/login/")
    client.post("/accounts/signup/", {"email": "eve@example.org", "password1": "x" * 20})
    from core.models import User

    assert not User.objects.filter(email="eve@example.org").exists()


def test_people_sign_in_with_their_address(person, client):
    user = person("export tariff")
    wrong = client.post("/accounts/login/", {"login": user.email, "password": "wrong"})
    assert wrong.status_code == 200
    right = client.post("/accounts/login/", {"login": user.email, "password": "correct horse"})
    assert (right.status_code, right.url) == (302, "/")
    assert client.get("/").status_code == 200


def test_guessing_passwords_is_slowed_down(person, client):
    user = person("export tariff")
    for _ in range(6):
        client.post("/accounts/login/", {"login": user.email, "password": "wrong"})
    client.post("/accounts/login/", {"login": user.email, "password": "correct horse"})
    assert client.get("/").status_code == 302
