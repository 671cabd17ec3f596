"""Baselines: their published sizes, their configuration, and training them like a SubTransformer."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from toy_training import make_project

from hat.artifacts.layout import Results
from hat.config.networks import Network, Space
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data.task_shape import task_shape
from hat.errors import InputError
from hat.model.evolved import EvolvedTransformer
from hat.model.networks import build_network
from hat.model.transformer import Transformer
from hat.runtime.random_network import blueprint_of
from hat.runtime.torch.runtime import TorchModel, TorchRuntime, weights_of
from hat.space.architecture import Architecture
from hat.space.evolved import EvolvedArchitecture
from hat.space.kinds import architecture_from_dict, configured_architecture, configured_shape, network_to_dict
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train import checkpoints
from hat.train.stages import train_baseline
from hat.workflow.dependencies import BASELINE_STAGES, stage_digest
from hat.workflow.targets import check_targets

ROOT = Path(__file__).parents[3]
SHIPPED = Settings(folder=ROOT / "config")
# The dictionary of tensor2tensor's WMT'14 En-De task, with which the publications count.
VOCABULARY = 33288
# Weights that fairseq's attention has and tensor2tensor's has not: biases of queries, keys, values and output.
ATTENTION_BIASES = (6 + 2 * 6) * 4
SMALL = {
    "kind": "transformer",
    "qkv_dim": 16,
    "encoder_embed_dim": 16,
    "encoder_ffn_dim": [32, 24],
    "encoder_heads": [2, 4],
    "decoder_embed_dim": 16,
    "decoder_ffn_dim": [32],
    "decoder_self_heads": [2],
    "decoder_cross_heads": [2],
    "decoder_cross_span": [2],
}
EVOLVED = {"kind": "evolved", "width": 16, "heads": 2, "wide_heads": 4, "encoder_cells": 1, "decoder_cells": 1}


def built(name: str) -> nn.Module:
    """The network of a shipped baseline with the published dictionary, without memory for its weights."""
    network = SHIPPED.baseline(name).network
    with torch.device("meta"):
        return build_network(
            configured_architecture(network), configured_shape(network, Network(), VOCABULARY, VOCABULARY)
        )


def parameters(model: nn.Module) -> tuple[int, int]:
    """With and without the embeddings, which all share one table."""
    count = sum(parameter.numel() for parameter in model.parameters())
    return count, count - model.source_embedding.weight.numel()


@pytest.mark.parametrize(
    ("name", "without_embeddings", "published_m"),
    [
        ("transformer-base", 44_138_496, 61.1),
        ("transformer-big", 176_357_376, 210.4),
        ("evolved-transformer", 47_021_056, 64.1),
        ("evolved-transformer-big", 187_627_520, 221.7),
    ],
)
def test_parameters_are_the_published_ones(name, without_embeddings, published_m):
    """Without embeddings as the HAT paper counts, with them as the Evolved Transformer's."""
    model = built(name)
    count, inner = parameters(model)
    assert inner == without_embeddings
    if isinstance(model, Transformer):
        count -= ATTENTION_BIASES * model.encoder_dim
        # tensor2tensor's are pre-norm, with a norm at the end of encoder and decoder.
        count += 4 * model.encoder_dim
    assert round(count / 1e6, 1) == published_m


def test_transformers_are_points_of_a_wide_space():
    for name, qkv_dim in (("transformer-base", 512), ("transformer-big", 1024)):
        network = SHIPPED.baseline(name).network
        space = SearchSpace(
            Space(
                qkv_dim=qkv_dim,
                encoder_embed_dim=(1024, 512),
                encoder_layers=(6,),
                encoder_ffn_dim=(4096, 2048),
                encoder_heads=(16, 8),
                decoder_embed_dim=(1024, 512),
                decoder_layers=(6, 5),
                decoder_ffn_dim=(4096, 2048),
                decoder_self_heads=(16, 8),
                decoder_cross_heads=(16, 8),
                decoder_cross_span=(1, 2),
            )
        )
        architecture = configured_architecture(network)
        assert architecture in space
        assert (network.norm, network.qkv_dim) == ("post", qkv_dim)
        assert architecture.encoder_layers == architecture.decoder_layers == 6


def test_a_shape_depends_on_the_baseline_and_the_tables_that_are_shared():
    network = SHIPPED.baseline("evolved-transformer-big").network
    common = Network(norm="post", share_embeddings="decoder", vocab_original_scaling=True)
    shape = configured_shape(network, common, 10, 20)
    assert (shape.source_vocabulary, shape.target_vocabulary, shape.share_embeddings) == (10, 20, "decoder")
    assert (shape.qkv_dim, shape.super_encoder_dim, shape.super_decoder_dim) == (1024, 1024, 1024)
    assert (shape.norm, shape.vocab_original_scaling, shape.super_encoder_layers) == ("pre", False, 3)


@pytest.mark.parametrize("name", SHIPPED.baselines)
def test_descriptions_are_read_back(name):
    network = SHIPPED.baseline(name).network
    architecture, shape = configured_architecture(network), configured_shape(network, Network(), 10, 20)
    values = json.loads(json.dumps(network_to_dict(architecture, shape)))
    assert Shape(**values["shape"]) == shape
    assert architecture_from_dict(values, "model.json") == architecture
    assert architecture.digest == architecture_from_dict(values, "model.json").digest
    assert type(architecture) is (EvolvedArchitecture if "evolved" in name else Architecture)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "rnn"}, "model.json, kind: 'rnn', expected one of transformer, evolved"),
        ({"architecture": {"width": 4}}, r"model.json: has \['width'\], expected \['decoder_cells', "),
        ({"architecture": {**EVOLVED, "kind": 1}}, "model.json: has"),
        ({"architecture": None}, "model.json: has NoneType"),
    ],
)
def test_malformed_descriptions_are_one_sentence(change, sentence):
    network = SHIPPED.baseline("evolved-transformer").network
    values = network_to_dict(configured_architecture(network), configured_shape(network, Network(), 10, 10))
    with pytest.raises(InputError, match=sentence):
        architecture_from_dict({**values, **change}, "model.json")
    with pytest.raises(InputError, match=r"model\.json: 'architecture' is missing"):
        architecture_from_dict({}, "model.json")
    with pytest.raises(InputError, match="width: 0, expected a positive whole number"):
        EvolvedArchitecture.from_dict({**values["architecture"], "width": 0})


def with_baselines(folder: Path, **baselines: dict) -> Settings:
    """Settings with baselines of their own."""
    (folder / "baselines").mkdir(exist_ok=True)
    for name, content in baselines.items():
        (folder / "baselines" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return Settings(folder=folder)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x", {"network": {**SMALL, "encoder_heads": [2]}}, "encoder_heads has 1 entries, expected 2 as encoder_ffn"),
        ("x", {"network": {**SMALL, "decoder_self_heads": [3]}}, r"contains 3, expected divisors of qkv_dim \(16\)"),
        ("x", {"network": {**SMALL, "decoder_cross_span": [3]}}, r"contains 3, expected at most the number .*\(2\)"),
        ("x", {"network": {**EVOLVED, "width": 18}}, r"width is 18, expected a multiple of 4 \(wide_heads\)"),
        ("x", {"network": {**EVOLVED, "depth": 18}}, "baselines/x.yaml, network.evolved.depth: unknown key"),
        ("x", {"network": {"kind": "rnn"}}, "baselines/x.yaml, network: .*'transformer', 'evolved'"),
        ("x", {"network": EVOLVED, "training": {"updates": 0}}, "baselines/x.yaml, training, updates: .*, got 0"),
        ("x", {"network": EVOLVED, "training": {"update": 1}}, "baselines/x.yaml, training, update: unknown key"),
        (
            "latency",
            {"network": EVOLVED},
            "baselines/latency.yaml: the name must .* be one of budgets.json",
        ),
        ("50ms", {"network": EVOLVED}, "baselines/50ms.yaml: the name must not look like a budget"),
    ],
)
def test_wrong_baselines_are_one_sentence(tmp_path, name, content, sentence):
    settings, _ = make_project(tmp_path)
    with pytest.raises(InputError, match=sentence) as caught:
        with_baselines(settings.folder, **{name: content})
    assert len(str(caught.value).splitlines()) == 1


def test_training_is_that_of_the_task_but_for_overrides(tmp_path):
    settings, _ = make_project(tmp_path)
    settings = with_baselines(settings.folder, x={"network": EVOLVED, "training": {"updates": 5}})
    training = settings.baseline_training("toy", "x")
    assert (training.updates, training.batch_tokens) == (5, settings.task("toy").subtransformer.batch_tokens)
    inherited = Settings({"tasks": {"toy": {"subtransformer": {"initial_weights": "inherited"}}}}, settings.folder)
    assert inherited.baseline_training("toy", "x") == training
    over = Settings({"baselines": {"x": {"training": {"updates": 6}}}}, settings.folder)
    assert over.baseline_training("toy", "x").updates == 6
    with pytest.raises(InputError, match=r"baselines\.y: unknown, expected one of x"):
        Settings({"baselines": {"y": {}}}, settings.folder)


def test_names_stand_where_budgets_do():
    assert SHIPPED.limit_ms("transformer-base") is None
    assert SHIPPED.limit_ms("3.5s") == 3500
    results = Results("results")

    def check(target):
        check_targets([target], SHIPPED, results, will_run=True)

    check("results/demo/local/transformer-base/bleu.txt")
    check("results/demo/baselines/transformer-base/checkpoint.pt")
    # Needs no device; a budget does.
    check("results/demo/rpi4/transformer-base/quantized-4bit/bleu.txt")
    check("results/tables/demo-local-compression.md")
    for target, sentence in (
        (
            "results/demo/local/transformer/bleu.txt",
            "such as 150ms or 3.5s, or a baseline, one of evolved-transformer,",
        ),
        ("results/demo/baselines/50ms/checkpoint.pt", "baseline '50ms' is unknown, expected one of evolved-"),
        ("results/demo/local/transformer-big/architecture.json", "a baseline is not searched"),
        ("results/demo/rpi4/transformer-big/bleu.txt", "no host is configured for rpi4"),
    ):
        with pytest.raises(InputError, match=sentence):
            check(target)


def test_a_setting_changes_only_what_reads_it():
    def digests(overrides):
        settings = Settings(overrides, ROOT / "config")
        return {stage: stage_digest(settings, stage, "demo", "local", "transformer-base") for stage in BASELINE_STAGES}

    before = digests({})
    for overrides, changed in (
        ({"baselines": {"transformer-base": {"description": "x"}}}, set()),
        ({"baselines": {"transformer-base": {"training": {"updates": 7}}}}, {"baseline"}),
        ({"baselines": {"transformer-base": {"network": {"norm": "pre"}}}}, {"baseline", "export", "export_form"}),
        ({"baselines": {"transformer-big": {"network": {"norm": "pre"}}}}, set()),
        (
            {"tasks": {"demo": {"network": {"norm": "post"}}}},
            {"supertransformer", "shortlist", "sample", "front", "search", "random_search"}
            | {"translate", "subtransformer"},
        ),
    ):
        after = digests(overrides)
        assert {stage for stage in before if before[stage] != after[stage]} == changed, overrides


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", [SMALL, EVOLVED])
def test_a_baseline_is_trained_and_deployed(tmp_path, network, precision):
    settings, results = make_project(tmp_path)
    settings = with_baselines(settings.folder, x={"network": network, "training": {"precision": precision}})
    train_baseline(TaskScope(settings, results, "toy"), "x")
    folder = results.baseline("toy", "x")
    found = json.loads((folder / "config.json").read_text())
    first = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    assert found["validation"]["nll"] < first["nll"] - 0.3
    assert found["network"]["norm"] == found["shape"]["norm"]
    architecture = architecture_from_dict(found, "config.json")
    assert architecture == configured_architecture(settings.baseline("x").network)
    shape = task_shape(TaskScope(settings, results, "toy"), "x")
    blueprint, runtime = blueprint_of(architecture, shape), TorchRuntime(1)
    weights = checkpoints.load(folder / "checkpoint.pt")["model"]
    assert (found["kind"], found["baseline"]) == (network["kind"], "x")
    runtime.write(tmp_path, blueprint, weights_of(weights), None)
    loaded = runtime.load(tmp_path, blueprint)
    assert isinstance(loaded, TorchModel)
    assert isinstance(loaded.model, EvolvedTransformer if network is EVOLVED else Transformer)
    assert all(torch.equal(value, weights[name]) for name, value in loaded.model.state_dict().items())
    loaded.run_sentence(5, 6, 2)
