"""Connections to devices: `local` measures in this process, `ssh` through an agent on the device.

Both measure with :class:`hat.measure.bench.Bench`. On this machine a separate process would start an interpreter for
every stage and isolate the measurement from nothing.
"""

import getpass
import math
import os
import platform
import sys
from collections.abc import Callable
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
    """Everything except the Architecture that a latency depends on; samples with equal conditions are comparable."""

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
        """Return the values as JSON, without ``accelerator`` if it is None."""
        cores = None if self.cores is None else list(self.cores)
        values = asdict(self) | {"cores": cores, "workload": self.workload.to_dict()}
        if self.accelerator is None:
            del values["accelerator"]
        return values


class Connection(Protocol):
    """A device to measure on. As a context manager it holds the device's lock until the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """Return the conditions of a measurement made now."""

    def fingerprint(self) -> dict[str, Any]:
        """See :func:`hat.measure.fingerprint.fingerprint`."""

    def measure(self, architecture: AnyArchitecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """See :meth:`hat.measure.bench.Bench.measure`."""

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """See :meth:`hat.measure.bench.Bench.measure_folder`."""

    def check(self, beam: int, warmup: int, repeats: int, visits: int) -> Measurement:
        """See :meth:`hat.measure.bench.Bench.check`."""

    def idle_watts(self) -> float | None:
        """See :meth:`hat.measure.bench.Bench.idle_watts`."""

    def close(self) -> None:
        """Release the device's lock, and end the connection."""


class LocalConnection(Connection):
    """This machine, measured in this process.

    Args:
        device: name of the device.
        bench: its Runtime.
        wait_s: seconds to wait for the lock while somebody else measures.
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
        """Release this machine's lock."""
        self._inside = False
        self._lock.release()

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """See :meth:`Connection.conditions`."""
        runtime, facts = self.bench.runtime, self.bench.machine_facts()
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
        """See :meth:`Connection.fingerprint`."""
        result: dict[str, Any] = self.bench.machine_facts()["fingerprint"]
        return result

    def measure(self, architecture: AnyArchitecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """See :meth:`Connection.measure`."""
        return self._alone(lambda: self.bench.measure(architecture, workload, warmup, repeats))

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """See :meth:`Connection.measure_deployed`."""
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

    def _alone(self, measure: Callable[[], Measurement]) -> Measurement:
        """Hold the machine's lock while measuring; within a ``with`` statement, keep it afterwards."""
        self._take()
        try:
            return measure()
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


class SshConnection(Connection):
    """A device reached over OpenSSH; the first request takes its lock.

    Args:
        device: name of the device.
        agent: the agent on the device.
        bench: arguments of the device's Bench.
    """

    def __init__(self, *, device: str, agent: RemoteAgent, bench: dict[str, Any]) -> None:
        self.device = device
        self.agent = agent
        self._bench = bench

    def close(self) -> None:
        """End the agent, which releases the device's lock; then end the connection."""
        self.agent.close()

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """See :meth:`Connection.conditions`."""
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
        """See :meth:`Connection.fingerprint`."""
        return self.agent.greeted().fingerprint.model_dump()

    def measure(self, architecture: AnyArchitecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """See :meth:`Connection.measure`; the device builds the network."""
        visit: dict[str, Any] = {"workload": workload.to_dict(), "warmup": warmup, "repeats": repeats}
        visit |= {"kind": architecture.kind, "architecture": architecture.to_dict()}
        return self._measured("measure", workload, repeats, **visit)

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """See :meth:`Connection.measure_deployed`; the folder is copied to the device."""
        files = self.agent.send_folder(folder)
        visit = {"workload": workload.to_dict(), "warmup": warmup, "repeats": repeats}
        return self._measured("measure_folder", workload, repeats, tracker, folder=files, **visit)

    def translate(self, folder: Path, sources: list[list[int]]) -> list[list[int]]:
        """Translate on the device with a deployed folder, which is copied there.

        Args:
            folder: the deployed folder.
            sources: token ids, the end symbol last.

        Returns:
            Token ids of the translations.
        """
        answer = self.agent.ask("translate", folder=self.agent.send_folder(folder), sources=sources, decoding=None)
        if not isinstance(answer, list) or not all(isinstance(row, list) for row in answer):
            raise HatError(f"device {self.device!r}: it returned no translations")
        return [[int(token) for token in row] for row in answer]

    def check(self, beam: int, warmup: int, repeats: int, visits: int) -> Measurement:
        """See :meth:`hat.measure.bench.Bench.check`."""
        how = {"beam": beam, "warmup": warmup, "repeats": repeats, "visits": visits}
        return self._measured("check", check_workload(beam), repeats * visits, how=how)

    def idle_watts(self) -> float | None:
        """See :meth:`hat.measure.bench.Bench.idle_watts`."""
        answer = self.agent.ask("power")
        watts = answer.get("idle_w") if isinstance(answer, dict) else math.nan
        if watts is None and self._bench["power"] is None:
            return None
        if not isinstance(watts, int | float) or not 0 <= watts < MOST:
            raise HatError(f"device {self.device!r}: it returned no power")
        return float(watts)

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
                f"device {self.device!r}: it returned {len(found.timings_ms)} timings of {len(found.shares)} lengths,"
                f" expected {count} of {len(shares)}"
            )
        power = self._bench["power"]
        energies = [energy for energy in found.energies_j if energy is not None]
        if found.meter != (None if power is None else meter_name(power)) or max(energies, default=0) >= MOST:
            raise HatError(f"device {self.device!r}: it returned energy of another meter, or an impossible value")
        return found


def check_reachable(settings: Settings, device: str) -> None:
    """Raise an error if a device has no host to measure on, before any work is done for it.

    Raises:
        HatError: no host is configured.
    """
    chosen = settings.device(device)
    if chosen.connection == "local" or chosen.host is not None:
        return
    file = settings.folder / "devices" / f"{device}.yaml"
    if chosen.latency is not None:
        raise HatError(f"device {device!r}: {file} sets latencies from {chosen.latency}, and no host to measure on")
    raise HatError(
        f"device {device!r}: no host is configured; set `host` in {file} to a host of your OpenSSH configuration"
    )


def open_ssh(settings: Settings, device: str) -> Ssh:
    """Return the SSH client for a device.

    Raises:
        HatError: see :func:`check_reachable`.
    """
    check_reachable(settings, device)
    return Ssh(device, settings.device(device), settings.folder / "devices" / f"{device}.yaml")


def connect(settings: Settings, device: str) -> LocalConnection | SshConnection:
    """Return the connection to a device, without using it yet.

    Raises:
        HatError: see :func:`check_reachable`; or the device is this machine, and the configured GPU is missing.
        InputError: the device is this machine, and its Runtime is not installed.
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
            local_bench = Bench(**bench)
        except InputError:
            raise
        except HatError as error:
            raise HatError(f"device {device!r}: {error}") from None
        return LocalConnection(device=device, bench=local_bench, wait_s=chosen.wait_s)
    agent = RemoteAgent(open_ssh(settings, device), bench, runtime_version(chosen.runtime))
    return SshConnection(device=device, agent=agent, bench=bench)
