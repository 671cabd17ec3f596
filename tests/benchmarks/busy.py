"""Training beside another process: threads that spin while they wait for each other, and threads that sleep.

    python tests/benchmarks/busy.py [--task demo] [--updates 40] [--rounds 2] [--seconds 100]

Trains the task's SuperTransformer for some updates on two threads, with `OMP_WAIT_POLICY` active and passive in turn,
with and without a process that keeps a core busy; a run is given up after --seconds. The task's data must have been
made: `snakemake results/demo/data/binary/counts.json`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from hat.artifacts.layout import Results

PROGRESS = re.compile(r"(\d+)/\d+, (\d+) s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="demo")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=100)
    options = parser.parse_args()
    for _ in range(options.rounds):
        for policy in ("active", "passive"):
            for busy in (False, True):
                updates, seconds = trained(options, policy, busy=busy)
                beside = "beside a busy process" if busy else "alone"
                print(f"{policy:8} {beside:22} {updates:4} updates in {seconds:4} s", flush=True)


def trained(options: argparse.Namespace, policy: str, *, busy: bool) -> tuple[int, int]:
    """Train, if ``busy`` beside a busy process; return the updates made and their seconds, without start-up."""
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / options.task / "data"
        data.parent.mkdir()
        data.symlink_to(Results().data(options.task).resolve())
        key = f"tasks.{options.task}.supertransformer"
        sizes = [f"--set={key}.{name}={options.updates}" for name in ("updates", "validate_every")]
        command = [Path(sys.executable).with_name("hat"), "--results", folder, *sizes]
        try:
            ran = subprocess.run(
                [*command, "supertransformer", "train", options.task, "--threads", "2"],
                check=True,
                capture_output=True,
                timeout=options.seconds,
                env=os.environ | {"OMP_WAIT_POLICY": policy},
            )
            said = ran.stderr
        except subprocess.TimeoutExpired as error:
            said = error.stderr or b""
        finally:
            if burner is not None:
                burner.kill()
    reports = PROGRESS.findall(said.decode())
    return (int(reports[-1][0]), int(reports[-1][1])) if reports else (0, 0)


if __name__ == "__main__":
    main()
