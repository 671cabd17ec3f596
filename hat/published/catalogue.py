"""The networks published with the paper: 44 SubTransformers and the SuperTransformers of the four tasks.

``catalogue.json`` beside this file has their details; unknown ones are null.
"""

import json
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hat.config.sources import HttpSource
from hat.errors import InputError
from hat.space.architecture import Architecture

FILE = Path(__file__).with_name("catalogue.json")
SHOWN = 4


class PublishedModel(BaseModel):
    """A published network, with its published latency and scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the checkpoint file, without .pt")
    kind: Literal["sub", "super"]
    task: str
    url: str
    sha256: str | None = None
    size: int | None = None
    hardware: str | None = None
    latency_ms: float | None = None
    bleu: float | None = Field(None, description="BLEU of words, with compounds split at hyphens")
    sacrebleu: float | None = Field(None, description="BLEU of detokenised text against detokenised references")
    params_m: float | None = Field(None, description="Millions of parameters, without embeddings")
    flops_g: float | None = None
    architecture: dict[str, int | list[int]] | None = None
    space: str | None = None

    @property
    def source(self) -> HttpSource:
        """The source of the checkpoint. An unknown checksum is recorded at the first download."""
        return HttpSource(url=self.url, sha256=self.sha256, size=self.size, name=f"{self.name}.pt")

    def parsed_architecture(self) -> Architecture | None:
        """Return the Architecture; None if it is unknown."""
        return None if self.architecture is None else Architecture.from_dict(self.architecture, self.name)


@cache
def catalogue() -> dict[str, PublishedModel]:
    """Return all published networks, by name."""
    entries = [PublishedModel.model_validate(entry) for entry in json.loads(FILE.read_text(encoding="utf-8"))]
    return {entry.name: entry for entry in entries}


def published_model(name: str) -> PublishedModel:
    """Return the published network of a name.

    Raises:
        InputError: the name is unknown; the message shows similar names.
    """
    known = catalogue()
    if name not in known:
        near = [other for other in known if other.startswith(name.partition("@")[0])] or list(known)
        raise InputError(
            f"published network {name!r} is unknown, expected one of the {len(known)} of `hat models list`, such as"
            f" {', '.join(near[:SHOWN])}"
        )
    return known[name]
