"""Pages for roles: a page that a role may not see answers 403 with a sentence."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Rest], HttpResponseBase]


def needs(permission: str) -> Callable[[View[Rest]], View[Rest]]:
    """Let only people with this permission see a page."""

    def decorate(view: View[Rest]) -> View[Rest]:
        @wraps(view)
        def guarded(
            request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs
        ) -> HttpResponseBase:
            check(request, permission)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def check(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied with a sentence for people."""
    if not request.user.has_perm(permission):
        raise PermissionDenied(
            "Your role does not include this page. Ask a supervisor if you need it."
        )


def staff_user(request: HttpRequest) -> Any:
    """The signed-in member of staff."""
    return request.user
