"""Published networks from the catalogue to their scores, with a reference checkpoint put where a download would be."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from published_splits import packed_splits
from reference import ARCHITECTURES
from typer.testing import CliRunner

from hat.artifacts.layout import Results
from hat.cli.app import app
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data.sources.download import location
from hat.data.sources.web import Transfer
from hat.published.catalogue import catalogue, published_model
from hat.published.checkpoint import read_checkpoint
from hat.published.stages import export, get, make_data, measure, score_published
from hat.schemas.catalogue import check
from hat.space.published_form import to_published

ROOT = Path(__file__).parents[2]
NAME = "HAT_wmt14ende_xeon@278.7ms_bleu@27.9"


def test_catalogue_is_complete():
    entries = list(catalogue().values())
    subs = [entry for entry in entries if entry.kind == "sub"]
    assert (len(subs), len(entries)) == (44, 48)
    assert len({entry.url for entry in entries}) == 48
    spaces = Settings(folder=ROOT / "config").spaces
    for entry in subs:
        # The name says what was published.
        number, unit, bleu = re.search(r"@([\d.]+)(ms|s)_bleu@([\d.]+)$", entry.name).groups()
        assert entry.latency_ms == pytest.approx(float(number) * (1000 if unit == "s" else 1))
        assert entry.bleu == float(bleu) > entry.sacrebleu
        architecture = entry.parsed_architecture()
        if architecture is not None:
            space = spaces["iwslt" if "iwslt" in entry.name else "wmt"]
            assert set(architecture.encoder_ffn_dim) <= set(space.encoder_ffn_dim)
    unknown = [entry.name for entry in subs if entry.architecture is None]
    assert unknown == ["HAT_wmt14ende_titanxp@57.1ms_bleu@25.8"]


def test_catalogue_agrees_with_the_reference():
    with open(ARCHITECTURES, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 30
    for row in rows:
        entry = published_model(row["name"])
        assert entry.sacrebleu == float(row["readme_sacrebleu"])
        assert (entry.params_m, entry.flops_g) == (float(row["readme_params_M"]), float(row["readme_flops_G"]))
        published = to_published(entry.parsed_architecture())
        depth = int(row["decoder_layer_num"])
        for theirs, ours in (
            ("decoder_arbitrary_ende_attn", "decoder-arbitrary-ende-attn-all-subtransformer"),
            ("decoder_ffn_embed_dim", "decoder-ffn-embed-dim-all-subtransformer"),
            ("decoder_ende_attention_heads", "decoder-ende-attention-heads-all-subtransformer"),
        ):
            assert list(published[ours]) == json.loads(row[theirs])[:depth]


def test_list_and_unknown_names(tmp_path):
    shown = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)
    assert len(shown) == 48
    failed = CliRunner().invoke(app, ["--results", str(tmp_path), "models", "get", "HAT_wmt14ende_xeon@1ms"])
    assert failed.exit_code == 2
    assert "expected one of the 48 of `hat models list`, such as HAT_wmt14ende_xeon@137.9ms_bleu@25.8" in failed.stderr


def test_without_the_network_it_says_where_to_put_the_file(tmp_path, monkeypatch):
    # Nothing answers there.
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr("hat.data.sources.download.Transfer", lambda: Transfer(attempts=1))
    failed = CliRunner().invoke(app, ["--results", str(tmp_path), "models", "get", NAME])
    assert failed.exit_code == 1
    message = " ".join(failed.stderr.split())
    assert "could not be downloaded" in message
    assert f"put the file by hand at {location(published_model(NAME).source, tmp_path / 'downloads')}" in message


def test_a_file_put_by_hand_is_converted_measured_and_scored(tmp_path, capsys, checkpoint_file):
    results = Results(tmp_path / "results")
    file = checkpoint_file("sub")
    weights = read_checkpoint(file).model
    sizes = [weights[f"{side}.embed_tokens.weight"].size(0) for side in ("encoder", "decoder")]
    place = location(published_model(NAME).source, results.downloads)
    place.parent.mkdir(parents=True)
    shutil.copyfile(file, place)
    config = get(results, NAME)
    assert config["architecture"]
    # The reference checkpoint is a small one of the same content.
    assert "contains another Architecture than was published" in capsys.readouterr().err
    source = {"kind": "file", "path": str(packed_splits(tmp_path, sizes))}
    small = {"latency": {"passes": 1, "repeats": 1, "source_length": 5, "target_length": 5}}
    task = {"data": {"archive": source}, **small, "scoring": {"max_length_extra": 8}}
    local = {"connection": "local", "runtime": "torch", "precision": "fp32", "threads": 1}
    settings = Settings({"tasks": {"wmt14ende": task}, "devices": {"local": local}}, ROOT / "config")
    make_data(TaskScope(settings, results, "wmt14ende"))
    export(settings, results, NAME, "local")
    latency = json.loads(measure(settings, results, NAME, "local").read_text())
    assert latency["latency_ms"] > 0
    assert (latency["published_latency_ms"], latency["published_hardware"]) == (278.7, "Intel Xeon E5-2640")
    score = json.loads(score_published(settings, results, NAME, "local").read_text())
    assert score["sentences"] == 12
    assert score["published_bleu_of_words"] == 27.9
    assert score["bleu_of_words_signature"].endswith("compounds:parted")
    folder = results.root / "published" / NAME
    first, signature = (folder / "bleu.txt").read_text().splitlines()
    assert float(first) == pytest.approx(score["bleu"], abs=0.01)
    assert check(results.root)[1] == []
    assert "sacreBLEU" in signature or "nrefs:1" in signature
    assert torch.load(folder / "subtransformer/checkpoint.pt", weights_only=True)["published"]["args"]
