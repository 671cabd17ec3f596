"""The machines of a training job, from the variables that SLURM sets for the process `srun` starts on each.

Without SLURM, `torchrun` starts the processes on all machines, and its own variables suffice.
"""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

# Ports for the rendezvous of a job's processes, below the ephemeral ports of Linux (from 32768 on).
FIRST_PORT, PORTS = 20_000, 12_000


@dataclass(frozen=True)
class Machines:
    """The machines of a job, seen from this one.

    Attributes:
        number: number of this machine, from 0.
        count: number of machines.
        host: address of the rendezvous; empty for one machine.
        port: its port.
        job: identifies the job: the same for all its processes and different for every other job.
    """

    number: int
    count: int
    host: str
    port: int
    job: str


def machines(environment: Mapping[str, str] = os.environ) -> Machines:
    """Return the machines of this job step; just this one if SLURM did not start the step on several.

    The first machine of a job runs its script, so ``srun`` was called there.
    """
    count = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if count == 1 or tasks != count:
        return Machines(0, 1, "", 0, str(os.getpid()))
    job = f"{environment['SLURM_JOB_ID']}.{environment['SLURM_STEP_ID']}"
    port = FIRST_PORT + zlib.crc32(job.encode()) % PORTS
    return Machines(int(environment["SLURM_NODEID"]), count, environment["SLURM_LAUNCH_NODE_IPADDR"], port, job)


def reports(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process prints for all that train together: the first process on the first machine does."""
    if "RANK" in environment:
        return environment["RANK"] == "0"
    return machines(environment).number == 0
