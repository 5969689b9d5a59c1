""".env.example names every setting that can be set, and no other."""

import re

import pytest
from django.conf import settings

READ = re.compile(r'\benv\.\w+\(\s*"([A-Z_]+)"|_secret\("([A-Z_]+)"')
NAMED = re.compile(r"^(?:# )?([A-Z][A-Z_]+)=", re.MULTILINE)
OF_THE_SANDBOX = {
    *("SANDBOX_PORT", "SANDBOX_SEG_USER", "SANDBOX_SEG_TOKEN"),
    *("SANDBOX_PTS_KEY", "SANDBOX_PTS_SUBSCRIPTION_KEY", "SANDBOX_PTS_WINDOW"),
    *("SANDBOX_SIP_KEY", "SANDBOX_SIP_KEY_HEADER", "SANDBOX_SIP_KEY_SCHEME", "SANDBOX_GAS_KEY"),
}
OF_THE_START = {"ENV_FILE"}


@pytest.fixture(scope="module")
def read():
    text = (settings.BASE_DIR / "config/settings.py").read_text()
    return {one or other for one, other in READ.findall(text)}


@pytest.fixture(scope="module")
def named():
    return set(NAMED.findall((settings.BASE_DIR / ".env.example").read_text()))


def test_every_setting_is_named(read, named):
    assert read - named - OF_THE_START == set()


def test_nothing_is_named_that_is_not_read(read, named):
    assert named - read - OF_THE_SANDBOX == set()
