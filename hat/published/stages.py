"""From a published network to its score and its latency on a device: everything below results/published/NAME."""

import sys
from pathlib import Path
from typing import Any

from hat.artifacts.files import only_one, provenance, read_json, write_json
from hat.artifacts.layout import Results
from hat.artifacts.missing import Lacking
from hat.config.settings import Settings
from hat.data import stages
from hat.data.sources.download import fetch
from hat.data.text.dictionary import Dictionary
from hat.deploy.card import add_figures
from hat.deploy.export import export_model
from hat.deploy.folder import DESCRIPTION
from hat.device.connection import connect
from hat.errors import InputError
from hat.evaluate.stages import score
from hat.latency.samples import measure_folder
from hat.latency.stages import DEPLOYED_REPEATS, shown_figures
from hat.measure.lengths import measured_lengths
from hat.measure.power import unread
from hat.measure.workload import Workload
from hat.published.catalogue import PublishedModel, published_model
from hat.published.convert import import_checkpoint
from hat.space.shape import Shape
from hat.system.progress import progress

FOLDER = "published"


class PublishedResults(Results):
    """Paths of artifacts of one published network; it has no budget, and any device's stand in the same folder.

    The data are the splits that the research code published, since the network has their dictionaries.
    """

    def __init__(self, root: Path | str, name: str | None = None) -> None:
        super().__init__(root)
        self._name = name

    def data(self, task: str) -> Path:
        """The published splits of a task, unpacked."""
        return self.root / FOLDER / "data" / task

    def budget(self, task: str, device: str, budget: str) -> Path:
        """Folder of everything of the network."""
        assert self._name is not None, "named where it is asked for"
        return self.root / FOLDER / self._name


def get(results: Results, name: str) -> dict[str, Any]:
    """Download a published network and convert it into ``results/published/NAME/subtransformer`` (or supertransformer).

    Returns:
        What its config.json says.

    Raises:
        HatError: the download failed; says where a file may be put by hand.
        InputError: the name is unknown, or the file is no checkpoint of the research code.
    """
    entry = published_model(name)
    file = fetch(entry.source, results.downloads)
    out = folder(results, entry)
    with only_one(out.parent, f"Converting {name}"):
        config = import_checkpoint(file, out)
        known = entry.parsed_architecture()
        if known is not None and config.get("architecture") != known.to_dict():
            print(f"{file}: holds another Architecture than was published as {name}", file=sys.stderr)
    return config


def folder(results: Results, entry: PublishedModel) -> Path:
    """Where the converted network stands."""
    return results.root / FOLDER / entry.name / f"{entry.kind}transformer"


def of_published_splits(settings: Settings, task: str) -> Settings:
    """The configuration with the published splits as the task's data, and without a shortlist, which none had.

    Raises:
        InputError: the task's configuration names no archive of splits.
    """
    if settings.task(task).data.archive is None:
        raise InputError(f"{settings.folder}/tasks/{task}.yaml, data.archive: missing, expected the published splits")
    changes = {"tasks": {task: {"data": {"preprocessed": True}, "shortlist": {"enabled": False}}}}
    return settings.changed(changes)


def make_data(settings: Settings, results: Results, task: str) -> Path:
    """Unpack the published splits of a task into ``results/published/data/TASK``.

    Raises:
        HatError: the download failed; says where a file may be put by hand.
        InputError: the archive is not of such splits.
    """
    settings, place = of_published_splits(settings, task), PublishedResults(results.root)
    stages.fetch_sources(settings, place, task)
    stages.extract_corpus(settings, place, task)
    stages.tokenise_corpus(settings, place, task)
    stages.binarise_corpus(settings, place, task)
    return place.data(task)


def export(settings: Settings, results: Results, name: str, device: str) -> Path:
    """Write ``results/published/NAME/model`` for a device.

    Raises:
        InputError: the network or the data are missing, do not fit each other, or the device cannot execute it.
    """
    entry, place = _subtransformer(name), PublishedResults(results.root, name)
    settings = of_published_splits(settings, entry.task)
    return export_model(settings, place, entry.task, device, _budget(entry), shape=_shape(settings, place, entry))


def measure(settings: Settings, results: Results, name: str, device: str) -> Path:
    """Measure the exported network on the device; write ``latency.json``.

    Raises:
        HatError: the device cannot be measured on, or the network has not been exported.
    """
    entry, place = _subtransformer(name), PublishedResults(results.root, name)
    settings = of_published_splits(settings, entry.task)
    chosen = settings.task(entry.task).latency
    out = place.budget(entry.task, device, name)
    if not (out / "model").is_dir():
        raise Lacking(out / "model", out / "model" / DESCRIPTION)
    lengths = measured_lengths(settings, place, entry.task)
    workload = Workload.of(_shape(settings, place, entry), lengths, settings.device(device).beam, None)
    repeats = DEPLOYED_REPEATS * chosen.repeats
    lock = only_one(results.latency(entry.task, device), f"Measuring on {device}")
    with lock, connect(settings, device) as connection:
        conditions = connection.conditions(workload, chosen.warmup, repeats)
        total = repeats * len(lengths) * chosen.passes
        with progress(f"Measuring {name} on {device}", total, background=False) as tracker:
            measured = measure_folder(connection, out / "model", workload, chosen, repeats, tracker)
    content: dict[str, Any] = {
        "published": name,
        "published_latency_ms": entry.latency_ms,
        "published_hardware": entry.hardware,
        "device": device,
        **measured.to_dict(),
        "conditions": conditions.to_dict(),
        "provenance": provenance(seed=settings.seed, settings=conditions.to_dict()),
    }
    if (missing := unread(device, [measured])) is not None:
        print(missing, file=sys.stderr)
    add_figures(out / "model", **shown_figures(measured), latency_conditions=content["conditions"])
    write_json(out / "latency.json", content)
    return out / "latency.json"


def score_published(settings: Settings, results: Results, name: str, device: str) -> Path:
    """Translate the published test split and score it; write ``bleu.txt`` and ``score.json`` beside published scores.

    Raises:
        InputError: the network has not been exported, or the data are missing.
    """
    entry, place = _subtransformer(name), PublishedResults(results.root, name)
    settings = of_published_splits(settings, entry.task)
    path = score(settings, place, entry.task, device, _budget(entry), losses=False)
    content = read_json(path)
    content |= {"published": name, "published_bleu_of_words": entry.bleu, "published_bleu": entry.sacrebleu}
    write_json(path, content)
    return path


def _subtransformer(name: str) -> PublishedModel:
    entry = published_model(name)
    if entry.kind == "super":
        raise InputError(
            f"{name}: is a SuperTransformer, of which a SubTransformer is scored; `hat models get` fetches it"
        )
    return entry


def _budget(entry: PublishedModel) -> str:
    return entry.name.partition("@")[2].partition("_")[0]


def _shape(settings: Settings, place: PublishedResults, entry: PublishedModel) -> Shape:
    """That of the checkpoint, which the dictionaries of the data must fit."""
    config = folder(place, entry) / "config.json"
    shape = Shape(**read_json(config)["shape"])
    task = settings.task(entry.task)
    for language, expected in (
        (task.source_language, shape.source_vocabulary),
        (task.target_language, shape.target_vocabulary),
    ):
        path = stages.dictionary_path(place.data(entry.task), language)
        if (found := len(Dictionary.load(path))) != expected:
            raise InputError(f"{path}: {found} tokens, but {config} says that the network has {expected}")
    return shape
