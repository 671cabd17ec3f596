"""Translation with a deployed folder; nothing else is needed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from hat.deployed import DeployedFolder
from hat.runtime import runtime
from hat.runtime.base import Decoding, LoadedModel

# Tokens of a batch, beams included: enough for the matrix products to be worth their while.
BATCH_TOKENS = 4096


class Translator:
    """Text in, text out.

    Args:
        deployed: the folder.
        model: its network.
        decoding: beam search settings.
    """

    def __init__(self, deployed: DeployedFolder, model: LoadedModel, decoding: Decoding) -> None:
        self.description = deployed.description
        self.model = model
        self.source, self.target = deployed.source, deployed.target
        self.decoding = decoding

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
        chosen = runtime(values["runtime"], values["precision"], threads or int(values["threads"]), parallel=parallel)
        decoding = deployed.decoding if beam is None else replace(deployed.decoding, beam=beam)
        return cls(deployed, deployed.load(chosen), decoding)

    def translate(
        self,
        lines: list[str],
        *,
        batch_tokens: int = BATCH_TOKENS,
        translated: Callable[[dict[int, str]], None] | None = None,
    ) -> list[str]:
        """Translations of lines, in order; empty lines stay empty.

        Args:
            lines: one sentence each.
            batch_tokens: source tokens translated together, padding and beams included.
            translated: called after each batch with the translations of its lines, by their number from 0.
        """
        result = [""] * len(lines)
        encoded = {}
        for number, line in enumerate(lines):
            if tokens := self.source.codec.encode(line):
                encoded[number] = self.source.dictionary.encode(tokens).tolist()
        order = sorted(encoded, key=lambda number: len(encoded[number]), reverse=True)
        while order:
            size = max(1, batch_tokens // (len(encoded[order[0]]) * self.decoding.beam))
            numbers, order = order[:size], order[size:]
            best = self.model.translate([encoded[number] for number in numbers], self.decoding)
            batch = {
                number: self.target.codec.decode(self.target.dictionary.decode(hypothesis.tokens))
                for number, hypothesis in zip(numbers, best, strict=True)
            }
            for number, text in batch.items():
                result[number] = text
            if translated is not None:
                translated(batch)
        return result
