"""Designed against random samples: held-out error of the predictor by number of samples.

    python tests/benchmarks/selection.py [FOLDER] [--dataset results/bibleende/local/latency/dataset.parquet]

Samples are taken from measured ones: of the published files in FOLDER (default tests/data/latency) 200
held-out rows and a pool of 600, of our dataset 40 and the rest. `designed` is `latency.choice: designed`: a random row
and one of which the regression is the least certain take turns. Means over 12 splits, and the fewest designed rows that
do as well as 40 and as 80 random ones.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from predictor import WORKLOAD, name_of

from hat.latency.dataset import architectures_of, read_parquet
from hat.latency.predictor.averages import read_published
from hat.latency.predictor.features import Rows, rows_of
from hat.latency.predictor.linear import Linear
from hat.latency.selection import Design
from hat.measure.workload import Workload

SPLITS, POOL = 12, 600
COUNTS = (15, 20, 25, 30, 40, 60, 80)


def order_of(rows: Rows, count: int, designed: bool) -> list[int]:
    """Return the first rows to measure, from a pool in random order."""
    if not designed:
        return list(range(count))
    design, chosen = Design(rows.costs), []
    for turn in range(count):
        order = design.most_uncertain() if turn % 2 else range(len(rows))
        chosen.append(next(number for number in order if number not in chosen))
        design.add(rows.costs[chosen[-1:]])
    return chosen


def datasets(folder: Path, own: Path | None) -> Iterator[tuple[str, Rows, np.ndarray, int]]:
    """Name, rows, latencies and number of held-out rows."""
    for path in sorted(folder.glob("*.csv*")):
        networks, latencies = read_published(path)
        yield name_of(path), rows_of(networks, WORKLOAD), latencies, 200
    if own is not None:
        frame = read_parquet(own)
        conditions = frame.attrs["conditions"]
        workload = Workload.from_dict(conditions["workload"], str(own))
        rows = rows_of(architectures_of(frame, str(own)), workload, conditions["precision"])
        yield str(own), rows, frame["latency_ms"].to_numpy(), 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("tests/data/latency"))
    parser.add_argument("--dataset", type=Path)
    arguments = parser.parse_args()
    for name, rows, latencies, held_out in datasets(arguments.folder, arguments.dataset):
        errors: dict[str, list[list[float]]] = {"random": [], "designed": []}
        for split in range(SPLITS):
            order = np.random.default_rng(split).permutation(len(rows))
            test, pool = order[:held_out], order[held_out : held_out + POOL]
            counts = [count for count in COUNTS if count <= len(pool)]
            for choice, found in errors.items():
                chosen = pool[order_of(rows.take(pool), max(counts), choice == "designed")]
                regressions = [Linear.fit(rows.take(chosen[:count]), latencies[chosen[:count]], 0) for count in counts]
                predicted = [regression.predict(rows.take(test)) for regression in regressions]
                found.append([100 * float(np.mean(np.abs(one / latencies[test] - 1))) for one in predicted])
        print(name)
        means = {choice: np.mean(found, axis=0) for choice, found in errors.items()}
        for choice, mean in means.items():
            shown = "  ".join(f"{count}: {value:.2f}" for count, value in zip(counts, mean, strict=True))
            print(f"  {choice:9} {shown}")
        for count in (40, 80):
            wanted = means["random"][counts.index(count)]
            enough = [one for one, value in zip(counts, means["designed"], strict=True) if value <= wanted]
            print(f"  as well as {count} random ones: {min(enough) if enough else 'more than ' + str(max(counts))}")


if __name__ == "__main__":
    main()
