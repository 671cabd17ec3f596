"""The onnxruntime Runtime: what torch computes, in graphs that are valid, from files that may be damaged."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from int8_weights import unsaturated
from pydantic import ValidationError

from hat.config.device import Device
from hat.config.networks import Network, Space
from hat.data.text.special_tokens import END, PAD
from hat.errors import InputError
from hat.runtime import runtime
from hat.runtime.base import Blueprint, Decoding, LoadedModel, Weights
from hat.runtime.onnx.graph import packed_blocks, quantised_rows
from hat.runtime.random_network import blueprint_of, build, random_weights
from hat.runtime.shortlist import Shortlist
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape, shared_names

# Every feature of an Architecture; head sizes that are, and that are not, multiples of eight.
FEATURES = Space(
    qkv_dim=48,
    encoder_embed_dim=(40, 24),
    encoder_layers=(3, 2),
    encoder_ffn_dim=(64, 32),
    encoder_heads=(2, 4),
    decoder_embed_dim=(40, 24),
    decoder_layers=(3, 2, 1),
    decoder_ffn_dim=(64, 32),
    decoder_self_heads=(1, 2, 3, 4),
    decoder_cross_heads=(2, 4),
    decoder_cross_span=(1, 2, 3),
)
# Of architectures that have all of these between them.
SEEDS = (0, 4, 7, 8)
SHORTLIST = Shortlist(range(5, 12), {token: range(token, token + 6) for token in range(5, 40, 3)})


def blueprint(norm: str, share: str, seed: int, *, original_scaling: bool = False) -> Blueprint:
    network = Network(norm=norm, share_embeddings=share, vocab_original_scaling=original_scaling)
    architecture = SearchSpace(FEATURES).sample(random.Random(seed))
    return blueprint_of(architecture, Shape.of(FEATURES, network, 50, 50 if share == "all" else 70))


def weights_of(blueprint: Blueprint, seed: int, spread: float = 1.0) -> Weights:
    """Random matrices, and biases and norms that are not neutral."""
    rng = np.random.default_rng(seed)
    weights = {
        name: (tensor * spread if tensor.ndim == 2 else tensor + rng.normal(0, 0.1, tensor.shape)).astype(np.float32)
        for name, tensor in random_weights(blueprint.architecture, blueprint.shape, seed).items()
    }
    return weights | {name: weights[origin] for name, origin in shared_names(blueprint.shape).items()}


def load(
    folder: Path,
    blueprint: Blueprint,
    weights: Weights,
    shortlist: Shortlist | None = None,
    *,
    name: str = "onnxruntime",
    precision: str = "fp32",
    parallel: int = 1,
) -> LoadedModel:
    chosen = runtime(name, precision, 1, parallel=parallel)
    place = folder / f"{name}-{precision}"
    place.mkdir(exist_ok=True)
    chosen.write(place, blueprint, weights, shortlist)
    return chosen.load(place, blueprint)


def sentences(count: int, longest: int = 12) -> list[list[int]]:
    rng = random.Random(count)
    return [[rng.randrange(4, 50) for _ in range(rng.randrange(longest))] + [END] for _ in range(count)]


DECODINGS = (
    Decoding(beam=5),
    Decoding(beam=1),
    Decoding(beam=4, length_penalty=0.6, max_length_ratio=0, max_length_extra=3),
    Decoding(beam=3, min_length=20, max_length_ratio=0, max_length_extra=25),
    Decoding(beam=2, max_length_ratio=0, max_length_extra=0),
)


@pytest.mark.parametrize("shortlist", [None, SHORTLIST], ids=["all", "shortlist"])
@pytest.mark.parametrize("share", ["all", "decoder", "none"])
@pytest.mark.parametrize("norm", ["post", "pre", "pre-published"])
def test_it_finds_what_torch_finds(norm, share, shortlist, tmp_path):
    torch.set_num_threads(1)
    sources = [*sentences(1), [PAD, 7, PAD, 9, END]]
    for seed in SEEDS:
        described = blueprint(norm, share, seed, original_scaling=seed > 4)
        weights = weights_of(described, seed)
        expected, got = (load(tmp_path, described, weights, shortlist, name=name) for name in ("torch", "onnxruntime"))
        for decoding in DECODINGS:
            for source in sources:
                want, found = expected.search([source], decoding)[0], got.search(source, decoding)
                assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in want]
                scores = [hypothesis.score for hypothesis in want]
                assert [hypothesis.score for hypothesis in found] == pytest.approx(scores, rel=1e-4)


def test_long_translations_outgrow_what_is_kept_from_the_beginning(tmp_path):
    described = blueprint("pre", "all", 0)
    weights = weights_of(described, 0)
    expected, got = (load(tmp_path, described, weights, name=name) for name in ("torch", "onnxruntime"))
    decoding = Decoding(beam=40, min_length=60, max_length_ratio=0, max_length_extra=60)
    for source in ([7, END], [8, 9, 10, END]):
        want, found = expected.search([source], decoding)[0][0], got.search(source, decoding)[0]
        assert found.tokens == want.tokens
    assert got.local.cache.rows > 256


def test_each_feature_is_seen():
    """The sampled architectures of the test above have what they are meant to have."""
    found = [blueprint("post", "all", seed).architecture for seed in SEEDS]
    assert {np.sign(one.encoder_embed_dim - one.decoder_embed_dim) for one in found} == {-1, 0, 1}
    assert {span for architecture in found for span in architecture.decoder_cross_span} == {1, 2, 3}
    assert {FEATURES.qkv_dim // heads % 8 for one in found for heads in one.decoder_self_heads} > {0}
    assert {architecture.encoder_layers for architecture in found} == {2, 3}
    assert any(len(set(architecture.decoder_ffn_dim)) > 1 for architecture in found)


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
@pytest.mark.parametrize("shortlist", [None, SHORTLIST], ids=["all", "shortlist"])
def test_a_sentence_is_translated_alike_alone_and_among_others(precision, shortlist, tmp_path):
    described = blueprint("pre", "decoder", 2)
    weights = weights_of(described, 2)
    sources = sentences(12)
    one = load(tmp_path, described, weights, shortlist, precision=precision)
    two = load(tmp_path, described, weights, shortlist, precision=precision, parallel=2)
    alone = [one.translate([source], Decoding(beam=4))[0] for source in sources]
    assert one.translate(sources, Decoding(beam=4)) == alone
    assert two.translate(sources, Decoding(beam=4)) == alone
    assert one.translate([], Decoding(beam=4)) == []


def test_several_threads_find_the_same(tmp_path):
    described = blueprint("post", "all", 1)
    expected = load(tmp_path, described, weights_of(described, 1), SHORTLIST)
    for threads in (2, 3):
        got = runtime("onnxruntime", "fp32", threads).load(tmp_path / "onnxruntime-fp32", described)
        for source in sentences(3):
            want, found = expected.search(source, Decoding(beam=4)), got.search(source, Decoding(beam=4))
            assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in want]


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
@pytest.mark.parametrize("shortlist", [None, SHORTLIST], ids=["all", "shortlist"])
def test_graphs_are_valid(precision, shortlist, tmp_path):
    described = blueprint("pre-published", "none", 0)
    load(tmp_path, described, weights_of(described, 0), shortlist, precision=precision)
    for name in ("encoder.onnx", "step.onnx"):
        path = tmp_path / f"onnxruntime-{precision}" / name
        onnx.checker.check_model(path, full_check=False)
        properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert properties["precision"] == precision


@pytest.mark.parametrize(("precision", "least"), [("int8", 0.9), ("int4", 0.6)])
@pytest.mark.parametrize("shortlist", [None, SHORTLIST], ids=["all", "shortlist"])
def test_quantised_networks_score_nearly_alike(precision, least, shortlist, tmp_path):
    """Most first tokens are the same, and the scores of translations are close."""
    described = blueprint("post", "none", 1)
    weights = unsaturated(weights_of(described, 1), precision)
    exact, rough = (load(tmp_path, described, weights, shortlist, precision=one) for one in ("fp32", precision))
    decoding = Decoding(beam=1, max_length_ratio=0, max_length_extra=1, min_length=1)
    pairs = [(exact.search(source, decoding)[0], rough.search(source, decoding)[0]) for source in sentences(60)]
    same = [want.tokens == got.tokens for want, got in pairs]
    assert np.mean(same) >= least
    # It really is another precision.
    assert any(want.score != got.score for want, got in pairs)
    assert np.median([abs(want.score - got.score) for want, got in pairs]) < 0.1


def test_quantised_weights_are_within_half_a_step():
    matrix = np.random.default_rng(1).normal(size=(9, 70)).astype(np.float32)
    matrix[3] = 0
    rows, scales = quantised_rows(matrix)
    assert np.abs(rows * scales[:, None] - matrix).max() <= scales.max() / 2 * 1.001
    packed, block_scales = packed_blocks(matrix)
    numbers = np.stack([packed & 15, packed >> 4], axis=-1).reshape(9, 3, 32).astype(np.float32) - 8
    error = np.abs((numbers * block_scales[..., None]).reshape(9, 96)[:, :70] - matrix)
    # One side of a block has no -8 to reach as far as the other.
    assert (error <= np.repeat(np.abs(block_scales), 32, axis=1)[:, :70] * 1.001).all()
    assert packed.shape == (9, 3, 16)


FILES = ("encoder.onnx", "step.onnx", "constants.bin", "source.npy", "target.npy", "target_scales.npy")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_file_is_one_sentence_that_names_it(name, damage, tmp_path, capfd):
    described = blueprint("post", "decoder", 1)
    load(tmp_path, described, weights_of(described, 1), SHORTLIST, precision="int8")
    path = tmp_path / "onnxruntime-int8" / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(InputError) as caught:
        runtime("onnxruntime", "int8", 1).load(path.parent, described)
    text = str(caught.value)
    # What is wrong with the constants is seen by the first graph that misses some.
    assert (".onnx: ONNX Runtime cannot load it with the files beside it" if name == "constants.bin" else name) in text
    assert "\n" not in text
    assert capfd.readouterr().err == ""


def test_a_shortlist_that_is_gone_is_missed(tmp_path):
    described = blueprint("post", "decoder", 1)
    load(tmp_path, described, weights_of(described, 1), SHORTLIST)
    (tmp_path / "onnxruntime-fp32" / "vmap.txt").unlink()
    with pytest.raises(InputError, match=r"encoder\.onnx: shortlist is 'yes', expected 'no'"):
        runtime("onnxruntime", "fp32", 1).load(tmp_path / "onnxruntime-fp32", described)


def test_files_of_another_network_are_refused(tmp_path):
    described, other = blueprint("post", "none", 1), blueprint("post", "none", 2)
    load(tmp_path, described, weights_of(described, 1))
    folder = tmp_path / "onnxruntime-fp32"
    with pytest.raises(InputError, match=r"encoder\.onnx: network is '[0-9a-f]+', expected"):
        runtime("onnxruntime", "fp32", 1).load(folder, other)
    with pytest.raises(InputError, match=r"source\.npy: holds float32 \[50, \d+\], expected int8"):
        runtime("onnxruntime", "int8", 1).load(folder, described)
    shutil.copyfile(folder / "source.npy", folder / "target.npy")
    with pytest.raises(InputError, match=r"target\.npy: holds float32 \[50, \d+\], expected float32 \[70, \d+\]"):
        runtime("onnxruntime", "fp32", 1).load(folder, described)


def test_made_networks_take_exactly_so_many_steps(monkeypatch):
    described = blueprint("post", "all", 1)
    model = build(runtime("onnxruntime", "int8", 1), described.architecture, described.shape, seed=1, candidates=20)
    from hat.runtime.onnx.stepper import OnnxStepper

    steps, original = [], OnnxStepper.extend
    monkeypatch.setattr(OnnxStepper, "extend", lambda self, *a, **k: steps.append(1) or original(self, *a, **k))
    model.run_sentence(9, 7, 5)
    assert len(steps) == 7


BLOCKED = """
import sys
for name in ("torch", "onnx", "pydantic", "yaml", "rich"):
    sys.modules[name] = None
from types import SimpleNamespace
from hat.runtime import runtime
from hat.space.shape import Shape
from hat.runtime.random_network import build
architecture = SimpleNamespace(
    kind="transformer",
    encoder_embed_dim=16, encoder_ffn_dim=(16,), encoder_heads=(2,), decoder_embed_dim=16, decoder_ffn_dim=(16,),
    decoder_self_heads=(2,), decoder_cross_heads=(2,), decoder_cross_span=(1,), encoder_layers=1,
    decoder_layers=1, to_dict=dict,
)
shape = Shape(
    source_vocabulary=20, target_vocabulary=20, qkv_dim=16, super_encoder_dim=16, super_decoder_dim=16,
    super_encoder_layers=1, norm="post", share_embeddings="all", vocab_original_scaling=False,
)
build(runtime("onnxruntime", "int8", 1), architecture, shape, seed=1, candidates=9).run_sentence(5, 5, 2)
"""


def test_devices_need_neither_torch_nor_onnx_nor_pydantic():
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_device_has_a_precision_of_its_runtime():
    assert Device(connection="local", runtime="onnxruntime", precision="int4").precision == "int4"
    with pytest.raises(ValidationError, match="precision is 'int8', but runtime 'torch' has fp32"):
        Device(connection="local", runtime="torch", precision="int8")


def test_architectures_of_one_layer_and_one_head(tmp_path):
    architecture = Architecture(
        encoder_embed_dim=8,
        encoder_ffn_dim=(8,),
        encoder_heads=(1,),
        decoder_embed_dim=8,
        decoder_ffn_dim=(8,),
        decoder_self_heads=(1,),
        decoder_cross_heads=(1,),
        # More than there are: the last layer, three times.
        decoder_cross_span=(3,),
    )
    shape = Shape.of(FEATURES, Network(norm="pre"), 50, 50)
    described = blueprint_of(architecture, shape)
    weights = weights_of(described, 3)
    expected, got = (load(tmp_path, described, weights, name=name) for name in ("torch", "onnxruntime"))
    for source in sentences(4):
        want, found = (model.translate([source], Decoding(beam=3))[0] for model in (expected, got))
        assert found.tokens == want.tokens
