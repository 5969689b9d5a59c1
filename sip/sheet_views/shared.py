"""What the worksheet's pages share: who is let in, and what a worksheet holds now."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from core.fields import UnreadableField, decrypt, encrypt
from core.permissions import staff_user
from core.workflow import actor_for
from sip import actions, rules, worksheet
from sip.messages import BLOCKS, WORKSHEET, Answers, Block
from sip.models import Attempt, Job, Photo

Rest = ParamSpec("Rest")
SheetView = Callable[Concatenate[HttpRequest, Job, Rest], HttpResponseBase]
TYPED = "sip-typed"
MOST_TYPED = 64 * 1024
Status = Job.Status


def worksheet_page(view: SheetView[Rest]) -> Callable[..., HttpResponseBase]:
    """Load a job for its engineer or the desk; what was typed outlives a session that ended."""

    @wraps(view)
    def guarded(
        request: HttpRequest, reference: str, *args: Rest.args, **kwargs: Rest.kwargs
    ) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _sign_in_again(request)
        user = staff_user(request)
        rows = Job.objects.seen_by(user).select_related("engineer")
        job: Job = get_object_or_404(rows, reference=reference)
        if not (job.may_fill(user) and job.may_read_private(user)):
            raise PermissionDenied(
                "A worksheet holds health data: only the job’s engineer and this desk open it."
            )
        response = view(request, job, *args, **kwargs)
        response["Cache-Control"] = "private, no-store"
        return response

    return login_not_required(never_cache(guarded))


def _sign_in_again(request: HttpRequest) -> HttpResponseBase:
    """Keep what was typed, encrypted in this browser's session, and ask for the sign-in."""
    if getattr(request, "htmx", False):
        text = "Not saved: you are signed out. Press Save and sign in; nothing is lost."
        return render(request, "sip/sheet_saved.html", {"not_saved": text})
    if request.method == "POST":
        kept = json.dumps([request.path, dict(request.POST.lists())])
        if len(kept) <= MOST_TYPED:
            request.session[TYPED] = encrypt(kept)
    return redirect_to_login(request.path)


def typed_before(request: HttpRequest) -> QueryDict | None:
    """What was typed on this page when the session had ended; it is given back once."""
    try:
        path, typed = json.loads(decrypt(request.session.get(TYPED, "")) or '["", {}]')
    except (UnreadableField, ValueError):
        return None
    if path != request.path:
        return None
    del request.session[TYPED]
    query = QueryDict(mutable=True)
    for name, values in typed.items():
        query.setlist(name, values)
    return query


@dataclass(frozen=True)
class Held:
    """A job's worksheet as its pages need it (three queries)."""

    job: Job
    answers: Answers
    photos: Mapping[str, Photo]
    verdicts: Mapping[str, rules.Verdict]
    complete: Mapping[str, bool]

    @classmethod
    def read(cls, job: Job) -> "Held":
        """Read it."""
        answers, photos = worksheet.answers_of(job), worksheet.photos_of(job)
        verdicts = rules.required_blocks(answers)
        return cls(job, answers, photos, verdicts, rules.complete(answers, photos))

    @property
    def needed(self) -> list[Block]:
        """The blocks that the message has, in the engineer's order."""
        return [block for block in WORKSHEET if self.verdicts[block.name].required]

    def after(self, block: Block) -> Block | None:
        """The next block that is needed."""
        names = [each.name for each in WORKSHEET]
        later = set(names[names.index(block.name) + 1 :])
        return next((each for each in self.needed if each.name in later), None)

    def before(self, block: Block) -> Block | None:
        """The last needed block before this one."""
        names = [each.name for each in WORKSHEET]
        earlier = set(names[: names.index(block.name)])
        return next((each for each in reversed(self.needed) if each.name in earlier), None)

    def first_open(self) -> Block | None:
        """Where to go on: the first needed block that is not complete."""
        return next((each for each in self.needed if not self.complete.get(each.name)), None)

    def problems(self, block: str) -> list[rules.Problem]:
        """What is missing or wrong in one block."""
        return rules.block_problems(self.answers, block, self.photos, today=timezone.localdate())


def url_of(job: Job, block: Block | None = None, name: str = "worksheet") -> str:
    """The address of a block of the worksheet, or of the page with this name."""
    if block is not None:
        return reverse("sip:block", args=[job.reference, block.name])
    return reverse(f"sip:{name}", args=[job.reference])


def read_private(request: HttpRequest, job: Job) -> None:
    """Record that this person reads health data and risks; call it before showing them."""
    by = actor_for(staff_user(request))
    actions.read_private(job=job, by=by, now=timezone.now)


def refused_details(job: Job) -> list[dict[str, str]]:
    """What the party did not take of the last message, while it is being corrected."""
    last = job.sends.order_by("number").last()
    if last is None or last.outcome != Attempt.Outcome.REFUSED:
        return []
    return [{"block": "", "field": "", **each} for each in last.details]


def clash_links(job: Job) -> list[dict[str, str]]:
    """The blocks that two devices answered differently, each with its page."""
    return [
        {
            "title": BLOCKS[clash.sheet.block].title,
            "url": reverse("sip:clash", args=[job.reference, clash.pk]),
        }
        for clash in worksheet.open_clashes(job)
    ]


def to_clash(request: HttpRequest, job: Job, problem: actions.ChangedMeanwhile) -> HttpResponseBase:
    """Lead to the page where both answers stand; htmx is told to go there."""
    url = reverse("sip:clash", args=[job.reference, problem.clash.pk])
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(headers={"HX-Redirect": url})
    return redirect(url)
