"""A deployed folder with random weights that really translates, for tests that use one."""

import json
import string
from pathlib import Path
from typing import Any

from hat.config.networks import EvolvedNetwork, Network, Space
from hat.config.tokenisation import Tokenisation
from hat.data.text.dictionary import Dictionary
from hat.deploy.folder import described_network
from hat.runtime import runtime
from hat.runtime.base import Blueprint, Decoding
from hat.runtime.random_network import random_weights
from hat.space.kinds import configured_architecture, configured_shape
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape

SPACE = Space(
    qkv_dim=32,
    encoder_embed_dim=(32,),
    encoder_layers=(2,),
    encoder_ffn_dim=(64,),
    encoder_heads=(4,),
    decoder_embed_dim=(32,),
    decoder_layers=(1,),
    decoder_ffn_dim=(32,),
    decoder_self_heads=(2,),
    decoder_cross_heads=(2,),
    decoder_cross_span=(1,),
)


def write_model(
    path: Path,
    *,
    executed_by: tuple[str, str] = ("torch", "fp32"),
    decoding: Decoding | None = None,
    tokenisation: Tokenisation | None = None,
    evolved: EvolvedNetwork | None = None,
    **extra: Any,
) -> Path:
    """Write the folder of a SubTransformer, or of an Evolved Transformer, for a Runtime and its precision.

    Entries of ``extra`` go into ``model.json``.
    """
    path.mkdir()
    (path / "codes").write_text("#version: 0.2\nt h\nth e</w>\n")
    letters = string.ascii_lowercase
    pieces = ["the", *(f"{letter}@@" for letter in letters + "G"), *letters, "."]
    dictionary = Dictionary([(piece, 1) for piece in pieces])
    for language in ("en", "de"):
        dictionary.save(path / f"dict.{language}.txt")
    sizes = len(dictionary), len(dictionary)
    architecture = SearchSpace(SPACE).smallest if evolved is None else configured_architecture(evolved)
    shape = Shape.of(SPACE, Network(), *sizes) if evolved is None else configured_shape(evolved, Network(), *sizes)
    blueprint = Blueprint(
        architecture=architecture, shape=shape, source_tokens=dictionary.tokens, target_tokens=dictionary.tokens
    )
    (path / "network").mkdir()
    runtime(*executed_by, 1).write(path / "network", blueprint, random_weights(architecture, shape, 1), None)
    description = {
        "source_language": "en",
        "target_language": "de",
        "runtime": executed_by[0],
        "precision": executed_by[1],
        "threads": 1,
        "tokenisation": (tokenisation or Tokenisation()).model_dump(mode="json"),
        "provenance": {"seed": 1},
        **described_network(blueprint, decoding or Decoding(beam=3)),
        **extra,
    }
    (path / "model.json").write_text(json.dumps(description))
    return path
