"""Evaluation in several processes, each with one thread or a GPU; the sums equal one process's sums."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from hat.config.scope import TaskScope
from hat.search.evaluator import Losses, Request, Sums
from hat.system.worker_pool import explained_worker_deaths, worker_pool

if TYPE_CHECKING:
    from hat.search.bleu_objective import BleuOfInherited
    from hat.train.inherited_loss import InheritedLoss

_own: "InheritedLoss | BleuOfInherited"


def objective_of(scope: TaskScope, objective: str, gpu: int = 0) -> "InheritedLoss | BleuOfInherited":
    """Load the objective of a task in this process.

    Args:
        scope: the task.
        objective: name of the objective.
        gpu: number of the GPU to use, if the search uses GPUs.

    Raises:
        HatError: there are fewer GPUs than wanted.
    """
    from hat.search.bleu_objective import BleuOfInherited
    from hat.train.inherited_loss import InheritedLoss
    from hat.train.processes import require_gpus

    gpus = scope.task_settings.search.gpus
    require_gpus(gpus)
    kind = BleuOfInherited if objective == "bleu" else InheritedLoss
    return kind(scope, gpu if gpus else None)


class Workers:
    """The objective of a task, loaded on first use; see :class:`hat.search.evaluator.Losses`.

    Args:
        scope: the task.
        objective: name of the objective; by default ``search.objective``.
    """

    def __init__(self, scope: TaskScope, objective: str | None = None) -> None:
        chosen = scope.task_settings.search
        objective = objective or chosen.objective
        self._made_from = (scope, objective)
        self._gpus = chosen.gpus
        self._count = self._gpus or chosen.workers or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    @cached_property
    def _here(self) -> Losses:
        return objective_of(*self._made_from)

    @property
    def blocks(self) -> int:
        """Number of blocks of the validation subset."""
        return self._here.blocks

    def sums(self, requests: Sequence[Request]) -> Iterator[Sums]:
        """Yield the sums of each request, in order.

        Raises:
            HatError: there are fewer GPUs than wanted, or a process was killed.
        """
        if self._count == 1 or len(requests) == 1:
            yield from self._here.sums(requests)
            return
        if self._pool is None:
            if self._gpus:
                from hat.train.processes import require_gpus

                # Here, because a worker could not report it.
                require_gpus(self._gpus)
            self._pool = worker_pool(self._count, _start, *self._made_from)
        with explained_worker_deaths():
            # Not map: after a killed worker it cancels futures that the pool's own thread is about to finish.
            for future in [self._pool.submit(_sums, request) for request in requests]:
                yield future.result()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _start(number: int, scope: TaskScope, objective: str) -> None:
    global _own
    _own = objective_of(scope, objective, number)


def _sums(request: Request) -> Sums:
    return next(iter(_own.sums([request])))
