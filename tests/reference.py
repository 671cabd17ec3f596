"""The published measurements and parity numbers in tests/data, and checkpoints as the research code writes them."""

import argparse
import json
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

DATA = Path(__file__).parent / "data"
ARCHITECTURES = DATA / "architectures.csv"
PARITY = DATA / "parity"
LATENCIES = DATA / "latency"


def latencies(name: str) -> Path:
    """Return the file of 2,000 published latencies of one task on one device, such as ``wmt14ende_gpu_titanxp``."""
    return LATENCIES / f"{name}.csv.gz"


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return all arrays of an .npz file, as tensors."""
    with np.load(path) as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def write_checkpoint_file(kind: str, folder: Path) -> Path:
    """Write a checkpoint with a published one's content: ``super`` in torch's legacy serialisation, ``sub`` as zip.

    Weights, arguments and meters are from a real run of the research code. Its optimiser state is not kept; Adam's
    moments are zeros of the shapes that they had, since nothing reads their values.
    """
    saved = json.loads((DATA / "checkpoints" / f"{kind}.json").read_text(encoding="utf-8"))
    model = OrderedDict(tensors(DATA / "checkpoints" / f"{kind}.npz"))
    moments = {
        number: {"step": 12, "exp_avg": torch.zeros_like(tensor), "exp_avg_sq": torch.zeros_like(tensor)}
        for number, tensor in enumerate(model.values())
    }
    group = {"lr": 1e-7, "betas": (0.9, 0.98), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
    # The classes of the research code, which it pickles by name.
    meters = ModuleType("fairseq.meters")
    train_meters = OrderedDict()
    for name, values in saved["meters"].items():
        class_name = values.pop("kind")
        if not hasattr(meters, class_name):
            setattr(meters, class_name, type(class_name, (), {"__module__": meters.__name__}))
        meter = getattr(meters, class_name)()
        vars(meter).update(values)
        train_meters[name] = meter
    content = {
        "args": argparse.Namespace(**saved["args"]),
        "model": model,
        "optimizer_history": saved["optimizer_history"],
        "extra_state": {**saved["extra_state"], "train_meters": train_meters},
        "last_optimizer_state": OrderedDict(state=moments, param_groups=[group | {"params": list(moments)}]),
    }
    path = folder / f"{kind}_checkpoint_best.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "fairseq", ModuleType("fairseq"))
        patch.setitem(sys.modules, "fairseq.meters", meters)
        torch.save(content, path, _use_new_zipfile_serialization=kind == "sub")
    return path
