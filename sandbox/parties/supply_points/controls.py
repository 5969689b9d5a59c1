"""The control calls of the played service: its points, its options, its counts, and its clock."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer, BadRequest, Request, Route, json_answer
from sandbox.parties.supply_points import ordinary
from sandbox.parties.supply_points.answers import CHOICES
from sandbox.parties.supply_points.limits import Limits
from sandbox.parties.supply_points.options import CHOICES as OPTION_CHOICES
from sandbox.parties.supply_points.options import OptionsKept, whole
from sandbox.parties.supply_points.point import Point, written
from sandbox.parties.supply_points.register import PointRegister
from sandbox.parties.supply_points.tables import FIELDS
from sandbox.party import Panel, Setting
from sandbox.store import Shelf

MOST_LISTED = ordinary.MADE
ANSWER = "answer"
NO_POINT = "There is no supply point with this MPRN."
BASE = "/supply-points"
LABELS = {
    "envelope": ("Gateway", "Whose errors are sent"),
    "unit": ("Unit", "Of AQ and SOQ"),
    "key_fault": ("Wrong key", "Its error code"),
    "quota_status": ("Used-up quota", "Status, classic gateway"),
    "per_minute": ("Calls a minute", "Spike arrest"),
    "per_month": ("Calls a month", "Quota"),
    "answer_after_ms": ("Answer after", "Milliseconds, up to 5,000"),
}


class Controls:
    """Answers below `/control/supply-points`."""

    def __init__(
        self,
        shelf: Shelf,
        register: PointRegister,
        limits: Limits,
        options: OptionsKept,
        clock: Clock,
    ) -> None:
        self._shelf, self._register, self._clock = shelf, register, clock
        self._limits, self._options = limits, options
        self.routes: Sequence[Route] = (
            Route("GET", BASE, self.list_points),
            Route("POST", BASE, self.change_point),
            Route("GET", f"{BASE}/options", self.show_options),
            Route("POST", f"{BASE}/options", self.change_options),
            Route("GET", f"{BASE}/counts", self.show_counts),
            Route("DELETE", f"{BASE}/counts", self.reset_counts),
            Route("POST", f"{BASE}/counts/reset", self.reset_counts),
            Route("GET", f"{BASE}/look-ups", self.look_ups),
            Route("GET", f"{BASE}/clock", self.show_clock),
            Route("POST", f"{BASE}/clock", self.move_clock),
            Route("GET", f"{BASE}/{{mprn}}", self.show_point),
            Route("POST", f"{BASE}/{{mprn}}", self.change_point),
        )

    # Points.

    def list_points(self, request: Request) -> Answer:
        """List points of a group: special, kept or made; `first` and `count` choose among them."""
        query = request.query
        group = query.get("group", "special")
        first = whole("first", query.get("first", 0), MOST_LISTED)
        count = whole("count", query.get("count", 1000), MOST_LISTED)
        chosen = islice(self._group(group), first, first + count)
        zone = query.get("ldz", "")
        return json_answer(
            {
                "points": [
                    self._shown(point)
                    for point in chosen
                    if zone in ("", point.fields["local_distribution_zone"])
                ],
                "answers": dict(CHOICES),
            }
        )

    def _group(self, name: str) -> Any:
        if name == "made":
            return (ordinary.made(number) for number in range(ordinary.MADE))
        groups = {"special": self._register.special, "kept": self._register.kept}
        if name not in groups:
            raise BadRequest("group must be special, kept or made.")
        return groups[name]

    def show_point(self, request: Request) -> Answer:
        """Show one point: what it says, and how often it was looked up."""
        point = self._register.by_mprn(request.values["mprn"])
        if point is None:
            return json_answer({"details": NO_POINT}, 404)
        return json_answer(self._shown(point))

    def change_point(self, request: Request) -> Answer:
        """Change what a point answers: `answer`, and fields with quantities in kWh."""
        fields = request.fields()
        number = request.values.get("mprn") or str(fields.pop("number", ""))
        point = self._register.by_mprn(number)
        if point is None:
            raise BadRequest(f"There is no supply point {number!r}.")
        if "Answer" in fields:
            fields[ANSWER] = str(fields.pop("Answer"))
        self._shelf.change(point.mprn, _checked(fields))
        return json_answer(self._shown(point))

    def _shown(self, point: Point) -> dict[str, Any]:
        changes = self._shelf.changes(point.mprn)
        answer = changes.pop(ANSWER, None) or point.answer
        fields = {**point.fields, **changes}
        return {
            "mprn": point.mprn,
            "address_id": point.address_id,
            "group": point.group,
            "purpose": point.purpose,
            "answer": answer,
            "answer_until": point.until,
            "look_ups": self._shelf.calls(point.mprn),
            "missing": sorted(point.absent),
            "kwh": written(fields, unit="kWh", now=self._clock.now()),
        }

    # Options and counts.

    def show_options(self, request: Request) -> Answer:
        """Show how gateway and service answer."""
        return json_answer(self._options.now.shown())

    def change_options(self, request: Request) -> Answer:
        """Change some of it; null sets one back."""
        self._options.change(request.fields())
        return self.show_options(request)

    def show_counts(self, request: Request) -> Answer:
        """Show the calls of this minute and month, their limits, and what was refused."""
        return json_answer(self._limits.shown(self._options.now))

    def reset_counts(self, request: Request) -> Answer:
        """Count minute, month and refusals from nothing again."""
        self._limits.forget()
        return self.show_counts(request)

    def look_ups(self, request: Request) -> Answer:
        """Give the look-ups of every MPRN that the gateway let through."""
        counts = {key: calls for key, calls in self._shelf.all_calls().items() if key.isdecimal()}
        repeated = sum(calls > 1 for calls in counts.values())
        return json_answer(
            {
                "total": sum(counts.values()),
                "mprns": len(counts),
                "more_than_once": repeated,
                "look_ups": counts,
            }
        )

    # The clock.

    def show_clock(self, request: Request) -> Answer:
        """Show the time by which minutes, months and formula years go."""
        return json_answer(self._clock.shown())

    def move_clock(self, request: Request) -> Answer:
        """Move, stop or start it."""
        self._clock.move(request.fields())
        return self.show_clock(request)

    # The page.

    def panel(self) -> Panel:
        """Give the options and the counts for the control page."""
        options = self._options.now.shown()
        counts = self._limits.shown(self._options.now)
        minute, month, refused = counts["minute"], counts["month"], counts["refused"]
        return Panel(
            url=f"/control{BASE}/options",
            settings=tuple(
                Setting(name, *LABELS[name], str(options[name]), _choices(name)) for name in LABELS
            ),
            gauges=(
                ("Calls in the last minute", f"{minute['used']:,} of {minute['limit']:,}"),
                (f"Calls in {month['name']}", f"{month['used']:,} of {month['limit']:,}"),
                ("Refused", f"{sum(refused.values()):,}"),
            ),
            reset_url=f"/control{BASE}/counts/reset",
        )


def _choices(name: str) -> tuple[str, ...]:
    return tuple(str(choice) for choice in OPTION_CHOICES.get(name, ()))


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(fields.keys() - {ANSWER, *FIELDS})
    if unknown:
        raise BadRequest(f"The specification knows no field {', '.join(unknown)}.")
    answer = fields.get(ANSWER)
    if answer is not None and answer not in CHOICES:
        raise BadRequest(f"No answer {answer!r}. Known: {', '.join(CHOICES)}.")
    if any(isinstance(value, Decimal) and not value.is_finite() for value in fields.values()):
        raise BadRequest("A quantity must be a number.")
    return dict(fields)
