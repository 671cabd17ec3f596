"""The tables over all tasks and devices: main results, inherited weights, quantisation, Architectures, and more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hat.artifacts.files import provenance, read_json
from hat.artifacts.layout import Results
from hat.artifacts.missing import MissingArtifact
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import Settings
from hat.config.variants import VARIANTS
from hat.data.significance import ALPHA, P_VALUE, verdict
from hat.deploy.folder import DESCRIPTION
from hat.report.document import Columns, interval, markdown, shown, signed, text, time, without_empty, write_document
from hat.report.published import read_models
from hat.report.rows import Row, compared, device_scopes, known_architecture, rows_of, significance
from hat.space.architecture import DECODER_DIMENSIONS, ENCODER_DIMENSIONS, Architecture

# The table of costs, with the resources that each stage used.
COST = "cost.json"


WHERE: Columns = {"task": text("task"), "device": text("device"), "model": text("model")}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: its columns, their explanation, and the source of its rows.

    Args:
        title: one line.
        columns: titles, each with the cell that it shows of a row.
        legend: explains the columns.
        rows: gathers the rows.
        target: the Snakemake target that makes rows.
    """

    title: str
    columns: Columns
    legend: str
    rows: Callable[[Settings, Results, Sequence[Row]], list[Row]]
    target: str


def _main(settings: Settings, results: Results, rows: Sequence[Row]) -> list[Row]:
    costs = _costs(results)
    measured = [
        row | dict(zip(("carbon_kg", "price_usd"), costs.get(_training(row, settings), (None, None)), strict=True))
        for row in rows
        if row["bleu"] is not None or row["latency_ms"] is not None
    ]
    chosen = settings.configuration.report
    if chosen.published_models is None:
        return measured
    empty = dict.fromkeys(measured[0]) if measured else {}
    published = [
        empty
        | {key: row[key] for key in ("task", "device", "kind", "latency_ms", "bleu", "flops_g")}
        | {"model": row["budget"], "source": "published", "params_without_embeddings_m": row["params_m"]}
        for row in read_models(Path(chosen.published_models))
    ]
    return measured + published


def _training(row: Row, settings: Settings) -> str:
    """Return the name of the stage that trained a model in the table of costs: the path of its log."""
    if row["model"] in settings.baselines:
        return f"{row['task']}/baselines/{row['model']}"
    return f"{row['task']}/{row['device']}/{row['model']}/subtransformer"


def _costs(results: Results) -> dict[str, tuple[float | None, float | None]]:
    """Return the estimated carbon and price of each stage; empty if there is no table of costs."""
    path = results.tables / COST
    stages = read_json(path).get("stages", []) if path.exists() else []
    return {str(one["stage"]): (one.get("carbon_kg"), one.get("price_usd")) for one in stages}


def _inherited(settings: Settings, results: Results, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["inherited_loss"] is not None and row["validation_loss"] is not None]


def _architectures(settings: Settings, results: Results, rows: Sequence[Row]) -> list[Row]:
    found = []
    for row in rows:
        architecture = known_architecture(BudgetScope(settings, results, row["task"], row["device"], row["model"]))
        if isinstance(architecture, Architecture):
            found.append({key: row[key] for key in ("task", "device", "model", "digest")} | _flat(architecture))
    return found


def _flat(architecture: Architecture) -> dict[str, Any]:
    return {
        key: " ".join(map(str, value)) if isinstance(value, list) else value
        for key, value in architecture.to_dict().items()
    }


def _quantisation(settings: Settings, results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return a row per deployed model and scored variant of it, with the change in BLEU."""
    found: list[Row] = []
    for row in rows:
        scope = BudgetScope(settings, results, row["task"], row["device"], row["model"])
        candidates = map(scope.variant_folder, VARIANTS)
        scored = [folder for folder in candidates if (folder / "score.json").exists()]
        if not scored or row["bleu"] is None:
            continue
        folders = {folder.name: folder for folder in (scope.folder, *scored)}
        tested = compared(scope, folders, f"{row['model']}-forms")
        p_values = {pair["second"]: pair["p_value"] for pair in tested["pairs"] if pair["first"] == scope.folder.name}
        for folder in folders.values():
            score, model = read_json(folder / "score.json"), read_json(folder / "model" / DESCRIPTION)
            files = (path for path in (folder / "model").rglob("*") if path.is_file())
            found.append(
                {
                    **{key: row[key] for key in ("task", "device", "model")},
                    "precision": f"{model['runtime']} {model['precision']}",
                    "folder_mb": sum(path.stat().st_size for path in files) / 1e6,
                    "bleu": score["bleu"],
                    "bleu_change": None if folder == scope.folder else score["bleu"] - row["bleu"],
                    "p_value": p_values.get(folder.name),
                    "chrf": score["chrf"],
                }
            )
    return found


def _predictors(settings: Settings, results: Results, rows: Sequence[Row]) -> list[Row]:
    found = []
    for scope in device_scopes(settings, results):
        path = scope.predictor / "errors.json"
        if path.exists():
            errors = read_json(path)
            names = ("rows", "held_out_rows", "rmse_ms", "mape_percent", "kendall_tau")
            floor = errors.get("noise_floor") or {}
            found.append(
                {"task": scope.task, "device": scope.device}
                | {name: errors.get(name) for name in names}
                | {"noise_mape_percent": floor.get("mape_percent")}
            )
    return found


def _significance(settings: Settings, results: Results, rows: Sequence[Row]) -> list[Row]:
    found = []
    for task, device in dict.fromkeys((row["task"], row["device"]) for row in rows):
        tested = significance(DeviceScope(settings, results, task, device), settings.configuration.report.budgets)
        found += [{"task": task, "device": device, **pair, "verdict": verdict(pair)} for pair in tested["pairs"]]
    return found


def _benchmarks(settings: Settings, results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return the benchmarks that Snakemake recorded, a row per job."""
    root = results.root / "benchmarks"
    found = []
    for path in sorted(root.rglob("*.tsv")):
        frame = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if not frame.empty:
            last = frame.iloc[-1]
            found.append(
                {
                    "job": path.relative_to(root).with_suffix("").as_posix(),
                    "seconds": _number(last.get("s")),
                    "processor_s": _number(last.get("cpu_time")),
                    "max_rss_mb": _number(last.get("max_rss")),
                }
            )
    return found


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


TABLES: Mapping[str, Table] = {
    "main": Table(
        title="Main results",
        columns={
            **WHERE,
            "latency, ms": interval("latency", "_ms", 1),
            "energy, J": shown("energy_j", 3),
            "BLEU": interval("bleu", "", 1),
            "chrF": shown("chrf", 1),
            "parameters, M": shown("params_m", 2),
            "without embeddings, M": shown("params_without_embeddings_m", 2),
            "FLOPs, G": shown("flops_g", 3),
            "training": time("training_s"),
            "kg CO2e": shown("carbon_kg", 3),
            "USD": shown("price_usd", 2),
            "kind": text("kind"),
            "source": text("source"),
        },
        legend="Brackets: 95 % intervals, of the median latency and of BLEU by bootstrap. Parameters: all of the"
        " deployed network, and those without embeddings and output projection. FLOPs are without the output"
        " projection, of a sentence at the task's measured length. Published rows were not measured here. Carbon and"
        f" price are estimates of the model's own training, from {COST} if it exists; the search is in that table.",
        rows=_main,
        target="results/TASK/DEVICE/BUDGET/bleu.txt",
    ),
    "inherited": Table(
        title="Inherited weights and training",
        columns={
            **WHERE,
            "loss, inherited": shown("inherited_loss", 3),
            "loss, trained": shown("validation_loss", 3),
            "trained from": text("initial_weights"),
            "BLEU": interval("bleu", "", 1),
        },
        legend="Validation losses, nats a token: with the SuperTransformer's weights, and after training from these"
        " (inherited) or from scratch (random).",
        rows=_inherited,
        target="results/TASK/DEVICE/BUDGET/bleu.txt",
    ),
    "significance": Table(
        title="Differences in BLEU",
        columns={
            "task": text("task"),
            "device": text("device"),
            "model": text("second"),
            "compared with": text("first"),
            "difference in BLEU": signed("difference", 2),
            "p": shown("p_value", 3),
            "significant": lambda row: "yes" if row["significant"] else "no",
        },
        legend="Paired bootstrap resampling of test sentences. Difference: BLEU of the model minus BLEU of the one it"
        f" is compared with. p: {P_VALUE}. Significant: p is below {ALPHA}.",
        rows=_significance,
        target="results/TASK/DEVICE/BUDGET/bleu.txt",
    ),
    "quantisation": Table(
        title="Quantisation",
        columns={
            **WHERE,
            "weights": text("precision"),
            "folder, MB": shown("folder_mb", 2),
            "BLEU": shown("bleu", 2),
            "change in BLEU": signed("bleu_change", 2),
            "p": shown("p_value", 3),
            "chrF": shown("chrf", 2),
        },
        legend=f"Change: against the first row of the same model. p: {P_VALUE} (paired bootstrap)."
        " Sizes against Transformer-Big: results/tables/TASK-DEVICE-compression.md.",
        rows=_quantisation,
        target="results/TASK/DEVICE/BUDGET/quantized-4bit/bleu.txt",
    ),
    "architectures": Table(
        title="Architectures",
        columns={
            **WHERE,
            "encoder width": shown("encoder_embed_dim", 0),
            **{one.label: text(one.name) for one in ENCODER_DIMENSIONS},
            "decoder width": shown("decoder_embed_dim", 0),
            **{one.label: text(one.name) for one in DECODER_DIMENSIONS},
        },
        legend="Lists have one entry a layer, the first next to the embedding. Cross span: last encoder layers that"
        " are attended to.",
        rows=_architectures,
        target="results/TASK/DEVICE/BUDGET/architecture.json",
    ),
    "predictors": Table(
        title="Latency predictors",
        columns={
            "task": text("task"),
            "device": text("device"),
            "measured": shown("rows", 0),
            "held out": shown("held_out_rows", 0),
            "RMSE, ms": shown("rmse_ms", 2),
            "MAPE, %": shown("mape_percent", 2),
            "Kendall's tau": shown("kendall_tau", 3),
            "noise, MAPE %": shown("noise_mape_percent", 2),
        },
        legend="On Architectures that the predictor was not fitted to. Noise: what a perfect predictor would show.",
        rows=_predictors,
        target="results/TASK/DEVICE/predictor/errors.json",
    ),
    "benchmarks": Table(
        title="Run time of jobs",
        columns={
            "job": text("job"),
            "seconds": shown("seconds", 1),
            "CPU seconds": shown("processor_s", 1),
            "memory, MB": shown("max_rss_mb", 0),
        },
        legend="Snakemake's measurements of the last run of each job.",
        rows=_benchmarks,
        target="",
    ),
}


def make_tables(settings: Settings, results: Results) -> dict[str, list[Row]]:
    """Return the rows of every table from the existing artifacts; a table may have none."""
    chosen = settings.configuration.report
    rows = [row for scope in device_scopes(settings, results) for row in rows_of(scope, chosen.budgets)]
    return {name: without_empty(table.rows(settings, results, rows)) for name, table in TABLES.items()}


def write_tables(settings: Settings, results: Results) -> tuple[list[Path], list[MissingArtifact]]:
    """Write results/tables/NAME.{csv,md,json} of every table that has rows.

    Returns:
        The files, and sentences about what is missing for the other tables.
    """
    written, lacking = [], []
    made = provenance(seed=None, settings=settings.configuration.report.model_dump(mode="json"))
    for name, rows in make_tables(settings, results).items():
        table, path = TABLES[name], results.tables / name
        if not rows:
            lacking.append(MissingArtifact(f"{path}: a row of the table", table.target))
            continue
        body = markdown(table.title, table.columns, rows, [table.legend])
        write_document(path, {"title": table.title, "rows": rows, "provenance": made}, body)
        written += [Path(f"{path}.{kind}") for kind in ("csv", "md", "json")]
    return written, lacking
