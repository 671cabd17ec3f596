"""What a device needs installed: this package, what that needs, and one Runtime, in exact versions."""

import re
from importlib.metadata import version
from pathlib import Path

import hat
from hat.config.runtimes import RUNTIMES
from hat.errors import HatError

# The project's folder; absent where hat was installed from a wheel.
PROJECT = Path(hat.__file__).parents[1]
LOCK = PROJECT / "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([A-Za-z0-9_.!+-]+)$")


def pins() -> dict[str, str]:
    """Exact version of each package, by its name in lower case with hyphens.

    Raises:
        HatError: hat does not run in its project folder.
    """
    if not LOCK.exists():
        raise HatError(f"{LOCK}: no such file; devices are set up by a hat that runs in its project's folder")
    found = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if match := PIN.match(line.strip()):
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


def runtime_version(runtime: str) -> str:
    """The version of a Runtime that devices must have: the pinned one, or where nothing is pinned the one here."""
    package = RUNTIMES[runtime].package
    return pins()[package] if LOCK.exists() else version(package)
