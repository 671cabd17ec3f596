import json
import re
from pathlib import Path

import pytest

from hat.artifacts.layout import Results
from hat.config.settings import Settings
from hat.errors import InputError
from hat.workflow.first_run import FIGURES, RULES, FirstRun

ROOT = Path(__file__).parents[3]
BUDGETS = {("wmt14ende", "rpi4"): 150.0, ("wmt14ende", "local"): 150.0}


@pytest.fixture
def guess(tmp_path, monkeypatch):
    """Estimate a job of a project with the shipped configuration and nothing made."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)

    def estimate(rule, overrides=None, *, task="wmt14ende", device="rpi4", gpus=0, budgets=BUDGETS):
        run = FirstRun(Settings(overrides), Results("results"), budgets)
        return run.guess(rule, {"task": task, "device": device}, gpus)

    return estimate


def training(**values):
    return {"tasks": {"wmt14ende": {"supertransformer": values}}}


def test_a_training_takes_the_measured_time_of_its_batches(guess):
    found = guess("train_supertransformer", training(batch_tokens=4096, accumulate=128, updates=100))
    share = json.loads(FIGURES.read_text())["target_share"]["value"]
    assert found.gpu_hours == pytest.approx(100 * 128 * 4096 * share / 46_991 / 3600)
    assert found.sources == (
        "NVIDIA H100 80GB HBM3 (2026-11-27), wmt14ende, batches of 4,096 tokens, in bf16 instead of fp32,"
        " for one GPU although `gpus` is 0",
    )
    (source,) = guess("train_supertransformer", training(precision="bf16"), gpus=1).sources
    assert source.endswith("batches of 4,096 tokens")
    assert (found.cpu_hours, found.waiting_hours) == (0, 0)
    # 92 million parameters in four bytes each.
    assert found.storage_gb == pytest.approx(0.3675, abs=1e-4)


def test_gpus_share_whole_batches_or_their_sentences(guess):
    alone = guess("train_supertransformer", training(accumulate=8, batch_tokens=65_536))
    four = guess("train_supertransformer", training(accumulate=8, batch_tokens=65_536), gpus=4)
    assert four.gpu_hours == alone.gpu_hours
    # Each of the eight batches is dealt out to all sixteen GPUs.
    sixteen = guess("train_supertransformer", training(accumulate=8, batch_tokens=65_536), gpus=16)
    small = guess("train_supertransformer", training(accumulate=128, batch_tokens=4096))
    assert sixteen.gpu_hours == pytest.approx(small.gpu_hours)
    assert "batches of 4,096 tokens" in sixteen.sources[0]


def test_a_sandwich_trains_several_networks(guess):
    one = guess("train_supertransformer")
    four = guess("train_supertransformer", training(sampling="sandwich", sandwich_random=2))
    assert four.gpu_hours == pytest.approx(4 * one.gpu_hours)


def test_a_task_that_was_not_measured_takes_its_space_or_its_work(guess):
    (same,) = guess("train_supertransformer", task="wmt19ende").sources
    assert ", wmt14ende," in same
    found = guess("train_supertransformer", task="iwslt14deen")
    assert ", by work, since space iwslt was not measured," in found.sources[0]
    # A batch of 4,096 tokens took 61 ms with the small space of `bibleende` and 75 ms with the published one.
    assert 50_000 * 0.061 < 3600 * found.gpu_hours < 50_000 * 0.075


def test_a_missing_gpu_file_is_an_error_that_names_the_key(guess):
    with pytest.raises(InputError, match=r"config/config.yaml, cost.gpu: none.json: no such file"):
        guess("train_supertransformer", {"cost": {"gpu": "none.json"}})


def test_downloads_take_the_size_of_the_missing_archives(guess):
    def archives(**sizes):
        made = {name: {"kind": "http", "url": f"https://x/{name}", "size": size} for name, size in sizes.items()}
        texts = [{"archive": name, "source": "a", "target": "b"} for name in sizes]
        corpus = {
            "archives": made,
            "text": "raw",
            "codes": None,
            "train": texts,
            "validation": texts[:1],
            "test": texts[:1],
        }
        return {"cost": {"download_mbit_s": 80}, "tasks": {"wmt14ende": {"corpus": corpus}}}

    found = guess("fetch_sources", archives(one=10**9, two=2 * 10**9, wmt16=10**9))
    assert found.sources == ("4.0 GB at 80 Mbit/s",)
    assert 3600 * found.waiting_hours == pytest.approx(400)
    assert (found.gpu_hours, found.cpu_hours, found.storage_gb) == (0, 0, 4)
    # The size of the published archive is not known.
    assert guess("fetch_sources") is None


def test_text_takes_time_by_its_pairs(guess):
    published = guess("binarise_corpus")
    data = Path("results/wmt14ende/data")
    data.mkdir(parents=True)
    (data / "counts.json").write_text(json.dumps({"pairs": {"train": 9_001_932, "validation": 10, "test": 10}}))
    twice, start = guess("binarise_corpus"), guess("choose_budgets").cpu_hours
    assert twice.cpu_hours - start == pytest.approx(2 * (published.cpu_hours - start))
    # Provided byte pairs are not tokenised.
    assert guess("tokenise_corpus").cpu_hours == start
    assert guess("extract_corpus").cpu_hours > start


def test_measuring_takes_time_on_the_device_by_the_planned_budget(guess):
    found = guess("sample_latency")
    # 2,000 networks, 10 visits, a warm-up and three sentences of 150 ms each.
    assert 3600 * found.waiting_hours == pytest.approx(12_000)
    assert found.sources[0] == "2,000 networks of 150 ms, 10 visits on rpi4"
    shards = guess("sample_latency", {"tasks": {"wmt14ende": {"latency": {"shards": 4}}}})
    assert shards.waiting_hours == pytest.approx(found.waiting_hours / 4)
    # At most 60 timed seconds for each network.
    slow = guess("sample_latency", budgets={("wmt14ende", "rpi4"): 10_000})
    assert 3600 * slow.waiting_hours == pytest.approx(2000 * 60 * 4 / 3)
    # This machine measures with its own CPU.
    local = guess("sample_latency", device="local")
    assert (local.waiting_hours, round(3600 * local.cpu_hours, -2)) == (0, 12_000)
    assert guess("sample_latency", budgets={}) is None


def test_searches_take_time_by_their_evaluations(guess):
    start = guess("choose_budgets").cpu_hours

    def search(rule, **values):
        return guess(rule, {"search": values}).cpu_hours - start

    assert search("search_front", evaluations=400) == pytest.approx(2 * search("search_front", evaluations=200))
    assert search("search", top_up=20) == pytest.approx(search("search_front", evaluations=20))
    genetic = search("search", algorithm="genetic", population=50, parents=5, mutations=5, crossovers=5, iterations=5)
    assert genetic == pytest.approx(search("search_front", evaluations=100))
    # Three networks of 150 ms are measured.
    assert 3600 * guess("search").waiting_hours == pytest.approx(3 * 10 * 4 * 0.15)
    # No figure exists for translating candidates, or for GPUs that evaluate them.
    assert guess("search_front", {"search": {"objective": "bleu"}}) is None
    assert guess("search_front", {"search": {"gpus": 1}}) is None


def test_scoring_takes_time_by_runtime_and_sentences(guess):
    fast = guess("score").cpu_hours
    assert guess("score", {"devices": {"rpi4": {"runtime": "torch", "precision": "fp32"}}}).cpu_hours > fast
    assert guess("score", {"scoring": {"max_sentences": 100}}).cpu_hours < fast
    assert (
        guess("score", {"devices": {"rpi4": {"runtime": "torch", "precision": "fp32", "accelerator": "cuda"}}}) is None
    )
    # The number of its test sentences is not known yet.
    assert guess("score", task="iwslt14deen") is None


def test_all_jobs_of_a_task_but_the_download_are_known(guess):
    unknown = {rule for rule in RULES if guess(rule) is None}
    assert unknown == {"fetch_sources"}
    assert guess("train_baseline") is None


def test_every_figure_says_where_it_is_from():
    content = json.loads(FIGURES.read_text())
    entries = [one for part in ("cpu_s", "sentence_ms", "pairs") for one in content[part].values()]
    for one in [*entries, content["target_share"], content["sentence_gflop"]]:
        assert one["value"] > 0
        (page,) = re.findall(r"docs/[a-z/]+\.md", one["from"])
        assert (ROOT / page).is_file()
