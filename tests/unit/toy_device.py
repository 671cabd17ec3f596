"""Shared by tests: small spaces, a Runtime that really computes (with NumPy), and folders to run stages in."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from hat.artifacts.files import provenance, write_json
from hat.artifacts.layout import Results
from hat.config.networks import Network, Space
from hat.config.runtimes import RuntimeFacts
from hat.deploy.card import file_list
from hat.deploy.folder import described_network
from hat.errors import HatError
from hat.measure.measurement import Measurement
from hat.measure.workload import Workload
from hat.runtime.base import Decoding
from hat.runtime.random_network import blueprint_of
from hat.space.architecture import Architecture
from hat.space.shape import Shape

SMALL = Space(
    qkv_dim=32,
    encoder_embed_dim=(48, 32),
    encoder_layers=(2,),
    encoder_ffn_dim=(96, 64),
    encoder_heads=(4,),
    decoder_embed_dim=(48, 32),
    decoder_layers=(2, 1),
    decoder_ffn_dim=(96, 64, 32),
    decoder_self_heads=(4, 2),
    decoder_cross_heads=(4, 2),
    decoder_cross_span=(1, 2),
)
TINY = Space(
    qkv_dim=32,
    encoder_embed_dim=(32,),
    encoder_layers=(1,),
    encoder_ffn_dim=(64,),
    encoder_heads=(4,),
    decoder_embed_dim=(48, 32),
    decoder_layers=(2, 1),
    decoder_ffn_dim=(96, 64, 32),
    decoder_self_heads=(4, 2),
    decoder_cross_heads=(4,),
    decoder_cross_span=(1,),
)
WIDE = Space(
    qkv_dim=512,
    encoder_embed_dim=(640, 512),
    encoder_layers=(6,),
    encoder_ffn_dim=(3072, 2048, 1024),
    encoder_heads=(8, 4),
    decoder_embed_dim=(640, 512),
    decoder_layers=(6, 5, 4, 3, 2, 1),
    decoder_ffn_dim=(3072, 2048, 1024),
    decoder_self_heads=(8, 4),
    decoder_cross_heads=(8, 4),
    decoder_cross_span=(1, 2, 3),
)


def workload(space: Space, vocabulary: int = 1000) -> Workload:
    shape = Shape.of(space, Network(norm="pre"), vocabulary, vocabulary)
    return Workload(shape=shape, source_length=30, target_length=30, beam=5)


def true_latency_ms(architecture: Architecture) -> float:
    """Return the latency of a made-up device: a sum over layers that is not linear in the predictor's features."""
    point = architecture
    encoder = sum(
        0.4 + 1.5e-7 * 30 * point.encoder_embed_dim * (2048 + 2 * width) * 0.1 + 0.01 * heads
        for width, heads in zip(point.encoder_ffn_dim, point.encoder_heads, strict=True)
    )
    decoder = sum(
        6.0 + 2e-5 * point.decoder_embed_dim * (3072 + 2 * width) * 0.3 + 0.05 * own + 0.05 * cross + 0.4 * span
        for width, own, cross, span in zip(
            point.decoder_ffn_dim,
            point.decoder_self_heads,
            point.decoder_cross_heads,
            point.decoder_cross_span,
            strict=True,
        )
    )
    return 3.0 + encoder + decoder + 0.004 * point.decoder_embed_dim


class TrueLatency:
    """A predictor without error: it returns :func:`true_latency_ms`."""

    def predict(self, architectures):
        return np.array([true_latency_ms(architecture) for architecture in architectures])

    def upper_bound(self, architectures):
        return self.predict(architectures)


class NumpyModel:
    """A model that multiplies matrices of the sizes of an Architecture."""

    def __init__(self, architecture: Architecture, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.encoder = [
            rng.standard_normal((architecture.encoder_embed_dim, width)) for width in architecture.encoder_ffn_dim
        ]
        self.decoder = [
            rng.standard_normal((architecture.decoder_embed_dim, width)) for width in architecture.decoder_ffn_dim
        ]
        self.sentences: list[tuple[int, int, int]] = []

    def translate(self, sources, decoding):
        raise NotImplementedError

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        self.sentences.append((source_length, target_length, beam))
        for weight in self.encoder:
            np.ones((source_length, weight.shape[0])) @ weight
        for _ in range(target_length):
            for weight in self.decoder:
                np.ones((beam, weight.shape[0])) @ weight


class NumpyRuntime:
    """A Runtime that loads :class:`NumpyModel`, records what it wrote, and fails when it writes number ``fail_at``."""

    facts = RuntimeFacts(
        name="numpy",
        module=__name__,
        class_name="NumpyRuntime",
        package="numpy",
        extra="workflow",
        precisions=("fp32",),
        kinds=("transformer",),
        disk_mb=0,
    )
    precision = "fp32"
    threads = 1

    def __init__(self) -> None:
        self.built: list[Architecture] = []
        self.fail_at: int | None = None

    def write(self, folder, blueprint, weights, shortlist):
        if self.fail_at is not None and len(self.built) >= self.fail_at:
            raise KeyboardInterrupt
        self.built.append(blueprint.architecture)

    def load(self, folder, blueprint) -> NumpyModel:
        return NumpyModel(blueprint.architecture, 1)


@dataclass
class FakeDevice:
    """A fake device, ``slowdown`` times as slow as :func:`true_latency_ms`; with ``unplugged`` it raises that error."""

    slowdown: float = 1.0
    unplugged: str | None = None

    def __post_init__(self):
        self.measured: list[Architecture] = []

    @contextlib.contextmanager
    def __call__(self, settings, device):
        if self.unplugged:
            raise HatError(self.unplugged)
        yield self

    def conditions(self, workload, warmup, repeats):
        return self

    def to_dict(self):
        return {"device": "made"}

    def measure(self, architecture, workload, warmup, repeats):
        self.measured.append(architecture)
        timings = (self.slowdown * true_latency_ms(architecture),) * repeats
        return Measurement(
            timings_ms=timings, processor_ms=timings, load_average=0.1, measured_at="2024-01-01T00:00:00Z"
        )


def write_configuration(folder: Path, space: Space = SMALL) -> Path:
    """Write a configuration with the task `toy` and the devices `here`, `board` (no host) and `far` (a host)."""
    task = {
        "source_language": "en",
        "target_language": "de",
        "space": "toy",
        "corpus": {"kind": "parallel", "train": {"tsv": {"kind": "file", "path": "x"}}},
        "latency": {
            "samples": 12,
            "shards": 2,
            "passes": 1,
            "min_passes": 1,
            "interference": 1e6,
            "drift": 1e6,
            "warmup": 1,
            "repeats": 3,
            "source_length": 5,
            "target_length": 4,
            "models": ["linear"],
        },
        "search": {
            "algorithm": "genetic",
            "workers": 1,
            "population": 12,
            "parents": 4,
            "mutations": 4,
            "crossovers": 4,
            "iterations": 3,
            "evaluations": 30,
            "levels": 4,
            "top_up": 6,
        },
    }
    files = {
        "config.yaml": {"seed": 3},
        "tasks/toy.yaml": task,
        "spaces/toy.yaml": {key: list(value) if isinstance(value, tuple) else value for key, value in space},
        "devices/here.yaml": {"connection": "local", "beam": 2, "shortlist": False},
        "devices/board.yaml": {"connection": "ssh", "shortlist": False},
        "devices/far.yaml": {"connection": "ssh", "host": "far.example", "shortlist": False},
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return folder


def write_folder(folder: Path, architecture: Architecture) -> None:
    """Write a deployed folder without the Runtime's own files."""
    folder.mkdir()
    (folder / "codes").write_text("#version: 0.2\nt h\n")
    for language in ("en", "de"):
        (folder / f"dict.{language}.txt").write_text("".join(f"t{number} 1\n" for number in range(4)))
    description = {
        "task": "toy",
        "device": "here",
        "budget": "20ms",
        "data_licence": "made",
        "parameters": 1,
        "files": file_list(folder),
        "provenance": provenance(seed=1, settings={}),
        "source_language": "en",
        "target_language": "de",
        "runtime": "torch",
        "precision": "fp32",
        "threads": 1,
        "tokenisation": {},
        **described_network(blueprint_of(architecture, workload(SMALL, 8).shape), Decoding(beam=2)),
    }
    write_json(folder / "model.json", description)


def write_dictionaries(results: Results) -> None:
    data = results.data("toy")
    data.mkdir(parents=True, exist_ok=True)
    for language in ("en", "de"):
        (data / f"dict.{language}.txt").write_text("".join(f"t{number} {9 - number}\n" for number in range(4)))
