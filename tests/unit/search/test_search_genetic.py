"""The genetic search: quality, budgets, small feasible regions, interruptions."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import toy_device
from toy_device import SMALL, TINY, WIDE, true_latency_ms
from toy_search import Counting, loss, problem_of

from hat.artifacts.files import read_jsonl
from hat.config.search import Search
from hat.errors import HatError, InputError
from hat.search.algorithms.feasible import draw_feasible
from hat.search.algorithms.genetic import CROSSOVER, MUTATION, SAMPLED, GeneticSearch
from hat.search.evaluations import Evaluations
from hat.search.problem import Candidate, Problem, run
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace

SETTINGS = Search(population=20, parents=6, mutations=8, crossovers=8, iterations=12)


def searched(problem: Problem, seed: int = 1, settings: Search = SETTINGS) -> list[Candidate]:
    told: list[int] = []

    def tracker(completed: int, note: str = "") -> None:
        told.append(completed)

    algorithm = GeneticSearch(problem, settings, seed)
    found = run(problem, algorithm, tracker)
    assert told == sorted(told) and told[-1] == len(found)
    assert len(found) <= algorithm.planned
    return found


def winner(candidates: list[Candidate]) -> Candidate:
    return min(candidates, key=lambda candidate: candidate.rank)


@cache
def everything(name: str) -> list[tuple[float, float, Architecture]]:
    """Latency, loss and Architecture of all of a space of ``toy_device``, fastest first."""
    points = SearchSpace(getattr(toy_device, name)).enumerate()
    return sorted(((true_latency_ms(point), loss(point), point) for point in points), key=lambda entry: entry[:2])


def quantile(name: str, part: float) -> float:
    latencies = everything(name)
    return latencies[int(part * (len(latencies) - 1))][0]


@pytest.mark.parametrize("part", [0.2, 0.5, 1.0])
def test_finds_nearly_the_best_with_few_evaluations(tmp_path: Path, part: float) -> None:
    budget = quantile("SMALL", part)
    ranking = sorted(loss_ for latency, loss_, _ in everything("SMALL") if latency <= budget)
    evaluate = Counting()
    found = winner(searched(problem_of(tmp_path, SMALL, budget, evaluate)))
    assert evaluate.calls.total() < len(ranking) / 5
    assert found.objective_value <= ranking[len(ranking) // 200]


def test_finds_the_best_of_a_tiny_space(tmp_path: Path) -> None:
    budget = quantile("TINY", 0.6)
    best = min(loss_ for latency, loss_, _ in everything("TINY") if latency <= budget)
    assert winner(searched(problem_of(tmp_path, TINY, budget, Counting()))).objective_value == best


def test_never_evaluates_twice_and_keeps_to_the_budget(tmp_path: Path) -> None:
    budget = quantile("SMALL", 0.4)
    evaluate = Counting()
    found = searched(problem_of(tmp_path, SMALL, budget, evaluate))
    assert set(evaluate.calls.values()) == {1}
    assert len({candidate.architecture for candidate in found}) == len(found) == evaluate.calls.total()
    assert all(true_latency_ms(candidate.architecture) <= budget for candidate in found)
    assert all(candidate.predicted_latency_ms == true_latency_ms(candidate.architecture) for candidate in found)
    assert [candidate.order for candidate in found] == list(range(len(found)))


def test_generations_are_as_configured_and_the_last_is_scored(tmp_path: Path) -> None:
    found = searched(problem_of(tmp_path, WIDE, quantile_of_wide(0.5), Counting()))
    sizes = Counter(candidate.generation for candidate in found)
    assert sizes == {0: 20, **dict.fromkeys(range(1, 13), 16)}
    origins = {candidate.generation: Counter() for candidate in found}
    for candidate in found:
        origins[candidate.generation][candidate.origin] += 1
    assert origins[0] == {SAMPLED: 20}
    assert origins[12] == {MUTATION: 8, CROSSOVER: 8}


def quantile_of_wide(part: float) -> float:
    rng, space = random.Random(0), SearchSpace(WIDE)
    latencies = sorted(true_latency_ms(space.sample(rng)) for _ in range(2000))
    return latencies[int(part * 1999)]


def test_impossible_budget_names_the_fastest(tmp_path: Path) -> None:
    evaluate = Counting()
    with pytest.raises(HatError) as caught:
        problem_of(tmp_path, SMALL, 2.0, evaluate)
    smallest = SearchSpace(SMALL).smallest
    message = str(caught.value)
    assert message.startswith("budget 2ms on device 'here': no Architecture of the space is that fast; the fastest, {")
    assert smallest.to_json() in message
    assert f"predicted latency of {true_latency_ms(smallest):.4g} ms" in message
    assert caught.value.exit_code == 1
    assert not evaluate.calls


def test_only_the_fastest_is_feasible(tmp_path: Path) -> None:
    smallest = SearchSpace(WIDE).smallest
    found = searched(problem_of(tmp_path, WIDE, true_latency_ms(smallest), Counting()))
    assert [candidate.architecture for candidate in found] == [smallest]


@pytest.mark.parametrize("wanted", [2, 7, 15, 30])
def test_few_feasible_architectures_are_all_found(tmp_path: Path, wanted: int) -> None:
    budget = everything("SMALL")[wanted - 1][0]
    feasible = {point for latency, _, point in everything("SMALL") if latency <= budget}
    found = searched(problem_of(tmp_path, SMALL, budget, Counting()))
    assert {candidate.architecture for candidate in found} == feasible


def test_tight_budget_in_a_wide_space_still_fills_the_population(tmp_path: Path) -> None:
    budget = true_latency_ms(SearchSpace(WIDE).smallest) * 1.08
    problem = problem_of(tmp_path, WIDE, budget, Counting())
    found = draw_feasible(problem, 125, (), random.Random(1))
    assert len(set(found)) == 125
    assert max(true_latency_ms(point) for point in found) <= budget
    # They are spread out, not all next to the fastest.
    assert len({point.encoder_ffn_dim for point in found}) > 20


def test_a_single_parent_and_no_mutations(tmp_path: Path) -> None:
    settings = Search(population=3, parents=1, mutations=0, crossovers=2, iterations=2)
    found = searched(problem_of(tmp_path, SMALL, 1000.0, Counting()), settings=settings)
    assert Counter(candidate.generation for candidate in found) == {0: 3, 1: 2, 2: 2}


def test_same_seed_same_result(tmp_path: Path) -> None:
    budget = quantile("SMALL", 0.5)
    first = searched(problem_of(tmp_path / "a", SMALL, budget, Counting()), seed=5)
    second = searched(problem_of(tmp_path / "b", SMALL, budget, Counting()), seed=5)
    other = searched(problem_of(tmp_path / "c", SMALL, budget, Counting()), seed=6)
    assert first == second
    assert first != other


@pytest.mark.parametrize("stop_at", [0, 7, 20, 61])
def test_interrupted_search_ends_with_the_same_result(tmp_path: Path, stop_at: int) -> None:
    budget = quantile("SMALL", 0.5)
    whole = searched(problem_of(tmp_path / "whole", SMALL, budget, Counting()))
    with pytest.raises(KeyboardInterrupt):
        searched(problem_of(tmp_path / "cut", SMALL, budget, Counting(stop_at)))
    with open(tmp_path / "cut" / "search.jsonl", "ab") as stream:
        stream.write(b'{"architecture": {"encoder_emb')
    evaluate = Counting()
    assert searched(problem_of(tmp_path / "cut", SMALL, budget, evaluate)) == whole
    assert evaluate.calls.total() == len(whole) - stop_at
    again = Counting()
    assert searched(problem_of(tmp_path / "cut", SMALL, budget, again)) == whole
    assert not again.calls


def test_other_weights_are_evaluated_anew(tmp_path: Path) -> None:
    first = searched(problem_of(tmp_path, SMALL, 1000.0, Counting()))
    evaluate = Counting()
    assert searched(problem_of(tmp_path, SMALL, 1000.0, evaluate, context="other weights")) == first
    assert evaluate.calls.total() == len(first)


def test_loss_that_is_no_number_is_refused(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, SMALL, 1000.0, Counting(value=lambda architecture: float("nan")))
    with pytest.raises(HatError, match="is nan; the SuperTransformer has diverged"):
        searched(problem)
    assert read_jsonl(tmp_path / "search.jsonl") == []


def test_damaged_file_of_evaluations_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search.jsonl").write_text('{"context":"weights","architecture":{}}\n')
    with pytest.raises(InputError, match=r"search\.jsonl, line 1"):
        Evaluations(tmp_path / "search.jsonl", "weights")


SLOW_SEARCH = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]).parent)]
import test_search_genetic as tests

def value(architecture):
    time.sleep(0.01)
    return tests.loss(architecture)

losses = tests.Counting(value=value)
tests.searched(tests.problem_of(Path(sys.argv[1]), tests.SMALL, float(sys.argv[3]), losses))
"""


def test_killed_search_ends_with_the_same_result(tmp_path: Path) -> None:
    budget = quantile("SMALL", 0.5)
    whole = searched(problem_of(tmp_path / "whole", SMALL, budget, Counting()))
    file = tmp_path / "cut" / "search.jsonl"
    command = [sys.executable, "-c", SLOW_SEARCH, str(tmp_path / "cut"), str(Path(__file__).parent), repr(budget)]
    process = subprocess.Popen(command)
    try:
        while process.poll() is None and len(read_jsonl(file)) < 30:
            time.sleep(0.02)
        assert process.poll() is None, "the search ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    kept = len(read_jsonl(file))
    assert 30 <= kept < len(whole)
    evaluate = Counting()
    assert searched(problem_of(tmp_path / "cut", SMALL, budget, evaluate)) == whole
    assert evaluate.calls.total() == len(whole) - kept
