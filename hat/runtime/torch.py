"""The torch Runtime: eager fp32 with cached keys and values."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hat.artifacts import read_json
from hat.baselines import AnyArchitecture, describe, described
from hat.data.dictionary import END, PAD
from hat.decode.beam import beam_search
from hat.errors import InputError
from hat.model.base import EncoderDecoder
from hat.model.layers import Cache
from hat.model.networks import build_network
from hat.runtime.base import Decoding, Hypothesis, Shape
from hat.train import checkpoints

WEIGHTS = "weights.pt"


class TorchModel:
    """A network that translates on this machine."""

    def __init__(self, model: EncoderDecoder) -> None:
        self.model = model.eval().requires_grad_(False)

    def search(self, sources: list[list[int]], decoding: Decoding) -> list[list[Hypothesis]]:
        """All finished hypotheses of each source (token numbers, end symbol last), best first."""
        with torch.inference_mode():
            lengths = [len(source) for source in sources]
            batch = torch.full((len(sources), max(lengths)), PAD)
            for row, source in zip(batch, sources, strict=True):
                row[: len(source)] = torch.tensor(source)
            return beam_search(_TorchStepper(self.model, batch, decoding.beam), lengths, decoding)

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Best hypothesis of each source, decoded as one batch."""
        return [hypotheses[0] for hypotheses in self.search(sources, decoding)]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """Translate one made sentence with exactly ``target_length`` decoding steps, the end symbol's included."""
        made = [4 + 7 * i % (self.model.shape.source_vocabulary - 4) for i in range(source_length - 1)] + [END]
        self.search(
            [made],
            Decoding(beam=beam, max_length_ratio=0, max_length_extra=target_length - 1, min_length=target_length - 1),
        )


class _TorchStepper:
    """Caches of a batch in the middle of decoding."""

    def __init__(self, model: EncoderDecoder, source: Tensor, beam: int) -> None:
        self.model = model
        self.beam = beam
        self.position = 0
        encoded, mask = model.encode(source)
        self.layers = model.active_decoder
        sentences, length = source.shape
        self.memories = [layer.remember(encoded, sentences, length, mask) for layer in self.layers]
        self.caches: list[Cache] = [()] * len(self.layers)

    def step(self, tokens: Tensor) -> Tensor:
        """See :class:`hat.decode.beam.Stepper`."""
        model = self.model
        x = model.embed_target(tokens[:, None], self.position).squeeze(1)
        for i, layer in enumerate(self.layers):
            x, self.caches[i] = layer.step(x, self.caches[i], self.memories[i], self.beam)
        if model.decoder_norm is not None:
            x = model.decoder_norm(x)
        self.position += 1
        return model.logits(x).log_softmax(-1)

    def reorder(self, hypotheses: Tensor, sentences: Tensor | None) -> None:
        """See :class:`hat.decode.beam.Stepper`."""
        self.caches = [tuple(part.index_select(1, hypotheses) for part in cache) for cache in self.caches]
        if sentences is not None:
            self.memories = [memory.of(sentences) for memory in self.memories]


class TorchRuntime:
    """Builds and loads networks for PyTorch on a CPU.

    Args:
        threads: CPU threads of a translation; sets torch's number for this process.
    """

    name = "torch"

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def build(self, architecture: AnyArchitecture, shape: Shape, seed: int) -> TorchModel:
        """A network with random weights, for measuring."""
        torch.manual_seed(seed)
        return TorchModel(build_network(architecture, shape))

    def load(self, folder: Path) -> TorchModel:
        """The network of a deployed folder.

        Raises:
            InputError: a file is missing, malformed, or does not fit the others.
        """
        path = folder / "model.json"
        description = read_json(path)
        architecture = described(description, str(path))
        try:
            shape = Shape(**description["shape"])
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: lacks or misnames {error}") from None
        model = build_network(architecture, shape)
        weights = checkpoints.load(folder / WEIGHTS)
        try:
            model.load_state_dict(weights["model"])
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{folder / WEIGHTS}: does not fit {path} ({str(error).splitlines()[0]})") from None
        return TorchModel(model)

    def write(
        self, folder: Path, architecture: AnyArchitecture, shape: Shape, weights: dict[str, Tensor]
    ) -> dict[str, Any]:
        """Put a trained network into a folder.

        Returns:
            What ``model.json`` says of it.
        """
        checkpoints.save(folder / WEIGHTS, {"model": weights})
        return describe(architecture, shape)
