"""What customers read in their e-mails."""

from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasquotes import letters
from gasquotes.codes import MEANINGS
from gasquotes.letters import Envelope

TO = Envelope(
    supplier="Larkmoor Energy",
    name="Fiona Rowe",
    reference="GQ-2611-0001",
    email="quotes@larkmoor.example",
    phone="020 7946 0958",
)
MPRN = "3938424403"
SUMMER = datetime(2027, 6, 1, 13, 30, tzinfo=UTC)
LINK = "https://portal.larkmoor.example/gas-quotes/paper/" + "k" * 43 + "/"
ALL = {
    "issued": lambda to: letters.issued(to, mprn=MPRN, valid_until=SUMMER),
    "linked": lambda to: letters.issued(to, mprn=MPRN, valid_until=SUMMER, link=LINK),
    "more_address": lambda to: letters.more_address(to, missing="Which flat is it?"),
    "refused": lambda to: letters.refused(to, reason=MEANINGS["e005"].customer_reason),
    "lapsed": lambda to: letters.lapsed(to, valid_until=SUMMER),
    "accepted": lambda to: letters.accepted(to, mprn=MPRN, start=date(2027, 7, 1)),
}


def flat(letter):
    return " ".join(letter.text.split())


@pytest.mark.parametrize("write", ALL.values(), ids=ALL)
def test_every_letter_has_its_frame(write):
    letter = write(TO)
    assert letter.subject.startswith("Larkmoor Energy GQ-2611-0001: ")
    assert letter.text.startswith("Hello Fiona Rowe,\n\n")
    assert letter.text.endswith("\n\nKind regards\nLarkmoor Energy\n")
    assert "write to quotes@larkmoor.example or call 020 7946 0958. Name GQ-2611-0001." in flat(
        letter
    )
    assert all(len(line) <= 72 for line in letter.text.splitlines() if line != LINK)
    assert "\n\n\n" not in letter.text
    assert "None" not in letter.text
    assert "£" not in letter.text


def test_an_issued_quote():
    letter = ALL["issued"](TO)
    assert MPRN in letter.text
    assert "attached as a PDF" in letter.text
    assert "until 14:30 on Tuesday 1 June 2027 (UK time)" in flat(letter)


def test_a_link_stands_alone():
    letter = ALL["linked"](TO)
    assert f"\n{LINK}\n" in letter.text
    assert "attached" not in letter.text


@pytest.mark.parametrize("code", ["e002", "e003", "e004", "e005", "e006"])
def test_a_refusal_names_its_reason(code):
    reason = MEANINGS[code].customer_reason
    assert reason in flat(letters.refused(TO, reason=reason))


def test_what_is_missing_is_asked():
    assert "Which flat is it?" in ALL["more_address"](TO).text


def test_acceptance_names_the_start():
    assert "Thursday 1 July 2027" in flat(ALL["accepted"](TO))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"email": "", "phone": ""}, "Questions? Reply to this e-mail and name GQ-2611-0001."),
        ({"email": ""}, "Questions? Reply to this e-mail or call 020 7946 0958."),
        ({"phone": ""}, "Questions? Reply to this e-mail or write to quotes@larkmoor.example."),
    ],
)
def test_ways_to_reach_us(fields, words):
    assert words in flat(ALL["issued"](msgspec.structs.replace(TO, **fields)))


def test_nobody_is_greeted_by_nothing():
    assert ALL["issued"](msgspec.structs.replace(TO, name=" ")).text.startswith("Hello,\n")


@given(st.text(max_size=60), st.text(max_size=200))
def test_a_subject_is_one_line(name, reason):
    letter = letters.refused(msgspec.structs.replace(TO, name=name, supplier=name), reason=reason)
    assert len(letter.subject.splitlines()) == 1
