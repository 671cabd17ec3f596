"""Where every artifact stands below results/: the one place that knows, beside the rules' patterns."""

import re
from pathlib import Path, PurePosixPath

# Names below a task's and a device's folder that are no device and no budget.
OF_A_TASK = frozenset({"data", "supertransformer", "shortlist", "baselines", "search", "translated"})
OF_A_DEVICE = frozenset({"latency", "predictor", "budgets.json", "elastic", "search"})
# Candidates of a budget: those of its search, and those drawn at random to compare it with.
SEARCH, RANDOM_SEARCH = "search.parquet", "random-search.parquet"

# Where the workflow keeps everything.
ROOT = "results"
_NETWORK = r"(checkpoint\.pt|config\.json|metrics\.jsonl)"
_BUDGET = r"[^/]+/[^/]+/(?!predictor/|latency/|search/|elastic/)[^/]+"
# Files below results/, and what Snakemake has to be asked for to have them: nothing behind it, the file itself.
_TARGETS = tuple(
    (re.compile(pattern), target)
    for pattern, target in (
        (r"(published/data/[^/]+)/.+", r"\1/binary/counts.json"),
        (r"(published/[^/]+)/(model)(/.+)?", r"\1/model/model.json"),
        (r"(published/[^/]+)/subtransformer/.+", r"\1/subtransformer/checkpoint.pt"),
        (r"published/[^/]+/(latency\.json|score\.json|bleu\.txt)", ""),
        (r"([^/]+/data)/(binary/.+|dict\.[^/]+\.txt)", r"\1/binary/counts.json"),
        (r"([^/]+/data)/((words|tokens)/.+|codes)", r"\1/codes"),
        (r"([^/]+/data)/(raw/.+|counts\.json)", r"\1/counts.json"),
        (rf"[^/]+/supertransformer/{_NETWORK}", ""),
        (rf"[^/]+/baselines/[^/]+/{_NETWORK}", ""),
        (r"([^/]+/shortlist)/(shortlist\.json|vmap\.txt)", r"\1/shortlist.json"),
        (r"([^/]+/translated/[^/]+)/.+", r"\1/translated.json"),
        (r"[^/]+/[^/]+/latency/(architectures\.jsonl|samples/[0-9]+\.jsonl|dataset\.parquet)", ""),
        (r"[^/]+/[^/]+/(predictor/(predictor|errors)\.json|budgets\.json)", ""),
        (r"[^/]+/[^/]+/search/(front\.json|candidates\.parquet|front\.parquet)", ""),
        (r"([^/]+/[^/]+/elastic)/model(/.+)?", r"\1/model/model.json"),
        (rf"{_BUDGET}/(architecture\.json|{re.escape(SEARCH)}|{re.escape(RANDOM_SEARCH)})", ""),
        (rf"{_BUDGET}/subtransformer/{_NETWORK}", ""),
        (rf"({_BUDGET}(/[^/]+)?)/model(/.+)?", r"\1/model/model.json"),
        (rf"{_BUDGET}(/[^/]+)?/(latency\.json|score\.json|bleu\.txt|hypotheses\.txt)", ""),
        (r"tables/cost\.(csv|json|md)", ""),
    )
)


def target_of(path: Path | str) -> str | None:
    """What Snakemake has to be asked for to have a file below results/; None of other files."""
    place = PurePosixPath(path)
    if place.is_absolute() or place.parts[:1] != (ROOT,):
        return None
    name = place.relative_to(ROOT).as_posix()
    for pattern, target in _TARGETS:
        if (match := pattern.fullmatch(name)) is not None:
            return f"{ROOT}/{match.expand(target) if target else name}"
    return None


class Results:
    """Paths of artifacts.

    Args:
        root: the results folder.
    """

    def __init__(self, root: Path | str = ROOT) -> None:
        self.root = Path(root)

    @property
    def downloads(self) -> Path:
        """Downloaded files, shared between tasks."""
        return self.root / "downloads"

    def data(self, task: str) -> Path:
        """Text after each step, codes, dictionaries, binarised splits, counts."""
        return self.root / task / "data"

    def supertransformer(self, task: str) -> Path:
        """Folder of ``checkpoint.pt``, ``metrics.jsonl``, ``config.json`` of the SuperTransformer."""
        return self.root / task / "supertransformer"

    def shortlist(self, task: str) -> Path:
        """Folder of ``vmap.txt`` and ``shortlist.json``, the target tokens that translations are looked for among."""
        return self.root / task / "shortlist"

    def baseline(self, task: str, baseline: str) -> Path:
        """Folder of ``checkpoint.pt``, ``metrics.jsonl``, ``config.json`` of a baseline, which no device changes."""
        return self.root / task / "baselines" / baseline

    def latency(self, task: str, device: str) -> Path:
        """Folder of ``architectures.jsonl``, ``samples/SHARD.jsonl`` and ``dataset.parquet``."""
        return self.root / task / device / "latency"

    def predictor(self, task: str, device: str) -> Path:
        """Folder of ``predictor.json``, ``errors.json`` and ``accuracy.png``."""
        return self.root / task / device / "predictor"

    def budgets(self, task: str, device: str) -> Path:
        """Budgets read off the predicted range."""
        return self.root / task / device / "budgets.json"

    def translated(self, task: str, teacher: str) -> Path:
        """Folder of the training set with the translations of a teacher for targets."""
        return self.root / task / "translated" / teacher

    def evaluations(self, task: str) -> Path:
        """What Architectures of a task are worth, for all devices, budgets and algorithms of search."""
        return self.root / task / "search" / "evaluations.jsonl"

    def search(self, task: str, device: str) -> Path:
        """Folder of ``candidates.parquet``, ``front.parquet``, ``front.json`` and ``measurements.jsonl``."""
        return self.root / task / device / "search"

    def budget(self, task: str, device: str, budget: str) -> Path:
        """Folder of everything made for one budget or baseline: ``bleu.txt``, ``latency.json``, ..."""
        return self.root / task / device / budget

    def subtransformer(self, task: str, device: str, budget: str) -> Path:
        """Folder of ``checkpoint.pt``, ``metrics.jsonl``, ``config.json`` of the trained winner."""
        return self.budget(task, device, budget) / "subtransformer"

    def trained(self, task: str, device: str, budget: str, *, baseline: bool) -> Path:
        """Folder of the trained network that is deployed for a budget, or by the name of a baseline."""
        return self.baseline(task, budget) if baseline else self.subtransformer(task, device, budget)

    def model(self, task: str, device: str, budget: str) -> Path:
        """The deployed folder: `hat translate` needs nothing else."""
        return self.budget(task, device, budget) / "model"

    def place(self, task: str, device: str, budget: str, form: str | None = None) -> Path:
        """Folder of ``model`` and of its scores: that of the budget, or of another form beside what is deployed."""
        whole = self.budget(task, device, budget)
        return whole if form is None else whole / form

    @property
    def usage(self) -> Path:
        """What each stage used of the machines that it ran on, in folders as the logs."""
        return self.root / "usage"

    @property
    def benchmarks(self) -> Path:
        """Snakemake's measurement of each job's time and memory, in folders as the logs."""
        return self.root / "benchmarks"

    @property
    def figures(self) -> Path:
        """Figures, as PDF, PNG and CSV."""
        return self.root / "figures"

    @property
    def tables(self) -> Path:
        """Tables, as CSV and Markdown."""
        return self.root / "tables"
