"""Accuracy of the predictor on latencies published with HAT, beside the published network: tables on standard output.

    python tests/benchmarks/predictor.py [FOLDER] [--network-splits 10] [--models linear,boosting,mlp]

FOLDER holds measured latencies in the published form (default ../shared/reference/latency). Ten splits, 200 held-out
rows; our regressions are fitted to 100 other rows, the published network to 1,600. For the linear regression, which is
what `hat latency fit` chooses there, also the part of the held-out rows within its upper bound.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from hat.latency.accuracy import kendall_tau
from hat.latency.averaged import read_published
from hat.latency.features import rows_of
from hat.latency.fitting import fit_bounded
from hat.latency.regressions import REGRESSIONS
from hat.latency.workload import Workload
from hat.profile import PUBLISHED_SHAPE

TRAIN, NETWORK_TRAIN, HELD_OUT, SPLITS = 100, 1600, 200, 10
WORKLOAD = Workload(
    shape=PUBLISHED_SHAPE,
    source_length=30,
    target_length=30,
    beam=5,
)
Figures = dict[str, float]


def errors_of(path: Path, model: str, splits: int = SPLITS) -> Figures:
    """Held-out errors of a regression on a file, means over the splits."""
    networks, latencies = read_published(path)
    rows = rows_of(networks, WORKLOAD)
    count = NETWORK_TRAIN if model == "mlp" else TRAIN
    found = []
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(rows))
        # The same held-out rows for all.
        test, train = order[:HELD_OUT], order[HELD_OUT : HELD_OUT + count]
        started = time.process_time()
        regression = REGRESSIONS[model].fit(rows.take(train), latencies[train], split)
        seconds = time.process_time() - started
        predicted, measured = regression.predict(rows.take(test)), latencies[test]
        figures = {
            "RMSE, ms": float(np.sqrt(np.mean((predicted - measured) ** 2))),
            "MAPE, %": 100 * float(np.mean(np.abs(predicted - measured) / measured)),
            "tau": kendall_tau(measured, predicted),
            "fit, s": seconds,
        }
        if model == "linear":
            bounded = fit_bounded(rows.take(train), latencies[train], seed=split)
            figures["within bound, %"] = 100 * float(np.mean(measured <= bounded.upper_bound(rows.take(test))))
        found.append(figures)
    return {name: float(np.mean([figures[name] for figures in found])) for name in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default="../shared/reference/latency")
    parser.add_argument("--network-splits", type=int, default=SPLITS, help="splits of the published network")
    parser.add_argument("--models", default="linear,boosting,mlp")
    chosen = parser.parse_args()
    files = sorted(chosen.folder.glob("*.csv"))
    if not files:
        print(f"{chosen.folder}: no latency file there, nothing to check")
    for path in files:
        for model in chosen.models.split(","):
            figures = errors_of(path, model, chosen.network_splits if model == "mlp" else SPLITS)
            shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"{path.stem:28} {model:10} {shown}", flush=True)


if __name__ == "__main__":
    main()
