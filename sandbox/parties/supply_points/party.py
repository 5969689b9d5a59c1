"""The Supply Point Quantities service as a party: `/v1/Shipper.svc` behind its gateway.

The gateway checks the key, then the spike arrest, then the quota; every call that it lets through
counts, whatever its answer. Look-ups go by MPRN, by address_id, or by postcode with details.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer, Request, Route
from sandbox.parties.supply_points import answers
from sandbox.parties.supply_points.asked import THREATS, Asked, Empty, Unclear, asked, is_threat
from sandbox.parties.supply_points.controls import ANSWER, BASE, Controls
from sandbox.parties.supply_points.limits import Limits
from sandbox.parties.supply_points.options import MOST, Options, OptionsKept, whole
from sandbox.parties.supply_points.point import USUAL, Point, written
from sandbox.parties.supply_points.register import PointRegister
from sandbox.parties.supply_points.tables import GATEWAY_ERRORS, PATH, SERVICE_ERRORS, ZONES
from sandbox.party import ChangeForm, Exhibit, Panel
from sandbox.store import Shelf

HEADER = "APIKey"
KEPT_ON_PAGE = 4 * len(ZONES)


def _limit(environment: Mapping[str, str], limit: str) -> int:
    """Read SANDBOX_GAS_PER_MINUTE or SANDBOX_GAS_PER_MONTH."""
    name = f"SANDBOX_GAS_{limit.upper()}"
    return whole(name, environment.get(name) or getattr(Options(), limit), MOST[limit])


class SupplyPoints:
    """The service; its credential is the header `APIKey`."""

    KEY = "sandbox-gas-key"

    name = "supply-points"
    title = "Supply Point Quantities"
    notes = (
        "Answers /v1/Shipper.svc for the special points below, for 420 more (5000 and four "
        "digits; /control/supply-points?group=kept lists them) and for 20,000 made from their "
        "number (420, 00000 to 19999, check digits). Nothing asked: e001. Two kinds of filter: "
        "400 without a code. A postcode without its space: e011; four dwellings share one: e009. "
        f"ThreatDetected where a value contains one of: {THREATS}. Calls that the gateway lets "
        "through count; a minute is the last sixty seconds, a month that of UTC."
    )
    secret_headers = frozenset({HEADER.lower()})
    secret_fields = frozenset({HEADER})
    change_form = ChangeForm(f"/control{BASE}", "Answer", tuple(answers.CHOICES.items()))

    def __init__(self, key: str = KEY, usual: Options | None = None) -> None:
        self._key = key
        self._usual = usual or Options()
        self._register = PointRegister()
        self.routes: Sequence[Route] = (Route("GET", PATH, self.shipper),)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "SupplyPoints":
        """Make it with the key and the limits that the environment names; raises BadRequest."""
        usual = Options(
            per_minute=_limit(environment, "per_minute"),
            per_month=_limit(environment, "per_month"),
        )
        return cls(environment.get("SANDBOX_GAS_KEY") or cls.KEY, usual)

    def open(self, shelf: Shelf) -> None:
        """Take the part of the store that belongs to the service."""
        self._shelf = shelf
        self._clock = Clock(shelf)
        self._options = OptionsKept(shelf, self._usual)
        self._limits = Limits(shelf, self._clock)
        self._controls = Controls(shelf, self._register, self._limits, self._options, self._clock)

    @property
    def controls(self) -> Sequence[Route]:
        """Its own calls below `/control`."""
        return self._controls.routes

    def panel(self) -> Panel:
        """Give its options and counts for the control page."""
        return self._controls.panel()

    def forget(self) -> None:
        """Set the options, the counts and the clock back."""
        self._options.forget()
        self._limits.forget()
        self._clock.reset()

    # What every party says.

    def knows(self, request: Request) -> bool:
        """Check the header against the key."""
        return request.headers.get(HEADER) == self._key

    def stranger(self) -> Answer:
        """401: the key is empty or invalid."""
        return self._gateway_error(self._options.now.key_fault)

    def no_such_call(self) -> Answer:
        """404 without a code: the gateway knows no such path."""
        return answers.plain_error(self._options.now.envelope, 404)

    def problem(self, status: int) -> Answer:
        """Answer 400, 429 or 500 without a code."""
        return answers.plain_error(self._options.now.envelope, status)

    def good_answer(self, request: Request, *, another: bool) -> Answer:
        """Give the point asked for, or the first kept point that was not asked for."""
        try:
            found = self._register.find(asked(request.query))
        except ValueError:
            found = []
        point = found[0] if found and not another else self._other(found)
        return answers.good(self._written(point, {}, self._options.now))

    def exhibits(self) -> Sequence[Exhibit]:
        """Give the special points, and the first of the others in every zone."""
        shown = [*self._register.special, *self._register.kept[:KEPT_ON_PAGE]]
        return [self._exhibit(point) for point in shown]

    # The API.

    def shipper(self, request: Request) -> Answer:
        """Answer a look-up, if the limits allow it."""
        options = self._options.now
        violation = self._limits.take(options)
        if violation:
            return self._gateway_error(violation)
        if options.answer_after_ms:
            time.sleep(options.answer_after_ms / 1000)
        if is_threat(request.query):
            return self._gateway_error("ThreatDetected")
        try:
            return self._found(asked(request.query), options)
        except Empty:
            return answers.service_error("e001")
        except Unclear:
            return self.problem(400)

    def _found(self, one: Asked, options: Options) -> Answer:
        """Count the look-up by its MPRN, and answer it."""
        found = self._register.find(one)
        if len(found) > 1:
            return answers.service_error("e009")
        if found:
            return self._says(found[0], self._shelf.count_call(found[0].mprn), options)
        if one.kind != "mprn":
            return answers.service_error("e011")
        if one.text.isascii() and one.text.isdecimal():
            self._shelf.count_call(one.text)
        return answers.service_error("e007")

    def _says(self, point: Point, look_up: int, options: Options) -> Answer:
        changes = self._shelf.changes(point.mprn)
        name = changes.pop(ANSWER, None) or point.answer_at(look_up)
        if name in SERVICE_ERRORS:
            return answers.service_error(name)
        if name in GATEWAY_ERRORS:
            return self._gateway_error(name)
        if name.isdecimal():
            return self.problem(int(name))
        if name == answers.ANOTHER:
            return answers.good(self._written(self._other([point]), {}, options))
        fields = self._written(point, changes, options)
        return answers.good(fields) if name == USUAL else answers.ODD[name][1](fields)

    # What is behind it.

    def _gateway_error(self, name: str) -> Answer:
        options = self._options.now
        quota = name == "QuotaViolation"
        return answers.gateway_error(
            options.envelope,
            name,
            limit=options.per_month if quota else options.per_minute,
            wait=self._limits.wait(name),
            quota_status=options.quota_status,
        )

    def _other(self, asked_for: Sequence[Point]) -> Point:
        return next(point for point in self._register.kept if point not in asked_for)

    def _written(
        self, point: Point, changes: Mapping[str, Any], options: Options
    ) -> dict[str, Any]:
        """Give the fields that are sent."""
        fields = {**point.fields, **changes}
        sent = {name: value for name, value in fields.items() if name not in point.absent}
        return written(sent, unit=options.unit, now=self._clock.now())

    def _exhibit(self, point: Point) -> Exhibit:
        changes = self._shelf.changes(point.mprn)
        fields = {**point.fields, **changes}
        aq = fields["current_formula_year_aq_value"]
        where = f"{fields['house_no'] or ''} {fields['sub_building_name'] or ''}".strip()
        address = f"{where}, {fields['street'] or 'no street'}"[:60]
        return Exhibit(
            key=point.mprn,
            purpose=point.purpose,
            facts=f"{fields['local_distribution_zone'] or 'no zone'}, AQ {aq} kWh, {address}, "
            f"{fields['postcode'] or 'no postcode'}, address_id {point.address_id}",
            state=str(changes.get(ANSWER) or point.answer),
            url=f"/control{BASE}/{point.mprn}",
        )
