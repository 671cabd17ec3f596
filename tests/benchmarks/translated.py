"""Translating a training set on all cores: a process for each against one process with as many threads.

    python tests/benchmarks/translated.py bibleende --results results --sentences 1500 --rounds 3

The largest network of the task's SuperTransformer translates training sentences, spread over the set, with beam 5, in
both ways by turns; starting the processes and loading the network in each is part of the time.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import median

from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import SUPERTRANSFORMER, Settings
from hat.data.binary.batches import PairedSplit, length_batches, spread_numbers
from hat.data.chunks import map_chunks
from hat.runtime.decoding import BATCH_TOKENS, COMPARISON_BEAM, configured_decoding
from hat.train.translated import TeacherTranslator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--sentences", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings, results = Settings(), Results(options.results)
    task = settings.task(options.task)
    split = PairedSplit(results.data(options.task), task, "train")
    numbers = spread_numbers(len(split), options.sentences)
    batches = length_batches(split, BATCH_TOKENS // COMPARISON_BEAM, numbers)
    sources = [[split.source[int(number)].tolist() for number in batch] for batch in batches]
    cores = len(os.sched_getaffinity(0))
    ways = {f"{cores} processes": (1, cores), f"{cores} threads": (cores, 1)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, (threads, processes) in ways.items():
            work = TeacherTranslator(
                TaskScope(settings, results, options.task), SUPERTRANSFORMER, configured_decoding(task.scoring)
            )
            work.threads = threads
            started = time.monotonic()
            made = sum(len(found) for found in map_chunks(work, sources, processes))
            seconds[way].append(time.monotonic() - started)
            assert made == len(numbers)
            print(f"{way}: {made / seconds[way][-1]:.1f} sentences/s", flush=True)
    one, other = (median(found) for found in seconds.values())
    print(
        f"processes {len(numbers) / one:.1f}, threads {len(numbers) / other:.1f} sentences/s, ratio {other / one:.2f}"
    )


if __name__ == "__main__":
    main()
