"""An isolation job from the engineer's phone to the market, and what must never happen twice."""

import io
import secrets
from datetime import date

import pytest
from PIL import Image

from tests.journeys.browser import NARROW, WIDE, expect, look
from tests.journeys.pages import sign_in

DETAILS = {
    "mpan": "1770200000010",
    "supplier_mpid": "LUMX",
    "contact_name": "Nerys Alderfen of the Upper Quenmouth Allotment Association",
    "address": "1 Thimble Court",
    "town": "Quenmouth",
    "post_code": "WX8 4LT",
    "contact_telephone": "01632 960124",
    "planned_date": date.today().isoformat(),
    "customer_vulnerability": "Planted frailty",
    "site_risk": "",
}
ARRIVED = {
    "Did you reach the customer?": "Yes",
    "What came of the call?": "Customer confirmed",
    "Did you arrive on site?": "Yes",
    "Could you get into the property?": "Yes",
    "Must somebody else be there?": "No",
}
SAFE = (
    "Are you trained for this job?",
    "Is the place safe to work in?",
    "Can you reach everything safely?",
    "Is it safe to go on?",
    "Can you reach the meter?",
    "Is the supply on?",
)


def given(town, engineer="joss"):
    """A job for the engineer, as the office creates it."""
    office, person = town.people["mabel"][0], town.people[engineer][0]
    how = {"who": office, "engineer": person, "key": secrets.token_hex(8), "details": DETAILS}
    return town.clerk.ask("isolate", **how)


def to_check(town, sample="completed", **changed):
    """A job whose worksheet is handed in."""
    job, blocks = given(town), town.market.sample(sample)
    blocks["job_completion"] |= changed
    engineer = town.people["joss"][0]
    town.clerk.ask("hand_in", reference=job["reference"], who=engineer, blocks=blocks)
    return job


def told(town, job):
    return town.clerk.ask("isolation", reference=job["reference"])


def wait_for(town, job, status):
    town.until(lambda: told(town, job)["status"] == status)
    return told(town, job)


# ---- What people do ------------------------------------------------------------------------------


def answer(page, question, said):
    """Choose an answer to a question; it is saved in the background."""
    group = page.get_by_role("group", name=question)
    with page.expect_response(lambda reply: reply.request.method == "POST"):
        group.get_by_text(said, exact=True).click()


def write(page, question, text):
    """Write an answer and leave the box."""
    box = page.get_by_label(question)
    box.fill(text)
    box.blur()


def save(page, heading):
    """Save and continue to the block with this heading."""
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
    look(page, heading)


def open_worksheet(page, job):
    """From the engineer's own list to the first block that is open."""
    page.goto("/sip/?q=" + job["reference"])
    look(page, "my jobs")
    page.get_by_role("link", name=DETAILS["contact_name"]).click()
    expect(page.get_by_text("Planted frailty")).to_be_visible()
    look(page, "worksheet")
    page.get_by_role("link", name="Go on: Customer contact").click()
    expect(page.get_by_role("heading", level=1, name="Customer contact")).to_be_visible()
    look(page, "customer contact")


def hand_in(page):
    """Look the worksheet over and hand it in."""
    page.get_by_role("button", name="Hand in the worksheet").click()
    expect(page.get_by_text("This worksheet is with the office")).to_be_visible()
    look(page, "handed in")


def open_check(page, job):
    """From the case to the page that shows the whole message."""
    page.goto(f"/sip/cases/{job['reference']}/")
    look(page, "case")
    page.get_by_role("link", name="Check before you send").click()
    expect(page.get_by_role("heading", name="Go ahead")).to_be_visible()
    look(page, "check")


def press_send(page):
    """Confirm; the page counts down."""
    page.get_by_role("button", name="Send this market message").click()
    expect(page.get_by_role("button", name="Stop, do not send")).to_be_visible()
    look(page, "sending")


def outcome(page, text):
    """Wait on the counting page until it says this by itself."""
    expect(page.get_by_role("heading", level=1, name=text)).to_be_visible(timeout=60_000)
    look(page, text)


def photo():
    out = io.BytesIO()
    Image.new("RGB", (800, 600), "steelblue").save(out, "JPEG")
    return {"name": "IMG_0001.JPG", "mimeType": "image/jpeg", "buffer": out.getvalue()}


# ---- Whole jobs ----------------------------------------------------------------------------------


def test_an_aborted_job_on_the_phone_becomes_one_message(town, window):
    """Three blocks: what prevented the engineer leaves the others out."""
    job = given(town)
    joss = sign_in(window("Joss", width=NARROW), town, "joss")
    open_worksheet(joss, job)
    for question, said in ARRIVED.items():
        answer(joss, question, said)
    answer(joss, "Is there critical medical equipment?", "Yes")
    write(joss, "Which medical equipment?", "Feeding machine")
    answer(joss, "Did anything prevent you from going ahead?", "Critical Medical Equipment")
    save(joss, "Result")
    answer(joss, "How did the job end?", "Aborted")
    write(joss, "On which day?", date.today().isoformat())
    answer(joss, "Why was it aborted?", "Supply Issues")
    answer(joss, "Abort code: supply", "04")
    answer(joss, "Which notices did you leave?", "Not Applicable")
    save(joss, "Look it over and hand it in")
    hand_in(joss)
    mabel = sign_in(window("Mabel"), town, "mabel")
    open_check(mabel, job)
    expect(mabel.get_by_text("Feeding machine", exact=True)).to_be_visible()
    expect(mabel.get_by_text("left out because something prevented you")).to_be_visible()
    press_send(mabel)
    outcome(mabel, "Accepted: the party has the message.")
    (message,) = town.market.accepted(job["job_id"])
    assert message["blocks"] == ["job_details", "customer_contact", "job_completion"]
    assert told(town, job)["scenario"] == message["scenario"]


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_a_completed_job_with_an_isolator(town, window, width):
    """Seven blocks and a photo from the camera."""
    job = given(town)
    joss = sign_in(window("Joss", width=width), town, "joss")
    open_worksheet(joss, job)
    for question, said in ARRIVED.items():
        answer(joss, question, said)
    answer(joss, "Is there critical medical equipment?", "No")
    answer(joss, "Did anything prevent you from going ahead?", "No")
    save(joss, "Risk assessment")
    for question in SAFE:
        answer(joss, question, "Yes")
    answer(joss, "Which risks are there?", "No risk identified")
    answer(joss, "Is this job only about switching on?", "No")
    save(joss, "Meter")
    write(joss, "Serial number", "L1282738282")
    answer(joss, "Where is the meter?", "A")
    answer(joss, "Can you read the meter?", "Yes")
    joss.get_by_label("How many rates?").select_option("02")
    write(joss, "How many digits has a reading?", "5")
    write(joss, "Reading of rate 1", "28933")
    write(joss, "Reading of rate 2", "04410")
    joss.get_by_label("Photo of the meter").set_input_files(photo())
    expect(joss.get_by_role("img", name="Photo of the meter, as it is kept")).to_be_visible()
    look(joss, "photo kept")
    answer(joss, "Is it a smart meter?", "No")
    save(joss, "Site safety")
    answer(joss, "Did the polarity test pass?", "Yes")
    answer(joss, "Is something wrong with the customer’s own equipment?", "No")
    answer(joss, "Can you go on with the job?", "Yes")
    save(joss, "The work")
    answer(joss, "What was to be done?", "Install Isolator")
    for question, said in (
        ("Did you switch the supply off?", "No"),
        ("Did you switch the supply on again?", "No"),
        ("Did you reseal the fuse?", "No"),
        ("Did you fit an isolator?", "Yes"),
        ("Did you renew the meter tails?", "No"),
        ("Did the polarity test pass afterwards?", "Yes"),
    ):
        answer(joss, question, said)
    save(joss, "Result")
    answer(joss, "How did the job end?", "Another, not on this list")
    write(joss, "exactly as the party calls it: How did the job end?", "Completed")
    write(joss, "On which day?", date.today().isoformat())
    answer(joss, "Which notices did you leave?", "Not Applicable")
    save(joss, "Look it over and hand it in")
    hand_in(joss)
    assert told(town, job)["photos"] == 1
    mabel = sign_in(window("Mabel", width=width), town, "mabel")
    open_check(mabel, job)
    expect(mabel.get_by_text("not on our list (Completed)")).to_be_visible()
    press_send(mabel)
    outcome(mabel, "Accepted: the party has the message.")
    assert len(town.market.accepted(job["job_id"])) == 1


# ---- No, and nobody knows --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_a_refusal_is_corrected_and_sent_as_a_new_version(town, window, width):
    """Their reason stands at the question, and the second version is accepted."""
    job = to_check(town, "prevented", notices_issued="Z9")
    town.market.switch(refuse_unknown_codes=True)
    try:
        mabel = sign_in(window("Mabel", width=width), town, "mabel")
        open_check(mabel, job)
        press_send(mabel)
        outcome(mabel, "Refused: the party took nothing of it.")
        joss = sign_in(window("Joss", width=width), town, "joss")
        joss.goto(f"/sip/cases/{job['reference']}/")
        look(joss, "refused")
        joss.get_by_role("button", name="Correct the worksheet").click()
        expect(joss.get_by_text("1 answer was refused")).to_be_visible()
        look(joss, "what was refused")
        joss.get_by_role("link", name="Result").click()
        expect(joss.get_by_text("The party:")).to_be_visible()
        look(joss, "at the question")
        answer(joss, "Which notices did you leave?", "Not Applicable")
        save(joss, "Look it over and hand it in")
        hand_in(joss)
        open_check(mabel, job)
        press_send(mabel)
        outcome(mabel, "Accepted: the party has the message.")
    finally:
        town.market.switch(refuse_unknown_codes=None)
    after = told(town, job)
    assert (after["attempts"], after["versions"]) == (["refused", "accepted"], 2)
    assert len(town.market.accepted(job["job_id"])) == 1


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_unknown_is_red_on_home_and_a_person_settles_it(town, window, width):
    """They have it: recorded with a name and a reason, and nothing is sent again."""
    job = to_check(town)
    town.market.fault("done_500", calls=1, match=job["job_id"])
    mabel = sign_in(window("Mabel", width=width), town, "mabel")
    open_check(mabel, job)
    press_send(mabel)
    outcome(mabel, "Nobody knows whether the message arrived.")
    mabel.goto("/")
    expect(mabel.get_by_role("link", name=job["reference"])).to_be_visible()
    look(mabel, "home")
    mabel.get_by_role("link", name=job["reference"]).click()
    expect(mabel.get_by_text("We do not know whether this message arrived")).to_be_visible()
    look(mabel, "unknown")
    mabel.get_by_role("link", name="Record what they say").click()
    look(mabel, "settle")
    mabel.get_by_label("They confirmed that they have it").check()
    mabel.get_by_label("Who told you?").fill("Jo at their service desk")
    mabel.get_by_label("How do they know?").fill("Found it by its job id, received at 10:04.")
    mabel.get_by_role("button", name="Continue").click()
    expect(mabel.get_by_role("heading", name="Check what you record")).to_be_visible()
    mabel.get_by_label("E-mail or screenshot").set_input_files(photo())
    look(mabel, "check what is recorded")
    mabel.get_by_role("button", name="Record what they said").click()
    expect(mabel.get_by_text("Recorded. Nothing was sent.")).to_be_visible()
    look(mabel, "settled")
    after = told(town, job)
    assert (after["status"], after["attempts"]) == ("accepted", ["unknown"])
    assert len(town.market.accepted(job["job_id"])) == 1


# ---- Never twice -----------------------------------------------------------------------------------


def test_a_double_click_sends_once(town, window):
    """Two clicks within one moment are one attempt and one message."""
    job = to_check(town)
    mabel = sign_in(window("Mabel"), town, "mabel")
    open_check(mabel, job)
    mabel.get_by_role("button", name="Send this market message").dblclick(no_wait_after=True)
    outcome(mabel, "Accepted: the party has the message.")
    _sent_once(town, job)


def test_the_back_button_does_not_send_again(town, window):
    """Back to the check page and pressed once more: told that it was done already."""
    job = to_check(town)
    mabel = sign_in(window("Mabel"), town, "mabel")
    open_check(mabel, job)
    press_send(mabel)
    outcome(mabel, "Accepted: the party has the message.")
    mabel.go_back()
    if mabel.get_by_role("button", name="Send this market message").count():
        mabel.get_by_role("button", name="Send this market message").click()
    expect(mabel.get_by_role("status").first).to_be_visible()
    look(mabel, "pressed again")
    _sent_once(town, job)


def test_two_people_send_the_same_message_once(town, window):
    """One wins; the other is told who won."""
    job = to_check(town)
    mabel = sign_in(window("Mabel"), town, "mabel")
    perrin = sign_in(window("Perrin"), town, "perrin")
    for person in (mabel, perrin):
        open_check(person, job)
    press_send(mabel)
    perrin.get_by_role("button", name="Send this market message").click()
    expect(perrin.get_by_role("status").get_by_text("Mabel Quist")).to_be_visible()
    look(perrin, "told who won")
    wait_for(town, job, "accepted")
    _sent_once(town, job)


def _sent_once(town, job):
    wait_for(town, job, "accepted")
    assert told(town, job)["attempts"] == ["accepted"]
    assert len(town.market.accepted(job["job_id"])) == 1


def test_a_stopped_message_never_left(town, window):
    """Stop wins while it waits, and the job is to check again."""
    job = to_check(town)
    mabel = sign_in(window("Mabel", width=NARROW), town, "mabel")
    open_check(mabel, job)
    press_send(mabel)
    mabel.get_by_role("button", name="Stop, do not send").click()
    expect(mabel.get_by_text("Stopped. Nothing was sent.")).to_be_visible()
    look(mabel, "stopped")
    assert told(town, job)["status"] == "check"
    assert town.market.accepted(job["job_id"]) == []


# ---- The phone ---------------------------------------------------------------------------------------


def test_two_devices_keep_both_answers(town, window):
    """What the office saved meanwhile is shown beside what the phone has."""
    job = given(town)
    joss = sign_in(window("Joss", width=NARROW), town, "joss")
    mabel = sign_in(window("Mabel"), town, "mabel")
    where = f"/sip/cases/{job['reference']}/worksheet/job_completion/"
    joss.goto(where)
    mabel.goto(where)
    answer(mabel, "How did the job end?", "Aborted")
    joss.get_by_label("Notes about the job").fill("From the phone")
    joss.get_by_role("button", name="Save and continue").click()
    expect(joss.get_by_role("heading", name="Two devices saved")).to_be_visible()
    look(joss, "two answers")
    joss.get_by_role("group", name="How did the job end?").get_by_text("Aborted").click()
    joss.get_by_role("group", name="Notes about the job").get_by_text("From the phone").click()
    joss.get_by_role("button", name="Save what holds").click()
    expect(joss.get_by_text("Saved. Look at the block once more.")).to_be_visible()
    look(joss, "settled")
    kept = told(town, job)["answers"]["job_completion"]
    assert kept == {"outcome": "Aborted", "job_notes": "From the phone"}


def test_the_worksheet_works_without_a_script(town, window):
    """A question that depends on another comes with the next page."""
    job = given(town)
    joss = sign_in(window("Joss", width=NARROW, scripts=False), town, "joss")
    joss.goto(f"/sip/cases/{job['reference']}/worksheet/customer_contact/")
    group = joss.get_by_role("group", name="Is there critical medical equipment?")
    group.get_by_text("Yes", exact=True).click()
    expect(joss.get_by_label("Which medical equipment?")).to_have_count(0)
    joss.get_by_role("button", name="Save and continue").click()
    expect(joss.get_by_label("Which medical equipment?")).to_be_visible()
    look(joss, "the question has come")
    joss.get_by_label("Which medical equipment?").fill("Feeding machine")
    joss.get_by_role("button", name="Save and leave").click()
    expect(joss.get_by_text("“Customer contact” is saved.")).to_be_visible()
    look(joss, "left")
    kept = told(town, job)["answers"]["customer_contact"]
    assert kept["critical_medical_equipment_info"] == "Feeding machine"


def test_what_was_typed_outlives_the_session(town, window):
    """Signed out meanwhile: sign in, and everything stands there again."""
    job = given(town)
    joss = sign_in(window("Joss", width=NARROW), town, "joss")
    joss.goto(f"/sip/cases/{job['reference']}/worksheet/job_completion/")
    joss.get_by_label("Notes about the job").fill("Typed before the session ended")
    kept = [one for one in joss.context.cookies() if "sessionid" not in one["name"]]
    joss.context.clear_cookies()
    joss.context.add_cookies(kept)
    joss.get_by_role("button", name="Save and leave").click()
    email, password = town.people["joss"]
    joss.get_by_label("E-mail address").fill(email)
    joss.get_by_label("Password").fill(password)
    joss.get_by_role("button", name="Sign in").click()
    notes = joss.get_by_label("Notes about the job")
    expect(notes).to_have_value("Typed before the session ended")
    look(joss, "typed before")
    joss.get_by_role("button", name="Save and leave").click()
    expect(joss.get_by_text("“Result” is saved.")).to_be_visible()
    kept = told(town, job)["answers"]["job_completion"]
    assert kept == {"job_notes": "Typed before the session ended"}
