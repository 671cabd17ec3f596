"""The other algorithms: random, Pareto and surrogate search, beside the published one."""

import random
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from pymoo.core.population import Population
from toy_device import SMALL, TINY, WIDE, TrueLatency, true_latency_ms
from toy_search import Counting, loss, problem_of

from hat.config.algorithms import ALGORITHMS
from hat.config.networks import Space
from hat.config.search import Search
from hat.errors import HatError
from hat.search.algorithms.feasible import draw_feasible
from hat.search.algorithms.pareto import ParetoSearch
from hat.search.algorithms.registry import make_algorithm
from hat.search.algorithms.surrogate import LossModel, SurrogateSearch
from hat.search.corrected import Corrected
from hat.search.front import hypervolume, pareto_front
from hat.search.problem import Candidate, best_note, run
from hat.space.architecture import Architecture
from hat.space.encoding import Encoding, Genes
from hat.space.search_space import SearchSpace

ALL = sorted(ALGORITHMS)
SETTINGS = Search(evaluations=24, population=12, parents=6, mutations=4, crossovers=4, iterations=3)


def silent(completed: int, note: str = "") -> None:
    pass


def searched(problem, name: str, seed: int = 1, settings: Search = SETTINGS) -> list[Candidate]:
    algorithm = make_algorithm(name, problem, settings, seed)
    found = run(problem, algorithm, silent)
    assert len(found) <= algorithm.planned
    return found


def levels() -> list[float]:
    latencies = [true_latency_ms(point) for point in drawn(SMALL, 500)]
    return np.quantile(latencies, [0.25, 0.5, 1]).tolist()


@cache
def drawn(space: Space, count: int) -> list[Architecture]:
    rng = random.Random(0)
    return list(dict.fromkeys(SearchSpace(space).sample(rng) for _ in range(count)))


def best_of(candidates: list[Candidate], budget: float) -> float:
    return min(found.objective_value for found in candidates if found.whole and found.bound_ms <= budget)


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_result_never_twice_within_budget(tmp_path: Path, name: str) -> None:
    budget = levels()[1]
    losses = Counting(blocks=20)
    first = searched(problem_of(tmp_path / "a", SMALL, budget, losses, halving=True), name, seed=3)
    assert len({found.architecture for found in first}) == len(first) == losses.calls.total()
    assert all(true_latency_ms(found.architecture) <= budget for found in first)
    assert all(found.architecture in SearchSpace(SMALL) for found in first)
    assert first == searched(problem_of(tmp_path / "b", SMALL, budget, Counting(blocks=20), halving=True), name, seed=3)
    other = problem_of(tmp_path / "c", SMALL, budget, Counting(blocks=20), halving=True)
    assert [proposal.architecture for proposal in make_algorithm(name, other, SETTINGS, 4).ask()] != [
        found.architecture for found in first if found.generation == 0
    ]


@pytest.mark.parametrize("name", ALL)
def test_a_cache_full_of_other_evaluations_changes_nothing(tmp_path: Path, name: str) -> None:
    problem = problem_of(tmp_path / "a", SMALL, levels(), Counting(blocks=54), halving=True)
    alone = searched(problem, name)
    full = problem_of(tmp_path / "b", SMALL, levels(), Counting(blocks=54), halving=True)
    asked = [found.architecture for found in alone]
    full.evaluator.known([*drawn(SMALL, 50), *asked[::3]], 54)
    full.evaluator.known(asked[1::3], 6)
    assert searched(full, name) == alone


@pytest.mark.parametrize("name", ALL)
def test_interrupted_search_ends_with_the_same_result(tmp_path: Path, name: str, stop_at: int = 17) -> None:
    whole = searched(problem_of(tmp_path / "whole", SMALL, levels(), Counting(blocks=54), halving=True), name)
    with pytest.raises(KeyboardInterrupt):
        searched(problem_of(tmp_path / "cut", SMALL, levels(), Counting(stop_at, blocks=54), halving=True), name)
    losses = Counting(blocks=54)
    assert searched(problem_of(tmp_path / "cut", SMALL, levels(), losses, halving=True), name) == whole
    assert losses.calls.total() == len(whole) - stop_at


@pytest.mark.parametrize("name", ALL)
def test_a_space_smaller_than_what_is_wanted(tmp_path: Path, name: str) -> None:
    everything = list(SearchSpace(TINY).enumerate())
    budget = sorted(map(true_latency_ms, everything))[14]
    few = [point for point in everything if true_latency_ms(point) <= budget]
    settings = SETTINGS.model_copy(update={"evaluations": 40, "iterations": 6})
    found = searched(problem_of(tmp_path, TINY, budget, Counting()), name, settings=settings)
    assert {one.architecture for one in found} == set(few)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_of_a_small_space_is_found_whatever_the_seed(tmp_path: Path, seed: int) -> None:
    everything = list(SearchSpace(TINY).enumerate())
    # No single change leads from one to another.
    apart = {point for point in everything if int(point.digest, 16) % 7 == 0} | {SearchSpace(TINY).smallest}
    problem = problem_of(tmp_path, TINY, 1000.0, Counting(), limited=lambda point: point in apart)
    drawn = draw_feasible(problem, len(apart), (), random.Random(seed))
    assert set(drawn) == apart
    kept = drawn[::2]
    assert set(draw_feasible(problem, len(apart), kept, random.Random(seed))) == apart - set(kept)


def test_pareto_goes_on_drawing_where_breeding_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = list(SearchSpace(TINY).enumerate())
    settings = SETTINGS.model_copy(update={"evaluations": 60})
    problem = problem_of(tmp_path, TINY, 1000.0, Counting())
    algorithm = ParetoSearch(problem, settings, 1)
    monkeypatch.setattr(algorithm._algorithm.mating, "do", lambda *_, **__: Population())
    found = run(problem, algorithm, silent)
    assert len({one.architecture for one in found} & set(everything)) == len(found) == 60


@pytest.mark.parametrize("name", ALL)
def test_only_the_fastest_is_feasible(tmp_path: Path, name: str) -> None:
    smallest = SearchSpace(WIDE).smallest
    found = searched(problem_of(tmp_path, WIDE, true_latency_ms(smallest), Counting()), name)
    assert [candidate.architecture for candidate in found] == [smallest]


def test_one_surrogate_search_is_better_than_random_under_every_budget(tmp_path: Path) -> None:
    budgets = levels()
    losses = Counting(blocks=20)
    gaps = {"surrogate": [], "random": []}
    worth = [(true_latency_ms(point), loss(point)) for point in SearchSpace(SMALL).enumerate()]
    truth = [min(value for latency, value in worth if latency <= budget) for budget in budgets]
    for seed in range(2):
        for name, own in gaps.items():
            found = searched(problem_of(tmp_path, SMALL, budgets, losses, halving=True), name, seed=seed)
            own += [best_of(found, budget) - best for budget, best in zip(budgets, truth, strict=True)]
    assert all(gap > -1e-9 for own in gaps.values() for gap in own)
    assert median(gaps["surrogate"]) < median(gaps["random"]) / 2
    assert median(gaps["surrogate"]) < 0.02


def test_known_candidates_are_built_upon(tmp_path: Path) -> None:
    budgets = levels()
    problem = problem_of(tmp_path, SMALL, budgets, Counting())
    before = searched(problem, "surrogate")
    one = problem_of(tmp_path, SMALL, budgets[1], Counting())
    further = run(one, SurrogateSearch(one, SETTINGS, 1, before, evaluations=8), silent, before)
    assert len(further) == 8
    assert not {found.architecture for found in further} & {found.architecture for found in before}
    assert [found.order for found in further] == list(range(len(before), len(before) + 8))
    assert all(found.bound_ms <= budgets[1] for found in further)


def test_encoding_tells_all_architectures_apart() -> None:
    everything = list(SearchSpace(TINY).enumerate())
    rows = Encoding(SearchSpace(TINY))(everything)
    assert len({tuple(row) for row in rows.tolist()}) == len(everything)
    assert rows.min() == 0
    assert rows.max() == 1
    wide = SearchSpace(WIDE)
    some = drawn(WIDE, 200)
    assert len(np.unique(Encoding(wide)(some), axis=0)) == len(some)


def test_genes_and_back() -> None:
    for space in map(SearchSpace, (SMALL, WIDE)):
        genes = Genes(space)
        for seed in range(50):
            point = space.sample(random.Random(seed))
            row = genes.row(point)
            assert all(0 <= number < count for number, count in zip(row, genes.counts.tolist(), strict=True))
            assert genes.architecture(row) == point


def test_the_model_ranks_what_it_has_not_seen() -> None:
    everything = drawn(SMALL, 300)
    model = LossModel(SearchSpace(SMALL))
    model.fit(everything[:60], [loss(point) for point in everything[:60]], [0.0] * 60)
    mean, deviation = model.predict(everything[60:260])
    truth = [loss(point) for point in everything[60:260]]
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert (deviation > 0).all()


def test_dimensions_that_matter_are_told_from_few_losses() -> None:
    """Of many dimensions two decide, and not by adding up."""
    everything = drawn(WIDE, 400)

    def decided(point: Architecture) -> float:
        return 0.1 * (point.decoder_layers == 1) * (1 + point.decoder_embed_dim / 640) + point.encoder_embed_dim / 6400

    losses = [decided(point) for point in everything]
    model = LossModel(SearchSpace(WIDE))
    for count in (40, 80):
        model.fit(everything[:count], losses[:count], [0.0] * count)
    mean, _ = model.predict(everything[200:])
    assert np.corrcoef(mean, losses[200:])[0, 1] > 0.98


def candidate(bound_ms: float, value: float, *, whole: bool = True) -> Candidate:
    return Candidate(
        architecture=SearchSpace(SMALL).smallest,
        predicted_latency_ms=bound_ms,
        bound_ms=bound_ms,
        objective_value=value,
        loss_error=0.0,
        whole=whole,
        tokens=1.0,
        order=0,
        generation=0,
        origin="made",
    )


def test_front_and_hypervolume() -> None:
    found = [candidate(10, 3), candidate(20, 2), candidate(20, 2.5), candidate(30, 2.2), candidate(5, 1, whole=False)]
    front = pareto_front(found)
    assert [(one.bound_ms, one.objective_value) for one in front] == [(10, 3), (20, 2)]
    points = [(one.bound_ms, one.objective_value) for one in found if one.whole]
    assert hypervolume(points, (40, 4)) == pytest.approx(10 * 1 + 20 * 2)
    assert hypervolume([(10, 3), (20, 2)], (40, 4)) == hypervolume(points, (40, 4))
    assert hypervolume(points, (10, 4)) == 0
    assert hypervolume([], (40, 4)) == 0


class Loose(TrueLatency):
    """Right on average; the bound is a fifth above."""

    def upper_bound(self, architectures):
        return 1.2 * self.predict(architectures)


def test_the_bound_is_what_has_to_be_within_the_budget(tmp_path: Path) -> None:
    budget = levels()[1]
    problem = problem_of(tmp_path, SMALL, budget, Counting(), predictor=Loose())
    assert problem.bounded
    found = searched(problem, "surrogate")
    assert all(1.2 * true_latency_ms(one.architecture) <= budget for one in found)
    assert all(one.bound_ms == pytest.approx(1.2 * one.predicted_latency_ms) for one in found)


def test_a_budget_that_only_predictions_meet(tmp_path: Path) -> None:
    smallest = SearchSpace(SMALL).smallest
    problem = problem_of(tmp_path, SMALL, 1.1 * true_latency_ms(smallest), Counting(), predictor=Loose())
    assert not problem.bounded
    assert smallest in {one.architecture for one in searched(problem, "surrogate")}
    with pytest.raises(HatError, match="no Architecture of the space is that fast"):
        problem_of(tmp_path, SMALL, 0.99 * true_latency_ms(smallest), Counting(), predictor=Loose())


def test_limits_beside_latency(tmp_path: Path) -> None:
    def limited(architecture):
        return sum(architecture.decoder_ffn_dim) <= 96

    problem = problem_of(tmp_path, SMALL, 1000.0, Counting(), limited=limited)
    for name in ALL:
        assert all(limited(one.architecture) for one in searched(problem, name))
    with pytest.raises(HatError, match=r"the smallest Architecture, \{.*\}, is above search\.limits"):
        problem_of(tmp_path, SMALL, 1000.0, Counting(), limited=lambda architecture: False)


def test_corrections_apply_to_prediction_and_bound() -> None:
    points = [SearchSpace(SMALL).smallest, SearchSpace(SMALL).largest]
    corrected = Corrected(TrueLatency(), 2.0)
    assert corrected.predict(points) == pytest.approx(2 * TrueLatency().predict(points))
    assert corrected.upper_bound(points) == pytest.approx(2 * TrueLatency().upper_bound(points))


def test_progress_says_the_best_under_each_budget(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, SMALL, [15.0, 1000.0], Counting())
    found = [candidate(12, 3.0), candidate(500, 2.0), candidate(5, 1.0, whole=False)]
    assert best_note(found, problem) == "best loss 15 ms 3.0000, 1000 ms 2.0000"
