"""Beam search, with fairseq's semantics, over anything that scores the next token of a set of hypotheses."""

from typing import Protocol

import torch
from torch import Tensor

from hat.runtime.base import Decoding, Hypothesis, max_lengths
from hat.special_tokens import END, PAD


class Stepper(Protocol):
    """A network in the middle of decoding B sentences with ``beam`` hypotheses each, N = B x beam.

    ``numbers`` [C] are the tokens that it scores, ascending: the whole vocabulary, or a shortlist.
    """

    numbers: Tensor

    def step(self, tokens: Tensor) -> Tensor:
        """Log-probabilities [N, C] of the token after ``tokens`` [N], the last ones of the hypotheses."""

    def reorder(self, hypotheses: Tensor, sentences: Tensor | None) -> None:
        """Go on with these hypotheses, rows of the last step, [N'].

        Args:
            hypotheses: for each hypothesis to go on with, the one whose past it shares.
            sentences: the sentences that are left, [B'], where some are finished; None where none is.
        """


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
    beam = decoding.beam
    finished: list[list[Hypothesis]] = [[] for _ in source_lengths]
    sentences = list(range(len(source_lengths)))
    limits = torch.tensor(max_lengths(source_lengths, decoding))
    tokens = torch.full((len(sentences), beam, 1), END)
    scores = torch.zeros(len(sentences), beam)
    columns = torch.arange(2 * beam)
    numbers = stepper.numbers
    end, pad = int(torch.searchsorted(numbers, END)), (numbers == PAD).nonzero().flatten()
    step = 0
    while sentences:
        log_probs = stepper.step(tokens[:, :, -1].flatten()).view(len(sentences), beam, -1)
        log_probs[:, :, pad] = -torch.inf
        if step < decoding.min_length:
            log_probs[:, :, end] = -torch.inf
        forced = limits <= step
        if bool(forced.any()):
            ends = log_probs[forced, :, end]
            log_probs[forced] = -torch.inf
            log_probs[forced, :, end] = ends
        if step == 0:
            log_probs[:, 1:] = -torch.inf
        totals = (log_probs + scores[:, :, None]).flatten(1)
        best, place = totals.topk(2 * beam, dim=1)
        origin, token = place // len(numbers), numbers[place % len(numbers)]
        ending = (token == END) & (best > -torch.inf)
        if bool(ending[:, :beam].any()):
            normalised = best / (step + 1) ** decoding.length_penalty
            for row, column in ending[:, :beam].nonzero().tolist():
                found = finished[sentences[row]]
                if len(found) < beam:
                    past = tuple(tokens[row, origin[row, column], 1:].tolist())
                    found.append(Hypothesis(past, float(normalised[row, column])))
        left = [
            row for row, sentence in enumerate(sentences) if len(finished[sentence]) < beam and not bool(forced[row])
        ]
        # The first `beam` continuations that do not end, in order.
        chosen = (ending * 2 * beam + columns).topk(beam, dim=1, largest=False, sorted=True).indices
        rows = torch.arange(len(sentences))
        if len(left) < len(sentences):
            rows = torch.tensor(left, dtype=torch.long)
            chosen, limits = chosen[rows], limits[rows]
            sentences = [sentences[row] for row in left]
        here = rows[:, None]
        origins = origin[here, chosen]
        scores = best[here, chosen]
        tokens = torch.cat([tokens[here, origins], token[here, chosen][:, :, None]], dim=2)
        if sentences:
            shrunk = rows if len(rows) < len(origin) else None
            stepper.reorder((here * beam + origins).flatten(), shrunk)
        step += 1
    for found in finished:
        found.sort(key=lambda hypothesis: -hypothesis.score)
    return finished
