"""The command line: one thin verb per stage, the only thing that the workflow's rules call.

Everything heavy is imported inside the verbs, so that ``hat --help`` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hat.console import Verbs, print_figures, print_json, print_table, read_sentences
from hat.errors import InputError

if TYPE_CHECKING:
    from hat.config import Training
    from hat.layout import Results
    from hat.settings import Settings
    from hat.train.processes import TrainingResources

OVERRIDES = "HAT_OVERRIDES"


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Machine translation for a given device within a given latency.",
)


def _family(name: str, text: str) -> typer.Typer:
    family = typer.Typer(no_args_is_help=True, help=text)
    app.add_typer(family, name=name)
    return family


data = _family("data", "Download and prepare the text of a task.")
supertransformer = _family("supertransformer", "The weight-sharing network of a task.")
latency = _family("latency", "Measure a device and predict its latencies.")
subtransformer = _family("subtransformer", "The network found for a budget.")
baseline = _family("baseline", "Networks that SubTransformers are compared with.")
convert = _family("convert", "Exchange networks with the research code.")
config = _family("config", "Check and describe the configuration.")

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of a file in config/tasks.")]
DeviceName = Annotated[str, typer.Argument(metavar="DEVICE", help="Name of a file in config/devices.")]
BudgetName = Annotated[str, typer.Argument(metavar="BUDGET", help="Latency, such as 150ms or 3.5s.")]
BaselineName = Annotated[str, typer.Argument(metavar="BASELINE", help="Name of a file in config/baselines.")]
ModelName = Annotated[str, typer.Argument(metavar="BUDGET", help="Latency, such as 150ms, or name of a baseline.")]
Budgets = Annotated[
    list[str] | None, typer.Argument(metavar="[BUDGET]...", help="Those that the workflow made by default.")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads, of all processes together.")]
Gpus = Annotated[int | None, typer.Option("--gpus", min=0, help="GPUs, each for a process of its own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.callback()
def _options(
    context: typer.Context,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")
    ] = None,
    files: Annotated[
        list[Path] | None, typer.Option("--configfile", metavar="FILE", help="Lay a file over config.yaml; repeatable.")
    ] = None,
    folder: Annotated[Path, typer.Option("--config-dir", help="Folder of config.yaml, tasks, ...")] = Path("config"),
    results: Annotated[Path, typer.Option("--results", help="Folder of the artifacts.")] = Path("results"),
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Write what is printed to this file too.")
    ] = None,
) -> None:
    # Of several processes that train together the first reports.
    if log is not None and os.environ.get("RANK", "0") == "0":
        from hat.log import log_to

        log_to(log)
    context.obj = (values or [], files or [], folder, results)


def _settings(context: typer.Context) -> "Settings":
    from hat.overrides import from_command_line
    from hat.settings import Settings

    values, files, folder, _ = context.obj
    return Settings(from_command_line(os.environ.get(OVERRIDES), files, values), folder)


def _results(context: typer.Context) -> "Results":
    from hat.layout import Results

    return Results(context.obj[3])


def _show_file(path: Path, title: str, *, as_json: bool) -> None:
    from hat.artifacts import read_json

    print_figures(title, read_json(path), as_json=as_json)


@data.command("fetch")
def _data_fetch(context: typer.Context, task: TaskName) -> None:
    """Download what the task's text is made from."""
    from hat.data.prepare import fetch_sources

    fetch_sources(_settings(context), _results(context), task)


@data.command("extract")
def _data_extract(context: typer.Context, task: TaskName, as_json: AsJson = False) -> None:
    """Write the raw text of each split, and its counts and overlap."""
    from hat.data.prepare import extract_corpus

    extract_corpus(_settings(context), _results(context), task)
    _show_file(_results(context).data(task) / "counts.json", f"Text of {task}", as_json=as_json)


@data.command("tokenise")
def _data_tokenise(context: typer.Context, task: TaskName) -> None:
    """Tokenise, learn byte-pair codes on the training split, apply them."""
    from hat.data.prepare import tokenise_corpus

    tokenise_corpus(_settings(context), _results(context), task)


@data.command("binarise")
def _data_binarise(context: typer.Context, task: TaskName, as_json: AsJson = False) -> None:
    """Make the dictionary and the memory-mapped splits."""
    from hat.data.prepare import binarise_corpus

    binarise_corpus(_settings(context), _results(context), task)
    _show_file(_results(context).data(task) / "binary" / "counts.json", f"Tokens of {task}", as_json=as_json)


def _training_resources(
    context: typer.Context, training: "Training", threads: int | None, gpus: int | None
) -> "TrainingResources | None":
    """What a training verb may use; None where it has been done by processes that were started for it."""
    from hat.train.processes import TrainingResources, launch, launched, own_resources

    gpus = _settings(context).configuration.gpus if gpus is None else gpus
    resources = TrainingResources(threads=threads or own_resources(training).threads, gpus=gpus)
    count = resources.processes(training)
    if count == 1 or launched():
        return resources
    launch(count, sys.argv[1:])
    return None


@supertransformer.command("train")
def _supertransformer_train(context: typer.Context, task: TaskName, threads: Threads = None, gpus: Gpus = None) -> None:
    """Train the network that contains every Architecture of the space."""
    from hat.train.stages import train_supertransformer

    settings = _settings(context)
    resources = _training_resources(context, settings.task(task).supertransformer, threads, gpus)
    if resources is not None:
        train_supertransformer(settings, _results(context), task, resources)


@latency.command("choose")
def _latency_choose(context: typer.Context, task: TaskName, device: DeviceName) -> None:
    """Draw the Architectures that are measured."""
    from hat.latency.stages import choose_architectures

    choose_architectures(_settings(context), _results(context), task, device)


@latency.command("sample")
def _latency_sample(
    context: typer.Context,
    task: TaskName,
    device: DeviceName,
    shard: Annotated[int, typer.Option(help="Number of the shard, from 0.", min=0)],
) -> None:
    """Measure one shard of the Architectures on the device."""
    from hat.latency.stages import sample_shard

    sample_shard(_settings(context), _results(context), task, device, shard)


@latency.command("collect")
def _latency_collect(context: typer.Context, task: TaskName, device: DeviceName) -> None:
    """Put all shards into one dataset."""
    from hat.latency.stages import collect_dataset

    collect_dataset(_settings(context), _results(context), task, device)


@latency.command("fit")
def _latency_fit(context: typer.Context, task: TaskName, device: DeviceName, as_json: AsJson = False) -> None:
    """Fit the predictor and write its errors on held-out samples."""
    from hat.latency.stages import fit_predictor

    results = _results(context)
    fit_predictor(_settings(context), results, task, device)
    _show_file(results.predictor(task, device) / "errors.json", f"Predictor of {task} on {device}", as_json=as_json)


@latency.command("range")
def _latency_range(context: typer.Context, task: TaskName, device: DeviceName, as_json: AsJson = False) -> None:
    """Say what is possible: the fastest, the median and the slowest predicted Architecture."""
    from hat.latency.stages import latency_range

    figures = latency_range(_settings(context), _results(context), task, device)
    print_figures(f"Predicted latency of {task} on {device}", figures, as_json=as_json)


@latency.command("measure")
def _latency_measure(
    context: typer.Context, task: TaskName, device: DeviceName, budget: ModelName, as_json: AsJson = False
) -> None:
    """Measure the deployed model on the device."""
    from hat.latency.stages import measure_model

    results = _results(context)
    measure_model(_settings(context), results, task, device, budget)
    path = results.budget(task, device, budget) / "latency.json"
    _show_file(path, f"Latency of {task} on {device} for {budget}", as_json=as_json)


@app.command("budgets")
def _budgets(context: typer.Context, task: TaskName, device: DeviceName, as_json: AsJson = False) -> None:
    """Choose budgets from the predicted range."""
    from hat.latency.stages import choose_budgets

    results = _results(context)
    choose_budgets(_settings(context), results, task, device)
    _show_file(results.budgets(task, device), f"Budgets of {task} on {device}", as_json=as_json)


@app.command("search")
def _search(
    context: typer.Context, task: TaskName, device: DeviceName, budget: BudgetName, as_json: AsJson = False
) -> None:
    """Find the best Architecture under the budget."""
    from hat.search.stages import search

    results = _results(context)
    search(_settings(context), results, task, device, budget)
    path = results.budget(task, device, budget) / "architecture.json"
    _show_file(path, f"Architecture of {task} on {device} for {budget}", as_json=as_json)


@subtransformer.command("train")
def _subtransformer_train(
    context: typer.Context,
    task: TaskName,
    device: DeviceName,
    budget: BudgetName,
    threads: Threads = None,
    gpus: Gpus = None,
) -> None:
    """Train the winner of the search."""
    from hat.train.stages import train_subtransformer

    settings = _settings(context)
    resources = _training_resources(context, settings.task(task).subtransformer, threads, gpus)
    if resources is not None:
        train_subtransformer(settings, _results(context), task, device, budget, resources)


@baseline.command("train")
def _baseline_train(
    context: typer.Context, task: TaskName, baseline: BaselineName, threads: Threads = None, gpus: Gpus = None
) -> None:
    """Train a baseline from scratch."""
    from hat.train.stages import train_baseline

    settings = _settings(context)
    resources = _training_resources(context, settings.baseline_training(task, baseline), threads, gpus)
    if resources is not None:
        train_baseline(settings, _results(context), task, baseline, resources)


@app.command("export")
def _export(context: typer.Context, task: TaskName, device: DeviceName, budget: ModelName) -> None:
    """Write the folder that is deployed."""
    from hat.evaluate.stages import export_model

    export_model(_settings(context), _results(context), task, device, budget)


@app.command("score")
def _score(
    context: typer.Context, task: TaskName, device: DeviceName, budget: ModelName, as_json: AsJson = False
) -> None:
    """Translate the test split and score it."""
    from hat.evaluate.stages import score

    results = _results(context)
    score(_settings(context), results, task, device, budget)
    path = results.budget(task, device, budget) / "score.json"
    _show_file(path, f"Score of {task} on {device} for {budget}", as_json=as_json)


@app.command("translate")
def _translate(
    model: Annotated[Path, typer.Option("--model", metavar="DIR", help="A deployed folder, .../model.")],
    text: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Sentences; else standard input.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Text file with a sentence a line.")] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Beam size; the deployed one where not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Translate sentences: arguments, lines of a file, or lines of standard input."""
    from hat.translator import Translator

    if text and file:
        raise InputError("give either sentences or --file, not both")
    sentences = text or read_sentences(file)
    translations = Translator.from_folder(model, beam=beam).translate(sentences)
    if as_json:
        pairs = zip(sentences, translations, strict=True)
        print_json([{"source": source, "translation": translation} for source, translation in pairs])
    else:
        for translation in translations:
            print(translation, flush=True)


@app.command("figures")
def _figures(
    context: typer.Context, task: TaskName, device: DeviceName, budgets: Budgets = None, as_json: AsJson = False
) -> None:
    """Draw the figures of a task on a device."""
    from hat.report.figures import draw_figures

    folder = draw_figures(_settings(context), _results(context), task, device, budgets or [])
    written = sorted(str(path) for path in folder.iterdir())
    print_json(written) if as_json else print("\n".join(written))


@app.command("table")
def _table(
    context: typer.Context,
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="That of the default target by default.")] = None,
    device: Annotated[
        str | None, typer.Argument(metavar="[DEVICE]", help="That of the default target by default.")
    ] = None,
    budgets: Budgets = None,
    as_json: AsJson = False,
) -> None:
    """Print the summary of a task on a device, and write it to results/tables."""
    from hat.report.table import print_summary, write_summary

    settings = _settings(context)
    demo = settings.configuration.demo
    summary = write_summary(settings, _results(context), task or demo.task, device or demo.device, budgets or [])
    print_json(summary) if as_json else print_summary(summary)


@app.command("profile")
def _profile(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Architecture: ours, an artifact, or published YAML.")],
    length: Annotated[int, typer.Option(min=1, help="Source and target tokens that FLOPs are counted for.")] = 30,
    task: Annotated[str | None, typer.Option(metavar="TASK", help="Task whose space and dictionaries count.")] = None,
    vocabulary: Annotated[int | None, typer.Option(min=1, help="Tokens of either dictionary.")] = None,
    qkv: Annotated[int | None, typer.Option(min=1, help="Width of queries, keys and values.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count parameters, FLOPs and memory of an Architecture."""
    from hat.profile import profile_file, table_rows

    figures = profile_file(
        file,
        results=_results(context),
        settings=lambda: _settings(context),
        length=length,
        task=task,
        vocabulary=vocabulary,
        qkv_dim=qkv,
    )
    if as_json:
        print_json(figures)
    else:
        print_table(str(file), ("", "in all", "without embeddings and last layer"), table_rows(figures))


@convert.command("import")
def _convert_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint of the research code.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for checkpoint.pt and config.json.")],
    architecture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take this SubTransformer out of a SuperTransformer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a checkpoint of the research code into ours."""
    from hat.published.architecture import read_architecture
    from hat.published.convert import import_checkpoint

    chosen = None if architecture is None else read_architecture(architecture)
    print_figures(str(out), import_checkpoint(file, out, chosen), as_json=as_json)


@convert.command("export")
def _convert_export(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Our checkpoint.pt, or its folder.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint to write.")],
    as_json: AsJson = False,
) -> None:
    """Turn our checkpoint into one that the research code loads."""
    from hat.published.convert import export_checkpoint

    print_figures(str(out), export_checkpoint(checkpoint, out, lambda: _settings(context)), as_json=as_json)


@convert.command("architecture")
def _convert_architecture(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Architecture: ours, an artifact, or published YAML.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Name ending in .json for ours, .yml for published.")],
) -> None:
    """Turn published YAML into our JSON, or the other way."""
    from hat.published.architecture import read_architecture, write_architecture

    write_architecture(read_architecture(file), out)


@config.command("check")
def _config_check(context: typer.Context, as_json: AsJson = False) -> None:
    """Read everything in config/ and report all errors at once."""
    settings = _settings(context)
    known = {kind: list(getattr(settings, kind)) for kind in ("tasks", "devices", "spaces", "baselines")}
    print_figures(f"{settings.folder}: no errors", known, as_json=as_json)


@config.command("default")
def _config_default() -> None:
    """Print config.yaml as it is by default, with comments."""
    from hat.configdocs import default_file

    print(default_file(), end="")


@config.command("schema")
def _config_schema(
    kind: Annotated[str, typer.Argument(help="config, task, space, device or baseline.")] = "config",
) -> None:
    """Print the JSON schema of a configuration file."""
    from hat.configdocs import schema

    print_json(schema(kind))


@config.command("docs")
def _config_docs(context: typer.Context) -> None:
    """Write config.yaml's default, the schemas and the key tables anew from the models."""
    from hat.configdocs import write_all

    for path in write_all(context.obj[2]):
        print(path)


def main() -> None:
    """Console script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
