"""E-mails about an application: EmailFactory(state="failed"), EmailFactory(case=parcel)."""

from datetime import timedelta

import factory
from django.utils import timezone

from core.models import Email, new_message_id
from tests.factories.applications import ApplicationFactory


class EmailFactory(factory.django.DjangoModelFactory):
    """A queued e-mail; waiting ones are due at once unless `due_at` says otherwise."""

    class Meta:
        model = Email

    class Params:
        case = factory.LazyFunction(ApplicationFactory)

    case_label = factory.LazyAttribute(lambda row: row.case.case_label)
    case_id = factory.LazyAttribute(lambda row: row.case.pk)
    reference = factory.LazyAttribute(lambda row: row.case.reference)
    purpose = "news"
    message_id = factory.LazyFunction(lambda: new_message_id("larkmoor.example"))
    to = factory.Sequence(lambda n: f"customer.{n}@example.org")
    subject = factory.Sequence(lambda n: f"Your application ({n})")
    text = "Hello,\n\nwe have news for you.\n"
    by_name = "the portal"
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=1))
    send_at = factory.SelfAttribute("created_at")
    state = "waiting"
    due_at = factory.LazyAttribute(lambda row: row.send_at if row.state == "waiting" else None)
