"""Stages of latency: choose Architectures, measure them, collect the dataset, fit the predictor, choose budgets."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import digest, only_one, provenance, read_json, read_jsonl, write_json, write_text
from hat.artifacts.missing import missing_file
from hat.config.scope import DeviceScope
from hat.device.connection import Conditions, check_reachable, connect
from hat.errors import InputError
from hat.latency.budgets import predicted_range, spread_budgets
from hat.latency.dataset import FIRST_ROW, architectures_of, read_parquet, read_shard, table, write_parquet
from hat.latency.external import read_external
from hat.latency.predictor.accuracy import held_out_errors
from hat.latency.predictor.features import rows_of
from hat.latency.predictor.learning_curve import Assessment, assess, sample_until, target_percent
from hat.latency.predictor.predictor import LatencyPredictor
from hat.latency.samples import LatencySample, SampleFile, measure_missing, write_rows
from hat.latency.schema import validated
from hat.latency.selection import RANDOM, draw_architectures
from hat.measure.power import missing_energy
from hat.measure.workload import Workload, workload_of
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.system.progress import progress

# Number of Architectures drawn to estimate the range of latencies of a space.
RANGE_COUNT = 10_000
# Number of samples measured before the error is assessed again.
SAMPLE_STEP = 10


def choose_architectures(scope: DeviceScope) -> Path:
    """Write latency/architectures.jsonl: a header row, then one row for each Architecture to measure.

    Raises:
        HatError: the device has no host to measure on.
    """
    check_reachable(scope.settings, scope.device)
    latency = scope.task_settings.latency
    wanted = latency.samples
    space = SearchSpace(scope.measured_space)
    if space.size < wanted:
        name = scope.task_settings.latency.space or scope.task_settings.space
        print(
            f"space {name!r} has {space.size} Architectures, fewer than latency.samples ({wanted}); measuring all",
            file=sys.stderr,
        )
    folder = scope.latency
    with only_one(folder, "Choosing Architectures"):
        chosen = draw_architectures(space, wanted, scope.settings.seed, latency.choice)
        provenance_settings = {
            "space": space.space.model_dump(mode="json"),
            "samples": wanted,
            "choice": latency.choice,
        }
        header = {
            "kind": FIRST_ROW,
            "count": len(chosen),
            "provenance": provenance(seed=scope.settings.seed, settings=provenance_settings),
        }
        rows = (
            {"digest": point.digest, "architecture": point.to_dict(), "origin": origin}
            for point, origin in chosen.items()
        )
        path = folder / "architectures.jsonl"
        write_text(path, write_rows([header, *rows]))
    return path


def read_architectures(path: Path) -> list[Architecture]:
    """Read the Architectures of an architectures.jsonl, in order.

    Raises:
        InputError: the file is missing or is not a list of Architectures.
    """
    if not path.exists():
        raise missing_file(path)
    rows = read_jsonl(path)
    if not rows or rows[0].get("kind") != FIRST_ROW:
        raise InputError(f"{path}: not a list of Architectures")
    return [Architecture.from_dict(row["architecture"], str(path)) for row in rows[1:]]


def _representative(path: Path, digests: list[str]) -> npt.NDArray[np.bool_]:
    """Return which Architectures were drawn at random, [len(digests)]; all if architectures.jsonl does not exist."""
    origins = {row["digest"]: row.get("origin", RANDOM) for row in read_jsonl(path)[1:]}
    return np.array([origins.get(name, RANDOM) == RANDOM for name in digests], dtype=np.bool_)


def sample_shard(scope: DeviceScope, shard: int, target_error: str | None = None) -> Path:
    """Measure every ``shards``-th Architecture, starting with number ``shard``, and write latency/samples/SHARD.jsonl.

    Each measurement is appended to latency/partial/SHARD.jsonl at once. An interrupted stage continues with the missing
    ones; measurements with other conditions are ignored. With ``target_error`` (default: the configuration's) the stage
    ends early if the target is reached or more samples would hardly help.

    Raises:
        HatError: the device cannot be reached or measured on.
        InputError: the shard does not exist, the target error is malformed, or it is set with several shards.
    """
    chosen = scope.task_settings.latency
    wanted_error = chosen.target_error if target_error is None else target_error
    target = None if wanted_error is None else target_percent(wanted_error)
    if target is not None and chosen.shards != 1:
        raise InputError(
            f"target error with latency.shards {chosen.shards}: expected 1 shard, because one process must see all"
            " samples to decide when to stop"
        )
    if not 0 <= shard < chosen.shards:
        raise InputError(f"shard {shard}: expected 0 to {chosen.shards - 1} (latency.shards is {chosen.shards})")
    check_reachable(scope.settings, scope.device)
    folder = scope.latency
    path = folder / "samples" / f"{shard}.jsonl"
    # Shards share the device, so they exclude each other too.
    with only_one(folder, f"Measuring on {scope.device}"), connect(scope.settings, scope.device) as connection:
        wanted = read_architectures(folder / "architectures.jsonl")[shard :: chosen.shards]
        workload = workload_of(scope)
        with progress(
            f"Measuring on {scope.device}, shard {shard}", chosen.passes * len(wanted), background=False
        ) as tracker:

            def measure(count: int) -> tuple[Conditions, list[LatencySample]]:
                return measure_missing(
                    wanted=wanted[:count],
                    reference=SearchSpace(scope.measured_space).largest,
                    connection=connection,
                    workload=workload,
                    rules=chosen,
                    file=SampleFile(folder / "partial" / f"{shard}.jsonl"),
                    tracker=tracker,
                )

            def assess_samples(measured: tuple[Conditions, list[LatencySample]]) -> Assessment:
                conditions, samples = measured
                points = [sample.architecture for sample in samples]
                latencies = np.array([sample.measurement.latency_ms for sample in samples])
                drawn = _representative(folder / "architectures.jsonl", [point.digest for point in points])
                rows = rows_of(points, workload, conditions.precision)
                return assess(rows, latencies, drawn, seed=scope.settings.seed)

            stopped = None
            if target is None:
                conditions, samples = measure(len(wanted))
            else:
                (conditions, samples), stopped = sample_until(
                    measure, assess_samples, target_percent=target, most=len(wanted), step=SAMPLE_STEP
                )
        fingerprint = connection.fingerprint()
        for sentence in (
            stopped and stopped.sentence,
            missing_energy(scope.device, [sample.measurement for sample in samples]),
        ):
            if sentence is not None:
                print(sentence, file=sys.stderr)
        header = {
            "kind": FIRST_ROW,
            "conditions": conditions.to_dict(),
            "fingerprint": fingerprint,
            "stopped": None if stopped is None else stopped.to_dict(),
            "provenance": provenance(seed=scope.settings.seed, settings=conditions.to_dict()),
        }
        write_text(path, write_rows([header, *(sample.to_dict() for sample in samples)]))
    return path


def collect_dataset(scope: DeviceScope) -> Path:
    """Write latency/dataset.parquet from the shards, or from the device's file of latencies if it has one.

    Raises:
        InputError: a shard is missing, empty, or was measured under other conditions than the first one; or the file
            is missing or malformed.
    """
    folder = scope.latency
    if scope.device_settings.latency is not None:
        return _collect_external(scope)
    with only_one(folder, "Collecting samples"):
        samples, conditions, fingerprint = [], None, None
        for shard in range(scope.task_settings.latency.shards):
            path = folder / "samples" / f"{shard}.jsonl"
            header, found = read_shard(path)
            if conditions not in (None, header["conditions"]):
                raise InputError(f"{path}: measured under other conditions than shard 0; delete it to measure it again")
            conditions, fingerprint = header["conditions"], header.get("fingerprint")
            samples.extend(found)
        if conditions is None or not samples:
            raise InputError(f"{folder}/samples: no samples found")
        path = folder / "dataset.parquet"
        origin = provenance(seed=scope.settings.seed, settings=conditions)
        frame = validated(table(samples, conditions, fingerprint), str(folder))
        write_parquet(path, frame, {"conditions": conditions, "fingerprint": fingerprint, "provenance": origin})
    return path


def _collect_external(scope: DeviceScope) -> Path:
    """Write latency/dataset.parquet from the device's file of latencies."""
    chosen, folder = scope.device_settings, scope.latency
    file = Path(str(chosen.latency))
    device = {"device": scope.device, **{key: getattr(chosen, key) for key in ("runtime", "precision", "threads")}}
    with only_one(folder, "Collecting samples"):
        space, workload = scope.device_space, workload_of(scope)
        frame = read_external(file, space, workload, device)
        if frame.attrs["representative"]:
            print(
                f"{file}: has only averages over layers; each row stands for a network with the same sums over layers,"
                " and the predictor cannot learn effects of their order",
                file=sys.stderr,
            )
        frame.attrs["provenance"] = provenance(seed=None, settings=frame.attrs["brought"])
        write_parquet(folder / "dataset.parquet", frame, {})
    return folder / "dataset.parquet"


def fit_predictor(scope: DeviceScope) -> Path:
    """Write predictor/predictor.json, fitted to all samples, and predictor/errors.json, held-out errors.

    Raises:
        InputError: the dataset is missing or has fewer than two rows.
    """
    path = scope.latency / "dataset.parquet"
    frame = read_parquet(path)
    architectures = architectures_of(frame, str(path))
    workload = Workload.from_dict(frame.attrs["conditions"]["workload"], str(path))
    latency = scope.task_settings.latency
    options: dict[str, Any] = {
        "precision": str(frame.attrs["conditions"]["precision"]),
        "models": latency.models,
        "confidence": latency.confidence,
        "seed": scope.settings.seed,
        "representative": _representative(path.parent / "architectures.jsonl", frame["digest"].tolist()),
    }
    folder = scope.predictor
    with only_one(folder, "Fitting the predictor"):
        errors = held_out_errors(workload, architectures, frame, held_out=latency.held_out, **options)
        # The held-out test has already chosen the regression, from all rows.
        latencies = frame["latency_ms"].tolist()
        predictor = LatencyPredictor.fit(workload, architectures, latencies, **options | {"models": [errors["model"]]})
        reference = frame["reference_ms"]
        errors["reference_drift_percent"] = 100 * float((reference.max() - reference.min()) / reference.median())
        chosen_by = {"held_out": latency.held_out, "models": latency.models, "confidence": latency.confidence}
        provenance_settings = {"dataset": frame.attrs, "rows": digest(latencies), **chosen_by}
        origin = {"provenance": provenance(seed=scope.settings.seed, settings=provenance_settings)}
        write_json(folder / "errors.json", errors | origin)
        write_json(folder / "predictor.json", predictor.to_dict() | {"rows": len(frame)} | origin)
    return folder / "predictor.json"


def load_predictor(scope: DeviceScope) -> LatencyPredictor:
    """Load the predictor of a task on a device.

    Raises:
        InputError: the predictor is missing, or was written by another version of hat.
    """
    path = scope.predictor / "predictor.json"
    return LatencyPredictor.from_dict(read_json(path), str(path))


def latency_range(scope: DeviceScope, count: int = RANGE_COUNT) -> dict[str, Any]:
    """Return the range of predicted latencies; see :func:`hat.latency.budgets.predicted_range`.

    Raises:
        InputError: the predictor is missing.
    """
    space = SearchSpace(scope.device_space)
    return predicted_range(space, load_predictor(scope), count=count, seed=scope.settings.seed)


def choose_budgets(scope: DeviceScope) -> Path:
    """Write budgets.json: ``budgets``, all of them reachable, and the ``range`` they were chosen from.

    Raises:
        InputError: the predictor is missing.
        HatError: the latencies of the space are too close together for different budgets.
    """
    count = scope.settings.configuration.demo.count
    found = latency_range(scope)
    errors = read_json(scope.predictor / "errors.json")
    # A search accepts only networks whose upper bound is within the budget.
    fastest, slowest = found["safe_budgets_ms"]
    path = scope.budgets
    with only_one(path.parent, "Choosing budgets"):
        budgets = spread_budgets(fastest, slowest, count, errors["mape_percent"])
        origin = provenance(seed=scope.settings.seed, settings={"count": count, "range": found})
        write_json(path, {"budgets": budgets, "range": found, "provenance": origin})
    return path
