"""A real fairseq beside ours: it reads our data and trains on it, gives the same translations, and we read its files.

It needs an environment of its own (docs/how-to/fairseq.md); the variable HAT_FAIRSEQ names its folder of programs.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_corpora
from web_server import WebServer

from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data import stages
from hat.data.binary.indexed import IndexedDataset
from hat.data.text.dictionary import Dictionary
from hat.model.transformer import Transformer
from hat.published.fairseq import read_checkpoint, write_checkpoint, write_data
from hat.runtime.base import Decoding
from hat.runtime.torch.runtime import TorchModel
from hat.space.architecture import Architecture
from hat.space.files import write_architecture
from hat.space.shape import Shape
from hat.train import checkpoints

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(os.environ.get("HAT_FAIRSEQ", ROOT / "build/fairseq-env/bin"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (PROGRAMS / "fairseq-train").exists(), reason=f"no fairseq in {PROGRAMS} (HAT_FAIRSEQ)"),
]
ARCHITECTURE = Architecture(
    encoder_embed_dim=32,
    encoder_ffn_dim=(64, 32, 64),
    encoder_heads=(4, 2, 4),
    decoder_embed_dim=32,
    decoder_ffn_dim=(64, 32),
    decoder_self_heads=(4, 2),
    decoder_cross_heads=(2, 4),
    decoder_cross_span=(1, 3),
)


def fairseq(program, *arguments):
    """Output of one of fairseq's programs."""
    environment = os.environ | {
        # Its checkpoints hold more than weights.
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(
        [str(PROGRAMS / program), *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with binarised data of ours, in our and fairseq's names, and a network that fairseq trained on it."""
    folder = tmp_path_factory.mktemp("fairseq")
    server = WebServer(tiny_corpora.wmt14ende()[0])
    settings = Settings(tiny_corpora.overrides("wmt14ende", server.url), ROOT / "config")
    results = Results(folder / "results")
    for stage in (stages.fetch_sources, stages.extract_corpus, stages.tokenise_corpus, stages.binarise_corpus):
        stage(TaskScope(settings, results, "wmt14ende"))
    server.close()
    write_data(TaskScope(settings, results, "wmt14ende"), folder / "data")
    write_architecture(ARCHITECTURE, folder / "architecture.yml")
    fairseq(
        "fairseq-train", folder / "data", "--user-dir", ROOT / "hat/fairseq_plugin",
        "--arch", "hat_subtransformer", "--subtransformer", folder / "architecture.yml", "--qkv-dim", 32,
        "--super-encoder-dim", 48, "--super-decoder-dim", 48, "--super-encoder-layers", 3, "--share-all-embeddings",
        "--dropout", 0.1, "--task", "translation", "--source-lang", "en", "--target-lang", "de",
        "--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--lr", 0.005, "--lr-scheduler", "inverse_sqrt",
        "--warmup-updates", 20, "--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1,
        "--max-tokens", 512, "--max-update", 60, "--seed", 1, "--cpu", "--no-epoch-checkpoints",
        "--save-dir", folder / "trained",
    )  # fmt: skip
    return folder, settings, results


def network_of(folder):
    config = json.loads((folder / "config.json").read_text())
    network = Transformer(Architecture.from_dict(config["architecture"]), Shape(**config["shape"]))
    network.load_state_dict(checkpoints.load(folder / "checkpoint.pt")["model"])
    return network.eval()


def generated(folder, checkpoint, beam, penalty):
    """Tokens and scores in nats of the best translations that fairseq-generate makes of the validation split."""
    output = fairseq(
        "fairseq-generate", folder / "data", "--user-dir", ROOT / "hat/fairseq_plugin", "--path", checkpoint,
        "--task", "translation", "--source-lang", "en", "--target-lang", "de", "--gen-subset", "valid",
        "--beam", beam, "--lenpen", penalty, "--max-len-a", 0, "--max-len-b", 40, "--min-len", 0, "--cpu",
        "--batch-size", 16,
    )  # fmt: skip
    found = re.findall(r"^H-(\d+)\t(\S+)\t(.*)$", output, re.MULTILINE)
    # It shows logarithms of base 2.
    return {int(number): (text, float(score) * 0.6931471805599453) for number, score, text in found}


@pytest.mark.parametrize(("beam", "penalty"), [(4, 0.6), (5, 1.0), (1, 1.0)])
def test_same_weights_give_the_same_tokens_and_scores(made, beam, penalty):
    folder, settings, results = made
    read_checkpoint(folder / "trained/checkpoint_last.pt", folder / "ours")
    # There and back: what fairseq reads is what we write.
    write_checkpoint(folder / "ours", folder / "back.pt", settings)
    theirs = generated(folder, folder / "back.pt", beam, penalty)
    network = network_of(folder / "ours")
    data, task = results.data("wmt14ende"), settings.task("wmt14ende")
    dictionary = Dictionary.load(data / "dict.de.txt")
    dataset = IndexedDataset(stages.binary_prefix(data, "validation", task, "en"))
    # One limit for all: that of fairseq depends on the longest sentence of a batch.
    decoding = Decoding(beam=beam, length_penalty=penalty, max_length_ratio=0, max_length_extra=40)
    assert len(theirs) == len(dataset) == 40
    found = TorchModel(network).translate([dataset[number].tolist() for number in range(len(dataset))], decoding)
    for number, best in enumerate(found):
        text, score = theirs[number]
        assert " ".join(dictionary.decode(best.tokens)) == text
        # Four decimals are shown.
        assert best.score == pytest.approx(score, abs=1e-4)


def test_fairseq_gives_the_same_with_its_own_checkpoint(made):
    folder, settings, _ = made
    read_checkpoint(folder / "trained/checkpoint_last.pt", folder / "ours")
    write_checkpoint(folder / "ours", folder / "back.pt", settings)
    own = generated(folder, folder / "trained/checkpoint_last.pt", 4, 0.6)
    assert generated(folder, folder / "back.pt", 4, 0.6) == own
    assert len(set(own.values())) > 10


def test_fairseq_preprocess_writes_what_we_write(made):
    folder, settings, results = made
    data, task = results.data("wmt14ende"), settings.task("wmt14ende")
    fairseq(
        "fairseq-preprocess", "--source-lang", "en", "--target-lang", "de",
        "--trainpref", data / "tokens/train", "--validpref", data / "tokens/validation",
        "--destdir", folder / "preprocessed", "--joined-dictionary", "--nwordssrc", 32768, "--nwordstgt", 32768,
        "--workers", 1,
    )  # fmt: skip
    ours, theirs = folder / "data", folder / "preprocessed"
    for name in ("dict.en.txt", "dict.de.txt"):
        assert (theirs / name).read_bytes() == (ours / name).read_bytes()
    for path in sorted(ours.glob("*.en-de.*")):
        assert (theirs / path.name).read_bytes() == path.read_bytes(), path.name
    dataset = IndexedDataset(theirs / "train.en-de.de")
    assert len(dataset) == len(IndexedDataset(stages.binary_prefix(data, "train", task, "de")))


def test_hat_imports_nothing_of_fairseq():
    code = (
        "import sys, hat.cli, hat.published.fairseq; sys.exit(any(name.startswith('fairseq') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
