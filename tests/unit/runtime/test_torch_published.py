"""Execution as published: the same translations, by other means."""

import random
from dataclasses import replace

import pytest
from toy_device import SMALL, workload

from hat.data.text.special_tokens import END
from hat.errors import InputError
from hat.runtime.base import Decoding
from hat.runtime.random_network import blueprint_of, build, random_weights
from hat.runtime.shortlist import Shortlist
from hat.runtime.torch.published import TorchPublishedRuntime
from hat.runtime.torch.runtime import TorchRuntime
from hat.space.search_space import SearchSpace

SHAPE = workload(SMALL, 60).shape


def both(tmp_path, architecture, shape, shortlist=None):
    """The same network in both runtimes."""
    blueprint, weights = blueprint_of(architecture, shape), random_weights(architecture, shape, 3)
    found = []
    for runtime in (TorchRuntime(1), TorchPublishedRuntime(1)):
        folder = tmp_path / runtime.facts.name
        folder.mkdir()
        runtime.write(folder, blueprint, weights, shortlist)
        found.append(runtime.load(folder, blueprint))
    return found


@pytest.mark.parametrize("norm", ["post", "pre", "pre-published"])
@pytest.mark.parametrize("seed", range(4))
def test_translations_are_those_of_torch(tmp_path, norm, seed):
    rng = random.Random(seed)
    shape = replace(SHAPE, norm=norm, share_embeddings=rng.choice(["all", "decoder", "none"]))
    ours, published = both(tmp_path, SearchSpace(SMALL).sample(rng), shape)
    sources = [[*(rng.randrange(4, 60) for _ in range(length)), END] for length in (7, 3, 12, 5)]
    decoding = Decoding(beam=3, max_length_ratio=0.5, max_length_extra=4)
    for one, other in zip(ours.search(sources, decoding), published.search(sources, decoding), strict=True):
        assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
        assert [hypothesis.score for hypothesis in one] == pytest.approx(
            [hypothesis.score for hypothesis in other], rel=1e-4
        )


def test_the_research_code_has_no_shortlist(tmp_path):
    ours, published = both(tmp_path, SearchSpace(SMALL).largest, SHAPE, Shortlist([5, 6], {}))
    assert {*ours.translate([[7, 8, END]], Decoding(beam=3))[0].tokens} <= {0, 3, 5, 6}
    assert published.shortlist is None


def test_evolved_networks_are_refused():
    from hat.space.evolved import EvolvedArchitecture

    evolved = EvolvedArchitecture(width=32, heads=2, wide_heads=4, encoder_cells=1, decoder_cells=1)
    with pytest.raises(InputError, match="runtime 'torch-published': it only executes networks of kind transformer"):
        build(TorchPublishedRuntime(1), evolved, SHAPE, seed=1)
