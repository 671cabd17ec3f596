"""The machines that one training job runs on, as SLURM tells the processes that `srun` starts, one on each.

Elsewhere `torchrun` starts the processes on all machines, and its variables say all there is to know.
"""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Ports that the processes of a job meet at, below those that Linux hands out by itself (from 32768 on).
FIRST_PORT, PORTS = 20_000, 12_000


@dataclass(frozen=True)
class Machines:
    """This machine among those of a job."""

    number: int
    count: int
    # Where they meet; empty for one machine.
    host: str
    port: int
    # What the processes of the job, and of no other, have in common.
    job: str


def machines(environment: Mapping[str, str] = os.environ) -> Machines:
    """The machines of this job step; one, where SLURM has started the step on one or has not started it.

    The first machine of a job is the one that runs its script, and so the one that ``srun`` was called on.
    """
    count = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if count == 1 or tasks != count:
        return Machines(0, 1, "", 0, str(os.getpid()))
    job = f"{environment['SLURM_JOB_ID']}.{environment['SLURM_STEP_ID']}"
    port = FIRST_PORT + zlib.crc32(job.encode()) % PORTS
    return Machines(int(environment["SLURM_NODEID"]), count, environment["SLURM_LAUNCH_NODE_IPADDR"], port, job)


def reports(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process speaks for all that train together: the first one, on the first machine."""
    if "RANK" in environment:
        return environment["RANK"] == "0"
    return machines(environment).number == 0


def training_resources(gpus: int, nodes: int, gpu_type: str) -> dict[str, Any]:
    """Snakemake's resources of a training job, by the names that its executors for clusters read.

    Args:
        gpus: of each machine.
        nodes: machines.
        gpu_type: model, as the cluster calls it; empty for any.

    Returns:
        ``gpus``, of a machine, for the command and for submit commands. For one machine with GPUs what SLURM's executor
        reads (``gpu``, ``gpu_model``); none of it without GPUs. For several machines ``gres``, which SLURM counts by
        machine; with ``mpi`` the rule's command starts its processes itself (:func:`launcher`).
    """
    if nodes > 1:
        found: dict[str, Any] = {"gpus": gpus, "nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0, "mpi": "srun"}
        if gpus:
            found["gres"] = ":".join(filter(None, ("gpu", gpu_type, str(gpus))))
        return found
    if not gpus:
        return {"gpus": 0}
    return {"gpus": gpus, "gpu": gpus} | ({"gpu_model": gpu_type} if gpu_type else {})


def launcher(nodes: int) -> str:
    """What stands before the command of a training rule: nothing, or what starts it once on each machine.

    A machine that fails ends the others, which would wait for it otherwise.
    """
    if nodes == 1:
        return ""
    return (
        f"srun --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 --cpus-per-task={{threads}} --kill-on-bad-exit=1 "
    )
