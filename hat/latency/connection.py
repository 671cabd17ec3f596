"""How a device is reached: `local` measures in this process."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import hat.runtime as runtimes
from hat.artifacts import provenance
from hat.deployed import DeployedFolder
from hat.errors import HatError
from hat.latency.protocol import Measurement, measure
from hat.latency.workload import Workload
from hat.progress import Tracker
from hat.runtime.base import Runtime
from hat.runtime.made import build
from hat.settings import Settings
from hat.space import Architecture


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Everything but the Architecture that a latency depends on; samples are comparable where it is equal."""

    device: str
    runtime: str
    runtime_version: str
    precision: str
    threads: int
    machine: str
    workload: Workload
    warmup: int
    repeats: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self)


class Connection(Protocol):
    """A device that can be measured on."""

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """What a measurement made now would be made under."""

    def measure(self, architecture: Architecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """Latency of a network of that Architecture with random weights."""

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """Latency of a deployed folder."""


class LocalConnection:
    """This machine, measured in this process.

    Args:
        device: name of the device.
        runtime: what executes the network.
        seed: of the random weights.
    """

    def __init__(self, *, device: str, runtime: Runtime, seed: int) -> None:
        self.device = device
        self.runtime = runtime
        self.seed = seed

    def conditions(self, workload: Workload, warmup: int, repeats: int) -> Conditions:
        """What a measurement made now would be made under."""
        machine = provenance(seed=None, settings=None)["machine"]
        return Conditions(
            device=self.device,
            runtime=self.runtime.name,
            runtime_version=version(self.runtime.package),
            precision=self.runtime.precision,
            threads=self.runtime.threads,
            machine=f"{machine['processor']} ({machine['architecture']})",
            workload=workload,
            warmup=warmup,
            repeats=repeats,
        )

    def measure(self, architecture: Architecture, workload: Workload, warmup: int, repeats: int) -> Measurement:
        """Latency of a network of that Architecture with random weights."""
        model = build(self.runtime, architecture, workload.shape, seed=self.seed, candidates=workload.candidates)
        return measure(model, workload, warmup=warmup, repeats=repeats)

    def measure_deployed(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker
    ) -> Measurement:
        """Latency of a deployed folder."""
        return measure(
            DeployedFolder.read(folder).load(self.runtime), workload, warmup=warmup, repeats=repeats, tracker=tracker
        )


def check_reachable(settings: Settings, device: str) -> None:
    """Refuse a device that cannot be measured on, before any work is done for it.

    Raises:
        HatError: no host is configured, or the connection is not available in this version.
    """
    chosen = settings.device(device)
    if chosen.connection == "local":
        return
    file = settings.folder / "devices" / f"{device}.yaml"
    if chosen.host is None:
        raise HatError(
            f"device {device!r}: no host is configured; set `host` in {file} to a host of your OpenSSH configuration"
        )
    raise HatError(
        f"device {device!r}: {file} reaches it over SSH (host {chosen.host!r}), and measuring over SSH is not available"
        " in this version; only `connection: local` is"
    )


def connect(settings: Settings, device: str) -> Connection:
    """The connection to a device.

    Raises:
        HatError: see :func:`check_reachable`.
    """
    check_reachable(settings, device)
    chosen = settings.device(device)
    return LocalConnection(
        device=device,
        runtime=runtimes.runtime(chosen.runtime, chosen.precision, chosen.threads),
        seed=settings.seed,
    )
