"""Set this folder up and run the demo, before Django exists: standard library only.

`make run` is `bootstrap.py run`. What stands already is kept: the lock's packages, .env, the
database and the demo sign-ins. It must parse on any Python 3, to say that a newer one is needed.
"""

import base64
import contextlib
import fcntl
import hashlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

NEEDED = (3, 11)
if sys.version_info < NEEDED:
    sys.exit(
        "The portal needs Python 3.11 or newer and this is {}.{}: "
        "install a newer one, or name it: make run PYTHON=python3.11".format(*sys.version_info)
    )

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
ENV_FILE = Path(os.environ.get("ENV_FILE") or ROOT / ".env")
VAR_DIR = Path(os.environ.get("VAR_DIR") or ROOT / "var")
SIGN_INS = VAR_DIR / "demo-sign-ins.txt"
WRITTEN_BY_US = "# Written by `make run` for a demo on this machine; never commit it."
READY_WITHIN = 60.0


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"-- {text}", flush=True)


# ---- The virtual environment -----------------------------------------------------------------


def install(*locks: str) -> None:
    """Make .venv and install each lock that has changed since it was installed last."""
    if not PYTHON.exists() or _was_moved():
        _make_venv()
    for name in locks:
        stamp = VENV / f"{name}.sha256"
        digest = hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            continue
        _install_lock(name)
        stamp.write_text(digest)


def _was_moved() -> bool:
    """Say whether the folder had another name: scripts name their Python by its full path."""
    script = VENV / "bin" / "honcho"
    return script.is_file() and str(VENV) not in script.read_text()[:500]


def _make_venv() -> None:
    say(f"Making a virtual environment with Python {sys.version.split()[0]}")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", VENV],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        PYTHON.unlink(missing_ok=True)
        print(made.stdout + made.stderr, file=sys.stderr)
        sys.exit("The virtual environment cannot be made; on Debian: apt-get install python3-venv")


def _install_lock(name: str) -> None:
    packages = sum("==" in line for line in (ROOT / name).read_text().splitlines())
    say(f"Installing {packages} packages of {name} (the first time takes a minute or two)")
    quietly = ("--disable-pip-version-check", "--no-input", "--progress-bar=off")
    pip = subprocess.Popen(
        [PYTHON, "-m", "pip", "install", "--require-hashes", *quietly, "-r", ROOT / name],
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = list(_show_progress(pip, packages))
    if pip.wait():
        print("".join(said[-15:]), file=sys.stderr)
        sys.exit(f"The packages of {name} cannot be installed: pip's own words are above.")


def _show_progress(pip: "subprocess.Popen[str]", packages: int) -> Iterator[str]:
    fetched = 0
    for line in pip.stdout or ():
        if line.startswith(("Collecting ", "Processing ")):
            fetched += 1
            if fetched % 10 == 0:
                say(f"  {fetched} of {packages} packages")
        yield line


# ---- Settings --------------------------------------------------------------------------------


def addresses(port: int, sandbox_port: int) -> dict[str, str]:
    """Name the settings that follow from the two ports."""
    return {
        "PUBLIC_BASE_URL": f"http://localhost:{port}",
        "SEG_API_URL": f"http://127.0.0.1:{sandbox_port}/registry",
        "METERING_API_URL": f"http://127.0.0.1:{sandbox_port}/meters",
        "GASQUOTES_API_URL": f"http://127.0.0.1:{sandbox_port}/supply-points",
        "PTS_API_URL": f"http://127.0.0.1:{sandbox_port}/production-tracking",
        "SIP_API_URL": f"http://127.0.0.1:{sandbox_port}/market-messages",
    }


def demo_settings(known: dict[str, str], port: int, sandbox_port: int) -> dict[str, str]:
    """Make the settings of a demo: fresh secrets, and the same credentials for both sides."""
    user = known.get("SEG_API_USER") or f"portal-{secrets.token_hex(4)}@larkmoor.example"
    token = known.get("SEG_API_TOKEN") or secrets.token_urlsafe(24)
    gas_key = known.get("GASQUOTES_API_KEY") or secrets.token_urlsafe(24)
    pts_key = known.get("PTS_API_KEY") or secrets.token_urlsafe(24)
    pts_subscription = known.get("PTS_SUBSCRIPTION_KEY") or secrets.token_urlsafe(24)
    key = known.get("SIP_API_KEY") or secrets.token_urlsafe(24)
    return {
        "DEBUG": "off",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "SEG_API_USER": user,
        "SEG_API_TOKEN": token,
        "SANDBOX_SEG_USER": user,
        "SANDBOX_SEG_TOKEN": token,
        "SIP_API_KEY": key,
        "SANDBOX_SIP_KEY": key,
        "SEG_AUTO_APPROVE": "on",
        "GASQUOTES_API_KEY": gas_key,
        "SANDBOX_GAS_KEY": gas_key,
        "PTS_API_KEY": pts_key,
        "PTS_SUBSCRIPTION_KEY": pts_subscription,
        "SANDBOX_PTS_KEY": pts_key,
        "SANDBOX_PTS_SUBSCRIPTION_KEY": pts_subscription,
        "SANDBOX_PTS_WINDOW": "always",
        **addresses(port, sandbox_port),
    }


def write_env(path: Path, port: int, sandbox_port: int) -> None:
    """Write a demo's settings where there are none; add to our own what a newer version needs."""
    known = read_env(path)
    missing = {
        name: value
        for name, value in demo_settings(known, port, sandbox_port).items()
        if name not in known
    }
    if not path.is_file():
        say(f"Writing {path.name} with fresh secrets")
        lines = [WRITTEN_BY_US, "# .env.example and docs/operator.md explain the settings."]
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join((*lines, *_as_lines(missing), "")))
    elif missing and path.read_text().startswith(WRITTEN_BY_US):
        say(f"Adding to {path.name}: {', '.join(missing)}")
        with path.open("a") as file:
            file.write("\n".join((*_as_lines(missing), "")))


def _as_lines(settings: dict[str, str]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in settings.items())


def read_env(path: Path) -> dict[str, str]:
    """Read NAME=value lines; a file that is not there has none."""
    lines = path.read_text().splitlines() if path.is_file() else []
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines)
    return {
        name.strip(): value.strip().strip("'\"")
        for name, equals, value in pairs
        if equals and not name.startswith("#")
    }


def environment(known: dict[str, str], port: int, sandbox_port: int) -> dict[str, str]:
    """Build what the processes are given: .env, this run's ports, and above all the environment."""
    moved = {
        name: url
        for name, url in addresses(port, sandbox_port).items()
        if _is_local(known.get(name, url))
    }
    ours = {
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }
    return {**known, **moved, **os.environ, **ours}


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}


# ---- Ports and the lock ----------------------------------------------------------------------


def chosen_port(name: str, default: int) -> int:
    """Read a port from the environment; exits with a sentence when it is none."""
    given = os.environ.get(name) or str(default)
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 65536):
        sys.exit(f"{name} must be a port number such as {default}, not {given!r}.")
    return int(given)


def check_ports(port: int, sandbox_port: int) -> None:
    """Exit with a sentence when a port is taken; each party of the sandbox has one of its own."""
    sys.path.append(str(ROOT))
    from sandbox.parties import all_parties

    wanted = range(sandbox_port, sandbox_port + 1 + len(all_parties({})))
    if port in wanted:
        last = wanted[-1]
        sys.exit(f"PORT {port} is one of the sandbox's ({sandbox_port} to {last}): choose another.")
    _check_free("PORT", port, [port])
    _check_free("SANDBOX_PORT", sandbox_port, wanted)


def _check_free(name: str, chosen: int, wanted: "range | list[int]") -> None:
    for port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                sys.exit(
                    f"Port {port} is taken: stop what uses it, "
                    f"or choose another: {name}={chosen + 1 if port == chosen else chosen + 50} "
                    "make run"
                )


def hold_folder() -> object:
    """Keep a second `make run` out of this folder for as long as the result is kept."""
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    lock = (VAR_DIR / "run.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("The portal already runs from this folder: stop it there with Ctrl-C first.")
    return lock


# ---- Running ---------------------------------------------------------------------------------


class Portal:
    """The running processes, all below one honcho; they end together."""

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given
        self._asked = False
        self._parent = os.getppid()
        # -e: honcho would let .env win over the environment.
        self._honcho = subprocess.Popen(
            [PYTHON, "-m", "honcho", "start", "-e", os.devnull],
            cwd=ROOT,
            env=given,
            start_new_session=True,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, number: int = 0, frame: "FrameType | None" = None) -> None:
        self._asked = True
        if self._honcho.poll() is None:
            self._honcho.terminate()

    def runs(self) -> bool:
        """Say whether the processes still run; ends them when whoever started us is gone."""
        if os.getppid() != self._parent and not self._asked:
            self._stop()
        return self._honcho.poll() is None

    def wait_for(self, answers: Callable[[], bool], *, within: float) -> bool:
        """Wait until something answers; False when that takes too long or the portal stops."""
        until = time.monotonic() + within
        while self.runs() and time.monotonic() < until:
            if answers():
                return True
            time.sleep(0.2)
        return False

    def manage(self, *command: str) -> bool:
        """Run a management command beside the portal; False when it failed or was cut off."""
        running = subprocess.Popen([PYTHON, "manage.py", *command], cwd=ROOT, env=self._given)
        while running.poll() is None and self.runs():
            time.sleep(0.2)
        if running.poll() is None:
            running.terminate()
        return running.wait() == 0

    def wait(self) -> int:
        """Wait for the end of all; 0 when it was asked for."""
        while self.runs():
            time.sleep(0.3)
        return 0 if self._asked else 1


def run() -> int:
    """Set up, start everything, fill the demo and stay until it is stopped."""
    os.umask(0o077)  # database, uploads and e-mails are nobody else's
    port, sandbox_port = chosen_port("PORT", 8000), chosen_port("SANDBOX_PORT", 8100)
    check_ports(port, sandbox_port)
    lock = hold_folder()
    install("requirements.txt")
    write_env(ENV_FILE, port, sandbox_port)
    given = environment(read_env(ENV_FILE), port, sandbox_port)
    prepare(given)
    say("Starting the web process, the worker, its beat and the sandbox")
    portal = Portal(given)
    ready = portal.wait_for(
        lambda: _answers(port, "/healthz") and _answers(sandbox_port, "/control/parties"),
        within=READY_WITHIN,
    )
    if ready:
        say("Filling the demo")
        if not portal.manage("demo") and portal.runs():
            say("The demo could not be filled, see above; the portal runs without it.")
        if portal.runs():
            print(welcome(given, sandbox_port), flush=True)
    elif portal.runs():
        say(f"The portal did not answer within {READY_WITHIN:.0f} seconds; its words are above.")
    code = portal.wait()
    say("Stopped." if code == 0 else "A process ended by itself, so everything was stopped.")
    del lock
    return code


def prepare(given: dict[str, str]) -> None:
    """Bring the database, the static files and the demo's people up to date."""
    steps = (
        ("Bringing the database up to date", ("migrate", "--no-input", "--verbosity=0")),
        ("Collecting static files", ("collectstatic", "--no-input", "--verbosity=0")),
        ("Making the demo sign-ins", ("set_up_people",)),
    )
    for text, command in steps:
        say(text)
        done = subprocess.run([PYTHON, "manage.py", *command], check=False, cwd=ROOT, env=given)
        if done.returncode:
            sys.exit(f"`manage.py {command[0]}` failed: the reason is above.")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False


def welcome(given: dict[str, str], sandbox_port: int) -> str:
    """Write the addresses and the demo sign-ins."""
    base = given["PUBLIC_BASE_URL"].rstrip("/")
    sign_ins = SIGN_INS.read_text().rstrip() if SIGN_INS.is_file() else "none"
    return f"""
The portal is ready.

  Staff            {base}/
  Customers        {base}/seg/apply/
  Sandbox          http://127.0.0.1:{sandbox_port}/
  Sent e-mails     {VAR_DIR / "mail"} (or {base}/mails/)

Demo sign-ins of this installation (kept in {SIGN_INS}):

{sign_ins}

Ctrl-C stops everything.
"""


COMMANDS: dict[str, Callable[[], "int | None"]] = {
    "install": lambda: install("requirements.txt"),
    "install-dev": lambda: install("requirements.txt", "requirements-dev.txt"),
    "run": run,
}

if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(COMMANDS[sys.argv[1]]())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
