"""Paths of artifacts below results/."""

from pathlib import Path, PurePosixPath

from hat.artifacts.table import kind_of

# The workflow's folder for everything it makes.
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
        """Return the folder of text after each step, codes, dictionaries, binarised splits, counts."""
        return self.root / task / "data"

    def supertransformer(self, task: str) -> Path:
        """Return the folder of the SuperTransformer's ``checkpoint.pt``, ``metrics.jsonl`` and ``config.json``."""
        return self.root / task / "supertransformer"

    def shortlist(self, task: str) -> Path:
        """Return the folder of ``vmap.txt`` and ``shortlist.json``, the task's lexical shortlist."""
        return self.root / task / "shortlist"

    def baseline(self, task: str, baseline: str) -> Path:
        """Return a baseline's folder of ``checkpoint.pt``, ``metrics.jsonl`` and ``config.json``, for all devices."""
        return self.root / task / "baselines" / baseline

    def latency(self, task: str, device: str) -> Path:
        """Return the folder of ``architectures.jsonl``, ``samples/SHARD.jsonl`` and ``dataset.parquet``."""
        return self.root / task / device / "latency"

    def predictor(self, task: str, device: str) -> Path:
        """Return the folder of ``predictor.json``, ``errors.json`` and ``accuracy.png``."""
        return self.root / task / device / "predictor"

    def budgets(self, task: str, device: str) -> Path:
        """Return the path of ``budgets.json``: budgets chosen from the predicted range."""
        return self.root / task / device / "budgets.json"

    def translated(self, task: str, teacher: str) -> Path:
        """Return the folder of the training set with the translations of a teacher as targets."""
        return self.root / task / "translated" / teacher

    def evaluations(self, task: str) -> Path:
        """Return the path of Architectures' objective values, shared by all devices, budgets and search algorithms."""
        return self.root / task / "search" / "evaluations.jsonl"

    def search(self, task: str, device: str) -> Path:
        """Return the folder of ``candidates.parquet``, ``front.parquet``, ``front.json`` and ``measurements.jsonl``."""
        return self.root / task / device / "search"

    def budget(self, task: str, device: str, budget: str) -> Path:
        """Return the folder of everything made for one budget or baseline: ``bleu.txt``, ``latency.json``, ..."""
        return self.root / task / device / budget

    @property
    def usage(self) -> Path:
        """Resources that each stage used, in the same folders as the logs."""
        return self.root / "usage"

    @property
    def figures(self) -> Path:
        """Figures, as PDF, PNG and CSV."""
        return self.root / "figures"

    @property
    def tables(self) -> Path:
        """Tables, as CSV and Markdown."""
        return self.root / "tables"
