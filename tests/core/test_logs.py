"""Logs as they are written: an event a line, with request and case, without tokens or people."""

import io
import json
import logging
import logging.config

import pytest
import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.defaults import server_error

from config.logs import logging_config
from core.mail import MAIL
from core.tasks import send_mail
from tests.factories import ApplicationFactory, EmailFactory

pytestmark = pytest.mark.django_db
TOKEN = "a-t0ken-that-is-as-good-as-a-passw0rd"


@login_not_required
def broken(request, token=""):
    raise ValueError(f"no luck with {request.path}")


urlpatterns = [path("seg/track/<str:token>/broken/", broken), path("broken/", broken)]
handler500 = server_error


@pytest.fixture(params=[False, True], ids=["JSON", "readable"])
def written(request):
    """What the portal's own logging writes, in both of its forms."""
    stream = io.StringIO()
    config = logging_config(debug=request.param)
    config["handlers"]["console"]["stream"] = stream
    logging.config.dictConfig(config)
    yield stream
    logging.config.dictConfig(settings.LOGGING)


def lines(written):
    text = written.getvalue()
    return [json.loads(line) for line in text.splitlines()] if text.startswith("{") else []


def private(application):
    return [
        TOKEN,
        application.name,
        application.email,
        application.postcode,
        application.phone,
        application.import_mpan,
        "203.0.113.77",
    ]


def assert_private(written, application):
    text = written.getvalue()
    assert text
    for word in private(application):
        assert word not in text


@pytest.fixture
def application():
    return ApplicationFactory(token=TOKEN, name="Ada Quillfeather")


def test_a_tracking_page(written, application, client):
    client.get(f"/seg/track/{TOKEN}/", REMOTE_ADDR="203.0.113.77")
    assert_private(written, application)
    assert "/seg/track/[token]/" in written.getvalue()


@pytest.mark.parametrize(
    "url",
    ["/seg/track/{}x/", "/seg/track/{}", "/seg/track/{}/nothing/there/", "/seg/track/{}/?a=b"],
)
def test_an_address_that_leads_nowhere(url, written, application, client):
    client.get(url.format(TOKEN))
    assert_private(written, application)


@pytest.mark.urls("tests.core.test_logs")
def test_a_page_that_fails(written, application, client):
    client.raise_request_exception = False
    client.get(f"/seg/track/{TOKEN}/broken/?q={application.email}")
    assert_private(written, application)
    assert "ValueError" in written.getvalue()


def test_what_people_search_for(written, application, client, decider):
    client.force_login(decider)
    for word in (application.email, application.name, application.postcode):
        client.get("/search/", {"q": word})
    assert_private(written, application)


@pytest.mark.parametrize(
    "name", ["django.server", "django.request", "django.security", "celery.app"]
)
def test_what_libraries_log(name, written, application):
    line = f'"GET /seg/track/{TOKEN}/?email={application.email} HTTP/1.1" 200 5'
    logging.getLogger(name).warning("%s", line)
    assert_private(written, application)
    assert len(written.getvalue().splitlines()) == 1


def test_every_event_is_a_line_with_its_request(written, application, client):
    client.get("/healthz")
    events = lines(written)
    if events:
        assert {event["event"] for event in events} == {"request_started", "request_finished"}
        assert len({event["request_id"] for event in events}) == 1
        assert all(event["timestamp"].endswith("Z") and event["level"] for event in events)
        assert not any("ip" in event for event in events)


def test_work_names_its_case(written, application):
    structlog.contextvars.bind_contextvars(case=application.reference)
    structlog.get_logger("seg.actions").info("answer_came_after_the_case_moved_on")
    assert application.reference in written.getvalue()
    assert all(event["case"] == application.reference for event in lines(written))


def test_an_exception_stays_one_line(written):
    try:
        broken(type("Request", (), {"path": f"/seg/track/{TOKEN}/"})())
    except ValueError:
        structlog.get_logger("core.queue").exception("failed")
    assert TOKEN not in written.getvalue()
    for event in lines(written):
        assert "ValueError" in event["exception"]


def test_sending_logs_no_address(written, monkeypatch):
    email = EmailFactory(to="ada.quillfeather@example.org", private=f"/seg/track/{TOKEN}/")
    monkeypatch.setattr("core.mail.EmailMessage.send", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        send_mail(email.pk)
    assert MAIL.rows().get().claim is not None
    assert "quillfeather" not in written.getvalue()
