"""LatencyDataset: the samples of all shards in one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hat.artifacts.files import atomic, canonical_json, read_jsonl
from hat.artifacts.missing import missing_file
from hat.errors import InputError
from hat.latency.samples import LatencySample
from hat.space.architecture import Architecture

FIRST_ROW = "header"


def read_shard(path: Path) -> tuple[dict[str, Any], list[LatencySample]]:
    """Read the header and the samples of a finished shard.

    Raises:
        InputError: the file is missing or is not a file of samples.
    """
    if not path.exists():
        raise missing_file(path)
    rows = read_jsonl(path)
    if not rows or rows[0].get("kind") != FIRST_ROW:
        raise InputError(f"{path}: not a file of latency samples")
    return rows[0], [LatencySample.from_dict(row, f"{path}, line {line}") for line, row in enumerate(rows[1:], start=2)]


def table(
    samples: Sequence[LatencySample], conditions: dict[str, Any], fingerprint: dict[str, Any] | None
) -> pd.DataFrame:
    """Return a table with one row for each sample: times in milliseconds, and the conditions except the shape."""
    workload = conditions["workload"]
    constant = {key: value for key, value in conditions.items() if key != "workload"}
    constant |= {key: workload[key] for key in ("source_length", "target_length", "beam")}
    if "lengths" in workload:
        constant["lengths"] = canonical_json(workload["lengths"])
    constant["fingerprint"] = None if fingerprint is None else canonical_json(fingerprint)
    rows = []
    for sample in samples:
        row = sample.to_dict()
        row["architecture"] = sample.architecture.to_json()
        rows.append({**constant, **row, "repeats": len(sample.measurement.timings_ms)})
    return pd.DataFrame(rows)


def write_parquet(path: Path, frame: pd.DataFrame, attributes: dict[str, Any]) -> None:
    """Write a table atomically; reading it restores ``attributes``, which must be JSON, as ``frame.attrs``."""
    frame = frame.copy()
    frame.attrs.update(attributes)
    with atomic(path, "wb") as stream:
        frame.to_parquet(stream)


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet table.

    Raises:
        InputError: the file is missing or not Parquet.
    """
    if not path.exists():
        raise missing_file(path)
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from None


def read_csv(path: Path) -> pd.DataFrame:
    """Read a user's table of comma-separated values.

    Raises:
        InputError: the file is missing, not CSV, or has no rows.
    """
    try:
        frame = pd.read_csv(path)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise InputError(f"{path}: not a CSV file ({' '.join(str(error).split())})") from None
    if frame.empty:
        raise InputError(f"{path}: has no rows")
    return frame


def architectures_of(frame: pd.DataFrame, where: str) -> list[Architecture]:
    """Return the Architectures of a table's rows; ``where`` starts the message of an error."""
    return [Architecture.from_json(text, where) for text in frame["architecture"]]
