"""Beam search, with fairseq's semantics, over anything that scores the next token of a set of hypotheses."""

import math
from collections.abc import Sequence
from typing import Protocol

from hat.data.text.special_tokens import END
from hat.runtime.base import Decoding, Hypothesis, max_lengths


class Stepper(Protocol):
    """A network in the middle of decoding B sentences with ``beam`` hypotheses each, N = B x beam.

    ``numbers`` [C] are the tokens that it scores, ascending: the whole vocabulary, or a shortlist. What goes in and out
    are lists: there are a few entries only, and arrays take longer to begin with them than lists to end.
    """

    numbers: Sequence[int]

    def extend(
        self, tokens: list[int], scores: list[float], *, may_end: bool, must_end: list[bool]
    ) -> tuple[list[list[float]], list[list[int]]]:
        """The 2 x beam best extensions of each sentence's hypotheses by one token; padding is none.

        Args:
            tokens: last tokens of the hypotheses, [N].
            scores: sums of the log-probabilities of their tokens, [N].
            may_end: whether the end symbol is allowed.
            must_end: sentences of which nothing else is allowed, [B].

        Returns:
            Scores of the extended hypotheses, best first, [B, 2 x beam], -inf where there are no more that are
            allowed, and their places, [B, 2 x beam]: number of the hypothesis in its sentence x C + index of the
            token in ``numbers``.
        """

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """Go on with these hypotheses, rows of the last step, [N'].

        Args:
            hypotheses: for each hypothesis to go on with, the one whose past it shares.
            sentences: the sentences that are left, [B'], where some are finished; None where none is.
        """


class _Search:
    """One sentence in the middle of its search: ``beam`` hypotheses to go on with, and those that have ended."""

    def __init__(self, limit: int, decoding: Decoding) -> None:
        self.limit = limit
        self.beam, self.length_penalty = decoding.beam, decoding.length_penalty
        self.pasts: list[tuple[int, ...]] = [()] * self.beam
        self.tokens = [END] * self.beam
        # All hypotheses begin alike: the first alone is extended.
        self.scores = [0.0] + [-math.inf] * (self.beam - 1)
        self.finished: list[Hypothesis] = []

    def advance(self, step: int, scores: list[float], places: list[int], numbers: Sequence[int]) -> list[int]:
        """Take the best extensions, of :meth:`Stepper.extend`; origins of the hypotheses to go on with."""
        beam, origins = self.beam, list[int]()
        pasts, self.pasts, self.tokens, self.scores = self.pasts, [], [], []
        for column, (score, place) in enumerate(zip(scores, places, strict=True)):
            origin, index = divmod(place, len(numbers))
            token = numbers[index]
            if token == END and score > -math.inf:
                if column < beam and len(self.finished) < beam:
                    self.finished.append(Hypothesis(pasts[origin], score / (step + 1) ** self.length_penalty))
            elif len(origins) < beam:
                origins.append(origin)
                self.pasts.append((*pasts[origin], token))
                self.tokens.append(token)
                self.scores.append(score)
        return origins

    def goes_on(self, step: int) -> bool:
        """Whether there is anything left to find after that step."""
        return len(self.finished) < self.beam and step < self.limit


def beam_search(stepper: Stepper, source_lengths: list[int], decoding: Decoding) -> list[list[Hypothesis]]:
    """Search the best hypotheses of a batch of sentences.

    Every step looks at the 2 x beam best continuations of a sentence; those of its first ``beam`` that end are
    finished, with the sum of log-probabilities divided by length ** length_penalty; the best that do not end go
    on. A sentence is done with ``beam`` finished hypotheses. The result of a sentence does not depend on the
    others in its batch.

    Args:
        stepper: the network, after encoding.
        source_lengths: tokens of each source, end symbol included.
        decoding: beam size, lengths and length penalty.

    Returns:
        For each sentence its finished hypotheses, best first.
    """
    searches = [_Search(limit, decoding) for limit in max_lengths(source_lengths, decoding)]
    running, step = searches, 0
    while running:
        best, places = stepper.extend(
            [token for search in running for token in search.tokens],
            [score for search in running for score in search.scores],
            may_end=step >= decoding.min_length,
            must_end=[step >= search.limit for search in running],
        )
        past, left = [], []
        for row, search in enumerate(running):
            origins = search.advance(step, best[row], places[row], stepper.numbers)
            if search.goes_on(step):
                past += [row * decoding.beam + origin for origin in origins]
                left.append(row)
        if left:
            stepper.reorder(past, left if len(left) < len(running) else None)
        running = [running[row] for row in left]
        step += 1
    return [sorted(search.finished, key=lambda hypothesis: -hypothesis.score) for search in searches]
