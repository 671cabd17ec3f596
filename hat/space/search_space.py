"""SearchSpace: size, membership, sampling, mutation, crossover and enumeration of Architectures."""

import math
import random
from collections.abc import Iterator
from dataclasses import fields
from itertools import product
from typing import Any

from hat.config.networks import Space
from hat.errors import InputError
from hat.space.architecture import CATEGORIES, DECODER_LISTS, ENCODER_LISTS, Architecture


class SearchSpace:
    """The set of Architectures that the choices of a task's ``Space`` allow.

    Args:
        space: the choices for every dimension.
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    @property
    def size(self) -> int:
        """Number of different Architectures."""
        space = self.space
        encoder = len(space.encoder_ffn_dim) * len(space.encoder_heads)
        decoder = math.prod(len(getattr(space, name)) for name in DECODER_LISTS)
        size: int = (
            len(space.encoder_embed_dim)
            * len(space.decoder_embed_dim)
            * sum(encoder**depth for depth in space.encoder_layers)
            * sum(decoder**depth for depth in space.decoder_layers)
        )
        return size

    def __contains__(self, architecture: object) -> bool:
        return isinstance(architecture, Architecture) and not any(True for _ in self.violations(architecture))

    def violations(self, architecture: Architecture) -> Iterator[str]:
        """Yield one sentence for every dimension of the Architecture that is outside the space."""
        for name in ("encoder_layers", "decoder_layers", *(field.name for field in fields(Architecture))):
            value, allowed = getattr(architecture, name), getattr(self.space, name)
            if not set(value if isinstance(value, tuple) else (value,)) <= set(allowed):
                yield f"{name} is {value}, expected one of {list(allowed)}"

    def check(self, architecture: Architecture, where: str) -> None:
        """Raise an error if the Architecture is outside the space.

        Raises:
            InputError: names every dimension that is outside; ``where`` starts the message.
        """
        if wrong := list(self.violations(architecture)):
            raise InputError(f"{where}: outside the space: {'; '.join(wrong)}")

    @property
    def largest(self) -> Architecture:
        """Return the Architecture with the largest choice for every dimension, which is the SuperTransformer's own.

        Only the span of cross-attention, which has no weights, is the smallest.
        """
        return self._extreme(max)

    @property
    def smallest(self) -> Architecture:
        """Return the Architecture with the smallest choice for every dimension."""
        return self._extreme(min)

    def _extreme(self, pick: Any) -> Architecture:
        space = self.space
        encoder, decoder = pick(space.encoder_layers), pick(space.decoder_layers)
        lists = {
            name: ((min if name in CATEGORIES else pick)(getattr(space, name)),) * depth
            for names, depth in ((ENCODER_LISTS, encoder), (DECODER_LISTS, decoder))
            for name in names
        }
        return Architecture(
            encoder_embed_dim=pick(space.encoder_embed_dim), decoder_embed_dim=pick(space.decoder_embed_dim), **lists
        )

    def sample(self, rng: random.Random) -> Architecture:
        """Draw every dimension uniformly.

        Dimensions are drawn in the order of the research code's ``sample_configs``, which draws categories for all
        layers of the deepest network. With ``random.Random(n)`` and choices in the same order, the result is the
        Architecture that the research code trains in update n, counted from 0.
        """
        space = self.space
        encoder_dim, decoder_dim = rng.choice(space.encoder_embed_dim), rng.choice(space.decoder_embed_dim)
        depths = [rng.choice(space.encoder_layers), rng.choice(space.decoder_layers)]
        lists: dict[str, tuple[int, ...]] = {}
        for depth, names in zip(depths, (ENCODER_LISTS, DECODER_LISTS), strict=True):
            sizes = [name for name in names if name not in CATEGORIES]
            layers = [[rng.choice(getattr(space, name)) for name in sizes] for _ in range(depth)]
            lists |= dict(zip(sizes, zip(*layers, strict=True), strict=True))
        for name in (name for name in DECODER_LISTS if name in CATEGORIES):
            values = [rng.choice(getattr(space, name)) for _ in range(max(space.decoder_layers))]
            lists[name] = tuple(values[: depths[1]])
        return Architecture(encoder_embed_dim=encoder_dim, decoder_embed_dim=decoder_dim, **lists)

    def mutate(self, parent: Architecture, probability: float, rng: random.Random) -> Architecture:
        """Redraw every dimension with the given probability, and keep the parent's value otherwise.

        Dimensions of layers that the parent does not have are always drawn.
        """

        def choose(name: str, layer: int | None) -> int:
            drawn = rng.choice(getattr(self.space, name))
            kept = _gene(parent, name, layer)
            return drawn if kept is None or rng.random() < probability else kept

        return self._assemble(choose)

    def crossover(self, first: Architecture, second: Architecture, rng: random.Random) -> Architecture:
        """Take every dimension from either parent with equal probability, from the only one that has it otherwise."""

        def choose(name: str, layer: int | None) -> int:
            genes = [gene for gene in (_gene(first, name, layer), _gene(second, name, layer)) if gene is not None]
            # Never empty: the child's depth is one of its parents', so at least one parent has the layer.
            return rng.choice(genes)

        return self._assemble(choose)

    def _assemble(self, choose: Any) -> Architecture:
        encoder, decoder = choose("encoder_layers", None), choose("decoder_layers", None)
        lists = {name: tuple(choose(name, layer) for layer in range(encoder)) for name in ENCODER_LISTS}
        lists |= {name: tuple(choose(name, layer) for layer in range(decoder)) for name in DECODER_LISTS}
        return Architecture(
            encoder_embed_dim=choose("encoder_embed_dim", None),
            decoder_embed_dim=choose("decoder_embed_dim", None),
            **lists,
        )

    def enumerate(self) -> Iterator[Architecture]:
        """Yield every Architecture once, in a fixed order; only for small spaces."""
        space = self.space
        encoder_layer = list(product(*(getattr(space, name) for name in ENCODER_LISTS)))
        decoder_layer = list(product(*(getattr(space, name) for name in DECODER_LISTS)))
        for encoder_dim, decoder_dim in product(space.encoder_embed_dim, space.decoder_embed_dim):
            for encoder in (
                layers for depth in space.encoder_layers for layers in product(encoder_layer, repeat=depth)
            ):
                for decoder in (
                    layers for depth in space.decoder_layers for layers in product(decoder_layer, repeat=depth)
                ):
                    lists = dict(zip(ENCODER_LISTS, zip(*encoder, strict=True), strict=True))
                    lists |= dict(zip(DECODER_LISTS, zip(*decoder, strict=True), strict=True))
                    yield Architecture(encoder_embed_dim=encoder_dim, decoder_embed_dim=decoder_dim, **lists)


def _gene(architecture: Architecture, name: str, layer: int | None) -> int | None:
    """Return a dimension of an Architecture; None if the Architecture has no such layer."""
    value = getattr(architecture, name)
    if layer is None:
        return int(value)
    return value[layer] if layer < len(value) else None
