"""Training speed: target tokens per second, and the share of this machine's matrix-multiply peak.

    python tests/benchmarks/training.py [--tasks demo bibleende] [--updates 12] [--rounds 3]

Trains each task's SuperTransformer (uniformly sampled Architectures, the task's own settings) on made sentences of
the length distribution of the Bible tasks, in fp32 and in bf16, and the matrix products that give the peak, all
interleaved in one run; medians over the rounds.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from hat.config import Training
from hat.data.batches import Batch, PairedSplit, TrainingBatches, padding_share
from hat.data.dictionary import END, PAD
from hat.data.indexed import IndexedWriter
from hat.model.supertransformer import SuperTransformer
from hat.runtime.base import Shape
from hat.settings import Settings
from hat.space import Architecture, SearchSpace
from hat.train.loop import Run, fix_rows
from hat.train.stages import dropouts_of

PEAK_SIZE = 2048
# Mean and deviation of the logarithm of a sentence's length, in tokens: the Bible tasks' training split.
LOG_LENGTH = (3.44, 0.42)


def peak_gflops(dtype: torch.dtype) -> float:
    """Speed of one square product, in GFLOP/s."""
    left, right = torch.randn(PEAK_SIZE, PEAK_SIZE).to(dtype), torch.randn(PEAK_SIZE, PEAK_SIZE).to(dtype)
    left @ right
    began = time.perf_counter()
    left @ right
    return 2 * PEAK_SIZE**3 / (time.perf_counter() - began) / 1e9


def update_gflop(architecture: Architecture, shape: Shape, batch: Batch) -> float:
    """Floating-point operations of the matrix products of one update without padding, in 10^9.

    Two for each weight and token forward, four backward; attention's own products are left out, as are sums and norms.
    """
    encoder, decoder, qkv = architecture.encoder_embed_dim, architecture.decoder_embed_dim, shape.qkv_dim
    source = int((batch.source != PAD).sum())
    each_source = sum(4 * encoder * qkv + 2 * encoder * ffn for ffn in architecture.encoder_ffn_dim)
    each_source += sum(2 * encoder * qkv * span for span in architecture.decoder_cross_span)
    each_target = sum(6 * decoder * qkv + 2 * decoder * ffn for ffn in architecture.decoder_ffn_dim)
    each_target += decoder * shape.target_vocabulary
    return 6 * (each_source * source + each_target * batch.tokens) / 1e9


def made_split(folder: Path, vocabulary: int, languages: tuple[str, str], count: int = 40000) -> None:
    """A training split of made sentences whose two sides are of like length."""
    rng = np.random.default_rng(1)
    lengths = np.clip(rng.lognormal(*LOG_LENGTH, count), 3, 110).astype(int)
    for language in languages:
        own = np.clip(lengths * rng.normal(1, 0.12, count), 3, 110).astype(int)
        prefix = folder / "binary" / f"train.{'-'.join(languages)}.{language}"
        with IndexedWriter(prefix, vocabulary) as writer:
            for length in own:
                writer.add([*rng.integers(4, vocabulary, length - 1), END])


class Contender:
    """One task in one precision, trained update by update."""

    def __init__(self, settings: Settings, task: str, precision: str, folder: Path) -> None:
        chosen = settings.task(task)
        self.name = f"{task} {precision}"
        vocabulary = chosen.tokenisation.bpe_merges
        self.space = SearchSpace(settings.space_of(task))
        self.shape = Shape.of(self.space.space, chosen.network, vocabulary, vocabulary)
        training = Training(**chosen.supertransformer.model_dump(exclude={"sampling"}) | {"precision": precision})
        torch.manual_seed(1)
        self.model = SuperTransformer(self.space, self.shape, dropouts=dropouts_of(training))
        fix_rows(self.model, training)
        self.model.train()
        languages = (chosen.source_language, chosen.target_language)
        made_split(folder / task, vocabulary, languages)
        split = PairedSplit(folder / task, chosen, "train")
        self.batches = TrainingBatches(split, training.batch_tokens, 1)
        self.padding = padding_share(split, self.batches._epoch(0))
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)
        self.run = Run(
            title="",
            model=self.model,
            training=training,
            seed=1,
            batches=self.batches,
            validation=[],
            prepare=self._prepare,
            before_validation=lambda: None,
            folder=folder,
            identity="",
        )
        self.speeds: list[tuple[float, float]] = []

    def _prepare(self, update: int) -> dict[str, str]:
        self.model.select(self.space.sample(random.Random(update)))
        return {}

    def train(self, updates: int) -> None:
        tokens, gflop, began = 0, 0.0, time.perf_counter()
        for update in range(1, updates + 1):
            row = self.run._update(update, self.optimiser)
            tokens += row["tokens"]
        seconds = time.perf_counter() - began
        for update in range(1, updates + 1):
            architecture = self.space.sample(random.Random(update))
            gflop += update_gflop(architecture, self.shape, self.batches[update - 1])
        self.speeds.append((tokens / seconds, gflop / seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["demo", "bibleende"])
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = Settings()
    peaks: dict[str, list[float]] = {"fp32": [], "bf16": []}
    with tempfile.TemporaryDirectory() as folder:
        contenders = [
            Contender(settings, task, precision, Path(folder)) for task in options.tasks for precision in peaks
        ]
        for contender in contenders:
            contender.train(options.updates)
            contender.speeds.clear()
        for _ in range(options.rounds):
            for contender in contenders:
                peaks["fp32"].append(peak_gflops(torch.float32))
                peaks["bf16"].append(peak_gflops(torch.bfloat16))
                contender.train(options.updates)
    peak = {name: statistics.median(values) for name, values in peaks.items()}
    print(f"threads {torch.get_num_threads()}, peak fp32 {peak['fp32']:.0f} GFLOP/s, bf16 {peak['bf16']:.0f} GFLOP/s")
    print(f"{'':22}{'tokens/s':>10}{'GFLOP/s':>10}{'of fp32 peak':>14}{'of bf16 peak':>14}{'padding':>9}")
    for contender in contenders:
        tokens, gflops = (statistics.median(column) for column in zip(*contender.speeds, strict=True))
        shares = f"{gflops / peak['fp32']:>14.0%}{gflops / peak['bf16']:>14.0%}"
        print(f"{contender.name:22}{tokens:>10.0f}{gflops:>10.0f}{shares}{contender.padding:>9.1%}")


if __name__ == "__main__":
    main()
