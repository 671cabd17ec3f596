"""Time and memory of preparing text: tokenising, learning and applying byte pairs, binarising.

    python tests/benchmarks/preprocessing.py [--pairs 5000000] [--merges 40000] [--processes N] [--folder DIR]

Makes a tenth of that many synthetic pairs, then all of them (5 million pairs are ten million lines), and runs the
stages on them, each in a process of its own, with the settings of wmt14enfr. For each stage: processor time of the
process and of its workers, and the largest resident memory of either. From these follows the time of 36 million pairs
on 16 cores: what runs in workers is divided by the cores, what does not is not; learning, which grows with the number
of different words, by the power of the number of pairs that the two sizes show.

Words are drawn by Zipf's law in two parts, as those of real text are: common ones by 1 / rank, rare ones by a steeper
power, with ever new words as the text grows; each language has its own. What is done is noted in DIR: the same command
goes on where it was. With --learning-alone only the codes are learnt, on words that are drawn and counted without text.
"""

import argparse
import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hat.config.tokenisation import Tokenisation

PAIRS = 36_000_000
CORES = 16
# Common words are drawn by 1 / rank, all others by its power of 1 + TAIL.
COMMON = 8192
TAIL = 0.7
MOST_WORDS = 1 << 22
PAIRS_PER_DRAW = 20_000
STEP = """
import json, resource, sys, time
from pathlib import Path
from hat.config.scope import TaskScope
from hat.data import stages
from hat.data.text.learn_bpe import learn
from hat.data.text.tokenise import MosesLines, PieceLines, count_words, map_file
from hat.artifacts.layout import Results
from hat.config.settings import Settings

stage, root, processes = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
settings, results = Settings(folder=root / "config"), Results(root / "results")
task, data = settings.task("made"), results.data("made")
lines = json.loads((data / "counts.json").read_text())["pairs"]["train"]
more = {}
started, used = time.monotonic(), time.process_time()
if stage == "words":
    for language in ("en", "fr"):
        map_file(MosesLines(language, task.tokenisation, training=True), data / f"raw/train.{language}",
                 data / f"words/train.{language}", title=stage, lines=lines, processes=processes)
elif stage == "codes":
    counts = count_words([data / f"words/train.{name}" for name in ("en", "fr")], joined=False, processes=processes)
    more = {"words": len(counts), "counting_s": time.process_time() - used,
            "counting_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    held = [counts]
    del counts
    learn(held.pop(), task.tokenisation.bpe_merges, data / "words/codes")
elif stage == "pieces":
    for language in ("en", "fr"):
        map_file(PieceLines(data / "words/codes"), data / f"words/train.{language}", data / f"tokens/train.{language}",
                 title=stage, lines=lines, processes=processes)
elif stage == "binarise":
    for language in ("en", "fr"):
        # The other stages leave validation out here.
        (data / f"tokens/validation.{language}").write_text((data / f"raw/validation.{language}").read_text())
    stages.binarise_corpus(TaskScope(settings, results, "made"), processes=processes)
own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({
    "stage": stage, "clock_s": time.monotonic() - started, "own_s": time.process_time() - used,
    "workers_s": children.ru_utime + children.ru_stime, "memory_mb": own.ru_maxrss / 1024,
    "worker_memory_mb": children.ru_maxrss / 1024, **more,
}))
"""


def made_words() -> np.ndarray:
    """Return synthetic words by rank, short ones first."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = [*letters]
    for word in words:
        if len(words) >= MOST_WORDS:
            break
        words += [word + letter for letter in letters]
    return np.array(words[:MOST_WORDS], dtype=object)


def ranks(draw: np.random.Generator, count: int) -> np.ndarray:
    """Draw the ranks of ``count`` words."""
    chance, place = draw.random((2, count))
    rare = COMMON * np.maximum(place, 1e-12) ** (-1 / TAIL)
    common = math.log(COMMON) / (math.log(COMMON) + 1 / TAIL)
    return np.where(chance < common, COMMON**place, rare).astype(np.int64) % MOST_WORDS


def make_text(folder: Path, pairs: int) -> None:
    """Write raw text of that many pairs, 500 for validation, and the configuration of a task."""
    draw = np.random.default_rng(1)
    english = made_words()
    french = np.array([word[::-1] + "e" for word in english], dtype=object)
    raw = folder / "results/made/data/raw"
    raw.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", pairs), ("validation", 500)):
        with open(raw / f"{split}.en", "w") as left, open(raw / f"{split}.fr", "w") as right:
            for begin in range(0, count, PAIRS_PER_DRAW):
                lengths = draw.integers(8, 41, size=min(PAIRS_PER_DRAW, count - begin))
                chosen = ranks(draw, int(lengths.sum()))
                ours, theirs = english[chosen].tolist(), french[chosen].tolist()
                end = 0
                for length in lengths.tolist():
                    first, middle, end = end, end + length // 2, end + length
                    left.write(
                        f"{ours[first].capitalize()} {' '.join(ours[first + 1 : middle])}, "
                        f"{' '.join(ours[middle:end])}.\n"
                    )
                    parts = " ".join(theirs[first:middle]), " ".join(theirs[middle:end])
                    # What the normalisation changes stands in some lines only.
                    right.write("L'{} « {} ».\n".format(*parts) if length % 4 == 0 else "L'{}, {}.\n".format(*parts))
    counts = {"pairs": {"train": pairs, "validation": 500}}
    (folder / "results/made/data/counts.json").write_text(json.dumps(counts))


def configure(folder: Path, merges: int) -> None:
    """Write the configuration of the task: preparation as for wmt14enfr."""
    source = Path(__file__).parents[2] / "config"
    for kind in ("tasks", "spaces"):
        (folder / "config" / kind).mkdir(parents=True, exist_ok=True)
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


def learn_drawn(pairs: int, merges: int, folder: Path) -> None:
    """Print what learning takes on the words of that many pairs, which are drawn and counted without their text."""
    from collections import Counter

    from hat.data.text.learn_bpe import learn

    draw = np.random.default_rng(1)
    english = made_words()
    counts: Counter[str] = Counter()
    for words in (english, [word[::-1] + "e" for word in english]):
        times = np.zeros(MOST_WORDS, dtype=np.int64)
        for begin in range(0, pairs, 1 << 18):
            times += np.bincount(ranks(draw, 24 * min(1 << 18, pairs - begin)), minlength=MOST_WORDS)
        counts.update({words[rank]: int(times[rank]) for rank in np.flatnonzero(times).tolist()})
    del english, words, times
    found = {"pairs": pairs, "words": len(counts), "counts_mb": resident_mb()}
    held, began = [counts], time.process_time()
    del counts
    learn(held.pop(), merges, folder / "codes")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"learning_s": time.process_time() - began, "after_mb": resident_mb(), "peak_mb": peak}))


def resident_mb() -> float:
    """Return the current memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def measure(pairs: int, merges: int, processes: int, folder: Path) -> dict[str, dict[str, float]]:
    """Run all stages on that many pairs, those alone that have not been run there; what each took."""
    notes = folder / "measured.jsonl"
    if not notes.exists():
        configure(folder, merges)
        # Elsewhere: a process that is started counts the memory of the one that starts it as its own.
        text = multiprocessing.get_context("spawn").Process(target=make_text, args=(folder, pairs))
        text.start()
        text.join()
        if text.exitcode:
            sys.exit("the text was not made")
        notes.touch()
    found = {row["stage"]: row for row in map(json.loads, notes.read_text().splitlines())}
    for stage in ("words", "codes", "pieces", "binarise"):
        if stage not in found:
            command = [sys.executable, "-c", STEP, stage, str(folder), str(processes)]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[stage] = json.loads(out.splitlines()[-1])
            with open(notes, "a") as stream:
                stream.write(json.dumps(found[stage]) + "\n")
    return found


def projected_s(before: dict[str, float], after: dict[str, float], pairs: int) -> float:
    """Project the seconds of a stage to all pairs on all cores; parent and workers overlap, learning follows."""
    workers = after["workers_s"] * PAIRS / pairs / CORES
    if "counting_s" not in after:
        return max(after["own_s"] * PAIRS / pairs, workers)
    learning = [row["own_s"] - row["counting_s"] for row in (before, after)]
    power = math.log10(learning[1] / learning[0])
    return max(after["counting_s"] * PAIRS / pairs, workers) + learning[1] * (PAIRS / pairs) ** power


def main() -> None:
    """Measure, project, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5_000_000)
    parser.add_argument("--merges", type=int, default=40_000)
    # Two at least, so that what runs in workers is known.
    parser.add_argument("--processes", type=int, default=max(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--learning-alone", action="store_true")
    arguments = parser.parse_args()
    if arguments.learning_alone:
        with tempfile.TemporaryDirectory() as name:
            learn_drawn(arguments.pairs, arguments.merges, Path(name))
        return
    with tempfile.TemporaryDirectory() as name:
        small, large = (
            measure(pairs, arguments.merges, arguments.processes, (arguments.folder or Path(name)) / str(pairs))
            for pairs in (arguments.pairs // 10, arguments.pairs)
        )
    total = 0.0
    print(f"{'stage':10} {'parent s':>9} {'workers s':>9} {'MB':>15} {'MB of a worker':>15} {'projected min':>14}")
    for stage, after in large.items():
        before = small[stage]
        projected = projected_s(before, after, arguments.pairs)
        total += projected
        own, workers = (f"{before[key]:.0f} to {after[key]:.0f}" for key in ("memory_mb", "worker_memory_mb"))
        print(
            f"{stage:10} {after['own_s']:9.0f} {after['workers_s']:9.0f} {own:>15} {workers:>15} {projected / 60:14.1f}"
        )
    print(json.dumps({"codes, 1/10": small["codes"], "codes": large["codes"]}))
    print(f"projected for {PAIRS:,} pairs on {CORES} cores: {total / 60:.0f} minutes")


if __name__ == "__main__":
    main()
