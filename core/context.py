"""What every page gets: the environment label, the supplier's name and the menu."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from core import desks

BEHIND = (
    ("Calls", "calls", "core.view_partnercall"),
    ("E-mails", "mails", "core.view_email"),
    ("Health", "health", "core.view_heartbeat"),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    """The frame's template variables; the menu costs nothing on pages that do not show it."""
    return {
        "environment_label": settings.ENVIRONMENT_LABEL,
        "supplier_name": settings.SUPPLIER_NAME,
        "supplier_email": settings.SUPPLIER_EMAIL,
        "supplier_phone": settings.SUPPLIER_PHONE,
        "menu": SimpleLazyObject(lambda: _menu(request)),
    }


def _menu(request: HttpRequest) -> dict[str, Any] | None:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    tiles = [desk.tile_for(user) for desk in desks.desks_for(user)]
    return {
        "home": _entry(request, "Home", reverse("home"), sum(tile.big for tile in tiles)),
        "desks": [_entry(request, tile.label, tile.url, tile.big) for tile in tiles],
        "behind": [
            _entry(request, label, reverse(name))
            for label, name, permission in BEHIND
            if user.has_perm(permission)
        ]
        + ([_entry(request, "Reference tables", reverse("admin:index"))] if user.is_staff else []),
    }


def _entry(request: HttpRequest, label: str, url: str, count: int = 0) -> dict[str, Any]:
    here = request.path == url or (url != "/" and request.path.startswith(url))
    return {"label": label, "url": url, "current": here, "count": count}
