"""The stages of latency: what is measured, the measurements, the dataset, the predictor, budgets, the final check."""

import sys
from pathlib import Path
from typing import Any

from hat.artifacts import digest, only_one, provenance, read_json, read_jsonl, write_json, write_text
from hat.baselines import architecture_of, describe
from hat.card import add_figures
from hat.errors import HatError, InputError
from hat.latency.accuracy import held_out_errors
from hat.latency.budgets import predicted_range, spread_budgets
from hat.latency.connection import check_reachable, connect
from hat.latency.dataset import FIRST_ROW, architectures_of, read_parquet, read_shard, table, write_parquet
from hat.latency.predictor import LatencyPredictor
from hat.latency.samples import SampleFile, draw_architectures, measure_missing, write_rows
from hat.latency.workload import Workload, workload_of
from hat.layout import Results
from hat.progress import progress
from hat.settings import Settings
from hat.space import Architecture, SearchSpace

# Architectures drawn to see what latencies a space spans.
RANGE_COUNT = 10_000
# A deployed model is measured with so many times the repeats of a sample.
DEPLOYED_REPEATS = 5


def choose_architectures(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write latency/architectures.jsonl: a header row, then one row for each Architecture to measure.

    Raises:
        HatError: the device cannot be measured on.
    """
    check_reachable(settings, device)
    wanted = settings.task(task).latency.samples
    space = SearchSpace(settings.measured_space_on(task, device))
    if space.size < wanted:
        name = settings.task(task).latency.space or settings.task(task).space
        print(
            f"space {name!r} has {space.size} Architectures, fewer than latency.samples"
            f" ({wanted}), so all are measured",
            file=sys.stderr,
        )
    folder = results.latency(task, device)
    with only_one(folder, "Choosing Architectures"):
        chosen = draw_architectures(space, wanted, settings.seed)
        made_from = {"space": space.space.model_dump(mode="json"), "samples": wanted}
        header = {
            "kind": FIRST_ROW,
            "count": len(chosen),
            "provenance": provenance(seed=settings.seed, settings=made_from),
        }
        rows = ({"digest": point.digest, "architecture": point.to_dict()} for point in chosen)
        path = folder / "architectures.jsonl"
        write_text(path, write_rows([header, *rows]))
    return path


def read_architectures(path: Path) -> list[Architecture]:
    """Architectures of architectures.jsonl, in order.

    Raises:
        InputError: the file is missing or is no such file.
    """
    rows = read_jsonl(path)
    if not rows or rows[0].get("kind") != FIRST_ROW:
        raise InputError(f"{path}: missing, or not a list of Architectures")
    return [Architecture.from_dict(row["architecture"], str(path)) for row in rows[1:]]


def sample_shard(settings: Settings, results: Results, task: str, device: str, shard: int) -> Path:
    """Measure every ``shards``-th Architecture, from number ``shard`` on, and write latency/samples/SHARD.jsonl.

    Each measurement is kept in latency/partial/SHARD.jsonl as it is made; a stage that was interrupted goes on
    with the missing ones, and measurements made under other conditions are not used.

    Raises:
        HatError: the device cannot be measured on.
        InputError: there is no such shard.
    """
    chosen = settings.task(task).latency
    if not 0 <= shard < chosen.shards:
        raise InputError(f"shard {shard}: expected 0 to {chosen.shards - 1} (latency.shards is {chosen.shards})")
    connection = connect(settings, device)
    folder = results.latency(task, device)
    path = folder / "samples" / f"{shard}.jsonl"
    # Shards share the device, so they exclude each other too.
    with only_one(folder, f"Measuring on {device}"):
        wanted = read_architectures(folder / "architectures.jsonl")[shard :: chosen.shards]
        with progress(
            f"Measuring on {device}, shard {shard}", chosen.passes * len(wanted), background=False
        ) as tracker:
            conditions, samples = measure_missing(
                wanted=wanted,
                reference=SearchSpace(settings.measured_space_on(task, device)).largest,
                connection=connection,
                workload=workload_of(settings, results, task, device),
                warmup=chosen.warmup,
                repeats=chosen.repeats,
                passes=chosen.passes,
                file=SampleFile(folder / "partial" / f"{shard}.jsonl"),
                tracker=tracker,
            )
        header = {
            "kind": FIRST_ROW,
            "conditions": conditions.to_dict(),
            "provenance": provenance(seed=settings.seed, settings=conditions.to_dict()),
        }
        write_text(path, write_rows([header, *(sample.to_dict() for sample in samples)]))
    return path


def collect_dataset(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write latency/dataset.parquet from the shards.

    Raises:
        InputError: a shard is missing, empty, or was measured under other conditions than the first.
    """
    folder = results.latency(task, device)
    with only_one(folder, "Collecting samples"):
        samples, conditions = [], None
        for shard in range(settings.task(task).latency.shards):
            path = folder / "samples" / f"{shard}.jsonl"
            header, found = read_shard(path)
            if conditions not in (None, header["conditions"]):
                raise InputError(
                    f"{path}: measured under other conditions than shard 0; delete it to have it measured anew"
                )
            conditions = header["conditions"]
            samples.extend(found)
        if conditions is None or not samples:
            raise InputError(f"{folder}/samples: no samples there")
        path = folder / "dataset.parquet"
        made = provenance(seed=settings.seed, settings=conditions)
        write_parquet(path, table(samples, conditions), {"conditions": conditions, "provenance": made})
    return path


def fit_predictor(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write predictor/predictor.json, fitted to all samples, and predictor/errors.json, held-out errors.

    Raises:
        InputError: the dataset is missing or has fewer than two rows.
    """
    path = results.latency(task, device) / "dataset.parquet"
    frame = read_parquet(path)
    architectures = architectures_of(frame, str(path))
    workload = Workload.from_dict(frame.attrs["conditions"]["workload"], str(path))
    held_out = settings.task(task).latency.held_out
    folder = results.predictor(task, device)
    with only_one(folder, "Fitting the predictor"):
        errors = held_out_errors(workload, architectures, frame, held_out=held_out, seed=settings.seed)
        predictor = LatencyPredictor.fit(workload, architectures, frame["latency_ms"].tolist())
        reference = frame["reference_ms"]
        errors["reference_drift_percent"] = 100 * float((reference.max() - reference.min()) / reference.median())
        made_from = {"dataset": frame.attrs, "rows": digest(frame["latency_ms"].tolist()), "held_out": held_out}
        made = {"provenance": provenance(seed=settings.seed, settings=made_from)}
        write_json(folder / "errors.json", errors | made)
        write_json(folder / "predictor.json", predictor.to_dict() | {"rows": len(frame)} | made)
    return folder / "predictor.json"


def load_predictor(results: Results, task: str, device: str) -> LatencyPredictor:
    """The predictor of a task on a device.

    Raises:
        InputError: it is missing or of another version.
    """
    path = results.predictor(task, device) / "predictor.json"
    return LatencyPredictor.from_dict(read_json(path), str(path))


def latency_range(
    settings: Settings, results: Results, task: str, device: str, count: int = RANGE_COUNT
) -> dict[str, Any]:
    """Fastest, median and slowest predicted Architecture; see :func:`hat.latency.budgets.predicted_range`.

    Raises:
        InputError: the predictor is missing.
    """
    space = SearchSpace(settings.space_on(task, device))
    return predicted_range(space, load_predictor(results, task, device), count=count, seed=settings.seed)


def choose_budgets(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write budgets.json: ``budgets``, names that can all be met, and the ``range`` they were read off.

    Raises:
        InputError: the predictor is missing.
        HatError: the space spans too little for budgets to differ.
    """
    count = settings.configuration.demo.count
    found = latency_range(settings, results, task, device)
    errors = read_json(results.predictor(task, device) / "errors.json")
    fastest, slowest = (found[name]["predicted_latency_ms"] for name in ("fastest", "slowest"))
    path = results.budgets(task, device)
    with only_one(path.parent, "Choosing budgets"):
        budgets = spread_budgets(fastest, slowest, count, errors["mape_percent"])
        made = provenance(seed=settings.seed, settings={"count": count, "range": found})
        write_json(path, {"budgets": budgets, "range": found, "provenance": made})
    return path


def measure_model(settings: Settings, results: Results, task: str, device: str, budget: str) -> Path:
    """Measure what is deployed by the protocol of the samples; write BUDGET/latency.json.

    For a baseline, by whose name ``budget`` may be given, there is nothing that was promised or predicted.

    Raises:
        HatError: the device cannot be measured on.
        InputError: the budget is neither a budget nor a baseline, or a file is missing.
    """
    limit_ms = settings.limit_ms(budget)
    connection = connect(settings, device)
    chosen = settings.task(task).latency
    repeats = DEPLOYED_REPEATS * chosen.repeats * chosen.passes
    place, model = results.budget(task, device, budget), results.model(task, device, budget)
    winner = None if limit_ms is None else read_json(place / "architecture.json")
    workload = workload_of(settings, results, task, device, budget if winner is None else None)
    if not model.is_dir():
        raise HatError(f"{model}: no such folder; it is made by the steps that train and export the network")
    with only_one(results.latency(task, device), f"Measuring on {device}"):
        conditions = connection.conditions(workload, chosen.warmup, repeats)
        with progress(f"Measuring the model for {budget} on {device}", repeats, background=False) as tracker:
            measured = connection.measure_deployed(model, workload, chosen.warmup, repeats, tracker)
    content: dict[str, Any] = measured.to_dict()
    if winner is None or limit_ms is None:
        architecture = architecture_of(settings.baseline(budget).network)
        content = {"baseline": budget, **content, "digest": architecture.digest}
        content |= describe(architecture, workload.shape)
    else:
        predicted = float(winner["predicted_latency_ms"])
        content = {
            "budget": budget,
            "budget_ms": limit_ms,
            "within_budget": measured.latency_ms <= limit_ms,
            **content,
            "predicted_latency_ms": predicted,
            "prediction_error_percent": 100 * (predicted - measured.latency_ms) / measured.latency_ms,
            "digest": winner["digest"],
            "architecture": winner["architecture"],
        }
    content |= {
        "conditions": conditions.to_dict(),
        "provenance": provenance(seed=settings.seed, settings=conditions.to_dict()),
    }
    shown = {"latency_ms": measured.latency_ms, "spread_ms": measured.spread_ms}
    add_figures(model, **shown, latency_conditions=content["conditions"])
    write_json(place / "latency.json", content)
    return place / "latency.json"
