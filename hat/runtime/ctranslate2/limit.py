"""The steps of a beam search that CTranslate2 cannot be asked for, in NumPy.

At a sentence's longest output CTranslate2 stops; our search (see :mod:`hat.runtime.beam`) takes one step more there,
in which every hypothesis ends. The step, and any before it, is taken here over scores that are asked of the network
for whole hypotheses. It also serves where the end symbol may not come yet, which CTranslate2 takes for impossible,
so that the others' probabilities sum to one; ours do not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hat.data.text.special_tokens import END, PAD
from hat.runtime.base import Decoding, Hypothesis

Array = npt.NDArray[np.float32]
# Scores of the token after each of N hypotheses, before normalisation: [N, C].
Logits = Callable[[Sequence[tuple[int, ...]]], Array]


@dataclass(frozen=True)
class Open:
    """A hypothesis that goes on: its tokens, and the sum of their log-probabilities."""

    tokens: tuple[int, ...]
    total: float


def ended(hypothesis: Open, decoding: Decoding) -> Hypothesis:
    """A hypothesis whose last token is the end symbol, with its score."""
    length = len(hypothesis.tokens)
    return Hypothesis(hypothesis.tokens[:-1], hypothesis.total / length**decoding.length_penalty)


def finish(
    going: Sequence[Open],
    finished: Sequence[Hypothesis],
    logits: Logits,
    numbers: npt.NDArray[np.int32],
    limit: int,
    decoding: Decoding,
) -> Hypothesis:
    """Go on with a search, to its end.

    Args:
        going: the hypotheses that go on, equally long.
        finished: those that have ended.
        logits: scores of the network.
        numbers: the tokens that it scores, ascending, [C].
        limit: position, from 0, at which the end symbol is forced.
        decoding: beam size and length penalty.

    Returns:
        The best hypothesis.
    """
    found, beam = list(finished), decoding.beam
    for step in range(len(going[0].tokens), limit + 1):
        scores = logits([hypothesis.tokens for hypothesis in going]).astype(np.float64)
        scores -= scores.max(1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(1, keepdims=True))
        scores += np.array([hypothesis.total for hypothesis in going])[:, None]
        scores[:, numbers == PAD] = -np.inf
        if step == limit:
            scores[:, numbers != END] = -np.inf
        elif step < decoding.min_length:
            scores[:, numbers == END] = -np.inf
        order = np.argsort(-scores, axis=None, kind="stable")[: 2 * beam]
        following = []
        for rank, place in enumerate(order.tolist()):
            origin, column = divmod(place, len(numbers))
            total = float(scores[origin, column])
            if total == -np.inf:
                break
            hypothesis = Open((*going[origin].tokens, int(numbers[column])), total)
            if hypothesis.tokens[-1] != END:
                following.append(hypothesis)
            elif rank < beam and len(found) < beam:
                found.append(ended(hypothesis, decoding))
        if len(found) == beam:
            break
        going = following[:beam]
    return max(found, key=lambda hypothesis: hypothesis.score)
