"""Translation with a deployed folder; nothing else is needed."""

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
    """Text in, text out.

    A folder may hold several networks: :meth:`switch` says which one translates, from the best on.

    Args:
        deployed: the folder.
        runtime: what executes its networks.
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
            beam: beam size; the deployed one where absent.
            threads: CPU threads of a sentence; those of the device where absent.
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
        """Translate with the best network whose latency on its device is at most that, from now on.

        A network is loaded when it is first wanted, and kept.

        Args:
            latency_ms: milliseconds of a sentence; the best network of all where None.

        Returns:
            Its name; that of the fastest where none is fast enough.

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
        """Translations of lines, in order, each on one line; empty lines stay empty.

        A line longer than the network was trained on is cut (:func:`hat.data.text.sentences.split_long`), and the
        translations of its pieces are joined with a space. Any text is translated, whatever characters it holds.

        Args:
            lines: one sentence each.
            batch_tokens: source tokens translated together, padding and beams included.
            translated: called after each batch with the translations of the lines that it completed, if any, by
                their number from 0; what it raises ends the translation.
            as_words: give Moses words parted by spaces instead of text, the pieces of a line that was cut parted by
                line feeds; :meth:`text` makes the text of them.
        """
        result = [""] * len(lines)
        parting = "\n" if as_words else " "
        pieces = {
            (number, place): tokens
            for number, line in enumerate(lines)
            for place, tokens in enumerate(self._pieces(clean(line)))
        }
        left = Counter(number for number, _ in pieces)
        made: dict[int, dict[int, str]] = defaultdict(dict)
        order = sorted(pieces, key=lambda piece: len(pieces[piece]), reverse=True)
        while order:
            size = max(1, batch_tokens // (len(pieces[order[0]]) * self.decoding.beam))
            batch, order = order[:size], order[size:]
            best = self.model.translate([pieces[piece] for piece in batch], self.decoding)
            whole = {}
            for (number, place), hypothesis in zip(batch, best, strict=True):
                tokens = self.target.dictionary.decode(hypothesis.tokens)
                made[number][place] = " ".join(join(tokens)) if as_words else self.target.codec.decode(tokens)
                left[number] -= 1
                if not left[number]:
                    texts = made.pop(number)
                    whole[number] = result[number] = parting.join(filter(None, map(texts.get, sorted(texts))))
            if translated is not None:
                translated(whole)
        return result

    def text(self, words: str) -> str:
        """The line that the Moses words of a translation make."""
        return " ".join(filter(None, map(self.target.codec.text, words.split("\n"))))

    def _pieces(self, line: str) -> list[list[int]]:
        """Token numbers of what a clean line is translated as: itself, or its pieces where it is too long."""
        tokens = self._encode(line)
        if tokens is not None:
            texts = [tokens]
        else:
            texts = [
                self.source.codec.encode(piece)
                for piece in split_long(line, lambda piece: self._encode(piece) is not None)
            ]
        return [self.source.dictionary.encode(tokens).tolist() for tokens in texts if tokens]

    def _encode(self, text: str) -> list[str] | None:
        """Tokens of a text; None where they are more than the network was trained on."""
        # Found out from the length alone where that is possible: encoding takes time.
        if len(text) > self._longest_source * (self._longest_token + 1):
            return None
        tokens = self.source.codec.encode(text)
        return tokens if len(tokens) <= self._longest_source else None


def _accelerator(wanted: str | None) -> str | None:
    """The GPU that a folder was made for, where this machine has it."""
    if wanted is None:
        return None
    from hat.runtime.torch.accelerator import gpu

    try:
        gpu(wanted)
    except HatError as error:
        print(f"{error}; translating on the processor instead", file=sys.stderr)
        return None
    return wanted
