"""Forms of the gas quotes desk: one supply point is asked for, and terms make sense."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from gasquotes.book_forms import BookForm
from gasquotes.forms import EnquiryForm, IssueForm, PointForm, TermsForm
from gasquotes.messages import LENGTHS
from gasquotes.portfolio_forms import WatchForm
from gasquotes.sheets import MOST_BYTES

TERMS = {"months": "24", "payment": "on_receipt"}


def point(**posted):
    form = PointForm({"kind": "postcode", **posted})
    form.full_clean()
    return form


def terms(**posted):
    start = timezone.localdate() + timedelta(days=30)
    form = TermsForm({"start": start, **TERMS, **posted})
    form.full_clean()
    return form


# ---- Which supply point ------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["1234567810", " 12345 67810 ", "123456-7810"])
def test_an_mprn_is_taken_as_people_write_it(typed):
    assert point(kind="mprn", mprn=typed).asked().mprn == "1234567810"


@pytest.mark.parametrize("typed", ["ab243pu", "AB24 3PU", " ab24  3pu "])
def test_a_postcode_gets_its_space(typed):
    assert point(postcode=typed).asked().postcode == "AB24 3PU"


def test_only_the_chosen_kind_counts():
    form = point(kind="mprn", mprn="1234567810", postcode="AB24 3PU", street="HIGH STREET")
    assert not form.errors
    assert (form.asked().kind, form.asked().street) == ("mprn", "")


def test_every_field_of_the_specification_reaches_the_filter():
    names = [name for name in LENGTHS if name not in {"mprn", "address_id", "postcode"}]
    asked = point(postcode="AB24 3PU", **dict.fromkeys(names, "A1")).asked()
    assert {getattr(asked, name) for name in names} == {"A1"}


def test_the_services_own_key_is_taken():
    assert point(kind="address_id", address_id="1700000801").asked().kind == "address_id"


@pytest.mark.parametrize(
    ("posted", "field", "words"),
    [
        ({"kind": "mprn"}, "mprn", "Write the MPRN"),
        ({"kind": "mprn", "mprn": "12345"}, "mprn", "6 to 10 digits"),
        ({"kind": "mprn", "mprn": "12345678901"}, "mprn", "has 11"),
        ({"kind": "mprn", "mprn": "12A4567"}, "mprn", "digits only"),
        ({}, "postcode", "Write the postcode"),
        ({"postcode": "AB24"}, "postcode", "full postcode"),
        ({"postcode": "AB24 3PU", "street": "X" * 41}, "street", "at most 40 characters"),
        ({"postcode": "AB24 3PU", "house_no": "X" * 11}, "house_no", "at most 10 characters"),
        ({"postcode": "AB24 3PU", "county": "ABCD"}, "county", "at most 3 characters"),
        ({"postcode": "AB24 3PU", "town": "X" * 900}, "town", "200 characters"),
        ({"kind": "address_id"}, "address_id", "Write the address ID"),
        ({"kind": "neither"}, "kind", "valid choice"),
    ],
)
def test_what_cannot_be_asked_is_said_at_its_box(posted, field, words):
    form = point(**posted)
    assert words in " ".join(form.errors[field])
    assert len(form.errors) == 1


# ---- Terms -------------------------------------------------------------------------------------


def test_terms_as_the_action_takes_them():
    found = terms(broker_uplift="0.755", broker="Fairlight").terms()
    assert (found.months, found.payment) == (24, "on_receipt")
    assert (found.broker_uplift, found.broker) == (Decimal("0.755"), "Fairlight")
    assert terms().terms().broker_uplift == Decimal(0)


@pytest.mark.parametrize(
    ("posted", "field"),
    [
        ({"start": timezone.localdate() - timedelta(days=1)}, "start"),
        ({"start": timezone.localdate() + timedelta(days=731)}, "start"),
        ({"start": "soon"}, "start"),
        ({"months": "13"}, "months"),
        ({"payment": "cash"}, "payment"),
        ({"broker_uplift": "-0.1", "broker": "F"}, "broker_uplift"),
        ({"broker_uplift": "21", "broker": "F"}, "broker_uplift"),
        ({"broker_uplift": "NaN", "broker": "F"}, "broker_uplift"),
        ({"broker_uplift": "0.12345", "broker": "F"}, "broker_uplift"),
        ({"broker_uplift": "0.5"}, "broker"),
    ],
)
def test_terms_that_make_no_sense(posted, field):
    assert list(terms(**posted).errors) == [field]


def test_each_form_has_its_own_number():
    keys = {EnquiryForm()["key"].value() for _ in range(3)}
    assert len(keys) == 3


def test_e_mail_is_offered_only_where_there_is_an_address():
    assert len(IssueForm(email="a@b.example").fields["by_email"].choices) == 2
    assert len(IssueForm(email="").fields["by_email"].choices) == 1
    assert IssueForm({"by_email": "yes"}, email="").is_valid() is False


# ---- Files -------------------------------------------------------------------------------------


def book(**posted):
    said = {"version": "N", "valid_from": "2030-01-01", "valid_to": "2030-06-30", "exit_fee": "0"}
    body = posted.pop("body", b"LDZ\n")
    form = BookForm({**said, **posted}, {"file": SimpleUploadedFile("a.csv", body)})
    form.full_clean()
    return form


def test_a_book_ends_after_it_starts():
    assert not book().errors
    assert list(book(valid_to="2029-12-31").errors) == ["valid_to"]


def test_a_file_that_is_too_large_or_empty_is_refused():
    assert list(book(body=b"x" * (MOST_BYTES + 1)).errors) == ["file"]
    assert list(book(body=b"").errors) == ["file"]


def test_the_watch_takes_the_usual_contract_where_nothing_valid_was_chosen():
    usual = {"months": 12, "payment": "direct_debit"}
    assert WatchForm(None).chosen() == usual
    assert WatchForm({"months": "x", "payment": "y"}).chosen() == usual
    assert WatchForm({"months": "36", "payment": "on_receipt"}).chosen()["months"] == 36
