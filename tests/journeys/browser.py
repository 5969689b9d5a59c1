"""The browser of the journeys, and the eye that sees what must not happen in it.

Every context is watched: a violated content security policy, an error in the console, an answer of
400 or more that nobody expected, and a request to another machine all fail the journey.
"""

import itertools
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

try:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # Only requirements.txt is installed.
    Axe = expect = sync_playwright = None

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 20_000  # milliseconds
WIDE, NARROW = 1280, 320
HEIGHT = {WIDE: 900, NARROW: 640}
ASKED_OF_AXE = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},
}
ASKED_IN_THE_DARK = {
    "resultTypes": ["violations"],
    "runOnly": ["color-contrast", "link-in-text-block"],
}
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", event =>
    console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""
TOO_WIDE = """() => {
    const root = document.documentElement, width = root.clientWidth;
    if (root.scrollWidth <= width) return "";
    const wide = [...document.querySelectorAll("body *")].filter(
        one => one.getBoundingClientRect().right > width + 0.5);
    const names = wide.slice(0, 5).map(one => `${one.tagName}.${one.className}`);
    return `${root.scrollWidth} wide in ${width}: ${names.join(", ")}`;
}"""


def missing():
    """Why there can be no journey here; empty when there can."""
    if sync_playwright is None:
        return "The browser's packages are not installed: make install-dev"
    if chromium_path() is None:
        return "There is no chromium on this machine: apt-get install chromium"
    return ""


def chromium_path():
    """Where the browser is, None when there is none."""
    found = CHROMIUM if CHROMIUM.exists() else shutil.which("chromium")
    return str(found) if found else None


@dataclass
class Eye:
    """What was seen in one browser context, for one person of one journey."""

    name: str
    scripts: bool = True
    problems: list = field(default_factory=list)
    expected: set = field(default_factory=set)
    number: itertools.count = field(default_factory=lambda: itertools.count(1))

    def watch(self, context):
        """Keep an eye on everything that this context does."""
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self._note(f"script error: {error.error}"))
        context.on("request", self._left)
        context.on("response", self._answered)
        _eyes[context] = self

    def expect(self, *statuses):
        """Expect these answers from now on: expect(403)."""
        self.expected.update(statuses)

    def _note(self, problem):
        self.problems.append(problem)

    def _heard(self, message):
        # An answer of 400 or more is noted where it is answered, with its address.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self._note(f"console: {message.text}")

    def _left(self, request):
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws"} and parts.hostname not in HERE:
            self._note(f"request to {request.url}")

    def _answered(self, response):
        if response.status >= 400 and response.status not in self.expected:
            self._note(f"{response.status} for {response.request.method} {response.url}")


HERE = {"localhost", "127.0.0.1"}
_eyes = {}


def eye(page):
    """The eye on this page."""
    return _eyes[page.context]


def let_go(context):
    """Close a context and return what was seen in it."""
    seen = _eyes.pop(context)
    context.close()
    return seen.problems


def look(page, name, *, asked=ASKED_OF_AXE):
    """Look at the page as it is now: nothing too wide, nothing that axe finds, nothing noted."""
    watching = eye(page)
    page.wait_for_load_state("load")
    take_picture(page, watching, name)
    assert not page.evaluate(TOO_WIDE), f"{name}: {page.evaluate(TOO_WIDE)}"
    if watching.scripts:
        found = Axe().run(page, options=asked)
        assert not found.violations_count, f"{name} ({page.url})\n{in_short(found)}"
    assert not watching.problems, f"{name} ({page.url}): {watching.problems}"


def look_at_all_sides(page, name):
    """Look at a page wide and narrow, light and dark; in the dark, only colours can differ."""
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": HEIGHT[width]})
        look(page, name)
        page.emulate_media(color_scheme="dark")
        look(page, f"{name} dark", asked=ASKED_IN_THE_DARK)
        page.emulate_media(color_scheme="light")


def take_picture(page, watching, name):
    """Keep a picture of the whole page where JOURNEY_SHOTS names a folder."""
    if folder := os.environ.get("JOURNEY_SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        words = f"{watching.name} {next(watching.number):02} {name}"
        width = page.viewport_size["width"]
        file = re.sub(r"[^\w.]+", "-", f"{words} {width}").strip("-").lower()
        page.screenshot(path=Path(folder) / f"{file}.png", full_page=True)


def in_short(found):
    """The violations in few lines: rule, what it wants, and the first places."""
    return "\n".join(
        f"{rule['id']}: {rule['help']}\n"
        + "\n".join(
            f"    {node['target']} {node['html'][:160]}\n      {node.get('failureSummary', '')}"
            for node in rule["nodes"][:3]
        )
        for rule in found.response["violations"]
    )
