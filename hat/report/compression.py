"""Sizes and scores of the models of each budget in each precision, compared with Transformer-Big in fp32."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hat.artifacts.files import provenance, read_json
from hat.artifacts.table import reserved
from hat.config.scope import BudgetScope, DeviceScope, TaskScope
from hat.config.variants import VARIANTS
from hat.data.significance import P_VALUE
from hat.data.task_shape import task_shape
from hat.deploy.folder import DESCRIPTION, NETWORK
from hat.errors import InputError
from hat.report.document import Columns, cells, markdown, shown, text, write_document
from hat.report.rows import Row, compared
from hat.space.architecture import Architecture
from hat.space.kinds import configured_architecture
from hat.space.profile import BITS, Profile
from hat.system.console import print_table

REFERENCE = "transformer-big"


def _megabytes(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name] / 1e6:.2f}"


COLUMNS: Columns = {
    "budget": text("budget"),
    "weights": lambda row: f"{row['runtime']} {row['precision']}",
    "file, MB": _megabytes("network_bytes"),
    "counted, MB": _megabytes("counted_bytes"),
    "times smaller": shown("times_smaller", 1),
    "as published, MB": _megabytes("published_bytes"),
    "as published, times smaller": shown("published_times_smaller", 1),
    "BLEU": shown("bleu", 2),
    "p": shown("p_value", 3),
    "chrF": shown("chrf", 2),
    "latency, ms": shown("latency_ms", 1),
}
LEGEND = (
    "File: size of the network on disk. Counted: for k-means, indices, code books and all weights kept in fp32; for"
    " other precisions, bits times all parameters. As published: bits times the parameters without embeddings and"
    " output projection; code books are not counted. Times smaller: compared with {reference} in fp32 and this task's"
    " dictionaries, counted the same way: {params:,} parameters, {inner:,} without embeddings and output projection."
    f" MB: millions of bytes. p: compared with the first row of the same budget, {P_VALUE} (paired bootstrap)."
)


def write_compression(scope: DeviceScope, budgets: Sequence[str]) -> dict[str, Any]:
    """Write results/tables/TASK-DEVICE-compression.{csv,md,json}.

    Args:
        scope: the task and the device.
        budgets: budgets and baselines of the table; if empty, all with scored variants.

    Returns:
        The content of the JSON file: ``task``, ``device``, ``reference``, ``rows``, ``provenance``.

    Raises:
        InputError: an artifact is missing, or no variant has been scored.
    """
    scope.check()
    reference = _reference(scope)
    shown = _shown(scope, budgets)
    rows = [row for budget in shown for row in _rows(scope.of(budget), reference)]
    made = provenance(seed=None, settings={"budgets": shown})
    table = {"task": scope.task, "device": scope.device, "reference": reference, "rows": rows, "provenance": made}
    signatures = sorted({f"`{row['bleu_signature']}`, `{row['chrf_signature']}`" for row in rows})
    below = [legend(table), "", f"{rows[0]['sentences']} test sentences, {'; '.join(signatures)}."]
    page = markdown(_title(table), COLUMNS, rows, below)
    write_document(scope.results.tables / f"{scope.task}-{scope.device}-compression", table, page)
    return table


def _title(table: dict[str, Any]) -> str:
    return f"Compression: {table['task']} on {table['device']}"


def legend(table: dict[str, Any]) -> str:
    """Explain the columns."""
    reference = table["reference"]
    return LEGEND.format(
        reference=reference["name"], params=reference["params"], inner=reference["params_without_embeddings"]
    )


def print_compression(table: dict[str, Any]) -> None:
    """Print the table."""
    print_table(_title(table), list(COLUMNS), cells(COLUMNS, table["rows"]))
    print(legend(table))


def _reference(scope: TaskScope) -> dict[str, Any]:
    """Count the parameters of Transformer-Big with the task's dictionaries."""
    architecture = configured_architecture(scope.settings.baseline(REFERENCE).network)
    if not isinstance(architecture, Architecture):
        raise InputError(f"{scope.settings.folder}/baselines/{REFERENCE}.yaml, network.kind: expected 'transformer'")
    profile = Profile.of(architecture, task_shape(scope, REFERENCE), length=1)
    return {
        "name": REFERENCE,
        "params": profile.params,
        "params_without_embeddings": profile.params_without_embeddings,
    }


def _shown(scope: DeviceScope, named: Sequence[str]) -> list[str]:
    """Return the budgets by size, then the baselines by name."""

    def order(budget: str) -> tuple[float, str]:
        limit = scope.settings.limit_ms(budget)
        return float("inf") if limit is None else limit, budget

    folder = scope.device_folder
    scored = (path.parent for path in folder.glob("*/*/score.json"))
    found = {folder.parent.name for folder in scored if folder.name in VARIANTS} - reserved("TASK", "DEVICE")
    if not named and not found:
        raise InputError(
            f"{folder}: no variant of a model has been scored yet; run `hat export` and `hat score` with --form"
        )
    return sorted(set(named) or found, key=order)


def _rows(scope: BudgetScope, reference: dict[str, Any]) -> list[Row]:
    """Return the rows of a budget: the deployed model, then its other variants that have been scored."""
    deployed, variants = scope.folder, map(scope.variant_folder, VARIANTS)
    folders = [deployed, *(folder for folder in variants if (folder / "score.json").exists())]
    # The deployed model comes first; the others are compared with it.
    tested = compared(
        DeviceScope(scope.settings, scope.results, scope.task, scope.device),
        {folder.name: folder for folder in folders},
        f"{scope.budget}-forms",
    )
    p_values = {pair["second"]: pair["p_value"] for pair in tested["pairs"] if pair["first"] == deployed.name}
    return [
        _row(folder, scope.budget, read_json(folder / "model" / DESCRIPTION), reference)
        | {"p_value": p_values.get(folder.name)}
        for folder in folders
    ]


def _row(folder: Path, budget: str, model: dict[str, Any], reference: dict[str, Any]) -> Row:
    score, latency = read_json(folder / "score.json"), folder / "latency.json"
    bits = model.get("bits") or BITS.get(model["precision"])
    if bits is None:
        file = folder / "model" / DESCRIPTION
        raise InputError(f"{file}, precision: {model['precision']!r}, expected one of {', '.join(BITS)}, or bits")
    counted = model["counted_size"]["total_bytes"] if "counted_size" in model else model["parameters"] * bits // 8
    if "parameters_without_embeddings" not in model:
        file = folder / "model" / DESCRIPTION
        raise InputError(f"{file}: parameters_without_embeddings is missing; export the model again with this version")
    published = model["parameters_without_embeddings"] * bits / 8
    return {
        "budget": budget,
        "runtime": model["runtime"],
        "precision": model["precision"],
        "bits": bits,
        "network_bytes": sum(path.stat().st_size for path in (folder / "model" / NETWORK).rglob("*") if path.is_file()),
        "counted_bytes": counted,
        "times_smaller": 4 * reference["params"] / counted,
        "published_bytes": published,
        "published_times_smaller": 4 * reference["params_without_embeddings"] / published,
        "bleu": score["bleu"],
        "chrf": score["chrf"],
        "latency_ms": read_json(latency)["latency_ms"] if latency.exists() else None,
        "sentences": score["sentences"],
        "bleu_signature": score["bleu_signature"],
        "chrf_signature": score["chrf_signature"],
    }
