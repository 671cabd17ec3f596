"""The torch Runtime: eager PyTorch with KV caches, in fp32; weights are stored in fp32 or clustered by k-means."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

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
from hat.runtime.base import Blueprint, Decoding, Hypothesis, Weights, fixed_length_decoding, synthetic_sentence
from hat.runtime.beam import Stepper, beam_search
from hat.runtime.kmeans.stored import write_quantised
from hat.runtime.shortlist import FILE, Shortlist
from hat.runtime.torch.accelerator import gpu
from hat.runtime.weights_file import WEIGHTS, load_weights, save_weights


def weights_of(state: Mapping[str, Tensor]) -> Weights:
    """Convert the tensors of a checkpoint to what every Runtime takes."""
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


class TorchModel:
    """A network ready to translate on this machine.

    Args:
        model: the network.
        shortlist: target tokens that each sentence may use; default: all.
    """

    def __init__(self, model: EncoderDecoder, shortlist: Shortlist | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.shortlist = shortlist

    def search(self, sources: list[list[int]], decoding: Decoding) -> list[list[Hypothesis]]:
        """Return all finished hypotheses of each source (token ids, end symbol last), best first."""
        with torch.inference_mode():
            lengths = [len(source) for source in sources]
            padded = [[*source, *[PAD] * (max(lengths) - len(source))] for source in sources]
            batch = torch.tensor(padded, device=self.model.output_weight.device)
            candidates = None
            if self.shortlist is not None:
                candidates = [self.shortlist.candidates(source) for source in sources]
            return beam_search(self.stepper(batch, decoding.beam, candidates), lengths, decoding)

    def stepper(self, source: Tensor, beam: int, candidates: list[np.ndarray] | None) -> Stepper:
        """Encode a batch [B, S]; return the stepper that decodes it.

        Args:
            source: token ids, padded.
            beam: number of hypotheses per sentence.
            candidates: token ids that each sentence may use; None for all.
        """
        return _TorchStepper(self.model, source, beam, candidates)

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Return the best hypothesis of each source, decoded as one batch."""
        return [hypotheses[0] for hypotheses in self.search(sources, decoding)]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """See :class:`hat.runtime.base.LoadedModel`."""
        source = synthetic_sentence(self.model.shape.source_vocabulary, source_length)
        self.search([source], fixed_length_decoding(target_length, beam))


class TorchStepper:
    """Base of the torch Runtimes' steppers; see :class:`hat.runtime.beam.Stepper`.

    Args:
        token_ids: tokens that are scored, ascending, [C].
        beam: hypotheses per sentence.
        device: device of the network's tensors.
    """

    def __init__(self, token_ids: Sequence[int], beam: int, device: torch.device) -> None:
        self.token_ids = token_ids
        self.beam = beam
        self.device = device
        self.end = token_ids.index(END)
        # Index of padding among the tokens, if it is one of them.
        self.padding = [token_ids.index(PAD)] if PAD in token_ids[: PAD + 1] else []

    @abstractmethod
    def step(self, tokens: Tensor) -> Tensor:
        """Return the log-probabilities [N, C] of the token after ``tokens`` [N], the hypotheses' last token ids."""

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
    """Decodes a batch with KV caches; it scores the tokens that are candidates of any of its sentences."""

    def __init__(
        self, model: EncoderDecoder, source: Tensor, beam: int, candidates: list[np.ndarray] | None = None
    ) -> None:
        weight = model.output_weight
        token_ids: Sequence[int] = range(weight.size(0))
        # True where a token is not a candidate of a sentence, [B, C].
        self.disallowed: Tensor | None = None
        if candidates is not None:
            union = np.unique(np.concatenate(candidates))
            token_ids, weight = union.tolist(), weight[torch.as_tensor(union, dtype=torch.long, device=weight.device)]
            if len(candidates) > 1:
                disallowed = np.stack([~np.isin(union, own) for own in candidates])
                self.disallowed = torch.as_tensor(disallowed, device=weight.device)
        super().__init__(token_ids, beam, weight.device)
        self.weight = weight
        self.model = model
        self.position = 0
        encoded, mask = model.encode(source)
        self.layers = model.active_decoder
        sentences, length = source.shape
        self.memories = [layer.project_memory(encoded, sentences, length, mask) for layer in self.layers]
        self.caches: list[Cache] = [()] * len(self.layers)

    def step(self, tokens: Tensor) -> Tensor:
        """Return the log-probabilities [N, C] of the token after ``tokens`` [N], the hypotheses' last token ids."""
        model = self.model
        x = model.embed_target(tokens[:, None], self.position).squeeze(1)
        for i, layer in enumerate(self.layers):
            x, self.caches[i] = layer.step(x, self.caches[i], self.memories[i], self.beam)
        if model.decoder_norm is not None:
            x = model.decoder_norm(x)
        self.position += 1
        logits = x @ self.weight.t()
        if self.disallowed is not None:
            logits.masked_fill_(self.disallowed.repeat_interleave(self.beam, 0), -torch.inf)
        return logits.log_softmax(-1)

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """See :class:`hat.runtime.beam.Stepper`."""
        rows = torch.as_tensor(hypotheses, device=self.device)
        self.caches = [tuple(part.index_select(1, rows) for part in cache) for cache in self.caches]
        if sentences is not None:
            left = torch.as_tensor(sentences, device=self.device)
            self.memories = [memory.of(left) for memory in self.memories]
            self.disallowed = None if self.disallowed is None else self.disallowed[left]


class TorchRuntime:
    """Writes and loads networks for PyTorch on a CPU or a GPU.

    Args:
        threads: CPU threads per sentence; sets torch's number of threads for this process.
        parallel: sentences translated side by side; torch uses ``threads * parallel`` threads for a batch instead.
        precision: how weights are stored, ``fp32`` or one of :data:`hat.config.kmeans.PRECISIONS`.
        accelerator: the GPU, such as ``cuda`` or ``cuda:1``; default: the CPU.

    Raises:
        HatError: this machine does not have the GPU.
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
            # The first line is a heading; the second has the first mismatch.
            first = " ".join(str(error).split("\n")[1:2]).strip()
            raise InputError(f"{path}: does not fit the architecture in model.json ({first})") from None
        shortlist = Shortlist.load(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)
        return self.loaded(model, shortlist)

    def loaded(self, model: EncoderDecoder, shortlist: Shortlist | None) -> TorchModel:
        """Return the network, ready to translate."""
        return TorchModel(model.to(self.device), shortlist)
