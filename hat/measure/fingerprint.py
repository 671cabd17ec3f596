"""What a device is and what state it is in, as far as Linux tells without privileges."""

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
# Bits of the Raspberry Pi's firmware: under-voltage, frequency capped, throttled, soft temperature limit; now.
PI_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
PI_NOW = 0xF
PACKAGES = ("hat", "numpy", *sorted({facts.package for facts in RUNTIMES.values()}))


def _read(path: Path) -> str | None:
    """A line of the kernel's; None where there is none."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip() or None
    return None


def _numbers(paths: list[Path]) -> list[int]:
    found = [_read(path) for path in paths]
    return [int(text) for text in found if text is not None and text.lstrip("-").isdigit()]


def _memory_mb() -> int | None:
    for line in (_read(Path("/proc/meminfo")) or "").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) // 1024
    return None


def _throttling() -> str | None:
    """Whether the clock is held down now, or has been since the start; None where nothing tells."""
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
    """What this machine is: equal as long as nobody changes it.

    Returns:
        ``host``, ``architecture``, ``processor``, ``cores``, ``memory_mb``, ``kernel``, ``governor`` and ``versions``
        of Python and the packages that matter; None where the system does not tell.
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
    """How this machine is at this moment.

    Returns:
        ``clock_mhz`` of the fastest core, ``temperature_c`` of the hottest place, ``throttling`` (``none``, ``now``,
        ``since the start``), ``load_average`` of the last minute, ``time_s`` of its clock since 1970, ``usable_cores``
        by number; None where the system does not tell.
    """
    clocks = _numbers(sorted(CPU.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")))
    places = [degrees for degrees in _numbers(sorted(THERMAL.glob("thermal_zone*/temp"))) if degrees > 0]
    return {
        "clock_mhz": max(clocks) // 1000 if clocks else None,
        "temperature_c": max(places) / 1000 if places else None,
        "throttling": _throttling(),
        "load_average": os.getloadavg()[0],
        "time_s": time.time(),
        "usable_cores": sorted(os.sched_getaffinity(0)),
    }
