"""Translation with a deployed folder; nothing else is needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from hat.artifacts import read_json
from hat.config import Tokenisation
from hat.data.dictionary import Dictionary
from hat.data.tokenise import TextCodec
from hat.errors import InputError
from hat.runtime import runtime
from hat.runtime.base import Decoding, LoadedModel

# Tokens of a batch, beams included: enough for the matrix products to be worth their while.
BATCH_TOKENS = 4096


class Translator:
    """Text in, text out.

    Args:
        description: content of the folder's ``model.json``.
        model: the network.
        source: codec and dictionary of the source language.
        target: codec and dictionary of the target language.
        decoding: beam search settings.
    """

    def __init__(
        self,
        description: dict[str, Any],
        model: LoadedModel,
        source: tuple[TextCodec, Dictionary],
        target: tuple[TextCodec, Dictionary],
        decoding: Decoding,
    ) -> None:
        self.description = description
        self.model = model
        self.source_codec, self.source_dictionary = source
        self.target_codec, self.target_dictionary = target
        self.decoding = decoding

    @classmethod
    def from_folder(cls, folder: Path | str, *, beam: int | None = None, threads: int | None = None) -> Self:
        """Load a deployed folder.

        Args:
            folder: the folder, ``.../model``.
            beam: beam size; the deployed one where absent.
            threads: CPU threads; those of the device where absent.

        Raises:
            InputError: a file is missing or malformed.
        """
        folder = Path(folder)
        path = folder / "model.json"
        description = read_json(path)
        try:
            languages = (description["source_language"], description["target_language"])
            tokenisation = Tokenisation.model_validate(description["tokenisation"])
            decoding = Decoding(**(description["decoding"] | ({} if beam is None else {"beam": beam})))
            chosen = runtime(description["runtime"], description["precision"], threads or int(description["threads"]))
        except (KeyError, TypeError, ValueError) as error:
            problem = " ".join(str(error).split())
            raise InputError(f"{path}: not the description of a deployed model ({problem})") from None
        source, target = (
            (
                TextCodec(language, folder / "codes", tokenisation),
                Dictionary.load(folder / f"dict.{language}.txt"),
            )
            for language in languages
        )
        return cls(description, chosen.load(folder), source, target, decoding)

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
            if tokens := self.source_codec.encode(line):
                encoded[number] = self.source_dictionary.encode(tokens).tolist()
        order = sorted(encoded, key=lambda number: len(encoded[number]), reverse=True)
        while order:
            size = max(1, batch_tokens // (len(encoded[order[0]]) * self.decoding.beam))
            numbers, order = order[:size], order[size:]
            best = self.model.translate([encoded[number] for number in numbers], self.decoding)
            batch = {
                number: self.target_codec.decode(self.target_dictionary.decode(hypothesis.tokens))
                for number, hypothesis in zip(numbers, best, strict=True)
            }
            for number, text in batch.items():
                result[number] = text
            if translated is not None:
                translated(batch)
        return result
