"""Networks at work on a GPU: evaluated by a search, translating for a student, and timed."""

import random

import pytest
import torch
from toy_device import SMALL, workload
from toy_training import make_project

from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data.text.special_tokens import END
from hat.measure.bench import Bench
from hat.measure.stopwatch import stopwatch
from hat.runtime.base import Decoding
from hat.runtime.random_network import build
from hat.runtime.torch.published import TorchPublishedRuntime
from hat.runtime.torch.runtime import TorchRuntime
from hat.search.workers import Workers
from hat.space.search_space import SearchSpace
from hat.train import translated
from hat.train.inherited_loss import InheritedLoss
from hat.train.processes import TrainingResources
from hat.train.stages import train_supertransformer

RUNTIMES = {"torch": TorchRuntime, "torch-published": TorchPublishedRuntime}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny task with a SuperTransformer."""
    settings, results = make_project(tmp_path_factory.mktemp("trained"))
    train_supertransformer(TaskScope(settings, results, "toy"))
    return settings, results


@pytest.mark.parametrize("processes", [1, 2])
def test_a_search_evaluates_on_gpus_as_on_a_cpu(trained, processes):
    """In this process, and in one for each GPU when there are several requests."""
    settings, results = trained
    on_gpu = Settings({"search": {"gpus": torch.cuda.device_count()}}, folder=settings.folder)
    space = SearchSpace(settings.space_of("toy"))
    workers = Workers(TaskScope(on_gpu, results, "toy"))
    architectures = [space.smallest, space.largest][:processes]
    found = list(workers.sums([(each, 0, workers.blocks) for each in architectures]))
    workers.close()
    here = InheritedLoss(TaskScope(settings, results, "toy"))
    for architecture, (nll, tokens) in zip(architectures, found, strict=True):
        assert sum(nll) / sum(tokens) == pytest.approx(here(architecture), rel=1e-4)


def test_a_teacher_translates_as_on_a_cpu(trained):
    settings, results = trained
    learning = {"teacher": "supertransformer", "distillation": "sequence"}
    scope = TaskScope(Settings({"tasks": {"toy": {"subtransformer": learning}}}, settings.folder), results, "toy")
    made = []
    for resources in (TrainingResources(threads=1), TrainingResources(threads=1, gpus=1)):
        partial = results.translated("toy", "supertransformer") / "partial" / "translations.jsonl"
        partial.unlink(missing_ok=True)
        translated.translate_training(scope, resources)
        made.append(translated.translated_prefix(scope, "supertransformer").with_suffix(".bin").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_gpu_translates_as_the_cpu_does_and_is_timed_by_events(runtime):
    shape, architecture = workload(SMALL, 60).shape, SearchSpace(SMALL).largest
    here = build(RUNTIMES[runtime](1), architecture, shape, seed=1)
    there = build(RUNTIMES[runtime](1, accelerator="cuda"), architecture, shape, seed=1)
    rng = random.Random(1)
    sources = [[*(rng.randrange(4, 60) for _ in range(length)), END] for length in (7, 3, 12)]
    one, other = (model.translate(sources, Decoding(beam=3)) for model in (here, there))
    assert [found.tokens for found in one] == [found.tokens for found in other]
    bench = Bench(runtime=runtime, precision="fp32", threads=1, cores=None, seed=1, accelerator="cuda")
    watch = stopwatch("cuda")
    watch.start()
    torch.cuda._sleep(10**8)
    assert watch.elapsed_ns() > 10**6
    found = bench.measure(architecture, workload(SMALL, 60), 2, 5)
    assert min(found.timings_ms) > 0
    assert torch.cuda.get_device_name(0) in bench.machine_facts()["machine"]
