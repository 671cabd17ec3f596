"""The objective ``bleu``: 100 - BLEU of networks with inherited weights."""

from collections.abc import Iterator, Sequence

import torch

from hat.config.scope import TaskScope
from hat.data.binary.batches import length_batches
from hat.data.validation_texts import ValidationTexts
from hat.model.base import EncoderDecoder
from hat.runtime.base import Decoding
from hat.runtime.decoding import BATCH_TOKENS, COMPARISON_BEAM, configured_decoding
from hat.runtime.torch.runtime import TorchModel
from hat.space.architecture import Architecture
from hat.train.parent import load_parent


class BleuOfInherited:
    """Computes 100 - BLEU of the validation subset with inherited weights; the whole subset is one block.

    Args:
        scope: the task.
        gpu: number of the GPU that translates; default: the CPU, with one thread.

    Raises:
        InputError: the checkpoint or the data are missing or malformed.
    """

    blocks = 1

    def __init__(self, scope: TaskScope, gpu: int | None = None) -> None:
        chosen = scope.task_settings
        torch.set_num_threads(1)
        self._device = torch.device("cpu") if gpu is None else torch.device("cuda", gpu)
        self._parent = load_parent(scope).model
        self._texts = ValidationTexts(scope, chosen.search.validation_sentences)
        self._decoding = configured_decoding(chosen.scoring)

    def bleu(self, architecture: Architecture) -> float:
        """Translate the subset and compute BLEU against the raw references."""
        model = self._parent.extract(architecture).to(self._device)
        return validation_bleu(model, self._texts, self._decoding)

    def sums(self, requests: Sequence[tuple[Architecture, int, int]]) -> Iterator[tuple[list[float], list[float]]]:
        """Yield 100 - BLEU, and 1 for the tokens, of each request, in order."""
        for architecture, _, _ in requests:
            yield [100 - self.bleu(architecture)], [1.0]


def validation_bleu(model: EncoderDecoder, texts: ValidationTexts, decoding: Decoding) -> float:
    """Compute the BLEU of a network's translations of validation sentences against the raw references.

    Args:
        model: the network.
        texts: the sentences.
        decoding: how they are translated.
    """
    from sacrebleu.metrics.bleu import BLEU

    translator = TorchModel(model)
    made: dict[int, Sequence[int]] = {}
    for batch in length_batches(texts.split, BATCH_TOKENS // COMPARISON_BEAM, texts.numbers):
        found = translator.translate([texts.split.source[number].tolist() for number in batch], decoding)
        made |= {int(number): best.tokens for number, best in zip(batch, found, strict=True)}
    lines = texts.decoded([made[int(number)] for number in texts.numbers])
    return float(BLEU(trg_lang=texts.language).corpus_score(lines, [texts.references]).score)
