"""Workload: the sentence lengths, beam and network shape for which latency is measured and predicted."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from hat.config.lengths import MOST_LENGTHS, LengthPair
from hat.config.scope import DeviceScope
from hat.data.task_shape import task_shape
from hat.errors import InputError
from hat.measure.lengths import measured_lengths
from hat.runtime.base import synthetic_sentence
from hat.runtime.shortlist import Shortlist
from hat.shortlist.stored import deployed_shortlist
from hat.space.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The sentences that the device translates, one at a time.

    Attributes:
        shape: hyperparameters of the networks.
        source_length: source tokens; the rounded mean if there are several lengths.
        target_length: target tokens, that is decoding steps; the rounded mean if there are several lengths.
        beam: beam width.
        candidates: size of a sentence's lexical shortlist; None without a shortlist.
        lengths: source length, target length and share of the sentences, if sentences of several lengths are timed;
            the shares add up to 1.
    """

    shape: Shape
    source_length: int
    target_length: int
    beam: int
    candidates: int | None = None
    lengths: tuple[LengthPair, ...] = ()

    def __post_init__(self) -> None:
        pairs = self.lengths
        possible = all(min(source, target) >= 1 and 0 < share < 1 for source, target, share in pairs)
        if pairs and (
            not possible
            or not 2 <= len(pairs) <= MOST_LENGTHS
            or not math.isclose(math.fsum(share for *_, share in pairs), 1)
        ):
            raise InputError(
                f"workload: lengths is {list(map(list, pairs))}, expected 2 to {MOST_LENGTHS} entries of source length,"
                " target length and share, with shares that add up to 1"
            )

    @classmethod
    def of(cls, shape: Shape, pairs: tuple[LengthPair, ...], beam: int, shortlist: Shortlist | None) -> Self:
        """Return the workload of these pairs of lengths.

        Random-weight networks have one shortlist for all lengths. It has the mean size over all decoding steps, so that
        the output projection costs as much as with each sentence's own shortlist.
        """

        def mean(values: list[int], weights: list[float]) -> int:
            weighted = math.fsum(value * weight for value, weight in zip(values, weights, strict=True))
            return round(weighted / math.fsum(weights))

        shares = [share for *_, share in pairs]
        candidates = None
        if shortlist is not None:
            sizes = [
                len(shortlist.candidates(synthetic_sentence(shape.source_vocabulary, source))) for source, _, _ in pairs
            ]
            candidates = mean(sizes, [target * share for _, target, share in pairs])
        return cls(
            shape=shape,
            source_length=mean([source for source, _, _ in pairs], shares),
            target_length=mean([target for _, target, _ in pairs], shares),
            beam=beam,
            candidates=candidates,
            lengths=pairs if len(pairs) > 1 else (),
        )

    @property
    def pairs(self) -> tuple[LengthPair, ...]:
        """Return source length, target length and share of the sentences that are timed in turn."""
        return self.lengths or ((self.source_length, self.target_length, 1.0),)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON, without ``lengths`` if there is only one."""
        values = asdict(self)
        lengths = values.pop("lengths")
        return values | ({"lengths": [list(pair) for pair in lengths]} if lengths else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Read what :meth:`to_dict` returns.

        Raises:
            InputError: a field is missing, unknown or impossible; ``where`` names the file.
        """
        try:
            given = values.get("lengths", ())
            lengths = tuple((int(source), int(target), float(share)) for source, target, share in given)
            return cls(**{**values, "shape": Shape(**values["shape"]), "lengths": lengths})
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"{where}: not a workload ({error})") from None


def workload_of(scope: DeviceScope, baseline: str | None = None) -> Workload:
    """Return the workload of a task's SubTransformers, or of a baseline, on a device.

    Raises:
        InputError: the task's dictionaries, the device's shortlist, or the validation data whose lengths are measured
            are missing.
    """
    return Workload.of(
        task_shape(scope, baseline),
        measured_lengths(scope),
        scope.device_settings.beam,
        deployed_shortlist(scope),
    )
