"""Beam search with fairseq's semantics, over any network that scores the next token of hypotheses."""

import math
from collections.abc import Sequence
from typing import Protocol

from hat.data.text.special_tokens import END
from hat.runtime.base import Decoding, Hypothesis, max_lengths


class Stepper(Protocol):
    """Decodes B sentences with ``beam`` hypotheses each, N = B x beam, step by step.

    ``token_ids`` [C] are the tokens that it scores, ascending: the whole vocabulary or a shortlist. Arguments and
    results are lists because they are short: creating an array takes longer than processing the whole list.
    """

    token_ids: Sequence[int]

    def extend(
        self, tokens: list[int], scores: list[float], *, may_end: bool, must_end: list[bool]
    ) -> tuple[list[list[float]], list[list[int]]]:
        """Return the 2 x beam best extensions of each sentence's hypotheses by one token other than padding.

        Args:
            tokens: last token ids of the hypotheses, [N].
            scores: sums of the log-probabilities of their tokens, [N].
            may_end: whether the end symbol is allowed.
            must_end: for each sentence, whether only the end symbol is allowed, [B].

        Returns:
            Scores of the extended hypotheses, best first, [B, 2 x beam], -inf once no allowed extension is left; and
            their places, [B, 2 x beam]: index of the hypothesis in its sentence x C + index of the token in
            ``token_ids``.
        """

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """Select the hypotheses to continue with.

        Args:
            hypotheses: for each new hypothesis, the row of the last step that it extends, [N'].
            sentences: indices of the unfinished sentences, [B']; None if all are unfinished.
        """


class _Search:
    """The search of one sentence: ``beam`` active hypotheses, and the finished ones."""

    def __init__(self, limit: int, decoding: Decoding) -> None:
        self.limit = limit
        self.beam, self.length_penalty = decoding.beam, decoding.length_penalty
        self.prefixes: list[tuple[int, ...]] = [()] * self.beam
        self.tokens = [END] * self.beam
        # All hypotheses are equal at first, so only one of them is extended.
        self.scores = [0.0] + [-math.inf] * (self.beam - 1)
        self.finished: list[Hypothesis] = []

    def advance(self, step: int, scores: list[float], places: list[int], token_ids: Sequence[int]) -> list[int]:
        """Take the extensions that :meth:`Stepper.extend` returned; return which hypotheses the active ones extend."""
        beam, origins = self.beam, list[int]()
        prefixes, self.prefixes, self.tokens, self.scores = self.prefixes, [], [], []
        for column, (score, place) in enumerate(zip(scores, places, strict=True)):
            origin, index = divmod(place, len(token_ids))
            token = token_ids[index]
            if token == END and score > -math.inf:
                if column < beam and len(self.finished) < beam:
                    self.finished.append(Hypothesis(prefixes[origin], score / (step + 1) ** self.length_penalty))
            elif len(origins) < beam:
                origins.append(origin)
                self.prefixes.append((*prefixes[origin], token))
                self.tokens.append(token)
                self.scores.append(score)
        return origins

    def continues(self, step: int) -> bool:
        """Whether the search takes another step after ``step``."""
        return len(self.finished) < self.beam and step < self.limit


def beam_search(stepper: Stepper, source_lengths: list[int], decoding: Decoding) -> list[list[Hypothesis]]:
    """Search for the best hypotheses of a batch of sentences.

    Every step considers the 2 x beam best extensions of each sentence. Of the first ``beam``, those that end are
    finished; their score is the sum of log-probabilities divided by length ** length_penalty. The best that do not
    end stay active. A sentence is done once it has ``beam`` finished hypotheses. Its result does not depend on the
    other sentences of the batch.

    Args:
        stepper: the network, after encoding.
        source_lengths: tokens of each source, including the end symbol.
        decoding: beam size, length limits and length penalty.

    Returns:
        The finished hypotheses of each sentence, best first.
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
        continued, left = [], []
        for row, search in enumerate(running):
            origins = search.advance(step, best[row], places[row], stepper.token_ids)
            if search.continues(step):
                continued += [row * decoding.beam + origin for origin in origins]
                left.append(row)
        if left:
            stepper.reorder(continued, left if len(left) < len(running) else None)
        running = [running[row] for row in left]
        step += 1
    return [sorted(search.finished, key=lambda hypothesis: -hypothesis.score) for search in searches]
