"""Fingerprint and current state of a machine, as far as Linux reports them without privileges."""

import contextlib
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hat.artifacts.files import provenance
from hat.config.runtimes import RUNTIMES

CPU = Path("/sys/devices/system/cpu")
THERMAL = Path("/sys/class/thermal")
# Throttling flags of the Raspberry Pi's firmware. The low four bits (under-voltage, frequency capped, throttled, soft
# temperature limit) are the current state.
PI_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
PI_NOW = 0xF
PACKAGES = ("hat", "numpy", *sorted({facts.package for facts in RUNTIMES.values()}))


def _read(path: Path) -> str | None:
    """Return the content of a kernel file; None if it does not exist or is empty."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip() or None
    return None


def _numbers(paths: list[Path]) -> list[int]:
    texts = [_read(path) for path in paths]
    return [int(text) for text in texts if text is not None and text.lstrip("-").isdigit()]


def _memory_mb() -> int | None:
    for line in (_read(Path("/proc/meminfo")) or "").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) // 1024
    return None


def _throttling() -> str | None:
    """Return whether the clock is throttled now, or was since the machine started; None if unknown."""
    if (text := _read(PI_THROTTLED)) is not None:
        with contextlib.suppress(ValueError):
            bits = int(text, 16)
            return "now" if bits & PI_NOW else "since the start" if bits else "none"
    counts = _numbers(sorted(CPU.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")))
    return None if not counts else "since the start" if sum(counts) else "none"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def fingerprint() -> dict[str, Any]:
    """Return the properties that identify this machine; they stay equal as long as nobody changes the machine.

    Returns:
        ``host``, ``architecture``, ``processor``, ``cores``, ``memory_mb``, ``kernel``, ``governor``, and ``versions``
        of Python and the packages that matter. Unknown values are None.
    """
    machine = provenance(seed=None, settings=None)["machine"]
    governors = {_read(path) for path in CPU.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {None}
    return {
        **{key: machine[key] for key in ("host", "architecture", "processor", "cores")},
        "memory_mb": _memory_mb(),
        "kernel": platform.release(),
        "governor": ", ".join(sorted(filter(None, governors))) or None,
        "versions": _versions(),
    }


def machine_state() -> dict[str, Any]:
    """Return the current state of this machine.

    Returns:
        ``clock_mhz`` of the fastest core, ``temperature_c`` of the hottest sensor, ``throttling`` (``none``, ``now``,
        ``since the start``), ``load_average`` of the last minute, ``time_s`` of the clock since 1970, and the numbers
        of ``usable_cores``. Unknown values are None.
    """
    clocks = _numbers(sorted(CPU.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")))
    sensors = [degrees for degrees in _numbers(sorted(THERMAL.glob("thermal_zone*/temp"))) if degrees > 0]
    return {
        "clock_mhz": max(clocks) // 1000 if clocks else None,
        "temperature_c": max(sensors) / 1000 if sensors else None,
        "throttling": _throttling(),
        "load_average": os.getloadavg()[0],
        "time_s": time.time(),
        "usable_cores": sorted(os.sched_getaffinity(0)),
    }
