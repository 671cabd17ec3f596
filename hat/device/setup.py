"""`hat device setup`: install the pinned Runtime and this package into an environment on the device."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from hat.artifacts.files import digest
from hat.config.runtimes import RUNTIMES
from hat.config.settings import Settings
from hat.device.agent import source_digest
from hat.device.connection import open_ssh
from hat.device.facts import Text, checked_answer
from hat.device.paths import device_folder
from hat.device.requirements import LOCK, PROJECT, pins
from hat.device.ssh import NOT_FOUND, Ssh, printable
from hat.errors import HatError

OLDEST = (3, 11)
# The oldest glibc 2.x that manylinux wheels are built for.
OLDEST_GLIBC = 17
PROBE_S = 120.0

# Runs on the device with its own Python: prints facts about the device and its installed environment.
PROBE = """
import importlib.util, json, os, platform, shutil, sys
folder = os.path.join(os.path.expanduser("~"), sys.argv[1])
link = os.path.join(folder, "venv")
place = os.readlink(link) if os.path.islink(link) else None
print(json.dumps({
    "hat_probe": 1, "python": list(sys.version_info[:3]), "implementation": sys.implementation.name,
    "machine": platform.machine(), "system": platform.system(), "libc": list(platform.libc_ver()),
    "venv": importlib.util.find_spec("venv") is not None,
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
    "free_mb": shutil.disk_usage(os.path.expanduser("~")).free >> 20,
    "installed": place if place and os.path.exists(os.path.join(link, "complete")) else None,
}))
"""
# Runs on the device: creates the environment from the tar file on standard input, and activates it once complete.
INSTALL = """
import fcntl, os, shutil, subprocess, sys, tarfile, venv
folder, name, offline = os.path.join(os.path.expanduser("~"), sys.argv[1]), sys.argv[2], sys.argv[3] == "offline"
os.makedirs(folder, exist_ok=True)
lock = open(os.path.join(folder, "setup.lock"), "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit("another `hat device setup` is running")
place, link = os.path.join(folder, name), os.path.join(folder, "venv")
for left in os.listdir(folder):
    if left.startswith("env-") and left != (os.readlink(link) if os.path.islink(link) else None):
        shutil.rmtree(os.path.join(folder, left))
shutil.rmtree(place, ignore_errors=True)
try:
    venv.create(place, symlinks=True, with_pip=not offline)
    site = os.path.join(place, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    sent = site if offline else os.path.join(place, "sent")
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|gz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(sent)
    if not offline:
        wheel = [os.path.join(sent, one) for one in os.listdir(sent) if one.endswith(".whl")]
        subprocess.run(
            [os.path.join(place, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-input", "--no-compile",
             "--disable-pip-version-check", "--only-binary=:all:", "-c", os.path.join(sent, "constraints.txt"),
             *wheel, *sys.argv[4:]],
            check=True, stdout=sys.stderr,
        )
        shutil.rmtree(sent)
    open(os.path.join(place, "complete"), "w").close()
    os.sync()
    if os.path.lexists(link + ".new"):
        os.unlink(link + ".new")
    os.symlink(name, link + ".new")
    before = os.readlink(link) if os.path.islink(link) else None
    os.replace(link + ".new", link)
    if before not in (None, name):
        shutil.rmtree(os.path.join(folder, before), ignore_errors=True)
except BaseException as error:
    shutil.rmtree(place, ignore_errors=True)
    sys.stderr.write((getattr(error, "output", None) or b"").decode(errors="replace"))
    sys.exit("pip failed with exit code %d" % error.returncode if hasattr(error, "returncode") else str(error))
"""


class Probe(BaseModel):
    """The output of :data:`PROBE`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hat_probe: int
    python: Annotated[list[int], Field(min_length=3, max_length=3)]
    implementation: Text
    machine: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")]
    system: Text
    libc: Annotated[list[Text], Field(min_length=2, max_length=2)]
    venv: bool
    ensurepip: bool
    free_mb: int
    installed: Text | None


def setup_device(settings: Settings, device: str, *, offline: bool) -> dict[str, Any]:
    """Bring a device's environment up to date, if it is not.

    Args:
        settings: the configuration.
        device: name of the device.
        offline: send all packages from this machine, for a device that reaches no package index.

    Returns:
        ``device``, ``changed``, and for a device with a host its architecture, Python and Runtime version.

    Raises:
        HatError: the device cannot be reached, or cannot be set up; the message says why.
    """
    chosen = settings.device(device)
    if chosen.connection == "local":
        return {"device": device, "changed": False, "note": "measured in this environment; needs no setup"}
    ssh = open_ssh(settings, device)
    try:
        probe = _probe(ssh)
        _check(probe, ssh, offline=offline)
        wanted = pins()
        facts = RUNTIMES[chosen.runtime]
        package = facts.package
        version = "{}.{}.{}".format(*probe.python)
        stamp = digest([source_digest(), wanted, package, version, probe.machine])
        result = {
            "device": device,
            "changed": probe.installed != f"env-{stamp}",
            "architecture": probe.machine,
            "python": version,
            package: wanted[package],
        }
        if not result["changed"]:
            return result
        if probe.free_mb < facts.disk_mb:
            raise HatError(
                f"device {device!r}: {probe.free_mb} MB are free in the home folder there, expected at least"
                f" {facts.disk_mb} MB"
            )
        with tempfile.TemporaryDirectory() as folder:
            archive = _archive(Path(folder), probe, f"{package}=={wanted[package]}", offline=offline)
            _install(ssh, archive, f"env-{stamp}", f"{package}=={wanted[package]}", offline=offline)
        return result
    finally:
        ssh.close()


def _probe(ssh: Ssh) -> Probe:
    python, where = ssh.settings.python, f"device {ssh.device!r}"
    words = [python, "-c", PROBE, device_folder(ssh.device)]
    ran = ssh.run(shlex.join(words), limit_s=PROBE_S)
    if ran.returncode in NOT_FOUND:
        raise HatError(
            f"{where}: there is no {python!r} there; install Python {OLDEST[0]}.{OLDEST[1]} or later, or set `python`"
            f" in {ssh.file}"
        )
    for line in reversed(ran.stdout[-(1 << 16) :].splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "hat_probe" in found:
            return checked_answer(Probe, found, where)
    reason = printable(ran.stderr.decode(errors="replace")) or "no message"
    raise HatError(f"{where}: {python!r} does not run there ({reason})")


def _check(probe: Probe, ssh: Ssh, *, offline: bool) -> None:
    where = f"device {ssh.device!r}"
    if tuple(probe.python[:2]) < OLDEST or probe.implementation != "cpython":
        raise HatError(
            f"{where}: {ssh.settings.python!r} is {probe.implementation} {'.'.join(map(str, probe.python))} there,"
            f" expected CPython {OLDEST[0]}.{OLDEST[1]} or later; set `python` in {ssh.file} to another one"
        )
    if probe.system != "Linux":
        raise HatError(f"{where}: it runs {probe.system}, expected Linux")
    if not probe.venv or not (offline or probe.ensurepip):
        raise HatError(
            f"{where}: Python cannot create virtual environments there; on Debian install the package python3-venv"
            + ("" if offline else ", or use --offline")
        )


def _archive(folder: Path, probe: Probe, runtime: str, *, offline: bool) -> Path:
    """Write the archive to send: all installed packages if offline, otherwise this package's wheel and constraints."""
    wheel = _wheel(folder)
    sent = folder / "sent"
    if offline:
        _install_for(probe, sent, wheel, runtime)
    else:
        sent.mkdir()
        shutil.copy(wheel, sent)
        shutil.copy(LOCK, sent / "constraints.txt")
    path = folder / "sent.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for entry in sorted(sent.iterdir()):
            archive.add(entry, entry.name, filter=_anonymous)
    return path


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _wheel(folder: Path) -> Path:
    """Build the wheel of this package from a copy of the sources, since building writes beside them."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    shutil.copytree(PROJECT / "hat", source / "hat", ignore=shutil.ignore_patterns("__pycache__"))
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    (wheel,) = folder.glob("hat-*.whl")
    return wheel


def _install_for(probe: Probe, target: Path, wheel: Path, runtime: str) -> None:
    """Install the device's packages into ``target`` on this machine."""
    name, newest = probe.libc
    major, _, minor = newest.partition(".")
    platforms = [f"manylinux2014_{probe.machine}", f"linux_{probe.machine}"]
    if name == "glibc" and major == "2" and minor.isdigit():
        minors = range(min(int(minor), 100), OLDEST_GLIBC - 1, -1)
        platforms[:0] = [f"manylinux_2_{number}_{probe.machine}" for number in minors]
    version = "{}.{}".format(*probe.python)
    _pip(
        *("install", "--target", target, "--no-compile", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", version, "--abi", "cp{}{}".format(*probe.python), "--abi", "abi3", "--abi", "none"),
        *(part for platform in platforms for part in ("--platform", platform)),
        *("--constraint", LOCK, wheel, runtime),
    )


def _pip(*words: str | Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pip", *words, "--quiet", "--no-input", "--disable-pip-version-check"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ran.returncode:
        errors = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or ran.stderr.splitlines()
        raise HatError(f"pip {words[0]} failed on this machine: {printable(' '.join(errors[:2]))}")


def _install(ssh: Ssh, archive: Path, name: str, runtime: str, *, offline: bool) -> None:
    words = [ssh.settings.python, "-c", INSTALL, device_folder(ssh.device), name, "offline" if offline else "online"]
    with open(archive, "rb") as stream:
        ran = ssh.run(shlex.join([*words, runtime]), stdin=stream)
    if ran.returncode:
        stderr = ran.stderr.decode(errors="replace")
        where = f"device {ssh.device!r}"
        if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
            raise HatError(f"{where}: the disk there is full; free some space and run the same command again")
        errors = [line for line in stderr.splitlines() if line.startswith("ERROR")] or stderr.splitlines()[-1:]
        hint = "" if offline else "; use --offline if the device reaches no package index"
        raise HatError(f"{where}: setup failed there ({printable(' '.join(errors))}){hint}")
