"""The runtime ctranslate2: what it finds is what torch finds, token by token; what it refuses; damaged folders."""

import itertools
import json
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from int8_weights import unsaturated
from toy_device import SMALL

from hat.config.networks import Network
from hat.data.text.special_tokens import BEGIN, END, OUTPUT, PAD, SPECIALS, UNKNOWN
from hat.errors import InputError
from hat.model.embedding import SinusoidalPositions
from hat.model.transformer import Transformer
from hat.runtime import random_network, runtime
from hat.runtime.base import Blueprint, Decoding, check_expressed, max_lengths
from hat.runtime.ctranslate2.files import specification
from hat.runtime.random_network import blueprint_of, build
from hat.runtime.shortlist import Shortlist
from hat.runtime.torch import runtime as torch_runtime
from hat.runtime.torch.runtime import TorchModel, weights_of
from hat.space.evolved import EvolvedArchitecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape

VOCABULARY = 60
# Heads of 8, 16 and 32 features; layers of a side differ.
SPACE = SearchSpace(SMALL.model_copy(update={"decoder_cross_span": (1,), "encoder_heads": (4, 2, 1)}))
SETTINGS = (
    Decoding(beam=1),
    Decoding(beam=5),
    Decoding(beam=4, length_penalty=0.0, max_length_extra=3),
    Decoding(beam=3, length_penalty=0.6, max_length_ratio=2, max_length_extra=20),
    Decoding(beam=2, max_length_ratio=0.5, max_length_extra=0),
    Decoding(beam=4, min_length=4, max_length_extra=2),
    # More continuations than there are tokens in the smallest shortlists.
    Decoding(beam=12, length_penalty=1.3, max_length_extra=1),
)


def network(architecture, seed, **choices):
    """A network whose biases and norms are not trivial, and whose distributions are sharp enough to differ."""
    shape = Shape.of(SMALL, Network(**choices), VOCABULARY, VOCABULARY)
    torch.manual_seed(seed)
    made_network = Transformer(architecture, shape)
    with torch.no_grad():
        for name, weights in made_network.named_parameters():
            if name.endswith("bias"):
                weights.normal_(std=0.3)
            elif "norm" in name:
                weights.uniform_(0.5, 1.5)
            elif "embedding" in name or "projection" in name:
                weights *= 6
        # As where it is shared with an embedding: hardly any probability, and so hardly a difference in scores
        # between a padding symbol that may not be chosen (torch) and one that does not exist (CTranslate2).
        made_network.projection.weight[PAD] = 0
    return made_network, shape


def pair(folder, architecture, shortlist=None, seed=1, precision="fp32", parallel=1, **choices):
    """One network, loaded by torch and by ctranslate2."""
    own, shape = network(architecture, seed, **choices)
    blueprint = blueprint_of(architecture, shape)
    chosen = runtime("ctranslate2", precision, 1, parallel=parallel)
    chosen.write(folder, blueprint, weights_of(own.state_dict()), shortlist)
    return TorchModel(own, shortlist), chosen.load(folder, blueprint)


def made_sources(rng, lengths=(0, 1, 3, 6, 11, 6)):
    return [[rng.randrange(UNKNOWN, VOCABULARY) for _ in range(length)] + [END] for length in lengths]


def made_shortlist(rng):
    return Shortlist(range(4, 12), {token: rng.sample(range(VOCABULARY), 8) for token in range(4, VOCABULARY, 2)})


@pytest.mark.parametrize("with_shortlist", [False, True])
@pytest.mark.parametrize("share", ["all", "decoder", "none"])
@pytest.mark.parametrize("norm", ["post", "pre", "pre-published"])
def test_hypotheses_are_those_of_torch(tmp_path, norm, share, with_shortlist):
    rng = random.Random(f"{norm} {share}")
    at_the_limit = 0
    shortlist = made_shortlist(rng) if with_shortlist else None
    own, other = pair(tmp_path, SPACE.sample(rng), shortlist, norm=norm, share_embeddings=share)
    sources = made_sources(rng, (1, 3, 8, 5))
    for decoding in SETTINGS:
        expected, found = own.translate(sources, decoding), other.translate(sources, decoding)
        assert [best.tokens for best in found] == [best.tokens for best in expected], decoding
        scores = [best.score for best in expected]
        np.testing.assert_allclose([best.score for best in found], scores, rtol=1e-4, atol=1e-5)
        limits = max_lengths([len(source) for source in sources], decoding)
        at_the_limit += sum(len(best.tokens) == limit for best, limit in zip(expected, limits, strict=True))
    # Outputs that were cut at their longest, which is where the two searches differ by themselves.
    assert at_the_limit


def test_heads_of_layers_may_differ(tmp_path):
    architecture = replace(SPACE.largest, encoder_heads=(1, 4), decoder_self_heads=(2, 4), decoder_cross_heads=(4, 2))
    own, other = pair(tmp_path, architecture, vocab_original_scaling=True)
    sources = made_sources(random.Random(3), (2, 7, 12))
    found = other.translate(sources, Decoding(beam=5))
    assert [best.tokens for best in found] == [best.tokens for best in own.translate(sources, Decoding(beam=5))]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("with_shortlist", [False, True])
def test_a_sentence_alone_is_as_among_others(tmp_path, precision, with_shortlist):
    rng = random.Random(5)
    shortlist = made_shortlist(rng) if with_shortlist else None
    _, model = pair(tmp_path, SPACE.sample(rng), shortlist, precision=precision, parallel=2)
    sources = made_sources(rng, [rng.randrange(9) for _ in range(12)])
    together = model.translate(sources, Decoding(beam=3))
    assert together == [model.translate([source], Decoding(beam=3))[0] for source in sources]
    backwards = model.translate(sources[::-1], Decoding(beam=3))
    assert together == backwards[::-1]


def width_of_the_projection(model, source):
    """Number of target tokens that CTranslate2 scores for a source, with the shortlist."""
    asked = {"use_vmap": True, "beam_size": 1, "return_logits_vocab": True, "max_decoding_length": 1}
    (result,) = model.translator.translate_batch([[model.source_tokens[number] for number in source]], **asked)
    return np.asarray(result.logits[0][0]).size


def test_candidates_are_those_of_the_shortlist(tmp_path):
    """Read off the width of the logits, and off the tokens that come: none that the source does not allow."""
    rng = random.Random(6)
    shortlist = Shortlist([5, 7, PAD], {8: [20, 21, PAD], END: [30], UNKNOWN: [31], 9: [], 59: [59]})
    _, model = pair(tmp_path, SPACE.smallest, shortlist)
    for source in ([8, END], [9, 10, END], [UNKNOWN, END], [59, 8, 59, END], [PAD, 8, END]):
        assert width_of_the_projection(model, source) == len(shortlist.candidates(source))
    allowed = {number for token in (8, END) for number in shortlist.by_token[token]} | set(shortlist.always)
    for best in model.translate([[8, END]] * 2, Decoding(beam=4, max_length_extra=rng.randrange(5, 9))):
        assert set(best.tokens) <= allowed
    assert PAD not in allowed


def test_any_token_survives(tmp_path):
    """Tokens of any Unicode, quotes, escapes, and what looks special to either library."""
    odd = ['"', "\\", "\\u0041", "'", "{", "<blank>", "<mask>", "\ufeffx", "\u00a0", "\u2028", "\u0085", "\x00", "\x1f"]
    odd += ["\U0001f600@@", "e\u0301", "\u00e9", "\u200b", "#", "##x", "\u2581", "<pad>x", "\uffff", "&apos;", "a\x00b"]
    architecture = SPACE.smallest
    own, shape = network(architecture, 1)
    tokens = [*SPECIALS, *odd, *(f"t{number}" for number in range(VOCABULARY - len(SPECIALS) - len(odd)))]
    blueprint = Blueprint(architecture=architecture, shape=shape, source_tokens=tokens, target_tokens=tokens)
    numbers = range(len(SPECIALS), len(SPECIALS) + len(odd))
    shortlist = Shortlist([], {number: [number] for number in numbers})
    chosen = runtime("ctranslate2", "fp32", 1)
    chosen.write(tmp_path, blueprint, weights_of(own.state_dict()), shortlist)
    model = chosen.load(tmp_path, blueprint)
    for number in numbers:
        # It is known as source and as target, and stands for its own row of either table.
        with torch.no_grad():
            expected = own.logits(own(torch.tensor([[number, END]]), torch.tensor([[END, number]])))[-1]
        found = model._logits([number, END], [(number,)])[0]
        np.testing.assert_allclose(found, expected[[BEGIN, END, UNKNOWN, number]], rtol=1e-4, atol=1e-4)
        assert width_of_the_projection(model, [number, END]) == len(OUTPUT) + 1
        given = {"target_prefix": [[tokens[number]]], "max_decoding_length": 1}
        (result,) = model.translator.translate_batch([[tokens[number]]], **given)
        assert model.target_ids[result.hypotheses[0][0]] == number


def test_a_token_that_the_shortlist_cannot_hold_is_named(tmp_path):
    with pytest.raises(InputError, match="two words"):
        Shortlist([], {}).save(tmp_path / "vmap.txt", [*SPECIALS, "two words"], SPECIALS)


def test_padding_in_a_shortlist_file_is_refused(tmp_path):
    (tmp_path / "vmap.txt").write_text("\t</s>\na\t<pad> a\n")
    with pytest.raises(InputError, match=r"line 2: '<pad>'"):
        Shortlist.load(tmp_path / "vmap.txt", [*SPECIALS, "a"], [*SPECIALS, "a"])


def test_position_tables_are_those_of_the_network():
    own, shape = network(SPACE.smallest, 1)
    spec = specification(blueprint_of(SPACE.smallest, shape), weights_of(own.state_dict()))
    for side, dim, super_dim in (
        (spec.encoder, SPACE.smallest.encoder_embed_dim, shape.super_encoder_dim),
        (spec.decoder, SPACE.smallest.decoder_embed_dim, shape.super_decoder_dim),
    ):
        expected = SinusoidalPositions(super_dim)(torch.arange(1, 1001), dim, 1000)
        np.testing.assert_array_equal(side.position_encodings.encodings[:1000], expected)


@pytest.mark.parametrize("beam", [1, 5])
def test_a_measured_sentence_takes_as_many_steps_as_with_torch(tmp_path, monkeypatch, beam):
    own, other = pair(tmp_path, SPACE.smallest)
    begun, steps = [], []
    search, step = other._search, torch_runtime._TorchStepper.step
    monkeypatch.setattr(other, "_search", lambda *asked: begun.append(search(*asked)) or begun[0])
    monkeypatch.setattr(torch_runtime._TorchStepper, "step", lambda *asked: steps.append(1) or step(*asked))
    other.run_sentence(9, 6, beam)
    own.run_sentence(9, 6, beam)
    assert len(steps) == 6
    # A step adds a token; none of them is the end symbol, with which a hypothesis would not go on.
    assert {len(tokens) for tokens in begun[0].result().hypotheses} == {6}


def test_what_it_cannot_express_is_refused_with_the_reason():
    chosen = runtime("ctranslate2", "fp32", 1)
    shape = Shape.of(SMALL, Network(), VOCABULARY, VOCABULARY)
    wide = replace(SPACE.largest, decoder_cross_span=(1, 2))
    evolved = EvolvedArchitecture(width=32, heads=4, wide_heads=4, encoder_cells=1, decoder_cells=1)
    check_expressed(chosen.facts, SPACE.largest)
    with pytest.raises(InputError) as caught:
        build(chosen, wide, shape, seed=1)
    assert str(caught.value) == (
        "runtime 'ctranslate2': it only supports decoder_cross_span 1, and decoder_cross_span is 1, 2"
    )
    with pytest.raises(InputError) as caught:
        build(chosen, evolved, shape, seed=1)
    assert str(caught.value) == (
        "runtime 'ctranslate2': it only executes networks of kind transformer, and this one is of kind evolved"
    )


def test_too_long_a_sentence_is_refused_in_words(tmp_path):
    _, model = pair(tmp_path, SPACE.smallest)
    with pytest.raises(InputError, match="a source of 1025 tokens, expected at most 1024"):
        model.translate([[5] * 1024 + [END]], Decoding(beam=1))
    with pytest.raises(InputError, match="a longest output of 2001 tokens"):
        model.translate([[5, END]], Decoding(beam=1, max_length_ratio=1000, max_length_extra=0))
    model.translate([[5] * 1023 + [END]], Decoding(beam=1, max_length_ratio=0, max_length_extra=1279))


FILES = ["model.bin", "config.json", "shared_vocabulary.json", "vmap.txt"]
DAMAGES = ["missing", "empty", "cut", "other"]


# A folder without a shortlist is whole.
@pytest.mark.parametrize(
    ("name", "damage"),
    [damaged for damaged in itertools.product(FILES, DAMAGES) if damaged != ("vmap.txt", "missing")],
)
def test_a_damaged_folder_is_one_sentence_that_names_it(tmp_path, name, damage):
    _, shape = network(SPACE.smallest, 1)
    blueprint = blueprint_of(SPACE.smallest, shape)
    pair(tmp_path, SPACE.smallest, made_shortlist(random.Random(1)))
    path = tmp_path / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        other = {"model.bin": b"\xff" * 99, "vmap.txt": b"\tx\n"}.get(name, json.dumps({"a": []}).encode())
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "other": other}[damage])
    with pytest.raises(InputError) as caught:
        runtime("ctranslate2", "fp32", 1).load(tmp_path, blueprint)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_network_is_noticed(tmp_path):
    pair(tmp_path, SPACE.smallest)
    _, shape = network(SPACE.largest, 1)
    with pytest.raises(InputError, match=r"config\.json: belongs to another network than model\.json describes"):
        runtime("ctranslate2", "fp32", 1).load(tmp_path, blueprint_of(SPACE.largest, shape))
    blueprint = blueprint_of(SPACE.smallest, replace(shape))
    renamed = replace(blueprint, target_tokens=[*blueprint.target_tokens[:-1], "x"])
    with pytest.raises(InputError, match="does not have the tokens of the dictionary"):
        runtime("ctranslate2", "fp32", 1).load(tmp_path, renamed)


def test_writing_replaces_what_was_there(tmp_path):
    """No shortlist or vocabulary of the network before is left."""
    own, other = pair(tmp_path, SPACE.smallest, made_shortlist(random.Random(1)))
    assert (tmp_path / "vmap.txt").exists()
    own, other = pair(tmp_path, SPACE.largest, seed=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.bin", "shared_vocabulary.json"]
    sources = made_sources(random.Random(1))[1:]
    expected = own.translate(sources, Decoding(beam=2))
    assert [best.tokens for best in other.translate(sources, Decoding(beam=2))] == [best.tokens for best in expected]


def test_int8_is_stored_in_a_quarter_and_leaves_the_weights_alone(tmp_path):
    own, shape = network(SPACE.largest, 1)
    weights = weights_of(own.state_dict())
    before = {name: tensor.copy() for name, tensor in weights.items()}
    blueprint = blueprint_of(SPACE.largest, shape)
    sizes = {}
    for precision in ("fp32", "int8"):
        runtime("ctranslate2", precision, 1).write(tmp_path, blueprint, weights, None)
        tables = 4 * shape.super_encoder_dim * (1024 + 1280)
        sizes[precision] = (tmp_path / "model.bin").stat().st_size - tables
    assert sizes["int8"] < 0.35 * sizes["fp32"]
    assert all(np.array_equal(before[name], tensor) for name, tensor in weights.items())


def test_int8_scores_are_close_to_those_of_fp32(tmp_path):
    own, shape = network(SPACE.largest, 1)
    weights = unsaturated(weights_of(own.state_dict()))
    own.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    blueprint, chosen = blueprint_of(SPACE.largest, shape), runtime("ctranslate2", "int8", 1)
    chosen.write(tmp_path, blueprint, weights, None)
    own, model = TorchModel(own, None), chosen.load(tmp_path, blueprint)
    sources = made_sources(random.Random(8))[1:]
    prefixes = [(5, 9, 12), (7, 7, 7)]
    for source in sources:
        (expected,) = own.model(torch.tensor([source]), torch.tensor([[END, *prefixes[0]]]))[-1:]
        expected = own.model.logits(expected).detach().numpy()
        error = np.abs(model._logits(source, prefixes)[0] - expected).max()
        assert error < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_made_networks_run(precision):
    shape = Shape.of(SMALL, Network(), 500, 500)
    for candidates in (None, 50):
        chosen = runtime("ctranslate2", precision, 1)
        model = random_network.build(chosen, SPACE.largest, shape, seed=1, candidates=candidates)
        assert model.shortlist is None or len(model.shortlist.candidates([5, END])) == candidates
        model.run_sentence(7, 5, 3)


def test_torch_and_pydantic_are_not_needed(tmp_path):
    """Building, measuring and translating, as on a device, where there is only NumPy beside CTranslate2."""
    program = f"""
import sys
from pathlib import Path
for name in ("torch", "pydantic", "typer", "rich", "pandas", "yaml"):
    sys.modules[name] = None
from types import SimpleNamespace
from hat.runtime import runtime
from hat.runtime.base import Decoding
from hat.space.shape import Shape
from hat.runtime.random_network import blueprint_of, build, random_weights

values = {SPACE.largest.to_dict()!r}
architecture = SimpleNamespace(**values, kind="transformer", encoder_layers=2, decoder_layers=2, to_dict=lambda: values)
shape = Shape(**{Shape.of(SMALL, Network(), 90, 90).__dict__!r})
chosen = runtime("ctranslate2", "int8", 1)
build(chosen, architecture, shape, seed=1, candidates=40).run_sentence(5, 4, 2)
chosen.write(Path({str(tmp_path)!r}), blueprint_of(architecture, shape), random_weights(architecture, shape, 1), None)
model = chosen.load(Path({str(tmp_path)!r}), blueprint_of(architecture, shape))
print(len(model.translate([[5, 6, 2]], Decoding(beam=2))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
