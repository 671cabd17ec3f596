"""What a user sees who asks for something that cannot be, and what is never done twice at once."""

import re
from itertools import pairwise

import pytest

from hat.artifacts.layout import Results
from hat.config.settings import Settings
from hat.errors import HatError
from hat.workflow.targets import check_targets


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("results/nosuch/local/50ms/bleu.txt", r"hat: task 'nosuch' is unknown, expected one of .*smoke"),
        ("results/demo/nosuch/50ms/bleu.txt", "hat: device 'nosuch' is unknown, expected one of local, .*rpi4"),
        ("results/demo/local/50/bleu.txt", "hat: budget '50': expected a positive NUMBERms or NUMBERs"),
        ("results/demo/local/0ms/bleu.txt", "hat: budget '0ms': expected a positive"),
        (
            "results/demo/rpi4/evolved-transformer/bleu.txt",
            "baseline 'evolved-transformer' on device 'rpi4', .* expected .* runtime onnxruntime or torch .*ship",
        ),
        ("results/demo/local/transformer/bleu.txt", "hat: budget 'transformer': .*, or a baseline, one of evolved-tra"),
        (
            "results/demo/local/50ms/quantized-5bit/bleu.txt",
            "'quantized-5bit' is unknown, expected fp32, int8, int4, quantized-8bit or quantized-4bit",
        ),
        ("results/tables/demo-nosuch-compression.md", "demo-nosuch-compression.md: expected TASK-DEVICE with a task"),
        ("results/tables/demo-nosuch.md", "hat: results/tables/demo-nosuch.md: expected TASK-DEVICE with a task of"),
        ("results/wmt14ende/rpi4/150ms/bleu.txt", "devices/rpi4.yaml, host: no host is configured for rpi4"),
        ("results/tables/demo-rpi4.md", "devices/rpi4.yaml, host: no host is configured for rpi4"),
    ],
)
def test_impossible_targets_are_refused_in_one_sentence(project, monkeypatch, target, sentence):
    monkeypatch.chdir(project.folder)
    with pytest.raises(HatError) as refused:
        check_targets([target], Settings(), Results("results"), will_run=True)
    assert re.search(sentence, f"hat: {refused.value}")
    assert "\n" not in str(refused.value)


def test_each_baseline_runs_on_the_shipped_device(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    settings = Settings()
    targets = [f"results/demo/shipped/{name}/bleu.txt" for name in settings.baselines]
    check_targets(targets, settings, Results("results"), will_run=True)


@pytest.mark.parametrize("target", ["results/nosuch/local/50ms/bleu.txt", "results/tables/demo-rpi4.md"])
def test_snakemake_ends_with_that_sentence(project, target):
    output = project.snakemake(target, code=1)
    assert re.search("^hat: .*(unknown|no host)", output, re.MULTILINE)
    assert "Traceback" not in output
    assert len(output.splitlines()) <= 3


def test_all_errors_of_the_configuration_at_once(project):
    (project.folder / "config/devices/local.yaml").write_text("connection: local\nthread: 1\n")
    output = project.snakemake("--config", "seed=x", "search={population: 0}", code=1)
    assert "overrides (--config, --configfile, --set), seed: " in output
    assert "config/devices/local.yaml, thread: unknown key, expected one of description, " in output
    assert "overrides (--config, --configfile, --set), search.population: " in output
    assert "Traceback" not in output


def test_dry_run_of_a_published_task_shows_the_whole_chain(project):
    assert project.would_run("results/wmt14ende/rpi4/150ms/bleu.txt") == {
        "fetch_sources",
        "extract_corpus",
        "tokenise_corpus",
        "binarise_corpus",
        "train_supertransformer",
        "make_shortlist",
        "choose_architectures",
        "sample_latency",
        "collect_dataset",
        "fit_predictor",
        "search_front",
        "search",
        "train_subtransformer",
        "export_model",
        "score",
    }


@pytest.mark.parametrize(
    "override", ["devices={local: {shortlist: false}}", "tasks={smoke: {shortlist: {enabled: false}}}"]
)
def test_words_are_aligned_only_where_a_shortlist_is_wanted(project, override):
    target = "results/smoke/local/50ms/bleu.txt"
    assert project.would_run(target) - project.would_run(target, "--config", override) == {"make_shortlist"}


def test_configfile_lies_below_the_command_line(project):
    (project.folder / "more.yaml").write_text("tasks.smoke.latency.shards: 3\n")
    for overrides, shards in (
        (["--configfile", "more.yaml"], 3),
        (["--configfile", "more.yaml", "--config", "latency={shards: 2}"], 3),
    ):
        output = project.snakemake("-n", "results/smoke/local/budgets.json", *overrides)
        assert int(re.search(r"^sample_latency +([0-9]+)$", output, re.MULTILINE)[1]) == shards
    output = project.snakemake(
        "-n",
        "results/smoke/local/budgets.json",
        "--configfile",
        "more.yaml",
        "--config",
        "tasks={smoke: {latency: {shards: 2}}}",
    )
    assert int(re.search(r"^sample_latency +([0-9]+)$", output, re.MULTILINE)[1]) == 2


SHARED_DEVICE = """
include: "workflow/rules/common.smk"
rule all:
    input: expand("{device}-{x}.txt", device="rpi4", x=range(3))
rule measure:
    output: "{device}-{x}.txt"
    resources: **THE_DEVICE
    shell: "date +%s.%N > {output}; sleep 0.4; date +%s.%N >> {output}"
"""


def test_a_device_is_measured_by_one_job_at_a_time(project):
    (project.folder / "Snakefile").write_text(SHARED_DEVICE)
    project.snakemake("--cores", "4", "--resources", "device_rpi4=3", "--config", "devices={rpi4: {host: x}}")
    times = sorted(tuple(map(float, path.read_text().split())) for path in project.folder.glob("rpi4-*.txt"))
    assert len(times) == 3
    assert all(ended <= started for (_, ended), (started, _) in pairwise(times))


def test_locks_of_a_killed_run_do_not_block_the_next(project):
    (project.folder / "Snakefile").write_text(
        'include: "workflow/rules/common.smk"\nrule all:\n    output: "a.txt"\n'
        '    shell: "touch started; for i in $(seq 9000); do [ -e go ] && break; sleep 0.1; done; touch {output}"\n'
    )
    project.kill_when("started")
    assert list((project.folder / ".snakemake/locks").glob("*.lock"))
    (project.folder / "go").touch()
    project.snakemake()
    assert (project.folder / "a.txt").exists()
