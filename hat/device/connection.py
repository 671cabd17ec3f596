"""How a device is reached: `local` measures in this process, `ssh` has an agent measure on the device.

Both measure by :class:`hat.measure.bench.Bench`. For this machine a process of its own would cost an interpreter for
every step, and keep nothing away that the agent's process has not too.
"""

import getpass
import math
import os
import platform
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from hat.config.settings import Settings
from hat.device.lock import DeviceLock, wait_for
from hat.device.remote import RemoteAgent
from hat.device.requirements import runtime_version
from hat.device.ssh import Ssh
from hat.errors import HatError, InputError
from hat.measure.bench import Bench, check_workload
from hat.measure.measurement import Measurement
from hat.measure.power import MOST, meter_name
from hat.measure.workload import Workload
from hat.space.kinds import AnyArchitecture
from hat.system.progress import Tracker


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Everything but the Architecture that a latency depends on; samples are comparable where it is equal."""

    device: str
    runtime: str
    runtime_version: str
    precision: str
    threads: int
    cores: tuple[int, ...] | None
    machine: str
    workload: Workload
    warmup: int
    repeats: int
    accelerator: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form; without ``accelerator`` where there is none."""
        cores = None if self.cores is None else list(self.cores)
        values = asdict(self) | {"cores": cores, "workload": self.workload.to_dict()}
        if self.accelerator is None:
            del values["accelerator"]
        return values


class Connection(AbstractContextManager["Connection"], Protocol):
    """A device that can be measured on; as a context it is kept from others until the end."""

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """What a measurement made now would be made under."""

    def fingerprint(self) -> dict[str, Any]:
        """See :func:`hat.measure.fingerprint.fingerprint`."""

    def measure(self, architecture: AnyArchitecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """One visit to a network of that Architecture with random weights."""

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """One visit to a deployed folder."""

    def check(self, beam: int, warmup: int, repeats: int, visits: int) -> Measurement:
        """See :meth:`hat.measure.bench.Bench.check`."""

    def idle_watts(self) -> float | None:
        """See :meth:`hat.measure.bench.Bench.idle_watts`."""

    def close(self) -> None:
        """Let others measure on the device."""


class _Connection:
    """What both connections have in common."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others measure on the device."""


class LocalConnection(_Connection):
    """This machine, measured in this process.

    Args:
        device: name of the device.
        bench: its Runtime.
        wait_s: seconds to wait for others who measure.
    """

    def __init__(self, *, device: str, bench: Bench, wait_s: float) -> None:
        self.device = device
        self.bench = bench
        self._wait_s = wait_s
        self._lock = DeviceLock()
        self._inside = False

    def __enter__(self) -> Self:
        self._take()
        self._inside = True
        return self

    def close(self) -> None:
        """Let others measure on this machine."""
        self._inside = False
        self._lock.release()

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """What a measurement made now would be made under."""
        runtime, facts = self.bench.runtime, self.bench.facts()
        return Conditions(
            device=self.device,
            runtime=runtime.facts.name,
            runtime_version=facts["runtime_version"],
            precision=runtime.precision,
            threads=runtime.threads,
            cores=self.bench.cores,
            machine=facts["machine"],
            workload=workload,
            warmup=warmup,
            repeats=repeats,
            accelerator=self.bench.accelerator,
        )

    def fingerprint(self) -> dict[str, Any]:
        """What this machine is."""
        found: dict[str, Any] = self.bench.facts()["fingerprint"]
        return found

    def measure(self, architecture: AnyArchitecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """One visit to a network of that Architecture with random weights."""
        return self._alone(lambda: self.bench.measure(architecture, workload, warmup, repeats))

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """One visit to a deployed folder."""
        return self._alone(lambda: self.bench.measure_folder(folder, workload, warmup, repeats, tracker))

    def check(self, beam: int, warmup: int, repeats: int, visits: int) -> Measurement:
        """See :meth:`hat.measure.bench.Bench.check`."""
        return self._alone(lambda: self.bench.check(beam, warmup, repeats, visits))

    def idle_watts(self) -> float | None:
        """See :meth:`hat.measure.bench.Bench.idle_watts`."""
        try:
            return self.bench.idle_watts()
        except HatError as error:
            raise HatError(f"device {self.device!r}: {error}") from None

    def _alone(self, measured: Callable[[], Measurement]) -> Measurement:
        """Measure with the machine's lock, which inside of a ``with`` is kept."""
        self._take()
        try:
            return measured()
        finally:
            if not self._inside:
                self._lock.release()

    def _take(self) -> None:
        holder = f"{getpass.getuser()}@{platform.node()} (process {os.getpid()})"
        wait_for(
            lambda: self._lock.take(holder),
            self.device,
            self._wait_s,
            lambda text: print(text, file=sys.stderr, flush=True),
        )


class SshConnection(_Connection):
    """A device that OpenSSH reaches; it is kept from others from the first question on.

    Args:
        device: name of the device.
        agent: what measures there.
        bench: what its Bench is made with.
    """

    def __init__(self, *, device: str, agent: RemoteAgent, bench: dict[str, Any]) -> None:
        self.device = device
        self.agent = agent
        self._bench = bench

    def close(self) -> None:
        """Let others measure on the device."""
        self.agent.close()

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """What a measurement made now would be made under."""
        facts = self.agent.greeted()
        return Conditions(
            device=self.device,
            runtime=self._bench["runtime"],
            runtime_version=facts.runtime_version,
            precision=self._bench["precision"],
            threads=self._bench["threads"],
            cores=None if self._bench["cores"] is None else tuple(self._bench["cores"]),
            machine=facts.machine,
            workload=workload,
            warmup=warmup,
            repeats=repeats,
            accelerator=self._bench["accelerator"],
        )

    def fingerprint(self) -> dict[str, Any]:
        """What the device is."""
        return self.agent.greeted().fingerprint.model_dump()

    def measure(self, architecture: AnyArchitecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """One visit to a network of that Architecture with random weights, built there."""
        visit: dict[str, Any] = {"workload": workload.to_dict(), "warmup": warmup, "repeats": repeats}
        visit |= {"kind": architecture.kind, "architecture": architecture.to_dict()}
        return self._measured("measure", workload, repeats, **visit)

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """One visit to a deployed folder, which is copied there."""
        files = self.agent.send_folder(folder)
        visit = {"workload": workload.to_dict(), "warmup": warmup, "repeats": repeats}
        return self._measured("measure_folder", workload, repeats, tracker, folder=files, **visit)

    def translate(self, folder: Path, sources: list[list[int]]) -> list[list[int]]:
        """Tokens that a deployed folder, copied there, makes of sources (token numbers, end symbol last)."""
        answer = self.agent.ask("translate", folder=self.agent.send_folder(folder), sources=sources, decoding=None)
        if not isinstance(answer, list) or not all(isinstance(row, list) for row in answer):
            raise HatError(f"device {self.device!r}: it answers no translations")
        return [[int(token) for token in row] for row in answer]

    def check(self, beam: int, warmup: int, repeats: int, visits: int) -> Measurement:
        """See :meth:`hat.measure.bench.Bench.check`."""
        how = {"beam": beam, "warmup": warmup, "repeats": repeats, "visits": visits}
        return self._measured("check", check_workload(beam), repeats * visits, how=how)

    def idle_watts(self) -> float | None:
        """See :meth:`hat.measure.bench.Bench.idle_watts`."""
        answer = self.agent.ask("power")
        found = answer.get("idle_w") if isinstance(answer, dict) else math.nan
        if found is None and self._bench["power"] is None:
            return None
        if not isinstance(found, int | float) or not 0 <= found < MOST:
            raise HatError(f"device {self.device!r}: it answers no power")
        return float(found)

    def _measured(
        self, do: str, workload: Workload, repeats: int, tracker: Tracker | None = None, /, **values: Any
    ) -> Measurement:
        answer = self.agent.ask(do, tracker, **values)
        if not isinstance(answer, dict):
            raise HatError(f"device {self.device!r}: it returned no measurement")
        found = Measurement.from_dict(answer, f"device {self.device!r}")
        shares, count = tuple(share for *_, share in workload.pairs), repeats * len(workload.pairs)
        if len(found.timings_ms) != count or found.shares != shares or found.pooled_noise is not None:
            raise HatError(
                f"device {self.device!r}: it answers {len(found.timings_ms)} timings of {len(found.shares)} lengths,"
                f" expected {count} of {len(shares)}"
            )
        power = self._bench["power"]
        energies = [energy for energy in found.energies_j if energy is not None]
        if found.meter != (None if power is None else meter_name(power)) or max(energies, default=0) >= MOST:
            raise HatError(f"device {self.device!r}: it answers energy of another meter, or that cannot be")
        return found


def check_reachable(settings: Settings, device: str) -> None:
    """Refuse a device that cannot be measured on, before any work is done for it.

    Raises:
        HatError: no host is configured.
    """
    chosen = settings.device(device)
    if chosen.connection == "local" or chosen.host is not None:
        return
    file = settings.folder / "devices" / f"{device}.yaml"
    if chosen.latency is not None:
        raise HatError(f"device {device!r}: {file} has latencies from {chosen.latency} and no host to measure on")
    raise HatError(
        f"device {device!r}: no host is configured; set `host` in {file} to a host of your OpenSSH configuration"
    )


def open_ssh(settings: Settings, device: str) -> Ssh:
    """The way to a device.

    Raises:
        HatError: see :func:`check_reachable`.
    """
    check_reachable(settings, device)
    return Ssh(device, settings.device(device), settings.folder / "devices" / f"{device}.yaml")


def connect(settings: Settings, device: str) -> LocalConnection | SshConnection:
    """The connection to a device; nothing is done over it yet.

    Raises:
        HatError: see :func:`check_reachable`; or it is this machine, which has no such GPU.
        InputError: its Runtime is not installed here.
    """
    check_reachable(settings, device)
    chosen = settings.device(device)
    bench: dict[str, Any] = {
        "runtime": chosen.runtime,
        "precision": chosen.precision,
        "threads": chosen.threads,
        "cores": chosen.cores,
        "seed": settings.seed,
        "accelerator": chosen.accelerator,
        "power": None if chosen.power is None else chosen.power.model_dump(mode="json"),
    }
    if chosen.connection == "local":
        try:
            here = Bench(**bench)
        except InputError:
            raise
        except HatError as error:
            raise HatError(f"device {device!r}: {error}") from None
        return LocalConnection(device=device, bench=here, wait_s=chosen.wait_s)
    agent = RemoteAgent(open_ssh(settings, device), bench, runtime_version(chosen.runtime))
    return SshConnection(device=device, agent=agent, bench=bench)
