"""The schema of a LatencyDataset: types and bounds of its columns, validated by pandera."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from hat.errors import InputError
from hat.measure.power import MOST

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

MOST_SHOWN = 3


def _schema() -> "DataFrameSchema":
    import pandera.pandas as pa

    positive = pa.Check(lambda column: (column > 0) & (column < float("inf")), error="positive and finite")

    def number(**how: Any) -> pa.Column:
        return pa.Column(float, positive, coerce=True, **how)

    def optional(**how: Any) -> pa.Column:
        return pa.Column(required=False, nullable=True, **how)

    return pa.DataFrameSchema(
        {
            "digest": pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{16}$"), unique=True),
            "architecture": pa.Column(str, pa.Check.str_startswith("{")),
            "latency_ms": number(),
            "latency_low_ms": number(),
            "latency_high_ms": number(),
            "confidence": pa.Column(float, pa.Check.in_range(0, 1), coerce=True),
            "spread_ms": pa.Column(float, pa.Check.ge(0), coerce=True),
            "repeats": pa.Column(int, pa.Check.ge(1), coerce=True),
            "reference_ms": number(),
            "device": pa.Column(str),
            "runtime": pa.Column(str),
            "runtime_version": pa.Column(str),
            "precision": pa.Column(str),
            "threads": pa.Column(int, pa.Check.ge(1), coerce=True),
            "machine": pa.Column(str),
            "source_length": pa.Column(int, pa.Check.ge(1), coerce=True),
            "target_length": pa.Column(int, pa.Check.ge(1), coerce=True),
            "beam": pa.Column(int, pa.Check.ge(1), coerce=True),
            "timings_ms": optional(
                checks=pa.Check(
                    lambda value: value is None or all(0 < one < float("inf") for one in value), element_wise=True
                )
            ),
            "lengths": optional(dtype=str),
            "energy_j": optional(dtype=float, checks=pa.Check.in_range(0, MOST), coerce=True),
            "meter": optional(dtype=str),
            "fingerprint": optional(dtype=str),
        },
        checks=[
            pa.Check(
                lambda frame: (
                    (frame["latency_low_ms"] <= frame["latency_ms"]) & (frame["latency_ms"] <= frame["latency_high_ms"])
                ),
                error="latency_low_ms <= latency_ms <= latency_high_ms",
            )
        ],
    )


def validated(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Validate a LatencyDataset, and convert its columns to their types.

    Raises:
        InputError: a column is missing or holds impossible values; the message names the first ones.
    """
    from pandera.errors import SchemaErrors

    try:
        checked: pd.DataFrame = _schema().validate(frame, lazy=True)
    except SchemaErrors as error:
        problems = []
        for case in error.failure_cases.head(MOST_SHOWN).to_dict("records"):
            if case["check"] == "column_in_dataframe":
                problems.append(f"column {case['failure_case']} is missing")
            else:
                problems.append(f"{case['column']} holds {case['failure_case']!r}, expected {case['check']}")
        raise InputError(f"{where}: not a latency dataset: {'; '.join(problems)}") from None
    checked.attrs = frame.attrs
    return checked
