"""The last stage of a budget or baseline: translating the test split with the deployed folder and scoring it."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hat.artifacts.files import (
    JsonLinesLog,
    canonical_json,
    digest,
    only_one,
    provenance,
    read_json,
    read_jsonl,
    write_json,
    write_text,
)
from hat.config.scope import BudgetScope
from hat.config.task import Task
from hat.data.binary.indexed import IndexedDataset
from hat.data.stages import binary_prefix, dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.data.text.text import read_pairs
from hat.deploy.card import add_figures
from hat.deploy.translator import Translator
from hat.evaluate.tokenised import reference_words, tokenised_bleu
from hat.evaluate.unigram import unigram_loss
from hat.search.verify import verdict_note
from hat.space.kinds import architecture_from_dict
from hat.system.progress import progress
from hat.train.inherited_loss import untrained_loss


def score(scope: BudgetScope, variant: str | None = None, *, losses: bool = True) -> Path:
    """Translate the test split with the deployed folder and score it.

    Writes ``bleu.txt`` (score, signature, and a note if the search measured no latency within the budget),
    ``score.json`` and ``hypotheses.txt`` beside the folder. Detokenised text is compared with the raw reference. An
    interrupted stage continues from the translations that it has finished.

    Args:
        scope: the task, the device and the budget, or the name of a baseline.
        variant: one of :data:`hat.config.variants.VARIANTS`. Default: what is deployed.
        losses: whether to report the losses of the network, which must have been trained here. Losses of variants are
            never reported.

    Returns:
        The path of ``score.json``.

    Raises:
        InputError: the folder or the test split is missing or malformed.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    chosen, scoring = scope.task_settings, scope.task_settings.scoring
    raw, folder = scope.data / "raw", scope.variant_folder(variant)
    pairs = list(read_pairs(raw / f"test.{chosen.source_language}", raw / f"test.{chosen.target_language}"))[
        : scoring.max_sentences
    ]
    sources, references = [source for source, _ in pairs], [reference for _, reference in pairs]
    with only_one(folder, f"Scoring for {scope.budget}"):
        # A translation depends neither on the number of threads nor on the other sentences of its batch.
        translator = Translator.from_folder(
            folder / "model", beam=scoring.beam, threads=1, parallel=len(os.sched_getaffinity(0))
        )
        words = _translate(translator, sources, scoring.batch_tokens, folder, f"Translating for {scope.budget}")
        hypotheses = [translator.text(line) for line in words]
        bleu, chrf = BLEU(trg_lang=chosen.target_language), CHRF()
        bleu_score = bleu.corpus_score(hypotheses, [references])
        chrf_score = chrf.corpus_score(hypotheses, [references])
        signature = str(bleu.get_signature())
        resolved = {"decoding": asdict(translator.decoding), "model": translator.description["provenance"]}
        content = {
            "bleu": bleu_score.score,
            "bleu_signature": signature,
            "chrf": chrf_score.score,
            "chrf_signature": str(chrf.get_signature()),
            **(_tokenised(chosen, scope.data, words, references) if scoring.tokenised != "none" else {}),
            "sentences": len(pairs),
            "decoding": asdict(translator.decoding),
            "decoding_as_measured": translator.decoding.beam == translator.description["decoding"]["beam"],
            "parameters": translator.description["parameters"],
            **(_losses(scope) if losses and variant is None else {}),
            "provenance": provenance(seed=scope.settings.seed, settings=resolved),
        }
        write_text(folder / "hypotheses.txt", "".join(f"{line}\n" for line in hypotheses))
        write_json(folder / "score.json", content)
        scores = ("bleu", "bleu_of_words", "chrf")
        shown = (*(key for name in scores for key in (name, f"{name}_signature")), "sentences")
        add_figures(folder / "model", **{key: content[key] for key in shown if key in content})
        note = _note(scope) if losses and variant is None else None
        write_text(folder / "bleu.txt", f"{bleu_score.score:.2f}\n{signature}\n" + (f"{note}\n" if note else ""))
    return folder / "score.json"


def _note(scope: BudgetScope) -> str | None:
    """Return a note on a winner that is not known to meet its budget; None if there is nothing to note."""
    if scope.is_baseline:
        return None
    return verdict_note(read_json(scope.folder / "architecture.json"))


def _tokenised(task: Task, data: Path, words: list[str], references: list[str]) -> dict[str, Any]:
    compounds = task.scoring.tokenised == "compounds"
    hypotheses = [line.replace("\n", " ") for line in words]
    expected = reference_words(task, data, references)[: len(hypotheses)]
    score, signature = tokenised_bleu(hypotheses, expected, compounds=compounds)
    return {"bleu_of_words": score, "bleu_of_words_signature": signature}


def _translate(translator: Translator, sources: list[str], batch_tokens: int, folder: Path, title: str) -> list[str]:
    """Return the words of all sources' translations; read an interrupted run's translations from its log."""
    identity = digest(["words", asdict(translator.decoding), translator.description["provenance"], sources])
    path = folder / "partial" / "hypotheses.jsonl"
    rows = read_jsonl(path)
    if not rows or rows[0].get("identity") != identity:
        write_text(path, canonical_json({"identity": identity}) + "\n")
        rows = []
    done = {int(row["number"]): str(row["text"]) for row in rows[1:]}
    remaining = [number for number in range(len(sources)) if number not in done]
    log = JsonLinesLog(path)
    with progress(title, len(sources)) as show:

        def keep(batch: dict[int, str]) -> None:
            for position, text in batch.items():
                done[remaining[position]] = text
                log.append({"number": remaining[position], "text": text})
            show(len(done))

        show(len(done))
        translator.translate(
            [sources[number] for number in remaining], batch_tokens=batch_tokens, translated=keep, as_words=True
        )
    # Empty lines are not translated.
    return [done.get(number, "") for number in range(len(sources))]


def _losses(scope: BudgetScope) -> dict[str, float]:
    """Return validation losses in nats per token: trained, inherited (except baselines), untrained, unigram model."""
    chosen, data = scope.task_settings, scope.data
    config = scope.trained / "config.json"
    architecture = architecture_from_dict(read_json(config), str(config))
    train, validation = (
        IndexedDataset(binary_prefix(data, split, chosen, chosen.target_language)) for split in ("train", "validation")
    )
    dictionary = Dictionary.load(dictionary_path(data, chosen.target_language))
    found = {"validation_loss": read_json(config)["validation"]["nll"]}
    if not scope.is_baseline:
        winner = read_json(scope.folder / "architecture.json")
        found["inherited_loss"] = winner["validation_loss"]
    untrained = untrained_loss(scope, architecture, scope.budget if scope.is_baseline else None)
    return found | {"untrained_loss": untrained, "unigram_loss": unigram_loss(train, validation, dictionary)}
