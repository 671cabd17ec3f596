"""Comparing shortlists on validation sentences, translated by the largest Architecture."""

import os
import time
from dataclasses import asdict
from functools import cached_property

import torch

from hat.artifacts.files import JsonLinesLog, digest, file_digest, read_jsonl
from hat.artifacts.missing import require_artifact
from hat.config.scope import TaskScope
from hat.data.binary.batches import length_batches
from hat.data.significance import compare
from hat.data.validation_texts import ValidationTexts
from hat.model.transformer import Transformer
from hat.runtime.decoding import BATCH_TOKENS, COMPARISON_BEAM, configured_decoding
from hat.runtime.shortlist import Shortlist
from hat.runtime.torch.runtime import TorchModel
from hat.shortlist.sizes import Score
from hat.space.search_space import SearchSpace
from hat.system.progress import progress
from hat.train.parent import load_parent

Sentences = list[list[int]]


class Trial:
    """Translates validation sentences with the largest Architecture, which inherits the SuperTransformer's weights.

    ``sources`` and ``references`` are lists of token ids, each with the end symbol. Translations are logged, so that an
    interrupted trial continues.

    Args:
        scope: the task.
        data_digest: digest of the data.

    Raises:
        InputError: a file is missing or malformed.
    """

    def __init__(self, scope: TaskScope, data_digest: str) -> None:
        self._scope = scope
        chosen = scope.task_settings
        self._texts = texts = ValidationTexts(scope, chosen.shortlist.validation_sentences)
        self.sources: Sentences = [texts.split.source[number].tolist() for number in texts.numbers]
        self.references: Sentences = [texts.split.target[number].tolist() for number in texts.numbers]
        self.decoding = configured_decoding(chosen.scoring)
        self.weights = file_digest(require_artifact(scope.supertransformer / "checkpoint.pt"))
        self._context = [self.weights, data_digest, asdict(self.decoding), texts.numbers.tolist()]
        self._log = JsonLinesLog(scope.shortlist / "partial" / "translations.jsonl")
        self._known = {row["key"]: row for row in read_jsonl(self._log.path)}

    @cached_property
    def _network(self) -> Transformer:
        parent = load_parent(self._scope).model
        torch.set_num_threads(self._scope.task_settings.supertransformer.threads or len(os.sched_getaffinity(0)))
        return parent.extract(SearchSpace(self._scope.space).largest)

    @cached_property
    def whole(self) -> Sentences:
        """Translations with the whole vocabulary, as token ids."""
        return self._translated(None)[0]

    def score(self, shortlist: Shortlist | None) -> Score:
        """Score the translations with a shortlist, or with the whole vocabulary (None)."""
        from sacrebleu.metrics.bleu import BLEU

        translations, seconds = self._translated(shortlist)
        changed = sum(one != other for one, other in zip(translations, self.whole, strict=True))
        texts = self._texts
        if not changed:
            metric = BLEU(trg_lang=texts.language)
            bleu = metric.corpus_score(texts.decoded(translations), [texts.references]).score
            return Score(bleu=bleu, changed=0, seconds=seconds)
        systems = {"whole": texts.decoded(self.whole), "shortlist": texts.decoded(translations)}
        tested = compare(systems, texts.references, texts.language)
        (pair,) = tested["pairs"]
        bleu = tested["systems"]["shortlist"]["bleu"]
        return Score(bleu=bleu, changed=changed, seconds=seconds, p_value=pair["p_value"])

    def _translated(self, shortlist: Shortlist | None) -> tuple[Sentences, float]:
        """Return the translations, and the seconds that they took when they were first made."""
        candidates = None if shortlist is None else [shortlist.candidates(source) for source in self.sources]
        key = digest([self._context, None if candidates is None else [found.tolist() for found in candidates]])
        if key not in self._known:
            model = TorchModel(self._network, shortlist)
            translated: dict[int, list[int]] = {}
            rows = {int(number): row for row, number in enumerate(self._texts.numbers)}
            vocabulary = "the whole vocabulary"
            if candidates is not None:
                vocabulary = f"{sum(map(len, candidates)) / len(candidates):.0f} candidates"
            started = time.monotonic()
            with progress(f"Validating {vocabulary}", len(self.sources)) as show:
                for batch in length_batches(self._texts.split, BATCH_TOKENS // COMPARISON_BEAM, self._texts.numbers):
                    found = model.translate([self.sources[rows[int(number)]] for number in batch], self.decoding)
                    translated |= {rows[int(n)]: list(best.tokens) for n, best in zip(batch, found, strict=True)}
                    show(len(translated))
            row = {
                "key": key,
                "seconds": round(time.monotonic() - started, 1),
                "translations": [translated[row] for row in range(len(self.sources))],
            }
            self._log.append(row)
            self._known[key] = row
        return self._known[key]["translations"], self._known[key]["seconds"]
