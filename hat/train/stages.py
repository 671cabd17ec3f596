"""The training stages: the SuperTransformer of a task, and the SubTransformer that a search found."""

import hashlib
import os
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hat.artifacts import digest, only_one, provenance, read_json, write_json, write_text
from hat.config import Task, Training
from hat.data.batches import PairedSplit, TrainingBatches, validation_batches
from hat.data.dictionary import Dictionary
from hat.layout import Results
from hat.model.layers import Dropouts
from hat.model.supertransformer import SuperTransformer
from hat.model.transformer import Transformer
from hat.runtime.base import Shape
from hat.settings import Settings
from hat.space import Architecture, SearchSpace
from hat.train import checkpoints
from hat.train.loop import Run, validate


def task_shape(settings: Settings, results: Results, task: str) -> Shape:
    """Shape of a task's networks, with the sizes of its dictionaries."""
    chosen = settings.task(task)
    sizes = [
        len(Dictionary.load(results.data(task) / f"dict.{language}.txt"))
        for language in (chosen.source_language, chosen.target_language)
    ]
    return Shape.of(settings.space_of(task), chosen.network, *sizes)


def dropouts_of(training: Training) -> Dropouts:
    """Dropout rates of a run."""
    return Dropouts(
        residual=training.dropout, attention=training.attention_dropout, activation=training.activation_dropout
    )


def train_supertransformer(settings: Settings, results: Results, task: str) -> None:
    """Train the SuperTransformer of a task, one uniformly sampled SubTransformer an update.

    Writes ``checkpoint.pt``, ``metrics.jsonl`` and ``config.json``.
    """
    chosen, space = settings.task(task), SearchSpace(settings.space_of(task))
    training, seed = chosen.supertransformer, settings.seed
    torch.manual_seed(seed)
    model = SuperTransformer(
        space, task_shape(settings, results, task), dropouts=dropouts_of(training), scale_dropout=training.scale_dropout
    )

    def sample(update: int) -> dict[str, Any]:
        model.select(space.sample(random.Random(f"{seed}/{update}")))
        return {"architecture": model.architecture.digest}

    _train(
        settings,
        results,
        task,
        title=f"SuperTransformer of {task}",
        folder=results.supertransformer(task),
        model=model,
        training=training,
        subject={"space": space.space.model_dump(mode="json")},
        prepare=sample,
        before_validation=lambda: model.select(space.largest),
    )


def train_subtransformer(settings: Settings, results: Results, task: str, device: str, budget: str) -> None:
    """Train the Architecture that the search found, from scratch.

    Writes ``checkpoint.pt``, ``metrics.jsonl`` and ``config.json``.
    """
    found = results.budget(task, device, budget) / "architecture.json"
    architecture = Architecture.from_dict(read_json(found)["architecture"], str(found))
    training = settings.task(task).subtransformer
    torch.manual_seed(settings.seed)
    model = Transformer(
        architecture,
        task_shape(settings, results, task),
        dropouts=dropouts_of(training),
        scale_dropout=training.scale_dropout,
    )
    _train(
        settings,
        results,
        task,
        title=f"SubTransformer of {task} for {budget} on {device}",
        folder=results.subtransformer(task, device, budget),
        model=model,
        training=training,
        subject={"architecture": architecture.to_dict()},
        prepare=lambda update: {},
        before_validation=lambda: None,
    )


def _train(
    settings: Settings,
    results: Results,
    task: str,
    *,
    title: str,
    folder: Path,
    model: Transformer,
    training: Training,
    subject: dict[str, Any],
    prepare: Callable[[int], dict[str, Any]],
    before_validation: Callable[[], None],
) -> None:
    """Run the loop and write its outputs; ``subject`` is what the resolved configuration says is trained."""
    chosen, data = settings.task(task), results.data(task)
    resolved = {
        "task": task,
        "seed": settings.seed,
        "training": training.model_dump(mode="json"),
        "network": chosen.network.model_dump(mode="json"),
        **subject,
    }
    with only_one(folder, title):
        torch.set_num_threads(training.threads or len(os.sched_getaffinity(0)))
        training_split = PairedSplit(data, chosen, "train")
        validation = list(validation_batches(PairedSplit(data, chosen, "validation"), training.batch_tokens))
        identity = digest({**resolved, "data": data_digest(data, chosen)})
        run = Run(
            title=title,
            model=model,
            training=training,
            seed=settings.seed,
            batches=TrainingBatches(training_split, training.batch_tokens, settings.seed),
            validation=validation,
            prepare=prepare,
            before_validation=before_validation,
            folder=folder,
            identity=identity,
        )
        weights, seconds = run.train()
        model.load_state_dict(weights)
        before_validation()
        averaged = validate(model, validation, training)
        origin = provenance(seed=settings.seed, settings=resolved)
        metrics = folder / "partial" / identity / "metrics.jsonl"
        write_text(folder / "metrics.jsonl", metrics.read_text(encoding="utf-8"))
        write_json(
            folder / "config.json",
            {
                **resolved,
                "identity": identity,
                "validation": asdict(averaged),
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "seconds": round(seconds, 1),
                "provenance": origin,
            },
        )
        checkpoints.save(
            folder / "checkpoint.pt",
            {"model": weights, "update": training.updates, "identity": identity, "provenance": origin},
        )


def data_digest(data: Path, task: Task) -> str:
    """Digest of the dictionaries and binarised splits that training reads."""
    hasher = hashlib.sha256()
    languages = (task.source_language, task.target_language)
    pair = "-".join(languages)
    paths = [data / f"dict.{language}.txt" for language in languages]
    paths += [
        data / "binary" / f"{split}.{pair}.{language}.{ending}"
        for split in ("train", "validation")
        for language in languages
        for ending in ("bin", "idx")
    ]
    for path in paths:
        with open(path, "rb") as stream:
            hasher.update(hashlib.file_digest(stream, "sha256").digest())
    return hasher.hexdigest()[:16]
