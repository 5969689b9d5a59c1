"""Invented applications for the demo: the 20 UAT certificates, and a case in every other status.

Everything goes through seg.actions; the certificates and their applicants come from the sandbox.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from core import casework
from core.demo import ask_sandbox, wait_until
from core.models import User
from core.workflow import Actor, actor_for
from seg import actions
from seg.models import Application, Tariff

Status = Application.Status
TERMS = "2026-01"
# number: days ago, and what the applicant said otherwise than the certificate
SPECIALS: dict[str, tuple[float, dict[str, Any]]] = {
    "MCS-90417326-K": (3.2, {"dno_told": "unknown", "battery": True}),
    "MCS-70000031-J": (2.1, {}),
    "MCS-70000021-Y": (0.9, {}),
    "MCS-70000062-T": (1.8, {}),
    "MCS-70000015-S": (6.4, {}),
    "MCS-70000061-S": (0.4, {}),
    "MCS-70000044-Y": (1.1, {"no_fit_export": False}),
    "MCS-70000073-E": (1.3, {}),
    "MCS-70000001-B": (4.2, {}),
    "MCS-70000074-F": (0.1, {}),
    "MCS-70000004-E": (9.0, {}),
    "MCS-70000068-Z": (5.1, {}),
    "MCS-70000069-A": (7.3, {}),
    "MCS-70000067-Y": (12.0, {}),
    "MCS-70000041-V": (2.7, {}),
}


def fill() -> Iterator[str]:
    """Make tariffs and applications; what needs the worker's answer waits for it."""
    _tariffs()
    certificates = ask_sandbox(settings.SEG_API_URL, "/control/certificates")
    people = {row["number"]: row for row in certificates}
    uat = [number for number, row in people.items() if row["group"] == "uat"]
    for number in uat:
        _apply(people[number])
    yield f"{len(uat)} applications for the UAT certificates"
    for number, (days, said) in SPECIALS.items():
        _apply(people[number], days=days, **said)
    yield f"{len(SPECIALS)} applications for special certificates"
    keys = [f"demo {number}" for number in SPECIALS]
    waiting = Application.objects.filter(submission_key__in=keys, status=Status.CHECKING)
    if not wait_until(lambda: waiting.filter(verified_at=None, trouble="").count() == 0):
        yield "the worker has not answered yet; run this again when it runs"
        return
    yield from _people_at_work()


def _tariffs() -> None:
    year = timezone.localdate().year
    rows = (
        (f"SEG-{year}", f"Larkmoor Export {year}", "14.200", date(year - 1, 4, 1)),
        (f"SEG-{year + 1}", f"Larkmoor Export {year + 1}", "15.100", date(year - 1, 10, 1)),
    )
    for code, name, rate, start in rows:
        Tariff.objects.get_or_create(
            code=code, defaults={"name": name, "rate": Decimal(rate), "open_from": start}
        )


def _apply(row: dict[str, Any], *, days: float = 0, **said: Any) -> Application:
    applicant = row["applicant"]
    facts = {
        "certificate_number": row["number"],
        "kind": Application.Kind.NEW,
        **{name: applicant[name] or "" for name in applicant},
        "dno_told": Application.Told.YES,
        "battery": False,
        "no_fit_export": True,
        "phone": "",
        "postal_address": "",
        "account_name": applicant["name"],
        "sort_code": "000041",
        "account_number": "00002207",
        "terms_version": TERMS,
        **said,
    }
    moment = timezone.now() - timedelta(days=days)
    return actions.submit(
        submission=actions.Submission(**facts), key=f"demo {row['number']}", now=lambda: moment
    )


def _people_at_work() -> Iterator[str]:
    """Decisions, questions and withdrawals, as members of staff and customers make them."""
    staff = User.objects.filter(groups=Group.objects.get(name="export tariff")).order_by("pk")
    person = staff.first()
    if person is None:
        yield "no member of staff has the export tariff role; run set_up_people first"
        return
    by = actor_for(person)
    _refused(by)
    _asked(by)
    _withdrawn()
    _approved(by)
    _assigned(by, list(staff))
    yield from _suspended()


def _case(number: str, status: str) -> Application | None:
    return Application.objects.filter(submission_key=f"demo {number}", status=status).first()


def _now() -> datetime:
    return timezone.now()


def _refused(by: Actor) -> None:
    if case := _case("MCS-70000015-S", Status.REVIEW):
        reason = "Your certificate is for a technology that this tariff does not cover."
        actions.refuse(application=case, reason=reason, by=by, now=_now)


def _asked(by: Actor) -> None:
    if case := _case("MCS-70000062-T", Status.REVIEW):
        text = "Which import MPAN is on your electricity bill? A photo of the bill helps."
        actions.ask(application=case, text=text, by=by, now=_now)


def _withdrawn() -> None:
    if case := _case("MCS-70000061-S", Status.REVIEW):
        reason = "I chose another supplier"
        actions.withdraw_own(application=case, reason=reason, now=_now)


def _approved(by: Actor) -> None:
    if case := _case("MCS-70000068-Z", Status.REVIEW):
        reason = "The distributor’s letter shows that no notification was needed."
        actions.approve(application=case, reason=reason, by=by, now=_now)


def _assigned(by: Actor, staff: list[User]) -> None:
    case = _case("MCS-90417326-K", Status.REVIEW)
    if case and case.assigned_to is None:
        text = "Rang the customer: the house was split in 2024. Asked for a photo of the bill."
        casework.note(case, text=text, by=by, now=_now())
        casework.assign(case, to=staff[0], by=by, now=_now())


def _suspended() -> Iterator[str]:
    """An approved certificate that the registry withdraws later."""
    case = _case("MCS-70000004-E", Status.APPROVED)
    staff = User.objects.filter(groups__name="export tariff").first()
    if case is None or staff is None:
        return
    number = case.certificate_number
    ask_sandbox(settings.SEG_API_URL, f"/control/certificates/{number}", {"Status": 3})
    actions.check_again(application=case, by=actor_for(staff), now=_now)
    yield "one approved certificate was withdrawn at the registry"
