"""What the training loop is built from, against the obvious alternatives: medians of interleaved runs, milliseconds.

    python tests/benchmarks/kernels.py [--rounds 9]

Attention forward and backward on the shapes of a Bible batch; the loss from hidden states against logits and
`torch.nn.functional.cross_entropy`.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from hat.train.loss import projected_loss

SENTENCES, HEADS, LENGTH, FEATURES = 60, 8, 34, 32
ROWS, WIDTH, VOCABULARY = 2048, 256, 4000


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value)


def products(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = torch.matmul(query * FEATURES**-0.5, key.transpose(-1, -2))
    return torch.matmul(scores.softmax(-1), value)


def attention(kind: Callable[[Tensor, Tensor, Tensor], Tensor], dtype: torch.dtype) -> Callable[[], None]:
    base = torch.randn(SENTENCES, LENGTH, 3 * HEADS * FEATURES, dtype=dtype).requires_grad_()

    def run() -> None:
        query, key, value = (part.unflatten(-1, (HEADS, FEATURES)).transpose(1, 2) for part in base.chunk(3, -1))
        kind(query, key, value).sum().backward()

    return run


def loss(ours: bool, dtype: torch.dtype) -> Callable[[], None]:
    hidden = torch.randn(ROWS, WIDTH).requires_grad_()
    weight = (torch.randn(VOCABULARY, WIDTH) * WIDTH**-0.5).requires_grad_()
    target = torch.randint(4, VOCABULARY, (ROWS,))

    def run() -> None:
        if ours:
            projected_loss(hidden, weight, target, smoothing=0.1, dtype=dtype)[0].backward()
        else:
            logits = (hidden.to(dtype) @ weight.to(dtype).t()).float()
            F.cross_entropy(logits, target, label_smoothing=0.1, reduction="sum").backward()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    contenders = {
        f"{name}, {str(dtype).removeprefix('torch.')}": make(dtype)
        for name, make in {
            "attention, fused": lambda dtype: attention(fused, dtype),
            "attention, plain products": lambda dtype: attention(products, dtype),
            "loss, from hidden states": lambda dtype: loss(True, dtype),
            "loss, from logits": lambda dtype: loss(False, dtype),
        }.items()
        for dtype in (torch.float32, torch.bfloat16)
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if number:  # the first round warms up
                times[name].append(1000 * (time.perf_counter() - began))
    for name, values in times.items():
        print(f"{name:40}{statistics.median(values):8.1f}")


if __name__ == "__main__":
    main()
