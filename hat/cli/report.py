"""Verbs about results: figures, tables, the report, stale artifacts, and latency by component."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hat.cli.context import AsJson, Budgets, DeviceName, TaskName, device_scope, results_of, settings_of
from hat.errors import InputError
from hat.system.console import print_json, print_table

AnyTask = Annotated[str | None, typer.Argument(metavar="TASK", help="Task; all that have artifacts if omitted.")]
AnyDevice = Annotated[str | None, typer.Argument(metavar="DEVICE", help="Device; all that have artifacts if omitted.")]
Named = Annotated[list[str] | None, typer.Argument(metavar="BUDGET", help="Budgets or baselines.")]
YES = {True: "yes", False: "-", None: ""}


def figures(
    context: typer.Context,
    task: AnyTask = None,
    device: AnyDevice = None,
    budgets: Budgets = None,
    as_json: AsJson = False,
) -> None:
    """Draw one task's figures, or all whose inputs exist."""
    from hat.report.figures import draw_all, draw_figures

    settings, results = settings_of(context), results_of(context)
    if task is None:
        galleries = draw_all(settings, results)
    elif device is None:
        raise InputError(f"figures {task}: name a device too, one of {', '.join(settings.devices)}, or no task")
    else:
        galleries = [draw_figures(device_scope(context, task, device), budgets or [])]
        if not galleries[0].drawn:
            raise InputError(galleries[0].sentences()[0])
    written = [str(path) for gallery in galleries for path in gallery.files]
    lacking = [sentence for gallery in galleries for sentence in gallery.sentences()]
    print_json({"written": written, "lacking": lacking}) if as_json else print("\n".join([*written, *lacking]))


def table(
    context: typer.Context,
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Task; the default target's if omitted.")] = None,
    device: Annotated[
        str | None, typer.Argument(metavar="DEVICE", help="Device; the default target's if omitted.")
    ] = None,
    budgets: Budgets = None,
    as_json: AsJson = False,
) -> None:
    """Print and write the summary of a task on a device."""
    from hat.report.summary import print_summary, write_summary

    settings = settings_of(context)
    demo = settings.configuration.demo
    scope = device_scope(context, task or demo.task, device or demo.device)
    summary = write_summary(scope, budgets or [])
    print_json(summary) if as_json else print_summary(summary, scope)


def tables(context: typer.Context, as_json: AsJson = False) -> None:
    """Write the tables over all tasks and devices."""
    from hat.report.overall_tables import write_tables

    written, lacking = write_tables(settings_of(context), results_of(context))
    found = {"written": list(map(str, written)), "lacking": list(map(str, lacking))}
    print_json(found) if as_json else print("\n".join([*found["written"], *found["lacking"]]))


def compression(
    context: typer.Context,
    task: TaskName,
    device: DeviceName,
    budgets: Annotated[
        list[str] | None,
        typer.Argument(metavar="BUDGET", help="Budgets; all scored in several variants if omitted."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare size and score of each precision."""
    from hat.report.compression import print_compression, write_compression

    made = write_compression(device_scope(context, task, device), budgets or [])
    print_json(made) if as_json else print_compression(made)


def report(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead of results/report.html.")
    ] = None,
) -> None:
    """Write all results to one HTML page that opens from disk."""
    from hat.report.page import write_page

    results = results_of(context)
    print(write_page(settings_of(context), results, out or results.root / "report.html"))


def status(
    context: typer.Context,
    task: AnyTask = None,
    device: AnyDevice = None,
    budgets: Named = None,
    as_json: AsJson = False,
) -> None:
    """Show which artifacts exist and which are out of date."""
    from hat.report.status import detail, overview

    settings, results = settings_of(context), results_of(context)
    if device is not None:
        settings.device(device)
    header: tuple[str, ...]
    shown: list[tuple[str, ...]]
    rows: list[dict[str, Any]]
    if budgets and task and device:
        rows = [dict(row) for row in detail(device_scope(context, task, device), budgets)]
        header = ("artifact", "made", "state")
        shown = [(row["file"], row["made"] or "-", row["state"]) for row in rows]
        title = f"{task} on {device}: {', '.join(budgets)}"
    else:
        rows = overview(settings, results, task, device)
        stages = ("data", "supertransformer", "latency", "predictor", "searched", "trained", "exported", "measured")
        names = (*stages, "scored")
        header = ("task", "device", "model", *names)
        shown = [(row["task"], row["device"], row["model"], *(YES[row.get(name)] for name in names)) for row in rows]
        title = "What exists"
    if as_json:
        print_json(rows)
    elif rows:
        print_table(title, header, shown)
    else:
        print(f"{results.root}: nothing has been made yet; `snakemake` makes the demo")


def explain(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="ARCHITECTURE", help="Architecture file: JSON, an artifact, or published YAML.")
    ],
    device: DeviceName,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="Use this task's predictor; inferred from the folder if omitted.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where an Architecture spends its time on a device."""
    from hat.report.explain import explain as explained

    found = explained(settings_of(context), results_of(context), file, device, task)
    if as_json:
        print_json(found)
        return
    rows = [(part["name"], f"{part['ms']:.2f}", f"{part['percent']:.1f}") for part in found["components"]]
    rows.append(("predicted", f"{found['predicted_latency_ms']:.2f}", "100.0"))
    print_table(f"{file} on {device}, {found['task']}", ("component", "ms", "%"), rows)
    print("Estimated by the latency predictor; components that it cannot distinguish share their time.")
    if found["measured_latency_ms"] is not None:
        print(f"Measured there, end to end: {found['measured_latency_ms']:.2f} ms.")


VERBS: Mapping[str, Callable[..., Any]] = {
    "figures": figures,
    "table": table,
    "tables": tables,
    "compression": compression,
    "report": report,
    "status": status,
    "explain": explain,
}
