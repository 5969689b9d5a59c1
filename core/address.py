"""Who is calling us: the address behind counted, trusted proxies, and limits per address."""

import ipaddress
from datetime import datetime, timedelta

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from core.models import count


def client_address(request: HttpRequest) -> str:
    """The caller's address, reading X-Forwarded-For from the right; empty when in doubt."""
    remote = str(request.META.get("REMOTE_ADDR", ""))
    proxies = settings.TRUSTED_PROXY_COUNT
    if not proxies:
        return _valid(remote)
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    return _valid(hops[-proxies]) if len(hops) >= proxies else ""


def _valid(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def within_limit(request: HttpRequest, what: str, *, per_hour: int, now: datetime) -> bool:
    """Count one more use by this caller in this hour; False when it is over the limit.

    Only a keyed hash of the address is stored, for two hours.
    """
    who = salted_hmac("core.address", client_address(request)).hexdigest()[:32]
    hour = now.replace(minute=0, second=0, microsecond=0)
    name = f"limit {what} {hour:%Y%m%d%H} {who}"
    return count(name, forget_after=hour + timedelta(hours=2)) <= per_hour
