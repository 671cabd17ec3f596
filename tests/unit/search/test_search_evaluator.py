"""Evaluations: the shared file, pieces, early stopping and how wrong it is."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from toy_device import SMALL, true_latency_ms
from toy_search import Counting, loss, problem_of

from hat.artifacts.files import JsonLinesLog, read_jsonl
from hat.search.evaluations import Blocks, Evaluations
from hat.search.evaluator import RISK, Evaluator, compare
from hat.search.problem import INCUMBENT_RANK, CandidateEvaluator
from hat.space.search_space import SearchSpace

BLOCKS = 54


def evaluator(folder: Path, losses: Counting) -> Evaluator:
    return Evaluator(Evaluations(folder / "evaluations.jsonl", "weights"), losses)


def points(count: int, seed: int = 0):
    rng, space = random.Random(seed), SearchSpace(SMALL)
    return list(dict.fromkeys(space.sample(rng) for _ in range(2 * count)))[:count]


def test_pieces_are_the_whole(tmp_path: Path) -> None:
    losses = Counting(blocks=BLOCKS)
    whole = evaluator(tmp_path, losses)
    chosen = points(5)
    assert whole.rungs == [6, 18, 54]
    first = whole.known(chosen, 6)
    assert [len(found) for found in first] == [6] * 5
    all_blocks = whole.known(chosen, BLOCKS)
    assert [found.nll[:6] for found in all_blocks] == [found.nll for found in first]
    assert [found.loss() for found in all_blocks] == pytest.approx([loss(point) for point in chosen], abs=1e-12)
    # Nothing was made twice, and another object reads the same from the file.
    used = losses.tokens
    other = evaluator(tmp_path, Counting(stop_at=0, blocks=BLOCKS))
    assert other.known(chosen, BLOCKS) == all_blocks
    assert whole.known(chosen, BLOCKS) == all_blocks
    assert losses.tokens == used == sum(sum(found.tokens) for found in all_blocks)


def test_what_is_kept_does_not_depend_on_who_asked_first(tmp_path: Path) -> None:
    """Sums are made in the same pieces whether or not a candidate may be stopped."""
    point = points(1)
    for name, steps in (("at once", [BLOCKS]), ("by and by", [6, 18, BLOCKS])):
        own = evaluator(tmp_path / name, Counting(blocks=BLOCKS))
        for blocks in steps:
            own.known(point, blocks)
    one, other = (
        [(row["first"], row["nll"]) for row in read_jsonl(tmp_path / name / "evaluations.jsonl")]
        for name in ("at once", "by and by")
    )
    assert one == other


def test_few_blocks_have_no_rungs(tmp_path: Path) -> None:
    assert evaluator(tmp_path, Counting(blocks=3)).rungs == [3]
    assert evaluator(tmp_path, Counting(blocks=20)).rungs == [7, 20]


def test_clearly_worse_candidates_are_stopped_and_good_ones_never(tmp_path: Path) -> None:
    losses = Counting(blocks=BLOCKS)
    own = evaluator(tmp_path, losses)
    chosen = sorted(points(60), key=loss)
    best, worst = chosen[:30], chosen[-30:]
    own.known([chosen[0]], BLOCKS)
    good = own.evaluate(best[:3], [worst[0]] * 3) if own.known([worst[0]], BLOCKS) else []
    assert all(found.whole and found.error == 0 for found in good)
    bad = own.evaluate(worst, [chosen[0]] * 30)
    stopped = [(point, found) for point, found in zip(worst, bad, strict=True) if not found.whole]
    assert len(stopped) > 15
    whole = sum(own.evaluations.get(chosen[0]).tokens)
    for point, found in stopped:
        assert found.tokens < whole
        assert abs(found.loss - loss(point)) < 3 * found.error
        assert loss(point) > loss(chosen[0])
    assert all(found.whole for found in own.evaluate(worst, [None] * 30))


def test_the_risk_of_stopping_an_equal_is_what_is_promised() -> None:
    """Two networks that are equally good on the subset: the one is stopped in a hundredth of all random orders."""
    rng = random.Random(1)
    tokens = [8.0 + block % 5 for block in range(BLOCKS)]
    incumbent = [size * rng.gauss(3, 1) for size in tokens]
    differences = [rng.gauss(0, 0.3) for _ in tokens]
    mean = sum(size * part for size, part in zip(tokens, differences, strict=True)) / sum(tokens)
    own = [r + size * (part - mean) for r, size, part in zip(incumbent, tokens, differences, strict=True)]
    stopped = 0
    for _ in range(3000):
        order = rng.sample(range(BLOCKS), BLOCKS)
        ranked = [tuple(values[place] for place in order) for values in (own, incumbent, tokens)]
        stopped += compare(Blocks(ranked[0][:18], ranked[2][:18]), Blocks(ranked[1], ranked[2])) is not None
    assert stopped / 3000 < 2 * RISK


def test_rivals_are_the_best_of_the_smallest_budget(tmp_path: Path) -> None:
    everything = sorted(points(80), key=true_latency_ms)
    budgets = [true_latency_ms(everything[30]), true_latency_ms(everything[-1])]
    problem = problem_of(tmp_path, SMALL, budgets, Counting(blocks=BLOCKS), halving=True)
    evaluate = CandidateEvaluator(problem)
    first = evaluate(everything[:20])
    assert all(found.whole for found in first)
    second = evaluate(everything[20:])
    for point, found in zip(everything[20:], second, strict=True):
        budget = budgets[0] if true_latency_ms(point) <= budgets[0] else budgets[1]
        better = sum(loss(other) < loss(point) for other in everything if true_latency_ms(other) <= budget)
        assert found.whole or better >= INCUMBENT_RANK


WRITER = """
import sys
from hat.artifacts.files import JsonLinesLog
log = JsonLinesLog(sys.argv[1])
for number in range(200):
    log.append({"who": sys.argv[2], "number": number, "text": "x" * 3000})
"""


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    log = JsonLinesLog(path)
    running = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), who]) for who in "ab"]
    seen = []
    while any(process.poll() is None for process in running):
        seen += log.new_rows()
    seen += log.new_rows()
    assert [process.returncode for process in running] == [0, 0]
    assert seen == read_jsonl(path)
    for who in "ab":
        assert [row["number"] for row in seen if row["who"] == who] == list(range(200))


def test_a_row_after_one_that_was_cut_short(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "rows.jsonl")
    log.append({"number": 1})
    with open(log.path, "ab") as stream:
        stream.write(b'{"number": 2, "te')
    log.append({"number": 3})
    assert read_jsonl(log.path) == log.new_rows() == [{"number": 1}, {"number": 3}]


def test_both_evaluated_the_same(tmp_path: Path) -> None:
    """Rows that two processes wrote at once count once."""
    one, other = (Evaluations(tmp_path / "e.jsonl", "weights") for _ in range(2))
    point = points(1)[0]
    one.add(point, 0, [1.0, 2.0], [1.0, 1.0])
    other.add(point, 0, [1.0, 2.0], [1.0, 1.0])
    other.add(point, 2, [3.0], [1.0])
    one.refresh()
    assert one.get(point) == other.get(point) == Blocks((1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
