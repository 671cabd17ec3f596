"""What visiting every Architecture several times gains: the predictor's held-out error by number of visits.

    python tests/benchmarks/passes.py [results/bibleende/local/latency/partial/0.jsonl]

From only the first visits of one `hat latency sample`: error on held-out samples as
they were measured with that number of visits, and on the same held-out samples with all visits, which is nearer to the
predictor's own error. Means over ten splits, 80 % to fit to.
"""

import argparse
import random
from pathlib import Path
from statistics import mean

import numpy as np

from hat.artifacts.files import read_jsonl
from hat.latency.predictor.predictor import LatencyPredictor
from hat.latency.samples import CONDITIONS, SampleFile
from hat.measure.measurement import Measurement
from hat.measure.workload import Workload

SPLITS, HELD_OUT = 10, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default="results/bibleende/local/latency/partial/0.jsonl")
    path = parser.parse_args().file
    conditions = next(row for row in read_jsonl(path) if row["kind"] == CONDITIONS)
    workload = Workload.from_dict(conditions["values"]["workload"], str(path))
    found = SampleFile(path).visits(conditions["conditions"])
    architectures = list(found)
    passes = min(map(len, found.values()))

    def measured(visits: int) -> np.ndarray:
        merged = (Measurement.merged([visit.measurement for visit in samples[:visits]]) for samples in found.values())
        return np.array([measurement.latency_ms for measurement in merged])

    best = measured(passes)
    held_out = round(HELD_OUT * len(architectures))
    print(f"{'visits':>6}{'MAPE as measured, %':>22}{'MAPE with all visits, %':>26}")
    for visits in range(1, passes + 1):
        own, errors = measured(visits), []
        for seed in range(SPLITS):
            order = random.Random(seed).sample(range(len(architectures)), len(architectures))
            test, train = order[:held_out], order[held_out:]
            predictor = LatencyPredictor.fit(workload, [architectures[i] for i in train], own[train].tolist())
            predicted = predictor.predict([architectures[i] for i in test])
            errors.append([100 * np.mean(np.abs(predicted / truth[test] - 1)) for truth in (own, best)])
        first, second = (mean(column) for column in zip(*errors, strict=True))
        print(f"{visits:>6}{first:>22.1f}{second:>26.1f}")


if __name__ == "__main__":
    main()
