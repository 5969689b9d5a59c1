"""The desk in the stock admin: tariffs are edited, all else is looked at, secrets are absent."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.utils import timezone

from core.uploads import Upload
from core.workflow import actor_for
from seg import actions
from seg.models import Application, Tariff
from tests.factories import SubmissionFactory, TariffFactory, applicant_of

pytestmark = pytest.mark.django_db
MODELS = [model._meta.model_name for model in apps.get_app_config("seg").get_models()]
LOOKED_AT = [name for name in MODELS if name != "tariff"]
SECRET = {"sort_code": "409217", "account_number": "83561947"}


@pytest.fixture
def root(person, signed_in):
    return signed_in(person(admin=True))


@pytest.fixture
def full(registry, work, decider):
    """One row at least of every model."""
    TariffFactory(code="SEG-2026")
    certificate = registry.certificate("MCS-70000062-T")
    form = SubmissionFactory(**applicant_of(certificate), **SECRET)
    application = actions.submit(submission=form, key="k", now=timezone.now)
    work()
    application = Application.objects.get()
    actions.ask(application=application, text="Which?", by=actor_for(decider), now=timezone.now)
    draft = actions.keep_draft(key="draft-key-0", answers={"pay": SECRET}, now=timezone.now)
    upload = Upload("png", "image/png", ".png", 3, "0" * 64, "bill.png")
    actions.attach(upload=upload, content=b"png", draft=draft, now=timezone.now)
    return Application.objects.get()


def test_every_model_is_registered():
    assert {model._meta.model_name for model in admin.site._registry} >= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_lists_and_pages_show_no_secrets(name, full, root):
    model = apps.get_model("seg", name)
    pages = [f"/admin/seg/{name}/", f"/admin/seg/{name}/?q=SEG"]
    pages += [f"/admin/seg/{name}/{row.pk}/change/" for row in model.objects.all()[:3]]
    assert len(pages) > 2
    hidden = (*SECRET.values(), full.token, full.token_sha256, full.submission_key * 9)
    for url in pages:
        response = root.get(url)
        assert response.status_code == 200, url
        text = response.content.decode()
        assert [secret for secret in hidden if secret in text] == [], url
        assert "draft-key-0" not in text


@pytest.mark.parametrize("name", LOOKED_AT)
def test_cases_and_logs_are_only_looked_at(name, full, root):
    row = apps.get_model("seg", name).objects.first()
    base = f"/admin/seg/{name}/"
    assert root.get(f"{base}add/").status_code == 403
    assert root.post(f"{base}{row.pk}/change/", {"status": "approved"}).status_code == 403
    assert root.post(f"{base}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    root.post(base, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert apps.get_model("seg", name).objects.filter(pk=row.pk).exists()
    assert Application.objects.get().status == full.status


def form_of(**fields):
    return {"code": "SEG-X", "name": "New", "rate": "12.5", "open_from": "2026-01-01", **fields}


def test_a_supervisor_edits_tariffs(person, signed_in):
    client = signed_in(person("supervisor", is_staff=True))
    assert client.post("/admin/seg/tariff/add/", form_of()).status_code == 302
    tariff = Tariff.objects.get()
    assert (tariff.code, tariff.open_to) == ("SEG-X", None)
    url = f"/admin/seg/tariff/{tariff.pk}/"
    assert client.post(f"{url}change/", form_of(rate="13")).status_code == 302
    assert Tariff.objects.get().rate == 13
    assert client.post(f"{url}delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rate": "0"}, "above 0"),
        ({"rate": "-1"}, "greater than or equal to 0"),
        ({"open_to": "2025-12-31"}, "before the first"),
        ({"code": ""}, "required"),
    ],
)
def test_a_tariff_that_cannot_be(fields, words, root):
    response = root.post("/admin/seg/tariff/add/", form_of(**fields))
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not Tariff.objects.exists()


@pytest.mark.parametrize("role", ["export tariff", "engineer", "auditor", ""])
def test_other_roles_edit_nothing(role, person, signed_in):
    client = signed_in(person(role, is_staff=True))
    tariff = TariffFactory()
    assert client.post("/admin/seg/tariff/add/", form_of()).status_code == 403
    assert client.post(f"/admin/seg/tariff/{tariff.pk}/change/", form_of()).status_code == 403
    assert Tariff.objects.get().code == tariff.code


def test_people_who_are_not_staff_of_the_admin_are_sent_away(decider, signed_in):
    assert signed_in(decider).get("/admin/seg/application/").status_code in (302, 403)


def test_the_newest_tariff_open_on_a_day_counts():
    today = timezone.localdate()
    TariffFactory(code="OLD")
    TariffFactory(code="NEW", open_from=today - timedelta(days=10), open_to=today)
    TariffFactory(code="NEXT", open_from=today + timedelta(days=1))
    days = {"OLD": -11, "NEW": 0, "NEXT": 1}
    for code, offset in days.items():
        assert Tariff.open_on(today + timedelta(days=offset)).code == code
    assert Tariff.open_on(today.replace(year=2019)) is None
