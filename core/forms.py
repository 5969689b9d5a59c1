"""The frame's own small forms: a note, an assignment, an acknowledgement."""

from typing import Any

from django import forms

from core.models import User


class NoteForm(forms.Form):
    """A note for colleagues; `help_text` says who else may read it where that is no customer."""

    text = forms.CharField(
        label="Note for colleagues",
        help_text="The customer does not see notes, but may ask for them.",
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, help_text: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if help_text:
            self.fields["text"].help_text = help_text


class AcknowledgeForm(forms.Form):
    """One sentence about an alarm."""

    note = forms.CharField(label="What you did or know", max_length=1000)


class AssignForm(forms.Form):
    """Who should look after a case."""

    person = forms.ModelChoiceField(
        User.objects.none(), label="Give it to", required=False, empty_label="Nobody"
    )

    def __init__(self, *args: Any, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].queryset = people  # type: ignore[attr-defined]
