"""Forms of the export tariff desk's staff pages: they validate, they never save."""

from typing import Any

from django import forms

REASON = forms.Textarea(attrs={"rows": 4})


class ApproveForm(forms.Form):
    """A reason, needed only while a check does not pass."""

    reason = forms.CharField(
        label="Why you approve",
        help_text="For colleagues and the auditor; the customer does not read it.",
        max_length=2000,
        required=False,
        widget=REASON,
    )

    def __init__(self, *args: Any, reason_needed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = reason_needed
        self.fields["reason"].error_messages["required"] = (
            "Write why you approve although a check does not pass"
        )


class RefuseForm(forms.Form):
    """The reason that the customer reads."""

    reason = forms.CharField(
        label="Why you refuse, in the customer’s words",
        help_text="The customer reads exactly this in the e-mail and on the tracking page.",
        max_length=2000,
        min_length=10,
        widget=REASON,
        error_messages={
            "required": "Write the reason for the customer",
            "min_length": "Write a whole sentence: the customer reads it",
        },
    )


class AskForm(forms.Form):
    """A question to the customer."""

    reason = forms.CharField(
        label="Your question",
        help_text="The customer answers it on the tracking page and can add a photo or a PDF.",
        max_length=2000,
        min_length=10,
        widget=REASON,
        error_messages={
            "required": "Write the question",
            "min_length": "Write a whole question: the customer reads it",
        },
    )


class WithdrawForm(forms.Form):
    """Why the application is withdrawn for the customer."""

    reason = forms.CharField(
        label="Why, and how the customer asked for it",
        help_text="For colleagues, such as “rang on 3 December, chose another supplier”.",
        max_length=2000,
        widget=REASON,
        error_messages={"required": "Write how the customer asked for it"},
    )


class ReopenForm(forms.Form):
    """Why a decided application is opened again."""

    reason = forms.CharField(
        label="Why it is opened again",
        help_text="For colleagues and the auditor. The customer hears when it is decided anew.",
        max_length=2000,
        widget=REASON,
        error_messages={"required": "Write why it is opened again"},
    )
