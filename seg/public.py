"""The customer's public pages: the application, step by step, and the private tracking page.

Nobody signs in. What is typed is kept in a draft that a signed cookie names; the draft's key also
names the sending, so that however often it is sent there is one application.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from core.address import within_limit
from core.permissions import staff_user
from core.uploads import MAX_BYTES
from core.workflow import CUSTOMER, Actor, Conflict, actor_for
from seg import actions, tracking
from seg.actions import Correction, Submission
from seg.models import Application, Attachment, Draft
from seg.public_forms import (
    MOST_FILES,
    AcceptForm,
    AddressForm,
    AnswerForm,
    CertificateForm,
    CheckedFile,
    CorrectForm,
    MetersForm,
    NumberForm,
    PaymentForm,
    ProofForm,
    StepForm,
    WithdrawForm,
    YouForm,
)
from seg.tracking import Story, story

TERMS_VERSION: Final = "2026-01"
COOKIE: Final = "application"
SENT_SHOWN_FOR = timedelta(hours=1)
DRAFTS_PER_HOUR = 60
UPLOADS_PER_HOUR = 60
TRACK_FORMS_PER_HOUR = 60
LARGEST_FORM = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
LARGEST_UPLOAD = MOST_FILES * MAX_BYTES + 2 * 1024 * 1024
READ_ON = 8 * LARGEST_UPLOAD

Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Rest], HttpResponseBase]


# ---- What every public page shares -----------------------------------------------------------


def for_anybody(view: View[Rest]) -> View[Rest]:
    """Let anybody in, turn away what is too large before it is read, and keep pages private."""
    protected = csrf_protect(view)

    @wraps(view)
    def guarded(
        request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs
    ) -> HttpResponseBase:
        response = _too_large(request) or protected(request, *args, **kwargs)
        add_never_cache_headers(response)
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response

    return login_not_required(csrf_exempt(guarded))


def _too_large(request: HttpRequest) -> HttpResponseBase | None:
    """Read past a post that is too large, so that the browser gets to see the answer."""
    is_upload = request.content_type == "multipart/form-data"
    size = int(request.META.get("CONTENT_LENGTH") or 0)
    if size <= (LARGEST_UPLOAD if is_upload else LARGEST_FORM):
        return None
    left = min(size, READ_ON)
    while left > 0 and (piece := request.read(64 * 1024)):
        left -= len(piece)
    messages.error(
        request, "That was too large, so nothing was kept. Choose files of 10 MB at most."
    )
    return redirect(request.get_full_path())


def _over_limit(request: HttpRequest, what: str, per_hour: int, form: forms.Form) -> bool:
    """Count one more use of this caller; over the limit, say on the form when to come back."""
    now = timezone.now()
    if _is_staff(request) or within_limit(request, what, per_hour=per_hour, now=now):
        return False
    next_hour = timezone.localtime(now + timedelta(hours=1))
    form.add_error(
        None,
        "Too much came from your internet connection in this hour. Nothing is lost: press the "
        f"button again after {next_hour.hour % 12 or 12}{next_hour:%p}".replace("M", "m", 1)
        + ", or call us.",
    )
    return True


def _is_staff(request: HttpRequest) -> bool:
    user = request.user
    return user.is_authenticated and user.has_perm("seg.decide_application")


def _by(request: HttpRequest) -> Actor:
    """Who sends the application: the customer, or the person who enters it for them."""
    return actor_for(staff_user(request)) if _is_staff(request) else CUSTOMER
