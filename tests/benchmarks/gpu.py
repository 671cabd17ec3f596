"""Training on a GPU: target tokens per second, the share of its matrix-multiply peak, and where the time goes.

    python tests/benchmarks/gpu.py [--output gpu.json] [--tasks wmt14ende bibleende] [--seconds 1.5]

Trains each task's SuperTransformer in bf16 (uniformly sampled Architectures, the task's own settings, one batch an
update, batches prepared ahead as in a real run) on synthetic sentences of the length distribution of the Bible tasks,
with batches of 4,096 to 65,536 tokens. Beside it, with 32,768 tokens: the same without compiled kernels, and without
sums in a fixed order; a straightforward implementation (straightforward.py) of the same networks; the largest network
of the space from PyTorch's own layers, and the same as this project has it. The peak is that of bf16 products of size
8,192 just before each. Only products of weights with tokens that are not padding count as work. ``--output`` takes what
`hat plan` reads. Skips with a sentence where there is no GPU.
"""

import argparse
import contextlib
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from straightforward import Straightforward
from torch import Tensor, nn
from training import made_split, update_gflop

from hat.config.settings import Settings
from hat.data.binary.batches import Batch, PairedSplit, TrainingBatches, padding_share
from hat.data.text.special_tokens import PAD
from hat.model import fused, supertransformer
from hat.model.base import EncoderDecoder
from hat.model.supertransformer import SuperTransformer
from hat.model.transformer import Transformer
from hat.runtime.base import Decoding
from hat.runtime.torch.runtime import TorchModel
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train.loop import Run, Step
from hat.train.metrics import Meter
from hat.train.objective import Objective
from hat.train.optimiser import Adam
from hat.train.processes import Processes, make_reproducible
from hat.train.stages import dropouts_of

SIZES = (4096, 8192, 16384, 32768, 65536)
COMPARED = 32768
# Enough that sentences of like length fill the largest batches.
SENTENCES = 200_000
PEAK_SIZE, PEAK_PRODUCTS = 8192, 8
WARM_UP = 4
ROUNDS = 3
# What the names of kernels contain, the first that fits.
KINDS = {
    "attention": ("flash", "fmha", "attention", "cudnn_generated"),
    "products": ("gemm", "nvjet", "cutlass", "xmma", "cublas", "splitk"),
    "loss": ("logsumexp", "softmax", "nll_loss", "arange"),
    "optimiser": ("adam", "multi_tensor", "foreach", "lpnorm"),
    "dropout, norms, sums": ("triton", "layer_norm", "dropout"),
    "embeddings": ("embedding", "indexing", "gather", "sort", "radix"),
}


def peak_tflops() -> float:
    """Return the speed of large bf16 products, in TFLOP/s."""
    left, right = (torch.randn(PEAK_SIZE, PEAK_SIZE, device="cuda").bfloat16() for _ in range(2))
    times = []
    for number in range(PEAK_PRODUCTS + 3):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        left @ right
        ended.record()
        torch.cuda.synchronize()
        if number >= 3:
            times.append(began.elapsed_time(ended) / 1e3)
    return 2 * PEAK_SIZE**3 / statistics.median(times) / 1e12


class Contender:
    """The SuperTransformer of a task as the training loop trains it, or one of its networks."""

    name = "hat"

    def __init__(self, settings: Settings, task: str, batch_tokens: int, data: Path, vocabulary: int) -> None:
        self.task = settings.task(task)
        self.task_name = task
        self.batch_tokens = batch_tokens
        self.space = SearchSpace(settings.space_of(task))
        self.shape = Shape.of(self.space.space, self.task.network, vocabulary, vocabulary)
        settled = {"precision": "bf16", "accumulate": 1, "batch_tokens": batch_tokens, "updates": 10**6}
        self.training = self.task.supertransformer.model_copy(update=settled)
        torch.manual_seed(1)
        self.model = self.made_model().to("cuda").train()
        split = PairedSplit(data, self.task, "train")
        self.batches = TrainingBatches(split, batch_tokens, 1)
        self.padding = padding_share(split, self.batches._epoch(0))
        self.run = Run(
            title="",
            model=self.model,
            training=self.training,
            seed=1,
            batches=self.batches,
            validation=[],
            networks=(lambda update, _: [self.architecture(update)]) if self.elastic else None,
            validated=None,
            folder=data,
            identity="",
            processes=Processes(0, 1, torch.device("cuda", 0)),
        )
        scaler = torch.amp.GradScaler("cuda", enabled=False)
        self.step = Step(self.run, Objective(self.model, self.training), Adam(self.model, self.training), scaler)
        self.meter = Meter(self.run.processes, None)

    elastic = True

    def made_model(self) -> EncoderDecoder:
        return SuperTransformer(self.space, self.shape, dropouts=dropouts_of(self.training))

    def architecture(self, update: int) -> Architecture:
        return self.space.sample(random.Random(update))

    def update(self, number: int, share: Any) -> None:
        self.step(number, share, self.meter)

    def gflop(self, number: int, batch: Batch) -> float:
        return update_gflop(self.architecture(number), self.shape, batch)

    def measure(self, seconds: float) -> dict[str, Any]:
        """Train for about some seconds, three times."""
        torch.cuda.reset_peak_memory_stats()
        shares = enumerate(self.run._shares(0), start=1)
        began = time.perf_counter()
        for _ in range(WARM_UP):
            self.update(*next(shares))
        torch.cuda.synchronize()
        warm_up = time.perf_counter() - began
        began = time.perf_counter()
        number, share = next(shares)
        self.update(number, share)
        launched = time.perf_counter() - began
        torch.cuda.synchronize()
        updates = max(3, math.ceil(seconds / ROUNDS / (time.perf_counter() - began)))
        rows = []
        for _ in range(ROUNDS):
            peak = peak_tflops()
            tokens, done = 0, []
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(updates):
                number, share = next(shares)
                self.update(number, share)
                tokens += share.tokens
                done.append(number)
            torch.cuda.synchronize()
            spent = time.perf_counter() - began
            gflop = sum(self.gflop(number, self.batches[number - 1]) for number in done)
            rows.append((tokens / spent, gflop / spent / 1e3, gflop / spent / 1e3 / peak, spent / updates, peak))
        speed, tflops, share_of_peak, each, peak = (statistics.median(column) for column in zip(*rows, strict=True))
        return {
            "task": self.task_name,
            "network": self.name,
            "batch_tokens": self.batch_tokens,
            "tokens_per_s": round(speed),
            "tflops": round(tflops, 1),
            "share_of_peak": round(share_of_peak, 4),
            "peak_tflops": round(peak, 1),
            "update_ms": round(each * 1e3, 2),
            "launch_ms": round(launched * 1e3, 2),
            "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "padding": round(self.padding, 3),
            "updates": updates * ROUNDS,
            "warm_up_s": round(warm_up, 1),
        }


class Uncompiled(Contender):
    """The same with every operation a kernel of its own."""

    name = "hat, not compiled"

    def measure(self, seconds: float) -> dict[str, Any]:
        with patch.object(fused, "compiles", lambda: False):
            return super().measure(seconds)


class AnyOrder(Contender):
    """The same with sums in whatever order is fastest."""

    name = "hat, sums in any order"

    def measure(self, seconds: float) -> dict[str, Any]:
        torch.use_deterministic_algorithms(False)
        try:
            return super().measure(seconds)
        finally:
            make_reproducible()


class Largest(Contender):
    """The largest network of the space, not elastic."""

    name = "hat, largest network alone"
    elastic = False

    def made_model(self) -> EncoderDecoder:
        return Transformer(self.space.largest, self.shape, dropouts=dropouts_of(self.training))

    def architecture(self, update: int) -> Architecture:
        return self.space.largest


class Plain(Contender):
    """The straightforward implementation of the same networks on the same batches."""

    name = "straightforward"

    def measure(self, seconds: float) -> dict[str, Any]:
        with (
            patch.object(fused, "compiles", lambda: False),
            patch.object(supertransformer, "linear", sliced_linear),
        ):
            return super().measure(seconds)

    def update(self, number: int, share: Any) -> None:
        if not hasattr(self, "network"):
            self.network = Straightforward(self.model, self.training.label_smoothing)
            self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-6)
        self.model.select(self.architecture(number))
        (batch,) = share.batches
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = self.network.loss(batch) / batch.tokens
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm or float("inf"))
        self.optimiser.step()
        self.optimiser.zero_grad()


def sliced_linear(x: Tensor, weight: Tensor, bias: Tensor, rows: int, columns: int) -> Tensor:
    """Apply an elastic linear map in its straightforward implementation."""
    return F.linear(x, weight[:rows, :columns], bias[:rows])


class PyTorchLayers(nn.Module):
    """Encoder and decoder of torch.nn with the sizes of an Architecture, and tied embeddings."""

    def __init__(self, architecture: Architecture, vocabulary: int, dropout: float) -> None:
        super().__init__()
        dim = architecture.encoder_embed_dim
        self.embedding = nn.Embedding(vocabulary, dim, padding_idx=PAD)
        self.positions = nn.Parameter(torch.randn(512, dim) / 100)
        self.transformer = nn.Transformer(
            dim,
            architecture.encoder_heads[0],
            architecture.encoder_layers,
            architecture.decoder_layers,
            architecture.encoder_ffn_dim[0],
            dropout,
            batch_first=True,
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return the label-smoothed loss per token."""
        source, target = (
            self.embedding(tokens) + self.positions[: tokens.size(1)] for tokens in (batch.source, batch.previous)
        )
        padding = batch.source == PAD
        causal = nn.Transformer.generate_square_subsequent_mask(target.size(1), device=target.device)
        hidden = self.transformer(
            source,
            target,
            tgt_mask=causal,
            tgt_is_causal=True,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
        logits = F.linear(hidden, self.embedding.weight).flatten(0, 1)
        return F.cross_entropy(logits.float(), batch.target.flatten(), ignore_index=PAD, label_smoothing=0.1)


class TorchLayers(Largest):
    """A network of PyTorch's own layers with the sizes of the largest, whose queries, keys and values are wider."""

    name = "layers of torch.nn"

    def update(self, number: int, share: Any) -> None:
        if not hasattr(self, "network"):
            self.network = PyTorchLayers(self.space.largest, self.shape.target_vocabulary, self.training.dropout)
            self.network.to("cuda").train()
            self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-6, fused=True)
        (batch,) = share.batches
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = self.network(batch)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()

    def gflop(self, number: int, batch: Batch) -> float:
        architecture, dim = self.space.largest, self.space.largest.encoder_embed_dim
        source = int((batch.source != PAD).sum())
        # Each decoder layer projects the source to keys and values.
        encoder = architecture.encoder_layers * (4 * dim * dim + 2 * dim * architecture.encoder_ffn_dim[0])
        encoder += architecture.decoder_layers * 2 * dim * dim
        decoder = architecture.decoder_layers * (6 * dim * dim + 2 * dim * architecture.decoder_ffn_dim[0])
        return 6 * (encoder * source + (decoder + dim * self.shape.target_vocabulary) * batch.tokens) / 1e9


def launch_us(launches: int = 3000) -> float:
    """Return the microseconds that the CPU takes to launch the smallest kernel."""
    x = torch.zeros(1, device="cuda")
    for count in (100, launches):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(count):
            x.add_(1)
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / launches * 1e6


def where_the_time_goes(contender: Contender, updates: int = 6) -> dict[str, Any]:
    """Return the milliseconds of an update by kind of kernel, and the GPU's idle time, from the profiler."""
    shares = enumerate(contender.run._shares(0), start=1)
    for _ in range(WARM_UP):
        contender.update(*next(shares))
    torch.cuda.synchronize()
    ready = [next(shares) for _ in range(updates)]
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        began = time.perf_counter()
        for number, share in ready:
            contender.update(number, share)
        torch.cuda.synchronize()
        spent = (time.perf_counter() - began) * 1e3
    kinds: dict[str, float] = defaultdict(float)
    names: dict[str, list[float]] = defaultdict(list)
    for event in profile.events():
        if event.device_type != torch.autograd.DeviceType.CUDA:
            continue
        kind = next(
            (kind for kind, parts in KINDS.items() if any(part in event.name.lower() for part in parts)), "other"
        )
        kinds[kind] += event.time_range.elapsed_us() / 1e3
        names[event.name].append(event.time_range.elapsed_us() / 1e3)
    top = sorted(names.items(), key=lambda item: -sum(item[1]))[:28]
    for name, times in top:
        print(f"{sum(times) / updates:9.3f} ms {len(times) / updates:7.1f} x  {name[:120]}")
    found = {kind: round(total / updates, 2) for kind, total in sorted(kinds.items(), key=lambda item: -item[1])}
    return {
        **found,
        "idle": round((spent - sum(kinds.values())) / updates, 2),
        "kernels": sum(map(len, names.values())) // updates,
    }


def translation_speed(contender: Contender, sentences: int = 1024) -> float:
    """Return sentences per second of the smallest network with the beam search of the objective ``bleu``."""
    model = contender.model
    assert isinstance(model, SuperTransformer)
    plain = TorchModel(model.extract(contender.space.smallest).to("cuda"))
    sources = sorted((contender.batches.split.source[number].tolist() for number in range(sentences)), key=len)
    decoding = Decoding(beam=4, max_length_ratio=1.0, max_length_extra=5)
    batches = [sources[first : first + 256] for first in range(0, sentences, 256)]
    plain.translate(batches[0][:8], decoding)
    began = time.perf_counter()
    for batch in batches:
        plain.translate(batch, decoding)
    torch.cuda.synchronize()
    return sentences / (time.perf_counter() - began)


@contextlib.contextmanager
def said(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"[{time.perf_counter() - began:6.1f} s] {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["wmt14ende", "bibleende"])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--vocabulary", type=int, default=0, help="tokens; 0 for the task's own number of merges")
    parser.add_argument("--output", type=Path, help="write the figures to this JSON file")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(f"gpu.py: torch {torch.__version__} finds no CUDA GPU on this machine")
    make_reproducible()
    settings = Settings()
    rows: list[dict[str, Any]] = []
    content: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "date": str(date.today()),
        "precision": "bf16",
        "rows": rows,
    }
    content["launch_us"] = round(launch_us(), 1)
    print(f"{content['gpu']}, torch {content['torch']}, {content['date']}, {content['launch_us']} us a launch")
    print(f"{'':44}{'tokens/s':>10}{'TFLOP/s':>9}{'of peak':>9}{'update':>11}{'launched':>11}{'memory':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for task in options.tasks:
            chosen = settings.task(task)
            vocabulary = options.vocabulary or chosen.tokenisation.dictionary_size or chosen.tokenisation.bpe_merges
            data = Path(folder) / task
            made_split(data, vocabulary, (chosen.source_language, chosen.target_language), SENTENCES)
            planned = [(Contender, size) for size in options.sizes]
            compared = (Uncompiled, AnyOrder, Largest, TorchLayers, Plain)
            planned += [(kind, COMPARED) for kind in compared] if task == options.tasks[0] else []
            for kind, size in planned:
                try:
                    with said(f"{task}, {kind.name}, {size}"):
                        row = kind(settings, task, size, data, vocabulary).measure(options.seconds)
                except torch.cuda.OutOfMemoryError as error:
                    print(f"{task}, {kind.name}, {size}: out of memory ({str(error).splitlines()[0]})")
                    continue
                rows.append(row)
                name = f"{task}, {kind.name}, {size:,}"
                print(
                    f"{name:44}{row['tokens_per_s']:>10,}{row['tflops']:>9}{row['share_of_peak']:>9.1%}"
                    f"{row['update_ms']:>8} ms{row['launch_ms']:>8} ms{row['memory_gib']:>7} GiB",
                    flush=True,
                )
                if options.output:
                    options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            contender = Contender(settings, task, COMPARED, data, vocabulary)
            times = where_the_time_goes(contender)
            print(f"{task}, milliseconds of an update of {COMPARED:,} tokens: {times}")
            speed = translation_speed(contender)
            print(f"{task}, smallest network, beam 4: {speed:,.0f} sentences/s", flush=True)
            content.setdefault("update_ms", {})[task] = times
            content.setdefault("translated_sentences_per_s", {})[task] = round(speed)
    if options.output:
        options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
