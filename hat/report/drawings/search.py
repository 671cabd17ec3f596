"""Search curves: the best objective value over the evaluations, against random search."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from hat.artifacts.missing import MissingArtifact
from hat.artifacts.table import RANDOM_SEARCH, SEARCH
from hat.config.scope import DeviceScope
from hat.config.search import ObjectiveName
from hat.report.style import Drawing, colour, legend, marker, new_figure
from hat.search.objective import LOSS_KEY, NAME_KEY, VALUE_KEY, value_key

SAMPLED, WHOLE = "sampled", "whole"
# Names of an objective's values: for the axis, and for the caption.
AXES = {"loss": "best validation loss, nats a token", "bleu": "best 100 - BLEU of validation sentences"}
VALUES = {
    "loss": "Validation loss of each Architecture",
    "bleu": "100 - BLEU of each Architecture's translations of validation sentences",
}
# Whether a row belongs to the search or to random draws.
OWN, RANDOM = "search", "random, expected"


def search_of(scope: DeviceScope, names: list[str]) -> Drawing:
    """Draw the best objective value after each evaluation, for each budget, and the expected best of random draws.

    Raises:
        MissingArtifact: no search was run.
    """
    folders = {name: scope.of(name).folder for name in names}
    searched = {name: objective_of(folder / SEARCH) for name, folder in folders.items() if (folder / SEARCH).exists()}
    if not searched:
        raise MissingArtifact(f"a search in {scope.device_folder}", f"{scope.device_folder}/BUDGET/{SEARCH}")
    objective = scope.task_settings.search.objective
    if objective not in searched.values():
        objective = next(iter(searched.values()))
    found = {name: folders[name] for name in searched if searched[name] == objective}
    best = f"best_{LOSS_KEY if objective == 'loss' else VALUE_KEY}"
    curves = pd.concat([part for name, folder in found.items() for part in _curves(folder, name)], ignore_index=True)
    figure = new_figure()
    (axes,) = figure.axes
    for number, name in enumerate(found):
        own, drawn = (curves[(curves["budget"] == name) & (curves["of"] == which)] for which in (OWN, RANDOM))
        axes.step(
            own["evaluations"],
            own[best],
            where="post",
            color=colour(number),
            marker=marker(number),
            markevery=max(1, len(own) // 6),
            label=f"{name} ({own[best].iloc[-1]:.3f})",
        )
        axes.plot(drawn["evaluations"], drawn[best], ":", color=colour(number))
    if (curves["of"] == RANDOM).any():
        axes.plot([], [], ":", color="0.3", label="random search, expected")
    axes.set(xlabel="Architectures evaluated", ylabel=AXES[objective])
    legend(axes, title="budget (best value)")
    other = [name for name in searched if name not in found]
    left_out = f" Not shown, because they were searched with another objective: {', '.join(other)}." if other else ""
    caption = (
        f"{VALUES[objective]} with the SuperTransformer's weights. Evaluations count from the start of the search for"
        f" all budgets. {_said(found, curves)}{left_out}"
        f" Data: {scope.device_folder}/*/{SEARCH}, {RANDOM_SEARCH}."
    )
    title = f"Search, {scope.where}"
    return Drawing(name="search", title=title, caption=caption, figure=figure, data=curves)


def _said(found: Mapping[str, Path], curves: pd.DataFrame) -> str:
    """Explain the dotted lines, and name the target that makes missing ones."""
    made = [name for name, folder in found.items() if _drawn_at_random(folder)]
    drawn = [
        name for name in found if name not in made and ((curves["budget"] == name) & (curves["of"] == RANDOM)).any()
    ]
    words = []
    if made:
        words.append(
            f"Dotted, {', '.join(made)}: the expected best of as many Architectures drawn at random within the budget,"
            " from a random search with the same number of evaluations."
        )
    if drawn:
        words.append(
            f"Dotted, {', '.join(drawn)}: the expected best of as many of the random Architectures that the search"
            " started from."
        )
    if missing := [name for name in found if name not in made]:
        first = found[missing[0]] / RANDOM_SEARCH
        words.append(f"No random search was run for {', '.join(missing)}; `snakemake {first}` runs the first.")
    return " ".join(words)


def objective_of(path: Path) -> ObjectiveName:
    """Return the objective of a table of candidates."""
    return "bleu" if VALUE_KEY in pd.read_parquet(path) else "loss"


def _curves(folder: Path, budget: str) -> Iterator[pd.DataFrame]:
    """Yield the curve of a search, and the curve of the expected best of random draws."""
    candidates = pd.read_parquet(folder / SEARCH).sort_values("order")
    key = value_key(candidates.columns)
    name = {NAME_KEY: candidates[NAME_KEY].iloc[0]} if NAME_KEY in candidates else {}
    values, whole = candidates[key], _whole(candidates)
    yield pd.DataFrame(
        {
            "budget": budget,
            "of": OWN,
            "evaluations": 1 + candidates["order"].to_numpy(),
            **name,
            key: values.to_numpy(),
            f"best_{key}": values.where(whole).cummin().ffill().to_numpy(),
        }
    )
    if _drawn_at_random(folder):
        drawn = pd.read_parquet(folder / RANDOM_SEARCH).sort_values("order")
    else:
        drawn = candidates[whole & (candidates["origin"] == SAMPLED)]
    expected = drawn[key].to_numpy(dtype=float)
    yield pd.DataFrame(
        {
            "budget": budget,
            "of": RANDOM,
            "evaluations": range(1, len(drawn) + 1),
            **name,
            key: expected,
            f"best_{key}": expected_best(expected),
        }
    )


def _drawn_at_random(folder: Path) -> bool:
    """Whether a random search was run for the same objective."""
    path = folder / RANDOM_SEARCH
    return path.exists() and objective_of(path) == objective_of(folder / SEARCH)


def _whole(candidates: pd.DataFrame) -> "pd.Series[bool]":
    """Return the candidates that were evaluated on all sentences; the others have no final value."""
    return candidates[WHOLE].astype(bool) if WHOLE in candidates else candidates[LOSS_KEY].notna()


def expected_best(values: np.ndarray) -> np.ndarray:
    """Return the expected minimum of n values drawn without replacement, for n from 1 to all of them.

    The i-th smallest of N, from 0, is the minimum with probability C(N - 1 - i, n - 1) / C(N, n).
    """
    ordered = np.sort(values)
    total = len(ordered)
    expected = []
    for count in range(1, total + 1):
        weight = count / total
        value = 0.0
        for rank in range(total - count + 1):
            value += weight * ordered[rank]
            weight *= (total - count - rank) / (total - 1 - rank) if rank < total - 1 else 0.0
        expected.append(value)
    return np.asarray(expected)
