"""Forms of the production desk: they validate, they never save. Times are typed as in London."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from core import mpan, uploads

REASON = forms.Textarea(attrs={"rows": 4})
_DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
_CLOCK = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
LARGEST_PHOTO = 10 * 1024 * 1024
LARGEST_CSV = 10 * 1024 * 1024


def energy(label: str, **how: Any) -> forms.DecimalField:
    """A field for kWh: not negative, at most four decimals."""
    return forms.DecimalField(
        label=label, min_value=Decimal(0), max_digits=15, decimal_places=4, **how
    )


class MomentForm(forms.Form):
    """A day and a time of the day in London."""

    day = forms.DateField(label="Day", widget=_DAY, error_messages={"required": "Write the day"})
    clock = forms.TimeField(
        label="Time",
        help_text="London time, as your watch showed it.",
        widget=_CLOCK,
        error_messages={"required": "Write the time"},
    )

    def moment(self) -> datetime:
        """The moment that was typed, with its zone."""
        said = self.cleaned_data
        return timezone.make_aware(datetime.combine(said["day"], said["clock"]))

    def clean(self) -> dict[str, Any]:
        """No moment that is still to come."""
        answers: dict[str, Any] = super().clean() or {}
        if answers.get("day") and answers.get("clock") and self.moment() > _soon():
            self.add_error("day", "This time is still to come: write when it was read")
        return answers


def _soon() -> datetime:
    """Now, with a minute of grace for a clock that is a little fast."""
    return timezone.now() + timedelta(minutes=1)


class PhotoForm(forms.Form):
    """A photo of the meter, checked by its content."""

    photo = forms.FileField(
        label="Photo of the meter",
        help_text="If you have one: JPEG or PNG, at most 10 MB.",
        required=False,
    )
    upload: tuple[uploads.Upload, bytes] | None = None

    def clean_photo(self) -> Any:
        """A picture whose content is what it says."""
        file = self.cleaned_data["photo"]
        if not file:
            return None
        try:
            upload = uploads.inspect(file, file.name, max_bytes=LARGEST_PHOTO)
        except uploads.UploadError as problem:
            raise ValidationError(str(problem)) from problem
        if upload.kind == "pdf":
            raise ValidationError("Send a picture (JPEG or PNG), not a PDF")
        file.seek(0)
        self.upload = upload, file.read()
        return file


class ReadingForm(PhotoForm, MomentForm):
    """A lifetime total, when it was read, and a note for MassCEC; `stood` as in ReasonForm."""

    value = energy(
        "Lifetime total, kWh",
        help_text="What the meter shows, not the month’s production.",
        error_messages={"required": "Write what the meter shows"},
    )
    party_note = forms.CharField(
        label="Note to MassCEC", required=False, max_length=500, help_text="They read it."
    )
    replacing = forms.BooleanField(
        label="I know that a new submission replaces the passed one and may lose the pass",
        required=False,
    )
    stood = forms.CharField(max_length=100, widget=forms.HiddenInput())
    field_order = ["value", "day", "clock", "party_note", "photo", "replacing"]

    def __init__(self, *args: Any, has_passed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_passed:
            del self.fields["replacing"]

    def clean_replacing(self) -> bool:
        """Nobody loses a pass without saying so."""
        if not self.cleaned_data["replacing"]:
            raise ValidationError("Tick this, or leave the passed report as it is")
        return True


class ReasonForm(forms.Form):
    """Why somebody does what the buttons allow; `stood` is how the report was when they looked."""

    reason = forms.CharField(
        label="Your reason",
        help_text="For colleagues and the auditor.",
        max_length=2000,
        widget=REASON,
        error_messages={"required": "Write your reason"},
    )
    stood = forms.CharField(max_length=100, widget=forms.HiddenInput())


class AcceptForm(PhotoForm, ReasonForm):
    """Why an odd reading is right, with a photo if there is one."""

    field_order = ["reason", "photo", "stood"]


class NotesForm(forms.Form):
    """The note that a batch carries to MassCEC."""

    notes = forms.CharField(
        label="Note to MassCEC about this batch", required=False, max_length=500
    )


class SystemForm(forms.Form):
    """What is ours of a system."""

    yearly_estimate = energy(
        "Yearly estimate, kWh",
        required=False,
        help_text="Empty: 1,100 kWh for each kW of capacity.",
    )
    meter_notes = forms.CharField(
        label="Notes about its meter", required=False, max_length=2000, widget=REASON
    )
    mpan = forms.CharField(
        label="MPAN of its meter",
        required=False,
        max_length=30,
        help_text="If the metering desk reads it: 13 digits.",
    )
    register = forms.CharField(
        label="Register",
        required=False,
        max_length=60,
        help_text="Which register counts the production, such as kWh Export.",
    )

    def clean_mpan(self) -> str:
        """Thirteen digits whose last one fits, or nothing."""
        text = self.cleaned_data["mpan"]
        try:
            return mpan.parse(text) if text else ""
        except mpan.MpanError as problem:
            raise ValidationError(str(problem)) from problem

    def clean(self) -> dict[str, Any]:
        """An MPAN needs its register, and the other way round."""
        answers: dict[str, Any] = super().clean() or {}
        if answers.get("mpan") and not answers.get("register"):
            self.add_error("register", "Write which register counts the production")
        if answers.get("register") and not answers.get("mpan") and "mpan" not in self.errors:
            self.add_error("mpan", "Write the MPAN that this register belongs to")
        return answers


class MeterChangeForm(MomentForm):
    """A meter replacement."""

    final_value = energy("Last total of the old meter, kWh")
    first_value = energy("First total of the new meter, kWh", initial=0)
    note = forms.CharField(
        label="What happened",
        max_length=1000,
        widget=REASON,
        error_messages={"required": "Write why the meter was replaced"},
    )
    field_order = ["day", "clock", "final_value", "first_value", "note"]


class WindowForm(forms.Form):
    """Other days for one month's window."""

    first = forms.DateField(label="First day", widget=_DAY)
    last = forms.DateField(label="Last day", widget=_DAY)
    reason = forms.CharField(
        label="Why it differs",
        help_text="Such as MassCEC’s announcement and its date.",
        max_length=300,
        error_messages={"required": "Write why this window differs"},
    )

    def clean(self) -> dict[str, Any]:
        """The last day comes after the first, within a season."""
        answers: dict[str, Any] = super().clean() or {}
        first, last = answers.get("first"), answers.get("last")
        if first and last and last < first:
            self.add_error("last", "The last day is before the first")
        elif first and last and (last - first).days > 62:
            self.add_error("last", "A window of more than two months is not plausible")
        return answers


class ExceptionForm(forms.Form):
    """More tries that the help desk granted."""

    more_valid = forms.IntegerField(label="More valid tries", min_value=0, max_value=10, initial=0)
    more_failed = forms.IntegerField(
        label="More failed tries", min_value=0, max_value=10, initial=0
    )
    granted_by = forms.CharField(
        label="Who granted it at MassCEC",
        max_length=100,
        error_messages={"required": "Write who granted it"},
    )
    reason = forms.CharField(
        label="Why, and how they told us",
        max_length=1000,
        widget=REASON,
        error_messages={"required": "Write why it was granted"},
    )

    def clean(self) -> dict[str, Any]:
        """At least one more try."""
        answers: dict[str, Any] = super().clean() or {}
        if not answers.get("more_valid") and not answers.get("more_failed"):
            self.add_error("more_valid", "Write how many more tries were granted")
        return answers


class CsvForm(forms.Form):
    """A file of readings."""

    file = forms.FileField(
        label="File of readings",
        help_text="CSV, at most 10 MB.",
        error_messages={"required": "Choose a file"},
    )

    def clean_file(self) -> Any:
        """Not larger than we take."""
        file = self.cleaned_data["file"]
        if file.size > LARGEST_CSV:
            raise ValidationError("This file is larger than 10 MB. Send it in parts")
        return file
