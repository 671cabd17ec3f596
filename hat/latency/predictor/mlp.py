"""The published predictor: a multilayer perceptron on ten features averaged over layers (HAT, section 3.2)."""

import base64
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hat.latency.predictor.averages import AVERAGES
from hat.latency.predictor.features import Rows, Vector
from hat.latency.predictor.linear import Linear

Array = npt.NDArray[np.floating]

# As in the research code: hidden layers, the divisor of latencies, and training.
HIDDEN = (400, 400, 400)
LATENCY_SCALE_MS = 200.0
STEPS, BATCH, LEARNING_RATE = 5000, 128, 1e-5


class PublishedMLP:
    """A perceptron with three hidden layers of 400 units, as published; it needs at least a thousand rows.

    Args:
        linear: a linear regression, used only for the shares of components.
        weights: weights of each layer, [inputs, outputs].
        biases: biases of each layer, [outputs].
    """

    kind = "mlp"
    fewest_rows = 1000

    def __init__(self, linear: Linear, weights: Sequence[Array], biases: Sequence[Array]) -> None:
        self.linear = linear
        self.weights = [np.asarray(weight, dtype=np.float32) for weight in weights]
        self.biases = [np.asarray(bias, dtype=np.float32) for bias in biases]

    @classmethod
    def fit(cls, rows: Rows, latencies_ms: Vector, seed: int) -> Self:
        """Fit to measurements, with mean squared error, Adam and 5,000 steps."""
        import torch
        from torch import nn

        sizes = [len(AVERAGES), *HIDDEN, 1]
        # Do not change the random state of this process.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(sizes)]
            hidden = [module for layer in layers[:-1] for module in (layer, nn.ReLU())]
            network = nn.Sequential(*hidden, layers[-1])
            inputs = torch.from_numpy(_inputs(rows))
            targets = torch.from_numpy((latencies_ms / LATENCY_SCALE_MS).astype(np.float32))
            optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
            for _ in range(STEPS):
                batch = torch.randint(len(rows), (BATCH,))
                loss = nn.functional.mse_loss(network(inputs[batch])[:, 0], targets[batch])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        weights = [layer.weight.detach().numpy().T for layer in layers]
        return cls(Linear.fit(rows, latencies_ms, seed), weights, [layer.bias.detach().numpy() for layer in layers])

    def predict(self, rows: Rows) -> Vector:
        """Return latencies in milliseconds, [N]; at least 0.001, because the network may predict negative values."""
        hidden = _inputs(rows)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = np.maximum(hidden @ weight + bias, 0)
        latencies = (hidden @ self.weights[-1] + self.biases[-1])[:, 0].astype(np.float64)
        return np.maximum(latencies * LATENCY_SCALE_MS, 1e-3)

    def to_dict(self) -> dict[str, Any]:
        """Return the regression as JSON, with arrays as base64 of little-endian fp32."""
        return {
            "kind": self.kind,
            "linear": self.linear.to_dict(),
            "weights": [_packed(weight) for weight in self.weights],
            "biases": [_packed(bias) for bias in self.biases],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returns."""
        sizes = [len(AVERAGES), *HIDDEN, 1]
        shapes = list(itertools.pairwise(sizes))
        weights = [_unpacked(text, shape) for text, shape in zip(values["weights"], shapes, strict=True)]
        biases = [_unpacked(text, shape[1:]) for text, shape in zip(values["biases"], shapes, strict=True)]
        return cls(Linear.from_dict(values["linear"]), weights, biases)


def _inputs(rows: Rows) -> npt.NDArray[np.float32]:
    return np.asarray(rows.averages / np.array(list(AVERAGES.values())), dtype=np.float32)


def _packed(values: npt.NDArray[np.float32]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def _unpacked(text: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(shape)
    return values
