"""Forms of the metering desk's pages about reads: they validate, they never save."""

from datetime import date
from typing import Any

from django import forms
from django.utils import timezone

LONGEST_SURVEY = 400
REASON = forms.Textarea(attrs={"rows": 4})


class AskForm(forms.Form):
    """What is asked of the meters: everything of collection-request that people choose."""

    group = forms.ChoiceField(
        label="Which group",
        help_text="Every active meter of this collection group is asked.",
        error_messages={"required": "Choose a group"},
    )
    survey_days = forms.IntegerField(
        label="Days of half hours",
        help_text=f"0 reads the registers alone. At most {LONGEST_SURVEY} days.",
        min_value=0,
        max_value=LONGEST_SURVEY,
        initial=1,
    )
    survey_date = forms.DateField(
        label="From which day on",
        help_text="Empty means the days up to yesterday.",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    tonight = forms.BooleanField(label="Wait until tonight, 1am", required=False)
    priority = forms.IntegerField(
        label="Priority",
        help_text="1 goes first. Empty takes the priority of each meter.",
        min_value=1,
        max_value=1000,
        required=False,
    )
    adjust_time = forms.BooleanField(label="Set the meter’s clock right as well", required=False)

    def __init__(
        self, *args: Any, groups: list[tuple[str, str]] | None, may_adjust: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if groups is None:
            del self.fields["group"]
        else:
            choices = [("", "Choose a group"), *groups]
            self.fields["group"].choices = choices  # type: ignore[attr-defined]
        if not may_adjust:
            del self.fields["adjust_time"]

    def clean_survey_date(self) -> date | None:
        """A day that has begun."""
        day: date | None = self.cleaned_data["survey_date"]
        if day and day > timezone.localdate():
            raise forms.ValidationError("This day is still to come: choose an earlier one")
        return day

    def clean(self) -> dict[str, Any]:
        """A day says nothing without the number of days."""
        answers: dict[str, Any] = super().clean() or {}
        if answers.get("survey_date") and answers.get("survey_days") == 0:
            self.add_error("survey_days", "Write how many days to read from this day on")
        return answers


class ReasonForm(forms.Form):
    """Why somebody accepts or rejects readings; `stood` is how the read was when they looked."""

    reason = forms.CharField(
        label="Your reason",
        help_text="For colleagues and the auditor; it stays with the readings.",
        max_length=2000,
        widget=REASON,
        error_messages={"required": "Write your reason"},
    )
    stood = forms.CharField(max_length=100, widget=forms.HiddenInput())


class SetAsideForm(forms.Form):
    """Why somebody closes failed reads."""

    reason = forms.CharField(
        label="Your reason",
        help_text="For colleagues and the auditor; it stays with each of these reads.",
        max_length=2000,
        widget=REASON,
        error_messages={"required": "Write your reason"},
    )


class ReplayForm(forms.Form):
    """The read that a delivery belongs to."""

    reference = forms.CharField(
        label="Store it for the read",
        help_text="Our reference, such as MTR-2611-0042.",
        max_length=20,
        error_messages={"required": "Write the reference of the read"},
    )
