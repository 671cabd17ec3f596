"""Moves between Architectures: single changes, and hill climbing to the fastest or slowest one."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hat.space.architecture import DECODER_LISTS, ENCODER_LISTS, Architecture
from hat.space.search_space import SearchSpace

Predict = Callable[[Sequence[Architecture]], npt.NDArray[np.float64]]


def neighbours(space: SearchSpace, architecture: Architecture) -> Iterator[Architecture]:
    """Yield the Architectures of the space that differ in one dimension; added layers repeat the last one."""
    values = {name: getattr(architecture, name) for name in architecture.to_dict()}
    for name in ("encoder_embed_dim", "decoder_embed_dim"):
        for choice in _others(space, name, values[name]):
            yield Architecture(**{**values, name: choice})
    for side, names in (("encoder_layers", ENCODER_LISTS), ("decoder_layers", DECODER_LISTS)):
        depth = len(values[names[0]])
        for layers in _others(space, side, depth):
            resized = {name: (values[name] + values[name][-1:] * layers)[:layers] for name in names}
            yield Architecture(**{**values, **resized})
        for name in names:
            for layer in range(depth):
                for choice in _others(space, name, values[name][layer]):
                    changed = (*values[name][:layer], choice, *values[name][layer + 1 :])
                    yield Architecture(**{**values, name: changed})


def _others(space: SearchSpace, name: str, value: int) -> list[int]:
    return [choice for choice in getattr(space.space, name) if choice != value]


def extreme(
    space: SearchSpace, predict: Predict, starts: Sequence[Architecture], *, slowest: bool = False
) -> tuple[Architecture, float]:
    """Return the fastest (or slowest) Architecture that single changes reach.

    This is the global optimum if the predicted latency grows with every dimension, which holds for the prediction and
    the upper bound of the linear regression. For other regressions it is a local optimum.

    Args:
        space: the space.
        predict: returns predicted latencies in milliseconds.
        starts: Architectures to start from; the search improves the best of them.
        slowest: search for the slowest Architecture instead.

    Returns:
        The Architecture, and its predicted latency in milliseconds.
    """
    sign = -1.0 if slowest else 1.0
    candidates = list(starts)
    best: Architecture | None = None
    best_ms = 0.0
    while candidates:
        latencies = predict(candidates)
        index = int(np.argmin(sign * latencies))
        if best is not None and sign * latencies[index] >= sign * best_ms:
            break
        best, best_ms = candidates[index], float(latencies[index])
        candidates = list(neighbours(space, best))
    if best is None:
        raise ValueError("extreme: no Architecture to start from")
    return best, best_ms
