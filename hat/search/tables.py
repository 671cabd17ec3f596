"""Convert candidates to tables and back."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from hat.config.search import ObjectiveName
from hat.errors import InputError
from hat.latency.dataset import architectures_of, read_parquet
from hat.search.objective import LOSS_KEY, NAME_KEY, VALUE_KEY, named_value, value_key
from hat.search.problem import Candidate

_COMMON = ("order", "generation", "origin", "digest", "architecture", "predicted_latency_ms", "bound_ms")
COLUMNS: dict[ObjectiveName, tuple[str, ...]] = {
    "loss": (*_COMMON, LOSS_KEY, "loss_error", "whole", "tokens"),
    "bleu": (*_COMMON, NAME_KEY, VALUE_KEY, "whole"),
}


def table(candidates: Sequence[Candidate], objective: ObjectiveName) -> pd.DataFrame:
    """Make a table with a row for each candidate, in the order of evaluation."""
    rows = [
        asdict(candidate)
        | named_value(objective, candidate.objective_value)
        | {"digest": candidate.architecture.digest, "architecture": candidate.architecture.to_json()}
        for candidate in candidates
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS[objective]))


def read_candidates(path: Path, objective: ObjectiveName) -> list[Candidate]:
    """Read candidates from a table that :func:`table` made.

    Raises:
        InputError: the file is missing, or is not a table of candidates for this objective.
    """
    frame = read_parquet(path)
    if missing := set(COLUMNS[objective]) - set(frame.columns):
        raise InputError(
            f"{path}: columns {', '.join(sorted(missing))} are missing; delete the file and run snakemake again"
        )
    points, value = architectures_of(frame, str(path)), value_key(frame.columns)
    return [
        Candidate(
            architecture=point,
            predicted_latency_ms=float(row["predicted_latency_ms"]),
            bound_ms=float(row["bound_ms"]),
            objective_value=float(row[value]),
            loss_error=float(row.get("loss_error", 0.0)),
            whole=bool(row["whole"]),
            tokens=float(row.get("tokens", 1.0)),
            order=int(row["order"]),
            generation=int(row["generation"]),
            origin=str(row["origin"]),
        )
        for point, row in zip(points, frame.to_dict("records"), strict=True)
    ]
