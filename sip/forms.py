"""Forms of the safe isolation desk's office pages: they validate, they never save."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from core import mpan, postcode
from core.models import User
from core.uploads import MAX_BYTES, UploadError, inspect
from sip import job_csv
from sip.actions import Details, details_problems
from sip.messages import JOB_DETAILS
from sip.models import Resolution

_DAY = forms.DateInput(attrs={"type": "date", "class": "input-medium"}, format="%Y-%m-%d")
FIRST_YEAR, LAST_YEAR = 2000, 2099
_PLAIN: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
_ACCEPTED = ".pdf,.jpg,.jpeg,.png,application/pdf,image/jpeg,image/png"


class EngineerField(forms.ModelChoiceField[User]):
    """Somebody who can be given a job."""

    def __init__(self, **options: Any) -> None:
        people = User.objects.filter(
            is_active=True, groups__permissions__codename="work_own_job"
        ).distinct()
        super().__init__(people, label="Engineer", required=False, **options)


class JobForm(forms.Form):
    """A new job: the fields of the message's job details, the day and the engineer."""

    mpan = forms.CharField(
        label="MPAN",
        max_length=30,
        help_text="13 digits; the last one is checked",
        widget=forms.TextInput(
            attrs={**_PLAIN, "inputmode": "numeric", "class": "input-medium mono"}
        ),
    )
    supplier_mpid = forms.CharField(
        label="Supplier’s MPID",
        max_length=4,
        help_text="four letters or digits",
        widget=forms.TextInput(attrs={**_PLAIN, "class": "input-short mono"}),
    )
    contact_name = forms.CharField(label="Person on site", max_length=100)
    address = forms.CharField(label="Address", max_length=200, help_text="flat, house and street")
    town = forms.CharField(label="Town", max_length=100)
    post_code = forms.CharField(
        label="Postcode",
        max_length=12,
        widget=forms.TextInput(attrs={**_PLAIN, "class": "input-short"}),
    )
    contact_telephone = forms.CharField(
        label="Telephone",
        max_length=30,
        widget=forms.TextInput(attrs={"type": "tel", "class": "input-medium"}),
    )
    planned_date = forms.DateField(label="Planned for", widget=_DAY)
    engineer = EngineerField(empty_label="Nobody yet")
    customer_vulnerability = forms.CharField(
        label="Known vulnerability of the customer",
        required=False,
        max_length=JOB_DETAILS.field("customer_vulnerability").longest,
        help_text="Health data: only this desk and the job’s engineer read it. It is part of the "
        "market message.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    site_risk = forms.CharField(
        label="Known risk at the site",
        required=False,
        max_length=JOB_DETAILS.field("site_risk").longest,
        help_text="Only this desk and the job’s engineer read it. It is part of the market "
        "message.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def clean_mpan(self) -> str:
        """Thirteen digits whose last one fits."""
        try:
            return mpan.parse(self.cleaned_data["mpan"])
        except mpan.MpanError as problem:
            raise ValidationError(str(problem)) from problem

    def clean_supplier_mpid(self) -> str:
        """In capitals, as it is sent."""
        text: str = self.cleaned_data["supplier_mpid"]
        return text.upper()

    def clean_post_code(self) -> str:
        """As it is stored."""
        return postcode.normalise(self.cleaned_data["post_code"])

    def clean(self) -> dict[str, Any]:
        """What the rules of the message say about the details."""
        found = super().clean() or self.cleaned_data
        if not self.errors:
            for problem in details_problems(Details(**found)):
                self.add_error(problem.field, problem.sentence)
        return found

    def details(self) -> Details:
        """What was written, for an action."""
        return Details(**self.cleaned_data)


class PlanForm(forms.Form):
    """Who goes there, and on which day."""

    engineer = EngineerField(empty_label="Nobody")
    planned_date = forms.DateField(label="Planned for", required=False, widget=_DAY)

    def __init__(self, *args: Any, day_needed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["planned_date"].required = day_needed
        if not day_needed:
            self.fields["planned_date"].help_text = "Leave it empty to keep each job’s day."


class ReasonForm(forms.Form):
    """Why something is done; colleagues and the auditor read it."""

    reason = forms.CharField(
        label="Why",
        help_text="Colleagues and the auditor read it. Write nothing about health here.",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": "Write the reason"},
    )

    def __init__(self, *args: Any, label: str = "Why", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].label = label


class SettleForm(forms.Form):
    """What the party says about a message whose fate is unknown."""

    answer = forms.ChoiceField(
        label="What did they say?",
        choices=Resolution.Answer.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what they said"},
    )
    told_by = forms.CharField(
        label="Who told you?",
        help_text="Name and role at the party",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Write who at the party told you"},
    )
    reason = forms.CharField(
        label="How do they know?",
        help_text="Such as “searched for the job id, found it with request id …”",
        max_length=2000,
        min_length=10,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={
            "required": "Write how they know",
            "min_length": "Write a whole sentence: it is why this is settled",
        },
    )
    choice_hints: dict[str, dict[str, str]] = {
        "answer": {
            Resolution.Answer.RECEIVED: "The job becomes Accepted. Nothing is sent.",
            Resolution.Answer.NEVER: "A new send becomes possible. It is checked and confirmed "
            "again.",
        }
    }


class EvidenceForm(forms.Form):
    """Something in writing from the party, if there is any."""

    evidence = forms.FileField(
        label="E-mail or screenshot, if you have one",
        required=False,
        help_text="PDF, JPEG or PNG",
        widget=forms.ClearableFileInput(attrs={"accept": _ACCEPTED}),
    )

    def clean_evidence(self) -> Any:
        """A PDF or a picture, judged by its content: what it is, and its bytes."""
        file = self.cleaned_data["evidence"]
        if file is None:
            return None
        try:
            upload = inspect(file, file.name, max_bytes=MAX_BYTES)
        except UploadError as problem:
            raise ValidationError(str(problem)) from None
        file.seek(0)
        return upload, file.read()


class KeyForm(forms.Form):
    """What was done about the key that the party refused."""

    note = forms.CharField(
        label="What was done about the key",
        help_text="Such as “new key from the party, entered and the portal restarted”. Never "
        "write the key itself.",
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write what was done about the key"},
    )


class FileForm(forms.Form):
    """A CSV file."""

    file = forms.FileField(
        label="CSV file",
        help_text=f"At most {job_csv.MOST_BYTES // 1024 // 1024}\N{NO-BREAK SPACE}MB",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
        error_messages={"required": "Choose a file"},
    )

    def clean_file(self) -> Any:
        """Not larger than a list of jobs can be."""
        file = self.cleaned_data["file"]
        if file.size > job_csv.MOST_BYTES:
            raise ValidationError("The file is too large. Split it.")
        return file


class CodeForm(forms.Form):
    """One code of a list, and what it means where the party has said so."""

    value = forms.CharField(
        label="Code",
        max_length=100,
        help_text="Exactly as the party writes it",
        widget=forms.TextInput(attrs={**_PLAIN, "class": "input-medium mono"}),
    )
    meaning = forms.CharField(
        label="Meaning",
        required=False,
        max_length=200,
        help_text="Only what the party says; leave it empty when they have not said it",
    )
    active = forms.BooleanField(
        label="In use: engineers can choose it", required=False, initial=True
    )

    def clean_value(self) -> str:
        """Signs that can be sent."""
        text: str = self.cleaned_data["value"]
        if not text.isprintable():
            raise ValidationError("This has signs in it that cannot be sent. Write it again.")
        return text


class PeriodForm(forms.Form):
    """A stretch of days, both included."""

    first = forms.DateField(label="Created from", required=False, widget=_DAY)
    last = forms.DateField(label="to", required=False, widget=_DAY)

    def clean(self) -> dict[str, Any]:
        """In the order of the calendar, and years that a calendar has."""
        found = super().clean() or self.cleaned_data
        first, last = found.get("first"), found.get("last")
        if first and last and last < first:
            self.add_error("last", "This day is before the first.")
        for name, day in list(found.items()):
            if day and not FIRST_YEAR <= day.year <= LAST_YEAR:
                self.add_error(name, "Write a day of this century.")
        return found
