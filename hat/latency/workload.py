"""What is timed: the sentence lengths, beam and network shape that latency is measured and predicted for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from hat.errors import InputError
from hat.layout import Results
from hat.runtime.base import Shape, made_sentence
from hat.settings import Settings
from hat.shapes import task_shape
from hat.shortlist.stored import deployed_shortlist


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One sentence as it is translated on the device.

    ``source_length`` and ``target_length`` are tokens; ``target_length`` is the number of decoding steps;
    ``candidates`` is the size of the sentence's shortlist, None where there is none.
    """

    shape: Shape
    source_length: int
    target_length: int
    beam: int
    candidates: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            InputError: a field is missing or unknown; ``where`` names the file.
        """
        try:
            return cls(**{**values, "shape": Shape(**values["shape"])})
        except (TypeError, KeyError) as error:
            raise InputError(f"{where}: not a workload ({error})") from None


def workload_of(settings: Settings, results: Results, task: str, device: str, baseline: str | None = None) -> Workload:
    """The workload of a task's SubTransformers, or of a baseline, on a device.

    Raises:
        InputError: the task's dictionaries, or a shortlist that the device wants, do not exist yet.
    """
    chosen = settings.task(task).latency
    shape = task_shape(settings, results, task, baseline)
    shortlist = deployed_shortlist(settings, results, task, device)
    candidates = None
    if shortlist is not None:
        candidates = len(shortlist.candidates(made_sentence(shape.source_vocabulary, chosen.source_length)))
    return Workload(
        shape=shape,
        source_length=chosen.source_length,
        target_length=chosen.target_length,
        beam=settings.device(device).beam,
        candidates=candidates,
    )
