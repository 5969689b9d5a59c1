"""Pages about one report, tests, submissions and batches: who may, what is shown, pressed twice."""

import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image

from pts import actions
from pts.models import Batch, Report, Submission, Synchronisation

pytestmark = pytest.mark.django_db
ROLES = ("production", "supervisor", "auditor", "metering", "engineer", "")
MAY_LOOK = {"production", "supervisor", "auditor"}
MAY_ACT = {"production", "supervisor"}
MONTH = "/pts/months/2026-11/"


@pytest.fixture
def browser(desk, signed_in):
    return signed_in(desk.by.user)


def text_of(response):
    return " ".join(response.content.decode().split())


def typed(desk, key=1000, **changes):
    """What a person writes into the reading's form."""
    at = timezone.localtime() - timedelta(hours=1)
    return {
        "value": str(desk.plausible(key)),
        "day": f"{at:%Y-%m-%d}",
        "clock": f"{at:%H:%M}",
        "party_note": "",
        "stood": desk.report(key).status_at.isoformat(),
        **changes,
    }


def photo():
    content = io.BytesIO()
    Image.new("RGB", (20, 20)).save(content, "PNG")
    return SimpleUploadedFile("meter.png", content.getvalue(), "image/png")


def check_page(browser, keys=(), notes=""):
    """Go to the check page of a submission; its address and its token."""
    rows = Report.objects.filter(system__fk_system__in=keys).values_list("pk", flat=True)
    url = f"{MONTH}submit/?" + ("&".join(f"row={pk}" for pk in rows) or "all=1")
    page = browser.post(url, {"notes": notes})
    return url, page


# ---- Who may do what ---------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_pages_by_role(role, desk, person, signed_in):
    desk.tested(1000)
    desk.enter(1001)
    client = signed_in(person(role))
    base, batch = desk.report().get_absolute_url(), Batch.objects.get()
    sync = Synchronisation.objects.first().pk
    ready = desk.report(1001)
    look = [
        "/pts/", MONTH, "/pts/?as=csv", base, f"/pts/batches/{batch.pk}/", "/pts/windows/",
        "/pts/systems/", "/pts/systems/1000/", f"/pts/synchronisations/{sync}/",
    ]  # fmt: skip
    act = [
        f"{base}reading/", f"{base}take_back/", f"{MONTH}test/?row={ready.pk}",
        f"{MONTH}submit/?all=1", f"{MONTH}import/", f"{MONTH}meters/",
        "/pts/systems/1000/particulars/", "/pts/systems/1000/meter/",
    ]  # fmt: skip
    for url in look:
        assert client.get(url).status_code == (200 if role in MAY_LOOK else 403), url
    for url in act:
        assert client.get(url).status_code == (200 if role in MAY_ACT else 403), url
    for url in (f"{base}exception/", f"{MONTH}window/"):
        assert client.get(url).status_code == (200 if role == "supervisor" else 403), url
    for url in (f"{base}note/", f"{base}assign/", "/pts/synchronisations/"):
        assert client.post(url, {"text": "x"}).status_code == (302 if role in MAY_ACT else 403), url
    assert client.post(f"/pts/batches/{batch.pk}/stop/").status_code == (
        302 if role in MAY_ACT else 403
    )


def test_addresses_that_name_nothing(browser):
    for url in (
        "/pts/months/2031-01/", "/pts/months/2026-13/", "/pts/months/0000-01/", "/pts/PTS-1/",
        "/pts/systems/9/", "/pts/batches/9/", "/pts/synchronisations/9/",
    ):  # fmt: skip
        assert browser.get(url).status_code == 404, url


# ---- The case ----------------------------------------------------------------------------------


def test_a_report_says_what_is_next_in_every_status(desk, browser):
    page = text_of(browser.get(desk.report().get_absolute_url()))
    assert "Enter the reading" in page
    assert "2 of 2 valid tries left, 3 of 3 failed tries left" in page
    desk.enter()
    assert "Test it at MassCEC" in text_of(browser.get(desk.report().get_absolute_url()))
    desk.test(1000)
    assert "Send it to MassCEC" in text_of(browser.get(desk.report().get_absolute_url()))
    desk.authorise(1000)
    page = text_of(browser.get(desk.report().get_absolute_url()))
    assert "1 undecided" in page
    desk.send()
    desk.verdict("failed", 1000, notes="EnergyProduced is too much")
    page = text_of(browser.get(desk.report().get_absolute_url()))
    assert "Correct the reading" in page
    assert "EnergyProduced is too much" in page
    assert "2 of 3 failed tries left" in page


def test_a_passed_report_and_its_times_in_both_zones(desk, browser):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    page = text_of(browser.get(desk.report().get_absolute_url()))
    assert "Nothing: this month is reported" in page
    assert "Replace the passed reading" in page
    assert "Sun 29 Nov 2026, 09:00 EST" in page
    assert "14:00</time> in London" in page
    assert "MassCEC does not see notes" in page
    assert "The customer" not in page


def test_after_the_close_nothing_can_be_entered_and_the_undecided_is_settled(desk, signed_in):
    desk.submit(1000)
    desk.travel(desk.window.closes_at + timedelta(hours=1))
    actions.keep_windows(now=timezone.now)
    browser = signed_in(desk.by.user)
    desk_report = Report.objects.get(system__fk_system=1000)
    page = browser.get(desk_report.get_absolute_url())
    assert "Ask MassCEC, then say here what they told you" in text_of(page)
    names = [move["label"] for move in page.context["moves"]]
    assert names == ["MassCEC says it passed", "MassCEC says it failed or never came"]
    stood = {"stood": desk_report.status_at.isoformat(), "reason": "Ana of MassCEC, by phone"}
    browser.post(f"{desk_report.get_absolute_url()}settle_passed/", stood)
    assert Report.objects.get(pk=desk_report.pk).status == "passed"
    other = Report.objects.get(system__fk_system=1001)
    page = browser.get(other.get_absolute_url())
    assert "The window has closed" in text_of(page)
    assert page.context["moves"] == []


def test_a_case_costs_the_same_however_much_it_holds(desk, browser):
    def queries(key):
        browser.get(desk.report(key).get_absolute_url())
        with CaptureQueriesContext(connection) as caught:
            browser.get(desk.report(key).get_absolute_url())
        return len(caught)

    desk.tested(1000, 1001)
    for _ in range(3):
        desk.enter(1001)
        desk.test(1001)
    assert desk.report(1001).submissions.count() == 4
    assert queries(1000) == queries(1001) <= 40


# ---- Entering ----------------------------------------------------------------------------------


def test_entering_a_fine_reading(desk, browser):
    url = f"{desk.report().get_absolute_url()}reading/"
    assert "read between" in text_of(browser.get(url)).lower()
    page = browser.post(url, typed(desk, party_note="New panel"), follow=True)
    assert "The reading is fine" in text_of(page)
    report = desk.report()
    assert (report.status, report.source, report.party_note) == ("ready", "typed", "New panel")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": ""}, "Write what the meter shows"),
        ({"value": "-1"}, "greater than or equal to 0"),
        ({"value": "NaN"}, "Enter a number"),
        ({"value": "1e30"}, "Ensure that there are no more than"),
        ({"day": "2030-01-01"}, "still to come"),
        ({"day": ""}, "Write the day"),
    ],
)
def test_what_cannot_be_a_reading(changes, said, desk, browser):
    url = f"{desk.report().get_absolute_url()}reading/"
    assert said in text_of(browser.post(url, typed(desk, **changes)))
    assert desk.status() == "missing"


def test_an_odd_reading_is_accepted_with_a_reason_and_a_photo(desk, browser, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    base = desk.report().get_absolute_url()
    odd = desk.plausible(which="least") - 100
    last = desk.report().system.party_readings.last().meter_value
    page = browser.post(f"{base}reading/", typed(desk, value=str(max(odd, last + 1))), follow=True)
    assert "Kept, but look at it" in text_of(page)
    stood = desk.report().status_at.isoformat()
    page = browser.get(f"{base}accept/")
    assert "These checks do not pass" in text_of(page)
    assert "Write your reason" in text_of(browser.post(f"{base}accept/", {"stood": stood}))
    answers = {"stood": stood, "reason": "Snow on the roof", "photo": photo()}
    browser.post(f"{base}accept/", answers)
    report = desk.report()
    assert (report.status, report.accepted_reason) == ("ready", "Snow on the roof")
    page = browser.get(base)
    assert "Snow on the roof" in text_of(page)
    sent = browser.get(f"{base}photo/")
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Content-Disposition"].startswith("attachment")


def test_a_blocked_reading_cannot_be_accepted(desk, browser):
    base = desk.report().get_absolute_url()
    page = browser.post(f"{base}reading/", typed(desk, value="1"), follow=True)
    assert "it cannot be sent like this" in text_of(page)
    assert "Accept the reading" not in [move["label"] for move in page.context["moves"]]
    stood = desk.report().status_at.isoformat()
    page = browser.post(f"{base}accept/", {"stood": stood, "reason": "x"}, follow=True)
    assert "It cannot be accepted" in text_of(page)
    assert desk.status() == "look"


def test_what_changed_meanwhile_is_not_overwritten(desk, browser):
    base = desk.report().get_absolute_url()
    old = typed(desk)
    desk.enter()
    page = browser.post(f"{base}reading/", old, follow=True)
    assert "has changed since you looked at it" in text_of(page)
    reason = {"stood": old["stood"], "reason": "x"}
    page = browser.post(f"{base}take_back/", reason, follow=True)
    assert "has changed since you looked at it" in text_of(page)
    assert desk.status() == "ready"


def test_replacing_a_passed_one_says_first_that_the_pass_may_be_lost(desk, browser):
    desk.submit(1000)
    desk.verdict("passed", 1000)
    url = f"{desk.report().get_absolute_url()}reading/"
    assert "the pass may be lost" in text_of(browser.get(url))
    page = browser.post(url, typed(desk))
    assert "Tick this, or leave the passed report as it is" in text_of(page)
    assert desk.status() == "passed"
    browser.post(url, typed(desk, replacing="on"))
    assert desk.status() == "ready"
    desk.test(1000)
    _, page = check_page(browser, [1000])
    assert "the pass may be lost" in " ".join(page.context["warnings"])


def test_outside_the_window_the_form_says_when_it_opens(desk, signed_in):
    report = desk.report()
    at = report.window.opens_at - timedelta(days=2)
    answers = typed(desk, day=f"{at:%Y-%m-%d}")
    desk.traveller.move_to(at)
    browser = signed_in(desk.by.user)
    url = f"{report.get_absolute_url()}reading/"
    assert "This window opens on Thursday 26 November 2026" in text_of(browser.get(url))
    page = text_of(browser.post(url, {**answers, "day": f"{at - timedelta(days=1):%Y-%m-%d}"}))
    assert "The window for November 2026 opens on 26 November 2026" in page


# ---- The test ----------------------------------------------------------------------------------


def test_testing_says_what_leaves_and_a_double_click_tests_once(desk, browser):
    desk.enter(1000, party_note="Roof <b>swept</b>")
    desk.enter(1001)
    url = f"{MONTH}test/?all=1"
    page = text_of(browser.get(url))
    assert "Test 2 systems" in page
    assert "Roof &lt;b&gt;swept&lt;/b&gt;" in page
    first = browser.post(url, {"notes": "October again"})
    again = browser.post(url, {"notes": "October again"}, follow=True)
    batch = Batch.objects.get()
    assert first["Location"] == f"/pts/batches/{batch.pk}/" == again.request["PATH_INFO"]
    assert batch.notes == "October again"
    assert "not sent twice" in text_of(again)
    desk.work()
    page = text_of(browser.get(first["Location"]))
    assert "MassCEC has received the test." in page
    assert "Test received, no verdict" in page


def test_nothing_to_test_or_send(desk, browser):
    for name in ("test", "submit"):
        page = browser.get(f"{MONTH}{name}/?row=1&row=x&row={10**20}", follow=True)
        assert "Nothing was sent." in text_of(page)


# ---- The submission ----------------------------------------------------------------------------


def test_the_check_page_says_exactly_what_is_sent(desk, browser):
    desk.tested(1000, party_note="New panel")
    desk.tested(1001)
    url, page = check_page(browser, notes="November")
    text = text_of(page)
    line = desk.line()
    assert page.context["count"] == 2
    for said in (
        line.meter_date.replace("T", " "), "New panel", "November", "then at least 1 valid, 2 failed",
        "It leaves 30 seconds after you press", "cannot be called back", "Send 2 systems",
    ):  # fmt: skip
        assert said in text, said
    assert not Batch.objects.filter(kind="real").exists()
    page = browser.post(url, {"notes": "November", "token": page.context["token"]}, follow=True)
    text = text_of(page)
    assert "It leaves at" in text
    assert "Stop, do not send" in text
    batch = Batch.objects.get(kind="real")
    assert batch.notes == "November"
    assert desk.tries() == (0, 0, 1)


def test_pressed_twice_it_is_sent_once(desk, browser):
    desk.tested(1000)
    url, page = check_page(browser)
    answers = {"notes": "", "token": page.context["token"]}
    browser.post(url, answers)
    again = browser.post(url, answers, follow=True)
    assert "it was not done twice" in text_of(again)
    assert Batch.objects.filter(kind="real").count() == 1
    assert desk.tries() == (0, 0, 1)
    desk.send()
    assert desk.theirs() == (0, 0, 1)


def test_the_back_button_after_stop_does_not_send(desk, browser):
    desk.tested(1000)
    url, page = check_page(browser)
    answers = {"notes": "", "token": page.context["token"]}
    batch = Batch.objects.get(pk=browser.post(url, answers)["Location"].split("/")[-2])
    browser.post(f"/pts/batches/{batch.pk}/stop/")
    assert desk.status() == "tested"
    again = browser.post(url, answers, follow=True)
    assert "it was not done twice" in text_of(again)
    assert desk.tries() == (0, 0, 0)
    assert Batch.objects.filter(kind="real").count() == 1


def test_a_token_is_good_for_what_it_showed_alone(desk, browser, person, signed_in):
    desk.tested(1000, 1001)
    url, page = check_page(browser)
    token = page.context["token"]
    for client, answers in (
        (browser, {"notes": "Another note", "token": token}),
        (browser, {"notes": "", "token": "made up"}),
        (signed_in(person("production")), {"notes": "", "token": token}),
    ):
        said = text_of(client.post(url, answers, follow=True))
        assert "press once" in said
    desk.enter(1001)
    assert "press once" in text_of(browser.post(url, {"notes": "", "token": token}, follow=True))
    assert not Batch.objects.filter(kind="real").exists()


def test_the_last_try_is_said_before_it_is_sent(desk, browser):
    for _ in range(2):
        desk.submit(1000)
        desk.verdict("failed", 1000)
    desk.tested(1000)
    _, page = check_page(browser, [1000])
    assert "Last try" in " ".join(page.context["warnings"])
    assert "Last try" in text_of(page)


def test_what_is_not_tested_is_left_out_and_said(desk, browser):
    desk.tested(1000)
    desk.enter(1001)
    url, page = check_page(browser, [1000, 1001])
    assert page.context["count"] == 1
    assert "Left out, because not tested: 1 system" in " ".join(page.context["warnings"])
    assert "1 left out" in text_of(browser.get(url))


# ---- The batch ---------------------------------------------------------------------------------


def test_a_batch_counts_down_then_shows_every_line(desk, browser):
    desk.tested(1000, 1001)
    desk.authorise(1000, 1001)
    url = f"/pts/batches/{Batch.objects.get(kind='real').pk}/"
    part = text_of(browser.get(url, headers={"HX-Request": "true"}))
    assert 'hx-trigger="every 1s"' in part
    assert "<html" not in part
    desk.send()
    page = text_of(browser.get(url))
    assert "MassCEC has received it." in page
    assert "Stop, do not send" not in page
    assert 'hx-trigger="every 15s"' in page
    desk.verdict("passed", 1000, 1001)
    assert "hx-get" not in text_of(browser.get(url)).split("<main")[1]


def test_stopping_too_late_says_so(desk, browser):
    desk.tested(1000)
    desk.authorise(1000)
    batch = Batch.objects.get(kind="real")
    desk.send()
    page = browser.post(f"/pts/batches/{batch.pk}/stop/", follow=True)
    assert "It has left already" in text_of(page)


def test_a_lost_answer_is_being_looked_up(desk, browser):
    desk.tested(1000)
    desk.authorise(1000)
    desk.party.fault("lost", calls=1, match="/ARPost {")
    desk.send()
    batch = Batch.objects.get(kind="real")
    page = text_of(browser.get(f"/pts/batches/{batch.pk}/"))
    assert "The answer was lost: MassCEC is asked whether it arrived. It is not sent again." in page
    assert "Answer lost, being looked up" in page
    assert Submission.objects.get(batch=batch).state == "lost"


# ---- Exceptions, notes, assignment -------------------------------------------------------------


def test_an_exception_adds_tries(desk, signed_in):
    boss = signed_in(desk.boss.user)
    url = f"{desk.report().get_absolute_url()}exception/"
    said = {"granted_by": "Ana", "reason": "By phone"}
    page = boss.post(url, {"more_valid": 0, "more_failed": 0, **said})
    assert "Write how many more tries were granted" in text_of(page)
    boss.post(url, {"more_valid": 1, "more_failed": 2, **said})
    page = text_of(boss.get(desk.report().get_absolute_url()))
    assert "3 of 3 valid tries left, 5 of 5 failed tries left" in page
    assert "granted by Ana" in page


def test_notes_and_assignment(desk, browser):
    base = desk.report().get_absolute_url()
    assert "Rang the site" in text_of(
        browser.post(f"{base}note/", {"text": "Rang the site"}, follow=True)
    )
    browser.post(f"{base}assign/", {"person": desk.by.user.pk})
    assert desk.report().assigned_to == desk.by.user
    page = browser.post(f"{base}assign/", {"person": 10**6}, follow=True)
    assert "Choose a person from the list" in text_of(page)
