"""CPU time of the workflow's jobs that `hat plan` estimates from hat/workflow/figures.json.

    python tests/benchmarks/jobs.py [--pairs 1500000] [--folder DIR] [--only JOB ...]

Runs the verbs one after another, in processes of their own, on a made task with the space, dictionary size and settings
of wmt14ende: synthetic pairs with natural word frequencies (preprocessing.py) from an archive, as raw text and as
provided byte pairs; a SuperTransformer and a Transformer-Base of one update; 2,000 made latencies. Prints for each verb
the CPU seconds of the process and its children, and what they are per million pairs, thousand samples, GFLOP of an
evaluation or million parameters, without starting Python. What is done is noted in DIR: the same command continues.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml
from preprocessing import make_text

from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data.task_shape import task_shape
from hat.space.kinds import configured_architecture
from hat.space.profile import Profile
from hat.space.search_space import SearchSpace

ROOT = Path(__file__).parents[2]
ALIGNED, EVALUATIONS, SENTENCES, SAMPLES = 50_000, 8, 200, 2000
SPLITS = ("train", "validation")
# Length in tokens of the sentences whose FLOPs stand for an evaluation.
LENGTH = 30
ALIGN = """
import sys
from pathlib import Path
from hat.config.settings import Settings
from hat.data.binary.batches import PairedSplit
from hat.shortlist.alignment import make_lexicon
task = Settings().task("raw")
make_lexicon(PairedSplit(Path("results/raw/data"), task, "train"), int(sys.argv[1]), Path("aligned"), "made")
"""


def configure(folder: Path, pairs: int) -> None:
    """Write the made text, its archive and the configuration."""
    make_text(folder / "text", pairs)
    raw = folder / "text/results/made/data/raw"
    (raw / "codes").write_text("#version: 0.2\ne n\n")
    with tarfile.open(folder / "made.tar.gz", "w:gz", compresslevel=1) as archive:
        for path in sorted(raw.iterdir()):
            archive.add(path, path.name)
    config = folder / "config"
    for kind in ("tasks", "spaces", "devices", "baselines"):
        (config / kind).mkdir(parents=True)
    for kind, name in (("spaces", "wmt"), ("spaces", "published-latency"), ("baselines", "transformer-base")):
        (config / kind / f"{name}.yaml").write_text((ROOT / "config" / kind / f"{name}.yaml").read_text())
    (config / "config.yaml").write_text("")
    # No host is reached to draw Architectures.
    device = "connection: ssh\nruntime: ctranslate2\nprecision: int8\nshortlist: false\n"
    (config / "devices/chosen.yaml").write_text(device)
    (config / "devices/made.yaml").write_text(device + "latency: latencies.csv\n")
    chosen = yaml.safe_load((ROOT / "config/tasks/wmt14ende.yaml").read_text()) | {"target_language": "fr"}
    del chosen["data"]
    sides = {split: {"archive": "made", "source": f"{split}.en", "target": f"{split}.fr"} for split in SPLITS}
    corpus = {"kind": "archives", "archives": {"made": {"kind": "file", "path": "made.tar.gz"}}}
    corpus |= {split: [side] for split, side in sides.items()} | {"test": [sides["validation"]]}
    short = {"updates": 1, "batch_tokens": 512, "accumulate": 1, "average_checkpoints": 1}
    for section in ("supertransformer", "subtransformer"):
        chosen[section] |= short
    chosen["search"] = {"evaluations": EVALUATIONS, "validation_sentences": SENTENCES, "workers": 1}
    texts: dict[str, dict[str, Any]] = {"raw": {}, "pieces": {"codes": {"archive": "made", "member": "codes"}}}
    for text, more in texts.items():
        task = chosen | {"corpus": corpus | {"text": text} | more}
        (config / f"tasks/{text}.yaml").write_text(yaml.safe_dump(task))


def write_latencies(folder: Path) -> None:
    """Write latencies that follow the FLOPs, with noise of 3 %, of random Architectures."""
    settings, rng = Settings(folder=folder / "config"), random.Random(1)
    space = SearchSpace(settings.spaces["published-latency"])
    shape = task_shape(TaskScope(settings, Results(folder / "results"), "raw"))
    drawn = dict.fromkeys(space.sample(rng) for _ in range(SAMPLES))
    with open(folder / "latencies.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("architecture", "latency_ms"))
        for one in drawn:
            flops = Profile.of(one, shape, LENGTH).flops
            writer.writerow((one.to_json(), flops / 1e8 * rng.gauss(1, 0.03)))


def evaluation_gflop(folder: Path) -> float:
    """GFLOPs of all evaluations of the search, at the mean of the smallest and the largest Architecture."""
    scope = TaskScope(Settings(folder=folder / "config"), Results(folder / "results"), "raw")
    return EVALUATIONS * SENTENCES * mean_gflop(scope)


def mean_gflop(scope: TaskScope) -> float:
    """GFLOPs of a sentence, mean of the smallest and the largest Architecture of the task's space."""
    space, shape = SearchSpace(scope.space), task_shape(scope)
    return sum(Profile.of(one, shape, LENGTH).flops for one in (space.smallest, space.largest)) / 2e9


def transformer_base_parameters(folder: Path) -> int:
    """Number of parameters of Transformer-Base with the made dictionaries."""
    scope = TaskScope(Settings(folder=folder / "config"), Results(folder / "results"), "raw")
    network = scope.settings.baseline("transformer-base").network
    return Profile.of(configured_architecture(network), task_shape(scope, "transformer-base"), LENGTH).params


class Runner:
    """Runs commands in the folder and notes the CPU seconds of each."""

    def __init__(self, folder: Path, only: list[str]) -> None:
        self.folder = folder
        self.only = only
        self.notes = folder / "measured.jsonl"
        self.notes.touch()
        self.cpu_s: dict[str, float] = dict(json.loads(line) for line in self.notes.read_text().splitlines())

    def run(self, name: str, *command: str) -> None:
        """Run a command that was not run before, if it is wanted."""
        if name in self.cpu_s or (self.only and name not in self.only):
            return
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with open(self.folder / f"{name}.log", "w") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(command)}: see {self.folder / name}.log")
        self.cpu_s[name] = round(usage.ru_utime + usage.ru_stime, 2)
        with open(self.notes, "a") as notes:
            notes.write(json.dumps([name, self.cpu_s[name]]) + "\n")
        print(f"{name:24}{self.cpu_s[name]:9.2f} s", flush=True)

    def hat(self, name: str, *words: str) -> None:
        """Run a verb."""
        self.run(name, sys.executable, "-m", "hat", *words)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_500_000)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--only", nargs="+", default=[], help="run these jobs alone, such as extract-raw")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    if not (folder / "config").exists():
        configure(folder, options.pairs)
    runner = Runner(folder, options.only)
    for text in ("raw", "pieces"):
        for stage in ("extract", "tokenise", "binarise"):
            runner.hat(f"{stage}-{text}", "data", stage, text)
    runner.run("align", sys.executable, "-c", ALIGN, str(ALIGNED))
    if not options.only:
        write_latencies(folder)
    runner.hat("choose", "latency", "choose", "raw", "chosen")
    runner.hat("collect", "latency", "collect", "raw", "made")
    quick = "tasks.raw.latency.models=[linear, boosting]"
    runner.hat("fit, no MLP", "--set", quick, "latency", "fit", "raw", "made")
    runner.hat("budgets", "budgets", "raw", "made")
    runner.hat("supertransformer", "supertransformer", "train", "raw")
    runner.hat("baseline", "baseline", "train", "raw", "transformer-base")
    runner.hat("search-front", "search-front", "raw", "made")
    runner.hat("export", "export", "raw", "made", "transformer-base")
    runner.hat("fit", "latency", "fit", "raw", "made")
    if options.only:
        return
    used = runner.cpu_s
    # Work of each job. Jobs that do little, such as choosing budgets, take about as long as starting Python.
    amounts = {
        **dict.fromkeys(("extract-raw", "tokenise-raw", "binarise-raw", "extract-pieces"), options.pairs / 1e6),
        "align": ALIGNED / 1e6,
        **dict.fromkeys(("fit, no MLP", "fit"), SAMPLES / 1e3),
        "search-front": evaluation_gflop(folder),
        "export": transformer_base_parameters(folder) / 1e6,
    }
    start = used["budgets"]
    for name, amount in amounts.items():
        print(f"{name:24}{(used[name] - start) / amount:9.3g} s for each of {amount:g}")


if __name__ == "__main__":
    main()
