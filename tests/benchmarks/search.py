"""Search algorithms compared: what they find under three budgets for how many evaluations.

    python tests/benchmarks/search.py run --results results --sentences 40
    python tests/benchmarks/search.py table --results results --sentences 40

All algorithms and seeds share one file of evaluations, so an interrupted run goes on where it was, and what one has
evaluated costs the others no time; what is counted are the validation tokens that each would have looked at alone.
`genetic` and `random` search each budget for itself, `surrogate` and `pareto` all at once, without knowing them;
`surrogate-named` is told the three budgets, `surrogate-topped` searches further for each of them (`--top-up`), as the
workflow does, `surrogate-whole` stops no candidate early. A number, as in `surrogate-250-named`, is that of
evaluations, in place of `--evaluations`. `genetic-published` has the published sizes: 3,125 evaluations for each budget
(`--budgets 1` searches the second alone). The truth is the best of all that any run has evaluated, and, in a sub-space
of 84 Architectures (`exhaustive`), the best of all there are.

With `--replay` nothing is evaluated: losses are those of a model, gradient boosting fitted to all that the runs above
have evaluated, and for each Architecture a fixed deviation as large as the model's errors on the better half of those
held out. That landscape is made, if after a real one; on it the published sizes take minutes, so that many seeds can
be compared.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hat.artifacts.files import digest, file_digest, read_jsonl
from hat.artifacts.layout import Results
from hat.config.networks import Space
from hat.config.scope import DeviceScope, TaskScope
from hat.config.search import Search
from hat.config.settings import Settings
from hat.latency.stages import load_predictor
from hat.search.algorithms.registry import make_algorithm
from hat.search.algorithms.surrogate import SurrogateSearch
from hat.search.evaluations import Evaluations
from hat.search.evaluator import Evaluated, Evaluator
from hat.search.front import hypervolume
from hat.search.problem import Candidate, Problem, run
from hat.search.workers import Workers
from hat.space.architecture import Architecture
from hat.space.encoding import Encoding
from hat.space.moves import extreme
from hat.space.search_space import SearchSpace

# Decoders of one or two layers that differ only in widths and spans.
SMALL = {
    "encoder_embed_dim": (256,),
    "encoder_ffn_dim": (1024,),
    "encoder_heads": (4,),
    "decoder_embed_dim": (256, 192),
    "decoder_layers": (2, 1),
    "decoder_ffn_dim": (1024, 768, 512),
    "decoder_self_heads": (4,),
    "decoder_cross_heads": (8,),
    "decoder_cross_span": (1, 2),
}
PARTS = (0.2, 0.5, 0.85)
SINGLE = ("genetic", "random")


class Replay:
    """In the place of the evaluator: losses of a model of what was evaluated."""

    def __init__(self, evaluations: Evaluations, blocks: int, space: SearchSpace, held_out: int = 400) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        self._encode = Encoding(space)
        points = [point for point in evaluations.architectures() if len(evaluations.get(point)) == blocks]
        losses = np.array([evaluations.get(point).loss() for point in points])
        self.tokens = sum(evaluations.get(points[0]).tokens)
        rows = self._encode(points)
        order = np.random.default_rng(0).permutation(len(points))
        held, rest = order[:held_out], order[held_out:]
        model = HistGradientBoostingRegressor(
            max_iter=600, learning_rate=0.05, max_leaf_nodes=12, l2_regularization=1.0, random_state=0
        )
        errors = losses[held] - model.fit(rows[rest], losses[rest]).predict(rows[held])
        good = losses[held] < np.median(losses)
        self.deviation = float(np.sqrt(np.mean(errors[good] ** 2)))
        print(
            f"model of {len(rest)} evaluations, {held_out} held out: R2 {1 - np.mean(errors**2) / losses.var():.4f},"
            f" error {1000 * np.sqrt(np.mean(errors**2)):.2f} nats x 1000,"
            f" {1000 * self.deviation:.2f} in the better half"
        )
        self._model = model.fit(rows, losses)

    def evaluate(
        self, architectures: Sequence[Architecture], incumbents: Sequence[Architecture | None]
    ) -> list[Evaluated]:
        """Return the losses; no candidate is stopped early."""
        del incumbents
        means = self._model.predict(self._encode(architectures))
        own = [random.Random(point.digest).gauss(0, self.deviation) for point in architectures]
        return [Evaluated(float(mean) + more, 0.0, True, self.tokens) for mean, more in zip(means, own, strict=True)]


class Bench:
    """Everything that the runs share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        overrides = {
            f"tasks.{options.task}.search": {"validation_sentences": options.sentences, "workers": options.workers}
        }
        self.settings = Settings(overrides)
        self.results = Results(options.results)
        self.folder = self.results.root / "benchmarks" / "search" / f"{options.task}-{options.sentences}"
        weights = file_digest(self.results.supertransformer(options.task) / "checkpoint.pt")
        self.context = digest([weights, options.sentences])
        self.space = SearchSpace(self.settings.space_on(options.task, options.device))
        self.predictor = load_predictor(DeviceScope(self.settings, self.results, options.task, options.device))
        bound = self.predictor.upper_bound
        self.fastest = extreme(self.space, bound, [self.space.smallest])[1]
        self.slowest = extreme(self.space, bound, [self.space.largest], slowest=True)[1]
        self.budgets = [self.fastest + part * (self.slowest - self.fastest) for part in PARTS]
        self.losses = Workers(TaskScope(self.settings, self.results, options.task))
        evaluations = Evaluations(self.folder / "evaluations.jsonl", self.context)
        self.evaluator: Any = Evaluator(evaluations, self.losses)
        if options.replay:
            self.evaluator = Replay(evaluations, self.losses.blocks, self.space)
            self.folder = self.folder / "replay"

    def problem(self, budgets: list[float], space: SearchSpace | None = None, *, halving: bool = False) -> Problem:
        return Problem(
            space=space or self.space,
            predictor=self.predictor,
            budgets_ms=budgets,
            evaluator=self.evaluator,
            name="of the benchmark",
            halving=halving,
        )

    def search(self, name: str, seed: int, settings: Search, budget: int | None) -> list[Candidate]:
        """Return the candidates of a run for one of the budgets, or for all."""
        title = f"{name}, seed {seed}"

        def tracker(completed: int, note: str = "") -> None:
            print(f"{time.strftime('%H:%M:%S')} {title}: {completed}, {note}", flush=True)

        if budget is not None:
            problem = self.problem([self.budgets[budget]])
        elif name.endswith("-named"):
            problem = self.problem(self.budgets, halving=settings.halving)
        else:
            # The budgets are not known when the front is searched.
            levels = np.linspace(self.fastest, self.slowest, settings.levels + 1)[1:].tolist()
            problem = self.problem(levels, halving=settings.halving)
        algorithm = make_algorithm(name.partition("-")[0], problem, settings, seed)
        found = run(problem, algorithm, tracker)
        if name.endswith("-topped"):
            front = list(found)
            for own in self.budgets:
                problem = self.problem([own], halving=settings.halving)
                more = SurrogateSearch(problem, settings, seed, front, evaluations=settings.top_up)
                found += run(problem, more, tracker, front)
        return found


def is_single(name: str) -> bool:
    """Whether a contender searches each budget for itself."""
    return name.partition("-")[0] in SINGLE


def chosen_settings(options: argparse.Namespace, name: str) -> Search:
    """Return the settings of `bibleende` for the genetic search; the others get equally many evaluations."""
    if name == "genetic-published":
        return Search()
    genetic = Search(
        population=options.population, parents=10, mutations=15, crossovers=15, iterations=options.iterations
    )
    count = options.population + 30 * options.iterations
    if not is_single(name):
        count = next((int(part) for part in name.split("-") if part.isdigit()), options.evaluations)
    more = {"evaluations": count, "halving": not name.endswith("-whole"), "top_up": options.top_up}
    return genetic.model_copy(update=more)


def run_all(options: argparse.Namespace) -> None:
    bench = Bench(options)
    done = {(row["name"], row["seed"], row["budget"]) for row in read_jsonl(bench.folder / "runs.jsonl")}
    budgets = [int(number) for number in options.budgets.split(",")]
    bench.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seed, options.seed + options.seeds):
        for name in options.algorithms.split(","):
            settings = chosen_settings(options, name)
            for budget in budgets if is_single(name) else [None]:
                if (name, seed, budget) in done:
                    continue
                started = time.process_time()
                found = bench.search(name, seed, settings, budget)
                row = {
                    "name": name,
                    "seed": seed,
                    "budget": budget,
                    "processor_s": time.process_time() - started,
                    "run": [[c.bound_ms, c.objective_value, c.whole, c.tokens] for c in found],
                }
                with open(bench.folder / "runs.jsonl", "a") as stream:
                    stream.write(json.dumps(row) + "\n")
    if options.exhaustive:
        exhaustive(bench)


def exhaustive(bench: Bench) -> None:
    """Evaluate all of a small space, and compare with what the algorithms find in it."""
    space = SearchSpace(Space(**{**bench.space.space.model_dump(), **SMALL}))
    points = list(space.enumerate())
    losses = [found.loss() for found in bench.evaluator.known(points, bench.losses.blocks)]
    bounds = bench.predictor.upper_bound(points)
    budgets = np.quantile(bounds, [0.3, 0.6, 1.0]).tolist()
    rows = []
    for name in ("surrogate", "pareto", "genetic", "random"):
        for seed in range(1, 6):
            settings = Search(
                evaluations=len(points) // 4, population=8, parents=4, mutations=3, crossovers=3, iterations=2
            )
            ranks = []
            groups = [[budget] for budget in budgets] if is_single(name) else [budgets]
            for group in groups:
                problem = bench.problem(group, space)
                found = run(problem, make_algorithm(name, problem, settings, seed), lambda completed, note="": None)
                for budget in group:
                    best = min(c.objective_value for c in found if c.bound_ms <= budget)
                    ranks.append(
                        1 + sum(loss < best for loss, bound in zip(losses, bounds, strict=True) if bound <= budget)
                    )
            rows.append({"name": name, "seed": seed, "evaluations": len(points) // 4, "ranks": ranks})
    (bench.folder / "exhaustive.json").write_text(json.dumps({"size": len(points), "rows": rows}, indent=1))


class Contender:
    """An algorithm with one seed.

    Args:
        runs: candidates, [bound in ms, loss, wholly evaluated, tokens], in the order of evaluation: of one run for all
            budgets, or of one for each of the ``budgets``.
        budgets: in milliseconds.
        whole: tokens of a whole evaluation.
    """

    def __init__(self, runs: list[list[list]], budgets: list[float], whole: float) -> None:
        self.runs = runs
        self.points = [point for run_ in runs for point in run_ if point[2]]
        self.evaluations = sum(point[3] for run_ in runs for point in run_) / whole
        self.curves = [self._curve(runs[i if len(runs) > 1 else 0], b, whole) for i, b in enumerate(budgets)]

    def _curve(self, found: list[list], budget: float, whole: float) -> list[tuple[float, float]]:
        """Return evaluations of one run, in units of full ones, with the best loss under a budget after each."""
        best, points = float("inf"), []
        for row, used in zip(found, accumulate(row[3] for row in found), strict=True):
            if row[2] and row[0] <= budget:
                best = min(best, row[1])
            points.append((used / whole, best))
        return points

    def after(self, evaluations: float) -> list[float]:
        """Return the best loss under each budget after ``evaluations`` in total."""
        share = evaluations / len(self.runs)
        # Evaluations of a batch count from its beginning.
        return [min((loss for used, loss in c if used <= share + 1e-6), default=float("inf")) for c in self.curves]

    @property
    def end(self) -> list[float]:
        """The best loss under each budget at the end."""
        return [points[-1][1] for points in self.curves]

    def until(self, losses: list[float]) -> float:
        """Return the total evaluations until these losses are reached under all budgets; infinite if they never are."""
        each = [
            next((used for used, best in points if best <= loss), float("inf"))
            for points, loss in zip(self.curves, losses, strict=True)
        ]
        return sum(each) if len(self.runs) > 1 else max(each)


def print_table(options: argparse.Namespace) -> None:
    bench = Bench(options)
    rows = read_jsonl(bench.folder / "runs.jsonl")
    whole = max(point[3] for row in rows for point in row["run"])
    worst = max(point[1] for row in rows for point in row["run"])
    truth = [
        min(point[1] for row in rows for point in row["run"] if point[2] and point[0] <= budget)
        for budget in bench.budgets
    ]
    print("budgets", [round(budget, 1) for budget in bench.budgets], "best known", [round(t, 4) for t in truth])
    grouped: dict[tuple[str, int], dict[int | None, dict]] = {}
    for row in rows:
        grouped.setdefault((row["name"], row["seed"]), {})[row["budget"]] = row
    contenders: dict[str, list[Contender]] = {}
    for (name, seed), own in sorted(grouped.items()):
        if None not in own and len(own) < len(PARTS):
            print(f"{name}, seed {seed}: budgets {sorted(own)} alone have ended, left out")
            continue
        runs = [own[budget]["run"] for budget in sorted(own, key=lambda budget: budget or 0)]
        contenders.setdefault(name, []).append(Contender(runs, bench.budgets, whole))

    def spread(values: Sequence[float], digits: int = 1) -> str:
        return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    print("\n| algorithm | seeds | evaluations | gap, nats x 1000, under each budget | mean | hypervolume |")
    for name, own in contenders.items():
        gaps = [[1000 * (loss - best) for loss, best in zip(one.end, truth, strict=True)] for one in own]
        volumes = [hypervolume([(p[0], p[1]) for p in one.points], (bench.slowest, worst)) for one in own]
        cells = [f"{median(one.evaluations for one in own):.0f}"]
        cells += [f"{median(column):.1f}" for column in zip(*gaps, strict=True)]
        cells += [spread([float(np.mean(gap)) for gap in gaps]), f"{median(volumes):.3f}"]
        print(f"| `{name}` | {len(own)} |", " | ".join(cells), "|")
    print("\nmean gap over the budgets, nats x 1000, after a total number of evaluations: median over seeds and range")
    for count in (25, 50, 100, 200, 400, 660, 1000, 2000, 5000, 9375):
        cells = []
        for own in contenders.values():
            means = [
                1000 * float(np.mean(np.subtract(one.after(count), truth)))
                for one in own
                if count <= 1.05 * one.evaluations
            ]
            cells.append(spread(means) if means else "-")
        print(f"| {count} |", " | ".join(cells), "|")
    for reference in ("genetic-published", "genetic"):
        if reference in contenders:
            print(f"\nevaluations in all until as good as the median end of {reference}, give or take nats x 1000")
            aim = np.median([one.end for one in contenders[reference]], axis=0)
            for margin in (0, 1, 2, 5):
                cells = []
                for own in contenders.values():
                    needed = [one.until((aim + margin / 1000).tolist()) for one in own]
                    reached = sum(count < float("inf") for count in needed)
                    cells.append(f"{median(needed):.0f} ({reached} of {len(own)} seeds)")
                print(f"| {margin} |", " | ".join(cells), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--task", default="bibleende")
    parser.add_argument("--device", default="local")
    parser.add_argument("--sentences", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--algorithms", default="surrogate,pareto,genetic,random")
    parser.add_argument("--budgets", default="0,1,2", help="which of the three, for those that search each for itself")
    parser.add_argument("--population", type=int, default=40)
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--evaluations", type=int, default=120)
    parser.add_argument("--top-up", type=int, default=12)
    parser.add_argument("--replay", action="store_true", help="evaluate by a model of what was evaluated")
    parser.add_argument("--exhaustive", action="store_true")
    options = parser.parse_args()
    (run_all if options.action == "run" else print_table)(options)


if __name__ == "__main__":
    main()
