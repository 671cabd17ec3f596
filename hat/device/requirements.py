"""Exact versions of the packages that a device needs: this package's dependencies and one Runtime."""

import re
from importlib.metadata import version
from pathlib import Path

import hat
from hat.config.runtimes import RUNTIMES
from hat.errors import HatError

# The project's folder, if hat runs from a checkout rather than an installed wheel.
PROJECT = Path(hat.__file__).parents[1]
LOCK = PROJECT / "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([A-Za-z0-9_.!+-]+)$")


def pins() -> dict[str, str]:
    """Return the pinned version of each package, by its name in lower case with hyphens.

    Raises:
        HatError: hat does not run from its project folder.
    """
    if not LOCK.exists():
        raise HatError(f"{LOCK}: no such file; run `hat device setup` from a checkout of the project")
    found = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if match := PIN.match(line.strip()):
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


def runtime_version(runtime: str) -> str:
    """Return the version of a Runtime that devices must have: the pinned one, or without pins the local one."""
    package = RUNTIMES[runtime].package
    return pins()[package] if LOCK.exists() else version(package)
