"""Whether latencies agree within their stated intervals while another process loads the machine half of the time.

    python tests/benchmarks/protocol.py [--runs 4] [--architectures 10] [--repetitions 300] [--idle]

Architectures of the demo's space are measured again and again on this machine, by the protocol as it is configured by
default and by a fixed number of repetitions in a row, as the research code measures. Meanwhile a process computes for
random times of 1 to 5 s and sleeps as long (not with `--idle`). Of all pairs of runs it is counted how often intervals
overlap, and how often a median lies in the other run's interval: of right 95 % intervals of equal width nearly all, and
83 %.
"""

import argparse
import itertools
import multiprocessing
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

from hat.config.device import Device
from hat.config.latency import Latency
from hat.config.settings import Settings
from hat.device.connection import LocalConnection
from hat.latency.samples import REFERENCE, SAMPLE, LatencySample, SampleFile, measure_missing
from hat.latency.selection import draw_architectures
from hat.measure.bench import Bench
from hat.measure.measurement import Measurement
from hat.measure.visits import Visits, pooled_noise
from hat.measure.workload import Workload
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape

VOCABULARY, LENGTH = 3000, 34
SINGLE = {"visits": (), "interference": (), "pooled_noise": None}


def load(seed: int) -> None:
    """Compute and sleep, as long."""
    rng = random.Random(seed)
    while True:
        seconds = rng.uniform(1, 5)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sum(range(20_000))
        time.sleep(seconds)


def agreement(runs: list[list[Measurement]]) -> tuple[float, float, float, float]:
    """Return, in percent: overlapping intervals, medians inside the other's interval, half widths, differences."""
    overlaps, inside, differences = [], [], []
    for first, second in itertools.combinations(runs, 2):
        for a, b in zip(first, second, strict=True):
            (low, high, _), (other_low, other_high, _) = a.interval_ms, b.interval_ms
            overlaps.append(low <= other_high and other_low <= high)
            inside += [low <= b.latency_ms <= high, other_low <= a.latency_ms <= other_high]
            differences.append(abs(a.latency_ms / b.latency_ms - 1))
    widths = [(one.interval_ms[1] - one.interval_ms[0]) / 2 / one.latency_ms for run in runs for one in run]
    return 100 * fmean(overlaps), 100 * fmean(inside), 100 * median(widths), 100 * median(differences)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--architectures", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--idle", action="store_true", help="without the process that loads the machine")
    chosen = parser.parse_args()
    settings = Settings()
    space = settings.space_on("demo", "local")
    network, device = settings.task("demo").network, settings.device("local")
    assert isinstance(device, Device)
    shape = Shape.of(space, network, VOCABULARY, VOCABULARY)
    workload = Workload(shape=shape, source_length=LENGTH, target_length=LENGTH, beam=device.beam)
    bench = Bench(runtime=device.runtime, precision=device.precision, threads=1, cores=None, seed=1)
    connection = LocalConnection(device="local", bench=bench, wait_s=0)
    searched = SearchSpace(space)
    wanted = list(draw_architectures(searched, chosen.architectures, 1, "random"))
    rules = Latency()
    other = multiprocessing.get_context("spawn").Process(target=load, args=(1,), daemon=True)
    if not chosen.idle:
        other.start()
    adaptive: list[list[Measurement]] = []
    independent: list[list[Measurement]] = []
    wall_clock: list[list[Measurement]] = []
    fixed: list[list[Measurement]] = []
    sentences, disturbed, timed_ms = [], [], []
    with connection, tempfile.TemporaryDirectory() as folder:
        for run in range(chosen.runs):
            file = SampleFile(Path(folder) / f"{run}.jsonl")
            _, samples = measure_missing(
                wanted=random.Random(run).sample(wanted, len(wanted)),
                reference=searched.largest,
                connection=connection,
                workload=workload,
                rules=rules,
                file=file,
                tracker=lambda completed, note="": None,
            )
            by_architecture = {sample.architecture: sample.measurement for sample in samples}
            adaptive.append([by_architecture[architecture] for architecture in wanted])
            name = samples[0].conditions
            visits = file.visits(name)
            timed = [
                value for kind in (SAMPLE, REFERENCE) for row in file.rows(kind, name) for value in row["timings_ms"]
            ]
            sentences.append((len(timed) + sum(map(len, visits.values())) * rules.warmup) / len(wanted))
            timed_ms.append(sum(timed) * (1 + rules.warmup / rules.repeats) / len(wanted))
            disturbed.append(1 - sum(len(one.visits) for one in adaptive[-1]) / sum(map(len, visits.values())))
            # The same timings: taken for independent, as a single visit's are, and without leaving out what was waited.
            independent.append([replace(one, timings_ms=one.own_ms, waited_ms=(), **SINGLE) for one in adaptive[-1]])
            plain = {one: Visits[LatencySample](rules) for one in wanted}
            for one, found in plain.items():
                found.all = [
                    replace(visit, measurement=replace(visit.measurement, waited_ms=())) for visit in visits[one]
                ]
            noise = pooled_noise(plain.values())
            wall_clock.append([plain[one].measurement(noise) for one in wanted])
            if chosen.repetitions:
                fixed.append([bench.measure(architecture, workload, 10, chosen.repetitions) for architecture in wanted])
            print(f"run {run + 1} of {chosen.runs} ended", flush=True)
    if not chosen.idle:
        other.kill()
    print(f"{'':40}{'overlap, %':>12}{'inside, %':>12}{'half width, %':>15}{'difference, %':>15}")
    rows = [
        ("the protocol", adaptive),
        ("its timings, taken as independent", independent),
        ("its wall-clock times", wall_clock),
    ]
    if fixed:
        rows.append((f"{chosen.repetitions} repetitions in a row", fixed))
    for title, runs in rows:
        print(
            f"{title:40}"
            + "".join(f"{value:>{width}.1f}" for value, width in zip(agreement(runs), (12, 12, 15, 15), strict=True))
        )
    print(
        f"sentences an Architecture, warm-up and reference included: {fmean(sentences):.1f},"
        f" {fmean(timed_ms) / 1000:.2f} s; visits left out: {100 * fmean(disturbed):.0f} %;"
        f" median latency {median(one.latency_ms for run in adaptive for one in run):.1f} ms"
    )
    if fixed:
        repeated = fmean(sum(one.timings_ms) for run in fixed for one in run) / 1000
        print(f"{chosen.repetitions} repetitions: {repeated:.2f} s an Architecture")
    others = [cores for run in adaptive for one in run for cores in one.interference if cores is not None]
    print(f"cores that others used at visits that count: median {median(others):.2f}, most {max(others):.2f}")


if __name__ == "__main__":
    main()
