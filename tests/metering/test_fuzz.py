"""The endpoint for results under chance: from /api/schema/, and documents that are nearly right.

Whatever arrives: never 500, always `details` unless 200, and what is answered 200 is kept.
"""

import json
import zlib

import pytest
import schemathesis
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from metering import actions, messages
from metering.models import Delivery
from tests.factories.metering import MeterReadFactory
from tests.metering.conftest import document, post

pytestmark = pytest.mark.django_db
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
STATES = {"waiting", "stored", "repeated", "aside"}


@pytest.fixture
def schema(db):
    """The portal's own schema, asked of the running application, on this test's connection."""
    ends = (signals.request_started, signals.request_finished)
    for each in ends:
        each.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
    for each in ends:
        each.connect(close_old_connections)


@pytest.fixture
def read(db, settings, monkeypatch):
    """A read that waits for its result, and room for thousands."""
    settings.METERING_RESULTS_PER_HOUR = 1_000_000
    monkeypatch.setattr(actions, "MOST_STRANGERS", 1_000_000)
    return MeterReadFactory(status="requested")


def answered_well(status, body, before):
    assert status in {200, 400, 404, 429}, (status, body)
    said = json.loads(body)
    assert list(said) == (["requestReference"] if status == 200 else ["details"])
    if status == 200:
        assert Delivery.objects.exists()
    assert Delivery.objects.count() >= before


@MANY
@given(
    st.sampled_from(["/metering/results/{token}", "/metering/results/{token}/collection-result"]),
    st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]),
    st.data(),
)
def test_what_the_schema_allows_and_forbids(schema, read, path, mode, data):
    operation = schema[path]["POST"]
    case = data.draw(operation.as_strategy(generation_mode=mode))
    before = Delivery.objects.count()
    assert case.call().status_code in {400, 404}  # nobody guesses a token
    assert Delivery.objects.count() == before
    case.path_parameters["token"] = read.token
    reply = case.call()
    answered_well(reply.status_code, reply.content, before)
    assert Delivery.objects.count() == before + 1


# ---- Nearly right --------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["ERROR: x", "2026-05-01T00:00:00Z", "9999-12-31T23:59:59Z", "1e400", "\x00"]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)
READING = st.fixed_dictionaries(
    {}, optional={"timestamp": SCALARS, "value": SCALARS, "statusFlags": SCALARS, "x": ANYTHING}
)
SERIES = st.fixed_dictionaries(
    {},
    optional={
        "name": SCALARS,
        "units": SCALARS,
        "readings": st.lists(READING | ANYTHING, max_size=5),
    },
)
REGISTER = st.fixed_dictionaries(
    {}, optional={"name": SCALARS, "units": SCALARS, "value": SCALARS, "timestamp": SCALARS}
)
NAMES = sorted(messages.RESULT_SCHEMA["properties"].keys() - {"requestReference"})
CHANGES = st.dictionaries(st.sampled_from([*NAMES, "password"]), ANYTHING, max_size=5)


@MANY
@given(CHANGES, st.lists(SERIES, max_size=3), st.lists(REGISTER, max_size=3))
def test_whatever_a_result_says_it_is_kept_and_stored_or_shown_to_a_person(
    work, settings, changes, series, registers
):
    settings.METERING_RESULTS_PER_HOUR = 1_000_000
    read = MeterReadFactory(status="requested")
    content = {"surveyData": series, "registerValues": registers, **changes}
    reply = post(read, json.dumps(document(read, **content)).encode())
    assert reply.status_code == 200, reply.content
    work()
    delivery = Delivery.objects.get(read=read)
    assert delivery.state in {"stored", "aside"}, delivery.reason
    assert "could not be stored" not in delivery.reason
    assert read.__class__.objects.get(pk=read.pk).status in {
        "requested", "accepted", "to_check", "failed"
    }  # fmt: skip
    kept = json.loads(zlib.decompress(bytes(delivery.body)))
    assert kept["requestReference"] == str(read.our_reference)


@MANY
@given(st.binary(max_size=300))
def test_bytes_by_chance(read, body):
    before = Delivery.objects.count()
    reply = post(read, body)
    answered_well(reply.status_code, reply.content, before)
    assert Delivery.objects.count() == before + 1


@MANY
@given(st.data())
def test_a_result_with_some_bytes_changed(read, data):
    body = bytearray(json.dumps(document(read)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    before = Delivery.objects.count()
    reply = post(read, bytes(body))
    answered_well(reply.status_code, reply.content, before)
    assert set(Delivery.objects.values_list("state", flat=True)) <= STATES | {"unreadable"}
