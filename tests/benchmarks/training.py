"""Training speed: target tokens per second, and the share of this machine's matrix-multiply peak.

    python tests/benchmarks/training.py [--tasks demo bibleende] [--updates 12] [--rounds 3]
    python tests/benchmarks/training.py --tasks wmt14ende --updates 2 --vocabulary 8192

Trains each task's SuperTransformer (uniformly sampled Architectures, the task's own settings, one batch an update) on
made sentences of the length distribution of the Bible tasks: the training loop in fp32 and in bf16, a straightforward
implementation (straightforward.py) in fp32 on the same batches and on such as it would make, of sentences of any
length, and the matrix products that give the peak, all interleaved in one run;
medians over the rounds. Shares of the peak compare processor time, which other processes disturb less.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from straightforward import Straightforward, UnsortedBatches

from hat.config.settings import Settings
from hat.data.binary.batches import Batch, PairedSplit, TrainingBatches, padding_share
from hat.data.binary.indexed import IndexedWriter
from hat.data.text.special_tokens import END, PAD
from hat.model.supertransformer import SuperTransformer
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train.loop import Run, Step
from hat.train.metrics import Meter
from hat.train.objective import Objective
from hat.train.optimiser import Adam
from hat.train.processes import ALONE
from hat.train.stages import dropouts_of

PEAK_SIZE, PEAK_PRODUCTS = 2048, 4
# Mean and deviation of the logarithm of a sentence's length, in tokens: the Bible tasks' training split.
LOG_LENGTH = (3.44, 0.42)


def peak_gflops(dtype: torch.dtype) -> float:
    """Return the speed of square products, in GFLOP per CPU-second."""
    left, right = torch.randn(PEAK_SIZE, PEAK_SIZE).to(dtype), torch.randn(PEAK_SIZE, PEAK_SIZE).to(dtype)
    left @ right
    began = time.process_time()
    for _ in range(PEAK_PRODUCTS):
        left @ right
    return 2 * PEAK_PRODUCTS * PEAK_SIZE**3 / (time.process_time() - began) / 1e9


def update_gflop(architecture: Architecture, shape: Shape, batch: Batch) -> float:
    """Return the floating-point operations of the matrix products of one update without padding, in 10^9.

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
    """Write a training split of synthetic sentences with two sides of similar length."""
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

    def __init__(self, settings: Settings, task: str, precision: str, folder: Path, vocabulary: int) -> None:
        chosen = settings.task(task)
        self.name = f"{task} {precision}"
        vocabulary = vocabulary or chosen.tokenisation.bpe_merges
        self.space = SearchSpace(settings.space_of(task))
        self.shape = Shape.of(self.space.space, chosen.network, vocabulary, vocabulary)
        self.training = chosen.supertransformer.model_copy(update={"precision": precision, "accumulate": 1})
        torch.manual_seed(1)
        self.model = SuperTransformer(self.space, self.shape, dropouts=dropouts_of(self.training))
        self.model.train()
        languages = (chosen.source_language, chosen.target_language)
        made_split(folder / task, vocabulary, languages)
        split = PairedSplit(folder / task, chosen, "train")
        self.batches: TrainingBatches | UnsortedBatches = TrainingBatches(split, self.training.batch_tokens, 1)
        self.padding = padding_share(split, self.batches._epoch(0))
        run = Run(
            title="",
            model=self.model,
            training=self.training,
            seed=1,
            batches=self.batches,
            validation=[],
            networks=lambda update, _: [self.architecture(update)],
            validated=None,
            folder=folder,
            identity="",
            processes=ALONE,
        )
        objective, scaler = Objective(self.model, self.training), torch.amp.GradScaler("cpu", enabled=False)
        self.step = Step(run, objective, Adam(self.model, self.training), scaler)
        self.speeds: list[tuple[float, float, float]] = []
        self.shares: list[tuple[float, float]] = []

    def architecture(self, update: int) -> Architecture:
        return self.space.sample(random.Random(update))

    def update(self, number: int) -> None:
        self.step(number, self.batches.share(number, 1), Meter(ALONE, None))

    def train(self, updates: int) -> None:
        """Train, and note target tokens a second, and target tokens and GFLOP a processor-second."""
        began, began_processor = time.perf_counter(), time.process_time()
        for number in range(1, updates + 1):
            self.update(number)
        seconds, processor = time.perf_counter() - began, time.process_time() - began_processor
        tokens = sum(self.batches[number - 1].tokens for number in range(1, updates + 1))
        gflop = sum(
            update_gflop(self.architecture(number), self.shape, self.batches[number - 1])
            for number in range(1, updates + 1)
        )
        self.speeds.append((tokens / seconds, tokens / processor, gflop / processor))


class PlainContender(Contender):
    """The same with the straightforward implementation, on the same batches or on its own."""

    def __init__(self, settings: Settings, task: str, folder: Path, vocabulary: int, *, own_batches: bool) -> None:
        super().__init__(settings, task, "fp32", folder, vocabulary)
        self.name = f"{task} straightforward"
        if own_batches:
            self.name += ", unsorted"
            self.batches = UnsortedBatches(self.batches.split, self.training.batch_tokens)
            self.padding = padding_share(self.batches.split, self.batches.all_numbers)
        self.network = Straightforward(self.model, self.training.label_smoothing)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-6)
        self.check()

    def check(self) -> None:
        """Check that both compute the same; otherwise the comparison means nothing."""
        self.model.eval()
        batch = self.batches[0]
        with torch.no_grad():
            for number in range(3):
                self.model.select(self.architecture(number))
                ours = self.step.objective(batch.source, batch.previous, batch.target)[0]
                torch.testing.assert_close(self.network.loss(batch), ours, rtol=1e-4, atol=0)
        self.model.train()

    def update(self, number: int) -> None:
        self.model.select(self.architecture(number))
        batch = self.batches[number - 1]
        (self.network.loss(batch) / batch.tokens).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm or float("inf"))
        self.optimiser.step()
        self.optimiser.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["demo", "bibleende"])
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=0, help="tokens; 0 for the task's own number of merges")
    options = parser.parse_args()
    settings = Settings()
    peaks: dict[str, list[float]] = {"fp32": [], "bf16": []}
    with tempfile.TemporaryDirectory() as folder:
        contenders = [
            contender
            for task in options.tasks
            for contender in (
                *(Contender(settings, task, precision, Path(folder), options.vocabulary) for precision in peaks),
                *(
                    PlainContender(settings, task, Path(folder), options.vocabulary, own_batches=own_batches)
                    for own_batches in (False, True)
                ),
            )
        ]
        for contender in contenders:
            contender.train(options.updates)
            contender.speeds.clear()
        for _ in range(options.rounds):
            for contender in contenders:
                # The machine's speed changes within seconds: each is compared with the peak just before.
                here = [peak_gflops(torch.float32), peak_gflops(torch.bfloat16)]
                contender.train(options.updates)
                gflops = contender.speeds[-1][2]
                contender.shares.append((gflops / here[0], gflops / here[1]))
                for values, value in zip(peaks.values(), here, strict=True):
                    values.append(value)
    peak = {name: statistics.median(values) for name, values in peaks.items()}
    print(f"threads {torch.get_num_threads()}, peak fp32 {peak['fp32']:.0f}, bf16 {peak['bf16']:.0f} GFLOP/cpu s")
    print(f"{'':34}{'tokens/s':>10}{'per cpu s':>10}{'GFLOP/cpu s':>12}", end="")
    print(f"{'of fp32 peak':>14}{'of bf16 peak':>14}{'padding':>9}")
    for contender in contenders:
        tokens, cpu_tokens, gflops = (statistics.median(column) for column in zip(*contender.speeds, strict=True))
        shares = "".join(f"{statistics.median(column):>14.0%}" for column in zip(*contender.shares, strict=True))
        print(f"{contender.name:34}{tokens:>10.0f}{cpu_tokens:>10.0f}{gflops:>12.0f}{shares}{contender.padding:>9.1%}")


if __name__ == "__main__":
    main()
