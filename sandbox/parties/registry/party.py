"""The MCS installation registry as a party: GetInstallation/{#} and its two headers.

Clauses: "GetInstallation/{#}", "Authentication" and "Responses" of section 2.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sandbox.exchange import Answer, BadRequest, Request, Route, json_answer
from sandbox.parties.registry import bulk, special, uat
from sandbox.parties.registry.certificate import Certificate, Form, described
from sandbox.parties.registry.tables import LOOK_UPS, PROPERTIES, STATUS
from sandbox.party import ChangeForm, Exhibit
from sandbox.store import Shelf

CREATED = 2
SENTENCES = {
    400: "The supplied parameter yielded no results",
    429: "Too many requests",
    500: "An error has occurred.",
}


class Registry:
    """The installation registry; credentials are the headers `User` and `Authorisation`."""

    USER = "sandbox@example.org"
    TOKEN = "sandbox-registry-token"  # noqa: S105 - guards nothing real

    name = "registry"
    title = "Installation registry"
    notes = (
        "Answers GetInstallation with the 20 UAT certificates of the specification, the special "
        "certificates below, and MCS-80000000-A to MCS-80099999-A, which are all live Solar PV "
        "and match their applicants. Any other number is answered with 400."
    )
    secret_headers = frozenset({"user", "authorisation"})
    secret_fields: frozenset[str] = frozenset()
    change_form = ChangeForm(
        "/control/certificates",
        "Status",
        tuple((str(value), label) for value, label in STATUS.items()),
    )

    def __init__(self, user: str = USER, token: str = TOKEN) -> None:
        self._credentials = (user, token)
        fixed = [*uat.certificates(), *special.certificates()]
        self._fixed = {certificate.number: certificate for certificate in fixed}
        self.routes: Sequence[Route] = (
            Route("GET", "/GetInstallation/{number}", self.get_installation),
        )
        self.controls: Sequence[Route] = (
            Route("GET", "/certificates", self.list_certificates),
            Route("GET", "/certificates/{number}", self.show_certificate),
            Route("POST", "/certificates", self.change_certificate),
            Route("POST", "/certificates/{number}", self.change_certificate),
        )

    def open(self, shelf: Shelf) -> None:
        """Take the part of the store that belongs to the registry."""
        self._shelf = shelf

    def knows(self, request: Request) -> bool:
        """Check both headers against the credentials."""
        given = (request.headers.get("User"), request.headers.get("Authorisation"))
        return given == self._credentials

    def stranger(self) -> Answer:
        """Responses: 401, without correct Username and Authorisation Key."""
        return json_answer({"Message": "Unauthorised"}, 401)

    def no_such_call(self) -> Answer:
        """Responses: 404, no such call exists."""
        return json_answer({"Message": "No such call exists"}, 404)

    def problem(self, status: int) -> Answer:
        """Responses: the sentence of each; 429 and 500 are not in the specification."""
        return json_answer({"Message": SENTENCES[status]}, status)

    def get_installation(self, request: Request) -> Answer:
        """Answer GetInstallation/{#}: 200 with the certificate, or 400 without a result."""
        certificate = self._find(request.values["number"])
        if certificate is None:
            return self.problem(400)
        looked_up = self._shelf.count_call(certificate.number)
        return json_answer(self._shaped(certificate, self._properties(certificate, looked_up)))

    def good_answer(self, request: Request, *, another: bool) -> Answer:
        """Give the certificate asked for, or the first UAT certificate that was not asked for."""
        asked = request.path.rpartition("/")[2]
        certificate = None if another else self._find(asked)
        if certificate is None or certificate.form is not Form.OBJECT:
            numbers = (number for number in self._fixed if not another or number != asked)
            certificate = self._fixed[next(numbers)]
        return json_answer(self._properties(certificate))

    def exhibits(self) -> Sequence[Exhibit]:
        """Give every fixed certificate for the control page."""
        return [self._exhibit(certificate) for certificate in self._fixed.values()]

    # Control calls: what is behind a certificate, and changing it.

    def list_certificates(self, request: Request) -> Answer:
        """List the fixed certificates; `?group=uat` or `?group=special` gives some of them."""
        group = request.query.get("group", "")
        chosen = [one for one in self._fixed.values() if group in ("", one.group)]
        return json_answer([self._shown(certificate) for certificate in chosen])

    def show_certificate(self, request: Request) -> Answer:
        """Show one certificate, fixed or bulk."""
        certificate = self._find(request.values["number"])
        if certificate is None:
            return json_answer({"details": "There is no certificate with this number."}, 404)
        return json_answer(self._shown(certificate))

    def change_certificate(self, request: Request) -> Answer:
        """Change properties of one certificate for good; descriptions follow their values."""
        fields = request.fields()
        number = request.values.get("number") or str(fields.pop("number", ""))
        certificate = self._find(number)
        if certificate is None:
            raise BadRequest(f"There is no certificate {number!r}.")
        unknown = sorted(set(fields) - set(PROPERTIES))
        if unknown:
            raise BadRequest(f"The specification knows no property {', '.join(unknown)}.")
        self._shelf.change(certificate.number, fields)
        return json_answer(self._shown(certificate))

    # What is behind the calls.

    def _find(self, number: str) -> Certificate | None:
        return self._fixed.get(number) or bulk.certificate(number)

    def _properties(self, certificate: Certificate, looked_up: int | None = None) -> dict[str, Any]:
        """Give the properties after every change; the look-up count moves some from In Progress."""
        properties = dict(certificate.properties)
        if looked_up is None:
            looked_up = self._shelf.calls(certificate.number)
        if certificate.created_after is not None and looked_up > certificate.created_after:
            properties |= {"Status": CREATED, "Status_Description": STATUS[CREATED]}
        properties = _changed(properties, self._shelf.changes(certificate.number))
        return {name: value for name, value in properties.items() if name not in certificate.absent}

    def _shaped(self, certificate: Certificate, properties: dict[str, Any]) -> object:
        other = dict(self._fixed[uat.LISTED[0][0]].properties)
        return {
            Form.OBJECT: properties,
            Form.LIST: [properties],
            Form.EMPTY_LIST: [],
            Form.TWO: [properties, other],
            Form.ANOTHER: other,
        }[certificate.form]

    def _shown(self, certificate: Certificate) -> dict[str, Any]:
        return {
            "number": certificate.number,
            "group": certificate.group,
            "purpose": certificate.purpose,
            "reply": certificate.form.value,
            "look_ups": self._shelf.calls(certificate.number),
            "certificate": self._properties(certificate),
            "applicant": dict(certificate.applicant),
        }

    def _exhibit(self, certificate: Certificate) -> Exhibit:
        properties = self._properties(certificate)
        status = properties["Status_Description"] or "No status"
        capacity = properties["TotalCapacity"]
        size = "no capacity" if capacity is None else f"{capacity} kW"
        return Exhibit(
            key=certificate.number,
            purpose=certificate.purpose,
            facts=f"{properties['Technology_Description']}, {size}, {properties['Postcode']}",
            state=str(status),
            url=f"/control/certificates/{certificate.number}",
        )


def _changed(properties: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    answer = {**properties, **{name: _typed(name, value) for name, value in changes.items()}}
    for name in LOOK_UPS:
        if name in changes and f"{name}_Description" not in changes:
            answer.pop(f"{name}_Description", None)
    return described(answer)


def _typed(name: str, value: object) -> object:
    """Write a number in a decimal property with two places; leave anything else as it was sent."""
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if PROPERTIES[name] == "decimal" and number:
        return Decimal(str(value)).quantize(Decimal("0.01"))
    return value
