"""Names of the figures of a task on a device, and when the report has to be made again."""

from hat.artifacts.files import digest
from hat.artifacts.layout import RANDOM_SEARCH, Results

FIGURES = (
    "latency-dimensions",
    "predictor",
    "trade-off",
    "architectures",
    "search",
    "inherited",
    "training",
)
FIGURE_FILES = ("pdf", "png", "csv", "txt")
# What the report shows, below the folder of a task.
SHOWN = (
    "*/*/score.json",
    "*/*/latency.json",
    "*/*/architecture.json",
    f"*/*/{RANDOM_SEARCH}",
    "*/*/*/score.json",
    "*/predictor/errors.json",
    "*/latency/dataset.parquet",
    "supertransformer/metrics.jsonl",
)


def artifact_state(results: Results) -> str:
    """Digest of names, sizes and times of what the report shows: it changes when the report would."""
    files = sorted({path for pattern in SHOWN for path in results.root.glob(f"*/{pattern}")})
    return digest([(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files])
