"""Processes that train one network together."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hat.config.training import Training
from hat.errors import HatError, InputError
from hat.system.machines import Machines

# A process waits as long as it takes for another machine's file system, or for an earlier run to end.
PATIENCE = timedelta(days=7)
# Set by torchrun: rank, number of processes, rank on this machine.
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@dataclass(frozen=True)
class Processes:
    """This process among those that train one network together."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def from_first(self, value: Any) -> Any:
        """Return the first process's value in every process."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]


ALONE = Processes(0, 1, torch.device("cpu"))


@dataclass(frozen=True, kw_only=True)
class TrainingResources:
    """CPU threads and GPUs of this machine that a training stage may use, for all its processes together."""

    threads: int
    gpus: int = 0

    def processes(self, training: Training) -> int:
        """Return the number of processes: one per GPU; without GPUs one per ``training.threads`` threads."""
        if self.gpus:
            return self.gpus
        return max(1, self.threads // training.threads) if training.threads else 1


def own_resources(training: Training) -> TrainingResources:
    """Return ``training.threads`` threads if set, else one for each core that this process may run on."""
    return TrainingResources(threads=training.threads or len(os.sched_getaffinity(0)))


def launch(count: int, arguments: list[str], place: Machines) -> None:
    """Run ``hat ARGUMENTS`` in several processes on this machine, as ``torchrun`` does, and wait for them.

    Args:
        count: processes on each machine of the job.
        arguments: arguments of ``hat``.
        place: the job's machines, and which of them this is; each machine calls this function.

    Raises:
        SystemExit: a process failed; with the exit code of the first to fail, which has printed the reason.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # The process that failed has printed the reason; torch's C++ code warns of unused parameters, which are expected.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    settings = LaunchConfig(
        min_nodes=place.count,
        max_nodes=place.count,
        nproc_per_node=count,
        run_id=place.job,
        rdzv_backend="c10d",
        rdzv_endpoint=f"{place.host}:{place.port}" if place.host else "localhost:0",
        rdzv_configs={"is_host": place.number == 0},
        # Interface that other machines use to reach this one.
        local_addr=place.host if place.host and place.number == 0 else None,
        max_restarts=0,
    )
    try:
        elastic_launch(settings, sys.executable)("-m", "hat", *arguments)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        raise SystemExit(code if code > 0 else 128 - code) from None
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None


def launched() -> bool:
    """Whether torchrun started this process."""
    return all(name in os.environ for name in VARIABLES)


def require_gpus(count: int) -> None:
    """Check the number of GPUs.

    Raises:
        HatError: this machine has fewer than ``count``.
    """
    if count > torch.cuda.device_count():
        raise HatError(f"{count} GPUs are required, but this machine has {torch.cuda.device_count()}")


def make_reproducible() -> None:
    """Make GPUs sum in a fixed order, so that a killed run resumes bit for bit."""
    # cuBLAS reads this at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Every tensor is written before it is read.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextlib.contextmanager
def joined(training: Training, resources: TrainingResources) -> Iterator[Processes]:
    """Join the processes that train together.

    Args:
        training: settings of the run.
        resources: resources of all processes on this machine.

    Raises:
        InputError: the precision needs a GPU.
        HatError: the machine has too few GPUs.
    """
    if training.precision == "fp16" and not resources.gpus:
        raise InputError("precision: fp16 needs a GPU; on a CPU use fp32, or bf16 if the CPU supports it")
    require_gpus(resources.gpus)
    rank, count, local = (int(os.environ[name]) for name in VARIABLES) if launched() else (0, 1, 0)
    torch.set_num_threads(max(1, resources.threads // (int(os.environ["LOCAL_WORLD_SIZE"]) if launched() else 1)))
    device = torch.device("cuda", local) if resources.gpus else torch.device("cpu")
    if resources.gpus:
        torch.cuda.set_device(device)
        make_reproducible()
    if count == 1:
        yield Processes(0, 1, device)
        return
    dist.init_process_group("nccl" if resources.gpus else "gloo", timeout=PATIENCE)
    try:
        yield Processes(rank, count, device)
    finally:
        dist.destroy_process_group()
