"""The deployed folder: ``model.json``, tokeniser, dictionaries, and the Runtime's files below ``network/``."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

from pydantic import ValidationError

from hat.artifacts.files import read_json
from hat.config.tokenisation import Tokenisation
from hat.data.text.dictionary import Dictionary
from hat.data.text.tokenise import TextCodec
from hat.errors import InputError
from hat.runtime.base import Blueprint, Decoding, LoadedModel, Runtime, Weights
from hat.runtime.inherited import inherited_weights
from hat.runtime.shortlist import FILE, Shortlist
from hat.runtime.weights_file import WEIGHTS, load_weights
from hat.space.architecture import Architecture
from hat.space.kinds import AnyArchitecture, architecture_from_dict, network_to_dict
from hat.space.shape import Shape

DESCRIPTION = "model.json"
NETWORK = "network"
# Most folders that an error suggests.
NEARBY = 5


def dictionary_file(language: str) -> str:
    """Return the file name of a language's dictionary."""
    return f"dict.{language}.txt"


@dataclass(frozen=True, kw_only=True)
class Side:
    """Codec and dictionary of one language."""

    codec: TextCodec
    dictionary: Dictionary


def _nearby(folder: Path) -> list[str]:
    """Return deployed folders near a path that is not one, as suggestions."""
    around = [folder.parent, folder / "model", *sorted(folder.glob("*/model"))[:NEARBY]]
    return [str(path) for path in around if (path / DESCRIPTION).exists()]


@dataclass(frozen=True, kw_only=True)
class DeployedNetwork:
    """A network of a folder; its latency on the device and its validation loss are None if the folder has only one."""

    name: str
    architecture: AnyArchitecture
    latency_ms: float | None = None
    validation_loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class DeployedFolder:
    """A deployed folder, without the network itself.

    Most folders have one network. A folder with several has shared weights; each network is a leading slice of them,
    and the Runtime's files are made when it is loaded.

    ``description`` is the content of ``model.json``; ``networks`` are in the order of their latency; ``longest_source``
    is the number of tokens, without the end symbol, in the longest sentence of the training.
    """

    folder: Path
    description: dict[str, Any]
    blueprint: Blueprint
    networks: tuple[DeployedNetwork, ...]
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
        if not path.exists() and (meant := _nearby(folder)):
            raise InputError(f"{folder}: not a deployed folder (no {DESCRIPTION}); use {' or '.join(meant)}")
        values = read_json(path)
        architecture = architecture_from_dict(values, str(path))
        try:
            shape = Shape(**values["shape"])
            tokenisation = Tokenisation.model_validate(values["tokenisation"])
            decoding = Decoding(**values["decoding"])
            languages = [str(values[f"{side}_language"]) for side in ("source", "target")]
            str(values["runtime"]), str(values["precision"])
            if int(values["threads"]) < 1:
                raise ValueError(f"threads is {values['threads']}, expected a number above 0")
            networks = tuple(_network(entry, str(path)) for entry in values.get("networks", ()))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            problem = " ".join(str(error).split())
            raise InputError(f"{path}: not the description of a deployed model ({problem})") from None
        name = str(values.get("budget") or values.get("baseline") or folder.resolve().parent.name)
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
            networks=networks or (DeployedNetwork(name=name, architecture=architecture),),
            decoding=decoding,
            longest_source=tokenisation.longest_source,
            source=source,
            target=target,
        )

    def choice(self, latency_ms: float | None) -> DeployedNetwork:
        """Return the network with the lowest validation loss among those within a latency.

        Args:
            latency_ms: largest latency; if no network is that fast, the fastest is returned. None for no limit.
        """
        allowed = [one for one in self.networks if latency_ms is None or (one.latency_ms or 0.0) <= latency_ms]
        return min(allowed, key=lambda one: one.validation_loss or 0.0) if allowed else self.networks[0]

    def load(self, runtime: Runtime, network: DeployedNetwork | None = None) -> LoadedModel:
        """Load a network of the folder.

        Args:
            runtime: the Runtime to execute it with.
            network: one of ``networks``; default: the best one.

        Raises:
            InputError: a file is missing, malformed, or does not fit ``model.json``.
        """
        files = self.folder / NETWORK
        if "networks" not in self.description:
            return runtime.load(files, self.blueprint)
        chosen = network or self.choice(None)
        blueprint = replace(self.blueprint, architecture=chosen.architecture)
        weights = inherited_weights(self._shared_weights, cast(Architecture, chosen.architecture), blueprint.shape)
        shortlist = Shortlist.load(files / FILE, blueprint.source_tokens, blueprint.target_tokens)
        with tempfile.TemporaryDirectory() as temporary:
            runtime.write(Path(temporary), blueprint, weights, shortlist)
            return runtime.load(Path(temporary), blueprint)

    @cached_property
    def _shared_weights(self) -> Weights:
        return load_weights(self.folder / NETWORK / WEIGHTS, self.blueprint.shape)


def _network(values: Any, where: str) -> DeployedNetwork:
    """Parse one of several networks; only Transformers can share weights."""
    if not isinstance(values, Mapping):
        raise ValueError(f"networks holds {values!r}, expected objects")
    architecture = architecture_from_dict(values, where)
    if not isinstance(architecture, Architecture):
        raise ValueError(f"networks holds {values['kind']!r}, expected transformer")
    return DeployedNetwork(
        name=str(values["name"]),
        architecture=architecture,
        latency_ms=float(values["latency_ms"]),
        validation_loss=float(values["validation_loss"]),
    )


def described_network(blueprint: Blueprint, decoding: Decoding) -> dict[str, Any]:
    """Return the keys of ``model.json`` that describe a network and its decoding."""
    return {**network_to_dict(blueprint.architecture, blueprint.shape), "decoding": asdict(decoding)}
