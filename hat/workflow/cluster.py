"""Resources and launch command of training jobs on a cluster."""

from typing import Any


def training_resources(gpus: int, nodes: int, gpu_type: str) -> dict[str, Any]:
    """Return Snakemake's resources for a training job, by the names that its cluster executors read.

    Args:
        gpus: GPUs per machine.
        nodes: number of machines.
        gpu_type: the cluster's name of the GPU model; empty for any.

    Returns:
        ``gpus`` per machine, for the command and for submit commands. For one machine with GPUs also ``gpu`` and
        ``gpu_model``, which the SLURM executor reads. For several machines ``gres``, which SLURM counts per machine,
        and ``mpi``, with which the rule's command starts its processes itself (:func:`launcher`).
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
    """Return the prefix for the command of a training rule: empty, or the one that starts it once on each machine.

    If one machine fails, the others are ended; otherwise they would wait for it.
    """
    if nodes == 1:
        return ""
    return (
        f"srun --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 --cpus-per-task={{threads}} --kill-on-bad-exit=1 "
    )
