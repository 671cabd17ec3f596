"""How long `snakemake -n` takes for the published tasks, devices and budgets.

    python tests/benchmarks/dry_run.py

In a copy of the workflow and its configuration, where nothing has been made. Two cases: the 44 published budgets
spread over four tasks and three devices, and all 44 for each of the twelve pairs; each with every job printed, and with
their numbers alone (``-q rules``). Devices that are not configured are
copies of ``rpi4``. Processor time of Snakemake, the median of three; the aim is ten seconds.
"""

import argparse
import itertools
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
TASKS = ("iwslt14deen", "wmt14ende", "wmt14enfr", "wmt19ende")
DEVICES = ("rpi4", "xeon", "titanxp")
BUDGETS = 44


def copy_of_the_project(folder: Path) -> None:
    """Copy the workflow and the configuration, with all devices."""
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("workflow", "config"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "profiles").symlink_to("workflow/profiles")
    for device in DEVICES:
        if not (path := folder / f"config/devices/{device}.yaml").exists():
            shutil.copy(folder / "config/devices/rpi4.yaml", path)


def dry_run(folder: Path, targets: list[str], options: list[str]) -> tuple[float, float, int]:
    """Return CPU seconds, seconds and number of jobs of one dry run."""
    command = [sys.executable, "-m", "snakemake", *targets, "-n", *options]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
    jobs = int(re.findall(r"^total +(\d+)$", ran.stdout + ran.stderr, re.MULTILINE)[0])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds, jobs


def main() -> None:
    """Measure both cases in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    pairs = list(itertools.product(TASKS, DEVICES))
    budgets = [f"{100 + 50 * number}ms" for number in range(BUDGETS)]
    spread, every = list(zip(itertools.cycle(pairs), budgets, strict=False)), list(itertools.product(pairs, budgets))
    cases = {
        "44 budgets over all tasks and devices": (spread, []),
        "the same, numbers of jobs": (spread, ["-q", "rules"]),
        "44 budgets for each task and device": (every, []),
        "the same, numbers of jobs alone": (every, ["-q", "rules"]),
    }
    with tempfile.TemporaryDirectory() as name:
        copy_of_the_project(Path(name))
        found: dict[str, list[tuple[float, float, int]]] = {case: [] for case in cases}
        for _ in range(repeats):
            for case, (chosen, options) in cases.items():
                targets = [f"results/{task}/{device}/{budget}/bleu.txt" for (task, device), budget in chosen]
                found[case].append(dry_run(Path(name), targets, options))
    print(f"{'case':40} {'targets':>8} {'jobs':>6} {'processor s':>12} {'s':>7}")
    for case, runs in found.items():
        cpu, wall = (statistics.median(run[place] for run in runs) for place in (0, 1))
        print(f"{case:40} {len(cases[case][0]):8} {runs[0][2]:6} {cpu:12.1f} {wall:7.1f}")


if __name__ == "__main__":
    main()
