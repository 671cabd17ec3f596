"""Search curves: the best validation loss over the evaluations, against random search."""

from pathlib import Path

import numpy as np
import pandas as pd

from hat.report.gathered import Place
from hat.report.lacking import Lacking
from hat.report.style import Drawing, colour, marker, new_figure

SAMPLED, WHOLE = "sampled", "whole"


def search_of(place: Place, names: list[str]) -> Drawing:
    """Best validation loss after each evaluation, for each budget, and what random draws alone reach.

    Raises:
        Lacking: there was no search.
    """
    files = {name: place.results.budget(place.task, place.device, name) / "search.parquet" for name in names}
    found = {name: path for name, path in files.items() if path.exists()}
    if not found:
        raise Lacking(f"a search in {place.folder}", f"{place.folder}/BUDGET/search.parquet")
    curves = pd.concat([_curve(path, name) for name, path in found.items()], ignore_index=True)
    figure = new_figure()
    (axes,) = figure.axes
    for number, name in enumerate(found):
        own = curves[curves["budget"] == name]
        axes.step(
            own["evaluations"],
            own["best_validation_loss"],
            where="post",
            color=colour(number),
            marker=marker(number),
            markevery=max(1, len(own) // 6),
            label=f"{name} ({own['best_validation_loss'].iloc[-1]:.3f})",
        )
        random = own[own["random_validation_loss"].notna()]
        axes.plot(random["evaluations"], random["random_validation_loss"], ":", color=colour(number))
    if curves["random_validation_loss"].notna().any():
        axes.plot([], [], ":", color="0.3", label="random search, expected")
        compared = (
            "Dotted: the expected best of as many random draws that meet the budget, computed from those that the"
            " search itself began with, and as far as these reach."
        )
    else:
        compared = "None of these searches drew at random, so there is no random search beside them."
    axes.set(xlabel="Architectures evaluated", ylabel="best validation loss, nats a token")
    axes.legend(title="budget (best)")
    caption = (
        f"Validation loss is with the SuperTransformer's weights. {compared} Data: {place.folder}/*/search.parquet."
    )
    title = f"Search, {place.where}"
    return Drawing(name="search", title=title, caption=caption, figure=figure, data=curves)


def _curve(path: Path, budget: str) -> pd.DataFrame:
    candidates = pd.read_parquet(path).sort_values("order")
    losses = candidates["validation_loss"]
    # What was evaluated on a part of the sentences alone is no result yet.
    whole = candidates[WHOLE].astype(bool) if WHOLE in candidates else losses.notna()
    random = np.full(len(candidates), np.nan)
    if "origin" in candidates:
        expected = expected_best(losses[whole & (candidates["origin"] == SAMPLED)].to_numpy(dtype=float))
        random[: len(expected)] = expected[: len(random)]
    return pd.DataFrame(
        {
            "budget": budget,
            "evaluations": range(1, len(candidates) + 1),
            "generation": candidates["generation"].to_numpy(),
            "validation_loss": losses.to_numpy(),
            "best_validation_loss": losses.where(whole).cummin().ffill().to_numpy(),
            "random_validation_loss": random,
        }
    )


def expected_best(losses: np.ndarray) -> np.ndarray:
    """Expected minimum of n of these losses drawn without replacement, for n from 1 to all of them.

    The i-th smallest of N, from 0, is the minimum with probability C(N - 1 - i, n - 1) / C(N, n).
    """
    ordered = np.sort(losses)
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
