"""Candidates as tables, and back."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from hat.errors import InputError
from hat.latency.dataset import architectures_of, read_parquet
from hat.search.problem import Candidate

COLUMNS = (
    "order",
    "generation",
    "origin",
    "digest",
    "architecture",
    "predicted_latency_ms",
    "bound_ms",
    "validation_loss",
    "loss_error",
    "whole",
    "tokens",
)


def table(candidates: Sequence[Candidate]) -> pd.DataFrame:
    """One row for each candidate, in the order of evaluation."""
    rows = [
        asdict(candidate) | {"digest": candidate.architecture.digest, "architecture": candidate.architecture.to_json()}
        for candidate in candidates
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read_candidates(path: Path) -> list[Candidate]:
    """Inverse of :func:`table`.

    Raises:
        InputError: the file is missing or no table of candidates.
    """
    frame = read_parquet(path)
    if missing := set(COLUMNS) - set(frame.columns):
        raise InputError(f"{path}: lacks the columns {', '.join(sorted(missing))}; delete it to have it made anew")
    points = architectures_of(frame, str(path))
    return [
        Candidate(
            architecture=point,
            predicted_latency_ms=float(row["predicted_latency_ms"]),
            bound_ms=float(row["bound_ms"]),
            validation_loss=float(row["validation_loss"]),
            loss_error=float(row["loss_error"]),
            whole=bool(row["whole"]),
            tokens=float(row["tokens"]),
            order=int(row["order"]),
            generation=int(row["generation"]),
            origin=str(row["origin"]),
        )
        for point, row in zip(points, frame.to_dict("records"), strict=True)
    ]
