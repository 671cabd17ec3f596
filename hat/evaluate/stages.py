"""The last stages of a budget or baseline: the deployed folder, and its translations scored."""

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hat.artifacts import (
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
from hat.baselines import described
from hat.config import Device, Task
from hat.data.dictionary import Dictionary
from hat.data.indexed import IndexedDataset
from hat.data.prepare import binary_prefix, codes_path, dictionary_path
from hat.data.text import read_pairs
from hat.deployed import DESCRIPTION, NETWORK, described_network, dictionary_file
from hat.evaluate.unigram import unigram_loss
from hat.layout import Results
from hat.progress import progress
from hat.quantise import quantisation
from hat.quantise.stored import TABLES, counted_size
from hat.runtime import runtime
from hat.runtime.base import Blueprint, Decoding
from hat.runtime.torch import WEIGHTS, weights_of
from hat.settings import Settings
from hat.shapes import task_shape
from hat.train import checkpoints
from hat.train.evaluator import untrained_loss
from hat.translator import Translator


def deployed_decoding(task: Task, device: Device) -> Decoding:
    """Beam search as it is deployed and measured: the device's beam, the task's lengths."""
    scoring = task.scoring
    return Decoding(
        beam=device.beam,
        length_penalty=scoring.length_penalty,
        max_length_ratio=scoring.max_length_ratio,
        max_length_extra=scoring.max_length_extra,
    )


def export_model(
    settings: Settings, results: Results, task: str, device: str, budget: str, bits: int | None = None
) -> Path:
    """Write the folder that is deployed: runtime files, tokeniser, ``model.json``, written last.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        task: name of the task.
        device: name of the device.
        budget: the budget, or name of a baseline.
        bits: quantise by k-means to so many, for the torch Runtime; in the device's Runtime and precision where absent.

    Raises:
        InputError: the budget is neither a budget nor a baseline, the trained network is missing or malformed, or there
            is no quantisation to so many bits.
    """
    chosen, target = settings.task(task), settings.device(device)
    executor: str = target.runtime
    precision: str = target.precision
    if bits is not None:
        executor, precision = "torch", quantisation(bits, embeddings=chosen.compression.embeddings).precision
    place, data = _place(results, task, device, budget, bits), results.data(task)
    folder = place / "model"
    baseline = settings.limit_ms(budget) is None
    trained = results.trained(task, device, budget, baseline=baseline)
    checkpoint = checkpoints.load(trained / "checkpoint.pt")
    training = read_json(trained / "config.json")
    architecture = described(training, str(trained / "config.json"))
    shape = task_shape(settings, results, task, budget if baseline else None)
    with only_one(place, f"Export for {budget}"):
        (folder / DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(folder / NETWORK, ignore_errors=True)
        (folder / NETWORK).mkdir(parents=True)
        shutil.copyfile(codes_path(data), folder / "codes")
        tokens = []
        for language in (chosen.source_language, chosen.target_language):
            path = dictionary_path(data, language)
            shutil.copyfile(path, folder / dictionary_file(language))
            tokens.append(Dictionary.load(path).tokens)
        blueprint = Blueprint(architecture=architecture, shape=shape, source_tokens=tokens[0], target_tokens=tokens[1])
        weights = weights_of(checkpoint["model"])
        runtime(executor, precision, target.threads).write(folder / NETWORK, blueprint, weights, None)
        description: dict[str, Any] = {
            "task": task,
            "device": device,
            "baseline" if baseline else "budget": budget,
            "source_language": chosen.source_language,
            "target_language": chosen.target_language,
            "runtime": executor,
            "precision": precision,
            "threads": target.threads,
            "tokenisation": chosen.tokenisation.model_dump(mode="json"),
            "parameters": training["parameters"],
            **described_network(blueprint, deployed_decoding(chosen, target)),
        }
        if bits is not None:
            inner = sum(tensor.size for name, tensor in weights.items() if name not in TABLES)
            counted = counted_size(folder / NETWORK / WEIGHTS).to_dict()
            description |= {"bits": bits, "parameters_without_embeddings": inner, "counted_size": counted}
        origin = provenance(seed=settings.seed, settings={**description, "training": training["identity"]})
        write_json(folder / DESCRIPTION, {**description, "provenance": origin})
    return folder


def _place(results: Results, task: str, device: str, budget: str, bits: int | None) -> Path:
    """Folder of ``model`` and of its scores: that of the budget, or of its quantisation to so many bits."""
    return results.budget(task, device, budget) if bits is None else results.quantised(task, device, budget, bits)


def score(settings: Settings, results: Results, task: str, device: str, budget: str, bits: int | None = None) -> Path:
    """Translate the test split with the deployed folder and score it.

    Writes ``bleu.txt`` (score, signature), ``score.json`` and ``hypotheses.txt`` beside the folder. Detokenised text is
    compared with the raw reference. Translations made before a kill are kept. Losses are those of the trained network,
    and not reported of a quantised one.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        task: name of the task.
        device: name of the device.
        budget: the budget, or name of a baseline.
        bits: those of the quantised model that is scored; what is deployed where absent.

    Raises:
        InputError: the folder or the test split is missing or malformed.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    chosen, scoring = settings.task(task), settings.task(task).scoring
    raw, place = results.data(task) / "raw", _place(results, task, device, budget, bits)
    pairs = list(read_pairs(raw / f"test.{chosen.source_language}", raw / f"test.{chosen.target_language}"))[
        : scoring.max_sentences
    ]
    sources, references = [source for source, _ in pairs], [reference for _, reference in pairs]
    with only_one(place, f"Scoring for {budget}"):
        # Neither threads nor other sentences change a translation.
        translator = Translator.from_folder(
            place / "model", beam=scoring.beam, threads=1, parallel=len(os.sched_getaffinity(0))
        )
        hypotheses = _translate(translator, sources, scoring.batch_tokens, place, f"Translating for {budget}")
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
            "sentences": len(pairs),
            "decoding": asdict(translator.decoding),
            "decoding_as_measured": translator.decoding.beam == translator.description["decoding"]["beam"],
            "parameters": translator.description["parameters"],
            **(_losses(settings, results, task, device, budget) if bits is None else {}),
            "provenance": provenance(seed=settings.seed, settings=resolved),
        }
        write_text(place / "hypotheses.txt", "".join(f"{line}\n" for line in hypotheses))
        write_json(place / "score.json", content)
        write_text(place / "bleu.txt", f"{bleu_score.score:.2f}\n{signature}\n")
    return place / "score.json"


def _translate(translator: Translator, sources: list[str], batch_tokens: int, place: Path, title: str) -> list[str]:
    """Translations of all sources; those made by an earlier, killed run are taken from the log."""
    identity = digest([asdict(translator.decoding), translator.description["provenance"], sources])
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
        translator.translate([sources[number] for number in left], batch_tokens=batch_tokens, translated=keep)
    # Empty lines are in no batch.
    return [done.get(number, "") for number in range(len(sources))]


def _losses(settings: Settings, results: Results, task: str, device: str, budget: str) -> dict[str, float]:
    """Validation losses, nats a token: trained, inherited (but of a baseline), untrained, unigram model."""
    chosen, data = settings.task(task), results.data(task)
    baseline = settings.limit_ms(budget) is None
    trained = results.trained(task, device, budget, baseline=baseline)
    config = trained / "config.json"
    architecture = described(read_json(config), str(config))
    train, validation = (
        IndexedDataset(binary_prefix(data, split, chosen, chosen.target_language)) for split in ("train", "validation")
    )
    dictionary = Dictionary.load(dictionary_path(data, chosen.target_language))
    found = {"validation_loss": read_json(config)["validation"]["nll"]}
    if not baseline:
        winner = read_json(results.budget(task, device, budget) / "architecture.json")
        found["inherited_loss"] = winner["validation_loss"]
    untrained = untrained_loss(settings, results, task, architecture, budget if baseline else None)
    return found | {"untrained_loss": untrained, "unigram_loss": unigram_loss(train, validation, dictionary)}
