"""Forms about price books: a file with its version and days. They validate, they never save."""

from typing import Any

from django import forms

from gasquotes.sheets import MOST_BYTES

DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def clean_size(file: Any) -> Any:
    """Refuse what is larger than we read."""
    if file.size > MOST_BYTES:
        raise forms.ValidationError("The file is larger than 5\N{NO-BREAK SPACE}MB. Split it.")
    return file


def csv_field(help_text: str) -> forms.FileField:
    """A box for a CSV file."""
    return forms.FileField(
        label="CSV file",
        help_text=help_text,
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        error_messages={"required": "Choose the file", "empty": "This file is empty"},
    )


class BookForm(forms.Form):
    """A price book as a file."""

    version = forms.CharField(
        label="Version",
        max_length=20,
        help_text="Stands on every quote that is priced with it, such as 2026-12. A draft of the "
        "same version is replaced.",
        widget=forms.TextInput(attrs={"class": "input-medium"}),
        error_messages={"required": "Write the version"},
    )
    valid_from = forms.DateField(
        label="First day",
        widget=DAY,
        error_messages={"required": "Choose the first day on which these prices hold"},
    )
    valid_to = forms.DateField(
        label="Last day",
        widget=DAY,
        help_text="Published books must not overlap.",
        error_messages={"required": "Choose the last day on which these prices hold"},
    )
    exit_fee = forms.DecimalField(
        label="Exit fee (£)",
        min_value=0,
        max_digits=9,
        decimal_places=2,
        initial=0,
        widget=forms.NumberInput(attrs={"class": "input-short", "step": "0.01"}),
        error_messages={"required": "Write the exit fee; 0 means none"},
    )
    file = csv_field(
        "First line: LDZ, AQ_BAND, MARKET_SECTOR, MONTHS, PAYMENT, UNIT_RATE, STANDING_CHARGE."
    )

    def clean_file(self) -> Any:
        """Not larger than we read."""
        return clean_size(self.cleaned_data["file"])

    def clean(self) -> dict[str, Any]:
        """The days in their order."""
        said: dict[str, Any] = super().clean() or {}
        first, last = said.get("valid_from"), said.get("valid_to")
        if first and last and last < first:
            self.add_error("valid_to", "This is before the first day")
        return said
