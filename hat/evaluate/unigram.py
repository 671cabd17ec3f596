"""The loss of a unigram model, which a network reaches that learns only token frequencies."""

import numpy as np

from hat.data.binary.indexed import IndexedDataset
from hat.data.text.dictionary import Dictionary


def unigram_loss(train: IndexedDataset, validation: IndexedDataset, dictionary: Dictionary) -> float:
    """Return the negative log-likelihood of the validation tokens, end symbols included, in nats per token.

    Probabilities are add-one smoothed relative frequencies of the training tokens.
    """
    counts = 1 + np.bincount(train.tokens, minlength=len(dictionary))
    log_probabilities = np.log(counts / counts.sum())
    tokens = validation.tokens
    return float(-log_probabilities[tokens].mean())
