"""Systems, windows and reports of the production desk, as the played party has them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import factory
from django.utils import timezone

from core.workflow import PORTAL, actor_for, opened
from pts import rules
from pts.known import window_rule, zone
from pts.models import PartyReading, Report, System, Window
from tests.factories.parcels import walk
from tests.factories.people import UserFactory

OPEN = datetime(2026, 11, 29, 15, tzinfo=UTC)  # 10:00 in New York, inside November's window


class SystemFactory(factory.django.DjangoModelFactory):
    """A system of 10 kW that MassCEC lists."""

    class Meta:
        model = System
        django_get_or_create = ("fk_system",)

    fk_system = factory.Sequence(lambda n: 1000 + n)
    system_id = factory.LazyAttribute(lambda row: f"NFG-NN100-0{row.fk_system}")
    name = factory.LazyAttribute(lambda row: f"Roof {row.fk_system}")
    capacity = Decimal("10.000")


class WindowFactory(factory.django.DjangoModelFactory):
    """The window of a month as the rule has it, begun."""

    class Meta:
        model = Window
        django_get_or_create = ("month",)

    month = OPEN.date().replace(day=1)
    begun_at = factory.LazyAttribute(lambda row: row.opens_at)

    @factory.lazy_attribute
    def opens_at(self):
        return _shape(self.month).opens

    @factory.lazy_attribute
    def closes_at(self):
        return _shape(self.month).closes


def _shape(month):
    return rules.window_of(rules.month_of(month), window_rule(), zone())


class PartyReadingFactory(factory.django.DjangoModelFactory):
    """The last reading that MassCEC has: 10,000 kWh at the end of October."""

    class Meta:
        model = PartyReading

    system = factory.SubFactory(SystemFactory)
    meter_value = Decimal(10_000)
    meter_at = datetime(2026, 10, 31, 16, tzinfo=UTC)
    meter_date = factory.LazyAttribute(lambda row: f"{row.meter_at:%Y-%m-%dT%H:%M:%S}")
    period_end = factory.LazyAttribute(lambda row: row.meter_at.date())
    read_at = factory.LazyAttribute(lambda row: row.meter_at)


WAYS = {
    "missing": (),
    "look": ("enter_odd",),
    "ready": ("enter_fine",),
    "tested": ("enter_fine", "test_passed"),
    "validating": ("enter_fine", "test_passed", "submit"),
    "passed": ("enter_fine", "test_passed", "submit", "pass_validation"),
    "failed": ("enter_fine", "test_failed"),
}
PEOPLE_MOVE = {"enter_odd", "enter_fine", "submit"}


class ReportFactory(factory.django.DjangoModelFactory):
    """A report of November that walked to its status; nothing is due, nothing was sent."""

    class Meta:
        model = Report

    status = "missing"
    system = factory.SubFactory(SystemFactory)
    window = factory.SubFactory(WindowFactory)
    reference = factory.Sequence(lambda n: f"PTS-2001-{n:04d}")
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1))
    status_at = factory.SelfAttribute("created_at")
    due_by = factory.LazyAttribute(lambda row: row.window.closes_at)

    @classmethod
    def _create(cls, model, *args, status, **fields):
        report = model.objects.create(status=Report.FIRST, **fields)
        opened(report, by=PORTAL, now=report.created_at)
        way = [
            (name, actor_for(UserFactory(admin=True)) if name in PEOPLE_MOVE else PORTAL)
            for name in WAYS[status]
        ]
        return walk(report, way, report.created_at)
