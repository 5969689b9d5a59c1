"""Applications in any status, their forms and tariffs.

ApplicationFactory(status="suspended") walks there by moves; SubmissionFactory() is a finished form;
applicant_of(registry.certificate(number)) are the fields of the person behind a certificate.
"""

from datetime import timedelta
from decimal import Decimal

import factory
from django.utils import timezone

from core.workflow import CUSTOMER, PORTAL, Actor, Who, opened
from seg.actions import Submission
from seg.models import Application, Question, Tariff, hash_token
from tests.factories.parcels import walk
from tests.factories.people import UserFactory

WAYS = {
    "checking": (),
    "review": (("give_to_person", PORTAL),),
    "approved": (("approve_clean", PORTAL),),
    "suspended": (("approve_clean", PORTAL), ("suspend", PORTAL)),
    "refused": (("refuse_by_rule", PORTAL),),
    "withdrawn": (("withdraw_own", CUSTOMER),),
}


def mpan(start):
    """Thirteen digits with the right check digit for twelve or fewer."""
    body = f"{start:012d}"
    weights = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)
    total = sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True))
    return f"{body}{total % 11 % 10}"


class TariffFactory(factory.django.DjangoModelFactory):
    """A tariff open since 2020 without end."""

    class Meta:
        model = Tariff

    code = factory.Sequence(lambda n: f"SEG-T{n}")
    name = "Export"
    rate = Decimal("15.000")
    open_from = factory.LazyFunction(lambda: timezone.localdate().replace(year=2020, day=1))


class _Form(factory.Factory):
    """What a customer fills in."""

    class Meta:
        abstract = True

    certificate_number = factory.Sequence(lambda n: f"MCS-{80000000 + n}-A")
    kind = "new"
    address_line_1 = factory.Sequence(lambda n: f"{n + 1} Lapwing Rise")
    address_line_2 = ""
    town = "Harrowmere"
    postcode = "JX11 4BD"
    import_mpan = factory.Sequence(lambda n: mpan(120000000000 + n))
    export_mpan = factory.Sequence(lambda n: mpan(130000000000 + n))
    dno_told = "yes"
    battery = False
    no_fit_export = True
    name = factory.Sequence(lambda n: f"Ada Lark {n}")
    email = factory.Sequence(lambda n: f"ada.lark.{n}@example.org")
    phone = "01632 960123"
    postal_address = ""
    account_name = "A Lark"
    sort_code = "000000"
    account_number = "12345678"
    terms_version = "2026-01"


class SubmissionFactory(_Form):
    """A finished form, for `seg.actions.submit`."""

    class Meta:
        model = Submission


class ApplicationFactory(_Form, factory.django.DjangoModelFactory):
    """An application that walked to its status; nothing is due and no e-mail is written.

    `token` is the secret of its tracking link; `tariff` is made for approved and suspended ones;
    a waiting one has an open question by `asked_by`.
    """

    class Meta:
        model = Application

    class Params:
        asked_by = None

    status = "checking"
    reference = factory.Sequence(lambda n: f"SEG-2001-{n:04d}")
    received_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=2))
    created_at = factory.SelfAttribute("received_at")
    status_at = factory.SelfAttribute("received_at")
    terms_accepted_at = factory.SelfAttribute("received_at")
    due_by = factory.LazyAttribute(lambda row: row.received_at + timedelta(days=7))
    why = "Waiting for the registry"
    token = factory.Sequence(lambda n: f"token-{n:04d}-nobody-can-guess-this-one")
    token_sha256 = factory.LazyAttribute(lambda row: hash_token(row.token))
    submission_key = factory.Sequence(lambda n: f"key-{n}")
    asked_by = None

    @classmethod
    def _create(cls, model, *args, status, asked_by=None, **fields):
        if status in {"approved", "suspended"} and not fields.get("tariff"):
            fields["tariff"] = Tariff.objects.first() or TariffFactory()
        row = model.objects.create(status=Application.FIRST, **fields)
        opened(row, by=CUSTOMER, now=row.received_at)
        if status != "waiting":
            return walk(row, WAYS[status], row.received_at)
        return _asked(row, asked_by or UserFactory(role="export tariff"))


def _asked(row, person):
    """Give the case to a person, who asks the customer."""
    asks = Actor(str(person), Who.PERSON, person)
    row = walk(row, (("give_to_person", PORTAL), ("ask", asks)), row.received_at)
    Question.objects.create(
        application=row, asked_by=person, asked_at=row.status_at, text="Which meter is yours?"
    )
    return row


def applicant_of(certificate):
    """Form fields of the person behind a certificate of the sandbox, for SubmissionFactory."""
    said = {name: value or "" for name, value in certificate["applicant"].items()}
    return {"certificate_number": certificate["number"], **said}
