"""The MPAN's form and check digit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import mpan

VALID = ["1129383838383", "1012345678903", "2012345678906", "1400002000040"]


@pytest.mark.parametrize("number", VALID)
def test_known_numbers_are_valid(number):
    assert mpan.parse(number) == number
    assert mpan.is_valid(number)


@pytest.mark.parametrize(
    "text", ["11 2938 3838 383", "1129-3838-38383", " 1129383838383\n", "1129–3838–38383"]
)
def test_spaces_and_dashes_do_not_matter(text):
    assert mpan.parse(text) == "1129383838383"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Write the 13 digits of the MPAN."),
        (" - ", "Write the 13 digits of the MPAN."),
        ("112938383838", "Write all 13 digits of the MPAN. We found 12."),
        ("0080111129383838383838", "Write all 13 digits of the MPAN. We found 22."),
        ("11293838383AB", "An MPAN has digits only. Leave out letters and other signs."),
        ("١١٢٩٣٨٣٨٣٨٣٨٣", "An MPAN has digits only. Leave out letters and other signs."),
        (
            "1129383838384",
            "The last digit does not fit the others: check for two digits swapped.",
        ),
    ],
)
def test_each_mistake_has_its_sentence(text, sentence):
    with pytest.raises(mpan.MpanError) as caught:
        mpan.parse(text)
    assert str(caught.value) == sentence
    assert not mpan.is_valid(text)


def test_first_two_digits_name_the_distributor():
    assert mpan.distributor_id("20 1234 5678 906") == "20"
    with pytest.raises(mpan.MpanError):
        mpan.distributor_id("20")


@given(st.text(alphabet="0123456789", min_size=12, max_size=12), st.integers(0, 9))
def test_at_most_one_last_digit_fits(body, digit):
    fitting = [last for last in "0123456789" if mpan.is_valid(body + last)]
    assert len(fitting) == 1
    assert mpan.is_valid(f"{body}{digit}") == (str(digit) in fitting)


@given(st.text())
def test_any_text_is_a_number_or_an_mpan_error(text):
    if mpan.is_valid(text):
        assert len(mpan.parse(text)) == 13
