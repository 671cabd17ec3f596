"""Training on a GPU: it ends as on a CPU, resumes bit for bit, scales fp16 gradients, and shares work between GPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from toy_training import make_project

from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.model import fused
from hat.train import checkpoints, loop
from hat.train.processes import TrainingResources
from hat.train.stages import train_supertransformer

UPDATES = 200
ON_GPU = TrainingResources(threads=1, gpus=1)
Weights = dict[str, torch.Tensor]


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def compiled(request, monkeypatch):
    """Compile element-wise operations in bf16 only: it takes longer than these trainings."""
    if getattr(request.node, "callspec", None) is None or request.node.callspec.params["precision"] != "bf16":
        monkeypatch.setattr(fused, "compiles", lambda: False)


def toy(folder: Path, training: dict) -> tuple[Settings, Results]:
    """A tiny task in a folder of its own, trained with these settings."""
    if not folder.exists():
        make_project(folder)
    chosen = {"updates": UPDATES, "warmup_updates": 20, "save_every": 40, "validate_every": 100} | training
    configuration = {"seed": 3, "tasks": {"toy": {"supertransformer": chosen}}}
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(configuration))
    return Settings(folder=folder / "config"), Results(folder / "results")


def trained(results: Results) -> tuple[Weights, list[dict]]:
    """Weights and rows of the metrics."""
    folder = results.supertransformer("toy")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return checkpoints.load(folder / "checkpoint.pt")["model"], rows


def train(folder: Path, resources: TrainingResources | None, **training) -> tuple[Weights, list[dict]]:
    """Train the task here, from the latest checkpoint if there is one."""
    settings, results = toy(folder, training)
    train_supertransformer(TaskScope(settings, results, "toy"), resources)
    return trained(results)


def final_loss(rows: list[dict]) -> float:
    return [row["nll"] for row in rows if row["event"] == "validate"][-1]


def test_two_hundred_updates_end_as_on_a_cpu(tmp_path):
    without = {"dropout": 0.0, "learning_rate": 2.0e-3}
    weights, rows = train(tmp_path / "gpu", ON_GPU, **without)
    wanted, cpu_rows = train(tmp_path / "cpu", None, **without)
    assert final_loss(rows) == pytest.approx(final_loss(cpu_rows), rel=2e-3)
    made = [row for row in rows if row["event"] == "train"]
    for row, cpu_row in zip(made, (row for row in cpu_rows if row["event"] == "train"), strict=True):
        assert row["architecture"] == cpu_row["architecture"]
        assert row["tokens"] == cpu_row["tokens"]
        assert row["loss"] == pytest.approx(cpu_row["loss"], rel=2e-3)
    moved = sum(float((weights[name] - wanted[name]).norm() ** 2) for name in wanted) ** 0.5
    whole = sum(float(wanted[name].norm() ** 2) for name in wanted) ** 0.5
    assert moved / whole < 2e-2


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_run_that_was_killed_ends_bit_for_bit_as_one_that_was_not(tmp_path, monkeypatch, precision):
    training = {"precision": precision, "attention_dropout": 0.1}
    wanted, rows = train(tmp_path / "whole", ON_GPU, **training)
    original = loop.Step.__call__

    def until(self, number, share, meter):
        if number == 95:
            raise Killed
        return original(self, number, share, meter)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Step, "__call__", until)
        with pytest.raises(Killed):
            train(tmp_path / "killed", ON_GPU, **training)
    found, again = train(tmp_path / "killed", ON_GPU, **training)
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    assert final_loss(again) == final_loss(rows)
    first = next(row["loss"] for row in rows if row["event"] == "train")
    assert final_loss(rows) < first


def test_the_verb_trains_on_every_gpu(tmp_path):
    """A process each, which exchange gradients if they are several, end with the weights of one."""
    count = torch.cuda.device_count()
    training = {"dropout": 0.0, "learning_rate": 2.0e-3, "updates": 40, "sampling": "sandwich", "accumulate": 2}
    wanted, _ = train(tmp_path / "one", ON_GPU, **training)
    settings, results = toy(tmp_path / "all", training)
    folders = ["--config-dir", settings.folder, "--results", results.root]
    verb = ["supertransformer", "train", "toy", "--gpus", str(count)]
    command, uncompiled = [sys.executable, "-m", "hat", *folders, *verb], os.environ | {"TORCHDYNAMO_DISABLE": "1"}
    done = subprocess.run(command, env=uncompiled, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((results.supertransformer("toy") / "config.json").read_text())["processes"] == count
    found, _ = trained(results)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0.0 if count == 1 else 1e-3, msg=name)
