"""The last stages of a budget or baseline: the deployed folder, and its translations scored."""

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
from hat.space.kinds import described
from hat.system.progress import progress
from hat.train.inherited_loss import untrained_loss


def score(
    scope: BudgetScope,
    form: str | None = None,
    *,
    losses: bool = True,
) -> Path:
    """Translate the test split with the deployed folder and score it.

    Writes ``bleu.txt`` (score, signature, and a note where the search measured no latency within the budget),
    ``score.json`` and ``hypotheses.txt`` beside the folder. Detokenised text is compared with the raw reference.
    Translations made before a kill are kept. Losses are those of the trained network, and not reported of another form.

    Args:
        scope: the task, the device and the budget, or the name of a baseline.
        form: the one of :data:`hat.config.variants.FORMS` that is scored; what is deployed where absent.
        losses: report the losses of the network too, for which it must have been trained here.

    Raises:
        InputError: the folder or the test split is missing or malformed.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    chosen, scoring = scope.task_settings, scope.task_settings.scoring
    raw, place = (
        scope.data / "raw",
        scope.form_folder(form),
    )
    pairs = list(read_pairs(raw / f"test.{chosen.source_language}", raw / f"test.{chosen.target_language}"))[
        : scoring.max_sentences
    ]
    sources, references = [source for source, _ in pairs], [reference for _, reference in pairs]
    with only_one(place, f"Scoring for {scope.budget}"):
        # Neither threads nor other sentences change a translation.
        translator = Translator.from_folder(
            place / "model", beam=scoring.beam, threads=1, parallel=len(os.sched_getaffinity(0))
        )
        words = _translate(translator, sources, scoring.batch_tokens, place, f"Translating for {scope.budget}")
        hypotheses = [translator.text(line) for line in words]
        bleu, chrf = BLEU(trg_lang=chosen.target_language), CHRF()
        bleu_score, chrf_score = (
            bleu.corpus_score(hypotheses, [references]),
            chrf.corpus_score(hypotheses, [references]),
        )
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
            **(_losses(scope) if losses and form is None else {}),
            "provenance": provenance(seed=scope.settings.seed, settings=resolved),
        }
        write_text(place / "hypotheses.txt", "".join(f"{line}\n" for line in hypotheses))
        write_json(place / "score.json", content)
        words_too = ("bleu_of_words", "bleu_of_words_signature")
        shown = ("bleu", "bleu_signature", *words_too, "chrf", "chrf_signature", "sentences")
        add_figures(place / "model", **{key: content[key] for key in shown if key in content})
        note = _note(scope) if losses and form is None else None
        write_text(place / "bleu.txt", f"{bleu_score.score:.2f}\n{signature}\n" + (f"{note}\n" if note else ""))
    return place / "score.json"


def _note(scope: BudgetScope) -> str | None:
    """What is to be said of a winner that is not known to meet its budget."""
    if scope.settings.limit_ms(scope.budget) is None:
        return None
    return verdict_note(read_json(scope.folder / "architecture.json"))


def _tokenised(task: Task, data: Path, words: list[str], references: list[str]) -> dict[str, Any]:
    compounds = task.scoring.tokenised == "compounds"
    hypotheses = [line.replace("\n", " ") for line in words]
    expected = reference_words(task, data, references)[: len(hypotheses)]
    score, signature = tokenised_bleu(hypotheses, expected, compounds=compounds)
    return {"bleu_of_words": score, "bleu_of_words_signature": signature}


def _translate(translator: Translator, sources: list[str], batch_tokens: int, place: Path, title: str) -> list[str]:
    """Words of the translations of all sources; those made by an earlier, killed run are taken from the log."""
    identity = digest(["words", asdict(translator.decoding), translator.description["provenance"], sources])
    path = place / "partial" / "hypotheses.jsonl"
    rows = read_jsonl(path)
    if not rows or rows[0].get("identity") != identity:
        write_text(path, canonical_json({"identity": identity}) + "\n")
        rows = []
    done = {int(row["number"]): str(row["text"]) for row in rows[1:]}
    left = [number for number in range(len(sources)) if number not in done]
    log = JsonLinesLog(path)
    with progress(title, len(sources)) as show:

        def keep(batch: dict[int, str]) -> None:
            for position, text in batch.items():
                done[left[position]] = text
                log.append({"number": left[position], "text": text})
            show(len(done))

        show(len(done))
        translator.translate(
            [sources[number] for number in left], batch_tokens=batch_tokens, translated=keep, as_words=True
        )
    # Empty lines are in no batch.
    return [done.get(number, "") for number in range(len(sources))]


def _losses(scope: BudgetScope) -> dict[str, float]:
    """Validation losses, nats a token: trained, inherited (but of a baseline), untrained, unigram model."""
    chosen, data = scope.task_settings, scope.data
    baseline = scope.settings.limit_ms(scope.budget) is None
    trained = scope.trained
    config = trained / "config.json"
    architecture = described(read_json(config), str(config))
    train, validation = (
        IndexedDataset(binary_prefix(data, split, chosen, chosen.target_language)) for split in ("train", "validation")
    )
    dictionary = Dictionary.load(dictionary_path(data, chosen.target_language))
    found = {"validation_loss": read_json(config)["validation"]["nll"]}
    if not baseline:
        winner = read_json(scope.folder / "architecture.json")
        found["inherited_loss"] = winner["validation_loss"]
    untrained = untrained_loss(scope, architecture, scope.budget if baseline else None)
    return found | {"untrained_loss": untrained, "unigram_loss": unigram_loss(train, validation, dictionary)}
