"""Staff pages over HTTP: who may see and do what, deciding step by step, secrets and files."""

import io
from datetime import timedelta

import pytest
import time_machine
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image

from core import casework, queue
from core.mail import MAIL
from core.models import Email, Note, PartnerCall, StatusChange
from core.uploads import inspect
from core.workflow import PORTAL, actor_for
from seg import actions
from seg.models import Application, Question, Verification
from tests.factories import ApplicationFactory, SubmissionFactory, TariffFactory, applicant_of

pytestmark = pytest.mark.django_db
WHY = "The bill shows the number."
ROLES = ("export tariff", "supervisor", "auditor", "engineer", "")
NOT_YOURS = "Your role does not include this page"
DONE_ALREADY = "This was done already; it was not done twice."


@pytest.fixture(autouse=True)
def tariff():
    return TariffFactory(code="SEG-2026")


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(buffer, "PNG")
    content = buffer.getvalue()
    return {"upload": inspect(io.BytesIO(content), "my bill.png"), "content": content}


def read(application):
    return Application.objects.get(pk=application.pk)


def text_of(response):
    return " ".join(response.content.decode().split())


def said(response):
    """The messages that the page after a redirect shows."""
    return " ".join(str(message) for message in response.context["messages"])


# ---- Who may ----------------------------------------------------------------------------------

DESK, WITH_AUDITOR = {"export tariff", "supervisor"}, {"export tariff", "supervisor", "auditor"}
# page: method, address below the case (or from the root), status of the case, roles, answer
PAGES = {
    "list": ("get", "/seg/", "review", WITH_AUDITOR, 200),
    "csv": ("get", "/seg/?as=csv", "review", WITH_AUDITOR, 200),
    "case": ("get", "", "review", WITH_AUDITOR, 200),
    "file": ("get", "file", "review", WITH_AUDITOR, 200),
    "approve": ("get", "approve/", "review", DESK, 200),
    "refuse": ("get", "refuse/", "review", DESK, 200),
    "ask": ("get", "ask/", "review", DESK, 200),
    "withdraw": ("get", "withdraw/", "review", DESK, 200),
    "reinstate": ("get", "reinstate/", "suspended", DESK, 200),
    "reopen": ("get", "reopen/", "refused", {"supervisor"}, 200),
    "check a refusal": ("post", "refuse/", "review", DESK, 200),
    "check a reopening": ("post", "reopen/", "refused", {"supervisor"}, 200),
    "again": ("post", "again/", "review", DESK, 302),
    "note": ("post", "note/", "review", DESK, 302),
    "assign": ("post", "assign/", "review", DESK, 302),
    "bank": ("post", "bank/", "review", DESK, 200),
    "mail": ("get", "mail", "review", WITH_AUDITOR, 200),
    "stop": ("post", "stop", "review", DESK, 302),
}


@pytest.fixture
def visit(decider):
    """Visit a page of PAGES; a file and a waiting decision are made where it needs them."""

    def visit(client, which):
        method, place, status, *_ = PAGES[which]
        application = ApplicationFactory(status=status)
        url = place if place.startswith("/") else f"{application.get_absolute_url()}{place}"
        if place == "file":
            row = actions.attach(**picture(), application=application, now=timezone.now)
            url = f"/seg/files/{row.pk}/"
        if place in ("mail", "stop"):
            by = actor_for(decider)
            row = actions.refuse(application=application, reason=WHY, by=by, now=timezone.now)
            url = f"/mails/{row.pk}/" + ("stop/" if place == "stop" else "")
        before = read(application)
        response = getattr(client, method)(url, {"reason": WHY, "text": WHY, "person": ""})
        return response, before, read(application)

    return visit


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("which", PAGES)
def test_the_roles_of_a_page(which, role, visit, person, signed_in):
    *_, allowed, answer = PAGES[which]
    response, before, after = visit(signed_in(person(role)), which)
    if role in allowed:
        assert response.status_code == answer
        return
    assert response.status_code == 403
    assert NOT_YOURS in text_of(response)
    assert (after.status, after.due_at, after.assigned_to) == (
        before.status,
        before.due_at,
        before.assigned_to,
    )
    assert not Note.objects.exists()
    assert not Email.objects.filter(state="stopped").exists()


@pytest.mark.parametrize("which", PAGES)
def test_whoever_is_not_signed_in_is_asked_to(which, visit, client):
    response, before, after = visit(client, which)
    assert response.status_code == 302
    assert response.url.startswith("/accounts/login/?next=/")
    assert before.status == after.status
    assert not Note.objects.exists()


@pytest.mark.parametrize("place", ["again/", "note/", "assign/", "bank/"])
def test_what_changes_or_reveals_is_never_a_link(place, decider, signed_in):
    application = ApplicationFactory(status="review")
    assert signed_in(decider).get(application.get_absolute_url() + place).status_code == 405
    assert not Note.objects.exists()


@pytest.mark.parametrize("place", ["again/", "note/", "assign/", "bank/", "refuse/"])
def test_a_forged_form_does_nothing(place, decider):
    client = Client(enforce_csrf_checks=True)
    client.force_login(decider)
    application = ApplicationFactory(status="review")
    response = client.post(application.get_absolute_url() + place, {"text": "x", "reason": WHY})
    assert response.status_code == 403
    assert not Note.objects.exists()
    assert read(application).status == "review"


@pytest.mark.parametrize("role", ROLES)
def test_the_menu_shows_the_desk_to_those_who_may_see_it(role, person, signed_in):
    page = text_of(signed_in(person(role)).get("/"))
    assert ('href="/seg/"' in page) is (role in WITH_AUDITOR)


@pytest.mark.parametrize("url", ["/seg/cases/SEG-0000-0000/", "/seg/files/999999/"])
def test_what_does_not_exist(url, decider, signed_in):
    assert signed_in(decider).get(url).status_code == 404


def test_an_unknown_decision_does_not_exist(decider, signed_in):
    application = ApplicationFactory(status="review")
    for name in ("stop_decision", "approve_clean", "answer", "nonsense"):
        url = f"{application.get_absolute_url()}{name}/"
        assert signed_in(decider).get(url).status_code == 404
        assert signed_in(decider).post(url, {"reason": WHY}).status_code == 404


# ---- The case ---------------------------------------------------------------------------------


def verified(registry, work, number="MCS-90417326-K", **fields):
    form = SubmissionFactory(**applicant_of(registry.certificate(number)), **fields)
    application = actions.submit(submission=form, key=number, now=timezone.now)
    work()
    return read(application)


def test_both_sides_stand_side_by_side_with_differences_marked(registry, work, decider, signed_in):
    application = verified(registry, work)
    page = text_of(signed_in(decider).get(application.get_absolute_url()))
    assert "<mark>14A</mark> Saltmarsh Row" in page
    assert "<mark>14</mark> Saltmarsh Row" in page
    assert "14000020000<mark>59</mark>" in page
    assert "14000020000<mark>40</mark>" in page
    assert "1400002000040" in page
    assert "1 check fails" in page or "0 checks fail" in page
    assert "GetInstallation, HTTP 200" in page


BUTTONS = {
    "checking": ["Withdraw for the customer", "Ask the registry again now"],
    "review": ["Approve for tariff SEG-2026", "Ask the customer", "Refuse"],
    "waiting": ["Ask the registry again now", "Withdraw for the customer"],
    "approved": ["Withdraw for the customer", "Ask the registry again now"],
    "suspended": ["Reinstate tariff SEG-2026", "Refuse", "Withdraw for the customer"],
    "refused": [],
    "withdrawn": [],
}


@pytest.mark.parametrize("status", BUTTONS)
def test_the_buttons_are_those_that_the_table_allows(
    status, decider, supervisor, auditor, signed_in
):
    url = ApplicationFactory(status=status).get_absolute_url()
    labels = [move["label"] for move in signed_in(decider).get(url).context["moves"]]
    assert set(BUTTONS[status]) <= set(labels)
    assert "Reopen" not in labels
    may_reopen = status in ("approved", "refused", "withdrawn")
    labels = [move["label"] for move in signed_in(supervisor).get(url).context["moves"]]
    assert ("Reopen" in labels) is may_reopen
    response = signed_in(auditor).get(url)
    assert response.context["moves"] == []
    assert "<form method" not in text_of(response).partition("<main")[2].partition("</main")[0]


@pytest.mark.parametrize("status", BUTTONS)
def test_every_status_has_a_page_that_says_what_is_next(status, decider, signed_in):
    secret = {"sort_code": "409217", "account_number": "83561947"}
    application = ApplicationFactory(status=status, **secret)
    page = text_of(signed_in(decider).get(application.get_absolute_url()))
    assert application.status_label in page
    assert "Who acts" in page
    for hidden in (*secret.values(), application.token):
        assert hidden not in page


def test_a_long_history_costs_no_more_queries(registry, work, decider, signed_in):
    application = verified(registry, work)
    client, url = signed_in(decider), application.get_absolute_url()
    ask(application, decider)
    client.get(url)
    with CaptureQueriesContext(
        connection,
    ) as few:
        assert client.get(url).status_code == 200

    now = timezone.now()
    for place in range(15):
        ask(application, decider)
        casework.note(application, text=f"Note {place}", by=actor_for(decider), now=now)
        row = StatusChange.objects.for_case(application).first()
        about = {"case_label": row.case_label, "case_id": row.case_id, "reference": row.reference}
        StatusChange.objects.create(
            **about, move="answer", from_status="waiting", to_status="review", at=now,
            by=decider, by_name="W",
        )  # fmt: skip
        PartnerCall.objects.create(
            **about, party="Installation registry", operation="GetInstallation", kind="read",
            started_at=now, duration_ms=5, outcome="answered", by_name="the portal",
        )  # fmt: skip
        Verification.objects.create(
            application=application, at=now - timedelta(days=1), found=False, why="x"
        )
    with CaptureQueriesContext(connection) as many:
        assert client.get(url).status_code == 200
    assert len(many) == len(few)


def ask(application, person):
    question = Question.objects.create(
        application=application, asked_by=person, asked_at=timezone.now(), text="Which?"
    )
    actions.attach(**picture(), application=application, question=question, now=timezone.now)


# ---- Deciding: reason, check page, done -------------------------------------------------------


@pytest.fixture
def desk(decider, signed_in):
    """A browser of the desk that decides step by step."""
    return signed_in(decider)


def checked(client, application, name, reason=WHY):
    """Write the reason and return the check page."""
    return client.post(f"{application.get_absolute_url()}{name}/", {"reason": reason})


def pressed(client, application, name, page, reason=WHY):
    """Press the button of a check page."""
    url = f"{application.get_absolute_url()}{name}/"
    return client.post(url, {"reason": reason, "token": page.context["token"]}, follow=True)


FLOWS = {
    "approve": ("review", "approved", "approved"),
    "refuse": ("review", "refused", "we cannot approve it"),
    "ask": ("review", "waiting", "we have a question"),
    "withdraw": ("review", "withdrawn", "withdrawn"),
    "reinstate": ("suspended", "approved", "your export tariff goes on"),
}


@pytest.mark.parametrize("name", FLOWS)
def test_deciding_step_by_step(name, desk, decider):
    start, end, subject = FLOWS[name]
    application = ApplicationFactory(status=start)
    first = desk.get(f"{application.get_absolute_url()}{name}/")
    assert first.status_code == 200
    assert read(application).status == start

    page = checked(desk, application, name)
    shown = text_of(page)
    assert page.status_code == 200
    assert WHY in shown
    assert subject in shown
    assert application.email in shown
    assert "leaves 30 seconds after you press" in shown
    assert application.token not in shown
    assert "[the customer’s private link]" in shown
    assert read(application).status == start
    assert not Email.objects.exists()

    done = pressed(desk, application, name, page)
    email = Email.objects.get()
    assert done.redirect_chain == [(f"/mails/{email.pk}/", 302)]
    assert read(application).status == end
    assert email.subject.endswith(subject)
    assert (email.by, email.state) == (decider, "waiting")
    # What was read is what leaves.
    letter = page.context["letter"]
    assert letter["subject"] == email.subject
    assert letter["text"].replace("[the customer’s private link]", "[link]") == email.text
    change = StatusChange.objects.latest("pk")
    assert (change.move, change.by, change.note) == (name, decider, WHY)


def test_reopening_has_no_letter(supervisor, signed_in):
    client, application = signed_in(supervisor), ApplicationFactory(status="refused")
    page = checked(client, application, "reopen")
    assert "The customer is not told" in text_of(page)
    pressed(client, application, "reopen", page)
    assert read(application).status == "review"
    assert not Email.objects.exists()


def test_the_email_page_counts_down_and_stops(desk):
    application = ApplicationFactory(status="review")
    done = pressed(desk, application, "refuse", checked(desk, application, "refuse"))
    assert "Stop" in text_of(done)
    email = Email.objects.get()
    assert str(email.pk) in text_of(desk.get(application.get_absolute_url()))
    stopped = desk.post(f"/mails/{email.pk}/stop/", follow=True)
    assert "Stopped" in said(stopped)
    assert read(application).status == "review"


@pytest.mark.parametrize("moment", ["claimed", "moved on"])
def test_stopping_too_late_says_so(moment, desk, decider, supervisor, work):
    application = ApplicationFactory(status="review")
    by = actor_for(decider)
    email = actions.refuse(application=application, reason=WHY, by=by, now=timezone.now)
    if moment == "claimed":
        queue.claim(MAIL, email.pk, now=email.send_at)
    else:
        work(until=email.send_at + timedelta(seconds=1))
        row = read(application)
        actions.reopen(application=row, reason=WHY, by=actor_for(supervisor), now=timezone.now)
    before = read(application)
    answer = desk.post(f"/mails/{email.pk}/stop/", follow=True)
    assert answer.status_code == 200
    assert "Too late" in said(answer)
    assert read(application).status == before.status


def test_a_reason_is_asked_for(desk):
    application = ApplicationFactory(status="review")
    for name, reason in (("approve", ""), ("refuse", ""), ("refuse", "no"), ("ask", " ")):
        page = checked(desk, application, name, reason)
        assert page.status_code == 200
        assert page.context["form"].errors
        assert "token" not in page.context
        assert "Error:" in text_of(page)


def test_a_clean_case_needs_no_reason(registry, work, desk):
    application = verified(registry, work, "MCS-80000001-A")
    page = checked(desk, application, "approve", "")
    assert "None needed" in text_of(page)
    pressed(desk, application, "approve", page, "")
    assert read(application).status == "approved"


def test_what_does_not_pass_is_shown_before_approving(registry, work, desk):
    application = verified(registry, work)
    first = text_of(desk.get(f"{application.get_absolute_url()}approve/"))
    assert "What does not pass" in first
    page = checked(desk, application, "approve")
    assert len(page.context["warnings"]) >= 2


def test_a_reason_cannot_be_changed_after_the_check_page(desk):
    application = ApplicationFactory(status="review")
    page = checked(desk, application, "refuse")
    answer = pressed(desk, application, "refuse", page, "Something quite different.")
    assert "Nothing was done" in said(answer)
    assert read(application).status == "review"
    assert not Email.objects.exists()


def test_a_token_is_for_its_person(desk, supervisor, signed_in):
    application = ApplicationFactory(status="review")
    page = checked(desk, application, "refuse")
    answer = pressed(signed_in(supervisor), application, "refuse", page)
    assert "Nothing was done" in said(answer)
    assert read(application).status == "review"


def test_a_token_is_for_its_move_and_its_case(desk):
    one, two = ApplicationFactory(status="review"), ApplicationFactory(status="review")
    page = checked(desk, one, "refuse")
    for application, name in ((one, "withdraw"), (two, "refuse")):
        assert "Nothing was done" in said(pressed(desk, application, name, page))
    assert {read(one).status, read(two).status} == {"review"}


@pytest.mark.parametrize("token", ["", "x", "WyJhIl0:abc:def"])
def test_an_invented_token_does_nothing(token, desk):
    application = ApplicationFactory(status="review")
    url = f"{application.get_absolute_url()}refuse/"
    answer = desk.post(url, {"reason": WHY, "token": token}, follow=True)
    assert answer.status_code == 200
    assert read(application).status == "review"


def test_a_token_ages(desk):
    application = ApplicationFactory(status="review")
    with time_machine.travel(timezone.now() - timedelta(hours=5), tick=True):
        page = checked(desk, application, "refuse")
    assert "too old" in said(pressed(desk, application, "refuse", page))
    assert read(application).status == "review"


def test_a_page_that_was_left_open_while_the_case_moved_does_nothing(desk, supervisor):
    application = ApplicationFactory(status="review")
    page = checked(desk, application, "approve")
    by = actor_for(supervisor)
    actions.refuse(application=application, reason=WHY, by=by, now=timezone.now)
    answer = pressed(desk, application, "approve", page)
    assert f"{by.name} moved it to “Refused”" in said(answer)
    assert read(application).status == "refused"
    assert Email.objects.count() == 1


def test_a_case_that_came_back_needs_a_new_look(desk, supervisor):
    application = ApplicationFactory(status="review")
    page = checked(desk, application, "approve")
    by = actor_for(supervisor)
    email = actions.refuse(application=application, reason=WHY, by=by, now=timezone.now)
    actions.stop_decision(email, by=by, now=timezone.now())
    answer = pressed(desk, application, "approve", page)
    assert "has changed since you looked at it" in said(answer)
    assert read(application).status == "review"


def test_a_double_click_does_it_once(desk):
    application = ApplicationFactory(status="review")
    page = checked(desk, application, "refuse")
    pressed(desk, application, "refuse", page)
    assert DONE_ALREADY in said(pressed(desk, application, "refuse", page))
    assert Email.objects.count() == 1
    assert StatusChange.objects.filter(move="refuse").count() == 1


def test_the_back_button_after_a_stop_does_not_decide_again(desk):
    application = ApplicationFactory(status="review")
    page = checked(desk, application, "refuse")
    pressed(desk, application, "refuse", page)
    desk.post(f"/mails/{Email.objects.get().pk}/stop/")
    assert DONE_ALREADY in said(pressed(desk, application, "refuse", page))
    assert read(application).status == "review"


def test_without_a_tariff_the_page_says_so(desk, tariff):
    tariff.delete()
    application = ApplicationFactory(status="review")
    page = checked(desk, application, "approve")
    assert "None was open on the day of receipt" in text_of(page)
    answer = pressed(desk, application, "approve", page)
    assert "No tariff was open" in said(answer)
    assert read(application).status == "review"


def test_a_duplicate_says_so(desk):
    first = ApplicationFactory(status="approved")
    second = ApplicationFactory(status="review", certificate_number=first.certificate_number)
    answer = pressed(desk, second, "approve", checked(desk, second, "approve"))
    assert "Another approved application holds this certificate" in said(answer)
    assert read(second).status == "review"


def test_what_people_write_is_shown_as_text(desk):
    evil = "<script>alert(1)</script> is the reason"
    application = ApplicationFactory(status="review", name="<b>Ada</b>")
    page = checked(desk, application, "refuse", evil)
    assert "<script>alert" not in page.content.decode()
    pressed(desk, application, "refuse", page, evil)
    for url in (application.get_absolute_url(), "/seg/", f"/mails/{Email.objects.get().pk}/"):
        shown = desk.get(url).content.decode()
        assert "<script>alert" not in shown
        assert "<b>Ada</b>" not in shown


# ---- Asking again, notes, assignment ----------------------------------------------------------


def test_asking_the_registry_again(desk):
    application = ApplicationFactory(status="review")
    answer = desk.post(f"{application.get_absolute_url()}again/", follow=True)
    assert "The registry is asked now" in said(answer)
    assert read(application).status == "checking"
    assert read(application).due_at is not None


def test_asking_again_when_it_is_over_says_why(desk):
    application = ApplicationFactory(status="refused")
    answer = desk.post(f"{application.get_absolute_url()}again/", follow=True)
    assert "Nothing was done" in said(answer)
    assert read(application).due_at is None


def test_the_note(desk, decider):
    application = ApplicationFactory(status="review")
    desk.post(f"{application.get_absolute_url()}note/", {"text": "Rang the customer"})
    note = Note.objects.get()
    assert (note.text, note.by, note.kind) == ("Rang the customer", decider, "note")
    assert "Rang the customer" in text_of(desk.get(application.get_absolute_url()))
    for text in ("", "  ", "x" * 5001):
        answer = desk.post(f"{application.get_absolute_url()}note/", {"text": text}, follow=True)
        assert "Nothing was added" in said(answer)
    assert Note.objects.count() == 1


def test_assigning(desk, decider, supervisor, auditor):
    application = ApplicationFactory(status="review")
    url = f"{application.get_absolute_url()}assign/"
    desk.post(url, {"person": supervisor.pk})
    assert read(application).assigned_to == supervisor
    answer = desk.post(url, {"person": auditor.pk}, follow=True)
    assert "Nothing was changed" in said(answer)
    assert read(application).assigned_to == supervisor
    desk.post(url, {"person": ""})
    assert read(application).assigned_to is None
    assert Note.objects.filter(kind="assigned").count() == 2


# ---- Secrets and files ------------------------------------------------------------------------


def test_looking_at_the_bank_details_is_recorded(desk, decider):
    application = ApplicationFactory(status="review", sort_code="409217", account_number="83561947")
    case = text_of(desk.get(application.get_absolute_url()))
    assert "83561947" not in case
    assert "409217" not in case
    assert "···· 1947" in case
    response = desk.post(f"{application.get_absolute_url()}bank/")
    assert "83561947" in text_of(response)
    assert "409217" in text_of(response)
    assert "no-store" in response["Cache-Control"]
    note = Note.objects.get()
    assert (note.kind, note.by, note.text) == ("revealed", decider, "Looked at the bank details.")
    assert "revealed a secret" in text_of(desk.get(application.get_absolute_url()))


def test_a_file_is_a_download(desk):
    application = ApplicationFactory()
    file = actions.attach(**picture(), application=application, now=timezone.now)
    response = desk.get(f"/seg/files/{file.pk}/")
    assert response["Content-Type"] == "image/png"
    assert response["Content-Disposition"] == 'attachment; filename="my bill.png"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]
    assert b"".join(response.streaming_content) == picture()["content"]


def test_a_file_of_an_unfinished_form_is_nobodys_business(desk):
    draft = actions.keep_draft(key="d", answers={}, now=timezone.now)
    file = actions.attach(**picture(), draft=draft, now=timezone.now)
    assert desk.get(f"/seg/files/{file.pk}/").status_code == 404


def test_a_file_that_is_gone_is_not_found(desk):
    file = actions.attach(**picture(), application=ApplicationFactory(), now=timezone.now)
    default_storage.delete(file.file.name)
    assert desk.get(f"/seg/files/{file.pk}/").status_code == 404


def test_a_call_offers_to_try_again_where_the_table_allows(
    registry, work, desk, auditor, signed_in
):
    application = verified(registry, work)
    url = PartnerCall.objects.get().get_absolute_url()
    again = f"{application.get_absolute_url()}again/"
    page = text_of(desk.get(url))
    assert again in page
    assert "sandbox-registry-token" not in page
    assert again not in text_of(signed_in(auditor).get(url))
    actions.withdraw_own(application=application, reason="", now=timezone.now)
    assert again not in text_of(desk.get(url))


def test_a_case_of_the_portal_names_the_portal(registry, work, desk):
    application = verified(registry, work)
    assert "by the portal" in text_of(desk.get(application.get_absolute_url()))
    assert PORTAL.name == "the portal"
