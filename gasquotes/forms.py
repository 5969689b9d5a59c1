"""Forms of the gas quotes desk's pages about quotes: they validate, they never save."""

import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.utils import timezone

from gasquotes import messages
from gasquotes.actions import Enquiry, Terms
from gasquotes.messages import LENGTHS, Filter
from gasquotes.models import LENGTHS_OF_CONTRACT, PAYMENTS, Quote

LONGEST_TYPED = 200  # what is longer than the specification allows gets a sentence, not a cut
LONGEST_WAIT = 730  # days until supply starts
HIGHEST_UPLIFT = Decimal(20)
REASON = forms.Textarea(attrs={"rows": 4})
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
KINDS = [
    ("mprn", "The MPRN"),
    ("postcode", "The postcode and address"),
    ("address_id", "The service’s address ID (internal use)"),
]
ADDRESS = (
    "postcode",
    "house_no",
    "sub_building_name",
    "street",
    "dependent_street",
    "dependent_local",
    "town",
    "county",
    "country",
)
FIELDS_OF = {"mprn": ("mprn",), "postcode": ADDRESS, "address_id": ("address_id",)}


class ChosenField(forms.CharField):
    """A box that must be filled if its kind is chosen; the form judges that."""

    def validate(self, value: Any) -> None:
        """Leave emptiness to the form."""


def _text(label: str, name: str, help_text: str = "", **attrs: str) -> forms.CharField:
    limit = f"At most {LENGTHS[name]} characters."
    of_kind = name in FIELDS_OF
    return (ChosenField if of_kind else forms.CharField)(
        label=label,
        required=of_kind,
        max_length=LONGEST_TYPED,
        help_text=help_text or limit,
        widget=forms.TextInput(attrs={"autocomplete": "off", **attrs}),
    )


# ---- Which supply point ------------------------------------------------------------------------


class PointForm(forms.Form):
    """Which supply point is meant; `asked()` is the filter that the service gets.

    Only the boxes of the chosen kind count, so the service is never asked two things at once.
    """

    kind = forms.ChoiceField(
        label="What do you have?",
        choices=KINDS,
        widget=forms.RadioSelect,
        initial="mprn",
        error_messages={"required": "Choose what you have: the MPRN or the postcode"},
    )
    mprn = _text(
        "MPRN",
        "mprn",
        "The meter point reference number on the gas bill: 6 to 10 digits. It finds exactly one "
        "supply point, so use it where you can.",
        inputmode="numeric",
        **{"class": "input-medium"},
    )
    postcode = _text("Postcode", "postcode", "In full, like AB24 3PU.", **{"class": "input-short"})
    house_no = _text("House number", "house_no", **{"class": "input-short"})
    sub_building_name = _text(
        "Flat or unit", "sub_building_name", "Such as FLAT 2. At most 40 characters."
    )
    street = _text("Street", "street")
    dependent_street = _text(
        "Smaller street",
        "dependent_street",
        "A street within the street, such as a mews. At most 40 characters.",
    )
    dependent_local = _text("Locality", "dependent_local")
    town = _text("Town", "town")
    county = _text("County code", "county", **{"class": "input-short"})
    country = _text("Country code", "country", **{"class": "input-short"})
    address_id = _text(
        "Address ID", "address_id", "The service’s own key of an address. At most 30 characters."
    )

    use_required_attribute = False
    choice_hints: ClassVar[dict[str, dict[str, str]]] = {
        "kind": {
            "mprn": "The surest way.",
            "postcode": "The more of the address you give, the surer one supply point is found.",
        }
    }

    def clean(self) -> dict[str, Any]:
        """Let the specification's own limits judge what was written."""
        answers: dict[str, Any] = super().clean() or {}
        kind = answers.get("kind")
        if kind:
            for name, problem in self._problems(kind).items():
                self.add_error(name if name in FIELDS_OF[kind] else kind, problem)
        return answers

    def _problems(self, kind: str) -> dict[str, str]:
        if not self.cleaned_data.get(kind) and kind not in self.errors:
            return {kind: MISSING[kind]}
        return {
            name: problem
            for name, problem in messages.filter_problems(self.asked()).items()
            if name not in self.errors
        }

    def asked(self) -> Filter:
        """What the service is asked, as it is sent."""
        said = self.cleaned_data
        boxes = {name: said.get(name, "") for name in FIELDS_OF[said["kind"]]}
        return messages.normalised(Filter(**boxes))


MISSING = {
    "mprn": "Write the MPRN, the meter point reference number on the gas bill",
    "postcode": "Write the postcode",
    "address_id": "Write the address ID",
}


def asked_before(quote: Quote) -> dict[str, str]:
    """What was asked for a quote, to start a form with."""
    asked = quote.asked
    boxes = {name: getattr(asked, name) for names in FIELDS_OF.values() for name in names}
    return {"kind": asked.kind or "mprn", **boxes}


# ---- On which terms ----------------------------------------------------------------------------


class TermsForm(forms.Form):
    """What the customer wants: `terms()` for the actions."""

    start = forms.DateField(
        label="Start of supply",
        widget=DAY,
        error_messages={
            "required": "Choose the day on which supply starts",
            "invalid": "Write the day as day, month and year",
        },
    )
    months = forms.TypedChoiceField(
        label="Contract length",
        choices=LENGTHS_OF_CONTRACT,
        coerce=int,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose how long the contract runs"},
    )
    payment = forms.ChoiceField(
        label="Payment",
        choices=[(value, label.capitalize()) for value, label in PAYMENTS],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose how the customer pays"},
    )
    broker_uplift = forms.DecimalField(
        label="Broker uplift (p/kWh)",
        required=False,
        min_value=0,
        max_value=HIGHEST_UPLIFT,
        max_digits=7,
        decimal_places=4,
        help_text="Added to the unit rate and shown to the customer. Empty means none.",
        widget=forms.NumberInput(attrs={"class": "input-short", "step": "any"}),
        error_messages={
            "invalid": "Write the uplift in p/kWh, like 0.75",
            "min_value": "An uplift is not below 0",
            "max_value": f"An uplift above {HIGHEST_UPLIFT} p/kWh cannot be right",
        },
    )
    broker = forms.CharField(
        label="Broker",
        required=False,
        max_length=100,
        help_text="Who gets the uplift.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = {"start": first_of_next_month(), "months": 12, "payment": "direct_debit"}
        super().__init__(
            *args, **{**kwargs, "initial": {**initial, **(kwargs.get("initial") or {})}}
        )

    def clean_start(self) -> date:
        """A day from today on that is not too far away."""
        day: date = self.cleaned_data["start"]
        today = timezone.localdate()
        if day < today:
            raise forms.ValidationError("Supply cannot start in the past: choose a later day")
        if day > today + timedelta(days=LONGEST_WAIT):
            raise forms.ValidationError("Choose a day within the next two years")
        return day

    def clean_broker_uplift(self) -> Decimal:
        """Nothing written is no uplift."""
        return self.cleaned_data["broker_uplift"] or Decimal(0)

    def clean(self) -> dict[str, Any]:
        """An uplift belongs to somebody."""
        answers: dict[str, Any] = super().clean() or {}
        if answers.get("broker_uplift") and not answers.get("broker"):
            self.add_error("broker", "Write who gets the uplift")
        return answers

    def terms(self) -> Terms:
        """The terms for an action."""
        said = self.cleaned_data
        return Terms(
            start=said["start"],
            months=said["months"],
            payment=said["payment"],
            broker_uplift=said["broker_uplift"],
            broker=said["broker"],
        )


def first_of_next_month() -> date:
    """The usual start of supply."""
    return (timezone.localdate().replace(day=1) + timedelta(days=32)).replace(day=1)


def terms_before(quote: Quote) -> dict[str, Any]:
    """The terms of a quote, to start a form with; a start that is over becomes the usual one."""
    start = quote.start if quote.start >= timezone.localdate() else first_of_next_month()
    names = ("months", "payment", "broker_uplift", "broker")
    return {"start": start, **{name: getattr(quote, name) for name in names}}


class EnquiryForm(TermsForm, PointForm):
    """A new quote: who asks, for which supply point, on which terms."""

    name = forms.CharField(
        label="Customer",
        max_length=150,
        help_text="The person or business as it stands on the quote.",
        error_messages={"required": "Write who asks for the quote"},
    )
    email = forms.EmailField(
        label="E-mail",
        required=False,
        help_text="Only needed where the quote goes out by e-mail.",
    )
    key = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = {"key": str(uuid.uuid4()), **(kwargs.get("initial") or {})}
        super().__init__(*args, **{**kwargs, "initial": initial})

    def enquiry(self) -> Enquiry:
        """The enquiry for the action."""
        said = self.cleaned_data
        return Enquiry(
            name=said["name"], asked=self.asked(), terms=self.terms(), email=said["email"]
        )


class RequoteForm(TermsForm):
    """The terms of a new quote that is made from another one."""

    key = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = {"key": str(uuid.uuid4()), **(kwargs.get("initial") or {})}
        super().__init__(*args, **{**kwargs, "initial": initial})


# ---- Decisions ---------------------------------------------------------------------------------


class ReasonForm(forms.Form):
    """Why somebody decides like this."""

    reason = forms.CharField(
        label="Your reason",
        help_text="For colleagues and the auditor; the customer does not read it.",
        max_length=2000,
        widget=REASON,
        error_messages={"required": "Write your reason"},
    )


class AcceptForm(forms.Form):
    """How the customer accepted."""

    reason = forms.CharField(
        label="How the customer accepted",
        help_text="Such as “signed copy by e-mail, 21 November”. For colleagues and the auditor.",
        max_length=2000,
        widget=REASON,
        error_messages={"required": "Write how the customer accepted"},
    )


class IssueForm(forms.Form):
    """Whether the quote goes out by e-mail."""

    by_email = forms.TypedChoiceField(
        label="How does it reach the customer?",
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose how the quote reaches the customer"},
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ways = [("yes", f"By e-mail to {email}")] if email else []
        ways.append(("no", "Without e-mail: I give the PDF to the customer myself"))
        self.fields["by_email"].choices = ways  # type: ignore[attr-defined]
