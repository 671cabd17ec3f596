"""Estimates of jobs that never ran, from their settings and from measured speeds.

Training takes its speed from a result file of tests/benchmarks/gpu.py (``cost.gpu``), a download from
``cost.download_mbit_s``. Other jobs take theirs from ``figures.json`` beside this module: CPU time per amount of work,
measured on one machine.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hat.artifacts.files import read_json
from hat.artifacts.layout import Results
from hat.config.corpora import ArchiveCorpus
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.config.sources import FileSource, HttpSource
from hat.config.training import SuperTraining, Training
from hat.data.sources.configured import configured_sources, official_sources
from hat.data.sources.download import location
from hat.data.task_shape import task_shape
from hat.latency.predictor.mlp import PublishedMLP
from hat.measure.lengths import PARTS
from hat.space.architecture import Architecture
from hat.space.profile import PUBLISHED_SHAPE, Profile
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.workflow.gpu_speed import GpuSpeed

FIGURES = Path(__file__).with_name("figures.json")
# FLOPs of a training step per parameter and token: two forward, four backward.
FLOPS_PER_PARAMETER = 6
BYTES_PER_PARAMETER = 4
# Length in tokens of the sentences that the figures hold for.
LENGTH = 30


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a job may take; ``waiting_hours`` pass on the network or on a device that is not this machine."""

    sources: tuple[str, ...]
    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    waiting_hours: float = 0.0
    storage_gb: float = 0.0


class Unknown(Exception):
    """Something that an estimate needs is not known."""


class Figures:
    """The measured figures; notes where those that were read are from."""

    def __init__(self) -> None:
        self.content = read_json(FIGURES)
        self.read: dict[str, None] = {}

    def cpu_s(self, name: str) -> float:
        """Return CPU seconds per amount of work."""
        return float(self._entry("cpu_s", name)["value"])

    def sentence_s(self, runtime: str, precision: str, *, shortlist: bool) -> float:
        """Return the CPU seconds in which a Runtime translates a sentence with Transformer-Base."""
        return (
            float(self._entry("sentence_ms", " ".join([runtime, precision, *["shortlist"] * shortlist]))["value"]) / 1e3
        )

    def count(self, task: str, split: str) -> int:
        """Return the published number of pairs of a split of a task."""
        return int(self._entry("pairs", f"{task} {split}")["value"])

    def _entry(self, part: str, name: str) -> dict[str, Any]:
        if name not in self.content[part]:
            raise Unknown(name)
        found: dict[str, Any] = self.content[part][name]
        self.read[found["from"]] = None
        return found


class FirstRun:
    """Estimates jobs that never ran.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        budgets_ms: the largest planned budget of each task and device; stands for the latency of the networks that are
            measured there.
    """

    def __init__(self, settings: Settings, results: Results, budgets_ms: Mapping[tuple[str, str], float]) -> None:
        self.settings = settings
        self.results = results
        self.budgets_ms = budgets_ms

    @functools.cached_property
    def gpu(self) -> GpuSpeed:
        """The measured speed of a GPU."""
        return GpuSpeed.read(
            Path(self.settings.configuration.cost.gpu), f"{self.settings.folder}/config.yaml, cost.gpu"
        )

    def guess(self, rule: str, wildcards: Mapping[str, str], gpus: int) -> Guess | None:
        """Return an estimate for a job; None if too little is known for one.

        Args:
            rule: name of the rule.
            wildcards: of the job.
            gpus: GPUs of the job; a training without GPUs is estimated for one.

        Raises:
            InputError: the file of ``cost.gpu`` is missing or wrong.
        """
        estimate = RULES.get(rule)
        if estimate is None:
            return None
        try:
            return estimate(FirstJob(self, wildcards, gpus))
        except Unknown:
            return None


class FirstJob:
    """One job that never ran."""

    def __init__(self, run: FirstRun, wildcards: Mapping[str, str], gpus: int) -> None:
        self.run = run
        self.settings = run.settings
        self.wildcards = wildcards
        self.gpus = gpus
        self.name = wildcards["task"]
        self.task = run.settings.task(self.name)
        self.scope = TaskScope(run.settings, run.results, self.name)
        self.figures = Figures()

    # Training

    def supertransformer(self) -> Guess:
        """Estimate the training of the SuperTransformer."""
        chosen = self.task.supertransformer
        return self._training(chosen, _networks(chosen))

    def subtransformer(self) -> Guess:
        """Estimate the training of a SubTransformer, as if it were the largest."""
        return self._training(self.task.subtransformer, 1)

    def _training(self, training: Training, networks: int) -> Guess:
        """Estimate a training in which each batch trains a number of networks."""
        processes, batches, size = self.gpus or 1, training.accumulate, float(training.batch_tokens)
        if batches % processes:
            # The sentences of each batch are dealt out to all GPUs.
            batches, size = batches * processes, size / processes
        seconds, source = self._batch_s(size)
        if training.precision != self.run.gpu.precision:
            source += f", in {self.run.gpu.precision} instead of {training.precision}"
        if not self.gpus:
            source += ", for one GPU although `gpus` is 0"
        return Guess(
            sources=(source,),
            gpu_hours=training.updates * networks * batches * seconds / 3600,
            storage_gb=BYTES_PER_PARAMETER * self._parameters() / 1e9,
        )

    def _batch_s(self, batch_tokens: float) -> tuple[float, str]:
        """Return the seconds of a batch and where they are from: the same task, the same space, or the same work."""
        gpu, share = self.run.gpu, float(self.figures.content["target_share"]["value"])
        measured = gpu.tasks()
        space = self.task.space
        same = [name for name in measured if name in self.settings.tasks and self.settings.task(name).space == space]
        like = self.name if self.name in measured else next(iter(same), None)
        source = f"{gpu.gpu} ({gpu.date}), {{}}, batches of {batch_tokens:,.0f} tokens"
        if like is not None:
            return gpu.batch_s(like, batch_tokens, share), source.format(like)
        tflop = FLOPS_PER_PARAMETER * self._parameters() * share * batch_tokens / 1e12
        return gpu.work_s(tflop), source.format(f"by work, since space {space} was not measured")

    # Text

    def fetch(self) -> Guess:
        """Estimate downloading the missing archives, all of which must have a known size."""
        corpus, missing = self.task.corpus, 0
        sources = configured_sources(self.task)
        if isinstance(corpus, ArchiveCorpus) and not self.task.data.preprocessed:
            sources += official_sources(corpus, self.task.languages).values()
        for source in sources:
            if isinstance(source, FileSource) or location(source, self.run.results.downloads).exists():
                continue
            if not isinstance(source, HttpSource) or source.size is None:
                raise Unknown("size")
            missing += source.size
        speed = self.settings.configuration.cost.download_mbit_s
        return Guess(
            sources=(f"{missing / 1e9:,.1f} GB at {speed:g} Mbit/s",),
            waiting_hours=8 * missing / (speed * 1e6) / 3600,
            storage_gb=missing / 1e9,
        )

    def extract(self) -> Guess:
        """Estimate extracting the text."""
        return self._cpu(self._millions() * self.figures.cpu_s(f"extract {self._text()}"))

    def tokenise(self) -> Guess:
        """Estimate tokenising; provided byte pairs are taken as they are."""
        return self._cpu(0 if self._text() == "pieces" else self._millions() * self.figures.cpu_s("tokenise raw"))

    def binarise(self) -> Guess:
        """Estimate building dictionaries and binarising."""
        return self._cpu(self._millions() * self.figures.cpu_s("binarise"))

    def _text(self) -> str:
        """Return the form of the text that the corpus provides, as the figures name it."""
        corpus = self.task.corpus
        text = corpus.text if isinstance(corpus, ArchiveCorpus) else "raw"
        if text not in ("raw", "pieces") or self.task.data.preprocessed:
            raise Unknown(text)
        return text

    def _millions(self) -> float:
        return self._pairs("train") / 1e6

    def _pairs(self, split: str) -> int:
        """Return the number of pairs of a split: counted, or as published."""
        counts = self.scope.data / "counts.json"
        if counts.is_file():
            return int(read_json(counts)["pairs"][split])
        return self.figures.count(self.name, split)

    # Latency

    def fit(self) -> Guess:
        """Estimate fitting the predictor."""
        rules = self.task.latency
        names = ["fit", *["fit mlp"] * ("mlp" in rules.models and rules.samples >= PublishedMLP.fewest_rows)]
        return self._cpu(rules.samples / 1e3 * sum(map(self.figures.cpu_s, names)))

    def quick(self) -> Guess:
        """Estimate a job that takes about as long as starting Python."""
        return self._cpu(0)

    def sample(self) -> Guess:
        """Estimate measuring one shard of the samples, each as often as allowed."""
        rules = self.task.latency
        return self._measuring(rules.samples / rules.shards)

    def measure(self) -> Guess:
        """Estimate measuring the deployed model."""
        return self._measuring(1)

    def _measuring(self, networks: float) -> Guess:
        cpu_s, waiting_s, source = self._device_s(networks)
        return self._cpu(cpu_s, waiting_s, source)

    def _device_s(self, networks: float) -> tuple[float, float, str]:
        """Return the CPU seconds here, the seconds on another device, and the basis, of measuring some networks.

        Every network is visited ``latency.passes`` times. It has the largest planned budget as its latency.
        """
        rules, place = self.task.latency, (self.name, self.wildcards["device"])
        if place not in self.run.budgets_ms:
            raise Unknown("latency")
        latency_s = self.run.budgets_ms[place] / 1e3
        lengths = 1 if rules.lengths == "average" else PARTS if rules.lengths == "validation" else len(rules.lengths)
        timed = min(rules.passes * rules.repeats * lengths * latency_s, rules.seconds)
        seconds = networks * timed * (rules.repeats + rules.warmup) / rules.repeats
        device = self.settings.device(place[1])
        source = f"{networks:,.0f} networks of {1e3 * latency_s:g} ms, {rules.passes} visits on {place[1]}"
        return (seconds * device.threads, 0.0, source) if device.connection == "local" else (0.0, seconds, source)

    # Shortlist, search, scoring

    def shortlist(self) -> Guess:
        """Estimate aligning words and bisecting the sizes of the shortlist."""
        rules = self.task.shortlist
        aligned = min(rules.align_sentences, self._pairs("train")) / 1e6 * self.figures.cpu_s("align")
        sentences = min(rules.validation_sentences, self._pairs("validation"))
        trials = (len(rules.frequent) * len(rules.translations)).bit_length()
        whole, short = (self.figures.sentence_s("torch", "fp32", shortlist=chosen) for chosen in (False, True))
        return self._cpu(aligned + sentences * (whole + trials * short) * self._size())

    def front(self) -> Guess:
        """Estimate the search for all budgets."""
        return self._cpu(self._evaluating(self.task.search.evaluations))

    def search(self) -> Guess:
        """Estimate the search for a budget, with measuring the best candidates once."""
        chosen = self.task.search
        evaluations = {
            "random": chosen.evaluations,
            "genetic": chosen.population + chosen.iterations * (chosen.mutations + chosen.crossovers),
        }
        evaluating_s = self._evaluating(evaluations.get(chosen.algorithm, chosen.top_up))
        if not chosen.verify or self.settings.device(self.wildcards["device"]).latency is not None:
            return self._cpu(evaluating_s)
        cpu_s, waiting_s, source = self._device_s(chosen.verify)
        return self._cpu(evaluating_s + cpu_s, waiting_s, source)

    def _evaluating(self, evaluations: int) -> float:
        """Return the CPU seconds of evaluations by loss."""
        chosen = self.task.search
        if chosen.objective != "loss" or chosen.gpus:
            raise Unknown("evaluation")
        return evaluations * self._losses(min(chosen.validation_sentences, self._pairs("validation")))

    def _losses(self, sentences: int) -> float:
        """Return the CPU seconds of the loss of some sentences, of a network between the smallest and the largest."""
        space = SearchSpace(self.scope.space)
        gflop = (self._gflop(space.smallest) + self._gflop(space.largest)) / 2
        return sentences * gflop * self.figures.cpu_s("evaluation")

    def export(self) -> Guess:
        """Estimate exporting the largest network."""
        return self._cpu(self._parameters() / 1e6 * self.figures.cpu_s("export"))

    def score(self) -> Guess:
        """Estimate translating the test split with the largest network, and two losses of the validation split."""
        name = self.wildcards["device"]
        device, sentences = self.settings.device(name), self._pairs("test")
        if device.accelerator is not None:
            raise Unknown("accelerator")
        if self.task.scoring.max_sentences is not None:
            sentences = min(sentences, self.task.scoring.max_sentences)
        shortlist = self.settings.uses_shortlist(self.name, name)
        sentence_s = self.figures.sentence_s(device.runtime, device.precision, shortlist=shortlist)
        return self._cpu(sentences * sentence_s * self._size() + 2 * self._losses(self._pairs("validation")))

    def _size(self) -> float:
        """Return the FLOPs of the largest network in multiples of Transformer-Base, which the figures hold for."""
        return self._gflop(SearchSpace(self.scope.space).largest) / float(
            self.figures.content["sentence_gflop"]["value"]
        )

    def _gflop(self, architecture: Architecture) -> float:
        return Profile.of(architecture, self._shape(), LENGTH).flops / 1e9

    def _parameters(self) -> int:
        """Count the parameters of the largest Architecture."""
        return Profile.of(SearchSpace(self.scope.space).largest, self._shape(), length=1).params

    def _shape(self) -> Shape:
        """Return the shape of the networks; missing dictionaries count with their published size."""
        return task_shape(self.scope, missing=PUBLISHED_SHAPE.source_vocabulary)

    def _cpu(self, seconds: float, waiting_s: float = 0.0, source: str | None = None) -> Guess:
        """Return an estimate of CPU time, starting Python included."""
        cpu_s = seconds + self.figures.cpu_s("start")
        sources = tuple(self.figures.read) if source is None else (source, *self.figures.read)
        return Guess(sources=sources, cpu_hours=cpu_s / 3600, waiting_hours=waiting_s / 3600)


def _networks(training: SuperTraining) -> int:
    """Return the number of networks that each batch trains."""
    return 2 + training.sandwich_random if training.sampling == "sandwich" else 1


RULES: Mapping[str, Callable[[FirstJob], Guess]] = {
    "fetch_sources": FirstJob.fetch,
    "extract_corpus": FirstJob.extract,
    "tokenise_corpus": FirstJob.tokenise,
    "binarise_corpus": FirstJob.binarise,
    "train_supertransformer": FirstJob.supertransformer,
    "train_subtransformer": FirstJob.subtransformer,
    "make_shortlist": FirstJob.shortlist,
    "choose_architectures": FirstJob.quick,
    "sample_latency": FirstJob.sample,
    "collect_dataset": FirstJob.quick,
    "fit_predictor": FirstJob.fit,
    "choose_budgets": FirstJob.quick,
    "search_front": FirstJob.front,
    "search": FirstJob.search,
    "export_model": FirstJob.export,
    "measure_model": FirstJob.measure,
    "score": FirstJob.score,
}
