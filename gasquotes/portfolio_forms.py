"""Forms about many supply points: an upload, a name, what to watch. They never save."""

from typing import Any

from django import forms

from gasquotes.book_forms import clean_size, csv_field
from gasquotes.models import LENGTHS_OF_CONTRACT, PAYMENTS


class ListForm(forms.Form):
    """A CSV file of MPRNs, and what becomes of it."""

    title = forms.CharField(
        label="What is this list?",
        max_length=100,
        help_text="Such as “Harbour Foods, all sites”. It names the run and, if kept, the "
        "portfolio.",
        error_messages={"required": "Give the list a name"},
    )
    file = csv_field(
        "One MPRN a row; a column named MPRN is found among others. At most 100,000 rows."
    )
    keep = forms.BooleanField(
        label="Keep it as a portfolio, to watch and to quote again",
        required=False,
        initial=True,
    )
    look_up_all = forms.BooleanField(
        label="Look up every supply point, also those that were looked up recently",
        required=False,
        help_text="Otherwise a recent look-up serves again and costs no call.",
    )
    key = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput())

    def clean_file(self) -> Any:
        """Not larger than we read."""
        return clean_size(self.cleaned_data["file"])


class KeepForm(forms.Form):
    """The name under which the supply points of a run are kept."""

    name = forms.CharField(
        label="Name of the portfolio",
        max_length=100,
        error_messages={"required": "Write a name"},
    )


class WatchForm(forms.Form):
    """The contract whose prices the yearly cost is worked out with."""

    months = forms.TypedChoiceField(
        label="Contract length", choices=LENGTHS_OF_CONTRACT, coerce=int, required=False
    )
    payment = forms.ChoiceField(
        label="Payment",
        choices=[(value, label.capitalize()) for value, label in PAYMENTS],
        required=False,
    )

    def chosen(self) -> dict[str, Any]:
        """Months and payment; the usual ones where nothing valid was chosen."""
        said = self.cleaned_data if self.is_valid() else {}
        return {
            "months": said.get("months") or 12,
            "payment": said.get("payment") or "direct_debit",
        }
