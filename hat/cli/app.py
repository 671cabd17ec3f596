"""The command line: one thin verb per stage, the only thing that the workflow's rules call.

Everything heavy is imported inside the verbs, so that ``hat --help`` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hat.cli.artifacts import artifacts
from hat.cli.context import (
    USAGE,
    AsJson,
    BudgetName,
    Budgets,
    DeviceName,
    TaskName,
    budget_scope,
    device_scope,
    results_of,
    settings_of,
    task_scope,
    usage_file,
)
from hat.cli.device import device
from hat.cli.files import config, convert, profile
from hat.cli.latency import register as register_latency
from hat.cli.plan import cost, plan
from hat.cli.published import fairseq, models
from hat.cli.report import VERBS as REPORT_VERBS
from hat.cli.search import search, search_front, search_objectives, search_random
from hat.cli.serve import serve
from hat.cli.verbs import Root, Verbs, family
from hat.errors import InputError
from hat.system.console import print_figures, print_json, print_table, read_sentences
from hat.system.machines import reports
from hat.system.usage import recorded_usage

if TYPE_CHECKING:
    from hat.config.training import Training
    from hat.train.processes import TrainingResources

app = Verbs(
    cls=Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Build translation models that meet a latency budget on a given device.",
)


data = family("Download and prepare the text of a task.")
supertransformer = family("Train the weight-sharing network of a task.")
latency = family("Measure a device and predict latencies on it.")
subtransformer = family("Train the network found for a budget.")
baseline = family("Train networks to compare SubTransformers with.")
app.add_typer(data, name="data")
app.add_typer(supertransformer, name="supertransformer")
app.add_typer(latency, name="latency")
app.add_typer(subtransformer, name="subtransformer")
app.add_typer(baseline, name="baseline")
app.command("profile")(profile)
app.command("search")(search)
app.command("search-front")(search_front)
app.command("search-random")(search_random)
app.command("search-objectives")(search_objectives)
app.command("serve")(serve)
app.add_typer(device, name="device")
app.command("plan")(plan)
app.command("cost")(cost)
for _name, _verb in REPORT_VERBS.items():
    app.command(_name)(_verb)
app.add_typer(convert, name="convert")
app.add_typer(config, name="config")
app.add_typer(models, name="models")
app.add_typer(fairseq, name="fairseq")
app.add_typer(artifacts, name="artifacts")

Variant = Annotated[
    str | None,
    typer.Option("--form", help="Use a variant: fp32, int8, int4, quantized-8bit or quantized-4bit."),
]
BaselineName = Annotated[str, typer.Argument(metavar="BASELINE", help="Name of a file in config/baselines.")]
ModelName = Annotated[str, typer.Argument(metavar="BUDGET", help="Budget, such as 150ms, or name of a baseline.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Use this many CPU threads over all processes.")]
Gpus = Annotated[int | None, typer.Option("--gpus", min=0, help="Use this many GPUs, one process each.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"hat {version('hat')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--configfile", metavar="FILE", help="Apply a file over config.yaml; repeatable."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--config-dir", help="Read config.yaml, tasks/ and the rest from here.")
    ] = Path("config"),
    results: Annotated[Path, typer.Option("--results", help="Read and write artifacts here.")] = Path("results"),
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Also write all output to this file.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    # Of several processes that train together the first reports.
    if log is not None and reports():
        from hat.system.log import log_to

        log_to(log)
    context.obj = (values or [], files or [], folder, results)
    if "RANK" not in os.environ:
        context.meta[USAGE] = context.with_resource(recorded_usage(usage_file(log, results)))


def _show_file(path: Path, title: str, *, as_json: bool) -> None:
    from hat.artifacts.files import read_json

    print_figures(title, read_json(path), as_json=as_json)


@data.command("fetch")
def _data_fetch(context: typer.Context, task: TaskName) -> None:
    """Download the sources of the task's text."""
    from hat.data.stages import fetch_sources

    fetch_sources(task_scope(context, task))


@data.command("extract")
def _data_extract(context: typer.Context, task: TaskName, as_json: AsJson = False) -> None:
    """Write the raw text of each split, with counts and overlap."""
    from hat.data.stages import extract_corpus

    extract_corpus(task_scope(context, task))
    _show_file(results_of(context).data(task) / "counts.json", f"Text of {task}", as_json=as_json)


@data.command("tokenise")
def _data_tokenise(context: typer.Context, task: TaskName) -> None:
    """Tokenise the text, then learn and apply BPE codes."""
    from hat.data.stages import tokenise_corpus

    tokenise_corpus(task_scope(context, task))


@data.command("binarise")
def _data_binarise(context: typer.Context, task: TaskName, as_json: AsJson = False) -> None:
    """Build the dictionaries and the memory-mapped splits."""
    from hat.data.stages import binarise_corpus

    binarise_corpus(task_scope(context, task))
    _show_file(results_of(context).data(task) / "binary" / "counts.json", f"Tokens of {task}", as_json=as_json)


def _wait_passively() -> None:
    """Have torch's threads, once it is imported, sleep while they wait for each other.

    By default they spin, and training almost stops if another process occupies one of the cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _resources(
    context: typer.Context, training: "Training", threads: int | None, gpus: int | None
) -> "TrainingResources":
    """Return the threads and GPUs that a verb may use, from its options or else the configuration."""
    from hat.train.processes import TrainingResources, launched, own_resources

    gpus = settings_of(context).configuration.gpus if gpus is None else gpus
    if not launched():
        context.meta[USAGE].count_gpus(gpus)
    return TrainingResources(threads=threads or own_resources(training).threads, gpus=gpus)


def _training_resources(
    context: typer.Context, training: "Training", threads: int | None, gpus: int | None
) -> "TrainingResources | None":
    """Return the resources of a training verb; None if it has already run, in processes started here."""
    from hat.system.machines import machines
    from hat.train.processes import launch, launched

    resources = _resources(context, training, threads, gpus)
    count = resources.processes(training)
    place = machines()
    if (count == 1 and place.count == 1) or launched():
        return resources
    launch(count, sys.argv[1:], place)
    return None


@supertransformer.command("train")
def _supertransformer_train(context: typer.Context, task: TaskName, threads: Threads = None, gpus: Gpus = None) -> None:
    """Train the network that contains every Architecture of the space."""
    _wait_passively()
    from hat.train.stages import train_supertransformer

    settings = settings_of(context)
    resources = _training_resources(context, settings.task(task).supertransformer, threads, gpus)
    if resources is not None:
        train_supertransformer(task_scope(context, task), resources)


@app.command("shortlist")
def _shortlist(context: typer.Context, task: TaskName, as_json: AsJson = False) -> None:
    """Build the task's lexical shortlist."""
    from hat.artifacts.files import read_json
    from hat.shortlist.sizes import size_table
    from hat.shortlist.stages import make_task_shortlist

    content = read_json(make_task_shortlist(task_scope(context, task)))
    print_json(content) if as_json else print_table(f"Shortlist of {task}", *size_table(content))


@latency.command("choose")
def _latency_choose(context: typer.Context, task: TaskName, device: DeviceName) -> None:
    """Choose the Architectures to measure."""
    from hat.latency.stages import choose_architectures

    choose_architectures(device_scope(context, task, device))


@latency.command("sample")
def _latency_sample(
    context: typer.Context,
    task: TaskName,
    device: DeviceName,
    shard: Annotated[int, typer.Option(help="Measure this shard, counted from 0.", min=0)] = 0,
    target_error: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Stop at this held-out error, such as 2%.")
    ] = None,
) -> None:
    """Measure one shard of the chosen Architectures on the device."""
    from hat.latency.stages import sample_shard

    sample_shard(device_scope(context, task, device), shard, target_error)


@latency.command("collect")
def _latency_collect(context: typer.Context, task: TaskName, device: DeviceName) -> None:
    """Merge all shards into one dataset."""
    from hat.latency.stages import collect_dataset

    collect_dataset(device_scope(context, task, device))


register_latency(latency)


@latency.command("measure")
def _latency_measure(
    context: typer.Context,
    task: TaskName,
    device: DeviceName,
    budget: ModelName,
    variant: Variant = None,
    as_json: AsJson = False,
) -> None:
    """Measure the deployed model, or a variant of it, on the device."""
    from hat.latency.deployed import measure_model

    path = measure_model(budget_scope(context, task, device, budget), variant)
    _show_file(path, f"Latency of {task} on {device} for {budget}", as_json=as_json)


@app.command("budgets")
def _budgets(context: typer.Context, task: TaskName, device: DeviceName, as_json: AsJson = False) -> None:
    """Choose latency budgets from the predicted range."""
    from hat.artifacts.files import read_json
    from hat.latency.budgets import print_range
    from hat.latency.stages import choose_budgets

    content = read_json(choose_budgets(device_scope(context, task, device)))
    print_json(content) if as_json else print_range(f"{task} on {device}", content["range"], content["budgets"])


@subtransformer.command("translate")
def _subtransformer_translate(
    context: typer.Context, task: TaskName, threads: Threads = None, gpus: Gpus = None
) -> None:
    """Translate the training set with the task's teacher."""
    _wait_passively()
    from hat.train.translated import translate_training

    settings = settings_of(context)
    resources = _resources(context, settings.task(task).subtransformer, threads, gpus)
    translate_training(task_scope(context, task), resources)


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
    _wait_passively()
    from hat.train.stages import train_subtransformer

    settings = settings_of(context)
    resources = _training_resources(context, settings.task(task).subtransformer, threads, gpus)
    if resources is not None:
        train_subtransformer(budget_scope(context, task, device, budget), resources)


@baseline.command("train")
def _baseline_train(
    context: typer.Context, task: TaskName, baseline: BaselineName, threads: Threads = None, gpus: Gpus = None
) -> None:
    """Train a baseline from scratch."""
    _wait_passively()
    from hat.train.stages import train_baseline

    settings = settings_of(context)
    resources = _training_resources(context, settings.baseline_training(task, baseline), threads, gpus)
    if resources is not None:
        train_baseline(task_scope(context, task), baseline, resources)


@app.command("export")
def _export(
    context: typer.Context, task: TaskName, device: DeviceName, budget: ModelName, variant: Variant = None
) -> None:
    """Write the folder to deploy for a budget or baseline."""
    from hat.deploy.export import export_model

    export_model(budget_scope(context, task, device, budget), variant)


@app.command("export-elastic")
def _export_elastic(context: typer.Context, task: TaskName, device: DeviceName, budgets: Budgets = None) -> None:
    """Write one folder that holds networks for several budgets."""
    from hat.deploy.export import export_elastic

    export_elastic(device_scope(context, task, device), budgets or [])


@app.command("score")
def _score(
    context: typer.Context,
    task: TaskName,
    device: DeviceName,
    budget: ModelName,
    variant: Variant = None,
    as_json: AsJson = False,
) -> None:
    """Translate the test split and score the translations."""
    from hat.evaluate.stages import score

    path = score(budget_scope(context, task, device, budget), variant)
    _show_file(path, f"Score of {task} on {device} for {budget}", as_json=as_json)


@app.command("translate")
def _translate(
    model: Annotated[Path, typer.Option("--model", metavar="DIR", help="Load this deployed folder, .../model.")],
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Sentences; standard input if omitted.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Read sentences from this file, one a line.")] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Use this beam size instead of the deployed one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Translate sentences with a deployed model."""
    from hat.deploy.translator import Translator

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


def run() -> None:
    """Run the verb of the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
