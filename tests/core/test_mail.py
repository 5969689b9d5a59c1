"""E-mails: kept while the server is down, at least once with one Message-ID, and Stop."""

import email as emails
import socket
import threading
from datetime import timedelta
from email import policy

import pytest
import time_machine
from django.core import mail as outgoing
from django.db import connection, models, transaction
from django.utils import timezone

from core import mail, queue
from core.models import Email
from core.timeline import timeline
from core.workflow import PORTAL, actor_for
from seg.models import Application
from tests.core.racing import meeting, race
from tests.factories import ApplicationFactory, EmailFactory

pytestmark = pytest.mark.django_db
LINK = "https://portal.example/seg/track/s3cret-t0ken/"


def post(case=None, **fields):
    fields = {
        "purpose": "news",
        "to": "ada@example.org",
        "subject": "Your application",
        "text": "Hello",
        "by": PORTAL,
        "now": timezone.now(),
        **fields,
    }
    with transaction.atomic():
        return mail.post(case=case or ApplicationFactory(), **fields)


def the_email():
    return Email.objects.get()


class MailServer:
    """A mail server that takes e-mails, or answers as told; `received` are whole messages."""

    def __init__(self, *, recipient="250 fine", after="250 taken"):
        self.recipient, self.after, self.received = recipient, after, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, line.makefile("rwb") as talk:
                self._talk(talk)

    def _talk(self, talk):
        def say(text):
            talk.write(text.encode() + b"\r\n")
            talk.flush()

        say("220 here")
        for command in talk:
            verb = command[:4].upper()
            if verb == b"DATA":
                say("354 go on")
                self.received.append(b"".join(iter(talk.readline, b".\r\n")))
                if not self.after:
                    return
                say(self.after)
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say(self.recipient if verb == b"RCPT" else "250 fine")

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def mail_server(settings):
    """Start a mail server that the portal uses; without one, its port refuses."""
    running = []
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = held.getsockname()
        settings.EMAIL_TIMEOUT = 5

        def start(**how):
            running.append(MailServer(**how))
            settings.EMAIL_PORT = running[-1].port
            return running[-1]

        yield start
    for server in running:
        server.stop()


def message_ids(server):
    return [
        emails.message_from_bytes(each, policy=policy.default)["Message-ID"]
        for each in server.received
    ]


# ---- Sending ---------------------------------------------------------------------------------


def test_an_email_leaves_at_once(work, mailoutbox):
    post(to="ada@example.org", subject="Received", text="We have it.")
    work()
    (sent,) = mailoutbox
    kept = the_email()
    assert (sent.to, sent.subject, sent.body) == (["ada@example.org"], "Received", "We have it.")
    assert sent.extra_headers["Message-ID"] == kept.message_id
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    assert (kept.state, kept.problem, kept.due_at, kept.claim) == ("sent", "", None, None)
    assert kept.sent_at is not None
    assert work() == 0


def test_files_go_with_an_email(work, mailoutbox):
    files = [mail.Enclosed("quote.pdf", "application/pdf", b"%PDF-1.7 \xff")]
    post(enclosed=files)
    work()
    (sent,) = mailoutbox
    assert sent.attachments == [("quote.pdf", b"%PDF-1.7 \xff", "application/pdf")]


def test_an_email_is_part_of_its_transaction(mailoutbox, work):
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        post()
        raise ZeroDivisionError
    work()
    assert (Email.objects.count(), mailoutbox) == (0, [])


def test_a_decision_waits(work, mailoutbox, decider):
    now = timezone.now()
    post(by=actor_for(decider), delay=30, now=now)
    assert work() == 0
    work(until=now + timedelta(seconds=29))
    assert mailoutbox == []
    work(until=now + timedelta(seconds=31))
    assert len(mailoutbox) == 1


def test_it_goes_through_a_real_mail_server(work, mail_server):
    server = mail_server()
    post(text="Grüße – 15 p/kWh", subject="Größe")
    work()
    (got,) = (emails.message_from_bytes(m, policy=policy.default) for m in server.received)
    assert (got["Subject"], got["To"]) == ("Größe", "ada@example.org")
    assert got["Message-ID"] == the_email().message_id
    assert "Grüße – 15 p/kWh" in got.get_content()


# ---- A server that is down, or refuses -------------------------------------------------------


def test_kept_while_the_server_is_down_and_sent_later_under_the_same_name(work, mail_server):
    post()
    name = the_email().message_id
    work()
    kept = the_email()
    assert (kept.state, kept.attempts) == ("waiting", 1)
    assert kept.due_at > timezone.now()
    assert "could not be used" in kept.problem
    server = mail_server()
    work(until=timezone.now() + timedelta(hours=1))
    kept = the_email()
    assert (kept.state, kept.problem, kept.message_id) == ("sent", "", name)
    assert message_ids(server) == [name]


def test_a_lost_answer_sends_again_under_the_same_name(work, mail_server):
    cut_off = mail_server(after="")
    post()
    work()
    assert the_email().state == "waiting"
    whole = mail_server()
    work(until=timezone.now() + timedelta(minutes=5))
    assert the_email().state == "sent"
    assert message_ids(cut_off) == message_ids(whole) == [the_email().message_id]


def test_after_many_tries_it_has_failed_for_people_to_see(work, mail_server, signed_in, decider):
    post()
    Email.objects.update(attempts=mail.MAIL.limit - 1)
    work()
    assert the_email().state == "failed"
    assert (the_email().due_at, the_email().claim) == (None, None)
    seen(signed_in(decider), "The mail server could not be used")


def test_a_refused_address_has_failed_for_people_to_see(work, mail_server, signed_in, decider):
    mail_server(recipient="550 no such person")
    post()
    work()
    assert (the_email().state, the_email().attempts) == ("failed", 0)
    seen(signed_in(decider), "The mail server refuses this address.")


def seen(client, problem):
    """The failure stands in the list, on its own page and in the case's history."""
    assert "Could not be sent" in client.get("/mails/").content.decode()
    assert problem in client.get(the_email().get_absolute_url()).content.decode()
    entry = timeline(Application.objects.get())[0]
    assert (entry.kind, problem in entry.text) == ("bad", True)


def test_an_address_that_is_refused_for_now_is_tried_again(work, mail_server):
    mail_server(recipient="450 come back later")
    post()
    work()
    assert the_email().state == "waiting"
    mail_server()
    work(until=timezone.now() + timedelta(hours=1))
    assert the_email().state == "sent"


def test_an_email_that_cannot_be_written_does_not_come_back_for_ever(work, mailoutbox):
    EmailFactory(subject="two\nlines")
    work()
    assert (the_email().state, mailoutbox) == ("failed", [])
    assert "BadHeaderError" in the_email().problem


def test_one_bad_email_does_not_hold_up_the_others(work, mailoutbox):
    EmailFactory(subject="two\nlines")
    EmailFactory.create_batch(3)
    work()
    assert len(mailoutbox) == 3


def test_a_worker_that_died_while_sending_sends_again(work, mailoutbox):
    email = EmailFactory()
    now = timezone.now()
    queue.claim(mail.MAIL, email.pk, now=now)
    assert work() == 0
    work(until=now + mail.MAIL.lease + timedelta(seconds=1))
    assert [m.extra_headers["Message-ID"] for m in mailoutbox] == [email.message_id]


# ---- Private links ---------------------------------------------------------------------------


def test_a_private_link_is_only_in_what_leaves(work, mailoutbox, signed_in, decider):
    email = post(text=f"See {LINK} or {LINK}.", link=LINK)
    assert email.text == "See [link] or [link]."
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM core_email")
        assert "s3cret" not in str(cursor.fetchall())
    work()
    assert mailoutbox[0].body == f"See {LINK} or {LINK}."
    client = signed_in(decider)
    for url in ("/mails/", email.get_absolute_url(), "/mails/?as=csv"):
        assert "s3cret" not in body_of(client.get(url))


def body_of(response):
    content = response.streaming_content if response.streaming else [response.content]
    return b"".join(content).decode()


def test_a_text_without_a_link_may_say_link(work, mailoutbox):
    post(text="See [link].")
    work()
    assert mailoutbox[0].body == "See [link]."


# ---- Stop ------------------------------------------------------------------------------------


def test_stop_before_the_claim_wins(work, mailoutbox):
    email = post(delay=30)
    assert mail.stop(email) is True
    work(until=timezone.now() + timedelta(hours=1))
    assert (the_email().state, the_email().due_at, mailoutbox) == ("stopped", None, [])
    assert mail.stop(email) is False


def test_stop_after_the_claim_loses(mailoutbox):
    email = post()
    claim = queue.claim(mail.MAIL, email.pk, now=timezone.now())
    assert mail.stop(email) is False
    assert mail.send(claim, now=timezone.now()) is True
    assert mail.stop(email) is False
    assert (the_email().state, len(mailoutbox)) == ("sent", 1)


@pytest.mark.parametrize("state", ["sent", "failed", "stopped"])
def test_only_a_waiting_email_can_be_stopped(state):
    assert mail.stop(EmailFactory(state=state)) is False
    assert the_email().state == state


def test_an_email_that_waits_for_another_try_can_be_stopped(work, mail_server):
    post()
    work()
    assert mail.stop(the_email()) is True


def test_which_email_waits():
    case = ApplicationFactory()
    EmailFactory(case=case, purpose="decision", state="stopped")
    assert mail.waiting_for(case, "decision") is None
    waiting = EmailFactory(case=case, purpose="decision")
    EmailFactory(purpose="decision")
    assert mail.waiting_for(case, "decision") == waiting
    assert mail.waiting_for(case, "news") is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("meet", [True, False])
def test_stop_and_claim_never_both_win(meet, monkeypatch):
    for _ in range(6):
        email, now = EmailFactory(), timezone.now()
        with monkeypatch.context() as patched:
            if meet:
                patched.setattr(models.QuerySet, "update", meeting(models.QuerySet.update, 2))
            stopped, claim = race(
                lambda email=email: mail.stop(email),
                lambda email=email, now=now: queue.claim(mail.MAIL, email.pk, now=now),
            )
        assert stopped is (claim is None), (stopped, claim)
        state = Email.objects.get(pk=email.pk).state
        assert state == ("stopped" if stopped else "waiting")


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_one_email(mailoutbox):
    email, now = EmailFactory(), timezone.now()

    def worker():
        claim = queue.claim(mail.MAIL, email.pk, now=now)
        return claim is not None and mail.send(claim, now=now)

    assert sorted(race(*[worker] * 4)) == [False, False, False, True]
    assert len(outgoing.outbox) == 1


def test_the_embedded_default_writes_a_file(work, settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    with time_machine.travel(timezone.now()):
        post(text="We have it.")
        work()
    (file,) = (tmp_path / "mail").iterdir()
    assert "We have it." in file.read_text()
    assert the_email().message_id in file.read_text()
