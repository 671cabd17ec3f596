"""What stopping candidates early saves and loses, for other incumbents than the search takes.

    python tests/benchmarks/halving.py bibleende local --results results

The candidates of a search for all budgets that was made (results/TASK/DEVICE/search) are evaluated once more, in their
order, from the losses by block that are kept of them: each is compared with the best, the second best, ... of those
that meet the smallest level that it meets itself, as the search does (eighth best, of earlier rounds), or with those of
its own round too. Lost is a network of the front that would have been stopped; candidates that the search itself had
stopped are left out, as their losses are not known.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

from hat.artifacts.files import file_digest, read_json
from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.search.context import evaluation_context
from hat.search.evaluations import Blocks, Evaluations
from hat.search.evaluator import RUNGS, compare
from hat.search.front import pareto_front
from hat.search.problem import Candidate
from hat.search.tables import read_candidates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("device")
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    settings, results = Settings(), Results(options.results)
    folder = results.search(options.task, options.device)
    weights = file_digest(results.supertransformer(options.task) / "checkpoint.pt")
    evaluations = Evaluations(
        results.evaluations(options.task), evaluation_context(TaskScope(settings, results, options.task), weights)
    )
    levels = read_json(folder / "front.json")["levels_ms"]
    found = read_candidates(folder / "candidates.parquet", "loss")
    known = {candidate.architecture: evaluations.get(candidate.architecture) for candidate in found}
    whole = max(map(len, known.values()))
    found = [
        replace(candidate, whole=True, objective_value=known[candidate.architecture].loss())
        for candidate in found
        if len(known[candidate.architecture]) == whole
    ]
    front = {candidate.architecture for candidate in pareto_front(found)}
    print(f"{len(found)} candidates, {len(front)} of them on the front, {whole} blocks")
    print("| incumbents | rank of the incumbent | stopped | tokens saved | lost of the front |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for same_round in (False, True):
        for rank in (8, 4, 3, 2, 1):
            stopped, saved = evaluated(found, known, levels, rank, same_round=same_round)
            lost = sum(candidate.architecture in front for candidate in stopped)
            where = "of its round, too" if same_round else "of earlier rounds"
            print(f"| {where} | {rank} | {len(stopped)} | {saved:.1%} | {lost} |")


def evaluated(
    found: list[Candidate], known: dict, levels: list[float], rank: int, *, same_round: bool
) -> tuple[list[Candidate], float]:
    """Return the stopped candidates, and the share of all tokens that stopping saves."""
    rungs = [math.ceil(part * len(known[found[0].architecture])) for part in RUNGS]
    before, stopped, saved = list[Candidate](), list[Candidate](), 0.0
    for generation in sorted({candidate.generation for candidate in found}):
        going = [candidate for candidate in found if candidate.generation == generation]
        for blocks in rungs:
            left = []
            for candidate in going:
                level = next(level for level in levels if candidate.bound_ms <= level)
                others = [*before, *(going if same_round else ())]
                incumbents = [one for one in others if one.bound_ms <= level and one is not candidate]
                incumbents.sort(key=lambda one: known[one.architecture].loss(blocks if same_round else None))
                own = known[candidate.architecture]
                first = Blocks(own.nll[:blocks], own.tokens[:blocks])
                if len(incumbents) >= rank and compare(first, known[incumbents[rank - 1].architecture]) is not None:
                    stopped.append(candidate)
                    saved += sum(own.tokens[blocks:])
                else:
                    left.append(candidate)
            going = left
        before += going
    return stopped, saved / sum(sum(known[one.architecture].tokens) for one in found)


if __name__ == "__main__":
    main()
