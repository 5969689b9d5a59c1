"""Forms about meters: particulars, a change of meter, an upload, and what to export."""

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from core import mpan
from metering import messages
from metering.actions import Particulars
from metering.meter_csv import LONGEST_TEXT, MOST_BYTES
from metering.models import Meter, MeterType

LONGEST_EXPORT = 800
_DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class MeterForm(forms.Form):
    """The particulars of a meter; a stored password is never shown."""

    mpan = forms.CharField(label="MPAN", max_length=30, help_text="13 digits")
    serial_number = forms.CharField(label="Serial number", required=False, max_length=LONGEST_TEXT)
    meter_type = forms.ModelChoiceField(
        MeterType.objects.none(), label="Meter type", empty_label="Choose"
    )
    remote_address = forms.CharField(
        label="Remote address",
        max_length=60,
        help_text="UK phone number, IP address with port like 10.2.34.4:3400, "
        "or PAKNET number of 14 digits",
    )
    coms_settings = forms.CharField(
        label="Coms settings",
        required=False,
        max_length=3,
        help_text="Data bits, parity, stop bits, like 7E1; only for phone numbers",
    )
    outstation_address = forms.CharField(
        label="Outstation address", required=False, max_length=LONGEST_TEXT
    )
    password = forms.CharField(
        label="Password",
        required=False,
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    forget_password = forms.BooleanField(label="Forget the stored password", required=False)
    priority = forms.IntegerField(
        label="Priority", min_value=1, max_value=32_767, initial=5, help_text="1 is asked first"
    )
    group = forms.CharField(label="Collection group", required=False, max_length=40)
    capacity_kw = forms.DecimalField(
        label="Capacity (kW)",
        required=False,
        min_value=0,
        max_digits=9,
        decimal_places=2,
        help_text="What can flow at most; more than that is marked",
    )
    active = forms.BooleanField(label="Active: this meter is asked", required=False, initial=True)

    def __init__(self, *args: Any, meter: Meter | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": _initial(meter), **kwargs})
        self.fields["meter_type"].queryset = MeterType.objects.all()  # type: ignore[attr-defined]
        if meter is None or not meter.password:
            del self.fields["forget_password"]
        else:
            self.fields["password"].help_text = "One is stored. Leave this empty to keep it."

    def clean_mpan(self) -> str:
        """Thirteen digits whose last one fits."""
        try:
            return mpan.parse(self.cleaned_data["mpan"])
        except mpan.MpanError as problem:
            raise ValidationError(str(problem)) from problem

    def clean_remote_address(self) -> str:
        """One of the three forms, as the service wants it."""
        text: str = self.cleaned_data["remote_address"]
        if problem := messages.remote_address_problem(text):
            raise ValidationError(problem)
        return messages.normalise_remote_address(text)

    def clean(self) -> dict[str, Any]:
        """Coms settings belong to phone numbers."""
        found = super().clean() or self.cleaned_data
        text = found.get("coms_settings", "").strip().upper()
        if "remote_address" in found and (
            problem := messages.coms_settings_problem(text, found["remote_address"])
        ):
            self.add_error("coms_settings", problem)
        found["coms_settings"] = text
        return found

    def particulars(self) -> Particulars:
        """What was written, for an action."""
        found = dict(self.cleaned_data)
        if found.pop("forget_password", False):
            found["password"] = ""
        elif not found["password"]:
            found["password"] = None
        return Particulars(**found)


def _initial(meter: Meter | None) -> dict[str, Any]:
    if meter is None:
        return {}
    names = ("mpan", "serial_number", "meter_type", "remote_address", "coms_settings")
    more = ("outstation_address", "priority", "group", "capacity_kw", "active")
    return {name: getattr(meter, name) for name in (*names, *more)}


class MeterChangeForm(forms.Form):
    """That another meter hangs there now."""

    at = forms.DateTimeField(
        label="Changed at",
        help_text="Local time",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    serial_number = forms.CharField(
        label="Serial number of the new meter", required=False, max_length=LONGEST_TEXT
    )
    note = forms.CharField(
        label="Why, and who says so", max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_at(self) -> datetime:
        """Not still to come."""
        at: datetime = self.cleaned_data["at"]
        if at > timezone.now():
            raise ValidationError("This is still to come.")
        return at


class UploadForm(forms.Form):
    """A CSV file of meters."""

    file = forms.FileField(
        label="CSV file",
        help_text="First line: MPAN, METER_TYPE, REMOTE_ADDRESS; optional COM_SETTINGS, OUTSTATION,"
        " PASSWORD, SURVEY_DAYS, SURVEY_DATE, SERIAL_NUMBER",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )

    def clean_file(self) -> Any:
        """Not larger than we read."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise ValidationError("The file is larger than 5\N{NO-BREAK SPACE}MB. Split it.")
        return file


class ConfirmForm(forms.Form):
    """What else happens when an upload is imported."""

    ask_now = forms.BooleanField(
        label="Ask these meters now, as SURVEY_DAYS and SURVEY_DATE say", required=False
    )


class ExportForm(forms.Form):
    """Which half hours to write out."""

    first = forms.DateField(label="From", widget=_DAY)
    last = forms.DateField(label="To", help_text="This day included", widget=_DAY)
    group = forms.ChoiceField(label="Meters", required=False)
    accepted = forms.BooleanField(
        label="For billing: readings of accepted reads only", required=False
    )

    def __init__(self, *args: Any, meter: Meter | None = None, **kwargs: Any) -> None:
        yesterday = timezone.localdate() - timedelta(days=1)
        usual = {"first": yesterday.replace(day=1), "last": yesterday}
        super().__init__(*args, **{"initial": usual, **kwargs})
        if meter is not None:
            del self.fields["group"]
        else:
            self.fields["group"].choices = _groups()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A stretch that ends after it begins and is not too long."""
        found = super().clean() or self.cleaned_data
        first, last = found.get("first"), found.get("last")
        if isinstance(first, date) and isinstance(last, date):
            if last < first:
                self.add_error("last", "This is before the first day.")
            elif (last - first).days >= LONGEST_EXPORT:
                self.add_error("last", f"Choose at most {LONGEST_EXPORT} days.")
            elif not 2000 <= first.year <= last.year <= 2100:
                self.add_error("first", "Choose days from 2000 to 2100.")
        return found


def _groups() -> list[tuple[str, str]]:
    names = Meter.objects.exclude(group="").order_by("group").values_list("group", flat=True)
    return [("", "Every meter"), *((name, f"Group {name}") for name in names.distinct())]
