"""The stages of latency: what is measured, the measurements, the dataset, the predictor, budgets, the final check."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import digest, only_one, provenance, read_json, read_jsonl, write_json, write_text
from hat.artifacts.layout import Results
from hat.artifacts.missing import Lacking, absent
from hat.config.settings import Settings
from hat.config.variants import in_form
from hat.deploy.card import add_figures
from hat.deploy.folder import DESCRIPTION
from hat.device.connection import Conditions, check_reachable, connect
from hat.errors import InputError
from hat.latency.budgets import predicted_range, spread_budgets
from hat.latency.dataset import FIRST_ROW, architectures_of, read_parquet, read_shard, table, write_parquet
from hat.latency.external import read_brought
from hat.latency.predictor.accuracy import held_out_errors
from hat.latency.predictor.features import rows_of
from hat.latency.predictor.learning_curve import Assessment, assess, sample_until, target_percent
from hat.latency.predictor.predictor import LatencyPredictor
from hat.latency.samples import LatencySample, SampleFile, measure_folder, measure_missing, write_rows
from hat.latency.schema import validated
from hat.latency.selection import RANDOM, draw_architectures
from hat.measure.measurement import Measurement
from hat.measure.power import unread
from hat.measure.workload import Workload, workload_of
from hat.space.architecture import Architecture
from hat.space.kinds import architecture_of, describe
from hat.space.search_space import SearchSpace
from hat.system.progress import progress

# Architectures drawn to see what latencies a space spans.
RANGE_COUNT = 10_000
# Samples measured between two looks at the error.
SAMPLE_STEP = 10
# A deployed model is measured with so many times the sentences of a visit.
DEPLOYED_REPEATS = 5


def choose_architectures(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write latency/architectures.jsonl: a header row, then one row for each Architecture to measure.

    Raises:
        HatError: the device cannot be measured on.
    """
    check_reachable(settings, device)
    latency = settings.task(task).latency
    wanted = latency.samples
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
        chosen = draw_architectures(space, wanted, settings.seed, latency.choice)
        made_from = {"space": space.space.model_dump(mode="json"), "samples": wanted, "choice": latency.choice}
        header = {
            "kind": FIRST_ROW,
            "count": len(chosen),
            "provenance": provenance(seed=settings.seed, settings=made_from),
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
        raise absent(path)
    rows = read_jsonl(path)
    if not rows or rows[0].get("kind") != FIRST_ROW:
        raise InputError(f"{path}: not a list of Architectures")
    return [Architecture.from_dict(row["architecture"], str(path)) for row in rows[1:]]


def _representative(path: Path, digests: list[str]) -> npt.NDArray[np.bool_]:
    """Which Architectures were drawn at random, [len(digests)]: all where architectures.jsonl is absent."""
    origins = {row["digest"]: row.get("origin", RANDOM) for row in read_jsonl(path)[1:]}
    return np.array([origins.get(name, RANDOM) == RANDOM for name in digests], dtype=np.bool_)


def sample_shard(
    settings: Settings, results: Results, task: str, device: str, shard: int, target_error: str | None = None
) -> Path:
    """Measure every ``shards``-th Architecture, from number ``shard`` on, and write latency/samples/SHARD.jsonl.

    Each measurement is kept in latency/partial/SHARD.jsonl as it is made; a stage that was interrupted goes on
    with the missing ones, and measurements made under other conditions are not used. With ``target_error`` (that of
    the configuration where not given) it ends before the last Architecture where the target is reached, or where more
    samples would hardly help.

    Raises:
        HatError: the device cannot be measured on.
        InputError: there is no such shard, or the target error is none.
    """
    chosen = settings.task(task).latency
    wanted_error = chosen.target_error if target_error is None else target_error
    target = None if wanted_error is None else target_percent(wanted_error)
    if target is not None and chosen.shards != 1:
        raise InputError(
            f"target error with latency.shards {chosen.shards}: expected 1 shard, since what has been measured decides"
            " whether more is"
        )
    if not 0 <= shard < chosen.shards:
        raise InputError(f"shard {shard}: expected 0 to {chosen.shards - 1} (latency.shards is {chosen.shards})")
    check_reachable(settings, device)
    folder = results.latency(task, device)
    path = folder / "samples" / f"{shard}.jsonl"
    # Shards share the device, so they exclude each other too.
    with only_one(folder, f"Measuring on {device}"), connect(settings, device) as connection:
        wanted = read_architectures(folder / "architectures.jsonl")[shard :: chosen.shards]
        workload = workload_of(settings, results, task, device)
        with progress(
            f"Measuring on {device}, shard {shard}", chosen.passes * len(wanted), background=False
        ) as tracker:

            def measured(count: int) -> tuple[Conditions, list[LatencySample]]:
                return measure_missing(
                    wanted=wanted[:count],
                    reference=SearchSpace(settings.measured_space_on(task, device)).largest,
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
                return assess(rows_of(points, workload, found[0].precision), latencies, drawn, seed=settings.seed)

            stopped = None
            if target is None:
                conditions, samples = measured(len(wanted))
            else:
                (conditions, samples), stopped = sample_until(
                    measured, judged, target_percent=target, most=len(wanted), step=SAMPLE_STEP
                )
        fingerprint = connection.fingerprint()
        for sentence in (stopped and stopped.sentence, unread(device, [sample.measurement for sample in samples])):
            if sentence is not None:
                print(sentence, file=sys.stderr)
        header = {
            "kind": FIRST_ROW,
            "conditions": conditions.to_dict(),
            "fingerprint": fingerprint,
            "stopped": None if stopped is None else stopped.to_dict(),
            "provenance": provenance(seed=settings.seed, settings=conditions.to_dict()),
        }
        write_text(path, write_rows([header, *(sample.to_dict() for sample in samples)]))
    return path


def collect_dataset(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write latency/dataset.parquet from the shards.

    A device that has a file of latencies in place of a host gets its dataset from there.

    Raises:
        InputError: a shard is missing, empty, or was measured under other conditions than the first; or the file is
            missing or malformed.
    """
    folder = results.latency(task, device)
    if settings.device(device).latency is not None:
        return _collect_brought(settings, results, task, device)
    with only_one(folder, "Collecting samples"):
        samples, conditions, fingerprint = [], None, None
        for shard in range(settings.task(task).latency.shards):
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
        made = provenance(seed=settings.seed, settings=conditions)
        frame = validated(table(samples, conditions, fingerprint), str(folder))
        write_parquet(path, frame, {"conditions": conditions, "fingerprint": fingerprint, "provenance": made})
    return path


def _collect_brought(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write latency/dataset.parquet from the file that the device has in place of a host."""
    chosen, folder = settings.device(device), results.latency(task, device)
    file = Path(str(chosen.latency))
    said = {"device": device, "runtime": chosen.runtime, "precision": chosen.precision, "threads": chosen.threads}
    with only_one(folder, "Collecting samples"):
        space, workload = settings.space_on(task, device), workload_of(settings, results, task, device)
        frame = read_brought(file, space, workload, said)
        if frame.attrs["representative"]:
            print(
                f"{file}: has averages over layers, so each row is taken for a network of the same sums over layers;"
                " what depends on the order of layers cannot be learnt from it",
                file=sys.stderr,
            )
        made = provenance(seed=settings.seed, settings=frame.attrs["brought"])
        frame.attrs["provenance"] = made
        write_parquet(folder / "dataset.parquet", frame, {})
    return folder / "dataset.parquet"


def fit_predictor(settings: Settings, results: Results, task: str, device: str) -> Path:
    """Write predictor/predictor.json, fitted to all samples, and predictor/errors.json, held-out errors.

    Raises:
        InputError: the dataset is missing or has fewer than two rows.
    """
    path = results.latency(task, device) / "dataset.parquet"
    frame = read_parquet(path)
    architectures = architectures_of(frame, str(path))
    workload = Workload.from_dict(frame.attrs["conditions"]["workload"], str(path))
    latency = settings.task(task).latency
    options: dict[str, Any] = {
        "precision": str(frame.attrs["conditions"]["precision"]),
        "models": latency.models,
        "confidence": latency.confidence,
        "seed": settings.seed,
        "representative": _representative(path.parent / "architectures.jsonl", frame["digest"].tolist()),
    }
    folder = results.predictor(task, device)
    with only_one(folder, "Fitting the predictor"):
        errors = held_out_errors(workload, architectures, frame, held_out=latency.held_out, **options)
        # The choice among regressions has been made on all rows there.
        latencies = frame["latency_ms"].tolist()
        predictor = LatencyPredictor.fit(workload, architectures, latencies, **options | {"models": [errors["model"]]})
        reference = frame["reference_ms"]
        errors["reference_drift_percent"] = 100 * float((reference.max() - reference.min()) / reference.median())
        chosen_by = {"held_out": latency.held_out, "models": latency.models, "confidence": latency.confidence}
        made_from = {"dataset": frame.attrs, "rows": digest(latencies), **chosen_by}
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
    # A search keeps to networks whose upper bound is within the budget.
    fastest, slowest = found["safe_budgets_ms"]
    path = results.budgets(task, device)
    with only_one(path.parent, "Choosing budgets"):
        budgets = spread_budgets(fastest, slowest, count, errors["mape_percent"])
        made = provenance(seed=settings.seed, settings={"count": count, "range": found})
        write_json(path, {"budgets": budgets, "range": found, "provenance": made})
    return path


def shown_figures(measured: Measurement) -> dict[str, Any]:
    """What a model card says of a measurement."""
    figures: dict[str, Any] = {"latency_ms": measured.latency_ms, "spread_ms": measured.spread_ms}
    if measured.energy_j is not None:
        figures |= {"energy_j": measured.energy_j, "meter": measured.meter}
    return figures


def measure_model(
    settings: Settings, results: Results, task: str, device: str, budget: str, form: str | None = None
) -> Path:
    """Measure what is deployed by the protocol of the samples; write BUDGET/latency.json.

    For a baseline, by whose name ``budget`` may be given, there is nothing that was promised or predicted, nor for
    another form than what is deployed (one of :data:`hat.config.variants.FORMS`), which is measured beside it.

    Raises:
        HatError: the device cannot be measured on.
        InputError: the budget is neither a budget nor a baseline, there is no such form, or a file is missing.
    """
    settings = in_form(settings, task, device, form)
    limit_ms = settings.limit_ms(budget)
    check_reachable(settings, device)
    chosen = settings.task(task).latency
    repeats = DEPLOYED_REPEATS * chosen.repeats
    place = results.place(task, device, budget, form)
    model = place / "model"
    winner = None if limit_ms is None else read_json(results.budget(task, device, budget) / "architecture.json")
    workload = workload_of(settings, results, task, device, budget if winner is None else None)
    if not model.is_dir():
        raise Lacking(model, model / DESCRIPTION)
    with only_one(results.latency(task, device), f"Measuring on {device}"), connect(settings, device) as connection:
        conditions = connection.conditions(workload, chosen.warmup, repeats)
        title = f"Measuring the model for {budget} on {device}"
        total = repeats * len(workload.pairs) * chosen.passes
        with progress(title, total, background=False) as tracker:
            measured = measure_folder(connection, model, workload, chosen, repeats, tracker)
        fingerprint = connection.fingerprint()
    content: dict[str, Any] = measured.to_dict()
    if winner is None or limit_ms is None:
        architecture = architecture_of(settings.baseline(budget).network)
        content = {"baseline": budget, **content, "digest": architecture.digest}
        content |= describe(architecture, workload.shape)
    elif form is not None:
        content |= {"budget": budget, "digest": winner["digest"], "architecture": winner["architecture"]}
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
        **({} if form is None else {"form": form}),
        "conditions": conditions.to_dict(),
        "fingerprint": fingerprint,
        "provenance": provenance(seed=settings.seed, settings=conditions.to_dict()),
    }
    if (missing := unread(device, [measured])) is not None:
        print(missing, file=sys.stderr)
    add_figures(model, **shown_figures(measured), latency_conditions=content["conditions"])
    write_json(place / "latency.json", content)
    return place / "latency.json"
