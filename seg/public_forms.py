"""The customer's forms, one a step of the application and one a thing on the tracking page.

They validate and never save. What was typed is kept as it was typed and judged again before it is
sent; bank details, once they are right, are never written into a page again.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import phonenumbers
from django import forms
from django.core.exceptions import ValidationError

from core import mpan, postcode, uploads
from core.uploads import Upload, UploadError
from seg import messages
from seg.models import Application

MOST_FILES = 3
LONGEST_KEPT = 2000
_BETWEEN = re.compile(r"[\s\-‐-―−.]+")
_PLAIN: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
_DIGITS: dict[str, Any] = {**_PLAIN, "inputmode": "numeric"}
_ACCEPTED = ".pdf,.jpg,.jpeg,.png,application/pdf,image/jpeg,image/png"
YES_NO = (("yes", "Yes"), ("no", "No"))

Kept = Mapping[str, str]


class Answer(NamedTuple):
    """One line of the check page; `field` is where Change leads."""

    label: str
    value: str
    field: str
    mono: bool = False


class CheckedFile(NamedTuple):
    """A file that is what it should be, with its bytes."""

    upload: Upload
    content: bytes


# ---- Fields ----------------------------------------------------------------------------------


class MpanField(forms.CharField):
    """An MPAN that may be left out; a wrong one is explained."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={**_DIGITS, "class": "input-medium mono"})
        super().__init__(required=False, max_length=60, widget=widget, **options)

    def clean(self, value: Any) -> str:
        """Return 13 digits, or nothing."""
        typed = super().clean(value)
        if not typed:
            return ""
        try:
            return mpan.parse(typed)
        except mpan.MpanError as problem:
            raise ValidationError(f"{self.label}: {problem}") from None


class PostcodeField(forms.CharField):
    """A British postcode, however it is spaced."""

    def __init__(self, **options: Any) -> None:
        attrs = {"autocomplete": "postal-code", "spellcheck": "false", "class": "input-short"}
        super().__init__(max_length=20, widget=forms.TextInput(attrs=attrs), **options)

    def clean(self, value: Any) -> str:
        """Return the postcode as it is stored."""
        typed = super().clean(value)
        if not postcode.is_valid_form(typed):
            raise ValidationError("Write the whole postcode, like LX3 7QP")
        return postcode.normalise(typed)


class PhoneField(forms.CharField):
    """A telephone number; one without a country is British."""

    def clean(self, value: Any) -> str:
        """Return the number in its international form, or nothing."""
        typed = super().clean(value)
        if not typed:
            return ""
        try:
            number = phonenumbers.parse(typed, "GB")
        except phonenumbers.NumberParseException:
            raise ValidationError("Write the phone number in digits, or leave it out") from None
        reason = phonenumbers.is_possible_number_with_reason(number)
        if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
            raise ValidationError(
                "This phone number is too short or too long. Write all of it, or leave it out"
            )
        number.extension = None
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


class SecretInput(forms.TextInput):
    """A box that never shows what was typed before."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Leave the box empty."""
        return super().get_context(name, None, attrs)

    def use_required_attribute(self, initial: Any) -> bool:
        """An empty box may keep what is stored, so browsers do not call it missing."""
        return False


class DigitsField(forms.CharField):
    """Bank details: digits only. An empty box keeps what is stored."""

    def __init__(self, *, form: str, refusal: str, **options: Any) -> None:
        self.form, self.refusal, self.stored = re.compile(form), refusal, ""
        widget = SecretInput(attrs={**_DIGITS, "class": "input-short"})
        super().__init__(max_length=40, widget=widget, **options)

    def clean(self, value: Any) -> str:
        """Return the digits."""
        digits = _BETWEEN.sub("", super().clean(value or self.stored))
        if not self.form.fullmatch(digits):
            raise ValidationError(self.refusal)
        return digits

    def keep(self, stored: str) -> None:
        """Say what is stored, by its end, and let it stand."""
        self.stored = stored
        self.help_text = f"We have one {_masked(stored)}. Type it again only to change it."


class FilesInput(forms.FileInput):
    """A box that takes one file or several."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Files judged by their content. Cleans to a list of `CheckedFile`."""

    def __init__(self, *, most: int, **options: Any) -> None:
        self.most = most
        widget = (FilesInput if most > 1 else forms.FileInput)(attrs={"accept": _ACCEPTED})
        super().__init__(required=False, allow_empty_file=True, widget=widget, **options)

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Read every file and say what is wrong with the first one that cannot be taken."""
        files = data if isinstance(data, list) else [data]
        present = [one for one in files if one]
        if len(present) > self.most:
            raise ValidationError(f"Choose {self.most} files at most")
        return [_checked(super(FilesField, self).clean(one, initial)) for one in present]


def _checked(file: Any) -> CheckedFile:
    try:
        upload = uploads.inspect(file, file.name)
    except UploadError as problem:
        raise ValidationError(f"“{file.name[:60]}”: {problem}") from None
    file.seek(0)
    return CheckedFile(upload, file.read())


# ---- What the steps share --------------------------------------------------------------------


class StepForm(forms.Form):
    """One page of the application; `kept` is what an earlier visit left.

    It is kept when it is wrong as well: so its errors are shown after a redirect, and the back
    button never asks to send again. What may not be kept leaves its error, as "wrong_" and name.
    """

    choice_hints: ClassVar[dict[str, dict[str, str]]] = {}

    def __init__(self, data: Any = None, files: Any = None, *, kept: Kept | None = None) -> None:
        self.kept = dict(kept or {})
        self.typed: Any = data or {}
        super().__init__(data, files, initial=self.kept)

    def to_keep(self) -> dict[str, str]:
        """What was typed, for the draft."""
        return {
            name: str(self.typed.get(name) or "")[:LONGEST_KEPT]
            for name, field in self.fields.items()
            if not isinstance(field, forms.FileField)
        }

    def answers(self) -> Iterator[Answer]:
        """The lines of the check page; only for a valid form."""
        yield from ()


class CertificateNumber(forms.Form):
    """A certificate number. One that looks mistyped has to be sent twice."""

    certificate_number = forms.CharField(
        label="Certificate number",
        help_text="On the certificate, top right. Capitals, spaces and dashes do not matter.",
        widget=forms.TextInput(attrs={**_PLAIN, "class": "input-medium mono"}),
        error_messages={"required": str(messages.certificate_problem(""))},
    )
    certain = forms.CharField(required=False, widget=forms.HiddenInput)

    doubted = False

    def clean_certificate_number(self) -> str:
        """Refuse what no certificate has; doubt, once, what is probably mistyped."""
        typed = self.cleaned_data["certificate_number"]
        if problem := messages.certificate_problem(typed):
            raise ValidationError(problem)
        number = messages.normalise_certificate(typed)
        warning = messages.certificate_warning(typed)
        if warning and self.data.get("certain") != number:
            self._doubt(number)
            raise ValidationError(f"{warning} If yours is different, press “Use it all the same”.")
        return number

    def _doubt(self, number: str) -> None:
        """Put the number into the page: sent once more, it is meant."""
        typed: Any = self.data
        self.data = {**{name: typed.get(name) for name in typed}, "certain": number}
        self.doubted = True


class InstallationAddress(forms.Form):
    """Where the panels are."""

    address_line_1 = forms.CharField(
        label="House number or name, and street",
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "address-line1"}),
        error_messages={"required": "Write the house number or name, and the street"},
    )
    address_line_2 = forms.CharField(
        label="Second line of the address",
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "address-line2"}),
    )
    town = forms.CharField(
        label="Town or city",
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "address-level2", "class": "input-medium"}),
        error_messages={"required": "Write the town or city"},
    )
    postcode = PostcodeField(label="Postcode", error_messages={"required": "Write the postcode"})


class Meters(forms.Form):
    """Both MPANs, and whether the distributor was told."""

    import_mpan = MpanField(
        label="Import MPAN",
        help_text="13 digits: the number of your electricity supply. On any electricity bill, "
        "mostly beside a large S. We compare it with your certificate.",
    )
    export_mpan = MpanField(
        label="Export MPAN",
        help_text="13 digits as well, but another number. Your electricity distributor gives it to "
        "you for what you export. If you do not have it yet, leave it out: we can decide without "
        "it, and pay as soon as you have it.",
    )
    dno_told = forms.ChoiceField(
        label="Has your electricity distributor been told about the installation?",
        help_text="The distributor owns the cables to your home. Mostly the installer tells them.",
        choices=Application.Told.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose whether your distributor has been told"},
    )
    choice_hints: ClassVar[dict[str, dict[str, str]]] = {
        "dno_told": {"unknown": "We see whether the certificate says so"}
    }

    def clean(self) -> dict[str, Any]:
        """Refuse one number for both."""
        cleaned = super().clean() or {}
        if cleaned.get("import_mpan") and cleaned["import_mpan"] == cleaned.get("export_mpan"):
            self.add_error(
                "export_mpan",
                "Export MPAN: this is your import MPAN once more. The export MPAN is another "
                "number; leave it out if you do not have it.",
            )
        return cleaned


# ---- The steps -------------------------------------------------------------------------------


class CertificateForm(CertificateNumber, StepForm):
    """Step 1: the certificate, and what is applied for."""

    kind = forms.ChoiceField(
        label="What are you applying for?",
        choices=(
            (Application.Kind.NEW.value, "A new installation"),
            (Application.Kind.EXTENSION.value, "More panels on one you already told us about"),
            (Application.Kind.SWITCH.value, "Moving to us from another supplier"),
        ),
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what you are applying for"},
    )
    choice_hints: ClassVar[dict[str, dict[str, str]]] = {
        "kind": {
            "new": "Nobody pays you for its export yet",
            "extension": "The new panels have a certificate of their own: use that one",
            "switch": "We tell them; you need not",
        }
    }
    field_order = ("certificate_number", "kind")

    def answers(self) -> Iterator[Answer]:
        """The lines of the check page."""
        yield Answer(
            "Certificate", self.cleaned_data["certificate_number"], "certificate_number", mono=True
        )
        yield Answer("You apply for", _chosen(self, "kind"), "kind_0")


class AddressForm(InstallationAddress, StepForm):
    """Step 2: where the panels are."""

    def answers(self) -> Iterator[Answer]:
        """The line of the check page."""
        lines = ("address_line_1", "address_line_2", "town", "postcode")
        said = ", ".join(self.cleaned_data[name] for name in lines if self.cleaned_data[name])
        yield Answer("Address of the panels", said, "address_line_1")


class MetersForm(Meters, StepForm):
    """Step 3: meters, distributor and battery."""

    battery = forms.ChoiceField(
        label="Do you have a battery?",
        choices=YES_NO,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose whether you have a battery"},
    )

    def answers(self) -> Iterator[Answer]:
        """The lines of the check page."""
        said = self.cleaned_data
        yield _mpan("Import MPAN", said["import_mpan"], "import_mpan")
        yield _mpan("Export MPAN", said["export_mpan"], "export_mpan")
        yield Answer("Distributor told", _chosen(self, "dno_told"), "dno_told_0")
        yield Answer("Battery", _chosen(self, "battery"), "battery_0")


class YouForm(StepForm):
    """Step 4: who applies and where we write."""

    name = forms.CharField(
        label="Your full name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"required": "Write your name"},
    )
    email = forms.EmailField(
        label="E-mail address",
        help_text="We send your reference and your private link there, and our decision.",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
        error_messages={
            "required": "Write your e-mail address",
            "invalid": "Write an e-mail address, like name@example.org",
        },
    )
    phone = PhoneField(
        label="Phone number",
        help_text="We only call about this application.",
        required=False,
        max_length=60,
        widget=forms.TextInput(
            attrs={"type": "tel", "autocomplete": "tel", "class": "input-medium"}
        ),
    )
    postal_address = forms.CharField(
        label="Postal address",
        help_text="Only if your post goes to another address than that of the panels.",
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "street-address"}),
    )

    def clean_postal_address(self) -> str:
        """Return one line a line, without empty ones."""
        lines = (line.strip() for line in self.cleaned_data["postal_address"].splitlines())
        return "\n".join(line for line in lines if line)

    def answers(self) -> Iterator[Answer]:
        """The lines of the check page."""
        said = self.cleaned_data
        yield Answer("Name", said["name"], "name")
        yield Answer("E-mail", said["email"], "email")
        yield Answer("Phone", said["phone"], "phone")
        lines = ", ".join(said["postal_address"].splitlines())
        yield Answer("Postal address", lines or "The same as the panels", "postal_address")


class PaymentForm(StepForm):
    """Step 5: other payments, and the account. Right bank details are shown by their end only."""

    SECRETS: ClassVar[tuple[str, ...]] = ("sort_code", "account_number")

    fit = forms.ChoiceField(
        label="Do you get Feed-in Tariff (FIT) payments for the electricity you export?",
        help_text="FIT payments for what you generate are fine: this is only about the payments "
        "for export. Nobody may be paid twice for it.",
        choices=(("no", "No, I do not"), ("yes", "Yes, I do")),
        widget=forms.RadioSelect,
        error_messages={"required": "Choose whether you get FIT payments for export"},
    )
    account_name = forms.CharField(
        label="Name on the account",
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Write the name on the account"},
    )
    sort_code = DigitsField(
        label="Sort code",
        help_text="6 digits, like 12-34-56",
        form=r"[0-9]{6}",
        refusal="Write the 6 digits of the sort code, like 12-34-56",
        error_messages={"required": "Write the sort code"},
    )
    account_number = DigitsField(
        label="Account number",
        help_text="8 digits. If yours has only 6 or 7, we put zeros in front, as banks do.",
        form=r"[0-9]{6,8}",
        refusal="Write the 8 digits of the account number; 6 or 7 will do as well",
        error_messages={"required": "Write the account number"},
    )
    choice_hints: ClassVar[dict[str, dict[str, str]]] = {
        "fit": {"yes": "You can apply all the same: a person looks at it and writes to you"}
    }

    def __init__(self, data: Any = None, files: Any = None, *, kept: Kept | None = None) -> None:
        super().__init__(data, files, kept=kept)
        for name in self.SECRETS:
            field: Any = self.fields[name]
            if wrong := self.typed.get(f"wrong_{name}"):
                field.error_messages["required"] = wrong
            if stored := self.kept.get(name):
                field.keep(stored)

    def to_keep(self) -> dict[str, str]:
        """What was typed; of the bank details what is right, and what is wrong with the rest."""
        wrong = {f"wrong_{x}": str(self.errors[x][0]) for x in self.SECRETS if x in self.errors}
        right = {name: self.cleaned_data.get(name, "") for name in self.SECRETS}
        return {**super().to_keep(), **right, **wrong}

    def clean_account_number(self) -> str:
        """Put zeros in front of a shorter number."""
        return str(self.cleaned_data["account_number"]).zfill(8)

    def answers(self) -> Iterator[Answer]:
        """The lines of the check page, with the account masked."""
        said = self.cleaned_data
        yield Answer("FIT payments for export", _chosen(self, "fit"), "fit_0")
        yield Answer("Name on the account", said["account_name"], "account_name")
        yield Answer("Sort code", _masked(said["sort_code"]).capitalize(), "sort_code")
        masked = _masked(said["account_number"]).capitalize()
        yield Answer("Account number", masked, "account_number")


def _masked(digits: str) -> str:
    """Say how bank details end: "ending in 07"."""
    return f"ending in {digits[-2:]}"


class ProofForm(StepForm):
    """Step 6: a file, which nobody has to send."""

    file = FilesField(
        most=1,
        label="Add a file (optional)",
        help_text="PDF, JPEG or PNG, up to 10 MB, 3 files at most.",
    )

    def clean_file(self) -> Any:
        """Say once more what was wrong with the last file."""
        if wrong := self.typed.get("wrong_file"):
            raise ValidationError(wrong)
        return self.cleaned_data["file"]

    def to_keep(self) -> dict[str, str]:
        """What was wrong with the file; the file itself is stored beside the draft."""
        return {"wrong_file": str(self.errors["file"][0])} if "file" in self.errors else {}


class AcceptForm(forms.Form):
    """Step 7: the terms."""

    accept = forms.BooleanField(
        label="I have read the terms, and I accept them",
        error_messages={"required": "Tick the box to accept the terms"},
    )


def _mpan(label: str, number: str, field: str) -> Answer:
    return Answer(label, number, field, mono=bool(number))


def _chosen(form: forms.Form, name: str) -> str:
    field: Any = form.fields[name]
    return str(dict(field.choices)[form.cleaned_data[name]])


# ---- The tracking page -----------------------------------------------------------------------


class NumberForm(CertificateNumber):
    """The right certificate number, when the registry does not know the first."""


class CorrectForm(CertificateNumber, InstallationAddress, Meters):
    """What can be put right until we decide."""

    field_order = (
        "certificate_number",
        "address_line_1",
        "address_line_2",
        "town",
        "postcode",
        "import_mpan",
        "export_mpan",
        "dno_told",
    )


class ExportMpanForm(forms.Form):
    """The export MPAN, when it comes after the approval."""

    export_mpan = MpanField(label="Export MPAN", help_text="13 digits, from the distributor.")

    def clean_export_mpan(self) -> str:
        """Refuse an empty one."""
        number: str = self.cleaned_data["export_mpan"]
        if not number:
            raise ValidationError("Write the export MPAN.")
        return number


class AnswerForm(forms.Form):
    """The answer to our question."""

    text = forms.CharField(
        label="Your answer",
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 5}),
        error_messages={"required": "Write your answer"},
    )
    uploads = FilesField(
        most=MOST_FILES,
        label="Files that help",
        help_text="PDF, JPEG or PNG, up to 10 MB each, 3 files at most.",
    )


class WithdrawForm(forms.Form):
    """Why, if the customer wants to say so."""

    reason = forms.CharField(
        label="Why you withdraw",
        help_text="You need not say. It helps us to do better.",
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
