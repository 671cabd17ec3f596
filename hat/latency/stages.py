"""The stages of latency: what is measured, the measurements, the dataset, the predictor, budgets, the final check."""

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

# Architectures drawn to see what latencies a space spans.
RANGE_COUNT = 10_000
# Samples measured between two looks at the error.
SAMPLE_STEP = 10


def choose_architectures(scope: DeviceScope) -> Path:
    """Write latency/architectures.jsonl: a header row, then one row for each Architecture to measure.

    Raises:
        HatError: the device cannot be measured on.
    """
    check_reachable(scope.settings, scope.device)
    latency = scope.task_settings.latency
    wanted = latency.samples
    space = SearchSpace(scope.measured_space)
    if space.size < wanted:
        name = scope.task_settings.latency.space or scope.task_settings.space
        print(
            f"space {name!r} has {space.size} Architectures, fewer than latency.samples"
            f" ({wanted}), so all are measured",
            file=sys.stderr,
        )
    folder = scope.latency
    with only_one(folder, "Choosing Architectures"):
        chosen = draw_architectures(space, wanted, scope.settings.seed, latency.choice)
        made_from = {"space": space.space.model_dump(mode="json"), "samples": wanted, "choice": latency.choice}
        header = {
            "kind": FIRST_ROW,
            "count": len(chosen),
            "provenance": provenance(seed=scope.settings.seed, settings=made_from),
        }
        rows = (
            {"digest": point.digest, "architecture": point.to_dict(), "origin": origin}
            for point, origin in chosen.items()
        )
        path = folder / "architectures.jsonl"
        write_text(path, write_rows([header, *rows]))
    return path


def read_architectures(path: Path) -> list[Architecture]:
    """Architectures of architectures.jsonl, in order.

    Raises:
        InputError: the file is missing or is no such file.
    """
    if not path.exists():
        raise missing_file(path)
    rows = read_jsonl(path)
    if not rows or rows[0].get("kind") != FIRST_ROW:
        raise InputError(f"{path}: not a list of Architectures")
    return [Architecture.from_dict(row["architecture"], str(path)) for row in rows[1:]]


def _representative(path: Path, digests: list[str]) -> npt.NDArray[np.bool_]:
    """Which Architectures were drawn at random, [len(digests)]: all where architectures.jsonl is absent."""
    origins = {row["digest"]: row.get("origin", RANDOM) for row in read_jsonl(path)[1:]}
    return np.array([origins.get(name, RANDOM) == RANDOM for name in digests], dtype=np.bool_)


def sample_shard(scope: DeviceScope, shard: int, target_error: str | None = None) -> Path:
    """Measure every ``shards``-th Architecture, from number ``shard`` on, and write latency/samples/SHARD.jsonl.

    Each measurement is kept in latency/partial/SHARD.jsonl as it is made; a stage that was interrupted goes on
    with the missing ones, and measurements made under other conditions are not used. With ``target_error`` (that of
    the configuration where not given) it ends before the last Architecture where the target is reached, or where more
    samples would hardly help.

    Raises:
        HatError: the device cannot be measured on.
        InputError: there is no such shard, or the target error is none.
    """
    chosen = scope.task_settings.latency
    wanted_error = chosen.target_error if target_error is None else target_error
    target = None if wanted_error is None else target_percent(wanted_error)
    if target is not None and chosen.shards != 1:
        raise InputError(
            f"target error with latency.shards {chosen.shards}: expected 1 shard, since what has been measured decides"
            " whether more is"
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

            def measured(count: int) -> tuple[Conditions, list[LatencySample]]:
                return measure_missing(
                    wanted=wanted[:count],
                    reference=SearchSpace(scope.measured_space).largest,
                    connection=connection,
                    workload=workload,
                    rules=chosen,
                    file=SampleFile(folder / "partial" / f"{shard}.jsonl"),
                    tracker=tracker,
                )

            def judged(found: tuple[Conditions, list[LatencySample]]) -> Assessment:
                points = [sample.architecture for sample in found[1]]
                latencies = np.array([sample.measurement.latency_ms for sample in found[1]])
                drawn = _representative(folder / "architectures.jsonl", [point.digest for point in points])
                return assess(rows_of(points, workload, found[0].precision), latencies, drawn, seed=scope.settings.seed)

            stopped = None
            if target is None:
                conditions, samples = measured(len(wanted))
            else:
                (conditions, samples), stopped = sample_until(
                    measured, judged, target_percent=target, most=len(wanted), step=SAMPLE_STEP
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
    """Write latency/dataset.parquet from the shards.

    A device that has a file of latencies in place of a host gets its dataset from there.

    Raises:
        InputError: a shard is missing, empty, or was measured under other conditions than the first; or the file is
            missing or malformed.
    """
    folder = scope.latency
    if scope.device_settings.latency is not None:
        return _collect_brought(scope)
    with only_one(folder, "Collecting samples"):
        samples, conditions, fingerprint = [], None, None
        for shard in range(scope.task_settings.latency.shards):
            path = folder / "samples" / f"{shard}.jsonl"
            header, found = read_shard(path)
            if conditions not in (None, header["conditions"]):
                raise InputError(
                    f"{path}: measured under other conditions than shard 0; delete it to have it measured anew"
                )
            conditions, fingerprint = header["conditions"], header.get("fingerprint")
            samples.extend(found)
        if conditions is None or not samples:
            raise InputError(f"{folder}/samples: no samples there")
        path = folder / "dataset.parquet"
        made = provenance(seed=scope.settings.seed, settings=conditions)
        frame = validated(table(samples, conditions, fingerprint), str(folder))
        write_parquet(path, frame, {"conditions": conditions, "fingerprint": fingerprint, "provenance": made})
    return path


def _collect_brought(scope: DeviceScope) -> Path:
    """Write latency/dataset.parquet from the file that the device has in place of a host."""
    chosen, folder = scope.device_settings, scope.latency
    file = Path(str(chosen.latency))
    said = {"device": scope.device, "runtime": chosen.runtime, "precision": chosen.precision, "threads": chosen.threads}
    with only_one(folder, "Collecting samples"):
        space, workload = scope.device_space, workload_of(scope)
        frame = read_external(file, space, workload, said)
        if frame.attrs["representative"]:
            print(
                f"{file}: has averages over layers, so each row is taken for a network of the same sums over layers;"
                " what depends on the order of layers cannot be learnt from it",
                file=sys.stderr,
            )
        made = provenance(seed=None, settings=frame.attrs["brought"])
        frame.attrs["provenance"] = made
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
        # The choice among regressions has been made on all rows there.
        latencies = frame["latency_ms"].tolist()
        predictor = LatencyPredictor.fit(workload, architectures, latencies, **options | {"models": [errors["model"]]})
        reference = frame["reference_ms"]
        errors["reference_drift_percent"] = 100 * float((reference.max() - reference.min()) / reference.median())
        chosen_by = {"held_out": latency.held_out, "models": latency.models, "confidence": latency.confidence}
        made_from = {"dataset": frame.attrs, "rows": digest(latencies), **chosen_by}
        made = {"provenance": provenance(seed=scope.settings.seed, settings=made_from)}
        write_json(folder / "errors.json", errors | made)
        write_json(folder / "predictor.json", predictor.to_dict() | {"rows": len(frame)} | made)
    return folder / "predictor.json"


def load_predictor(scope: DeviceScope) -> LatencyPredictor:
    """The predictor of a task on a device.

    Raises:
        InputError: it is missing or of another version.
    """
    path = scope.predictor / "predictor.json"
    return LatencyPredictor.from_dict(read_json(path), str(path))


def latency_range(scope: DeviceScope, count: int = RANGE_COUNT) -> dict[str, Any]:
    """Fastest, median and slowest predicted Architecture; see :func:`hat.latency.budgets.predicted_range`.

    Raises:
        InputError: the predictor is missing.
    """
    space = SearchSpace(scope.device_space)
    return predicted_range(space, load_predictor(scope), count=count, seed=scope.settings.seed)


def choose_budgets(scope: DeviceScope) -> Path:
    """Write budgets.json: ``budgets``, names that can all be met, and the ``range`` they were read off.

    Raises:
        InputError: the predictor is missing.
        HatError: the space spans too little for budgets to differ.
    """
    count = scope.settings.configuration.demo.count
    found = latency_range(scope)
    errors = read_json(scope.predictor / "errors.json")
    # A search keeps to networks whose upper bound is within the budget.
    fastest, slowest = found["safe_budgets_ms"]
    path = scope.budgets
    with only_one(path.parent, "Choosing budgets"):
        budgets = spread_budgets(fastest, slowest, count, errors["mape_percent"])
        made = provenance(seed=scope.settings.seed, settings={"count": count, "range": found})
        write_json(path, {"budgets": budgets, "range": found, "provenance": made})
    return path
