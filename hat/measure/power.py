"""Power meters: the energy of a sentence on devices that have a meter.

Energy is measured on further sentences, after the timed ones, so that reading the meter disturbs no latency. It is all
the energy that the meter sees meanwhile, including what the idle device consumes.
"""

import math
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from hat.errors import HatError

if TYPE_CHECKING:
    from hat.measure.measurement import Measurement

POWERCAP = Path("/sys/class/powercap")
# Zones of whole CPU packages. Zones within them (cores, memory) and of the platform would be counted twice.
ZONE = re.compile(r"^intel-rapl:\d+\Z")
PACKAGE = "package"
# A command that takes longer counts as hanging.
LIMIT_S = 10.0
# Pause between two readings of watts.
PAUSE_S = 0.05
# No device reaches this many watts or joules.
MOST = 1e12


class Unreadable(HatError):
    """A power meter cannot be read; the message says why."""


class PowerMeter(Protocol):
    """Measures the energy of a piece of work."""

    def start(self) -> None:
        """Start measuring."""

    def ready(self) -> bool:
        """Whether :meth:`joules` has a result, or can only fail."""

    def joules(self) -> float:
        """Stop measuring, and return the energy since the start.

        Raises:
            Unreadable: the meter cannot be read.
        """


class CountingMeter:
    """A meter with counters of energy.

    Args:
        read: returns each counter's joules, and the value at which it wraps around; None if it never does.
    """

    def __init__(self, read: Callable[[], list[tuple[float, float | None]]]) -> None:
        self._read = read

    def start(self) -> None:
        """See :class:`PowerMeter`."""
        self._before = self._read()

    def ready(self) -> bool:
        """See :class:`PowerMeter`."""
        return True

    def joules(self) -> float:
        """See :class:`PowerMeter`."""
        return math.fsum(
            _difference(before, now, most) for (before, _), (now, most) in zip(self._before, self._read(), strict=True)
        )


def _difference(before: float, now: float, most: float | None) -> float:
    if now >= before:
        return now - before
    if most is None or most < before:
        raise Unreadable(f"its counter went from {before:g} J back to {now:g} J")
    return most - before + now


class SampledMeter:
    """A meter of power, sampled by a thread.

    Args:
        read: returns the watts at this moment.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read

    def start(self) -> None:
        """See :class:`PowerMeter`."""
        self._watts: list[float] = []
        self._failed: Unreadable | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._began = time.perf_counter()
        self._thread.start()

    def ready(self) -> bool:
        """See :class:`PowerMeter`."""
        return bool(self._watts) or self._failed is not None

    def joules(self) -> float:
        """See :class:`PowerMeter`."""
        seconds = time.perf_counter() - self._began
        self._ended.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        if not self._watts:
            raise Unreadable("it was not read before the work ended")
        return fmean(self._watts) * seconds

    def _sample(self) -> None:
        try:
            while not self._ended.is_set():
                watts = self._read()
                # A reading that ended after the work does not count.
                if not self._ended.is_set():
                    self._watts.append(watts)
                self._ended.wait(PAUSE_S)
        except Unreadable as error:
            self._failed = error


def meter(power: Mapping[str, Any]) -> PowerMeter:
    """Return the meter of a device's configuration (:mod:`hat.config.device`).

    Raises:
        Unreadable: RAPL is configured without zones, and this machine has none.
    """
    if power["kind"] == "rapl":
        zones = [Path(zone) for zone in power["zones"] or _packages()]
        return CountingMeter(lambda: [_zone(zone) for zone in zones])
    command = list(power["command"])
    if power["unit"] == "joules":
        return CountingMeter(lambda: [(_printed(command), None)])
    return SampledMeter(lambda: _printed(command))


def meter_name(power: Mapping[str, Any]) -> str:
    """Return a description of the meter, which artifacts store with the energy."""
    if power["kind"] == "rapl":
        return f"RAPL, {', '.join(power['zones']) if power['zones'] else 'all processors'}"
    return f"{power['unit']} of {' '.join(power['command'])}"


def energy_j(power: Mapping[str, Any], work: Callable[[], None]) -> float:
    """Return the joules of a piece of work.

    The work is repeated for the ``seconds`` of the meter's configuration, and longer if the meter has no reading yet.

    Raises:
        Unreadable: the meter cannot be read.
    """
    found, count = meter(power), 0
    found.start()
    until = time.perf_counter() + power["seconds"]
    try:
        while not count or time.perf_counter() < until or not found.ready():
            work()
            count += 1
    except BaseException:
        with suppress(Unreadable):
            found.joules()
        raise
    return found.joules() / count


def idle_watts(power: Mapping[str, Any]) -> float:
    """Return the power of this machine while it runs no sentences, over the ``seconds`` of the meter's configuration.

    Raises:
        Unreadable: the meter cannot be read.
    """
    seconds = float(power["seconds"])
    return energy_j({**power, "seconds": 0.0}, lambda: time.sleep(seconds)) / seconds


def missing_energy(device: str, measured: Iterable["Measurement"]) -> str | None:
    """Return a warning if the energy of some visits is missing; None otherwise."""
    energies = [energy for one in measured for energy in one.energies_j]
    if not (missing := energies.count(None)):
        return None
    return (
        f"device {device!r}: the energy of {missing} of {len(energies)} visits is missing: its meter was not read;"
        f" `hat device check {device}` shows whether it can be"
    )


def _packages() -> list[str]:
    """Return the zones of all CPU packages."""
    zones = sorted(path for path in POWERCAP.glob("intel-rapl:*") if ZONE.match(path.name))
    packages = [str(zone) for zone in zones if _text(zone / "name").startswith(PACKAGE)]
    if not packages:
        raise Unreadable(
            f"{POWERCAP}: has no zone of a CPU package, expected intel-rapl:0, or `zones` in the device's file"
        )
    return packages


def _zone(zone: Path) -> tuple[float, float]:
    """Return the joules that a zone of Linux's powercap has counted, and the value at which it wraps around."""
    counted, most = (
        _number(_text(path), str(path)) / 1e6 for path in (zone / "energy_uj", zone / "max_energy_range_uj")
    )
    return counted, most


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError:
        raise Unreadable(
            f"{path}: permission denied; let the user that measures read it (chmod a+r, in a udev rule)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _printed(command: Sequence[str]) -> float:
    """Run a command, and return the number it prints as the first word of its last line."""
    shown = " ".join(command)
    try:
        ran = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{shown}: gave no answer within {LIMIT_S:g} s") from None
    except OSError as error:
        raise Unreadable(f"{shown}: {(error.strerror or str(error)).lower()}") from None
    if ran.returncode:
        last = (ran.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise Unreadable(f"{shown}: failed with exit code {ran.returncode} ({last})")
    words = (ran.stdout.decode(errors="replace").strip().splitlines() or [""])[-1].split()
    return _number(words[0] if words else "", shown)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < MOST:
        raise Unreadable(f"{where}: returned {text[:40]!r}, expected a number from 0")
    return value
