"""Speed of training on a GPU, from a result file of tests/benchmarks/gpu.py."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from hat.artifacts.files import read_json
from hat.config.base import Positive
from hat.config.settings import describe
from hat.errors import InputError

# The rows of the SuperTransformer as it is trained; the other rows are for comparison.
TRAINED = "hat"
EXPECTED = "expected a result file of tests/benchmarks/gpu.py, such as config/gpus/h100.json"


class Row(BaseModel):
    """Measured training of a task's SuperTransformer with batches of one size."""

    task: str
    network: str
    batch_tokens: Positive
    tokens_per_s: float = Field(gt=0)
    tflops: float = Field(gt=0)
    update_ms: float = Field(gt=0)


class GpuSpeed(BaseModel):
    """A result file of tests/benchmarks/gpu.py."""

    gpu: str
    date: str
    precision: str
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, path: Path, key: str) -> "GpuSpeed":
        """Read the file that a key of the configuration names.

        Raises:
            InputError: the file is missing or malformed, or has no row of the SuperTransformer.
        """
        if not path.is_file():
            raise InputError(f"{key}: {path}: no such file, {EXPECTED}")
        try:
            found = cls.model_validate(read_json(path))
        except InputError as error:
            raise InputError(f"{key}: {error}, {EXPECTED}") from None
        except ValidationError as error:
            raise InputError(f"{key}: {describe(error, cls, str(path))[0]}, {EXPECTED}") from None
        if not found._trained():
            raise InputError(f"{key}: {path}, rows: none has network {TRAINED!r}, {EXPECTED}")
        return found

    def tasks(self) -> list[str]:
        """Return the names of the measured tasks, in the order of the file."""
        return list(dict.fromkeys(row.task for row in self._trained()))

    def batch_s(self, task: str, batch_tokens: float, share: float) -> float:
        """Return the seconds of a batch of a measured task.

        Between measured sizes the time of a batch is interpolated linearly. Smaller batches take as long as the
        smallest, since launching the kernels takes as long; larger ones reach the speed of the largest.

        Args:
            task: one of :meth:`tasks`.
            batch_tokens: size of the batch, padding included.
            share: target tokens of a batch, divided by its size.
        """
        rows = [row for row in self._trained() if row.task == task]
        return share * _interpolated(
            [(row.batch_tokens, row.batch_tokens / row.tokens_per_s) for row in rows], batch_tokens
        )

    def work_s(self, tflop: float) -> float:
        """Return the seconds of a batch of another network from its work, interpolated between all measured tasks."""
        return _interpolated(
            [(row.tflops * row.update_ms / 1e3, row.update_ms / 1e3) for row in self._trained()], tflop
        )

    def _trained(self) -> list[Row]:
        return [row for row in self.rows if row.network == TRAINED]


def _interpolated(points: Collection[tuple[float, float]], x: float) -> float:
    """Return y at x: linear between the points, constant before the first, proportional to x after the last."""
    ordered: Sequence[tuple[float, float]] = sorted(points)
    if x <= ordered[0][0]:
        return ordered[0][1]
    for (left, low), (right, high) in pairwise(ordered):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return ordered[-1][1] * x / ordered[-1][0]
