"""Paths of artifacts below results/."""

from pathlib import Path, PurePosixPath

from hat.artifacts.table import kind_of

# Where the workflow keeps everything.
ROOT = "results"


def target_of(path: Path | str) -> str | None:
    """Return the Snakemake target that makes a file below results/; None for any other file."""
    place = PurePosixPath(path)
    if place.is_absolute() or place.parts[:1] != (ROOT,):
        return None
    name = place.relative_to(ROOT).as_posix()
    kind = kind_of(name)
    target = None if kind is None else kind.target_of(name)
    return None if target is None else f"{ROOT}/{target}"


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

    def place(self, task: str, device: str, budget: str, variant: str | None = None) -> Path:
        """Return the folder of ``model`` and its scores, for the deployed network (None) or a variant."""
        whole = self.budget(task, device, budget)
        return whole if variant is None else whole / variant

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
