"""Accuracy of the predictor on latencies published with HAT, beside the published network: tables on standard output.

    python tests/benchmarks/predictor.py [FOLDER] [--network-splits 10] [--models linear,boosting,mlp] [--rows FILE]

FOLDER holds measured latencies in the published form (default tests/data/latency). Ten splits, 200 held-out
rows; our regressions are fitted to 100 other rows, the published network to 1,600. For the linear regression, which is
what `hat latency fit` chooses there, also the part of the held-out rows within its upper bound. The first splits of all
files come first; with FILE each fit is kept there as it ends, and an interrupted run goes on where it was. The second
table compares the linear regression and the network on the splits that the network was run on.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from hat.artifacts.files import read_jsonl
from hat.latency.predictor.accuracy import kendall_tau
from hat.latency.predictor.averages import read_published
from hat.latency.predictor.features import rows_of
from hat.latency.predictor.fitting import fit_bounded
from hat.latency.predictor.regressions import REGRESSIONS
from hat.measure.workload import Workload
from hat.space.profile import PUBLISHED_SHAPE

TRAIN, NETWORK_TRAIN, HELD_OUT, SPLITS = 100, 1600, 200, 10
WORKLOAD = Workload(
    shape=PUBLISHED_SHAPE,
    source_length=30,
    target_length=30,
    beam=5,
)
Figures = dict[str, float]


def fitted_errors(path: Path, model: str, split: int) -> Figures:
    """Return the held-out errors of a regression on one split of a file."""
    networks, latencies = read_published(path)
    rows = rows_of(networks, WORKLOAD)
    order = np.random.default_rng(split).permutation(len(rows))
    # The same held-out rows for all.
    test, rest = order[:HELD_OUT], order[HELD_OUT:]
    train = rest[: NETWORK_TRAIN if model == "mlp" else TRAIN]
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
    return figures


def name_of(path: Path) -> str:
    """Name of a file of latencies, without .csv or .csv.gz."""
    return path.name.partition(".")[0]


def mean_of(rows: list[Figures], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("tests/data/latency"))
    parser.add_argument("--network-splits", type=int, default=SPLITS, help="splits of the published network")
    parser.add_argument("--models", default="linear,boosting,mlp")
    parser.add_argument("--rows", type=Path, help="JSON-lines file that fits are kept in")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(chosen.folder.glob("*.csv*"))
    if not files:
        print(f"{chosen.folder}: no latency file there, nothing to check")
    models = chosen.models.split(",")
    done: dict[tuple[str, str, int], Figures] = {}
    for row in read_jsonl(chosen.rows) if chosen.rows else []:
        done[row["file"], row["model"], row["split"]] = row["figures"]
    for split in range(SPLITS):
        for path in files:
            for model in models:
                key = (name_of(path), model, split)
                if key in done or (model == "mlp" and split >= chosen.network_splits):
                    continue
                done[key] = fitted_errors(path, model, split)
                if chosen.rows:
                    row = {"file": name_of(path), "model": model, "split": split, "figures": done[key]}
                    with open(chosen.rows, "a") as stream:
                        stream.write(json.dumps(row) + "\n")
    for path in files:
        for model in models:
            rows = [figures for (file, name, _), figures in done.items() if (file, name) == (name_of(path), model)]
            shown = "  ".join(f"{name} {mean_of(rows, name):.4g}" for name in rows[0]) if rows else "not run"
            print(f"{name_of(path):28} {model:10} {len(rows):2} splits  {shown}")
    print("\n| data | splits | linear, MAPE, % | MLP, MAPE, % | better | linear, tau | MLP, tau | better |")
    for path in files:
        file = name_of(path)
        both = [split for split in range(SPLITS) if {(file, name, split) for name in ("linear", "mlp")} <= set(done)]
        cells = [f"`{file}`", str(len(both))]
        for name, sign in (("MAPE, %", -1), ("tau", 1)):
            linear, network = ([done[file, model, split] for split in both] for model in ("linear", "mlp"))
            wins = sum(sign * (one[name] - other[name]) > 0 for one, other in zip(linear, network, strict=True))
            means = [f"{mean_of(rows, name):.3f}" if both else "-" for rows in (linear, network)]
            cells += [*means, f"{wins} of {len(both)}"]
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
