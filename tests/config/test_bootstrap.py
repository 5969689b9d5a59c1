"""`make run` before Django exists: ports, secrets, .env, what wins over what."""

import base64
import os
import socket
import stat
import subprocess
import sys

import pytest
from django.conf import settings

from config import bootstrap


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def env_file(tmp_path):
    return tmp_path / ".env"


def test_a_fresh_env_has_its_own_secrets_and_belongs_to_its_owner(env_file, tmp_path):
    bootstrap.write_env(env_file, 8000, 8100)
    bootstrap.write_env(tmp_path / "other.env", 8000, 8100)
    first, second = bootstrap.read_env(env_file), bootstrap.read_env(tmp_path / "other.env")
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "SEG_API_TOKEN"):
        assert first[name] != second[name]
    assert len(base64.urlsafe_b64decode(first["FIELD_ENCRYPTION_KEYS"])) == 32
    assert first["DEBUG"] == "off"


def test_both_sides_get_the_same_credentials(env_file):
    env_file.write_text(f"{bootstrap.WRITTEN_BY_US}\nSEG_API_TOKEN=kept\n")
    bootstrap.write_env(env_file, 8000, 8100)
    known = bootstrap.read_env(env_file)
    assert known["SANDBOX_SEG_TOKEN"] == known["SEG_API_TOKEN"] == "kept"
    assert known["SANDBOX_SEG_USER"] == known["SEG_API_USER"]


def test_what_stands_in_an_env_is_kept(env_file):
    bootstrap.write_env(env_file, 8000, 8100)
    before = env_file.read_text()
    bootstrap.write_env(env_file, 9000, 9100)
    assert env_file.read_text() == before


def test_an_env_that_somebody_else_wrote_is_left_alone(env_file):
    env_file.write_text("DEBUG=off\n")
    bootstrap.write_env(env_file, 8000, 8100)
    assert env_file.read_text() == "DEBUG=off\n"


def test_the_settings_accept_a_fresh_env(env_file, tmp_path):
    bootstrap.write_env(env_file, 8000, 8100)
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    shown = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env={**clean, "ENV_FILE": str(env_file), "VAR_DIR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr


def test_this_runs_ports_win_over_an_older_env(monkeypatch):
    monkeypatch.delenv("PUBLIC_BASE_URL", raising=False)
    known = {"PUBLIC_BASE_URL": "http://localhost:8000", "SEG_API_URL": "http://127.0.0.1:8100/x"}
    given = bootstrap.environment(known, 8001, 8200)
    assert given["PUBLIC_BASE_URL"] == "http://localhost:8001"
    assert given["SEG_API_URL"] == "http://127.0.0.1:8200/registry"


def test_a_real_address_in_the_env_is_kept(monkeypatch):
    monkeypatch.delenv("PUBLIC_BASE_URL", raising=False)
    given = bootstrap.environment({"PUBLIC_BASE_URL": "https://portal.example"}, 8001, 8200)
    assert given["PUBLIC_BASE_URL"] == "https://portal.example"


def test_the_environment_wins_over_everything(monkeypatch):
    monkeypatch.setenv("PUBLIC_BASE_URL", "http://localhost:7777")
    given = bootstrap.environment({"PUBLIC_BASE_URL": "http://localhost:8000"}, 8001, 8200)
    assert given["PUBLIC_BASE_URL"] == "http://localhost:7777"


def test_env_lines_are_read_as_the_settings_read_them(env_file):
    env_file.write_text("# a comment\n\nexport A=1\nB = 'two words'\nC=x=y\nnothing\n")
    assert bootstrap.read_env(env_file) == {"A": "1", "B": "two words", "C": "x=y"}


def test_no_env_has_no_settings(env_file):
    assert bootstrap.read_env(env_file) == {}


def test_a_taken_port_is_said_in_one_sentence(taken_port, free_port):
    with pytest.raises(SystemExit, match=rf"^Port {taken_port} is taken: .*PORT=.* make run$"):
        bootstrap.check_ports(taken_port, free_port)


def test_a_taken_sandbox_port_names_its_own_setting(taken_port, free_port):
    with pytest.raises(SystemExit, match=r"SANDBOX_PORT=\d+ make run"):
        bootstrap.check_ports(free_port, taken_port)


def test_both_cannot_have_the_same_port(free_port):
    with pytest.raises(SystemExit, match="choose another"):
        bootstrap.check_ports(free_port, free_port)


@pytest.mark.parametrize("given", ["abc", "0", "65536", "-1", "80 00", "²"])
def test_a_port_must_be_one(monkeypatch, given):
    monkeypatch.setenv("PORT", given)
    with pytest.raises(SystemExit, match="must be a port number"):
        bootstrap.chosen_port("PORT", 8000)


@pytest.mark.parametrize(("given", "port"), [("", 8000), ("8001", 8001)])
def test_the_chosen_port(monkeypatch, given, port):
    monkeypatch.setenv("PORT", given)
    assert bootstrap.chosen_port("PORT", 8000) == port


def test_a_folder_runs_once(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "VAR_DIR", tmp_path)
    held = bootstrap.hold_folder()
    with pytest.raises(SystemExit, match="already runs"):
        bootstrap.hold_folder()
    held.close()
    bootstrap.hold_folder().close()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A clone with a lock and a virtual environment; `installed` is what was done to it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    (tmp_path / "lock.txt").write_text("one==1\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / "bin/python")
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    done = []
    monkeypatch.setattr(bootstrap, "_install_lock", done.append)
    monkeypatch.setattr(bootstrap, "_make_venv", lambda: done.append("venv"))
    return done


def test_an_unchanged_lock_is_not_installed_again(folder, installed):
    bootstrap.install("lock.txt")
    bootstrap.install("lock.txt")
    assert installed == ["lock.txt"]
    (folder / "lock.txt").write_text("one==2\n")
    bootstrap.install("lock.txt")
    assert installed == ["lock.txt", "lock.txt"]


@pytest.mark.parametrize(("shebang", "done"), [("{}/bin/python", []), ("/old/python", ["venv"])])
def test_a_moved_folder_gets_a_new_environment(folder, installed, shebang, done):
    (folder / "bin/honcho").write_text(f"#!{shebang.format(folder)}\n")
    bootstrap.install()
    assert installed == done
