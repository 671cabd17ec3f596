"""Counting an Architecture: published figures, hand-written files, and the networks that are really built."""

import csv
import json
import math
import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ARCHITECTURES
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from hat.cli.app import app
from hat.config.networks import EvolvedNetwork, Network, Space
from hat.config.settings import Settings
from hat.errors import InputError
from hat.model.base import EncoderDecoder
from hat.model.evolved import EvolvedTransformer
from hat.model.transformer import Transformer
from hat.space import kinds
from hat.space.architecture import Architecture
from hat.space.profile import PUBLISHED_SHAPE, Profile
from hat.space.published_form import PUBLISHED_SPANS, to_published
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape

ROOT = Path(__file__).parents[3]
SPACE = Space(
    qkv_dim=24,
    encoder_embed_dim=(20, 16),
    encoder_layers=(3, 2, 1),
    encoder_ffn_dim=(40, 28),
    encoder_heads=(4, 2),
    decoder_embed_dim=(16, 12),
    decoder_layers=(3, 2, 1),
    decoder_ffn_dim=(36, 28),
    decoder_self_heads=(4, 3),
    decoder_cross_heads=(6, 2),
    decoder_cross_span=(1, 2, 3),
)
PUBLISHED = """\
encoder-embed-dim-subtransformer: 640
decoder-embed-dim-subtransformer: 512

encoder-ffn-embed-dim-all-subtransformer: [3072, 1024]
decoder-ffn-embed-dim-all-subtransformer: [2048]

encoder-layer-num-subtransformer: 2
decoder-layer-num-subtransformer: 1

encoder-self-attention-heads-all-subtransformer: [8, 4]
decoder-self-attention-heads-all-subtransformer: [8]
decoder-ende-attention-heads-all-subtransformer: [4]

# -1 means attending to the last encoder layer, 1 to the last two
decoder-arbitrary-ende-attn-all-subtransformer: [1]
"""


def run(*arguments):
    return CliRunner().invoke(app, ["--config-dir", str(ROOT / "config"), *map(str, arguments)])


def uniform(dim: int, ffn_dim: int, heads: int) -> Architecture:
    return Architecture(
        encoder_embed_dim=dim,
        encoder_ffn_dim=(ffn_dim,) * 6,
        encoder_heads=(heads,) * 6,
        decoder_embed_dim=dim,
        decoder_ffn_dim=(ffn_dim,) * 6,
        decoder_self_heads=(heads,) * 6,
        decoder_cross_heads=(heads,) * 6,
        decoder_cross_span=(1,) * 6,
    )


def published_row(row: dict[str, str]) -> Architecture:
    def layers(name: str, depth: str) -> tuple[int, ...]:
        return tuple(json.loads(row[name])[: int(row[depth])])

    return Architecture(
        encoder_embed_dim=int(row["encoder_embed_dim"]),
        encoder_ffn_dim=layers("encoder_ffn_embed_dim", "encoder_layer_num"),
        encoder_heads=layers("encoder_self_attention_heads", "encoder_layer_num"),
        decoder_embed_dim=int(row["decoder_embed_dim"]),
        decoder_ffn_dim=layers("decoder_ffn_embed_dim", "decoder_layer_num"),
        decoder_self_heads=layers("decoder_self_attention_heads", "decoder_layer_num"),
        decoder_cross_heads=layers("decoder_ende_attention_heads", "decoder_layer_num"),
        decoder_cross_span=tuple(
            PUBLISHED_SPANS[code] for code in layers("decoder_arbitrary_ende_attn", "decoder_layer_num")
        ),
    )


def test_every_published_architecture_exactly(tmp_path):
    with open(ARCHITECTURES, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    for row in rows:
        path = tmp_path / "architecture.yml"
        published = to_published(published_row(row))
        path.write_text("".join(f"{key}: {value}\n" for key, value in published.items()))
        shown = run(
            "profile", path, "--json", "--length", row["length"],
            "--vocabulary", row["vocab_used"], "--qkv", row["qkv_dim"],
        )  # fmt: skip
        figures = json.loads(shown.stdout)
        assert figures["params_without_embeddings"] == int(row["params"])
        assert figures["flops"] == int(row["flops_total"])
        assert figures["flops_without_last_layer"] == int(row["flops_without_last_layer"])


def test_baselines_of_the_paper():
    base = Profile.of(uniform(512, 2048, 8), PUBLISHED_SHAPE, 30)
    assert (base.params_without_embeddings, round(base.flops_without_last_layer / 1e9, 3)) == (44_138_496, 2.677)
    big = Profile.of(uniform(1024, 4096, 16), replace(PUBLISHED_SHAPE, qkv_dim=1024), 30)
    assert (big.params_without_embeddings, round(big.flops_without_last_layer / 1e9, 3)) == (176_357_376, 10.639)
    assert round(big.memory_bytes_without_embeddings["fp32"] / 1e6) == 705


def test_hand_written_published_file(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text(PUBLISHED)
    figures = json.loads(run("profile", path, "--json", "--length", "10", "--vocabulary", "1000").stdout)
    qkv = 512

    def linear(inner, outer):
        return inner * outer + outer

    attention = 3 * linear(640, qkv) + linear(qkv, 640)
    encoder = sum(attention + linear(640, ffn) + linear(ffn, 640) + 4 * 640 for ffn in (3072, 1024))
    decoder = 4 * linear(512, qkv)
    decoder += linear(512, qkv) + 2 * linear(640, qkv) + linear(qkv, 512)
    decoder += linear(512, 2048) + linear(2048, 512) + 6 * 512
    assert figures["params_without_embeddings"] == encoder + decoder
    assert figures["params"] == encoder + decoder + 1000 * 640
    macs = 10 * 640 + 10 + 10 * 512 + 10
    macs += 2 * (4 * 10 * 640 * qkv + 2 * 10 * 10 * qkv + 10 * qkv + 3 + 2 * 10 * 640)
    macs += 2 * 10 * 640 * (3072 + 1024)
    macs += 4 * 10 * 512 * qkv + 2 * 10 * 10 * qkv + 10 * qkv + 3
    macs += 2 * 10 * 512 * qkv + 2 * 20 * 640 * qkv + 2 * 10 * 20 * qkv + 10 * qkv + 3
    macs += 2 * 10 * 512 * 2048 + 3 * 10 * 512
    assert figures["flops_without_last_layer"] == 2 * macs
    assert figures["flops"] == 2 * macs + 2 * 10 * 512 * 1000
    assert figures["memory_bytes"] == {
        "fp32": 4 * figures["params"],
        "fp16": 2 * figures["params"],
        "int8": figures["params"],
        "int4": (figures["params"] + 1) // 2,
    }


def shape_of(share: str, norm: str) -> Shape:
    sizes = {"source_vocabulary": 50, "target_vocabulary": 50 if share == "all" else 70}
    return Shape(
        **sizes,
        qkv_dim=SPACE.qkv_dim,
        super_encoder_dim=20,
        super_decoder_dim=16,
        super_encoder_layers=3,
        norm=norm,
        share_embeddings=share,
        vocab_original_scaling=False,
    )


def counted_operations(model: EncoderDecoder, length: int) -> int:
    """FLOPs of all products of a sentence as torch counts them, and two for each element of a norm's output."""
    norms = {torch.ops.aten.native_layer_norm: lambda shape, *_, **__: 2 * math.prod(shape)}
    tokens = torch.arange(4, 4 + length)[None]
    counter = FlopCounterMode(display=False, custom_mapping=norms)
    # The fused kernel of attention is not counted.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        model.logits(model(tokens, tokens))
    return counter.get_total_flops()


@given(
    st.integers(0, 2**32),
    st.sampled_from(["all", "decoder", "none"]),
    st.sampled_from(["post", "pre", "pre-published"]),
)
@settings(max_examples=40)
def test_counts_are_those_of_the_real_network(seed, share, norm):
    architecture, shape = SearchSpace(SPACE).sample(random.Random(seed)), shape_of(share, norm)
    model = Transformer(architecture, shape).eval()
    length = 5
    profile = Profile.of(architecture, shape, length)
    assert profile.params == sum(parameter.numel() for parameter in model.parameters())
    embeddings = {id(model.source_embedding.weight), id(model.target_embedding.weight), id(model.projection.weight)}
    inner = sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in embeddings)
    assert profile.params_without_embeddings == inner

    counted = counted_operations(model, length)
    widths = architecture.encoder_embed_dim + architecture.decoder_embed_dim
    attentions = architecture.encoder_layers + 2 * architecture.decoder_layers
    scaled = length * (widths + 2) + attentions * (length * shape.qkv_dim + 3)
    assert profile.flops == counted + 2 * scaled


@given(
    st.sampled_from([8, 12, 16]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["all", "decoder", "none"]),
)
@settings(max_examples=15)
def test_counts_are_those_of_the_real_evolved_transformer(width, encoder_cells, decoder_cells, share):
    network = EvolvedNetwork(
        width=width, heads=2, wide_heads=4, encoder_cells=encoder_cells, decoder_cells=decoder_cells
    )
    shape = kinds.configured_shape(network, Network(share_embeddings=share), 50, 50 if share == "all" else 70)
    architecture = kinds.configured_architecture(network)
    model = EvolvedTransformer(architecture, shape).eval()
    length = 14
    profile = Profile.of(architecture, shape, length)
    assert profile.params == sum(parameter.numel() for parameter in model.parameters())
    counted = counted_operations(model, length)
    attentions = encoder_cells + 4 * decoder_cells
    scaled = 2 * length * (width + 1) + attentions * (length * width + 3) + encoder_cells * length * width
    assert profile.flops == counted + 2 * scaled


@pytest.mark.parametrize(
    ("name", "params"),
    [("transformer-base", 44_138_496), ("transformer-big", 176_357_376), ("evolved-transformer", None)],
)
def test_baselines_from_their_configuration_and_from_what_is_trained(tmp_path, name, params):
    file = ROOT / "config" / "baselines" / f"{name}.yaml"
    shown = json.loads(run("profile", file, "--json", "--vocabulary", "1000").stdout)
    assert shown["params"] - shown["params_without_embeddings"] == 1000 * shown["shape"]["super_decoder_dim"]
    if params is not None:
        assert shown["params_without_embeddings"] == params
    network = Settings().baseline(name).network
    shape = kinds.configured_shape(network, Network(), 1000, 1000)
    trained = tmp_path / "config.json"
    trained.write_text(json.dumps(kinds.network_to_dict(kinds.configured_architecture(network), shape)))
    assert json.loads(run("profile", trained, "--json").stdout) == shown


def test_artifacts_bare_json_and_their_tasks(tmp_path):
    architecture = SearchSpace(Space.model_validate(yaml_of("demo"))).smallest
    results = tmp_path / "results"
    found = results / "demo" / "local" / "50ms" / "architecture.json"
    found.parent.mkdir(parents=True)
    found.write_text(json.dumps({"architecture": architecture.to_dict(), "budget": "50ms"}))
    bare = tmp_path / "bare.json"
    bare.write_text(architecture.to_json())

    def figures(*arguments):
        return json.loads(run("--results", results, "profile", *arguments, "--json", "--vocabulary", "100").stdout)

    # Its place says whose it is: qkv_dim 128 and pre-norm are the task's.
    of_task = figures(found)
    assert of_task["shape"]["qkv_dim"] == 128
    assert of_task == figures(bare, "--task", "demo")
    assert figures(bare)["shape"]["qkv_dim"] == 512
    assert figures(bare, "--qkv", "128")["shape"]["qkv_dim"] == 128
    for language, count in (("de", 4), ("en", 12)):
        path = results / "demo" / "data" / f"dict.{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"token{number} 1\n" for number in range(count)))
    shown = json.loads(run("--results", results, "profile", found, "--json").stdout)["shape"]
    assert (shown["source_vocabulary"], shown["target_vocabulary"]) == (8, 16)


def yaml_of(space: str) -> dict:
    return yaml.safe_load((ROOT / "config" / "spaces" / f"{space}.yaml").read_text())


def test_shape_of_the_file_itself(tmp_path):
    shape = shape_of("none", "pre")
    architecture = SearchSpace(SPACE).smallest
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"architecture": architecture.to_dict(), "shape": asdict(shape)}))
    figures = json.loads(run("profile", path, "--json").stdout)
    assert figures["params"] == Profile.of(architecture, shape, 30).params


def test_table_for_people(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text(PUBLISHED)
    shown = run("profile", path)
    assert shown.exit_code == 0
    for text in ("parameters", "FLOPs, 30 tokens to 30", "weights in int4, MB", "32,768, 32,768", "512"):
        assert text in shown.output


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[1, 2]", "holds a list, expected an Architecture"),
        ("a: [", "not YAML"),
        (PUBLISHED.replace("num-subtransformer: 2", "num-subtransformer: six"), "'six', expected a positive whole"),
        (PUBLISHED.replace("[1]\n", "[3]\n"), "expected codes [-1, 1, 2]"),
        (PUBLISHED.replace("[1]\n", "1\n"), "1, expected codes [-1, 1, 2]"),
        (PUBLISHED.replace("[2048]", "2048"), "decoder_ffn_dim: 2048, expected a list"),
        (PUBLISHED.replace("[8, 4]", "[8, 7]"), "encoder_heads contains 7, expected divisors of qkv_dim (512)"),
        (PUBLISHED.replace("encoder-embed-dim-subtransformer: 640\n", ""), "missing encoder-embed-dim-subtransformer"),
        ("network: {kind: evolved, width: 0, heads: 2}", "network.evolved.width: input should be greater"),
        ("{kind: evolved, architecture: {width: 8}}", "has ['width'], expected ['decoder_cells'"),
        ("encoder_embed_dim: 5", "has ['encoder_embed_dim'], expected ['decoder_cross_heads'"),
    ],
)
def test_wrong_files_are_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "wrong.yml"
    path.write_text(content)
    shown = run("profile", path)
    assert shown.exit_code == 2
    assert str(path) in shown.stderr
    assert sentence in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_unknown_task_and_missing_file(tmp_path):
    assert "no such file" in run("profile", tmp_path / "none.json").stderr
    path = tmp_path / "mine.yml"
    path.write_text(PUBLISHED)
    shown = run("profile", path, "--task", "nosuch")
    assert (shown.exit_code, "task 'nosuch' is unknown" in shown.stderr) == (2, True)


def test_heads_must_divide():
    with pytest.raises(InputError, match="decoder_self_heads contains 3"):
        Profile.of(replace(uniform(512, 2048, 8), decoder_self_heads=(3,) * 6), PUBLISHED_SHAPE, 30)
