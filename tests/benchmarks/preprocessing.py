"""Time and memory of preparing text: tokenising, learning and applying byte pairs, binarising.

    python tests/benchmarks/preprocessing.py [--lines 10000000] [--merges 40000] [--processes N] [--folder DIR]

Makes that many synthetic pairs (words drawn by Zipf's law from a vocabulary that grows with the text, as that of real
text does), runs the stages in processes of their own with the settings of wmt14enfr, and prints for each its seconds on
the clock, its processor time, and the largest resident memory of the process and of its workers, at a fifth of the
pairs and at all of them. From these follow seconds per pair, and the time of 36 million pairs on 16 cores: what runs
in workers is divided by the cores, what does not is not. Learning the codes is left out: it, and its memory, grow with
the number of different words.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hat.config_text import Tokenisation

PAIRS = 36_000_000
CORES = 16
STEP = """
import json, os, resource, sys, time
from pathlib import Path
from hat.data import prepare
from hat.data.tokenise import MosesLines, PieceLines, count_words, map_file
from hat.layout import Results
from hat.settings import Settings

stage, root, processes = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
settings, results = Settings(folder=root / "config"), Results(root / "results")
task, data = settings.task("made"), results.data("made")
lines = json.loads((data / "counts.json").read_text())["pairs"]["train"]
started, used = time.monotonic(), time.process_time()
if stage == "words":
    for language in ("en", "fr"):
        work = MosesLines(language, task.tokenisation, training=True)
        (data / "words").mkdir(exist_ok=True)
        map_file(work, data / f"raw/train.{language}", data / f"words/train.{language}", title=stage, lines=lines,
                 processes=processes)
elif stage == "codes":
    prepare._codes(task, data, "raw", processes)
elif stage == "pieces":
    for language in ("en", "fr"):
        map_file(PieceLines(data / "words/codes"), data / f"words/train.{language}", data / f"tokens/train.{language}",
                 title=stage, lines=lines, processes=processes)
elif stage == "binarise":
    prepare.binarise_corpus(settings, results, "made")
own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({
    "stage": stage, "clock_s": time.monotonic() - started, "own_s": time.process_time() - used,
    "workers_s": children.ru_utime + children.ru_stime, "memory_mb": own.ru_maxrss / 1024,
    "worker_memory_mb": children.ru_maxrss / 1024,
}))
"""


def make_text(folder: Path, pairs: int) -> None:
    """Write raw text of that many pairs, 500 for validation, and the configuration of a task."""
    draw = random.Random(1)
    letters = "etaoinshrdlucmfwypvbgkjqxz"

    def word(rank: int) -> str:
        text = ""
        number = rank + 30
        while number:
            number, letter = divmod(number, len(letters))
            text += letters[letter]
        return text

    raw = folder / "results/made/data/raw"
    raw.mkdir(parents=True)
    for split, count in (("train", pairs), ("validation", 500)):
        with open(raw / f"{split}.en", "w") as left, open(raw / f"{split}.fr", "w") as right:
            for _ in range(count):
                # Ranks whose logarithm is uniform: Zipf's law, with ever new words at the far end.
                ranks = [int(2 ** (draw.random() * 20)) for _ in range(draw.randint(8, 40))]
                words = [word(rank) for rank in ranks]
                words[0] = words[0].capitalize()
                middle = len(words) // 2
                left.write(" ".join(words[:middle]) + ", " + " ".join(words[middle:]) + ".\n")
                right.write("L'" + " ".join(reversed(words[:middle])) + " « " + " ".join(words[middle:]) + " ».\n")
    counts = {"pairs": {"train": pairs, "validation": 500}}
    (folder / "results/made/data/counts.json").write_text(json.dumps(counts))


def configure(folder: Path, merges: int) -> None:
    """Write the configuration of the task: preparation as for wmt14enfr."""
    source = Path(__file__).parents[2] / "config"
    for kind in ("tasks", "spaces"):
        (folder / "config" / kind).mkdir(parents=True)
    (folder / "config/config.yaml").write_text("")
    (folder / "config/spaces/wmt.yaml").write_text((source / "spaces/wmt.yaml").read_text())
    settings = Tokenisation(
        invisible="space", normalise_splits="train", aggressive_hyphens=True, bpe_merges=merges
    ).model_dump(mode="json")
    file = {"kind": "file", "path": "none"}
    task = {
        "source_language": "en",
        "target_language": "fr",
        "space": "wmt",
        "corpus": {"kind": "parallel", "train": {"tsv": file}, "validation": {"tsv": file}},
        "tokenisation": settings,
    }
    (folder / "config/tasks/made.yaml").write_text(json.dumps(task))


def measure(pairs: int, merges: int, processes: int, root: Path | None) -> list[dict[str, float]]:
    """Run all stages on that many pairs; what they took."""
    with tempfile.TemporaryDirectory(dir=root) as name:
        folder = Path(name)
        make_text(folder, pairs)
        configure(folder, merges)
        found = []
        for stage in ("words", "codes", "pieces", "binarise"):
            if stage == "binarise":
                # Of the validation split, which the other stages leave out here.
                for language in ("en", "fr"):
                    text = (folder / f"results/made/data/raw/validation.{language}").read_text()
                    (folder / f"results/made/data/tokens/validation.{language}").write_text(text)
            command = [sys.executable, "-c", STEP, stage, str(folder), str(processes)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(out.splitlines()[-1]))
            print(f"{pairs:,} pairs: {found[-1]}", file=sys.stderr, flush=True)
        return found


def main() -> None:
    """Measure, project, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--merges", type=int, default=40_000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    started = time.monotonic()
    small, large = (
        measure(pairs, arguments.merges, arguments.processes, arguments.folder)
        for pairs in (arguments.lines // 5, arguments.lines)
    )
    total = 0.0
    print(f"{'stage':10} {'clock s':>9} {'own s':>9} {'workers s':>9} {'MB at 1/5':>10} {'MB':>8} {'36M on 16, s':>13}")
    for before, after in zip(small, large, strict=True):
        # What the parent does itself is not divided. Learning grows with the number of different words, of which
        # nothing follows from a shorter text: its part outside the workers is left out.
        per_pair = PAIRS / arguments.lines
        serial = 0.0 if after["stage"] == "codes" else after["own_s"] * per_pair
        projected = max(serial, after["workers_s"] * per_pair / CORES)
        total += projected
        print(
            f"{after['stage']:10} {after['clock_s']:9.0f} {after['own_s']:9.0f} {after['workers_s']:9.0f}"
            f" {before['memory_mb']:10.0f} {after['memory_mb']:8.0f} {projected:13.0f}"
        )
    print(f"projected for {PAIRS:,} pairs on {CORES} cores, without learning: {total / 60:.0f} minutes")
    print(
        f"took {time.monotonic() - started:.0f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()
