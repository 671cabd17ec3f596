"""Names of a device's figures, and the digest that decides whether the report is out of date."""

from hat.artifacts.files import digest
from hat.artifacts.layout import Results
from hat.artifacts.table import KINDS

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


def artifact_state(results: Results) -> str:
    """Return a digest of names, sizes and times of everything that the report shows."""
    patterns = [pattern for kind in KINDS if kind.shown for pattern in kind.globs()]
    files = sorted({path for pattern in patterns for path in results.root.glob(pattern)})
    return digest([(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files])
