"""Translation with a deployed folder."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from hat.data.text.bpe import join
from hat.data.text.sentences import split_long
from hat.data.text.text import clean
from hat.deploy.folder import DeployedFolder
from hat.errors import HatError
from hat.runtime import runtime
from hat.runtime.base import Decoding, LoadedModel, Runtime
from hat.runtime.decoding import BATCH_TOKENS


class Translator:
    """Translates text with the networks of a deployed folder.

    A folder may have several networks. The best one translates unless :meth:`switch` selects another.

    Args:
        deployed: the folder.
        runtime: the Runtime that executes its networks.
        decoding: beam search settings.
    """

    def __init__(self, deployed: DeployedFolder, runtime: Runtime, decoding: Decoding) -> None:
        self.description = deployed.description
        self._deployed = deployed
        self._runtime = runtime
        self._loaded: dict[str, LoadedModel] = {}
        self.switch(None)
        self.source, self.target = deployed.source, deployed.target
        self.decoding = decoding
        self._longest_source = deployed.longest_source
        self._longest_token = max(map(len, self.source.dictionary.tokens))

    @classmethod
    def from_folder(
        cls, folder: Path | str, *, beam: int | None = None, threads: int | None = None, parallel: int = 1
    ) -> Self:
        """Load a deployed folder.

        Args:
            folder: the folder, ``.../model``.
            beam: beam size; default: the deployed beam size.
            threads: CPU threads per sentence; default: the device's.
            parallel: sentences translated side by side.

        Raises:
            InputError: a file is missing or malformed, or the Runtime is not installed.
        """
        deployed = DeployedFolder.read(folder)
        values = deployed.description
        chosen = runtime(
            values["runtime"],
            values["precision"],
            threads or int(values["threads"]),
            parallel=parallel,
            accelerator=_accelerator(values.get("accelerator")),
        )
        decoding = deployed.decoding if beam is None else replace(deployed.decoding, beam=beam)
        return cls(deployed, chosen, decoding)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the folder's networks, from the fastest to the slowest."""
        return tuple(network.name for network in self._deployed.networks)

    def switch(self, latency_ms: float | None) -> str:
        """Select the network for the following translations; it is loaded on first use.

        Args:
            latency_ms: largest latency of a sentence on the device, in milliseconds; None for the best network.

        Returns:
            The name of the best network within that latency, or of the fastest if none is.

        Raises:
            InputError: a file is missing or malformed.
        """
        network = self._deployed.choice(latency_ms)
        if network.name not in self._loaded:
            self._loaded[network.name] = self._deployed.load(self._runtime, network)
        self.model = self._loaded[network.name]
        return network.name

    def translate(
        self,
        lines: list[str],
        *,
        batch_tokens: int = BATCH_TOKENS,
        translated: Callable[[dict[int, str]], None] | None = None,
        as_words: bool = False,
    ) -> list[str]:
        """Translate lines; return one line for each, in order. Empty lines stay empty.

        Lines longer than any training sentence are split (:func:`hat.data.text.sentences.split_long`), and the
        translations of the pieces are joined with a space. Lines may contain any character.

        Args:
            lines: lines with one sentence each.
            batch_tokens: source tokens per batch, counting padding and every beam.
            translated: called after each batch with the translations of the lines that the batch completed, if any, by
                line number from 0; an exception that it raises ends the translation.
            as_words: return Moses words separated by spaces instead of text, with line feeds between the pieces of a
                split line; :meth:`text` converts them to text.
        """
        result = [""] * len(lines)
        separator = "\n" if as_words else " "
        pieces = {
            (number, place): token_ids
            for number, line in enumerate(lines)
            for place, token_ids in enumerate(self._pieces(clean(line)))
        }
        left = Counter(number for number, _ in pieces)
        unfinished: dict[int, dict[int, str]] = defaultdict(dict)
        order = sorted(pieces, key=lambda piece: len(pieces[piece]), reverse=True)
        while order:
            size = max(1, batch_tokens // (len(pieces[order[0]]) * self.decoding.beam))
            batch, order = order[:size], order[size:]
            best = self.model.translate([pieces[piece] for piece in batch], self.decoding)
            completed = {}
            for (number, place), hypothesis in zip(batch, best, strict=True):
                tokens = self.target.dictionary.decode(hypothesis.tokens)
                unfinished[number][place] = " ".join(join(tokens)) if as_words else self.target.codec.decode(tokens)
                left[number] -= 1
                if not left[number]:
                    texts = unfinished.pop(number)
                    completed[number] = result[number] = separator.join(filter(None, map(texts.get, sorted(texts))))
            if translated is not None:
                translated(completed)
        return result

    def text(self, words: str) -> str:
        """Convert the Moses words of a translation to a line of text."""
        return " ".join(filter(None, map(self.target.codec.text, words.split("\n"))))

    def _pieces(self, line: str) -> list[list[int]]:
        """Return the token ids of a clean line, or of each of its pieces if it is too long."""
        tokens = self._encode(line)
        if tokens is not None:
            pieces = [tokens]
        else:
            texts = split_long(line, lambda piece: self._encode(piece) is not None)
            pieces = [self.source.codec.encode(text) for text in texts]
        return [self.source.dictionary.encode(tokens).tolist() for tokens in pieces if tokens]

    def _encode(self, text: str) -> list[str] | None:
        """Return the tokens of a text; None if there are more than in any training sentence."""
        # Encoding takes time, so texts that are certainly too long are rejected by their length.
        if len(text) > self._longest_source * (self._longest_token + 1):
            return None
        tokens = self.source.codec.encode(text)
        return tokens if len(tokens) <= self._longest_source else None


def _accelerator(name: str | None) -> str | None:
    """Return the GPU that a folder was made for; None if this machine does not have it."""
    if name is None:
        return None
    from hat.runtime.torch.accelerator import gpu

    try:
        gpu(name)
    except HatError as error:
        print(f"{error}; translating on the CPU instead", file=sys.stderr)
        return None
    return name
