"""Stages from a published network to its latency on a device and its score, below results/published/NAME."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hat.artifacts.files import only_one, read_json, write_json
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, TaskScope
from hat.config.settings import Settings
from hat.data import stages
from hat.data.sources.download import fetch
from hat.data.text.dictionary import Dictionary
from hat.deploy.export import export_model
from hat.errors import InputError
from hat.evaluate.stages import score
from hat.latency.deployed import measure_deployed
from hat.measure.lengths import measured_lengths
from hat.measure.workload import Workload
from hat.published.catalogue import PublishedModel, published_model
from hat.published.convert import import_checkpoint
from hat.space.shape import Shape

FOLDER = "published"


class _PublishedData(TaskScope):
    """A task whose data are the splits published with the research code."""

    @property
    def data(self) -> Path:
        """Folder of the task's published splits."""
        return self.results.root / FOLDER / "data" / self.task


@dataclass(frozen=True)
class PublishedScope(_PublishedData, BudgetScope):
    """A published network on a device. All devices share its folder.

    Args:
        entry: the network.
    """

    entry: PublishedModel

    @classmethod
    def of_network(cls, settings: Settings, results: Results, name: str, device: str) -> "PublishedScope":
        """Return the scope of a published SubTransformer.

        Raises:
            InputError: the name is not a published SubTransformer's, or its task has no archive of splits.
        """
        entry = published_model(name)
        if entry.kind == "super":
            raise InputError(
                f"{name}: is a SuperTransformer, but only SubTransformers are scored; `hat models get` downloads it"
            )
        budget = entry.name.partition("@")[2].partition("_")[0]
        settings = of_published_splits(settings, entry.task)
        return cls(settings, results, entry.task, device, budget, entry)

    @property
    def folder(self) -> Path:
        """Folder of the network."""
        return self.results.root / FOLDER / self.entry.name

    def shape(self) -> Shape:
        """Return the shape of the network.

        Raises:
            InputError: the dictionaries of the data do not match it.
        """
        config = folder(self.results, self.entry) / "config.json"
        shape = Shape(**read_json(config)["shape"])
        for language, expected in (
            (self.task_settings.source_language, shape.source_vocabulary),
            (self.task_settings.target_language, shape.target_vocabulary),
        ):
            path = stages.dictionary_path(self.data, language)
            if (found := len(Dictionary.load(path))) != expected:
                raise InputError(f"{path}: {found} tokens, expected {expected} as in {config}")
        return shape


def get(results: Results, name: str) -> dict[str, Any]:
    """Download a published network and convert it into ``results/published/NAME/subtransformer`` (or supertransformer).

    Returns:
        The content of its ``config.json``.

    Raises:
        HatError: the download failed; the message says where the file can be put by hand.
        InputError: the name is unknown, or the file is not a checkpoint of the research code.
    """
    entry = published_model(name)
    file = fetch(entry.source, results.downloads)
    out = folder(results, entry)
    with only_one(out.parent, f"Converting {name}"):
        config = import_checkpoint(file, out)
        known = entry.parsed_architecture()
        if known is not None and config.get("architecture") != known.to_dict():
            print(f"{file}: contains another Architecture than was published as {name}", file=sys.stderr)
    return config


def folder(results: Results, entry: PublishedModel) -> Path:
    """Return the folder of the converted network."""
    return results.root / FOLDER / entry.name / f"{entry.kind}transformer"


def of_published_splits(settings: Settings, task: str) -> Settings:
    """Return the configuration with the published splits as the task's data, and without a shortlist.

    Raises:
        InputError: the task's configuration names no archive of splits.
    """
    if settings.task(task).data.archive is None:
        raise InputError(f"{settings.folder}/tasks/{task}.yaml, data.archive: missing, expected the published splits")
    changes = {"tasks": {task: {"data": {"preprocessed": True}, "shortlist": {"enabled": False}}}}
    return settings.changed(changes)


def make_data(scope: TaskScope) -> Path:
    """Unpack the published splits of a task into ``results/published/data/TASK``.

    Raises:
        HatError: the download failed; the message says where the file can be put by hand.
        InputError: the archive does not hold such splits.
    """
    published = _PublishedData(of_published_splits(scope.settings, scope.task), scope.results, scope.task)
    stages.fetch_sources(published)
    stages.extract_corpus(published)
    stages.tokenise_corpus(published)
    stages.binarise_corpus(published)
    return published.data


def export(settings: Settings, results: Results, name: str, device: str) -> Path:
    """Write ``results/published/NAME/model`` for a device.

    Raises:
        InputError: the network or the data are missing or do not match, or the device cannot run the network.
    """
    scope = PublishedScope.of_network(settings, results, name, device)
    return export_model(scope, shape=scope.shape())


def measure(settings: Settings, results: Results, name: str, device: str) -> Path:
    """Measure the exported network on the device; write ``latency.json``.

    Raises:
        HatError: the device cannot be measured, or the network has not been exported.
    """
    scope = PublishedScope.of_network(settings, results, name, device)
    workload = Workload.of(scope.shape(), measured_lengths(scope), scope.device_settings.beam, None)
    found = measure_deployed(scope, scope.model, workload, f"Measuring {name} on {device}")
    content: dict[str, Any] = {
        "published": name,
        "published_latency_ms": scope.entry.latency_ms,
        "published_hardware": scope.entry.hardware,
        "device": device,
        **found.measured.to_dict(),
        **found.origin,
    }
    write_json(scope.folder / "latency.json", content)
    return scope.folder / "latency.json"


def score_published(settings: Settings, results: Results, name: str, device: str) -> Path:
    """Translate and score the published test split; write ``bleu.txt``, and ``score.json`` with the published scores.

    Raises:
        InputError: the network has not been exported, or data are missing.
    """
    scope = PublishedScope.of_network(settings, results, name, device)
    path = score(scope, losses=False)
    content = read_json(path)
    content |= {"published": name, "published_bleu_of_words": scope.entry.bleu, "published_bleu": scope.entry.sacrebleu}
    write_json(path, content)
    return path
