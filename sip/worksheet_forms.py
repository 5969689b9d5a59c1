"""One block of the worksheet as a form: it keeps what was typed, whatever it is.

It never refuses an answer. Rules judge what is kept, and their sentences stand at the boxes.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict

from core import postcode
from sip import messages, rules
from sip.messages import Answers, Block, Field, Kind, Value
from sip.models import Photo

OTHER: Final = "__another__"
MOST_RADIOS: Final = 9
LONGEST_TYPED: Final = 5000
MOST_TYPED: Final = 100
_LONDON: Final = ZoneInfo("Europe/London")
_ACCEPTED: Final = "image/*"
_YES_NO: Final = (("yes", "Yes"), ("no", "No"))
_LONG_TEXT: Final = 200
_FIRST_YEAR, _LAST_YEAR = 1999, 2100
_PLAIN: Final[dict[str, Any]] = {"autocomplete": "off", "spellcheck": "false"}

Choices = Mapping[str, Iterable[tuple[str, str]]]  # code list, its values with their words


class AnyField(forms.Field):
    """Whatever was typed is valid here."""

    def to_python(self, value: Any) -> Any:
        """Lose signs that no database takes, and what nobody types."""
        if isinstance(value, list):
            return [_typed(each) for each in value[:MOST_TYPED]]
        return _typed(value)


def _typed(value: Any) -> str:
    return str(value or "").replace("\0", "").strip()


class ChoiceAnyField(AnyField):
    """The same with choices to show."""

    def __init__(self, *, choices: Iterable[tuple[str, str]], **options: Any) -> None:
        super().__init__(**options)
        self.widget.choices = list(choices)


class PhotoField(forms.FileField):
    """A photo from the camera or a file; actions judge its content."""

    def clean(self, value: Any, initial: Any = None) -> Any:
        """Take it as it is."""
        return value


@dataclass
class Row:
    """One question as the page shows it: its box, a second box, its photo, why it is asked."""

    field: Field
    box: forms.BoundField
    other: forms.BoundField | None = None
    photo: Photo | None = None
    need: rules.Need = rules.Need.OPTIONAL
    because: str = ""
    unlisted: list[str] = dataclasses.field(default_factory=list)
    refused: list[str] = dataclasses.field(default_factory=list)

    @property
    def required(self) -> bool:
        """Whether the message needs it."""
        return self.need is rules.Need.REQUIRED

    @property
    def is_time(self) -> bool:
        """Whether its second box is the time of day."""
        return self.field.kind is Kind.TIME

    @property
    def is_photo(self) -> bool:
        """Whether it is a photo."""
        return self.field.kind is Kind.PHOTO


class BlockForm(forms.Form):
    """The questions of one block that have a place now, as they were answered last."""

    def __init__(
        self,
        posted: QueryDict | None = None,
        files: Any = None,
        *,
        block: Block,
        answers: Answers,
        choices: Choices,
        judged: bool = False,
    ) -> None:
        self.block, self.answers, self.choices = block, answers, choices
        before = answers.get(block.name, {})
        shown = _as_typed(block, before)
        data = _as_query(shown) if judged and posted is None else posted
        super().__init__(data, files, initial=shown)
        self.asked = self._asked(posted)
        for each in block.fields:
            if each.name in self.asked:
                self._add(each, before.get(each.name))

    def _asked(self, posted: QueryDict | None) -> list[str]:
        """The fields that the page asks: those that it said it asked, else those with a place."""
        names = [each.name for each in self.block.fields if each.name != "job_id"]
        if posted is not None:
            said = set(posted.getlist("asked"))
            return [name for name in names if name in said]
        return [name for name in names if self._has_place(name)]

    def _has_place(self, name: str) -> bool:
        field_ = self.block.field(name)
        return rules.need(self.answers, self.block.name, field_) is not rules.Need.NONE

    def _add(self, each: Field, before: Value) -> None:
        self.fields.update(_boxes(each, list(self.choices.get(each.codes, ())), before))
        self.fields[each.name].label = each.label
        self.fields[each.name].help_text = _hint(each)

    def typed(self) -> dict[str, Value]:
        """The answers of the whole block: what was typed, and what was not asked as it was."""
        self.is_valid()
        kept = dict(self.answers.get(self.block.name, {}))
        kept.pop("job_id", None)
        for name in self.asked:
            each = self.block.field(name)
            if each.kind is not Kind.PHOTO:
                kept[name] = _value(each, self.cleaned_data)
        return {name: value for name, value in kept.items() if value not in (None, "", [])}

    def rows(self, photos: Mapping[str, Photo], codes: rules.Codes) -> Iterator[Row]:
        """The questions for a page, with what is known of each."""
        values = self.answers.get(self.block.name, {})
        for name in self.asked:
            each = self.block.field(name)
            yield Row(
                field=each,
                box=self[name],
                other=self[_second(each)] if _second(each) in self.fields else None,
                photo=photos.get(f"{self.block.name}.{name}"),
                need=rules.need(self.answers, self.block.name, each),
                because=rules.because(self.block.name, name),
                unlisted=rules.unknown_codes(each, values.get(name), codes),
            )

    def judge(self, problems: Iterable[rules.Problem]) -> None:
        """Put the sentences of rules, or of a refusal, at their boxes."""
        self.is_valid()
        for problem in problems:
            name = problem.field if problem.field in self.fields else None
            text = problem.sentence if name else self._named(problem)
            self.add_error(name, text)

    def _named(self, problem: rules.Problem) -> str:
        if not problem.field:
            return problem.sentence
        return f"{self.block.field(problem.field).label} {problem.sentence}"

    def files_given(self) -> dict[str, Any]:
        """The photos that came with the page, by field."""
        self.is_valid()
        names = [name for name in self.asked if self.block.field(name).kind is Kind.PHOTO]
        return {name: file for name in names if (file := self.cleaned_data.get(name))}


def _second(each: Field) -> str:
    """The name of a field's second box."""
    return f"{each.name}__{'clock' if each.kind is Kind.TIME else 'another'}"


def _hint(each: Field) -> str:
    if each.kind is Kind.PHOTO:
        return "Location data is removed before it is kept."
    if each.kind is Kind.DIGITS and not each.choices:
        return "Digits only, with the zeros in front"
    return each.hint


# ---- Boxes -------------------------------------------------------------------------------------


def _boxes(
    each: Field, choices: list[tuple[str, str]], before: Value
) -> Iterator[tuple[str, forms.Field]]:
    """The boxes of one field. The first has its name."""
    if each.kind is Kind.PHOTO:
        attrs = {"accept": _ACCEPTED, "capture": "environment"}
        yield each.name, PhotoField(required=False, widget=forms.FileInput(attrs=attrs))
    elif each.kind is Kind.BOOLEAN:
        yield each.name, _choice(_YES_NO)
    elif each.kind is Kind.TIME:
        yield each.name, _box(forms.DateInput(attrs={"type": "date"}))
        clock = _box(forms.TimeInput(attrs={"type": "time"}))
        clock.label = "Time"
        yield _second(each), clock
    elif each.kind in (Kind.CODE, Kind.LIST):
        yield from _code_boxes(each, choices, before)
    else:
        yield each.name, _plain_box(each)


def _box(widget: forms.Widget) -> AnyField:
    return AnyField(required=False, widget=widget)


def _choice(choices: Iterable[tuple[str, str]]) -> ChoiceAnyField:
    return ChoiceAnyField(required=False, widget=forms.RadioSelect, choices=choices)


def _plain_box(each: Field) -> forms.Field:
    if each.choices:
        options = [("", "Choose"), *((value, value.lstrip("0")) for value in each.choices)]
        return ChoiceAnyField(required=False, widget=forms.Select, choices=options)
    if each.kind is Kind.DATE:
        return _box(forms.DateInput(attrs={"type": "date", "class": "input-medium"}))
    if each.kind in (Kind.DIGITS, Kind.INTEGER):
        numeric = {**_PLAIN, "inputmode": "numeric", "class": "input-medium mono"}
        return _box(forms.TextInput(attrs=numeric))
    if each.longest > _LONG_TEXT:
        return _box(forms.Textarea(attrs={"rows": 3}))
    if each.name == "contact_telephone":
        return _box(forms.TextInput(attrs={**_PLAIN, "type": "tel"}))
    return _box(forms.TextInput(attrs=_PLAIN))


def _code_boxes(
    each: Field, choices: list[tuple[str, str]], before: Value
) -> Iterator[tuple[str, forms.Field]]:
    """The values of a code list, and a box for one that the list does not have."""
    if not choices and each.kind is Kind.CODE:
        yield each.name, _box(forms.TextInput(attrs=_PLAIN))
        return
    if each.kind is Kind.LIST:
        known = {value for value, _ in choices}
        held = [value for value in before if value not in known] if isinstance(before, list) else []
        options = [*choices, *((value, f"{value} (not on our list)") for value in held)]
        several = forms.CheckboxSelectMultiple
        yield each.name, ChoiceAnyField(required=False, widget=several, choices=options)
    elif len(choices) < MOST_RADIOS:
        yield each.name, _choice([*choices, (OTHER, "Another, not on this list")])
    else:
        options = [("", "Choose"), *choices, (OTHER, "Another, not on this list")]
        yield each.name, ChoiceAnyField(required=False, widget=forms.Select, choices=options)
    box = _box(forms.TextInput(attrs=_PLAIN))
    box.label = "The other one, exactly as it is called"
    yield _second(each), box


# ---- From answers to boxes and back ------------------------------------------------------------


def _as_typed(block: Block, answers: Mapping[str, Value]) -> dict[str, Any]:
    """What stands in the boxes of a block for its answers."""
    found: dict[str, Any] = {}
    for each in block.fields:
        value = answers.get(each.name)
        if value not in (None, "", []):
            found |= _typed_of(each, value)
    return found


def _typed_of(each: Field, value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {each.name: "yes" if value else "no"}
    if isinstance(value, list):
        return {each.name: [str(one) for one in value]}
    if each.kind is not Kind.TIME:
        return {each.name: str(value)}
    if moment := messages.read_time(value):
        local = moment.astimezone(_LONDON)
        return {each.name: f"{local:%Y-%m-%d}", _second(each): f"{local:%H:%M}"}
    day, _, clock = str(value).partition("T")
    return {each.name: day, _second(each): clock}


def _as_query(shown: Mapping[str, Any]) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, value in shown.items():
        query.setlist(name, value if isinstance(value, list) else [value])
    return query


def _value(each: Field, cleaned: Mapping[str, Any]) -> Value:
    """An answer as it is kept; what cannot be read stays as it was typed, for rules to judge."""
    typed = cleaned.get(each.name)
    second = cleaned.get(_second(each), "")
    if each.kind is Kind.BOOLEAN:
        return {"yes": True, "no": False}.get(str(typed))
    if each.kind is Kind.LIST:
        chosen = [one for one in typed if one] if isinstance(typed, list) else []
        return [*chosen, second] if second and second not in chosen else chosen
    if each.kind is Kind.TIME:
        return _moment(str(typed), second)
    text = _PLAINER.get(each.name, str)(str(typed or ""))
    if each.kind is Kind.CODE:
        return second if text == OTHER or (second and not text) else text
    if each.kind is Kind.INTEGER and text.isascii() and text.isdigit() and len(text) < len("1000"):
        return int(text)
    return text


_PLAINER: Final[dict[str, Callable[[str], str]]] = {
    "mpan": lambda text: "".join(text.split()),
    "supplier_mpid": str.upper,
    "post_code": postcode.normalise,
}


def _moment(day: str, clock: str) -> str:
    """A London day and time as the specification writes a moment, else both as typed."""
    if not day and not clock:
        return ""
    try:
        local = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=_LONDON)
    except ValueError:
        return f"{day}T{clock}"
    sane = _FIRST_YEAR < local.year < _LAST_YEAR
    return messages.write_time(local.astimezone(UTC)) if sane else f"{day}T{clock}"


def with_own_values(
    choices: Mapping[str, list[tuple[str, str]]], block: Block, answers: Mapping[str, Value]
) -> dict[str, list[tuple[str, str]]]:
    """Add to each list the value that stands in the worksheet and is not on it."""
    found = dict(choices)
    for each in block.fields:
        value = answers.get(each.name)
        listed = found.get(each.codes, [])
        known: Collection[str] = [one for one, _ in listed]
        if each.kind is Kind.CODE and listed and isinstance(value, str) and value not in known:
            found[each.codes] = [*listed, (value, f"{value} (not on our list)")]
    return found
