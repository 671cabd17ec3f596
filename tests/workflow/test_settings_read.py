"""What each stage reads of the configuration is in its digest, or in the digest of a stage that it has inputs of."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tiny_corpora
import yaml
from settings_recorder import Recorder
from web_server import WebServer

from hat.artifacts.files import read_json
from hat.artifacts.layout import Results
from hat.config.scope import DeviceScope, TaskScope
from hat.config.settings import Settings
from hat.data.stages import binarise_corpus, extract_corpus, fetch_sources, tokenise_corpus
from hat.deploy.export import export_model
from hat.evaluate.stages import score
from hat.latency.dataset import read_parquet
from hat.latency.deployed import measure_model
from hat.latency.stages import (
    choose_architectures,
    choose_budgets,
    collect_dataset,
    fit_predictor,
    sample_shard,
)
from hat.search.front_stage import search_front
from hat.search.random_stage import random_search
from hat.search.stages import search
from hat.shortlist.stages import make_task_shortlist
from hat.train.processes import TrainingResources
from hat.train.stages import train_baseline, train_subtransformer, train_supertransformer
from hat.train.translated import translate_training
from hat.workflow.dependencies import STAGES, stage_settings
from hat.workflow.snakemake import rule_graph

TASK, BASELINE = "smoke", "tiny"
ROOT = Path(__file__).parents[2]
RULE = re.compile(r"^\s*(?:rule|checkpoint) (\w+):$|settings_of\(\"(\w+)\"\)", re.MULTILINE)
HERE = TrainingResources(threads=1)
TINY = """
network:
  {kind: transformer, qkv_dim: 32, encoder_embed_dim: 16, encoder_ffn_dim: [16], encoder_heads: [2],
   decoder_embed_dim: 16, decoder_ffn_dim: [16], decoder_self_heads: [2], decoder_cross_heads: [2],
   decoder_cross_span: [1]}
"""


# What is read and changes no result: which test sets are official ones of the languages, since extracting fetches what
# is still missing; whether a device can be measured on, which is an error; and what config.json repeats of the task's
# networks, of which a baseline shares the embeddings alone.
WITHOUT_EFFECT = {
    "fetch": {"task.source_language", "task.target_language"},
    "choose": {"device.connection"},
    "baseline": {"task.network.norm", "task.network.vocab_original_scaling"},
}


@dataclass
class Variant:
    """A way to configure the chain: keys laid over the task's, and the device."""

    task: dict = field(default_factory=dict)
    device: dict = field(default_factory=dict)
    # Latencies come from a file in place of measurements.
    external: bool = False


# One process in each stage: what workers read would not be noted.
QUICK = {"updates": 4, "validate_every": 4, "save_every": 2, "average_checkpoints": 1, "threads": 1}
SHORT = {
    "supertransformer": QUICK,
    "subtransformer": QUICK,
    "latency": {"samples": 12, "repeats": 2},
    "scoring": {"max_sentences": 4, "max_length_extra": 2},
}
LINES = 200
LIMITS = {"limits": {"params_m": 50, "flops_g": 50, "weights_mb": 500}}
VARIANTS = {
    "loss": Variant(
        {
            "search": {"verify": 1},
            "subtransformer": {"teacher": "supertransformer", "distillation": "both"},
        }
    ),
    "bleu": Variant(
        {
            "search": {"objective": "bleu", "verify": 1, **LIMITS},
            "latency": {"target_error": "30%", "lengths": "validation"},
            "scoring": {"tokenised": "words"},
        },
        {"shortlist": False},
    ),
    "external": Variant({"search": {"objective": "bleu", "verify": 1, **LIMITS}}, {"shortlist": False}, external=True),
}


class Chain:
    """Runs the stages of a variant in this process, in order, and keeps what each has read."""

    def __init__(self, project, variant: Variant) -> None:
        self.folder = project.folder
        file = self.folder / f"config/tasks/{TASK}.yaml"
        values = yaml.safe_load(file.read_text())
        for changes in (SHORT, variant.task):
            values |= {section: values.get(section, {}) | keys for section, keys in changes.items()}
        file.write_text(yaml.safe_dump(values))
        corpus = self.folder / "corpus.tsv"
        corpus.write_text("".join(corpus.read_text().splitlines(keepends=True)[:LINES]))
        (self.folder / f"config/baselines/{BASELINE}.yaml").write_text(TINY)
        local = self.folder / "config/devices/local.yaml"
        local.write_text(yaml.safe_dump(yaml.safe_load(local.read_text()) | variant.device))
        settings = Settings(folder=self.folder / "config")
        self.scope = DeviceScope(settings, Results(self.folder / "results"), TASK, "local")
        self.read: dict[str, set[str]] = {}
        self.baseline: str | None = None
        self.data()
        self.measured()
        if variant.external:
            self.as_external()
        self.searched()
        self.network(read_json(self.scope.budgets)["budgets"][-1])

    def stage(self, stage, function, *arguments, **options):
        """Run a stage."""
        with Recorder(self.scope, self.baseline)() as read:
            function(self.scope, *arguments, **options)
        self.read.setdefault(stage, set()).update(read)

    def data(self) -> None:
        self.stage("fetch", fetch_sources)
        self.stage("extract", extract_corpus)
        self.stage("tokenise", tokenise_corpus, processes=1)
        self.stage("binarise", binarise_corpus, processes=1)
        self.stage("supertransformer", train_supertransformer, HERE)
        if self.scope.uses_shortlist:
            self.stage("shortlist", make_task_shortlist)

    def measured(self) -> None:
        self.stage("choose", choose_architectures)
        self.stage("sample", sample_shard, 0)
        self.stage("collect", collect_dataset)

    def as_external(self) -> None:
        """Go on with a device that has the file of latencies that was just measured, and no host."""
        frame = read_parquet(self.scope.latency / "dataset.parquet")
        frame.attrs.clear()
        frame.to_parquet(self.folder / "latencies.parquet")
        values = {"connection": "ssh", "latency": "latencies.parquet", "runtime": "torch", "shortlist": False}
        (self.folder / "config/devices/board.yaml").write_text(yaml.safe_dump(values))
        self.scope = self.scope.with_settings(Settings(folder=self.folder / "config")).on("board")
        for stage in ("choose", "sample", "collect"):
            del self.read[stage]
        self.stage("collect", collect_dataset)

    def searched(self) -> None:
        self.stage("fit", fit_predictor)
        self.stage("budgets", choose_budgets)
        self.stage("front", search_front)

    def network(self, budget: str) -> None:
        self.scope = self.scope.of(budget)
        self.stage("search", search)
        self.stage("random_search", random_search)
        if self.scope.task_settings.subtransformer.teacher is not None:
            self.stage("translate", translate_training, HERE)
        self.stage("subtransformer", train_subtransformer, HERE)
        self.deployed()

    def compared(self) -> None:
        """Forget the stages so far, and run those of a baseline."""
        self.read, self.baseline = {}, BASELINE
        self.scope = self.scope.of(BASELINE)
        self.stage("baseline", train_baseline, BASELINE, HERE)
        self.deployed()

    def deployed(self) -> None:
        self.stage("export", export_model)
        self.stage("export_form", export_model, "int8")
        if self.scope.device == "local":
            self.stage("measure", measure_model)
        self.stage("score", score)

    def unnamed(self) -> dict[str, set[str]]:
        """What each stage has read that no digest has of it or of a stage before it."""
        behind = upstream(self.targets)
        # All stages behind the targets were run, but those of the task for a baseline.
        assert set(self.read) == set(behind) or (self.baseline is not None and set(self.read) < set(behind))
        named = {}
        for stage in set().union(*behind.values()):
            # The stages before those of a baseline are those of the task.
            baseline = self.baseline if stage in self.read else None
            named[stage] = resolved_names(self.scope.settings, stage, TASK, self.scope.device, baseline)
        found = {}
        for stage, read in self.read.items():
            known = set().union(*(named[one] for one in behind[stage]))
            if left := left_of(stage, read, known):
                found[stage] = left
        return found

    @property
    def targets(self) -> list[str]:
        """Targets that all these stages are behind."""
        files = ["bleu.txt", "int8/model/model.json"]
        files += ["latency.json"] if self.scope.device == "local" else []
        files += ["random-search.parquet"] if self.baseline is None else []
        paths = [self.scope.budgets, *(self.scope.folder / name for name in files)]
        return [str(path.relative_to(self.folder)) for path in paths]


def resolved_names(*place) -> set[str]:
    """What the digest of a stage has, by the names of what is read; arguments as of ``stage_settings``."""
    found = stage_settings(*place)
    # Where words are counted, that is the whole section.
    words = {"task.tokenisation"} if found.get("extracted_tokenisation") else set()
    # Otherwise it says that they are not.
    tokens = {"task.tokenisation.limits"} if "extracted_tokenisation" in found else set()
    return {*found, *words, *tokens}


def left_of(stage: str, read: set[str], known: set[str]) -> set[str]:
    """What a stage has read that is neither known, by itself or with its section, nor without effect."""

    def is_known(name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:count]) in known for count in range(1, len(parts) + 1))

    return {name for name in read - WITHOUT_EFFECT.get(stage, set()) if not is_known(name)}


def stages_of_rules() -> dict[str, str]:
    """The stage of each rule that has the digest of one."""
    found, rule = {}, ""
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for name, stage in RULE.findall(path.read_text()):
            rule = name or rule
            if stage:
                found.setdefault(rule, stage)
    return found


def upstream(targets: list[str]) -> dict[str, set[str]]:
    """For each stage behind the targets, the stages that it has inputs of, directly or not, and itself."""
    graph, stages = rule_graph(targets), stages_of_rules()
    labels = dict(re.findall(r"(\d+)\[label = \"(\w+)", graph))
    before: dict[str, set[str]] = {name: set() for name in labels}
    for source, target in re.findall(r"(\d+) -> (\d+)", graph):
        before[target].add(source)

    def behind(number: str) -> set[str]:
        return {number}.union(*map(behind, before[number]))

    return {
        stages[rule]: {stages[labels[one]] for one in behind(number) if labels[one] in stages}
        for number, rule in labels.items()
        if rule in stages
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_stages_read_what_digests_have(project, monkeypatch, name):
    monkeypatch.chdir(project.folder)
    chain = Chain(project, VARIANTS[name])
    assert chain.unnamed() == {}
    if name == "loss":
        assert set(chain.read) == set(STAGES)
        chain.compared()
        assert chain.unnamed() == {}


@pytest.mark.parametrize("task", tiny_corpora.TASKS)
def test_stages_of_archives_read_what_digests_have(task, tmp_path):
    server = WebServer(tiny_corpora.TASKS[task]()[0])
    settings = Settings(tiny_corpora.overrides(task, server.url), ROOT / "config")
    scope = TaskScope(settings, Results(tmp_path / "results"), task)
    known: set[str] = set()
    for stage, function, options in (
        ("fetch", fetch_sources, {}),
        ("extract", extract_corpus, {}),
        ("tokenise", tokenise_corpus, {"processes": 1}),
        ("binarise", binarise_corpus, {"processes": 1}),
    ):
        with Recorder(scope)() as read:
            function(scope, **options)
        known |= resolved_names(settings, stage, task)
        assert left_of(stage, read, known) == set()
