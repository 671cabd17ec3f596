"""The deployed folder: ``model.json``, tokeniser, dictionaries, and the Runtime's files below ``network/``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from hat.artifacts import read_json
from hat.baselines import describe, described
from hat.config import Tokenisation
from hat.data.dictionary import Dictionary
from hat.data.tokenise import TextCodec
from hat.errors import InputError
from hat.runtime.base import Blueprint, Decoding, LoadedModel, Runtime, Shape

DESCRIPTION = "model.json"
NETWORK = "network"


def dictionary_file(language: str) -> str:
    """Name of a language's dictionary."""
    return f"dict.{language}.txt"


@dataclass(frozen=True, kw_only=True)
class Side:
    """Codec and dictionary of one language."""

    codec: TextCodec
    dictionary: Dictionary


@dataclass(frozen=True, kw_only=True)
class DeployedFolder:
    """A folder that has been read, but for the network itself.

    ``description`` is the content of ``model.json``; ``longest_source`` are the tokens, end symbol not counted, of
    the longest sentence that the network was trained on.
    """

    folder: Path
    description: dict[str, Any]
    blueprint: Blueprint
    decoding: Decoding
    longest_source: int
    source: Side
    target: Side

    @classmethod
    def read(cls, folder: Path | str) -> Self:
        """Read ``.../model``.

        Raises:
            InputError: a file is missing, malformed, or does not fit the others.
        """
        folder = Path(folder)
        path = folder / DESCRIPTION
        values = read_json(path)
        architecture = described(values, str(path))
        try:
            shape = Shape(**values["shape"])
            tokenisation = Tokenisation.model_validate(values["tokenisation"])
            decoding = Decoding(**values["decoding"])
            languages = [str(values[f"{side}_language"]) for side in ("source", "target")]
            str(values["runtime"]), str(values["precision"]), int(values["threads"])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            problem = " ".join(str(error).split())
            raise InputError(f"{path}: not the description of a deployed model ({problem})") from None
        source, target = (
            Side(
                codec=TextCodec(language, folder / "codes", tokenisation),
                dictionary=Dictionary.load(folder / dictionary_file(language)),
            )
            for language in languages
        )
        for side, language, expected in (
            (source, languages[0], shape.source_vocabulary),
            (target, languages[1], shape.target_vocabulary),
        ):
            if len(side.dictionary) != expected:
                raise InputError(
                    f"{folder / dictionary_file(language)}: {len(side.dictionary)} tokens,"
                    f" expected {expected} as {path} says"
                )
        return cls(
            folder=folder,
            description=values,
            blueprint=Blueprint(
                architecture=architecture,
                shape=shape,
                source_tokens=source.dictionary.tokens,
                target_tokens=target.dictionary.tokens,
            ),
            decoding=decoding,
            longest_source=tokenisation.max_length,
            source=source,
            target=target,
        )

    def load(self, runtime: Runtime) -> LoadedModel:
        """The network.

        Raises:
            InputError: a file is missing, malformed, or does not fit ``model.json``.
        """
        return runtime.load(self.folder / NETWORK, self.blueprint)


def described_network(blueprint: Blueprint, decoding: Decoding) -> dict[str, Any]:
    """What ``model.json`` says of a network."""
    return {**describe(blueprint.architecture, blueprint.shape), "decoding": asdict(decoding)}
