"""Rows for tests. Cases reach their status through `core.workflow.move` alone."""

from tests.factories.applications import (
    ApplicationFactory,
    SubmissionFactory,
    TariffFactory,
    applicant_of,
)
from tests.factories.mails import EmailFactory
from tests.factories.metering import (
    DeliveryFactory,
    MeterFactory,
    MeterReadFactory,
    MeterTypeFactory,
    meter_of,
)
from tests.factories.parcels import ParcelFactory
from tests.factories.people import ROLES, UserFactory

__all__ = [
    "ROLES",
    "ApplicationFactory",
    "DeliveryFactory",
    "EmailFactory",
    "MeterFactory",
    "MeterReadFactory",
    "MeterTypeFactory",
    "ParcelFactory",
    "SubmissionFactory",
    "TariffFactory",
    "UserFactory",
    "applicant_of",
    "meter_of",
]
