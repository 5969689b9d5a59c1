"""What decides an export-tariff application: facts in, checks and a verdict out.

Follows the MCS SEG API specification, issue 1.1 of 21 November 2019. Plain Python: no database, no
clock, no network; the day and everything else known about the portal comes in as `Surroundings`.
"""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

from core import mpan, postcode
from seg import messages
from seg.messages import Installation

LARGEST_CAPACITY: Final = Decimal(50)  # kW; "up to and including 50kw"
G98_ONE_PHASE: Final = Decimal("3.68")  # kW; 16 A on one phase
G98_THREE_PHASES: Final = Decimal("11.04")  # kW; 16 A on each of three
NOTIFY_WITHIN: Final = timedelta(days=28)
ASK_FOR_REVIEW: Final = (
    "If you think this is wrong, reply to our e-mail and ask for a review: "
    "a person will then look at your application again."
)
NOT_A_REFUSAL: Final = "A person is looking at this. It happens often and is not a refusal."

_OLDEST_YEAR = 1990  # earlier dates are placeholders: nobody fed solar power into the grid
_DIFFERS = " differs from the certificate"
_NBSP = "\N{NO-BREAK SPACE}"
_WHY_ITEMS = 3
_LONGEST_SHOWN = 40

# The specification's technologies as a sentence needs them.
_TECHNOLOGY_WORDS: Final[dict[int, str]] = {
    0: "an unspecified technology",
    1: "an air source heat pump",
    2: "a biomass boiler or stove",
    3: "a ground source heat pump",
    4: "a ground or water source heat pump",
    6: "a hot water heat pump",
    7: "a hydro turbine",
    8: "a micro CHP unit",
    9: "a Solar Keymark collector",
    10: "solar panels (solar PV)",
    13: "a wind turbine",
    14: "an exhaust air heat pump",
    15: "a water source heat pump",
    16: "a gas absorption heat pump",
    17: "a solar assisted heat pump",
    18: "a solar thermal system",
}

Result = Literal["pass", "look", "fail"]
ClaimKind = Literal["new", "extension", "switch"]
Told = Literal["yes", "no", "unknown"]
VerdictKind = Literal["approve", "review", "refuse", "not_found", "in_progress"]


class Ground(StrEnum):
    """What decides by itself, without a person; also the code of a refusal or suspension."""

    NOT_FOUND = "not_found"
    IN_PROGRESS = "in_progress"
    WITHDRAWN = "withdrawn"
    REMOVED = "removed"
    TECHNOLOGY = "technology"


REFUSING: Final = frozenset({Ground.WITHDRAWN, Ground.REMOVED, Ground.TECHNOLOGY})
_NEVER = frozenset(Ground) - {Ground.TECHNOLOGY}

TITLES: Final[dict[str, str]] = {
    "found": "Certificate found",
    "number": "Number asked",
    "status": "Certificate status",
    "technology": "Technology",
    "capacity": "Capacity",
    "commissioned": "Commissioning date",
    "postcode": "Postcode",
    "address": "Address",
    "import_mpan": "Import MPAN",
    "distributor": "Distributor told",
    "one_live": "One live application",
    "export_mpan": "Export MPAN",
    "fit": "FIT declaration",
    "tariff": "Tariff",
}


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What the applicant said. `fit_export_declared`: "I do not get FIT export payments"."""

    certificate: str
    address: tuple[str, ...]
    postcode: str
    received_on: date
    import_mpan: str = ""
    export_mpan: str = ""
    dno_told: Told = "unknown"
    fit_export_declared: bool = False
    battery: bool = False
    kind: ClaimKind = "new"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the portal knows beside claim and certificate; references are of other live cases."""

    today: date
    review_technologies: frozenset[int] = frozenset()
    certificate_held_by: str = ""
    export_mpan_held_by: str = ""
    tariff_open: bool = True


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule applied: the evidence of both sides and a sentence for staff and for the customer.

    `brief` is the same in a few words for the list; `ground` is set where the check decides alone.
    """

    code: str
    title: str
    result: Result
    sentence: str
    ours: str = ""
    theirs: str = ""
    customer_sentence: str = ""
    brief: str = ""
    ground: Ground | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks come to. `why` is for staff and lists; `refusals` holds every ground."""

    kind: VerdictKind
    why: str
    customer_reason: str
    refusals: tuple[Ground, ...] = ()


class Recheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a later verification of an approved certificate comes to."""

    kind: Literal["keep", "look", "suspend"]
    why: str
    customer_reason: str = ""
    grounds: tuple[Ground, ...] = ()


# ---- The whole of it -------------------------------------------------------------------------


def check(
    claim: Claim, installation: Installation | None, surroundings: Surroundings
) -> tuple[Check, ...]:
    """Apply every rule, in the order people read them: 13 checks when the certificate was found.

    Without an installation only the rules that need no certificate are applied. A fourteenth row
    appears where no tariff was open on the day of receipt.
    """
    own = (
        _one_live(claim, surroundings),
        _export_mpan(claim, surroundings),
        _fit(claim),
        *_tariff(claim, surroundings),
    )
    found = _found(claim.certificate, installation)
    if installation is None:
        return found, *own
    return (
        found,
        _number(claim.certificate, installation),
        _status(installation),
        _technology(installation, surroundings),
        _capacity(installation),
        _commissioned(installation, surroundings),
        _postcode(claim, installation),
        _address(claim, installation),
        _import_mpan(claim, installation),
        _distributor(claim, installation, surroundings),
        *own,
    )


def verdict(checks: Sequence[Check]) -> Verdict:
    """Say what the checks come to.

    Only Withdrawn, Removed and another listed technology refuse by themselves; they outrank In
    Progress, which waits. Everything else that is not a pass goes to a person.
    """
    if another := _about_another_certificate(checks):
        return _review(another)
    grounds = _grounds(checks)
    if refusals := tuple(ground for ground in grounds if ground in REFUSING):
        return _refuse(checks, refusals)
    if Ground.NOT_FOUND in grounds:
        return _by_ground("not_found", Ground.NOT_FOUND, checks)
    if Ground.IN_PROGRESS in grounds:
        return _by_ground("in_progress", Ground.IN_PROGRESS, checks)
    if any(each.result != "pass" for each in checks):
        return _review(checks)
    return Verdict(
        kind="approve",
        why=f"All {len(checks)} checks pass",
        customer_reason="Everything you told us fits your certificate.",
    )


def recheck(
    certificate: str,
    installation: Installation | None,
    surroundings: Surroundings,
    before: Installation | None = None,
) -> Recheck:
    """Say whether an approved certificate still stands.

    "The only value that should be accepted is 'Created'." A technology or an unlisted value that
    the certificate had when it was approved (`before`) was accepted then and is not raised again.
    """
    checks = _standing(certificate, installation, surroundings)
    if before is not None:
        accepted = _standing(certificate, before, surroundings)
        checks = tuple(each for each in checks if each not in accepted or each.ground in _NEVER)
    open_checks = tuple(each for each in checks if each.result != "pass")
    if not open_checks:
        return Recheck(kind="keep", why="The certificate still stands")
    if not suspends(open_checks):
        return Recheck(kind="look", why=_brief(open_checks))
    deciding = tuple(each for each in open_checks if each.ground)
    return Recheck(
        kind="suspend",
        why=_brief(deciding),
        customer_reason=_for_customer(deciding),
        grounds=_grounds(deciding),
    )


def suspends(checks: Sequence[Check]) -> bool:
    """Say whether checks of an approved certificate suspend it."""
    return not _about_another_certificate(checks) and bool(_grounds(checks))


def differences(text: str, other: str) -> list[tuple[str, bool]]:
    """Cut `text` into pieces, each with whether it differs from `other`.

    The pieces joined are `text`. Addresses are compared by words, numbers without spaces by
    characters.
    """
    if re.search(r"\s", f"{text}{other}") is None and _has_digit(text):
        return _different_characters(text, other)
    spare = Counter(word for word, _, _ in _words(other))
    pieces: list[tuple[str, bool]] = []
    reached = 0
    for word, start, end in _words(text):
        differs = spare[word] <= 0
        spare[word] -= 1
        pieces += [(text[reached:start], False), (text[start:end], differs)]
        reached = end
    return _joined([*pieces, (text[reached:], False)])


def answer_by(start: datetime, working_days: int) -> datetime:
    """When an answer is promised: the same time so many working days later, weekends left out."""
    day = start
    while working_days > 0:
        day += timedelta(days=1)
        working_days -= day.weekday() < 5
    return day


# ---- Verdicts --------------------------------------------------------------------------------


def _about_another_certificate(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Return the check that makes everything else in the reply worthless, if it is there."""
    return tuple(each for each in checks if each.code == "number" and each.result != "pass")


def _grounds(checks: Sequence[Check]) -> tuple[Ground, ...]:
    return tuple(each.ground for each in checks if each.ground)


def _refuse(checks: Sequence[Check], refusals: tuple[Ground, ...]) -> Verdict:
    deciding = [each for each in checks if each.ground in refusals]
    return Verdict(
        kind="refuse",
        why=_brief(deciding),
        customer_reason=f"{_for_customer(deciding)} {ASK_FOR_REVIEW}",
        refusals=refusals,
    )


def _by_ground(kind: VerdictKind, ground: Ground, checks: Sequence[Check]) -> Verdict:
    deciding = [each for each in checks if each.ground is ground]
    return Verdict(kind=kind, why=_brief(deciding), customer_reason=_for_customer(deciding))


def _review(checks: Sequence[Check]) -> Verdict:
    open_checks = sorted(
        (each for each in checks if each.result != "pass"),
        key=lambda each: each.result != "fail",
    )
    return Verdict(
        kind="review",
        why=_brief(open_checks),
        customer_reason=f"{_for_customer(open_checks)} {NOT_A_REFUSAL}",
    )


def _for_customer(checks: Sequence[Check]) -> str:
    return " ".join(each.customer_sentence for each in checks if each.customer_sentence)


def _brief(checks: Sequence[Check]) -> str:
    """Put the open checks into a few words: "MPAN and address differ from the certificate"."""
    differing = [each.brief.removesuffix(_DIFFERS) for each in checks if _DIFFERS in each.brief]
    items = [each.brief for each in checks if _DIFFERS not in each.brief]
    if differing:
        verb = " differ" if len(differing) > 1 else " differs"
        items.insert(0, f"{_listed(differing[::-1])}{verb} from the certificate")
    shown, more = (
        [_uncapitalised(item) for item in items[:_WHY_ITEMS]],
        len(items) - _WHY_ITEMS,
    )
    return _capitalised("; ".join(shown + ([f"and {more} more"] if more > 0 else [])))


def _listed(words: Sequence[str]) -> str:
    """Join words as people do: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


# ---- One row ---------------------------------------------------------------------------------


class _Finding(NamedTuple):
    """What one rule found, before it becomes a row beside its evidence."""

    result: Result
    sentence: str
    customer_sentence: str = ""
    brief: str = ""
    ground: Ground | None = None


def _row(code: str, finding: _Finding, *, ours: str = "", theirs: str = "") -> Check:
    return Check(code=code, title=TITLES[code], ours=ours, theirs=theirs, **finding._asdict())


# ---- The certificate itself ------------------------------------------------------------------


def _standing(
    certificate: str, installation: Installation | None, surroundings: Surroundings
) -> tuple[Check, ...]:
    """Apply the rules that an approved certificate must go on passing."""
    if installation is None:
        return (_found(certificate, None),)
    return (
        _number(certificate, installation),
        _status(installation),
        _technology(installation, surroundings),
    )


def _found(certificate: str, installation: Installation | None) -> Check:
    """Send a number that "yielded no results" back to the customer."""
    number = messages.normalise_certificate(certificate)
    if installation is not None:
        finding = _Finding("pass", f"The registry knows {number}.")
        return _row("found", finding, ours=number, theirs=installation.certificate)
    finding = _Finding(
        "fail",
        f"The registry does not know {number}.",
        f"MCS does not know a certificate with the number {number}.",
        f"The registry does not know {_shortened(number)}",
        Ground.NOT_FOUND,
    )
    return _row("found", finding, ours=number)


def _number(certificate: str, installation: Installation) -> Check:
    ours = messages.normalise_certificate(certificate)
    theirs = messages.normalise_certificate(installation.certificate)
    finding = _Finding("pass", "The reply is about the number we asked for.")
    if ours != theirs:
        finding = _Finding(
            "fail",
            f"The reply is about {theirs}. Nothing in it may count for this application.",
            "We have to look your certificate up again.",
            "The registry answered about another certificate",
        )
    return _row("number", finding, ours=ours, theirs=theirs)


def _status(installation: Installation) -> Check:
    """Accept Created alone; a value that is not listed goes to a person."""
    number = installation.status
    theirs = _listed_value(number, messages.STATUS, installation.status_description)
    finding = _STATUS_FINDINGS.get(number, _STATUS_NOT_LISTED)
    finding = finding._replace(sentence=f"{theirs}: {finding.sentence}")
    return _row("status", finding, theirs=theirs)


_STATUS_FINDINGS: Final[dict[int, _Finding]] = {
    messages.CREATED: _Finding("pass", "live, not withdrawn."),
    messages.IN_PROGRESS: _Finding(
        "look",
        "not completed yet.",
        "Your certificate is not finished yet: MCS shows it as in progress.",
        "Certificate in progress, not completed yet",
        Ground.IN_PROGRESS,
    ),
    messages.WITHDRAWN: _Finding(
        "fail",
        "never accepted for an export tariff.",
        "MCS has withdrawn your certificate, so it cannot be used for an export tariff.",
        "Certificate withdrawn",
        Ground.WITHDRAWN,
    ),
    messages.REMOVED: _Finding(
        "fail",
        "never accepted for an export tariff.",
        "MCS has removed your certificate, so it cannot be used for an export tariff.",
        "Certificate removed",
        Ground.REMOVED,
    ),
}
_STATUS_NOT_LISTED: Final = _Finding(
    "look",
    "the specification does not list this value. Ask MCS what it means.",
    "MCS shows a status for your certificate that we do not know.",
    "Certificate status is not a listed one",
)


def _technology(installation: Installation, surroundings: Surroundings) -> Check:
    """Pass solar PV; "any other technology types" are refused, 0 and unlisted go to a person."""
    number = installation.technology
    theirs = _listed_value(number, messages.TECHNOLOGY, installation.technology_description)
    if number == messages.SOLAR_PV:
        finding = _Finding("pass", "Only solar PV qualifies.")
    elif number == messages.UNSPECIFIED or number not in _TECHNOLOGY_WORDS:
        finding = _unclear_technology(number)
    else:
        finding = _other_technology(number, surroundings.review_technologies)
    finding = finding._replace(sentence=f"{theirs}. {finding.sentence}")
    return _row("technology", finding, theirs=theirs)


def _unclear_technology(number: int) -> _Finding:
    if number == messages.UNSPECIFIED:
        return _Finding(
            "look",
            "The certificate does not say what was installed. Ask the customer.",
            "Your certificate does not say which technology it is for.",
            "Technology is unspecified",
        )
    return _Finding(
        "look",
        "The specification does not list this value. Ask MCS what it means.",
        "Your certificate is for a technology that we do not know.",
        "Technology is not a listed one",
    )


def _other_technology(number: int, review_technologies: frozenset[int]) -> _Finding:
    words = _TECHNOLOGY_WORDS[number]
    customer = f"Your certificate is for {words}."
    bare = _capitalised(words.partition(" ")[2])
    if number in review_technologies:
        return _Finding(
            "look",
            "Our settings leave this technology to a person.",
            customer,
            f"{bare}: a person decides",
        )
    return _Finding(
        "fail",
        "Only solar PV qualifies.",
        f"{customer} We can pay an export tariff for solar panels (solar PV) only.",
        f"{bare}: only solar PV qualifies",
        Ground.TECHNOLOGY,
    )


def _capacity(installation: Installation) -> Check:
    """Hold the capacity against "up to and including 50kw"; above it MCS is not the route."""
    capacity, net = installation.total_capacity, installation.declared_net_capacity
    theirs = "" if capacity is None else _kilowatts(capacity)
    if net is not None:
        theirs = ", ".join(filter(None, [theirs, f"declared net {_kilowatts(net)}"]))
    return _row("capacity", _capacity_finding(capacity), theirs=theirs)


def _capacity_finding(capacity: Decimal | None) -> _Finding:
    limit = f"50{_NBSP}kW"
    if capacity is None:
        return _Finding(
            "look",
            "The certificate has no capacity. Ask the customer or the installer.",
            "Your certificate does not say how large your installation is.",
            "Capacity missing on the certificate",
        )
    size = _kilowatts(capacity)
    if capacity <= 0:
        return _Finding(
            "look",
            f"{size} cannot be right. Ask the customer or the installer.",
            f"Your certificate gives a size that cannot be right ({size}).",
            f"Capacity {size} cannot be right",
        )
    if capacity > LARGEST_CAPACITY:
        return _Finding(
            "look",
            f"{size}: above {limit} MCS is not the route. A person decides.",
            f"Your installation is larger than {limit}, where other rules apply.",
            f"Capacity {_kilowatts(capacity, short=True)} is above {limit}",
        )
    return _Finding("pass", f"{size}, up to {limit} allowed.")


def _commissioned(installation: Installation, surroundings: Surroundings) -> Check:
    day = installation.commissioning_date
    finding = _commissioned_finding(day, surroundings.today)
    return _row("commissioned", finding, theirs=_day(day) if day else "")


def _commissioned_finding(day: date | None, today: date) -> _Finding:
    if day is None or day.year < _OLDEST_YEAR:
        return _Finding(
            "look",
            "The certificate has no usable date. Ask the customer or the installer.",
            "Your certificate does not say when your installation was started up.",
            "Commissioning date missing on the certificate",
        )
    if day > today:
        return _Finding(
            "look",
            f"{_day(day)} is still to come. Nothing is exported before it.",
            f"Your certificate says that your installation starts up on {_day(day)}.",
            "Commissioning date is in the future",
        )
    return _Finding("pass", f"{_day(day)}, in the past.")


# ---- Applicant against certificate -----------------------------------------------------------


def _postcode(claim: Claim, installation: Installation) -> Check:
    ours = postcode.normalise(claim.postcode)
    theirs = postcode.normalise(installation.postcode or "")
    if not theirs:
        finding = _Finding(
            "look",
            "The certificate has no postcode.",
            "Your certificate has no postcode.",
            "Postcode missing on the certificate",
        )
    elif postcode.same(ours, theirs):
        finding = _Finding("pass", f"{ours} on both sides.")
    else:
        finding = _Finding(
            "look",
            f"“{ours}” and “{theirs}”. Is it the same place?",
            "The postcode on your certificate differs from yours.",
            f"postcode{_DIFFERS}",
        )
    return _row("postcode", finding, ours=ours, theirs=theirs)


def _address(claim: Claim, installation: Installation) -> Check:
    ours, theirs = ", ".join(claim.address), ", ".join(installation.address)
    return _row("address", _address_finding(claim, installation), ours=ours, theirs=theirs)


def _address_finding(claim: Claim, installation: Installation) -> _Finding:
    """Pass the same words in any order and spelling, and a side that only says more."""
    ours = _address_words(claim.address, claim.postcode)
    theirs = _address_words(installation.address, installation.postcode or "")
    if not theirs:
        brief = "Address missing on the certificate"
        no_address = "certificate has no address."
        return _Finding("look", f"The {no_address}", f"Your {no_address}", brief)
    only_ours, only_theirs = ours - theirs, theirs - ours
    for word in _address_words([installation.county_description or ""]):
        del only_ours[word], only_theirs[word]
    if not only_ours and not only_theirs:
        return _Finding("pass", "The same on both sides.")
    if _only_locality(only_ours, only_theirs) and any(_has_digit(word) for word in ours & theirs):
        return _Finding("pass", "The same home; one side says more about the place.")
    return _different_address(_numbers(only_ours), _numbers(only_theirs))


def _different_address(our_number: str, their_number: str) -> _Finding:
    if our_number and their_number:
        sentence = f"“{our_number}” and “{their_number}”. A flat or a typing slip?"
    elif our_number or their_number:
        sentence = f"Only one side has “{our_number or their_number}”. Is it the same home?"
    else:
        sentence = "The words differ. Is it the same place?"
    differing = "house number" if our_number or their_number else "address"
    return _Finding(
        "look",
        f"{sentence} The certificate is usually right.",
        f"The {differing} on your certificate differs from yours.",
        f"address{_DIFFERS}",
    )


def _import_mpan(claim: Claim, installation: Installation) -> Check:
    """Compare the certificate's MPAN with the import MPAN, and with nothing else.

    It is copied from an industry database that only the distributor can correct, so a difference
    is a question and never a failure.
    """
    ours, theirs = _digits(claim.import_mpan), _digits(installation.mpan or "")
    if not theirs:
        finding = _Finding("pass", "The certificate has none, as often happens.")
    elif not ours:
        finding = _Finding("pass", "Not given, so there is nothing to compare.")
    elif ours == theirs:
        finding = _Finding("pass", "The same on both sides.")
    else:
        finding = _Finding(
            "look",
            f"{_mpan_difference(ours, theirs)} This is never a reason to refuse by itself.",
            "The meter number (MPAN) on your certificate differs from yours.",
            f"MPAN{_DIFFERS}",
        )
    return _row("import_mpan", finding, ours=ours, theirs=theirs)


def _mpan_difference(ours: str, theirs: str) -> str:
    if not mpan.is_valid(theirs):
        return "The certificate’s is not a valid MPAN."
    if not mpan.is_valid(ours):
        return "The applicant’s is not a valid MPAN."
    count = sum(a != b for a, b in zip(ours, theirs, strict=True))
    differ = "One digit differs" if count == 1 else f"{count} digits differ"
    return f"{differ}; both numbers are valid."


def _distributor(claim: Claim, installation: Installation, surroundings: Surroundings) -> Check:
    """Hold the form's answer against DNONotificationCompliance ("Connection to Electricity").

    Up to 16 A a phase (G98) the distributor is told within 28 days after commissioning; above
    (G99) it agrees before. The phases are not known, so between 3.68 and 11.04 kW both may apply.
    """
    number, theirs = installation.dno_notification, ""
    if number is not None:
        description = installation.dno_notification_description
        theirs = _listed_value(number, messages.DNO_CONNECTION, description)
    if claim.dno_told == "yes":
        finding = _told(installation)
    else:
        finding = _not_told(claim, installation, surroundings)
    ours = {"yes": "Yes", "no": "No", "unknown": "Don’t know"}[claim.dno_told]
    return _row("distributor", finding, ours=ours, theirs=theirs)


def _told(installation: Installation) -> _Finding:
    """Look for a certificate that contradicts an applicant who says the distributor was told."""
    number, size = installation.dno_notification, _connected_size(installation)
    if number is None or number == messages.UNSPECIFIED:
        return _Finding("pass", "The applicant says yes; the certificate does not say.")
    if number == messages.CONSENT_BEFORE:
        return _Finding("pass", "The distributor agreed before connection, says the certificate.")
    if number != messages.NOTIFY_AFTERWARDS:
        return _odd_connection(number)
    if size is not None and size > G98_THREE_PHASES:
        limit = _kilowatts(G98_THREE_PHASES)
        return _Finding(
            "look",
            f"Told afterwards, says the certificate; above {limit} they must agree before (G99).",
            "An installation of this size needs your distributor’s consent before connection.",
            "Distributor notification: consent before is needed",
        )
    if size is None or size <= G98_ONE_PHASE:
        return _Finding("pass", "The applicant says yes; telling them afterwards is enough (G98).")
    return _Finding(
        "pass",
        "The applicant says yes; afterwards is enough on three phases (G98), not on one (G99).",
    )


def _odd_connection(number: int) -> _Finding:
    customer = "We need to ask how your installation is connected to the grid."
    if number == messages.NOT_APPLICABLE:
        return _Finding(
            "look",
            "The applicant says yes, the certificate not applicable. Is it on the grid at all?",
            customer,
            "Distributor notification: certificate says not applicable",
        )
    return _Finding(
        "look",
        "The specification does not list the certificate’s value. Ask MCS what it means.",
        customer,
        "Distributor notification is not a listed one",
    )


def _not_told(claim: Claim, installation: Installation, surroundings: Surroundings) -> _Finding:
    said, answer = "The applicant says no.", "no"
    if claim.dno_told == "unknown":
        said, answer = "The applicant does not know.", "don’t know"
    return _Finding(
        "look",
        f"{said} {_when_to_tell(installation, surroundings.today)}",
        "We need to know that your electricity distributor has been told.",
        f"Distributor notification: “{answer}”",
    )


def _when_to_tell(installation: Installation, today: date) -> str:
    """Say by when the distributor had to know, as far as the certificate tells."""
    size, day = _connected_size(installation), installation.commissioning_date
    if installation.dno_notification == messages.CONSENT_BEFORE:
        return "The certificate says they agreed before connection, which usually settles it."
    if size is not None and size > G98_THREE_PHASES:
        return f"Above {_kilowatts(G98_THREE_PHASES)} they must agree before connection (G99)."
    if day is None or not _OLDEST_YEAR <= day.year < date.max.year:
        return "They must know within 28 days after commissioning; that date is missing."
    last_day = day + NOTIFY_WITHIN
    verb = "ended" if last_day < today else "end"
    return f"28 days after commissioning {verb} on {_day(last_day)}."


# ---- The applicant alone ---------------------------------------------------------------------


def _one_live(claim: Claim, surroundings: Surroundings) -> Check:
    ours, other = (
        messages.normalise_certificate(claim.certificate),
        surroundings.certificate_held_by,
    )
    if not other:
        finding = _Finding("pass", "No other live application uses this certificate.")
        return _row("one_live", finding, ours=ours)
    finding = _Finding(
        "fail",
        f"{other} uses the same certificate. Close it first, or refuse this one.",
        "Another application with us already uses this certificate.",
        f"{other} uses the same certificate",
    )
    return _row("one_live", finding, ours=ours, theirs=other)


def _export_mpan(claim: Claim, surroundings: Surroundings) -> Check:
    ours = _digits(claim.export_mpan)
    theirs = surroundings.export_mpan_held_by if ours else ""
    return _row("export_mpan", _export_mpan_finding(claim, theirs), ours=ours, theirs=theirs)


def _export_mpan_finding(claim: Claim, held_by: str) -> _Finding:
    ours = _digits(claim.export_mpan)
    if not ours:
        return _Finding("pass", "Not given. It can follow; payments start when it is there.")
    try:
        mpan.parse(ours)
    except mpan.MpanError as problem:
        customer = "The export MPAN that you gave does not look right."
        return _Finding("fail", f"Not valid. {problem}", customer, "Export MPAN is not valid")
    if ours == _digits(claim.import_mpan):
        return _Finding(
            "fail",
            "The same as the import MPAN. Export has a number of its own.",
            "You gave the same MPAN for import and export. Export has a number of its own.",
            "Export and import MPAN are the same",
        )
    if held_by:
        return _shared_export(claim, held_by)
    return _Finding("pass", "Valid, not the import MPAN, in no other live application.")


def _shared_export(claim: Claim, held_by: str) -> _Finding:
    """Let an extension share the meter of what it extends after a look; nothing else may."""
    customer = "Another application with us already uses this export MPAN."
    brief = f"{held_by} uses the same export MPAN"
    if claim.kind == "extension":
        sentence = f"{held_by} uses it too. Is that the installation this one extends?"
        return _Finding("look", sentence, customer, brief)
    sentence = f"{held_by} uses it too. Close it first, or refuse this one."
    return _Finding("fail", sentence, customer, brief)


def _fit(claim: Claim) -> Check:
    """FIT export payments exclude the tariff; FIT generation payments do not."""
    if claim.fit_export_declared:
        said = "Not receiving FIT export payments"
        return _row(
            "fit",
            _Finding("pass", f"{said}; signed {_day(claim.received_on)}."),
            ours=said,
        )
    finding = _Finding(
        "fail",
        "Not declared. Export is paid once only; FIT generation payments do not matter.",
        "You have not declared that you get no FIT export payments.",
        "FIT export payments are not ruled out",
    )
    return _row("fit", finding, ours="Not declared")


def _tariff(claim: Claim, surroundings: Surroundings) -> Iterator[Check]:
    """Add a row only where no tariff was open: without one nothing can be approved."""
    if surroundings.tariff_open:
        return
    day = _day(claim.received_on)
    finding = _Finding(
        "look",
        f"No tariff was open on {day}, the day of receipt.",
        "We had no open export tariff on the day you applied.",
        "No tariff open on the day of receipt",
    )
    yield _row("tariff", finding, ours=day)


# ---- Comparing addresses ---------------------------------------------------------------------

_SHORT_FORMS: Final[dict[str, str]] = {
    "road": "rd",
    "street": "st",
    "saint": "st",
    "avenue": "ave",
    "av": "ave",
    "lane": "ln",
    "drive": "dr",
    "drv": "dr",
    "close": "cl",
    "court": "ct",
    "crescent": "cres",
    "cresent": "cres",
    "gardens": "gdns",
    "garden": "gdns",
    "grove": "gr",
    "grv": "gr",
    "place": "pl",
    "square": "sq",
    "terrace": "ter",
    "terr": "ter",
    "park": "pk",
    "mount": "mt",
    "cottage": "cott",
    "house": "hse",
    "building": "bldg",
    "buildings": "bldg",
    "upper": "upr",
    "lower": "lwr",
    "great": "gt",
    "little": "ltl",
    "apartment": "flat",
    "apt": "flat",
    "flt": "flat",
}
_SILENT = frozenset({"the", "no", "number", "and", "uk", "england", "wales", "scotland"})
# Words that may name another home at the same number, so they are never "only the place".
_HOME_WORDS = frozenset(
    {
        "flat",
        "unit",
        "room",
        "suite",
        "floor",
        "annexe",
        "annex",
        "rear",
        "basement",
        "ground",
        "first",
        "second",
        "third",
        "top",
        "cott",
        "hse",
        "bldg",
        "barn",
        "lodge",
        "farm",
        "mews",
        "studio",
        "block",
        "tower",
        "upr",
        "lwr",
    }
)
_WORD = re.compile(
    r"(?:\b(?P<part>flat|flt|apartment|apt|unit|room|suite|block|plot)\.?\s+(?:no\.?\s*)?)?"
    r"(?P<number>\d+(?:\s?[A-Za-z]\b)?(?:\s?[-–/]\s?\d+[A-Za-z]?)?)"
    r"|\b(?P<lettered>flat|flt|apartment|apt|unit|room|suite|block)\.?\s+(?P<letter>[A-Za-z])\b"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)",
    re.IGNORECASE,
)


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the words of an address in one spelling, each with where it stands in the text."""
    for match in _WORD.finditer(text):
        word = _spelling(match)
        if word not in _SILENT:
            yield word, match.start(), match.end()


def _spelling(match: re.Match[str]) -> str:
    """Spell one word the same way always: "Apartment 2" as "flat 2", "14 A" as "14a"."""
    part, number = (
        match["part"] or match["lettered"],
        match["number"] or match["letter"],
    )
    if number is None:
        return _short(match["word"])
    number = re.sub(r"\s", "", number).replace("–", "-").casefold()
    return f"{_short(part)} {number}" if part else number


def _short(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word)
    letters = "".join(sign for sign in plain if sign.isalnum()).casefold()
    return _SHORT_FORMS.get(letters, letters)


def _address_words(lines: Sequence[str], known_postcode: str = "") -> Counter[str]:
    """Count the words of an address; the postcode has a check of its own and is left out."""
    text = "\n".join(lines)
    if compact := "".join(known_postcode.split()):
        text = re.sub(r"\s?".join(map(re.escape, compact)), "", text, flags=re.IGNORECASE)
    return Counter(word for word, _, _ in _words(text))


def _has_digit(word: str) -> bool:
    return any(sign.isdigit() for sign in word)


def _numbers(words: Counter[str]) -> str:
    """Return the house numbers and flat letters among the words, as people write them."""
    numbers = (word for word in words if _has_digit(word) or " " in word)
    return ", ".join(
        word[:1].upper() + word[1:] if " " in word else word.upper() for word in numbers
    )


def _only_locality(only_ours: Counter[str], only_theirs: Counter[str]) -> bool:
    """Say whether one side alone has more words, none of which can name another home."""
    if only_ours and only_theirs:
        return False
    return all(
        word.isalpha() and len(word) > 1 and word not in _HOME_WORDS
        for word in only_ours + only_theirs
    )


def _different_characters(text: str, other: str) -> list[tuple[str, bool]]:
    matcher = difflib.SequenceMatcher(a=other, b=text, autojunk=False)
    if len(text) == len(other):
        return _joined([(a, a != b) for a, b in zip(text, other, strict=True)])
    return _joined(
        [(text[start:end], tag != "equal") for tag, _, _, start, end in matcher.get_opcodes()]
    )


def _joined(pieces: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Join neighbours that say the same and drop empty pieces."""
    joined: list[tuple[str, bool]] = []
    for piece, differs in pieces:
        if piece and joined and joined[-1][1] == differs:
            joined[-1] = (joined[-1][0] + piece, differs)
        elif piece:
            joined.append((piece, differs))
    return joined


# ---- Small things ----------------------------------------------------------------------------


def _connected_size(installation: Installation) -> Decimal | None:
    """kW that can reach the grid: the declared net capacity where it is known."""
    return installation.declared_net_capacity or installation.total_capacity


def _digits(text: str) -> str:
    """Return an MPAN without spaces; of the 21 digits of a full one, the last 13."""
    compact = re.sub(r"[\s\-‐-―−]+", "", text)
    if len(compact) == 21 and compact.isascii() and compact.isdigit():
        return compact[-mpan.LENGTH :]
    return compact


def _listed_value(number: int, table: Mapping[int, str], description: str | None) -> str:
    """Write a look-up value with its number; the registry's own words where it is not listed."""
    return f"{table.get(number) or description or 'Not listed'} ({number})"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shortened(number: str) -> str:
    """Keep an endless certificate number from filling a list."""
    return number if len(number) <= _LONGEST_SHOWN else f"{number[: _LONGEST_SHOWN - 1]}…"


def _uncapitalised(text: str) -> str:
    """Write a sentence's start small inside another one, unless it is an abbreviation."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _day(day: date) -> str:
    """Write a date as 9 Sep 2026, kept together by no-break spaces."""
    return f"{day.day}{_NBSP}{day:%b}{_NBSP}{day.year}"


def _kilowatts(amount: Decimal, *, short: bool = False) -> str:
    """Write kW with two decimals, or `short` with only those that count."""
    text = f"{amount:.2f}"
    if short:
        text = text.rstrip("0").rstrip(".")
    return f"{text}{_NBSP}kW"
