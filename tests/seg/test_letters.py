"""What applicants read in their e-mails."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg import letters
from seg.letters import Envelope

LINK = "https://portal.larkmoor.example/seg/track/" + "k" * 43 + "/"
TO = Envelope(
    supplier="Larkmoor Energy",
    name="Wren Halloway",
    reference="SEG-2611-0417",
    link=LINK,
    email="export@larkmoor.example",
    phone="020 7946 0958",
)
REASON = "MCS has withdrawn your certificate, so it cannot be used for an export tariff."
DAY = date(2026, 12, 3)
ALL = {
    "received": lambda to: letters.received(to, answer_by=DAY),
    "approved": lambda to: letters.approved(
        to, tariff="SEG-2027", rate=Decimal("15.100"), has_export_mpan=True
    ),
    "refused": lambda to: letters.refused(to, reason=REASON),
    "question": lambda to: letters.question(to, text="Which house is it?", answer_by=DAY),
    "not_found": lambda to: letters.not_found(to, certificate="MCS-01109073-U"),
    "in_progress": lambda to: letters.in_progress(to, certificate="MCS-01109073-U", days=28),
    "withdrawn": letters.withdrawn,
    "suspended": lambda to: letters.suspended(to, reason=REASON),
    "reinstated": lambda to: letters.reinstated(to, tariff="SEG-2027"),
    "reopened": letters.reopened,
}


def flat(letter):
    return " ".join(letter.text.split())


@pytest.mark.parametrize("write", ALL.values(), ids=ALL)
def test_every_letter_has_its_frame(write):
    letter = write(TO)
    assert letter.subject.startswith("Larkmoor Energy SEG-2611-0417: ")
    assert letter.text.startswith("Hello Wren Halloway,\n\n")
    assert letter.text.endswith("\n\nKind regards\nLarkmoor Energy\n")
    assert f"\n{LINK}\n" in letter.text
    assert "write to export@larkmoor.example or\ncall 020\xa07946\xa00958." in letter.text
    assert all(len(line) <= 72 for line in letter.text.splitlines() if line != LINK)
    assert "\n\n\n" not in letter.text
    assert "None" not in letter.text


def test_subjects_differ():
    assert len({write(TO).subject for write in ALL.values()}) == len(ALL)


def test_received_says_what_happens_next():
    assert "by Thursday 3 December 2026 at the latest" in flat(letters.received(TO, answer_by=DAY))
    assert "at the latest" not in flat(letters.received(TO))


@pytest.mark.parametrize(("rate", "words"), [("15.100", "15.1"), ("4", "4"), ("10", "10")])
def test_approved_names_tariff_and_rate(rate, words):
    letter = letters.approved(TO, tariff="SEG-2027", rate=Decimal(rate), has_export_mpan=True)
    assert "for the tariff SEG-2027" in flat(letter)
    assert f"{words}\xa0p/kWh" in letter.text
    assert "export MPAN" not in letter.text


def test_approved_asks_for_a_missing_export_mpan():
    letter = letters.approved(
        TO, tariff="SEG-2027", rate=Decimal(5), has_export_mpan=False, reason="Photo seen."
    )
    assert "we still need your export MPAN" in flat(letter)
    assert "Photo seen." in letter.text


def test_refused_gives_the_reason_and_the_way_to_a_review():
    text = flat(letters.refused(TO, reason=REASON))
    assert REASON in text
    assert "How to ask for a review: Reply to this e-mail" in text


def test_a_question_stands_apart_as_it_was_written():
    letter = letters.question(TO, text="Which house is it?\n\nA photo of the bill " + "helps " * 20)
    assert "\n    Which house is it?\n\n    A photo of the bill helps" in letter.text
    assert "Please answer by" not in letter.text


def test_in_progress_says_for_how_long():
    assert "every day, for up to 28 days" in flat(ALL["in_progress"](TO))


def test_without_contact_an_answer_is_still_possible():
    to = msgspec.structs.replace(TO, email="", phone="")
    assert "Questions? Reply to this e-mail." in letters.reopened(to).text


@pytest.mark.parametrize("name", ["", " ", "http://x.example", "Win at WWW.x.example", "a/b"])
def test_a_name_that_holds_an_address_is_left_out(name):
    letter = letters.received(msgspec.structs.replace(TO, name=name))
    assert letter.text.startswith("Hello,\n")


@given(st.text(), st.text())
def test_subjects_never_break(name, reference):
    to = msgspec.structs.replace(TO, name=name, reference=reference, supplier=reference)
    assert letters.received(to).subject.splitlines() in ([], [letters.received(to).subject])
