"""Power meters: the energy of a sentence, on devices that can be asked for it.

Energy is that of further sentences, run after those that are timed, so that reading the meter disturbs no latency. It
is all that the meter sees meanwhile, what the device takes when it does nothing included.
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
# Zones of whole processors; those within them (cores, memory) and of the platform would be counted twice.
ZONE = re.compile(r"^intel-rapl:\d+\Z")
PACKAGE = "package"
# A command that takes longer hangs.
LIMIT_S = 10.0
# Pause between two readings of watts.
PAUSE_S = 0.05
# Watts and joules that no device has.
MOST = 1e12


class Unreadable(HatError):
    """A power meter cannot be read; the message says why."""


class PowerMeter(Protocol):
    """Energy, from a start on."""

    def start(self) -> None:
        """Begin."""

    def ready(self) -> bool:
        """Whether there is something to say, or never will be."""

    def joules(self) -> float:
        """Energy since the start; ends what was begun.

        Raises:
            Unreadable: the meter does not tell.
        """


class CountingMeter:
    """A meter that counts by itself.

    Args:
        read: its joules, and the number that it starts again at, None where it never does.
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
            _counted(before, now, most) for (before, _), (now, most) in zip(self._before, self._read(), strict=True)
        )


def _counted(before: float, now: float, most: float | None) -> float:
    if now >= before:
        return now - before
    if most is None or most < before:
        raise Unreadable(f"its counter went from {before:g} J back to {now:g} J")
    return most - before + now


class SampledMeter:
    """A meter that says how many watts there are at a moment, read again and again in a thread.

    Args:
        read: its watts.
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
                # What was read when the work had ended says nothing of it.
                if not self._ended.is_set():
                    self._watts.append(watts)
                self._ended.wait(PAUSE_S)
        except Unreadable as error:
            self._failed = error


def meter(power: Mapping[str, Any]) -> PowerMeter:
    """The meter of a device's configuration (:mod:`hat.config.device`).

    Raises:
        Unreadable: there is none.
    """
    if power["kind"] == "rapl":
        zones = [Path(zone) for zone in power["zones"] or _packages()]
        return CountingMeter(lambda: [_zone(zone) for zone in zones])
    command = list(power["command"])
    if power["unit"] == "joules":
        return CountingMeter(lambda: [(_said(command), None)])
    return SampledMeter(lambda: _said(command))


def meter_name(power: Mapping[str, Any]) -> str:
    """What was read, for those who see the figure."""
    if power["kind"] == "rapl":
        return f"RAPL, {', '.join(power['zones']) if power['zones'] else 'all processors'}"
    return f"{power['unit']} of {' '.join(power['command'])}"


def energy_j(power: Mapping[str, Any], work: Callable[[], None]) -> float:
    """Joules of a piece of work, which is done again and again for the ``seconds`` of the meter, or until it is read.

    Raises:
        Unreadable: the meter does not tell.
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
    """Power while this machine has nothing to do for us, over the ``seconds`` of the meter.

    Raises:
        Unreadable: the meter does not tell.
    """
    seconds = float(power["seconds"])
    return energy_j({**power, "seconds": 0.0}, lambda: time.sleep(seconds)) / seconds


def missing_energy(device: str, measured: Iterable["Measurement"]) -> str | None:
    """A sentence for people where a meter did not tell at some visits, or was not there yet; None elsewhere."""
    energies = [energy for one in measured for energy in one.energies_j]
    if not (missing := energies.count(None)):
        return None
    return (
        f"device {device!r}: its power meter was not read at {missing} of {len(energies)} visits, whose energy is"
        f" missing; `hat device check {device}` says whether it can be"
    )


def _packages() -> list[str]:
    """Zones of all processors."""
    zones = sorted(path for path in POWERCAP.glob("intel-rapl:*") if ZONE.match(path.name))
    found = [str(zone) for zone in zones if _text(zone / "name").startswith(PACKAGE)]
    if not found:
        raise Unreadable(
            f"{POWERCAP}: has no zone of a processor, expected intel-rapl:0 or `zones` in the device's file"
        )
    return found


def _zone(zone: Path) -> tuple[float, float]:
    """Joules that a zone of Linux's powercap has counted, and those that it starts again at."""
    counted, most = (
        _number(_text(path), str(path)) / 1e6 for path in (zone / "energy_uj", zone / "max_energy_range_uj")
    )
    return counted, most


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError:
        raise Unreadable(
            f"{path}: permission denied; let the user that measures read it (chmod a+r, by a rule of udev)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _said(command: Sequence[str]) -> float:
    """The number that a command prints: the first word of its last line."""
    shown = " ".join(command)
    try:
        ran = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{shown}: gave no answer within {LIMIT_S:g} s") from None
    except OSError as error:
        raise Unreadable(f"{shown}: {(error.strerror or str(error)).lower()}") from None
    if ran.returncode:
        last = (ran.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise Unreadable(f"{shown}: ended with {ran.returncode} ({last})")
    words = (ran.stdout.decode(errors="replace").strip().splitlines() or [""])[-1].split()
    return _number(words[0] if words else "", shown)


def _number(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < MOST:
        raise Unreadable(f"{where}: says {text[:40]!r}, expected a number from 0 on")
    return found
