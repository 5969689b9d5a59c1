"""Who is calling: the address behind counted proxies, and how often it may."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import RequestFactory

from core.address import client_address, within_limit
from core.models import Counter

NOW = datetime(2026, 11, 20, 9, 59, tzinfo=UTC)


def request(remote="192.0.2.1", forwarded=None):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, None, "192.0.2.1"),
        (0, "198.51.100.9", "192.0.2.1"),
        (1, "198.51.100.9", "198.51.100.9"),
        (1, "203.0.113.5, 198.51.100.9", "198.51.100.9"),
        (2, "203.0.113.5, 198.51.100.9", "203.0.113.5"),
        (2, "6.6.6.6, 203.0.113.5,198.51.100.9", "203.0.113.5"),
        (2, "198.51.100.9", ""),
        (1, None, ""),
        (1, "", ""),
        (1, "nonsense", ""),
        (1, "unknown, <script>", ""),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_which_address_is_believed(proxies, forwarded, expected, settings):
    settings.TRUSTED_PROXY_COUNT = proxies
    assert client_address(request(forwarded=forwarded)) == expected


@pytest.mark.parametrize("remote", ["", "unix:"])
def test_no_address_is_an_address_in_doubt(remote, settings):
    settings.TRUSTED_PROXY_COUNT = 0
    assert client_address(request(remote)) == ""


@pytest.mark.django_db
class TestLimit:
    def used(self, times, *, remote="192.0.2.1", what="apply", now=NOW):
        return [within_limit(request(remote), what, per_hour=3, now=now) for _ in range(times)]

    def test_so_many_an_hour(self):
        assert self.used(5) == [True, True, True, False, False]
        assert self.used(1, now=NOW + timedelta(minutes=1)) == [True]

    def test_each_caller_and_each_thing_by_itself(self):
        self.used(4)
        assert self.used(1, remote="192.0.2.2") == [True]
        assert self.used(1, what="track") == [True]

    def test_no_address_is_stored(self):
        self.used(1)
        counter = Counter.objects.get()
        assert "192.0.2.1" not in counter.name
        assert counter.forget_after > NOW
