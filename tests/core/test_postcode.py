"""Postcodes in their one stored form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import postcode

REAL = ["M1 1AE", "B33 8TH", "CR2 6XH", "DN55 1PT", "W1A 0AX", "EC1A 1BB", "GIR 0AA", "LX3 7QP"]


@pytest.mark.parametrize("text", REAL)
def test_every_form_of_postcode_is_accepted(text):
    assert postcode.normalise(text) == text
    assert postcode.is_valid_form(text)


@pytest.mark.parametrize("text", ["lx37qp", " LX3  7QP ", "l x 3 7 q p", "LX3\t7qp"])
def test_one_space_before_the_last_three(text):
    assert postcode.normalise(text) == "LX3 7QP"


@pytest.mark.parametrize(
    "text", ["", "LX3", "LX3 7", "12345", "LX3 QQP", "LX3 7QPX", "Q1 1AA", "LX3 7CP", "ＬＸ３ 7QP"]
)
def test_other_text_has_not_the_form(text):
    assert not postcode.is_valid_form(text)


def test_same():
    assert postcode.same("lx37qp", "LX3 7QP")
    assert not postcode.same("LX3 7QP", "LX3 7QQ")
    assert not postcode.same("", " ")


@given(st.sampled_from(REAL), st.data())
def test_case_and_spaces_never_matter(text, data):
    compact = text.replace(" ", "")
    spaced = "".join(sign + " " * data.draw(st.integers(0, 2)) for sign in compact)
    changed = data.draw(st.sampled_from([spaced, spaced.lower(), spaced.swapcase()]))
    assert postcode.same(changed, text)
    assert postcode.is_valid_form(changed)


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    once = postcode.normalise(text)
    assert postcode.normalise(once) == once
