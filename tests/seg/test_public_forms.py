"""The customer's forms: what they forgive, what they refuse and in which words."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.datastructures import MultiValueDict
from PIL import Image

from seg.public_forms import (
    AddressForm,
    AnswerForm,
    CertificateForm,
    CorrectForm,
    MetersForm,
    PaymentForm,
    ProofForm,
    YouForm,
)

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
CERTIFICATE = {"certificate_number": "MCS-90417326-K", "kind": "new"}
METERS = {"import_mpan": "", "export_mpan": "", "dno_told": "yes", "battery": "no"}
YOU = {"name": "Ada Lark", "email": "ada@example.org", "phone": "", "postal_address": ""}
PAYMENT = {
    "fit": "no",
    "account_name": "A Lark",
    "sort_code": "12-34-56",
    "account_number": "12345678",
}


def cleaned(form, name):
    """The value of a field of a form that has to be valid."""
    assert form.is_valid(), form.errors
    return form.cleaned_data[name]


def problem(form, name):
    """The one error of a field."""
    assert not form.is_valid()
    (error,) = form.errors[name]
    return error


def png():
    """A small picture."""
    body = io.BytesIO()
    Image.new("RGB", (4, 4)).save(body, "PNG")
    return body.getvalue()


def sent(*files, name="file"):
    """Files as a browser sends them."""
    return MultiValueDict({name: [SimpleUploadedFile(n, body) for n, body in files]})


# ---- Certificate -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["MCS-90417326-K", "mcs 90417326 k", "90417326k", " MCS–90417326–K "]
)
def test_a_certificate_number_is_forgiven_its_form(typed):
    form = CertificateForm({**CERTIFICATE, "certificate_number": typed})
    assert cleaned(form, "certificate_number") == "MCS-90417326-K"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "Write the number on your MCS certificate"),
        ("none", "has digits in it"),
        ("MCS-90417326-K/2", "only letters, digits and dashes"),
    ],
)
def test_what_no_certificate_has_is_refused_however_often(typed, says):
    form = CertificateForm({**CERTIFICATE, "certificate_number": typed, "certain": typed})
    assert says in problem(form, "certificate_number")
    assert not form.doubted


def test_an_unlikely_number_is_doubted_once():
    first = CertificateForm({**CERTIFICATE, "certificate_number": "mcs 9041732 k"})
    assert "We found only 7." in problem(first, "certificate_number")
    assert first.doubted
    assert 'name="certain" value="MCS-9041732-K"' in str(first)
    again = CertificateForm(
        {**CERTIFICATE, "certificate_number": "MCS9041732K", "certain": "MCS-9041732-K"}
    )
    assert cleaned(again, "certificate_number") == "MCS-9041732-K"


def test_another_unlikely_number_is_doubted_again():
    said = {**CERTIFICATE, "certificate_number": "MCS-9041733-K", "certain": "MCS-9041732-K"}
    assert CertificateForm(said).is_valid() is False


def test_the_doubt_is_not_kept_as_certainty():
    form = CertificateForm({**CERTIFICATE, "certificate_number": "mcs 9041732 k"})
    assert not form.is_valid()
    assert form.to_keep()["certain"] == ""
    assert not CertificateForm(form.to_keep()).is_valid()


def test_what_is_applied_for_has_to_be_chosen():
    form = CertificateForm({"certificate_number": "MCS-90417326-K"})
    assert problem(form, "kind") == "Choose what you are applying for"


# ---- Address and meters ----------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["lx37qp", " LX3  7QP ", "l x 3 7 q p"])
def test_a_postcode_is_forgiven_its_spaces(typed):
    said = {"address_line_1": "14 Saltmarsh Row", "town": "Eastwold", "postcode": typed}
    assert cleaned(AddressForm(said), "postcode") == "LX3 7QP"


@pytest.mark.parametrize("typed", ["LX3", "12345", "LX3 7QPP"])
def test_half_a_postcode_is_refused(typed):
    said = {"address_line_1": "14 Saltmarsh Row", "town": "Eastwold", "postcode": typed}
    assert problem(AddressForm(said), "postcode") == "Write the whole postcode, like LX3 7QP"


def test_both_mpans_may_be_left_out():
    assert cleaned(MetersForm(METERS), "import_mpan") == ""


def test_an_mpan_is_forgiven_spaces_and_dashes():
    form = MetersForm({**METERS, "import_mpan": "11 2938-3838 383"})
    assert cleaned(form, "import_mpan") == "1129383838383"


@pytest.mark.parametrize("name", ["import_mpan", "export_mpan"])
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("1129383838384", "The last digit does not fit the others"),
        ("112938383838", "We found 12."),
        ("S1129383838383", "digits only"),
    ],
)
def test_a_wrong_mpan_is_explained_and_named(name, typed, says):
    error = problem(MetersForm({**METERS, name: typed}), name)
    assert says in error
    assert error.startswith(f"{name.partition('_')[0].title()} MPAN: ")


def test_one_number_for_both_meters_is_refused():
    both = {"import_mpan": "1129383838383", "export_mpan": "1129 3838 38383"}
    assert "your import MPAN once more" in problem(MetersForm({**METERS, **both}), "export_mpan")


# ---- You -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        ("020 7946 0958", "+44 20 7946 0958"),
        ("07700 900123", "+44 7700 900123"),
        ("0044 20 7946 0958", "+44 20 7946 0958"),
        ("+33 1 70 18 99 00", "+33 1 70 18 99 00"),
        ("020 7946 0958 ext 12345678901234567890", "+44 20 7946 0958"),
    ],
)
def test_a_phone_number_without_a_country_is_british(typed, kept):
    phone = cleaned(YouForm({**YOU, "phone": typed}), "phone")
    assert phone == kept
    assert len(phone) <= 30


@pytest.mark.parametrize("typed", ["123", "0123456789012345678", "none"])
def test_what_is_no_phone_number_is_refused(typed):
    assert "leave it out" in problem(YouForm({**YOU, "phone": typed}), "phone")


def test_the_postal_address_loses_empty_lines():
    form = YouForm({**YOU, "postal_address": "1 Row\r\n\r\n Eastwold \r\n"})
    assert cleaned(form, "postal_address") == "1 Row\nEastwold"
    assert "1 Row, Eastwold" in [answer.value for answer in form.answers()]


# ---- Payment ---------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["123456", "12-34-56", "12 34 56", "12–34–56"])
def test_a_sort_code_is_forgiven_its_form(typed):
    assert cleaned(PaymentForm({**PAYMENT, "sort_code": typed}), "sort_code") == "123456"


@pytest.mark.parametrize(
    ("typed", "kept"), [("123456", "00123456"), ("1234567", "01234567"), ("1234 5678", "12345678")]
)
def test_a_short_account_number_gets_zeros_in_front(typed, kept):
    assert cleaned(PaymentForm({**PAYMENT, "account_number": typed}), "account_number") == kept


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("sort_code", "12345"),
        ("sort_code", "1234567"),
        ("sort_code", "12345६"),
        ("account_number", "12345"),
        ("account_number", "123456789"),
        ("account_number", "1234567x"),
    ],
)
def test_wrong_bank_details_are_refused(name, typed):
    assert "digits" in problem(PaymentForm({**PAYMENT, name: typed}), name)


def test_bank_details_are_never_written_into_a_page_again():
    form = PaymentForm({**PAYMENT, "sort_code": "65-43-21"})
    assert form.is_valid()
    kept = form.to_keep()
    for shown in (PaymentForm(kept=kept), PaymentForm(kept, kept=kept), form):
        page = str(shown)
        assert "65-43-21" not in page
        assert "654321" not in page
        assert "12345678" not in page
    assert "We have one ending in 78." in str(PaymentForm(kept=kept))
    assert [a.value for a in form.answers()][2:] == ["Ending in 21", "Ending in 78"]


def test_empty_boxes_keep_what_is_stored():
    kept = PaymentForm(PAYMENT)
    assert kept.is_valid()
    again = {**PAYMENT, "sort_code": "", "account_number": "87654321"}
    form = PaymentForm(again, kept=kept.to_keep())
    assert cleaned(form, "sort_code") == "123456"
    assert cleaned(form, "account_number") == "87654321"


def test_of_wrong_bank_details_only_the_error_is_kept():
    form = PaymentForm({**PAYMENT, "sort_code": "12345"})
    assert not form.is_valid()
    kept = form.to_keep()
    assert kept["sort_code"] == ""
    assert kept["account_number"] == "12345678"
    again = PaymentForm(kept, kept=kept)
    assert problem(again, "sort_code") == "Write the 6 digits of the sort code, like 12-34-56"
    assert "12345" not in str(again).replace("like 12-34-56", "")


# ---- Files -----------------------------------------------------------------------------------


def test_a_file_is_judged_by_its_content():
    (file,) = cleaned(ProofForm({}, sent(("photo.pdf", png()))), "file")
    assert file.upload.content_type == "image/png"
    assert file.upload.name == "photo.pdf.png"
    assert file.content == png()


def test_a_file_of_another_kind_is_refused_by_name_and_remembered():
    form = ProofForm({}, sent(("notes.pdf", b"hello")))
    assert problem(form, "file").startswith("“notes.pdf”: This is not a file that we can read.")
    again = ProofForm(form.to_keep())
    assert problem(again, "file") == form.errors["file"][0]


def test_nobody_has_to_send_a_file():
    assert cleaned(ProofForm({}), "file") == []


def test_an_answer_takes_three_files():
    files = [(f"{n}.pdf", PDF) for n in range(3)]
    form = AnswerForm({"text": "This one."}, sent(*files, name="uploads"))
    assert len(cleaned(form, "uploads")) == 3
    four = [*files, ("3.pdf", PDF)]
    form = AnswerForm({"text": "This one."}, sent(*four, name="uploads"))
    assert problem(form, "uploads") == "Choose 3 files at most"


def test_an_empty_file_is_refused():
    form = AnswerForm({"text": "This one."}, sent(("a.pdf", b""), name="uploads"))
    assert "This file is empty." in problem(form, "uploads")


# ---- What all share --------------------------------------------------------------------------


@pytest.mark.parametrize("form", [CertificateForm, AddressForm, MetersForm, YouForm, PaymentForm])
def test_an_empty_step_is_not_right(form):
    assert not form({}).is_valid()
    assert not form().is_valid()


def test_what_is_kept_has_an_end():
    form = AddressForm({"address_line_1": "x" * 100_000})
    assert not form.is_valid()
    assert len(form.to_keep()["address_line_1"]) == 2000


def test_a_correction_asks_for_the_number_first():
    assert [*CorrectForm().fields][:2] == ["certificate_number", "address_line_1"]
