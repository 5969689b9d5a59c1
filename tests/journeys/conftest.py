"""A running portal for the journeys, and people with browsers who walk through it."""

import os
import re
from pathlib import Path

import pytest

from tests.journeys.browser import (
    HEIGHT,
    PATIENCE,
    WIDE,
    Eye,
    chromium_path,
    expect,
    let_go,
    missing,
    sync_playwright,
)
from tests.journeys.town import Town

HERE = Path(__file__).parent
STOP_WITHIN = 8  # seconds a decision can be stopped: enough for a slow machine


def pytest_collection_modifyitems(items):
    """Mark the journeys; they share one town, and skip where there is no browser."""
    reason = missing()
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.journey)
            item.add_marker(pytest.mark.xdist_group("journeys"))
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """The portal as `make run` starts it, for every journey of this run."""
    opened = Town(
        tmp_path_factory.mktemp("town") / "var",
        SEND_DELAY_SECONDS=str(STOP_WITHIN),
        SEG_APPLICATIONS_PER_HOUR="1000",
    )
    try:
        yield opened.open()
    finally:
        opened.close()


@pytest.fixture(scope="module")
def chromium():
    """A browser. It ends with the module, and with it the loop that Django's ORM would refuse."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def window(town, chromium, request):
    """Open a window of somebody's own browser: window("Orla", width=320).

    What must not happen in any of them is looked for once more when the journey ends.
    """
    town.check()
    opened = []

    def open_window(whose, *, width=WIDE, scripts=True, **how):
        name = f"{_plain(request.node.name)} {whose}".strip()
        context = chromium.new_context(
            base_url=town.url,
            viewport={"width": width, "height": HEIGHT[width]},
            java_script_enabled=scripts,
            reduced_motion="reduce",
            locale="en-GB",
            **how,
        )
        context.set_default_timeout(PATIENCE)
        Eye(name, scripts=scripts).watch(context)
        opened.append(context)
        return context.new_page()

    yield open_window
    problems = [problem for context in opened for problem in let_go(context)]
    assert not problems, problems


def _plain(name):
    return re.sub(r"^test_", "", name)


@pytest.fixture(autouse=True)
def mended(request):
    """No fault of an earlier journey in the parties that the sandbox plays."""
    yield
    if "town" in request.fixturenames:
        town = request.getfixturevalue("town")
        town.registry.mend()
        town.meters.mend()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of the portal's logs with a journey that failed."""
    outcome = yield
    report = outcome.get_result()
    town = getattr(item, "funcargs", {}).get("town")
    if report.failed and isinstance(town, Town) and os.environ.get("JOURNEY_LOGS"):
        for name in ("web", "worker"):
            report.sections.append((f"the town's {name}", town.said(name, 15)))
