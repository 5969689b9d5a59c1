"""How every form of the portal is drawn: FORM_RENDERER names the class at the end.

The pieces are templates/core/forms/form.html and field.html. Widgets keep Django's own templates,
so the admin looks as it always does; only the CSS class and the parts of a field are added here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django import forms
from django.forms.boundfield import BoundField, BoundWidget
from django.forms.renderers import TemplatesSetting

SHORT_CHOICE = 12


class Choice(NamedTuple):
    """One option of a radio or checkbox group, with the sentence that explains it."""

    box: BoundWidget
    hint: str


class PortalBoundField(BoundField):
    """A bound field that knows how the portal draws it."""

    def __init__(self, form: forms.BaseForm, field: forms.Field, name: str) -> None:
        super().__init__(form, field, name)
        self.help_text = str(self.help_text).strip()

    @property
    def is_group(self) -> bool:
        """Say whether the field is several boxes under one legend."""
        return isinstance(self.field.widget, forms.RadioSelect | forms.CheckboxSelectMultiple)

    @property
    def is_checkbox(self) -> bool:
        """Say whether the field is a single tick box, whose label stands beside it."""
        return isinstance(self.field.widget, forms.CheckboxInput)

    @property
    def is_optional(self) -> bool:
        """Say whether the label should add "(optional)"."""
        marked = "optional" in str(self.label).lower()
        says_itself = marked or self.is_checkbox or isinstance(self.field.widget, forms.Select)
        return not (self.field.required or says_itself)

    @property
    def is_inline(self) -> bool:
        """Say whether the choices are few and short enough to stand in one line."""
        choices = self.choices
        short = all(len(str(choice.box.choice_label)) <= SHORT_CHOICE for choice in choices)
        return short and len(choices) <= 3 and not any(choice.hint for choice in choices)

    @property
    def choices(self) -> list[Choice]:
        """List the boxes of a group; the form's `choice_hints[field][value]` explains them."""
        hints: Mapping[str, str] = getattr(self.form, "choice_hints", {}).get(self.name, {})
        return [Choice(box, hints.get(str(box.data["value"]), "")) for box in self.subwidgets]

    @property
    def first_box_id(self) -> str:
        """Name the element that the error summary leads to."""
        if isinstance(self.field.widget, forms.MultiWidget):
            return f"{self.auto_id}_0"
        return self.id_for_label or self.subwidgets[0].id_for_label or ""

    def _repeats_label(self, placeholder: str) -> bool:
        said, label = placeholder.lower(), str(self.label).lower()
        return bool(said) and (said in label or label in said)

    def build_widget_attrs(
        self, attrs: dict[str, Any], widget: forms.Widget | None = None
    ) -> dict[str, Any]:
        """Add the class of a box, and drop a placeholder that only says the label again."""
        widget = widget or self.field.widget
        attrs = super().build_widget_attrs(attrs, widget)
        own_class = widget.attrs.get("class", "")
        if not (widget.is_hidden or self.is_group or self.is_checkbox):
            attrs["class"] = f"input {own_class}".strip()
        if isinstance(widget, forms.MultiWidget):
            attrs.setdefault("aria-label", str(self.label))
        if self._repeats_label(str(widget.attrs.get("placeholder") or "")):
            attrs["placeholder"] = False
        return attrs


class PortalRenderer(TemplatesSetting):
    """Draw forms, fields and widgets with the portal's templates."""

    form_template_name = "core/forms/form.html"
    field_template_name = "core/forms/field.html"
    bound_field_class = PortalBoundField
