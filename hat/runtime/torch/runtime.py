"""The torch Runtime: eager, with cached keys and values; fp32 arithmetic, on weights stored in fp32 or by k-means."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hat.config.kmeans import PRECISIONS
from hat.config.runtimes import RUNTIMES
from hat.data.text.special_tokens import END, PAD
from hat.errors import InputError
from hat.model.attention import Cache
from hat.model.base import EncoderDecoder
from hat.model.networks import build_network
from hat.runtime.base import Blueprint, Decoding, Hypothesis, Weights, made_decoding, made_sentence
from hat.runtime.beam import Stepper, beam_search
from hat.runtime.kmeans.stored import write_quantised
from hat.runtime.shortlist import FILE, Shortlist
from hat.runtime.torch.accelerator import gpu
from hat.runtime.weights_file import WEIGHTS, load_weights, save_weights

if TYPE_CHECKING:
    pass


def weights_of(state: Mapping[str, Tensor]) -> Weights:
    """Tensors of a checkpoint, as every Runtime takes them."""
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


class TorchModel:
    """A network that translates on this machine.

    Args:
        model: the network.
        shortlist: target tokens that are looked at for each sentence; all where absent.
    """

    def __init__(self, model: EncoderDecoder, shortlist: Shortlist | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.shortlist = shortlist

    def search(self, sources: list[list[int]], decoding: Decoding) -> list[list[Hypothesis]]:
        """All finished hypotheses of each source (token numbers, end symbol last), best first."""
        with torch.inference_mode():
            lengths = [len(source) for source in sources]
            padded = [[*source, *[PAD] * (max(lengths) - len(source))] for source in sources]
            batch = torch.tensor(padded, device=self.model.output_weight.device)
            candidates = None
            if self.shortlist is not None:
                candidates = [self.shortlist.candidates(source) for source in sources]
            return beam_search(self.stepper(batch, decoding.beam, candidates), lengths, decoding)

    def stepper(self, source: Tensor, beam: int, candidates: list[np.ndarray] | None) -> Stepper:
        """The network after reading a batch [B, S], of whose sentences these are the candidates."""
        return _TorchStepper(self.model, source, beam, candidates)

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Best hypothesis of each source, decoded as one batch."""
        return [hypotheses[0] for hypotheses in self.search(sources, decoding)]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """See :class:`hat.runtime.base.LoadedModel`."""
        made = made_sentence(self.model.shape.source_vocabulary, source_length)
        self.search([made], made_decoding(target_length, beam))


class TorchStepper:
    """What steppers of torch have in common; see :class:`hat.runtime.beam.Stepper`.

    Args:
        numbers: tokens that are scored, ascending, [C].
        beam: hypotheses of a sentence.
        device: where the network is.
    """

    def __init__(self, numbers: Sequence[int], beam: int, device: torch.device) -> None:
        self.numbers = numbers
        self.beam = beam
        self.device = device
        self.end = numbers.index(END)
        # Where padding is among the tokens.
        self.padding = [numbers.index(PAD)] if PAD in numbers[: PAD + 1] else []

    @abstractmethod
    def step(self, tokens: Tensor) -> Tensor:
        """Log-probabilities [N, C] of the token after ``tokens`` [N], the last ones of the hypotheses."""

    def extend(
        self, tokens: list[int], scores: list[float], *, may_end: bool, must_end: list[bool]
    ) -> tuple[list[list[float]], list[list[int]]]:
        """See :class:`hat.runtime.beam.Stepper`."""
        log_probs = self.step(torch.tensor(tokens, device=self.device)).view(len(must_end), self.beam, -1)
        log_probs[:, :, self.padding] = -torch.inf
        if not may_end:
            log_probs[:, :, self.end] = -torch.inf
        if any(must_end):
            forced = torch.tensor(must_end, device=self.device)
            ends = log_probs[forced, :, self.end]
            log_probs[forced] = -torch.inf
            log_probs[forced, :, self.end] = ends
        totals = log_probs + torch.tensor(scores, device=self.device).view(len(must_end), self.beam, 1)
        best, places = totals.flatten(1).topk(2 * self.beam, dim=1)
        return best.tolist(), places.tolist()

    @abstractmethod
    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """See :class:`hat.runtime.beam.Stepper`."""


class _TorchStepper(TorchStepper):
    """Caches of a batch in the middle of decoding.

    The tokens that are scored are those that are candidates of any sentence.
    """

    def __init__(
        self, model: EncoderDecoder, source: Tensor, beam: int, candidates: list[np.ndarray] | None = None
    ) -> None:
        weight = model.output_weight
        numbers: Sequence[int] = range(weight.size(0))
        # True where a token is no candidate of a sentence, [B, C].
        self.refused: Tensor | None = None
        if candidates is not None:
            union = np.unique(np.concatenate(candidates))
            numbers, weight = union.tolist(), weight[torch.as_tensor(union, dtype=torch.long, device=weight.device)]
            if len(candidates) > 1:
                refused = np.stack([~np.isin(union, own) for own in candidates])
                self.refused = torch.as_tensor(refused, device=weight.device)
        super().__init__(numbers, beam, weight.device)
        self.weight = weight
        self.model = model
        self.position = 0
        encoded, mask = model.encode(source)
        self.layers = model.active_decoder
        sentences, length = source.shape
        self.memories = [layer.project_memory(encoded, sentences, length, mask) for layer in self.layers]
        self.caches: list[Cache] = [()] * len(self.layers)

    def step(self, tokens: Tensor) -> Tensor:
        """Log-probabilities [N, C] of the token after ``tokens`` [N], the last ones of the hypotheses."""
        model = self.model
        x = model.embed_target(tokens[:, None], self.position).squeeze(1)
        for i, layer in enumerate(self.layers):
            x, self.caches[i] = layer.step(x, self.caches[i], self.memories[i], self.beam)
        if model.decoder_norm is not None:
            x = model.decoder_norm(x)
        self.position += 1
        logits = x @ self.weight.t()
        if self.refused is not None:
            logits.masked_fill_(self.refused.repeat_interleave(self.beam, 0), -torch.inf)
        return logits.log_softmax(-1)

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """See :class:`hat.runtime.beam.Stepper`."""
        kept = torch.as_tensor(hypotheses, device=self.device)
        self.caches = [tuple(part.index_select(1, kept) for part in cache) for cache in self.caches]
        if sentences is not None:
            left = torch.as_tensor(sentences, device=self.device)
            self.memories = [memory.of(left) for memory in self.memories]
            self.refused = None if self.refused is None else self.refused[left]


class TorchRuntime:
    """Loads networks for PyTorch on a CPU or a GPU.

    Args:
        threads: CPU threads of a translation; sets torch's number for this process.
        parallel: sentences translated side by side; torch spends so many times the threads on a batch instead.
        precision: how weights are stored, ``fp32`` or one of :data:`hat.config.kmeans.PRECISIONS`.
        accelerator: the GPU, such as ``cuda`` or ``cuda:1``; the CPU where absent.

    Raises:
        HatError: there is no such GPU.
    """

    facts = RUNTIMES["torch"]

    def __init__(
        self, threads: int, *, parallel: int = 1, precision: str = "fp32", accelerator: str | None = None
    ) -> None:
        self.threads = threads
        self.precision = precision
        self.device = torch.device("cpu") if accelerator is None else gpu(accelerator)
        torch.set_num_threads(threads * parallel)

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """See :class:`hat.runtime.base.Runtime`."""
        if self.precision in PRECISIONS:
            write_quantised(folder / WEIGHTS, weights, blueprint.shape, PRECISIONS[self.precision])
        else:
            save_weights(folder / WEIGHTS, weights, blueprint.shape)
        if shortlist is not None:
            shortlist.save(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)

    def load(self, folder: Path, blueprint: Blueprint) -> TorchModel:
        """See :class:`hat.runtime.base.Runtime`."""
        path = folder / WEIGHTS
        weights = load_weights(path, blueprint.shape)
        model = build_network(blueprint.architecture, blueprint.shape)
        try:
            model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.items()})
        except RuntimeError as error:
            # The first line only says that there are errors.
            first = " ".join(str(error).split("\n")[1:2]).strip()
            raise InputError(f"{path}: does not fit the architecture of model.json ({first})") from None
        shortlist = Shortlist.load(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)
        return self.loaded(model, shortlist)

    def loaded(self, model: EncoderDecoder, shortlist: Shortlist | None) -> TorchModel:
        """The network, ready to translate."""
        return TorchModel(model.to(self.device), shortlist)
