"""Where every artifact stands below results/: the one place that knows, beside the rules' patterns."""

from pathlib import Path


class Results:
    """Paths of artifacts.

    Args:
        root: the results folder.
    """

    def __init__(self, root: Path | str = "results") -> None:
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

    def latency(self, task: str, device: str) -> Path:
        """Folder of ``architectures.jsonl``, ``samples/SHARD.jsonl`` and ``dataset.parquet``."""
        return self.root / task / device / "latency"

    def predictor(self, task: str, device: str) -> Path:
        """Folder of ``predictor.json`` and ``errors.json``."""
        return self.root / task / device / "predictor"

    def budgets(self, task: str, device: str) -> Path:
        """Budgets read off the predicted range."""
        return self.root / task / device / "budgets.json"

    def budget(self, task: str, device: str, budget: str) -> Path:
        """Folder of everything made for one budget: ``architecture.json``, ``search.parquet``, ..."""
        return self.root / task / device / budget

    def subtransformer(self, task: str, device: str, budget: str) -> Path:
        """Folder of ``checkpoint.pt``, ``metrics.jsonl``, ``config.json`` of the trained winner."""
        return self.budget(task, device, budget) / "subtransformer"

    def model(self, task: str, device: str, budget: str) -> Path:
        """The deployed folder: `hat translate` needs nothing else."""
        return self.budget(task, device, budget) / "model"

    @property
    def figures(self) -> Path:
        """Figures, as PDF, PNG and CSV."""
        return self.root / "figures"

    @property
    def tables(self) -> Path:
        """Tables, as CSV and Markdown."""
        return self.root / "tables"
