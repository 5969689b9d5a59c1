"""Refusing to start, and what a start as in production looks like, in processes of their own."""

import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

DEMO_KEY = "ZGVidWctb25seS1rZXktbm90LWZvci1yZWFsLXVzZSE="
KEY = Fernet.generate_key().decode()
SECRET = "s3cret-" * 10
REAL = {
    "DEBUG": "off",
    "SECRET_KEY": SECRET,
    "FIELD_ENCRYPTION_KEYS": KEY,
    "ALLOWED_HOSTS": "portal.example",
    "PUBLIC_BASE_URL": "https://portal.example",
    "SEG_API_URL": "https://registry.example/api",
    "METERING_API_URL": "https://meters.example",
    "METERING_RESULT_ALLOWED_IPS": "192.0.2.10",
    "GASQUOTES_API_URL": "https://supply-points.example",
    "GASQUOTES_API_KEY": "key-of-the-supply-point-service",
    "PTS_API_URL": "https://pts.example",
    "PTS_API_KEY": "key-of-the-tracking-system",
    "PTS_SUBSCRIPTION_KEY": "subscription-of-the-tracking-system",
    "SIP_API_URL": "https://market-messages.example",
    "SIP_API_KEY": "key-of-the-market-messages",
    "SEG_API_USER": "us",
    "SEG_API_TOKEN": "token-of-the-registry",
    "EMAIL_URL": "smtp://mail.example:587",
}


@pytest.fixture
def manage(tmp_path):
    """Run manage.py in an environment of nothing but these variables."""

    def run(*arguments, env_file="", **variables):
        file = tmp_path / "portal.env"
        if env_file:
            file.write_text(env_file)
        environment = {
            "PATH": os.environ["PATH"],
            "ENV_FILE": str(file),
            "VAR_DIR": str(tmp_path / "var"),
            **{name: value for name, value in variables.items() if value is not None},
        }
        return subprocess.run(
            [sys.executable, "manage.py", *(arguments or ["check"])],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def value_of(manage, name, **how):
    """What a setting comes to."""
    code = f"from django.conf import settings; print(repr((settings.{name})))"
    done = manage("shell", "--no-imports", "-c", code, **how)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"SECRET_KEY": None}, "SECRET_KEY is missing, too short or the default one."),
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is missing"),
        (
            {"SECRET_KEY": "only-for-debug-never-for-a-real-start-0123456789abcdef"},
            "SECRET_KEY is missing",
        ),
        ({"FIELD_ENCRYPTION_KEYS": None}, "FIELD_ENCRYPTION_KEYS is missing"),
        ({"FIELD_ENCRYPTION_KEYS": DEMO_KEY}, "FIELD_ENCRYPTION_KEYS is missing"),
        ({"FIELD_ENCRYPTION_KEYS": f"{DEMO_KEY},{KEY}"}, "FIELD_ENCRYPTION_KEYS is missing"),
        ({"FIELD_ENCRYPTION_KEYS": f"{KEY}, {DEMO_KEY}"}, "FIELD_ENCRYPTION_KEYS is missing"),
        ({"FIELD_ENCRYPTION_KEYS": "x" * 44}, "FIELD_ENCRYPTION_KEYS must list keys"),
        ({"SEG_API_TOKEN": None}, "SEG_API_USER and SEG_API_TOKEN are missing"),
        ({"SEG_API_USER": ""}, "SEG_API_USER and SEG_API_TOKEN are missing"),
        ({"SIP_API_KEY": ""}, "SIP_API_KEY is missing"),
        ({"SIP_LEASE_MARGIN": "5"}, "SIP_LEASE_MARGIN must be 10 seconds or more"),
        ({"DEBUG": "on"}, "DEBUG is on although ALLOWED_HOSTS names an address"),
        ({"PUBLIC_BASE_URL": "http://portal.example"}, "PUBLIC_BASE_URL must start with https://"),
    ],
)
def test_the_portal_refuses_to_start(changes, sentence, manage):
    done = manage(**{**REAL, **changes})
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert sentence in last
    for secret in (SECRET, KEY, "token-of-the-registry"):
        assert secret not in done.stderr + done.stdout


def test_production_settings_pass_the_deployment_check(manage):
    done = manage("check", "--deploy", "--fail-level", "WARNING", **REAL)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr
    assert "?: (" not in done.stderr


def test_a_fresh_clone_starts_for_a_look(manage):
    assert manage("check").returncode == 0


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "True"),
        ({"DEBUG": "off", **{k: v for k, v in REAL.items() if k != "DEBUG"}}, "False"),
        ({**REAL, "DEBUG": None}, "False"),
        ({"env_file": "\n".join(f"{k}={v}" for k, v in REAL.items() if k != "DEBUG")}, "False"),
    ],
    ids=["nothing said", "said", "others can reach it", ".env"],
)
def test_when_debug_is_on(how, expected, manage):
    assert value_of(manage, "DEBUG", **how) == expected


def test_the_environment_wins_over_the_file(manage):
    file = "\n".join(f"{k}={v}" for k, v in {**REAL, "SUPPLIER_NAME": "File"}.items())
    assert value_of(manage, "SUPPLIER_NAME", env_file=file) == "'File'"
    assert value_of(manage, "SUPPLIER_NAME", env_file=file, SUPPLIER_NAME="Env") == "'Env'"


def test_cookies_and_redirects_follow_the_public_address(manage):
    names = "(settings.SESSION_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT, settings.DEBUG)"
    loopback = {**REAL, "ALLOWED_HOSTS": "localhost", "PUBLIC_BASE_URL": "http://localhost:8000"}
    assert value_of(manage, f"DEBUG, {names}", **REAL) == "(False, (True, True, False))"
    assert value_of(manage, f"DEBUG, {names}", **loopback) == "(False, (False, False, False))"


def test_the_tests_leave_a_developers_files_alone():
    assert not settings.ENV_FILE.is_file()
    assert settings.VAR_DIR != settings.BASE_DIR / "var"
    assert str(settings.BASE_DIR) not in str(settings.VAR_DIR)


@pytest.mark.django_db
def test_no_migration_is_missing():
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run")


def test_results_from_anywhere_are_a_deploy_warning(manage):
    said = manage("check", "--deploy", **{**REAL, "METERING_RESULT_ALLOWED_IPS": ""})
    assert "METERING_RESULT_ALLOWED_IPS is empty" in said.stderr + said.stdout
