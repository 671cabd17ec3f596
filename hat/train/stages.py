"""The training stages: SuperTransformer, SubTransformer and baselines."""

import contextlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from hat.artifacts.files import digest, only_one, provenance, read_json, write_json, write_text
from hat.config.base import effective
from hat.config.scope import BudgetScope, TaskScope
from hat.config.training import Training
from hat.data.binary.batches import PairedSplit, TrainingBatches, data_digest, validation_batches
from hat.data.task_shape import task_shape
from hat.model.base import EncoderDecoder
from hat.model.dropout import Dropouts
from hat.model.networks import build_network
from hat.model.supertransformer import SuperTransformer
from hat.model.transformer import Transformer
from hat.space.architecture import Architecture
from hat.space.kinds import configured_architecture, network_to_dict
from hat.space.search_space import SearchSpace
from hat.train import checkpoints
from hat.train.loop import Networks, Run, select
from hat.train.objective import Objective, validate
from hat.train.parent import load_parent
from hat.train.processes import TrainingResources, joined, own_resources
from hat.train.sampling import Sampler
from hat.train.teacher import trained_teacher


def dropouts_of(training: Training) -> Dropouts:
    """Return the dropout rates of a run."""
    return Dropouts(
        residual=training.dropout,
        attention=training.attention_dropout,
        activation=training.activation_dropout,
        scaling=training.dropout_scaling,
    )


def train_supertransformer(scope: TaskScope, resources: TrainingResources | None = None) -> None:
    """Train the SuperTransformer of a task.

    Writes ``checkpoint.pt``, ``metrics.jsonl`` and ``config.json``.

    Args:
        scope: the task.
        resources: resources to use; default: all cores and no GPU.

    Raises:
        HatError: training diverged, the disk is full, or the machine has too few GPUs.
        InputError: the data are missing, or the precision needs a GPU.
    """
    chosen, space = scope.task_settings, SearchSpace(scope.space)
    training = chosen.supertransformer
    torch.manual_seed(scope.settings.seed)
    _train(
        scope,
        title=f"SuperTransformer of {scope.task}",
        folder=scope.supertransformer,
        model=SuperTransformer(space, task_shape(scope), dropouts=dropouts_of(training)),
        training=training,
        subject={"space": space.space.model_dump(mode="json")},
        networks=Sampler(space, training, scope.settings.seed),
        validated=space.largest,
        resources=resources,
    )


def train_subtransformer(
    scope: BudgetScope,
    resources: TrainingResources | None = None,
) -> None:
    """Train the Architecture that the search found, from random or inherited weights.

    Writes ``checkpoint.pt``, ``metrics.jsonl`` and ``config.json``; otherwise as :func:`train_supertransformer`.
    """
    found = scope.folder / "architecture.json"
    architecture = Architecture.from_dict(read_json(found)["architecture"], str(found))
    training = scope.task_settings.subtransformer
    shape, dropouts = task_shape(scope), dropouts_of(training)
    subject: dict[str, Any] = {"architecture": architecture.to_dict()}
    torch.manual_seed(scope.settings.seed)
    if training.initial_weights == "inherited":
        parent = load_parent(scope, dropouts)
        model = parent.model.extract(architecture)
        subject["inherited_from"] = parent.identity
    else:
        model = Transformer(architecture, shape, dropouts=dropouts)
    teacher, targets = None, None
    if training.teacher is not None:
        name = training.teacher
        subject["taught_by"] = {"name": name, "distillation": training.distillation}
        if training.distillation != "sequence":
            teacher = trained_teacher(scope, name)
            subject["taught_by"] |= {"share": training.teacher_share, "identity": teacher.identity}
        if training.distillation != "word":
            # Imported here: it loads the search and its tables, which takes seconds.
            from hat.train.translated import translated_prefix, translation_digest

            targets = translated_prefix(scope, name)
            subject["taught_by"]["translations"] = translation_digest(scope, name)
    _train(
        scope,
        title=f"SubTransformer of {scope.task} for {scope.budget} on {scope.device}",
        folder=scope.subtransformer,
        model=model,
        training=training,
        subject=subject,
        networks=None,
        validated=None,
        resources=resources,
        teacher=teacher.model if teacher is not None else None,
        teacher_share=training.teacher_share,
        targets=targets,
    )


def train_baseline(scope: TaskScope, baseline: str, resources: TrainingResources | None = None) -> None:
    """Train a baseline from scratch, with the settings of the task's SubTransformers and its own overrides.

    Writes ``checkpoint.pt``, ``metrics.jsonl`` and ``config.json``; otherwise as :func:`train_supertransformer`.
    """
    architecture = configured_architecture(scope.settings.baseline(baseline).network)
    training = scope.settings.baseline_training(scope.task, baseline)
    shape = task_shape(scope, baseline)
    own = {"norm": shape.norm, "vocab_original_scaling": shape.vocab_original_scaling}
    network = scope.task_settings.network.model_copy(update=own)
    torch.manual_seed(scope.settings.seed)
    _train(
        scope,
        title=f"Baseline {baseline} of {scope.task}",
        folder=scope.baseline(baseline),
        model=build_network(architecture, shape, dropouts=dropouts_of(training)),
        training=training,
        subject={
            "baseline": baseline,
            "network": network.model_dump(mode="json"),
            **network_to_dict(architecture, shape),
        },
        networks=None,
        validated=None,
        resources=resources,
    )


def _train(
    scope: TaskScope,
    *,
    title: str,
    folder: Path,
    model: EncoderDecoder,
    training: Training,
    subject: dict[str, Any],
    networks: Networks | None,
    validated: Architecture | None,
    resources: TrainingResources | None,
    teacher: EncoderDecoder | None = None,
    teacher_share: float = 1.0,
    targets: Path | None = None,
) -> None:
    """Run the loop and write its outputs.

    Args:
        scope: the task.
        title: text of the progress bar.
        folder: folder of the outputs.
        model: initialised network.
        training: settings.
        subject: entries of ``config.json`` that say what is trained.
        networks: see :class:`hat.train.loop.Run`.
        validated: see :class:`hat.train.loop.Run`.
        resources: resources to use.
        teacher: see :class:`hat.train.loop.Run`.
        teacher_share: see :class:`hat.train.loop.Run`.
        targets: prefix of binarised targets to learn instead of the references.
    """
    chosen, data = scope.task_settings, scope.data
    resolved = {
        "task": scope.task,
        "seed": scope.settings.seed,
        "training": training.model_dump(mode="json"),
        "network": chosen.network.model_dump(mode="json"),
        **subject,
    }
    with joined(training, resources or own_resources(training)) as processes, contextlib.ExitStack() as held:
        if processes.first:
            held.enter_context(only_one(folder, title))
        split = PairedSplit(data, chosen, "train", targets)
        validation = list(validation_batches(PairedSplit(data, chosen, "validation"), training.batch_tokens))
        identity = digest({**resolved, "training": effective(training), "data": data_digest(data, chosen)})
        run = Run(
            title=title,
            model=model,
            training=training,
            seed=scope.settings.seed,
            batches=TrainingBatches(split, training.batch_tokens, scope.settings.seed),
            validation=validation,
            networks=networks,
            validated=validated,
            folder=folder,
            identity=identity,
            processes=processes,
            teacher=teacher,
            teacher_share=teacher_share,
        )
        weights, seconds = run.train()
        if not processes.first:
            return
        model.load_state_dict(weights)
        if validated is not None:
            select(model, validated)
        final = validate(Objective(model, training), validation, replace(processes, rank=0, count=1))
        origin = provenance(seed=scope.settings.seed, settings=resolved)
        metrics = folder / "partial" / identity / "metrics.jsonl"
        write_text(folder / "metrics.jsonl", metrics.read_text(encoding="utf-8"))
        write_json(
            folder / "config.json",
            {
                **resolved,
                "identity": identity,
                "validation": asdict(final),
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "seconds": round(seconds, 1),
                "processes": processes.count,
                "provenance": origin,
            },
        )
        checkpoints.save(
            folder / "checkpoint.pt",
            {"model": weights, "update": training.updates, "identity": identity, "provenance": origin},
        )
