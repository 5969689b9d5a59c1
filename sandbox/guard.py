"""Who may use the control page: this machine, and no web page from elsewhere.

A browser on this machine shows pages of strangers, and those can send requests here. So the host
must be loopback by name (against DNS rebinding), and a change must come from our own page or as
JSON, which a foreign page cannot send without a permission that is never given.
"""

import ipaddress
from urllib.parse import urlsplit

from sandbox.exchange import Request


def is_loopback(host: str) -> bool:
    """Does this host name or address mean this machine?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_problem(request: Request) -> str | None:
    """Say why the Host header is not acceptable; None when it is."""
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        host = ""
    return None if is_loopback(host) else "The sandbox answers to loopback host names only."


def change_problem(request: Request) -> str | None:
    """Say why a change is refused; None when it comes from our own page or as JSON."""
    origin = request.headers.get("Origin")
    own = f"http://{request.headers.get('Host', '')}"
    if origin is not None and origin != own:
        return "A page from elsewhere may not change the sandbox."
    if request.method == "DELETE" or request.headers.get_content_type() == "application/json":
        return None
    if request.is_form and origin == own:
        return None
    return "Send a change as application/json, or with the forms of the control page."
