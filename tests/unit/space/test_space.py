"""SearchSpace and Architecture: membership, size, sampling, forms."""

import csv
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ARCHITECTURES

from hat.config.networks import Space
from hat.errors import InputError
from hat.space.architecture import Architecture
from hat.space.published_form import from_published, to_published
from hat.space.search_space import SearchSpace


def choices(values: list[int], most: int = 2) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(tuple)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    encoder_layers = draw(choices([1, 2]))
    spans = draw(choices([1, 2]).filter(lambda spans: max(spans) <= max(encoder_layers)))
    return Space(
        qkv_dim=32,
        encoder_embed_dim=draw(choices([64, 48, 32])),
        encoder_layers=encoder_layers,
        encoder_ffn_dim=draw(choices([128, 96, 64])),
        encoder_heads=draw(choices([8, 4, 2])),
        decoder_embed_dim=draw(choices([64, 48, 32])),
        decoder_layers=draw(choices([1, 2])),
        decoder_ffn_dim=draw(choices([128, 96, 64])),
        decoder_self_heads=draw(choices([4, 2])),
        decoder_cross_heads=draw(choices([4, 2])),
        decoder_cross_span=spans,
    )


@given(spaces())
@settings(max_examples=30)
def test_size_is_the_number_of_different_architectures(space: Space) -> None:
    found = SearchSpace(space)
    count = 0
    seen = set()
    for architecture in found.enumerate():
        count += 1
        if count <= 500:
            assert architecture in found
            seen.add(architecture)
    assert count == found.size
    assert len(seen) == min(count, 500)


@given(spaces(), st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=100)
def test_sampling_mutation_and_crossover_stay_inside(space: Space, seed: int, probability: float) -> None:
    found, rng = SearchSpace(space), random.Random(seed)
    first, second = found.sample(rng), found.sample(rng)
    for architecture in (first, second, found.mutate(first, probability, rng), found.crossover(first, second, rng)):
        assert list(found.violations(architecture)) == []
    assert found.mutate(first, 0.0, rng) == first
    assert found.crossover(first, first, rng) == first


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=50)
def test_children_take_every_dimension_from_a_parent(space: Space, seed: int) -> None:
    found, rng = SearchSpace(space), random.Random(seed)
    first, second = found.sample(rng), found.sample(rng)
    child = found.crossover(first, second, rng)
    for name, value in child.to_dict().items():
        if not isinstance(value, list):
            assert value in (getattr(first, name), getattr(second, name))
            continue
        parents = [getattr(first, name), getattr(second, name)]
        for layer, entry in enumerate(value):
            assert entry in [parent[layer] for parent in parents if layer < len(parent)]


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=50)
def test_forms_round_trip(space: Space, seed: int) -> None:
    found = SearchSpace(space)
    architecture = found.sample(random.Random(seed))
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.digest == architecture.digest
    assert from_published(to_published(architecture)) == architecture


@given(spaces())
@settings(max_examples=50)
def test_extremes_are_inside(space: Space) -> None:
    found = SearchSpace(space)
    assert found.largest in found
    assert found.smallest in found
    assert found.largest.decoder_layers == max(space.decoder_layers)
    assert found.smallest.decoder_ffn_dim == (min(space.decoder_ffn_dim),) * min(space.decoder_layers)


def example(**changes: object) -> Architecture:
    values = {
        "encoder_embed_dim": 32,
        "encoder_ffn_dim": (64, 96),
        "encoder_heads": (4, 2),
        "decoder_embed_dim": 48,
        "decoder_ffn_dim": (96,),
        "decoder_self_heads": (4,),
        "decoder_cross_heads": (2,),
        "decoder_cross_span": (1,),
    }
    return Architecture(**{**values, **changes})  # type: ignore[arg-type]


def test_inactive_layers_do_not_exist() -> None:
    published = to_published(example())
    published["decoder-ffn-embed-dim-all-subtransformer"] = [96, 64, 64]
    published["decoder-self-attention-heads-all-subtransformer"] = [4, 8, 8]
    assert from_published(published) == example()


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="different or zero length"):
        example(decoder_ffn_dim=(96, 64))
    with pytest.raises(InputError, match="different or zero length"):
        example(encoder_ffn_dim=(), encoder_heads=())


@pytest.mark.parametrize("wrong", [0, -1, True, 32.0, "32"])
def test_values_that_are_no_positive_whole_numbers_are_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="encoder_embed_dim"):
        example(encoder_embed_dim=wrong)


def test_violations_name_each_dimension() -> None:
    space = Space(
        qkv_dim=32,
        encoder_embed_dim=(32,),
        encoder_layers=(1,),
        encoder_ffn_dim=(64,),
        encoder_heads=(4,),
        decoder_embed_dim=(48,),
        decoder_layers=(1,),
        decoder_ffn_dim=(96,),
        decoder_self_heads=(4,),
        decoder_cross_heads=(2,),
        decoder_cross_span=(1,),
    )
    found = SearchSpace(space)
    wrong = list(found.violations(example()))
    assert [sentence.split()[0] for sentence in wrong] == ["encoder_layers", "encoder_ffn_dim", "encoder_heads"]
    with pytest.raises(InputError, match=r"here: outside the space: encoder_layers is 2, expected one of \[1\]"):
        found.check(example(), "here")


def test_unknown_and_missing_fields_are_refused() -> None:
    values = example().to_dict()
    with pytest.raises(InputError, match=r"file\.json"):
        Architecture.from_dict({**values, "extra": 1}, "file.json")
    del values["encoder_heads"]
    with pytest.raises(InputError, match="expected"):
        Architecture.from_dict(values)
    with pytest.raises(InputError, match="not JSON"):
        Architecture.from_json("{")


def published_rows() -> list[dict[str, str]]:
    with ARCHITECTURES.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_published_architectures_round_trip() -> None:
    rows = published_rows()
    assert rows
    for row in rows:
        lists = {
            "encoder-ffn-embed-dim-all-subtransformer": "encoder_ffn_embed_dim",
            "encoder-self-attention-heads-all-subtransformer": "encoder_self_attention_heads",
            "decoder-ffn-embed-dim-all-subtransformer": "decoder_ffn_embed_dim",
            "decoder-self-attention-heads-all-subtransformer": "decoder_self_attention_heads",
            "decoder-ende-attention-heads-all-subtransformer": "decoder_ende_attention_heads",
            "decoder-arbitrary-ende-attn-all-subtransformer": "decoder_arbitrary_ende_attn",
        }
        published: dict[str, object] = {key: json.loads(row[column]) for key, column in lists.items()}
        published |= {
            "encoder-embed-dim-subtransformer": int(row["encoder_embed_dim"]),
            "decoder-embed-dim-subtransformer": int(row["decoder_embed_dim"]),
            "encoder-layer-num-subtransformer": int(row["encoder_layer_num"]),
            "decoder-layer-num-subtransformer": int(row["decoder_layer_num"]),
        }
        architecture = from_published(published)
        assert from_published(to_published(architecture)) == architecture
        assert Architecture.from_json(architecture.to_json()) == architecture
        again = to_published(architecture)
        layers = int(row["decoder_layer_num"])
        for key, value in published.items():
            depth = layers if key.startswith("decoder") else int(row["encoder_layer_num"])
            assert again[key] == (value[:depth] if isinstance(value, list) else value)
