"""The torch Runtime: eager fp32 with cached keys and values."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hat.artifacts import atomic
from hat.decode.beam import beam_search
from hat.errors import InputError
from hat.model.base import EncoderDecoder
from hat.model.layers import Cache
from hat.model.networks import build_network
from hat.runtime.base import Blueprint, Decoding, Hypothesis, Shape, Weights, made_decoding, made_sentence, shared_names
from hat.runtime.shortlist import FILE, Shortlist
from hat.special_tokens import END, PAD

if TYPE_CHECKING:
    from hat.baselines import AnyArchitecture

WEIGHTS = "weights.npz"


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
            batch = torch.full((len(sources), max(lengths)), PAD)
            for row, source in zip(batch, sources, strict=True):
                row[: len(source)] = torch.tensor(source)
            candidates = None
            if self.shortlist is not None:
                candidates = [self.shortlist.candidates(source) for source in sources]
            return beam_search(_TorchStepper(self.model, batch, decoding.beam, candidates), lengths, decoding)

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Best hypothesis of each source, decoded as one batch."""
        return [hypotheses[0] for hypotheses in self.search(sources, decoding)]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """See :class:`hat.runtime.base.LoadedModel`."""
        made = made_sentence(self.model.shape.source_vocabulary, source_length)
        self.search([made], made_decoding(target_length, beam))


class _TorchStepper:
    """Caches of a batch in the middle of decoding.

    ``numbers`` are the tokens that are scored, ascending: those that are candidates of any sentence.
    """

    def __init__(
        self, model: EncoderDecoder, source: Tensor, beam: int, candidates: list[np.ndarray] | None = None
    ) -> None:
        self.model = model
        self.beam = beam
        self.position = 0
        encoded, mask = model.encode(source)
        self.layers = model.active_decoder
        sentences, length = source.shape
        self.memories = [layer.remember(encoded, sentences, length, mask) for layer in self.layers]
        self.caches: list[Cache] = [()] * len(self.layers)
        self.weight = model.output_weight
        self.numbers: Sequence[int] = range(self.weight.size(0))
        # True where a token is no candidate of a sentence, [B, C].
        self.refused: Tensor | None = None
        if candidates is not None:
            union = np.unique(np.concatenate(candidates))
            self.numbers = union.tolist()
            self.weight = self.weight[torch.from_numpy(union).long()]
            if len(candidates) > 1:
                self.refused = torch.from_numpy(np.stack([~np.isin(union, own) for own in candidates]))
        self.end = self.numbers.index(END)
        # Where padding is among the tokens: numbers ascend.
        self.padding = [self.numbers.index(PAD)] if PAD in self.numbers[: PAD + 1] else []

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

    def extend(
        self, tokens: list[int], scores: list[float], *, may_end: bool, must_end: list[bool]
    ) -> tuple[list[list[float]], list[list[int]]]:
        """See :class:`hat.decode.beam.Stepper`."""
        log_probs = self.step(torch.tensor(tokens)).view(len(must_end), self.beam, -1)
        log_probs[:, :, self.padding] = -torch.inf
        if not may_end:
            log_probs[:, :, self.end] = -torch.inf
        if any(must_end):
            forced = torch.tensor(must_end)
            ends = log_probs[forced, :, self.end]
            log_probs[forced] = -torch.inf
            log_probs[forced, :, self.end] = ends
        totals = log_probs + torch.tensor(scores).view(len(must_end), self.beam, 1)
        best, places = totals.flatten(1).topk(2 * self.beam, dim=1)
        return best.tolist(), places.tolist()

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """See :class:`hat.decode.beam.Stepper`."""
        kept = torch.as_tensor(hypotheses)
        self.caches = [tuple(part.index_select(1, kept) for part in cache) for cache in self.caches]
        if sentences is not None:
            left = torch.as_tensor(sentences)
            self.memories = [memory.of(left) for memory in self.memories]
            self.refused = None if self.refused is None else self.refused[left]


class TorchRuntime:
    """Loads networks for PyTorch on a CPU.

    Args:
        threads: CPU threads of a translation; sets torch's number for this process.
    """

    name = package = "torch"
    precision = "fp32"

    def __init__(self, threads: int) -> None:
        self.threads = threads
        torch.set_num_threads(threads)

    def refusal(self, architecture: "AnyArchitecture", shape: Shape) -> str | None:
        """Nothing is refused."""
        return None

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """See :class:`hat.runtime.base.Runtime`; a table that several names share is written once."""
        shared = shared_names(blueprint.shape)
        with atomic(folder / WEIGHTS, "wb") as stream:
            own: dict[str, Any] = {name: tensor for name, tensor in weights.items() if name not in shared}
            np.savez(stream, **own)
        if shortlist is not None:
            shortlist.save(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)

    def load(self, folder: Path, blueprint: Blueprint) -> TorchModel:
        """See :class:`hat.runtime.base.Runtime`."""
        path = folder / WEIGHTS
        model = build_network(blueprint.architecture, blueprint.shape)
        try:
            with np.load(path, allow_pickle=False) as stored:
                weights = {name: torch.from_numpy(stored[name]) for name in stored.files}
            for name, origin in shared_names(blueprint.shape).items():
                weights[name] = weights[origin]
            model.load_state_dict(weights)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError) as error:
            raise InputError(f"{path}: not a whole file of weights ({error})") from None
        except RuntimeError as error:
            # The first line only says that there are errors.
            first = " ".join(str(error).split("\n")[1:2]).strip()
            raise InputError(f"{path}: does not fit the architecture of model.json ({first})") from None
        shortlist = Shortlist.load(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)
        return TorchModel(model, shortlist)
