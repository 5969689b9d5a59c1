"""The customer's public pages, from the first step to the end of the private tracking page."""

import re
import threading
from datetime import datetime, timedelta
from html import unescape

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core import mail
from core.models import Email, StatusChange
from core.workflow import actor_for
from seg import actions
from seg.models import Application, Attachment, Draft, Question
from tests.factories import ApplicationFactory, TariffFactory

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
STEPS = {
    "certificate": {"certificate_number": "mcs 90417326 k", "kind": "new"},
    "address": {"address_line_1": "14 Saltmarsh Row", "town": "Eastwold", "postcode": "lx37qp"},
    "meters": {
        "import_mpan": "1129 3838 38383",
        "export_mpan": "1012345678903",
        "dno_told": "yes",
        "battery": "no",
    },
    "you": {"name": "Ada Lark", "email": "ada@example.org", "phone": "020 7946 0958"},
    "payment": {
        "fit": "no",
        "account_name": "A Lark",
        "sort_code": "65-43-21",
        "account_number": "1234507",
    },
    "proof": {},
}
AFTER = {**dict(zip(STEPS, [*STEPS][1:], strict=False)), "proof": "check"}

pytestmark = pytest.mark.django_db


def url(step):
    """The address of a step."""
    return reverse("seg:apply-step", args=[step])


def text(response):
    """What a page says, in one line without marks."""
    body = re.sub(r"<[^>]+>", " ", response.content.decode())
    return " ".join(unescape(body).split())


def fill(client, *, until="check", **changes):
    """Fill in the steps before one."""
    for name, typed in STEPS.items():
        if name == until:
            break
        response = client.post(url(name), {**typed, **changes.get(name, {})})
        assert response.url == url(AFTER[name])


def shown(client):
    """The mark of what the check page shows."""
    page = client.get(url("check")).content.decode()
    return re.search(r'name="shown" value="([^"]+)"', page)[1]


def send(client, mark=None, **typed):
    """Send the application from the check page."""
    return client.post(
        url("check"), {"shown": mark or shown(client), "accept": "on", **typed}, follow=True
    )


def pdf(name="proof.pdf", body=PDF):
    """A file to send."""
    return SimpleUploadedFile(name, body)


# ---- The way through the form ----------------------------------------------------------------


def test_a_whole_application(client):
    fill(client)
    response = send(client)
    application = Application.objects.get()
    assert response.redirect_chain == [(url("sent"), 302)]
    assert application.reference in text(response)
    assert actions.tracking_link(application) in response.content.decode()
    assert application.certificate_number == "MCS-90417326-K"
    assert application.postcode == "LX3 7QP"
    assert application.import_mpan == "1129383838383"
    assert application.phone == "+44 20 7946 0958"
    assert application.sort_code == "654321"
    assert application.account_number == "01234507"
    assert application.no_fit_export is True
    assert application.battery is False
    assert application.terms_version == "2026-01"
    assert application.due_at is not None
    assert StatusChange.objects.get().by_name == "the customer"
    assert Email.objects.get().to == "ada@example.org"
    assert Draft.objects.count() == 0


def test_everything_is_shown_before_it_is_sent(client):
    fill(client)
    page = text(client.get(url("check")))
    for part in ("MCS-90417326-K", "14 Saltmarsh Row, Eastwold, LX3 7QP", "1129383838383"):
        assert part in page
    assert "Ending in 21" in page
    assert "Ending in 07" in page
    assert Application.objects.count() == 0


@pytest.mark.parametrize("name", STEPS)
def test_going_back_to_a_step_shows_what_was_typed(client, name):
    fill(client)
    page = unescape(client.get(url(name)).content.decode())
    for box, typed in STEPS[name].items():
        if box in ("sort_code", "account_number"):
            assert typed not in page
        elif box in ("kind", "dno_told", "battery", "fit"):
            assert re.search(rf'value="{typed}"[^>]*checked', page)
        else:
            assert f'value="{typed}"' in page


def test_bank_details_stay_when_nothing_is_typed_again(client):
    fill(client)
    client.post(url("payment"), {"fit": "yes", "account_name": "Ada Lark"})
    assert "You get FIT payments for export" in text(client.get(url("check")))
    send(client)
    application = Application.objects.get()
    assert application.no_fit_export is False
    assert (application.sort_code, application.account_number) == ("654321", "01234507")


@pytest.mark.parametrize("name", [*STEPS][:-1])
def test_a_wrong_step_says_so_keeps_what_was_typed_and_goes_nowhere(client, name):
    fill(client, until=name)
    wrong = dict.fromkeys(STEPS[name], "?")
    response = client.post(url(name), wrong)
    assert response.url == f"{url(name)}?look=1"
    page = client.get(response.url)
    assert text(page).startswith("Error: ")
    assert 'class="error-summary"' in page.content.decode()
    assert client.get(url("check")).url == url(name)


def test_every_line_of_the_summary_leads_to_its_box(client):
    fill(client, until="meters")
    page = client.get(client.post(url("meters"), {"import_mpan": "1"}).url).content.decode()
    summary = page[page.index("error-summary") : page.index("</ul>")]
    boxes = re.findall(r'href="#([^"]+)"', summary)
    assert boxes == ["id_import_mpan", "id_dno_told_0", "id_battery_0"]
    assert all(f'id="{box}"' in page for box in boxes)


def test_steps_cannot_be_skipped(client):
    for name in [*[*STEPS][1:], "check"]:
        assert client.get(url(name)).url == url("certificate")
        assert client.post(url(name), STEPS.get(name, {})).url == url("certificate")
    fill(client, until="you")
    for name in ("payment", "proof", "check"):
        assert client.get(url(name)).url == url("you")
    assert Application.objects.count() == 0


def test_change_comes_back_to_the_check_page(client):
    fill(client)
    assert f"{url('you')}?then=check#id_email" in client.get(url("check")).content.decode()
    you = {**STEPS["you"], "email": "lark@example.org"}
    wrong = client.post(f"{url('you')}?then=check", {**you, "name": ""})
    assert wrong.url == f"{url('you')}?then=check&look=1"
    assert client.post(f"{url('you')}?then=check", you).url == url("check")
    assert "lark@example.org" in text(client.get(url("check")))


def test_a_doubted_number_can_be_used_all_the_same(client):
    number = {"certificate_number": "MCS-9041732-K", "kind": "new"}
    page = client.get(client.post(url("certificate"), number).url)
    assert "Use it all the same" in text(page)
    again = client.post(url("certificate"), {**number, "certain": "MCS-9041732-K"})
    assert again.url == url("address")


def test_an_unknown_step_is_not_found(client):
    assert client.get(url("nothing")).status_code == 404


def test_the_terms_have_a_page(client):
    assert "Version 2026-01" in text(client.get(url("terms")))


# ---- The draft -------------------------------------------------------------------------------


def test_the_draft_is_named_by_a_cookie_nobody_can_make_or_read(client):
    fill(client, until="address")
    cookie = client.cookies["application"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/seg/"
    assert cookie["max-age"] == 14 * 24 * 3600
    client.cookies["application"] = Draft.objects.get().key + ":forged:forged"
    assert client.get(url("address")).url == url("certificate")


def test_answers_are_encrypted(client):
    fill(client, until="address")
    with connection.cursor() as cursor:
        cursor.execute("SELECT answers FROM seg_draft")
        assert "90417326" not in cursor.fetchone()[0]


def test_coming_back_within_14_days_goes_on_where_one_stopped(client):
    with time_machine.travel(timezone.now() - timedelta(days=13)):
        fill(client, until="you")
    page = client.get(reverse("seg:apply"))
    assert "Go on at step 4 of 7" in text(page)
    assert url("you") in page.content.decode()


def test_after_14_days_one_begins_again(client):
    with time_machine.travel(timezone.now() - timedelta(days=15)):
        fill(client, until="you")
    assert "Step 1 of 7" in text(client.get(reverse("seg:apply")))


def test_a_draft_can_be_forgotten_with_its_files(client):
    fill(client)
    client.post(url("proof"), {"file": pdf()})
    stored = Attachment.objects.get().file
    assert client.get(url("afresh")).status_code == 405
    client.post(url("afresh"))
    assert Draft.objects.count() == Attachment.objects.count() == 0
    assert not stored.storage.exists(stored.name)
    assert "Step 1 of 7" in text(client.get(reverse("seg:apply")))


def test_each_browser_has_its_own_draft(client):
    fill(client, until="you")
    assert Client().get(url("you")).url == url("certificate")


# ---- Files -----------------------------------------------------------------------------------


def test_a_file_is_added_shown_sent_and_removed(client):
    fill(client)
    assert client.post(url("proof"), {"file": pdf("one.pdf"), "do": "add"}).url == url("proof")
    assert client.post(url("proof"), {"file": pdf("two.pdf", PDF + b"\n")}).url == url("check")
    assert "one.pdf, two.pdf" in text(client.get(url("check")))
    first = Attachment.objects.get(name="one.pdf")
    assert client.post(url("proof"), {"remove": first.pk}).url == url("proof")
    assert "Removed: one.pdf" in text(client.get(url("proof")))
    assert "one.pdf" not in text(client.get(url("check")))
    send(client)
    assert [a.name for a in Application.objects.get().attachments.all()] == ["two.pdf"]


def test_a_wrong_file_is_explained(client):
    fill(client, until="proof")
    response = client.post(url("proof"), {"file": pdf("notes.pdf", b"hello")})
    assert "This is not a file that we can read." in text(client.get(response.url))
    assert Attachment.objects.count() == 0
    assert client.get(url("check")).status_code == 200


def test_a_file_of_more_than_10_mb_is_explained(client):
    fill(client, until="proof")
    response = client.post(url("proof"), {"file": pdf(body=PDF + b" " * (10 * 1024 * 1024))})
    assert "larger than 10 MB" in text(client.get(response.url))


def test_three_files_are_the_most_and_the_same_file_counts_once(client):
    fill(client, until="proof")
    for body in (PDF, PDF, PDF + b"\n", PDF + b"\n\n"):
        client.post(url("proof"), {"file": pdf(body=body)})
    assert Attachment.objects.count() == 3
    assert "the most we take" in text(client.get(url("proof")))
    response = client.post(url("proof"), {"file": pdf(body=PDF + b" ")})
    assert "Remove one first" in text(client.get(response.url))
    assert Attachment.objects.count() == 3


def test_nobody_removes_the_files_of_another(client):
    fill(client, until="proof")
    client.post(url("proof"), {"file": pdf()})
    stranger = Client()
    fill(stranger, until="proof")
    stranger.post(url("proof"), {"remove": Attachment.objects.get().pk})
    Client().post(url("certificate"), {"remove": Attachment.objects.get().pk})
    stranger.post(url("proof"), {"remove": "x"})
    assert Attachment.objects.count() == 1


@pytest.mark.parametrize("size", [2 * 1024 * 1024 + 1, 5 * 1024 * 1024])
def test_a_form_that_is_too_large_is_turned_away_kindly(client, size):
    typed = {"certificate_number": "x" * size}
    body = "&".join(f"{name}={value}" for name, value in typed.items())
    kind = "application/x-www-form-urlencoded"
    response = client.post(url("certificate"), body, content_type=kind)
    assert response.url == url("certificate")
    assert "That was too large" in text(client.get(response.url))


def test_an_upload_that_is_too_large_is_turned_away_before_it_is_stored(client):
    fill(client, until="proof")
    response = client.post(url("proof"), {"file": pdf(body=b"%PDF" + b" " * (33 * 1024 * 1024))})
    assert response.url == url("proof")
    assert "10 MB at most" in text(client.get(response.url))


# ---- Sending once ----------------------------------------------------------------------------


def test_sending_again_leads_to_the_same_page(client):
    fill(client)
    mark = shown(client)
    first = send(client, mark)
    again = send(client, mark)
    assert Application.objects.count() == 1
    assert again.redirect_chain[-1][0] == first.redirect_chain[-1][0] == url("sent")
    for name in ("check", "you", "certificate"):
        assert client.get(url(name)).url == url("sent")
    client.post(url("you"), {**STEPS["you"], "name": "Somebody Else"})
    assert Application.objects.get().name == "Ada Lark"


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_application(client):
    fill(client)
    mark, cookies = shown(client), client.cookies
    ready, answers = threading.Barrier(4), []

    def press():
        browser = Client()
        browser.cookies = cookies
        ready.wait()
        response = browser.post(url("check"), {"shown": mark, "accept": "on"})
        answers.append((response.status_code, response.url))
        connection.close()

    clicks = [threading.Thread(target=press) for _ in range(4)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert Application.objects.count() == 1
    assert set(answers) == {(302, url("sent"))}
    assert Email.objects.count() == 1


def test_only_what_was_shown_is_sent(client):
    fill(client)
    mark = shown(client)
    client.post(url("you"), {**STEPS["you"], "email": "other@example.org"})
    response = send(client, mark)
    assert Application.objects.count() == 0
    assert response.redirect_chain == [(url("check"), 302)]
    assert "Something changed since this page was opened" in text(response)
    send(client)
    assert Application.objects.get().email == "other@example.org"


def test_the_terms_have_to_be_accepted(client):
    fill(client)
    response = send(client, accept="")
    assert "Tick the box to accept the terms" in text(response)
    assert Application.objects.count() == 0


def test_the_private_link_is_shown_in_this_browser_for_an_hour(client):
    fill(client)
    mark = shown(client)
    send(client, mark)
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert client.get(url("sent")).url == reverse("seg:apply")
        again = send(client, mark)
        assert "That application was sent." in text(again)
        fill(client)
        send(client)
    assert Application.objects.count() == 2


def test_another_application_can_be_begun_at_once(client):
    fill(client)
    send(client)
    client.post(url("afresh"))
    fill(client)
    send(client)
    assert Application.objects.count() == 2


def test_a_forged_form_is_refused(client):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(url("certificate"), STEPS["certificate"]).status_code == 403
    assert Draft.objects.count() == 0


# ---- Limits ----------------------------------------------------------------------------------


def test_too_many_applications_from_one_address_wait_an_hour(client, settings):
    settings.SEG_APPLICATIONS_PER_HOUR = 1
    with time_machine.travel(datetime.fromisoformat("2026-11-20T14:20:00+00:00")):
        fill(client)
        send(client)
        client.post(url("afresh"))
        fill(client)
        response = client.post(url("check"), {"shown": shown(client), "accept": "on"})
        assert response.status_code == 429
        assert "Nothing is lost: press the button again after 3pm" in text(response)
        assert Application.objects.count() == 1
    with time_machine.travel(datetime.fromisoformat("2026-11-20T15:00:01+00:00")):
        send(client)
        assert Application.objects.count() == 2


def test_sending_twice_counts_once(client, settings):
    settings.SEG_APPLICATIONS_PER_HOUR = 1
    fill(client)
    mark = shown(client)
    send(client, mark)
    assert send(client, mark).status_code == 200


def test_drafts_are_limited_too_and_what_was_typed_stays_on_the_page():
    with time_machine.travel("2026-11-20T14:20:00+00:00"):
        for _ in range(60):
            assert Client().post(url("certificate"), STEPS["certificate"]).status_code == 302
        response = Client().post(url("certificate"), STEPS["certificate"])
    assert response.status_code == 429
    assert "mcs 90417326 k" in response.content.decode()
    assert Draft.objects.count() == 60


# ---- For a customer on the phone -------------------------------------------------------------


def test_a_member_of_staff_enters_an_application(signed_in, decider, settings):
    settings.SEG_APPLICATIONS_PER_HOUR = 0
    client = signed_in(decider)
    fill(client)
    page = text(client.get(url("check")))
    assert "You enter this for a customer." in page
    assert "The customer has heard the terms and accepts them" in page
    send(client)
    assert StatusChange.objects.get().by == decider


def test_others_who_are_signed_in_are_customers(signed_in, auditor):
    client = signed_in(auditor)
    fill(client)
    send(client)
    assert StatusChange.objects.get().by_name == "the customer"


# ---- The tracking page: what it says ---------------------------------------------------------


def track(application, what=""):
    """An address of the tracking page."""
    if what:
        return reverse("seg:track-form", args=[application.token, what])
    return reverse("seg:track", args=[application.token])


SAYS = {
    "checking": ("We are checking your certificate", "The answer appears here by itself"),
    "review": ("A person is deciding on your application", "You will have our decision by"),
    "waiting": ("We have a question for you", "Which meter is yours?"),
    "approved": ("Your application is approved", "We pay you 15 p/kWh"),
    "suspended": ("Your export tariff is paused", "a person looks at it and writes to you"),
    "refused": ("We cannot approve your application", "How to ask for a review"),
    "withdrawn": ("Your application is withdrawn", "You can apply again"),
}


@pytest.mark.parametrize("status", Application.Status.values)
def test_every_status_is_told_in_plain_words(client, status):
    application = ApplicationFactory(status=status)
    response = client.get(track(application))
    for part in SAYS[status]:
        assert part in text(response)
    assert "Account ending 78" in text(response)
    for secret in (application.account_number, application.why):
        assert secret not in response.content.decode()


def test_the_page_is_private(client):
    application = ApplicationFactory(status="waiting")
    for address in (track(application), track(application, "answer")):
        response = client.get(address)
        assert "no-store" in response["Cache-Control"]
        assert "noindex" in response["X-Robots-Tag"]
        assert response["Referrer-Policy"] == "strict-origin"


@pytest.mark.parametrize("what", ["", "correct/", "nonsense/"])
def test_an_unknown_token_says_what_to_do(client, what):
    application = ApplicationFactory()
    response = client.get(f"/seg/track/{application.token[:-1]}/{what}")
    assert response.status_code == 404
    assert "Open the link in our e-mail again" in text(response)
    assert response["Referrer-Policy"] == "strict-origin"


def test_a_silent_registry_is_no_verdict(client):
    application = ApplicationFactory(trouble="silent")
    page = text(client.get(track(application)))
    assert "We are still checking" in page
    assert "nothing is lost" in page


def test_an_unfinished_certificate_is_explained(client):
    since = datetime.fromisoformat("2026-11-20T12:00:00+00:00")
    page = text(client.get(track(ApplicationFactory(in_progress_since=since))))
    assert "Your certificate is not finished yet" in page
    assert "every day until Friday 18 December 2026" in page


def test_a_missing_export_mpan_is_asked_for(client):
    page = text(client.get(track(ApplicationFactory(status="approved", export_mpan=""))))
    assert "One thing is missing: your export MPAN" in page


def test_a_broken_promise_is_admitted(client):
    late = ApplicationFactory(status="review", due_by=timezone.now() - timedelta(days=1))
    assert "we are late. We are sorry." in text(client.get(track(late)))


def decide(application, decider, action, reason="The certificate is for another house."):
    """Let a person decide; the letter waits."""
    named = {"text" if action is actions.ask else "reason": reason}
    action(application=application, by=actor_for(decider), now=timezone.now, **named)
    return Application.objects.get(pk=application.pk)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("review", actions.approve),
        ("review", actions.refuse),
        ("review", actions.ask),
        ("review", actions.withdraw),
        ("suspended", actions.refuse),
        ("suspended", actions.approve),
        ("checking", actions.withdraw),
        ("waiting", actions.withdraw),
    ],
)
def test_a_decision_is_not_told_before_its_letter_has_left(client, decider, work, status, action):
    TariffFactory()
    application = ApplicationFactory(status=status)
    before = text(client.get(track(application)))
    decided = decide(application, decider, action)
    during = text(client.get(track(decided)))
    if status == "suspended":
        during, before = (re.sub(r"[^.]*writes to you[^.]*\.", "", x) for x in (during, before))
    assert during == before
    work(until=timezone.now() + timedelta(seconds=60))
    assert mail.waiting_for(decided, actions.DECISION) is None
    assert text(client.get(track(decided))) != before


def test_a_stopped_decision_is_never_told(client, decider):
    application = ApplicationFactory(status="review")
    before = text(client.get(track(application)))
    decided = decide(application, decider, actions.refuse)
    letter = mail.waiting_for(decided, actions.DECISION)
    assert actions.stop_decision(letter, by=actor_for(decider), now=timezone.now())
    assert text(client.get(track(decided))) == before


@pytest.mark.parametrize("what", ["correct", "withdraw"])
def test_nothing_can_be_changed_while_a_decision_waits(client, decider, what):
    application = decide(ApplicationFactory(status="review"), decider, actions.refuse)
    assert "at this very moment" in text(client.get(track(application, what), follow=True))
    response = client.post(track(application, what), {**CORRECTION, "reason": ""})
    assert response.status_code == 409
    assert "at this very moment" in text(response)
    assert "cannot approve" not in text(response)
    assert Application.objects.get().status == "refused"


# ---- News without loading again --------------------------------------------------------------


def poll(page):
    """The address that a page asks for news."""
    return unescape(re.search(r'hx-get="([^"]+)"', page.content.decode())[1])


def ask(client, address):
    """Ask for news as the page does by itself."""
    return client.get(address, headers={"HX-Request": "true"})


def test_without_news_nothing_is_sent(client):
    response = ask(client, poll(client.get(track(ApplicationFactory()))))
    assert response.status_code == 204
    assert response.content == b""


def test_news_are_swapped_in_and_announced(client, work, registry, settings):
    settings.SEG_AUTO_APPROVE = True
    TariffFactory()
    fill(client, certificate={"certificate_number": "MCS-12345678-Z"})
    send(client)
    address = poll(client.get(track(Application.objects.get())))
    work()
    news = ask(client, address)
    page = news.content.decode()
    assert "<html" not in page
    assert 'id="track-part"' in page
    assert 'id="track-said" hx-swap-oob="innerHTML">News: Please check your' in page
    assert ask(client, poll(news)).status_code == 204


def test_the_page_asks_less_often_after_a_while(client):
    page = client.get(track(ApplicationFactory())).content.decode()
    assert 'hx-trigger="every 2s"' in page
    application = ApplicationFactory(status="review", received_at=timezone.now())
    with time_machine.travel(timezone.now() + timedelta(minutes=3)):
        address = poll(client.get(track(application)))
        assert "pace=2" in address
    with time_machine.travel(timezone.now() + timedelta(minutes=15)):
        response = ask(client, address)
        assert response["HX-Reswap"] == "none"
        assert 'hx-trigger="every 20s"' in response.content.decode()
        assert 'hx-swap-oob="true"' in response.content.decode()


@pytest.mark.parametrize(
    ("status", "reloads"),
    [("checking", True), ("review", True), ("waiting", False), ("approved", False)],
)
def test_without_a_script_the_page_loads_itself_unless_something_can_be_typed(
    client, status, reloads
):
    page = client.get(track(ApplicationFactory(status=status))).content.decode()
    assert ('http-equiv="refresh"' in page) is reloads


# ---- What a customer may do ------------------------------------------------------------------

CORRECTION = {
    "certificate_number": "MCS-90417326-K",
    "address_line_1": "14A Saltmarsh Row",
    "town": "Eastwold",
    "postcode": "lx3 7qp",
    "import_mpan": "",
    "export_mpan": "1012345678903",
    "dno_told": "unknown",
}


@pytest.mark.parametrize("status", ["review", "waiting"])
def test_a_detail_is_corrected_and_checked_again(client, status):
    application = ApplicationFactory(status=status)
    page = client.get(track(application, "correct")).content.decode()
    assert f'value="{application.certificate_number}"' in page
    response = client.post(track(application, "correct"), CORRECTION, follow=True)
    assert "Thank you." in text(response)
    now = Application.objects.get()
    assert now.status == "checking"
    assert now.address_line_1 == "14A Saltmarsh Row"
    assert now.due_at is not None


def test_a_wrong_correction_is_explained(client):
    application = ApplicationFactory(status="review")
    response = client.post(track(application, "correct"), {**CORRECTION, "town": ""})
    assert response.status_code == 200
    assert "Write the town or city" in text(response)
    assert "14A Saltmarsh Row" in response.content.decode()


def test_an_unknown_certificate_is_corrected_right_there(client, work, registry):
    fill(client, certificate={"certificate_number": "MCS-12345678-Z"})
    send(client)
    work()
    application = Application.objects.get()
    page = client.get(track(application)).content.decode()
    assert "Please check your certificate number" in page
    assert track(application, "number") in page
    typed = {"certificate_number": "mcs 90417326 k"}
    assert client.post(track(application, "number"), typed).url == track(application)
    application.refresh_from_db()
    assert (application.status, application.certificate_number) == ("checking", "MCS-90417326-K")
    assert application.town == "Eastwold"
    work()
    application.refresh_from_db()
    assert application.status == "review"


def test_a_question_is_answered_with_files(client):
    application = ApplicationFactory(status="waiting")
    files = [pdf("bill.pdf"), pdf("photo.pdf", PDF + b"\n")]
    typed = {"text": "The first one.", "uploads": files}
    response = client.post(track(application, "answer"), typed, follow=True)
    assert "Thank you. We have your answer." in text(response)
    question = Question.objects.get()
    assert question.answer == "The first one."
    assert question.attachments.count() == 2
    assert Application.objects.get().status == "review"


def test_an_answer_with_a_wrong_file_stays_on_the_page(client):
    application = ApplicationFactory(status="waiting")
    typed = {"text": "The first one.", "uploads": [pdf("bill.pdf", b"hello")]}
    response = client.post(track(application, "answer"), typed)
    assert "This is not a file that we can read." in text(response)
    assert "The first one." in text(response)
    assert Application.objects.get().status == "waiting"


@pytest.mark.parametrize("status", ["checking", "review", "waiting"])
def test_an_application_is_withdrawn_after_a_second_look(client, status):
    application = ApplicationFactory(status=status)
    page = client.get(track(application, "withdraw"))
    assert application.site in text(page)
    assert Application.objects.get().status == status
    typed = {"reason": "We move house."}
    response = client.post(track(application, "withdraw"), typed, follow=True)
    assert "Your application is withdrawn" in text(response)
    assert Email.objects.get().to == application.email


OFFERED = {
    "checking": {"withdraw"},
    "review": {"correct", "withdraw"},
    "waiting": {"correct", "withdraw", "answer"},
    "approved": set(),
    "suspended": set(),
    "refused": set(),
    "withdrawn": set(),
}


@pytest.mark.parametrize("what", ["number", "correct", "answer", "withdraw"])
@pytest.mark.parametrize("status", OFFERED)
def test_what_is_not_offered_cannot_be_done(client, status, what):
    application = ApplicationFactory(status=status)
    page = client.get(track(application)).content.decode()
    offered = what in OFFERED[status]
    assert (track(application, what) in page) is offered
    if not offered:
        assert client.get(track(application, what)).url == track(application)
        typed = {**CORRECTION, "text": "My answer", "reason": "Because"}
        response = client.post(track(application, what), typed)
        assert response.status_code == 409
        assert "has moved on meanwhile" in text(response)
        assert Application.objects.get().status == status


def test_somebody_who_was_slower_is_told_kindly_and_keeps_the_words(client, decider):
    application = ApplicationFactory(status="waiting")
    actions.check_again(application=application, by=actor_for(decider), now=timezone.now)
    response = client.post(track(application, "answer"), {"text": "The one in the garage."})
    assert response.status_code == 409
    assert "It says now: “We are checking your certificate”." in text(response)
    assert "The one in the garage." in text(response)


def test_the_customers_forms_are_limited(client):
    application = ApplicationFactory(status="review")
    with time_machine.travel("2026-11-20T14:20:00+00:00"):
        for _ in range(60):
            client.post(track(ApplicationFactory(status="review"), "correct"), CORRECTION)
        response = client.post(track(application, "correct"), CORRECTION)
    assert response.status_code == 429
    application.refresh_from_db()
    assert application.status == "review"


def test_posts_from_pages_that_tell_no_origin_are_refused(client):
    """Why a page with a form may not be without referrer: browsers then send `Origin: null`."""
    application = ApplicationFactory(status="waiting")
    strict = Client(enforce_csrf_checks=True)
    page = strict.get(track(application))
    mark = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())[1]
    typed = {"text": "The first one.", "csrfmiddlewaretoken": mark}
    null = strict.post(track(application, "answer"), typed, headers={"Origin": "null"})
    assert null.status_code == 403
    ours = strict.post(track(application, "answer"), typed, headers={"Origin": "http://testserver"})
    assert ours.status_code == 302


# ---- Costs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "most"), [("certificate", 1), ("you", 1), ("proof", 2), ("check", 2)]
)
def test_a_step_costs_the_same_whatever_was_typed(client, django_assert_num_queries, name, most):
    fill(client)
    for body in (PDF, PDF + b"\n"):
        client.post(url("proof"), {"file": pdf(body=body)})
    with django_assert_num_queries(most):
        client.get(url(name))


def test_the_tracking_page_costs_the_same_whatever_happened(
    client, django_assert_num_queries, registry, work, decider, settings
):
    settings.SEG_AUTO_APPROVE = False
    TariffFactory()
    fill(client)
    send(client)
    application = Application.objects.get()
    for _ in range(3):
        work()
        application.refresh_from_db()
        assert application.status == "review"
        with django_assert_num_queries(7):
            page = client.get(track(application))
        with django_assert_num_queries(3):
            response = ask(client, poll(page))
        assert response.status_code == 204
        actions.check_again(application=application, by=actor_for(decider), now=timezone.now)
        application.refresh_from_db()
