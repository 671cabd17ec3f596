"""Sampling strategies of the SuperTransformer at equal trained tokens: validation loss with inherited weights.

    python tests/benchmarks/sampling.py [--task bibleende] [--updates 1200] [--folder build/sampling]

Trains the task's SuperTransformer with `uniform` (one Architecture an update) and with `sandwich` (the largest, the
smallest and two random ones), each for the same number of tokens times Architectures, and evaluates the same 20 random
Architectures, the largest and the smallest on the whole validation split. The task's data must have been made:
`snakemake results/bibleende/data/binary/counts.json`. A run that was stopped goes on where it was.
"""

import argparse
import json
import random
import statistics
from pathlib import Path

from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.space.search_space import SearchSpace
from hat.train.inherited_loss import InheritedLoss
from hat.train.stages import train_supertransformer

RANDOM = 2
ARCHITECTURES = 20
STRATEGIES = {"uniform": 1, "sandwich": RANDOM + 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="bibleende")
    parser.add_argument("--updates", type=int, default=1200, help="updates of `uniform`")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("build/sampling"))
    options = parser.parse_args()
    found = {}
    for strategy, networks in STRATEGIES.items():
        updates = options.updates // networks
        overrides = {
            "sampling": strategy,
            "sandwich_random": RANDOM,
            "updates": updates,
            "warmup_updates": updates // 8,
            "validate_every": updates,
            "save_every": max(1, updates // 10),
            "average_checkpoints": 1,
        }
        task = {"supertransformer": overrides, "search": {"validation_sentences": 10**9}}
        settings = Settings({"seed": options.seed, "tasks": {options.task: task}})
        results = Results(options.folder / f"{strategy}-{options.updates}-{options.seed}")
        data = results.data(options.task)
        data.parent.mkdir(parents=True, exist_ok=True)
        if not data.is_symlink():
            data.symlink_to(Results().data(options.task).resolve())
        done = results.supertransformer(options.task) / "config.json"
        if not done.exists():
            train_supertransformer(TaskScope(settings, results, options.task))
        space = SearchSpace(settings.space_of(options.task))
        rng = random.Random("evaluated")
        evaluate = InheritedLoss(TaskScope(settings, results, options.task))
        losses = [evaluate(space.sample(rng)) for _ in range(ARCHITECTURES)]
        seconds = json.loads(done.read_text())["seconds"]
        found[strategy] = (updates, seconds, evaluate(space.largest), evaluate(space.smallest), losses)
    print(f"{'':10}{'updates':>9}{'seconds':>9}{'largest':>9}{'smallest':>10}{'mean':>8}{'worst':>8}  nats a token")
    for strategy, (updates, seconds, largest, smallest, losses) in found.items():
        row = f"{strategy:10}{updates:>9}{seconds:>9.0f}{largest:>9.3f}{smallest:>10.3f}"
        print(f"{row}{statistics.mean(losses):>8.3f}{max(losses):>8.3f}")
    first, second = (entry[4] for entry in found.values())
    lower = sum(b < a for a, b in zip(first, second, strict=True))
    print(f"`sandwich` is lower than `uniform` for {lower} of {ARCHITECTURES} Architectures")


if __name__ == "__main__":
    main()
