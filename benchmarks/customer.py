"""A customer who fills in the public form over HTTP, page after page."""

import re
import time
from typing import Any

import requests

ANSWERS = {
    "kind": "new",
    "dno_told": "yes",
    "battery": "no",
    "fit": "no",
    "phone": "01632 960 123",
    "account_name": "A Customer",
    "sort_code": "000041",
    "account_number": "00002207",
}
STEPS = ("certificate", "address", "meters", "you", "payment", "proof")
SHOWN = re.compile(r'name="shown" value="([0-9a-f]+)"')


class Customer:
    """One visitor's browser session, from an address of their own behind the proxy."""

    def __init__(self, base_url: str, number: int) -> None:
        self._url = f"{base_url}/seg/apply/"
        self._session = requests.Session()
        self._session.headers["X-Forwarded-For"] = f"10.20.{number // 250}.{number % 250 + 1}"
        self._shown = ""

    def fill_in(self, certificate: dict[str, Any]) -> None:
        """Answer every step for the applicant of this certificate; stop before the last button."""
        said = {name: value or "" for name, value in certificate["applicant"].items()}
        answers = {**ANSWERS, **said, "certificate_number": certificate["number"]}
        self._session.get(self._url, timeout=30).raise_for_status()
        for step in STEPS:
            reply = self._post(step, answers)
            if "look=1" in reply.headers.get("Location", "look=1"):
                raise RuntimeError(f"The step {step} refuses what was answered.")
        page = self._session.get(f"{self._url}check/", timeout=30)
        shown = SHOWN.search(page.text)
        if shown is None:
            raise RuntimeError("The page to check the answers is not there.")
        self._shown = shown.group(1)

    def send(self) -> float:
        """Press Send; returns when that was, in seconds since 1970."""
        pressed_at = time.time()
        reply = self._post("check", {"shown": self._shown, "accept": "on"})
        if not reply.headers.get("Location", "").endswith("/sent/"):
            raise RuntimeError(f"Sending was answered with {reply.status_code}.")
        return pressed_at

    def _post(self, step: str, answers: dict[str, str]) -> requests.Response:
        token = self._session.cookies.get("csrftoken", "")
        return self._session.post(
            f"{self._url}{step}/",
            data={**answers, "csrfmiddlewaretoken": token},
            allow_redirects=False,
            timeout=60,
        )
