"""Steps of a beam search that CTranslate2 cannot do, in NumPy.

CTranslate2 stops at a sentence's longest output. Our search (see :mod:`hat.runtime.beam`) takes one more step there, in
which every hypothesis ends. That step and any before it are computed here, from logits that the network gives for whole
hypotheses. The same code serves steps in which the end symbol is not allowed yet: CTranslate2 renormalises the other
tokens' probabilities to sum to one, our search does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hat.data.text.special_tokens import END, PAD
from hat.runtime.base import Decoding, Hypothesis

Array = npt.NDArray[np.float32]
# Returns the logits of the token after each of N hypotheses, [N, C].
Logits = Callable[[Sequence[tuple[int, ...]]], Array]


@dataclass(frozen=True)
class Active:
    """A hypothesis of a search: its token ids, and the sum of their log-probabilities."""

    tokens: tuple[int, ...]
    total: float


def ended(hypothesis: Active, decoding: Decoding) -> Hypothesis:
    """Score a hypothesis whose last token is the end symbol."""
    length = len(hypothesis.tokens)
    return Hypothesis(hypothesis.tokens[:-1], hypothesis.total / length**decoding.length_penalty)


def finish(
    active: Sequence[Active],
    finished: Sequence[Hypothesis],
    logits: Logits,
    token_ids: npt.NDArray[np.int32],
    limit: int,
    decoding: Decoding,
) -> Hypothesis:
    """Continue a search to its end.

    Args:
        active: the active hypotheses, equally long.
        finished: the finished hypotheses.
        logits: computes the network's logits.
        token_ids: the tokens that it scores, ascending, [C].
        limit: step, counted from 0, at which the end symbol is forced.
        decoding: beam size and length penalty.

    Returns:
        The best hypothesis.
    """
    found, beam = list(finished), decoding.beam
    for step in range(len(active[0].tokens), limit + 1):
        scores = logits([hypothesis.tokens for hypothesis in active]).astype(np.float64)
        scores -= scores.max(1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(1, keepdims=True))
        scores += np.array([hypothesis.total for hypothesis in active])[:, None]
        scores[:, token_ids == PAD] = -np.inf
        if step == limit:
            scores[:, token_ids != END] = -np.inf
        elif step < decoding.min_length:
            scores[:, token_ids == END] = -np.inf
        order = np.argsort(-scores, axis=None, kind="stable")[: 2 * beam]
        following = []
        for rank, place in enumerate(order.tolist()):
            origin, column = divmod(place, len(token_ids))
            total = float(scores[origin, column])
            if total == -np.inf:
                break
            hypothesis = Active((*active[origin].tokens, int(token_ids[column])), total)
            if hypothesis.tokens[-1] != END:
                following.append(hypothesis)
            elif rank < beam and len(found) < beam:
                found.append(ended(hypothesis, decoding))
        if len(found) == beam:
            break
        active = following[:beam]
    return max(found, key=lambda hypothesis: hypothesis.score)
