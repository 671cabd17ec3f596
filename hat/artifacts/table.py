"""The table of all kinds of artifacts: their paths below results/, the targets that make them, and who shows them.

Words in capitals are placeholders for names; PATH matches any path. The workflow's rules have the same paths as
literals, and a test compares both. Schemas of JSON artifacts refer to this table by name
(:mod:`hat.schemas.catalogue`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

PLACEHOLDER = re.compile(r"\b[A-Z]+\b")
# Candidates for a budget: from its search, and random ones to compare the search with.
SEARCH, RANDOM_SEARCH = "search.parquet", "random-search.parquet"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of artifact.

    Attributes:
        name: identifies the kind; a JSON artifact's schema has the same name.
        folders: folders below results/, with placeholders.
        names: names of the files in each of these folders, with placeholders.
        what: description, one line.
        target: the Snakemake target in the same folder that makes the files; empty if each file is its own target,
            None if no target makes them.
        shown: whether the report and the tables read the files, and so depend on them.
        stage: name in `hat status` of the stage that has ended once the file of a budget exists.
        searched: whether the files come from a search, so that baselines have none.
        whole: whether the file is written last, so that its presence means that its folder is complete.
    """

    name: str
    folders: tuple[str, ...]
    names: tuple[str, ...]
    what: str
    target: str | None = ""
    shown: bool = False
    stage: str | None = None
    searched: bool = False
    whole: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the kind's files below results/, with placeholders."""
        return tuple(f"{folder}/{name}".lstrip("/") for folder in self.folders for name in self.names)

    def matches(self, file: str) -> bool:
        """Whether a path below results/ is of this kind."""
        return any(expression(pattern).fullmatch(file) for pattern in self.files)

    def target_of(self, file: str) -> str | None:
        """Return the target that makes a file of this kind, both below results/; None if no target does."""
        for folder in self.folders:
            for name in self.names:
                if (found := expression(f"{folder}/{name}".lstrip("/")).fullmatch(file)) is not None:
                    if self.target is None:
                        return None
                    if not self.target:
                        return file
                    return PLACEHOLDER.sub(lambda word: found[word[0]], f"{folder}/{self.target}")
        return None

    def globs(self) -> tuple[str, ...]:
        """Return glob patterns for its files below results/."""
        return tuple(PLACEHOLDER.sub("*", file) for file in self.files)


BUDGET = "TASK/DEVICE/BUDGET"
TRAINED = ("TASK/supertransformer", "TASK/baselines/BASELINE", f"{BUDGET}/subtransformer")
IMPORTED = ("published/NAME/subtransformer", "published/NAME/supertransformer")
DEPLOYED = (BUDGET, f"{BUDGET}/VARIANT", "published/NAME")
MODELS = (*DEPLOYED, "TASK/DEVICE/elastic")
TABLES = ("main", "inherited", "significance", "quantisation", "architectures", "predictors", "benchmarks")

# The first kind that matches a path is its kind.
KINDS = (
    Kind(
        name="counts",
        folders=("TASK/data",),
        names=("counts.json",),
        what="Counts and overlap of the splits.",
        whole=True,
    ),
    Kind(
        name="text", folders=("TASK/data",), names=("raw/PATH",), what="The text of each split.", target="counts.json"
    ),
    Kind(name="codes", folders=("TASK/data",), names=("codes",), what="Byte-pair codes."),
    Kind(
        name="tokens",
        folders=("TASK/data",),
        names=("words/PATH", "tokens/PATH"),
        what="Words, and their byte-pair pieces.",
        target="codes",
    ),
    Kind(
        name="binary-counts",
        folders=("TASK/data", "published/data/TASK"),
        names=("binary/counts.json",),
        what="Counts of the binarised splits.",
        whole=True,
    ),
    Kind(
        name="binary",
        folders=("TASK/data",),
        names=("binary/PATH", "dict.LANGUAGE.txt"),
        what="Token ids of the splits, and the dictionaries.",
        target="binary/counts.json",
    ),
    Kind(
        name="published-counts",
        folders=("published/data/TASK",),
        names=("counts.json",),
        what="Counts of the splits that the research code published.",
        target="binary/counts.json",
    ),
    Kind(
        name="published-data",
        folders=("published/data/TASK",),
        names=("PATH",),
        what="The splits that the research code published.",
        target="binary/counts.json",
    ),
    Kind(name="checkpoint", folders=TRAINED, names=("checkpoint.pt",), what="Weights of a trained network."),
    Kind(
        name="metrics",
        folders=TRAINED,
        names=("metrics.jsonl",),
        what="The course of a training, a row per report.",
        shown=True,
    ),
    Kind(
        name="training",
        folders=TRAINED,
        names=("config.json",),
        what="A trained network: its resolved settings and its results.",
    ),
    Kind(
        name="imported",
        folders=IMPORTED[:1],
        names=("config.json", "PATH"),
        what="A published SubTransformer, converted.",
        target="checkpoint.pt",
    ),
    Kind(
        name="imported-super",
        folders=IMPORTED[1:],
        names=("config.json", "PATH"),
        what="A published SuperTransformer, converted.",
        target=None,
    ),
    Kind(
        name="translated",
        folders=("TASK/translated/TEACHER",),
        names=("translated.json",),
        what="The training set with a teacher's translations as targets.",
    ),
    Kind(
        name="translations",
        folders=("TASK/translated/TEACHER",),
        names=("PATH",),
        what="Token ids of a teacher's translations.",
        target="translated.json",
    ),
    Kind(
        name="shortlist",
        folders=("TASK/shortlist",),
        names=("shortlist.json",),
        what="The chosen size of the lexical shortlist, and all sizes compared.",
    ),
    Kind(
        name="shortlist-tokens",
        folders=("TASK/shortlist",),
        names=("vmap.txt",),
        what="The shortlist's target tokens for each source token.",
        target="shortlist.json",
    ),
    Kind(
        name="evaluations",
        folders=("TASK/search",),
        names=("evaluations.jsonl",),
        what="Objective values of Architectures, a row for some blocks of sentences each.",
        target=None,
    ),
    Kind(
        name="objectives",
        folders=("TASK/search",),
        names=("objectives.json",),
        what="How well validation loss predicts the BLEU ranking.",
        target=None,
    ),
    Kind(
        name="architectures",
        folders=("TASK/DEVICE/latency",),
        names=("architectures.jsonl",),
        what="The Architectures to measure, a row each after a header.",
    ),
    Kind(
        name="samples",
        folders=("TASK/DEVICE/latency",),
        names=("samples/SHARD.jsonl",),
        what="Measured Architectures, a row each after a header.",
    ),
    Kind(
        name="dataset",
        folders=("TASK/DEVICE/latency",),
        names=("dataset.parquet",),
        what="All measured Architectures of a device.",
        shown=True,
    ),
    Kind(
        name="predictor", folders=("TASK/DEVICE/predictor",), names=("predictor.json",), what="The latency predictor."
    ),
    Kind(
        name="errors",
        folders=("TASK/DEVICE/predictor",),
        names=("errors.json",),
        what="Held-out errors of the predictor.",
        shown=True,
    ),
    Kind(
        name="accuracy",
        folders=("TASK/DEVICE/predictor",),
        names=("accuracy.pdf", "accuracy.png", "accuracy.csv"),
        what="Predicted against measured latency, drawn.",
    ),
    Kind(
        name="budgets",
        folders=("TASK/DEVICE",),
        names=("budgets.json",),
        what="Budgets chosen from the predicted range.",
    ),
    Kind(name="front", folders=("TASK/DEVICE/search",), names=("front.json",), what="The search for all budgets."),
    Kind(
        name="front-candidates",
        folders=("TASK/DEVICE/search",),
        names=("candidates.parquet", "front.parquet"),
        what="Candidates of the search for all budgets, and those on the Pareto front.",
    ),
    Kind(
        name="measurements",
        folders=("TASK/DEVICE/search",),
        names=("measurements.jsonl",),
        what="Candidates measured on the device, a row per visit.",
        target=None,
    ),
    Kind(
        name="architecture",
        folders=(BUDGET,),
        names=("architecture.json",),
        what="The winner of a search, and why it won.",
        shown=True,
        stage="searched",
        searched=True,
    ),
    Kind(
        name="search", folders=(BUDGET,), names=(SEARCH,), what="Every candidate evaluated for a budget.", searched=True
    ),
    Kind(
        name="random-search",
        folders=(BUDGET,),
        names=(RANDOM_SEARCH,),
        what="Random candidates, to compare the search with.",
        shown=True,
        searched=True,
    ),
    Kind(
        name="model",
        folders=MODELS,
        names=("model/model.json",),
        what="The deployed model: what it is and how to run it.",
        stage="exported",
        whole=True,
    ),
    Kind(
        name="deployed",
        folders=MODELS,
        names=("model", "model/PATH"),
        what="The files of the deployed model.",
        target="model/model.json",
    ),
    Kind(
        name="latency",
        folders=DEPLOYED,
        names=("latency.json",),
        what="Latency of the deployed model on the device, end to end, sentence by sentence.",
        shown=True,
        stage="measured",
    ),
    Kind(name="bleu", folders=DEPLOYED, names=("bleu.txt",), what="BLEU and its signature.", stage="scored"),
    Kind(
        name="score", folders=DEPLOYED, names=("score.json",), what="All scores of the test translations.", shown=True
    ),
    Kind(name="hypotheses", folders=DEPLOYED, names=("hypotheses.txt",), what="Translations of the test split."),
    Kind(
        name="cost",
        folders=("tables",),
        names=("cost.json", "cost.csv", "cost.md"),
        what="Estimated cost of searches.",
    ),
    Kind(
        name="table",
        folders=("tables",),
        names=tuple(f"{name}.json" for name in TABLES),
        what="A table over all tasks and devices.",
        target=None,
    ),
    Kind(
        name="compression",
        folders=("tables",),
        names=("TASK-DEVICE-compression.json",),
        what="Size and scores per precision.",
        target=None,
    ),
    Kind(
        name="summary",
        folders=("tables",),
        names=("TASK-DEVICE.json",),
        what="The summary of a task on a device.",
        target=None,
    ),
    Kind(
        name="figures",
        folders=("figures/PATH",),
        names=("figures.json",),
        what="The figures of a folder, and what is missing.",
        target=None,
    ),
    Kind(
        name="usage",
        folders=("usage",),
        names=("PATH.jsonl",),
        what="Resources that a stage used, a row each.",
        target=None,
    ),
    Kind(name="report", folders=("",), names=("report.html",), what="One page with all results."),
)
# Folders at the top of results/ that belong to no task and appear in no kind.
APART = frozenset({"downloads", "logs", "benchmarks"})
# Unfinished work has this name in every folder.
PARTIAL = "partial"


@cache
def reserved(*before: str) -> frozenset[str]:
    """Return the literal names below some placeholders, which no task, device, budget or variant may have.

    ``reserved()`` returns the names at the top of results/, ``reserved("TASK")`` those in the folder of a task, and so
    on.
    """
    depth = len(before)
    names = {
        parts[depth]
        for kind in KINDS
        for file in kind.files
        if len(parts := file.split("/")) > depth and tuple(parts[:depth]) == before
    }
    own = {name for name in names if not PLACEHOLDER.search(name)}
    return frozenset(own | {PARTIAL} | (APART if not before else set()))


@cache
def expression(pattern: str) -> re.Pattern[str]:
    """Return a regular expression for a path with placeholders; no placeholder matches a reserved name."""
    found: list[str] = []
    before: list[str] = []
    for part in pattern.split("/"):
        if PLACEHOLDER.fullmatch(part) and part != "PATH":
            taken = "|".join(map(re.escape, sorted(reserved(*before))))
            found.append(f"(?P<{part}>(?!(?:{taken})(?:/|$))[^/]+)")
        else:
            found.append("".join(_expressions(part)))
        before.append(part)
    return re.compile("/".join(found))


def _expressions(part: str) -> Iterator[str]:
    for piece in re.split(rf"({PLACEHOLDER.pattern})", part):
        if not PLACEHOLDER.fullmatch(piece):
            yield re.escape(piece)
        elif piece == "PATH":
            yield "(?P<PATH>.+)"
        else:
            yield f"(?P<{piece}>[^/]+)"


def kind_of(file: str) -> Kind | None:
    """Return the kind of a file below results/; None if no kind matches."""
    return next((kind for kind in KINDS if kind.matches(file)), None)
