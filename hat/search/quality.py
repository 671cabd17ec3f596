"""BLEU of inherited weights: as an objective, and how well the validation loss tells it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hat.artifacts import only_one, provenance, write_json
from hat.data.batches import length_batches
from hat.data.chunks import in_chunks
from hat.errors import InputError
from hat.evaluate.validation_texts import ValidationTexts
from hat.latency.accuracy import kendall_tau
from hat.latency.selection import draw_architectures
from hat.layout import Results
from hat.model.base import EncoderDecoder
from hat.model.supertransformer import SuperTransformer
from hat.progress import progress
from hat.runtime.base import Decoding
from hat.runtime.torch import TorchModel
from hat.search.evaluations import Evaluations
from hat.search.evaluator import Evaluator
from hat.search.setting import evaluation_context, weights_digest
from hat.search.workers import Workers
from hat.settings import Settings
from hat.shapes import task_shape
from hat.shortlist.trial import BEAM, compared_decoding
from hat.space import Architecture, SearchSpace
from hat.train import checkpoints
from hat.translator import BATCH_TOKENS

BOOTSTRAPS = 2000
# Architectures handed to the workers at a time, between which progress is shown.
SIDE_BY_SIDE = 16


class BleuOfInherited:
    """100 - BLEU of translations of the validation subset, with inherited weights; one block, which is the whole.

    Args:
        settings: the configuration; beam 5, lengths as the task scores.
        results: where the SuperTransformer and the data are.
        task: name of the task.
        gpu: number of the GPU that translates; the processor where absent, with one thread.

    Raises:
        InputError: the checkpoint or the data are missing or malformed.
    """

    blocks = 1

    def __init__(self, settings: Settings, results: Results, task: str, gpu: int | None = None) -> None:
        chosen = settings.task(task)
        torch.set_num_threads(1)
        self._device = torch.device("cpu") if gpu is None else torch.device("cuda", gpu)
        self._parent = SuperTransformer(SearchSpace(settings.space_of(task)), task_shape(settings, results, task))
        self._parent.load_state_dict(checkpoints.load(results.supertransformer(task) / "checkpoint.pt")["model"])
        self._texts = ValidationTexts(settings, results, task, chosen.search.validation_sentences)
        self._decoding = compared_decoding(chosen.scoring)

    def bleu(self, architecture: Architecture) -> float:
        """BLEU of the translations against the raw references."""
        model = self._parent.extract(architecture).to(self._device)
        return validation_bleu(model, self._texts, self._decoding)

    def sums(self, requests: Sequence[tuple[Architecture, int, int]]) -> Iterator[tuple[list[float], list[float]]]:
        """100 - BLEU, and 1, of each request, in order."""
        for architecture, _, _ in requests:
            yield [100 - self.bleu(architecture)], [1.0]


def validation_bleu(model: EncoderDecoder, texts: ValidationTexts, decoding: Decoding) -> float:
    """BLEU of a network's translations of validation sentences against the raw references.

    Args:
        model: the network.
        texts: the sentences.
        decoding: how they are translated.
    """
    from sacrebleu.metrics.bleu import BLEU

    translator = TorchModel(model)
    made: dict[int, Sequence[int]] = {}
    for batch in length_batches(texts.split, BATCH_TOKENS // BEAM, texts.numbers):
        found = translator.translate([texts.split.source[number].tolist() for number in batch], decoding)
        made |= {int(number): best.tokens for number, best in zip(batch, found, strict=True)}
    lines = texts.decoded([made[int(number)] for number in texts.numbers])
    return float(BLEU(trg_lang=texts.language).corpus_score(lines, [texts.references]).score)


def compare_objectives(settings: Settings, results: Results, task: str, count: int) -> Path:
    """Write search/objectives.json: how well validation loss ranks Architectures as BLEU does.

    Both are of the same validation sentences and inherited weights; evaluations are kept in the task's cache.

    Args:
        settings: the configuration.
        results: where the SuperTransformer and the data are.
        task: name of the task.
        count: Architectures drawn, the largest and the smallest among them; at least 3.

    Raises:
        InputError: the checkpoint or the data are missing, or ``count`` is too small.
    """
    if count < 3:
        raise InputError(f"--count is {count}, expected at least 3 Architectures to rank")
    points = list(draw_architectures(SearchSpace(settings.space_of(task)), count, settings.seed, "random"))
    path = results.evaluations(task).with_name("objectives.json")
    weights = weights_digest(results.supertransformer(task) / "checkpoint.pt")
    found: dict[str, list[float]] = {"loss": [], "bleu": []}
    with only_one(path.parent, "Comparing objectives"), progress(f"Objectives of {task}", 2 * len(points)) as tracker:
        for objective, values in found.items():
            workers = Workers(settings, results, task, objective)
            context = evaluation_context(settings, task, weights, objective)
            evaluator = Evaluator(Evaluations(results.evaluations(task), context), workers)
            for some in in_chunks(points, SIDE_BY_SIDE):
                values += [known.loss() for known in evaluator.known(some, workers.blocks)]
                tracker(sum(map(len, found.values())), objective)
            workers.close()
        loss, bleu = np.array(found["loss"]), 100 - np.array(found["bleu"])
        low, high = _bootstrap(loss, bleu, settings.seed)
        content = {
            "architectures": len(points),
            "validation_sentences": settings.task(task).search.validation_sentences,
            "kendall_tau": kendall_tau(-loss, bleu),
            "kendall_tau_95_percent": [low, high],
            "values": [
                {"digest": point.digest, "validation_loss": float(one), "bleu": float(other)}
                for point, one, other in zip(points, loss, bleu, strict=True)
            ],
            "provenance": provenance(seed=settings.seed, settings={"weights": weights, "count": count}),
        }
        write_json(path, content)
    return path


def _bootstrap(loss: Any, bleu: Any, seed: int) -> tuple[float, float]:
    """Interval of Kendall's tau, by drawing Architectures with replacement."""
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, len(loss), len(loss)) for _ in range(BOOTSTRAPS))
    low, high = np.quantile([kendall_tau(-loss[rows], bleu[rows]) for rows in drawn], [0.025, 0.975]).tolist()
    return low, high
