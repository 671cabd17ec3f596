"""Checkpoints and architecture files of the research code, in and out."""

import argparse
import json
import math
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from reference import PARITY, tensors
from torch.serialization import get_safe_globals
from typer.testing import CliRunner

from hat.artifacts.files import read_json
from hat.artifacts.layout import Results
from hat.cli.app import app
from hat.config.scope import BudgetScope, TaskScope
from hat.config.settings import Settings
from hat.data.text.special_tokens import END
from hat.deploy.export import export_model
from hat.errors import InputError
from hat.model.published import import_weights
from hat.model.supertransformer import SuperTransformer
from hat.model.transformer import Transformer
from hat.published.checkpoint import PublishedCheckpoint, read_checkpoint, write_checkpoint
from hat.published.convert import export_checkpoint, import_checkpoint
from hat.runtime.base import Decoding
from hat.runtime.random_network import blueprint_of
from hat.runtime.torch.runtime import TorchRuntime, weights_of
from hat.schemas.catalogue import artifact
from hat.space.architecture import Architecture
from hat.space.files import read_architecture, write_architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train import checkpoints
from hat.train.inherited_loss import InheritedLoss
from hat.train.loss import projected_loss
from hat.train.stages import train_subtransformer, train_supertransformer

ROOT = Path(__file__).parents[3]


def run(*arguments):
    return CliRunner().invoke(app, ["--config-dir", str(ROOT / "config"), *map(str, arguments)])


def bits(tensor):
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().view(torch.uint8).numpy().tobytes()


def same(first, second):
    return list(first) == list(second) and all(bits(first[name]) == bits(second[name]) for name in first)


def parity_checkpoint(name):
    """A parity network as the research code would have saved it."""
    description = json.loads((PARITY / f"{name}.json").read_text())
    model = tensors(PARITY / f"{name}_state.npz")
    return PublishedCheckpoint(args=description["args"], model=model, optimizer_history=[], extra_state={})


def no_settings():
    raise AssertionError("no configuration is needed")


# --- the files of the research code -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["super", "sub"])
def test_imported_networks_compute(tmp_path, kind, checkpoint_file):
    assert run("convert", "import", checkpoint_file(kind), tmp_path).exit_code == 0
    assert artifact("training").problems(tmp_path / "config.json") == []
    config, checkpoint = read_json(tmp_path / "config.json"), checkpoints.load(tmp_path / "checkpoint.pt")
    shape = Shape(**config["shape"])
    if kind == "super":
        space = SearchSpace(Settings(folder=ROOT / "config").spaces["demo"].model_validate(config["space"]))
        model = SuperTransformer(space, shape)
    else:
        model = Transformer(Architecture.from_dict(config["architecture"]), shape)
    model.load_state_dict(checkpoint["model"])
    assert config["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert checkpoint["update"] == 12
    assert checkpoint["identity"] == config["identity"]
    source, previous = torch.tensor([[5, 6, 7, END]]), torch.tensor([[END, 8, 9]])
    with torch.inference_mode():
        hidden = model.eval()(source, previous)
        loss, nll = projected_loss(hidden, model.output_weight, torch.tensor([8, 9, END]), smoothing=0.1)
    assert math.isfinite(loss) and math.isfinite(nll)
    # 12 updates of training: not far from knowing nothing, and measured by the research code in bits.
    assert 0 < config["validation"]["nll"] < config["validation"]["loss"] < math.log(96)


def test_imported_subtransformer_translates(tmp_path, checkpoint_file):
    config = import_checkpoint(checkpoint_file("sub"), tmp_path / "sub")
    weights = checkpoints.load(tmp_path / "sub" / "checkpoint.pt")["model"]
    architecture, runtime = Architecture.from_dict(config["architecture"]), TorchRuntime(1)
    blueprint = blueprint_of(architecture, Shape(**config["shape"]))
    runtime.write(tmp_path, blueprint, weights_of(weights), None)
    (hypothesis,) = runtime.load(tmp_path, blueprint).translate([[5, 6, 7, END]], Decoding(beam=2))
    assert math.isfinite(hypothesis.score)


def test_subtransformer_is_the_leading_slices_of_the_file(tmp_path, checkpoint_file):
    path = checkpoint_file("sub")
    config = import_checkpoint(path, tmp_path)
    assert config["architecture"]["encoder_embed_dim"] == 48
    assert len(config["architecture"]["decoder_ffn_dim"]) == 3
    weights = checkpoints.load(tmp_path / "checkpoint.pt")["model"]
    whole = import_weights(read_checkpoint(path).model)
    assert set(weights) < set(whole)
    for name, tensor in weights.items():
        assert bits(tensor) == bits(whole[name][tuple(slice(size) for size in tensor.shape)])


def test_subtransformer_taken_out_of_the_supertransformer(tmp_path, checkpoint_file):
    """By --architecture, by a file whose arguments say so, and by extract: the same tensors."""
    published = read_checkpoint(checkpoint_file("super"))
    config = import_checkpoint(checkpoint_file("super"), tmp_path / "super")
    space = SearchSpace(Settings(folder=ROOT / "config").spaces["demo"].model_validate(config["space"]))
    model = SuperTransformer(space, Shape(**config["shape"]))
    model.load_state_dict(checkpoints.load(tmp_path / "super" / "checkpoint.pt")["model"])
    sub_args = read_checkpoint(checkpoint_file("sub")).args
    asked = {key: sub_args[key] for key in sub_args if key.endswith("_subtransformer")}
    write_checkpoint(tmp_path / "sub.pt", replace(published, args=published.args | asked))
    said = import_checkpoint(tmp_path / "sub.pt", tmp_path / "said")
    architecture = Architecture.from_dict(said["architecture"])
    assert architecture in space
    write_architecture(architecture, tmp_path / "sub.yml")
    file = checkpoint_file("super")
    assert run("convert", "import", file, tmp_path / "taken", "--architecture", tmp_path / "sub.yml").exit_code == 0
    extracted = model.extract(architecture).state_dict()
    for folder in ("said", "taken"):
        assert same(checkpoints.load(tmp_path / folder / "checkpoint.pt")["model"], extracted)
    # What was taken out is a SubTransformer to the research code, too.
    export_checkpoint(tmp_path / "taken", tmp_path / "taken.pt", no_settings)
    args = read_checkpoint(tmp_path / "taken.pt").args
    assert args["train_subtransformer"] is True
    assert args["encoder_embed_dim_subtransformer"] == 48


def test_supertransformer_comes_back_bit_for_bit(tmp_path, checkpoint_file):
    path = checkpoint_file("super")
    assert run("convert", "import", path, tmp_path / "ours").exit_code == 0
    assert run("convert", "export", tmp_path / "ours" / "checkpoint.pt", tmp_path / "again.pt").exit_code == 0
    before, after = read_checkpoint(path), read_checkpoint(tmp_path / "again.pt")
    assert same(before.model, after.model)
    assert (before.args, before.optimizer_history, before.extra_state) == (
        after.args,
        after.optimizer_history,
        after.extra_state,
    )


def test_subtransformer_comes_back_in_full_size(tmp_path, checkpoint_file):
    path = checkpoint_file("sub")
    import_checkpoint(path, tmp_path / "ours")
    export_checkpoint(tmp_path / "ours", tmp_path / "again.pt", no_settings)
    before, after = read_checkpoint(path), read_checkpoint(tmp_path / "again.pt")
    assert (before.args, before.extra_state) == (after.args, after.extra_state)
    assert list(before.model) == list(after.model)
    for name, tensor in after.model.items():
        assert tensor.shape == before.model[name].shape
        if not name.endswith("_float_tensor"):
            used = tensor != 0
            assert torch.equal(tensor[used], before.model[name][used])
    import_checkpoint(tmp_path / "again.pt", tmp_path / "twice")
    first, second = (checkpoints.load(tmp_path / name / "checkpoint.pt")["model"] for name in ("ours", "twice"))
    assert same(first, second)


@pytest.mark.parametrize("name", ["A_shared", "B_sep", "C_encdecdim", "G_generate"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_networks_of_all_kinds_come_back(tmp_path, name, dtype):
    """Shared and separate embeddings, joint and separate q/k/v; trained in fp16, a file holds fp16."""
    published = parity_checkpoint(name)
    published = replace(published, model={key: tensor.to(dtype) for key, tensor in published.model.items()})
    write_checkpoint(tmp_path / "theirs.pt", published)
    config = import_checkpoint(tmp_path / "theirs.pt", tmp_path / "ours")
    assert config["shape"]["share_embeddings"] == ("all" if name in ("A_shared", "G_generate") else "none")
    weights = checkpoints.load(tmp_path / "ours" / "checkpoint.pt")["model"]
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    export_checkpoint(tmp_path / "ours", tmp_path / "again.pt", no_settings)
    again = read_checkpoint(tmp_path / "again.pt")
    assert same(again.model, published.model)
    assert again.args == published.args


# --- our own networks -------------------------------------------------------------------------------


def own_run(folder, *, share, norm, decoder_dims, sub):
    """A folder as training writes it, and the configuration."""
    settings = Settings(
        {
            "tasks.demo.network": {"share_embeddings": share, "norm": norm},
            "spaces.demo": {"decoder_embed_dim": decoder_dims, "encoder_embed_dim": [48, 32], "qkv_dim": 16},
        },
        ROOT / "config",
    )
    task, space = settings.task("demo"), SearchSpace(settings.space_of("demo"))
    shape = Shape.of(space.space, task.network, 24, 24 if share == "all" else 32)
    torch.manual_seed(1)
    model = SuperTransformer(space, shape)
    subject = {"space": space.space.model_dump(mode="json")}
    if sub:
        architecture = replace(space.smallest, decoder_cross_span=(2,))
        model = model.extract(architecture)
        subject = {"architecture": architecture.to_dict()}
    config = {
        "task": "demo",
        "seed": 3,
        "training": task.supertransformer.model_dump(mode="json"),
        "network": task.network.model_dump(mode="json"),
        **subject,
        "validation": {"loss": 2.0, "nll": 1.5},
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    checkpoints.save(folder / "checkpoint.pt", {"model": model.state_dict(), "update": 7})
    return settings, config, model


@pytest.mark.parametrize("sub", [False, True])
@pytest.mark.parametrize(
    ("share", "norm", "decoder_dims"),
    [
        ("all", "post", [48, 32]),
        ("all", "pre", [48, 32]),
        ("decoder", "pre-published", [32]),
        ("none", "post", [64]),
        ("none", "post", [48]),
    ],
)
def test_own_networks_come_back(tmp_path, share, norm, decoder_dims, sub):
    settings, config, model = own_run(tmp_path / "run", share=share, norm=norm, decoder_dims=decoder_dims, sub=sub)
    figures = export_checkpoint(tmp_path / "run" / "checkpoint.pt", tmp_path / "theirs.pt", lambda: settings)
    assert ("note" in figures) == (norm == "pre")
    theirs = read_checkpoint(tmp_path / "theirs.pt")
    assert theirs.args["share_all_embeddings"] == (share == "all")
    assert theirs.args["encoder_embed_dim"] == 48 and theirs.args["decoder_embed_dim"] == decoder_dims[0]
    assert ("decoder.embed_out" in theirs.model) == (share == "none")
    joint = "decoder.layers.0.encoder_attn.in_proj_weight" in theirs.model
    assert joint == (decoder_dims[0] == 48)
    # Every tensor has the SuperTransformer's size, whatever is in it.
    assert theirs.model["decoder.layers.2.fc1.weight"].shape == (768, decoder_dims[0])
    assert theirs.model["encoder.version"].item() == 3
    assert theirs.optimizer_history[-1]["num_updates"] == 7
    assert theirs.extra_state["val_loss"] == pytest.approx(2.0 / math.log(2))
    ours = import_checkpoint(tmp_path / "theirs.pt", tmp_path / "ours")
    assert ours["shape"]["norm"] == ("post" if norm == "post" else "pre-published")
    assert ours.get("architecture") == config.get("architecture")
    assert ours.get("space") == config.get("space")
    assert same(checkpoints.load(tmp_path / "ours" / "checkpoint.pt")["model"], model.state_dict())


def test_verbs_use_what_comes_back(project, tmp_path):
    """A run of the pipeline, out and in again, is searched in and deployed as the run itself."""
    settings, results = project
    (settings.folder / "devices" / "local.yaml").write_text("connection: local\nshortlist: false\n")
    short = {"updates": 2, "validate_every": 2, "save_every": 2}
    settings = Settings({"tasks.toy": {"supertransformer": short, "subtransformer": short}}, settings.folder)
    train_supertransformer(TaskScope(settings, results, "toy"))
    space = SearchSpace(settings.space_of("toy"))
    found = results.budget("toy", "local", "50ms") / "architecture.json"
    found.parent.mkdir(parents=True)
    found.write_text(json.dumps({"architecture": space.smallest.to_dict()}))
    train_subtransformer(BudgetScope(settings, results, "toy", "local", "50ms"))
    (results.data("toy") / "codes").write_text("#version: 0.2\n")
    export_model(BudgetScope(settings, results, "toy", "local", "50ms"))
    again = Results(tmp_path / "again")
    shutil.copytree(results.data("toy"), again.data("toy"))
    for folder, target in (
        (results.supertransformer("toy"), again.supertransformer("toy")),
        tuple(one.budget("toy", "local", "50ms") / "subtransformer" for one in (results, again)),
    ):
        export_checkpoint(folder, tmp_path / "theirs.pt", lambda: settings)
        imported = import_checkpoint(tmp_path / "theirs.pt", target)
        assert imported["validation"]["loss"] == pytest.approx(read_json(folder / "config.json")["validation"]["loss"])
    losses = [InheritedLoss(TaskScope(settings, place, "toy"))(space.smallest) for place in (results, again)]
    assert losses[0] == losses[1]
    export_model(BudgetScope(settings, again, "toy", "local", "50ms"))
    files = [
        np.load(place.budget("toy", "local", "50ms") / "model" / "network" / "weights.npz")
        for place in (results, again)
    ]
    assert files[0].files == files[1].files
    assert all(np.array_equal(files[0][name], files[1][name]) for name in files[0].files)


def test_own_files_have_the_structure_of_theirs(tmp_path, checkpoint_file):
    for sub, name in ((False, "super"), (True, "sub")):
        settings, *_ = own_run(tmp_path / name, share="all", norm="post", decoder_dims=[48, 32], sub=sub)
        export_checkpoint(tmp_path / name, tmp_path / f"{name}.pt", lambda chosen=settings: chosen)
        with torch.serialization.safe_globals([argparse.Namespace]):
            ours = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        theirs = read_checkpoint(checkpoint_file(name))
        assert set(ours) == {"args", "model", "optimizer_history", "extra_state", "last_optimizer_state"}
        args = vars(ours["args"])
        # The file of the SuperTransformer lacks the two depths; its reader takes None and absent as the same.
        assert set(args) - set(theirs.args) <= {"encoder_layer_num_subtransformer", "decoder_layer_num_subtransformer"}
        for key in set(args) & set(theirs.args):
            assert type(args[key]) is type(theirs.args[key]), key
        assert ours["optimizer_history"][-1].keys() == theirs.optimizer_history[-1].keys()
        assert ours["extra_state"].keys() == theirs.extra_state.keys() | {"train_meters"}
        shared = (ours["model"][f"{side}.embed_tokens.weight"].data_ptr() for side in ("encoder", "decoder"))
        assert len(set(shared)) == 1
        # Legacy serialisation, which versions of torch before 1.4 read as well.
        assert (tmp_path / f"{name}.pt").read_bytes()[:2] != b"PK"


def test_what_the_research_code_cannot_be(tmp_path):
    settings, *_ = own_run(tmp_path / "run", share="all", norm="post", decoder_dims=[32], sub=False)
    with pytest.raises(InputError, match="shares embeddings only if encoder and decoder are equally wide"):
        export_checkpoint(tmp_path / "run", tmp_path / "out.pt", lambda: settings)
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config.json: has no 'task'"):
        export_checkpoint(tmp_path / "run", tmp_path / "out.pt", lambda: settings)
    with pytest.raises(InputError, match="is a folder, expected the name of a file"):
        write_checkpoint(tmp_path, PublishedCheckpoint(args={}, model={}, optimizer_history=[], extra_state={}))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        import_checkpoint(tmp_path / "out.pt", tmp_path / "file")


# --- files that are wrong, or evil ------------------------------------------------------------------


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path, how=os.system):
        self.path, self.how = path, how

    def __reduce__(self):
        return self.how, (f"touch {self.path}" if self.how is os.system else f"open({str(self.path)!r}, 'w')",)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("how", [os.system, eval])
@pytest.mark.parametrize("inside", ["top", "args", "model", "meters"])
def test_evil_checkpoints_are_refused_and_never_run(tmp_path, legacy, how, inside):
    ran, path = tmp_path / "ran", tmp_path / "evil.pt"
    evil = Evil(ran, how)
    content = {
        "args": argparse.Namespace(arch="a", evil=evil if inside == "args" else None),
        "model": {"encoder.version": torch.ones(1), **({"evil": evil} if inside == "model" else {})},
        "extra_state": {"train_meters": {"evil": evil} if inside == "meters" else {}},
        "evil": evil if inside == "top" else None,
    }
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    shown = run("convert", "import", path, tmp_path / "out")
    assert shown.exit_code == 2
    assert not ran.exists()
    assert not (tmp_path / "out").exists()
    (sentence,) = shown.stderr.splitlines()
    assert str(path) in sentence
    assert "refused, because it would load" in sentence
    # It does run where nobody takes care.
    torch.load(path, weights_only=False)
    assert ran.exists()


@pytest.mark.parametrize("legacy", [True, False])
def test_other_classes_are_refused(tmp_path, legacy):
    path = tmp_path / "other.pt"
    torch.save({"args": PurePosixPath("a")}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"refused, because it would load pathlib\.PurePosixPath"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"args": Evil(tmp_path / "ran")}))
    with pytest.raises(InputError, match=r"other\.pt: "):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_allowed_does_not_leak(tmp_path, checkpoint_file):
    path = checkpoint_file("super")
    before = set(get_safe_globals())
    read_checkpoint(path)
    assert set(get_safe_globals()) == before
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        read_checkpoint(tmp_path / "none.pt")
    assert set(get_safe_globals()) == before
    # So our own checkpoints still hold plain values alone.
    with pytest.raises(InputError):
        checkpoints.load(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"activation_fn": "gelu"}, "args.activation_fn: 'gelu', expected 'relu'"),
        ({"decoder_normalize_before": True}, "args.decoder_normalize_before: True, expected False, as in the encoder"),
        ({"encoder_embed_dim": 80, "decoder_output_dim": 64}, "args.encoder_embed_dim: 80, expected 64, the largest"),
        ({"encoder_embed_choice": [64, 64]}, "encoder_embed_dim names a choice twice"),
        (
            {"decoder_arbitrary_ende_attn_choice": [3]},
            "decoder_arbitrary_ende_attn_choice: 3, expected one of [-1, 1, 2]",
        ),
        ({"encoder_embed_choice": None}, "args are malformed"),
        ({"qkv_dim": 48}, "the weights do not match the network that it describes"),
        ({"train_subtransformer": True}, "expected a positive whole number"),
        ({"source_lang": {"a": [torch.ones(1)]}}, "args.source_lang.a: holds a Tensor, expected plain values"),
    ],
)
def test_wrong_arguments_are_one_sentence(tmp_path, change, sentence, checkpoint_file):
    published, path = read_checkpoint(checkpoint_file("super")), tmp_path / "wrong.pt"
    depths = dict.fromkeys(("encoder_layer_num_subtransformer", "decoder_layer_num_subtransformer"))
    lists = {"encoder_ffn_embed_dim_all_subtransformer": [128]} if "train_subtransformer" in change else {}
    write_checkpoint(path, replace(published, args=published.args | depths | lists | change))
    shown = run("convert", "import", path, tmp_path / "out")
    assert (shown.exit_code, len(shown.stderr.splitlines())) == (2, 1)
    assert str(path) in shown.stderr
    assert sentence in shown.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda model: model.pop("encoder.layers.0.fc1.weight"), "Missing key(s)"),
        (lambda model: model.pop("decoder.layers.0.encoder_attn.in_proj_weight"), "is missing, or unknown"),
        (lambda model: model.pop("encoder.embed_tokens.weight"), "is missing, or unknown"),
        (lambda model: model.update(extra=torch.ones(1)), "the tensor extra is missing, or unknown"),
        (lambda model: model.update({"encoder.layers.9.fc1.bias": torch.ones(1)}), "Unexpected key(s)"),
        (lambda model: model.update({"encoder.layers.0.fc1.bias": torch.ones(1).half()}), "float16, float32"),
        (lambda model: model.update({"decoder.layers.0.encoder_attn.in_proj_bias": torch.ones(1)}), "not the tensors"),
    ],
)
def test_wrong_tensors_are_one_sentence(tmp_path, change, sentence, checkpoint_file):
    published, path = read_checkpoint(checkpoint_file("super")), tmp_path / "wrong.pt"
    change(published.model)
    write_checkpoint(path, published)
    shown = run("convert", "import", path, tmp_path / "out")
    assert (shown.exit_code, len(shown.stderr.splitlines())) == (2, 1)
    assert str(path) in shown.stderr
    assert sentence in shown.stderr


def test_files_that_are_something_else(tmp_path, checkpoint_file):
    whole = checkpoint_file("super").read_bytes()
    torch.save({"args": argparse.Namespace()}, tmp_path / "empty.pt")
    (tmp_path / "short.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pt").write_text("not a checkpoint")
    for name in ("empty.pt", "short.pt", "text.pt", "none.pt", "."):
        shown = run("convert", "import", tmp_path / name, tmp_path / "out")
        assert (shown.exit_code, len(shown.stderr.splitlines())) == (2, 1), shown.output
    shown = run("convert", "export", checkpoint_file("super"), tmp_path / "out.pt")
    assert (shown.exit_code, len(shown.stderr.splitlines())) == (2, 1)


def test_architecture_must_be_inside(tmp_path, checkpoint_file):
    sub = Architecture.from_dict(import_checkpoint(checkpoint_file("sub"), tmp_path / "sub")["architecture"])
    with pytest.raises(InputError, match=r"outside the space: encoder_embed_dim is 56, expected one of \[64, 48\]"):
        import_checkpoint(checkpoint_file("super"), tmp_path, replace(sub, encoder_embed_dim=56))
    with pytest.raises(InputError, match="contains a SubTransformer of a different Architecture"):
        import_checkpoint(checkpoint_file("sub"), tmp_path, replace(sub, encoder_embed_dim=64))


# --- architecture files -----------------------------------------------------------------------------

PUBLISHED = """\
encoder-embed-dim-subtransformer: 640
encoder-ffn-embed-dim-all-subtransformer: [3072, 1024]
encoder-self-attention-heads-all-subtransformer: [8, 4]
decoder-embed-dim-subtransformer: 512
decoder-ffn-embed-dim-all-subtransformer: [2048]
decoder-self-attention-heads-all-subtransformer: [8]
decoder-ende-attention-heads-all-subtransformer: [4]
decoder-arbitrary-ende-attn-all-subtransformer: [2]
encoder-layer-num-subtransformer: 2
decoder-layer-num-subtransformer: 1
"""


def test_architecture_files_both_ways(tmp_path):
    (tmp_path / "a.yml").write_text(PUBLISHED)
    assert run("convert", "architecture", tmp_path / "a.yml", tmp_path / "a.json").exit_code == 0
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "encoder_embed_dim": 640,
        "encoder_ffn_dim": [3072, 1024],
        "encoder_heads": [8, 4],
        "decoder_embed_dim": 512,
        "decoder_ffn_dim": [2048],
        "decoder_self_heads": [8],
        "decoder_cross_heads": [4],
        "decoder_cross_span": [3],
    }
    # An artifact that holds one does as well.
    (tmp_path / "b.json").write_text(json.dumps({"architecture": json.loads((tmp_path / "a.json").read_text())}))
    for name in ("a.json", "b.json"):
        assert run("convert", "architecture", tmp_path / name, tmp_path / "again.yml").exit_code == 0
        assert (tmp_path / "again.yml").read_text() == PUBLISHED


def test_architecture_files_that_cannot_be_written(tmp_path):
    (tmp_path / "a.yml").write_text(PUBLISHED)
    shown = run("convert", "architecture", tmp_path / "a.yml", tmp_path / "a.txt")
    assert (shown.exit_code, len(shown.stderr.splitlines())) == (2, 1)
    assert "ends in '.txt', expected .json" in shown.stderr
    with pytest.raises(InputError, match=r"the research code can express only \[1, 2, 3\]"):
        write_architecture(replace(read_architecture(tmp_path / "a.yml"), decoder_cross_span=(4,)), tmp_path / "b.yml")
