"""The stage of the shortlist on a tiny task: words aligned, a size chosen, used by what is deployed and measured."""

import shutil

import numpy as np
import pytest
import torch
from toy_training import WORDS, make_project

from hat.artifacts.files import read_json, read_jsonl
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, DeviceScope, TaskScope
from hat.config.settings import Settings
from hat.data.binary.batches import PairedSplit, spread_numbers
from hat.data.corpora.splits import raw_path
from hat.data.stages import codes_path
from hat.data.validation_texts import ValidationTexts
from hat.deploy.export import export_model
from hat.errors import InputError
from hat.measure.workload import workload_of
from hat.runtime.base import synthetic_sentence
from hat.runtime.shortlist import Shortlist
from hat.schemas.catalogue import artifact
from hat.search.bleu_objective import BleuOfInherited
from hat.search.compare_objectives import compare_objectives
from hat.shortlist import alignment, trial
from hat.shortlist.alignment import align, make_lexicon
from hat.shortlist.lexicon import Lexicon
from hat.shortlist.stages import make_task_shortlist
from hat.shortlist.stored import deployed_shortlist
from hat.space.search_space import SearchSpace
from hat.train.inherited_loss import InheritedLoss
from hat.train.stages import train_baseline, train_supertransformer

LADDER = {"frequent": [1, 4], "translations": [1, 2, 30], "validation_sentences": 20}
BASELINE = """
network:
  {kind: transformer, qkv_dim: 16, encoder_embed_dim: 16, encoder_ffn_dim: [16], encoder_heads: [2],
   decoder_embed_dim: 16, decoder_ffn_dim: [16], decoder_self_heads: [2], decoder_cross_heads: [2],
   decoder_cross_span: [1]}
training: {updates: 5}
"""


def settings_of(root, **overrides):
    wanted = {"updates": 60, "validate_every": 60, "save_every": 60, "average_checkpoints": 1}
    task = {"supertransformer": wanted, "shortlist": LADDER | overrides}
    return Settings({"tasks": {"toy": task}}, root / "config")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the toy task, its text and its trained SuperTransformer."""
    root = tmp_path_factory.mktemp("trained")
    _, results = make_project(root)
    (root / "config/devices/here.yaml").write_text("connection: local\n")
    (root / "config/devices/plain.yaml").write_text("connection: local\nshortlist: false\n")
    (root / "config/baselines").mkdir()
    (root / "config/baselines/small.yaml").write_text(BASELINE)
    settings, data = settings_of(root), results.data("toy")
    codes_path(data).write_text("#version: 0.2\nw 0</w>\n")
    (data / "raw").mkdir()
    split = PairedSplit(data, settings.task("toy"), "validation")
    for side, language in ((split.source, "en"), (split.target, "de")):
        lines = (" ".join(f"w{number - 4}" for number in side[i][:-1]) for i in range(len(side)))
        raw_path(data, "validation", language).write_text("".join(f"{line}\n" for line in lines))
    train_supertransformer(TaskScope(settings, results, "toy"))
    return root


@pytest.fixture
def project(trained, tmp_path):
    """A copy of it."""
    shutil.copytree(trained, tmp_path / "copy")
    return settings_of(tmp_path / "copy"), Results(tmp_path / "copy/results")


def test_alignment_finds_the_translations(project):
    settings, results = project
    split = PairedSplit(results.data("toy"), settings.task("toy"), "train")
    lexicon = align(split.source, split.target, np.arange(len(split)))
    best = {token: found.tolist() for token, found in lexicon.best(1).translations().items()}
    assert best == {token: [token + 1] for token in range(4, 4 + WORDS - 1)}


def test_parts_are_kept_and_give_one_lexicon(project, monkeypatch, tmp_path):
    settings, results = project
    split = PairedSplit(results.data("toy"), settings.task("toy"), "train")
    monkeypatch.setattr(alignment, "PART", 100)
    aligned = []

    def interrupted(source, target, numbers):
        if len(aligned) == 2:
            raise KeyboardInterrupt
        aligned.append(numbers.tolist())
        return align(source, target, numbers)

    monkeypatch.setattr(alignment, "align", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_lexicon(split, 270, tmp_path, "data")
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["lexicon-0.npz", "lexicon-1.npz"]
    monkeypatch.setattr(alignment, "align", align)
    first = make_lexicon(split, 270, tmp_path, "data")
    assert [path.name for path in tmp_path.glob("*.npz")] == ["lexicon.npz"]
    monkeypatch.setattr(alignment, "align", interrupted)
    again = make_lexicon(split, 270, tmp_path, "data")
    assert np.array_equal(first.counts, again.counts)
    # Parts of the same sentences, whatever the run; other data are aligned anew.
    assert aligned == [spread_numbers(300, 270)[part::3].tolist() for part in range(2)]
    with pytest.raises(KeyboardInterrupt):
        make_lexicon(split, 270, tmp_path, "other data")
    assert not list(tmp_path.glob("*.npz"))


def test_sentences_are_spread_evenly():
    assert spread_numbers(10, 99).tolist() == list(range(10))
    assert spread_numbers(10, 4).tolist() == [0, 3, 6, 9]


def test_the_smallest_good_size_is_written(project):
    settings, results = project
    path = make_task_shortlist(TaskScope(settings, results, "toy"))
    content = read_json(path)
    # A source word has one translation: more of them, or frequent ones, are not needed.
    assert content["chosen"] == {"frequent": 1, "translations": 1}
    assert len(content["sizes"]) == 6
    chosen = next(row for row in content["sizes"] if row["verdict"] == "chosen")
    assert chosen["bleu_loss"] < 0.1
    assert chosen["mean_candidates"] < 15
    assert content["sentences"] == 20
    assert content["provenance"]["configuration"]
    shortlist = deployed_shortlist(DeviceScope(settings, results, "toy", "here"))
    assert all(token + 1 in shortlist.candidates([token, 2]) for token in range(4, 4 + WORDS - 1))
    assert (path.parent / "vmap.txt").read_text().startswith("\t<s> </s> <unk> w")


def test_again_nothing_is_aligned_or_translated(project, monkeypatch):
    settings, results = project
    path = make_task_shortlist(TaskScope(settings, results, "toy"))
    content, words = read_json(path), (path.parent / "vmap.txt").read_bytes()

    def never(*arguments):
        raise AssertionError("was made before")

    monkeypatch.setattr(alignment, "align", never)
    monkeypatch.setattr(trial.TorchModel, "translate", never)
    path.unlink()
    again = read_json(make_task_shortlist(TaskScope(settings, results, "toy")))
    assert again.pop("provenance").keys() == content.pop("provenance").keys()
    assert again == content
    assert (path.parent / "vmap.txt").read_bytes() == words
    # Another ladder is not aligned anew either.
    monkeypatch.undo()
    monkeypatch.setattr(alignment, "align", never)
    make_task_shortlist(TaskScope(settings_of(settings.folder.parent, frequent=[2]), results, "toy"))


def test_a_kill_between_translations_loses_one_at_most(project, monkeypatch):
    settings, results = project
    log, translate = results.shortlist("toy") / "partial/translations.jsonl", trial.TorchModel.translate

    def killed(model, sources, decoding):
        if len(read_jsonl(log)) == 1:
            raise KeyboardInterrupt
        return translate(model, sources, decoding)

    monkeypatch.setattr(trial.TorchModel, "translate", killed)
    with pytest.raises(KeyboardInterrupt):
        make_task_shortlist(TaskScope(settings, results, "toy"))
    assert not (results.shortlist("toy") / "shortlist.json").exists()
    monkeypatch.setattr(trial.TorchModel, "translate", translate)
    kept = read_jsonl(log)
    make_task_shortlist(TaskScope(settings, results, "toy"))
    assert len(kept) == 1
    assert read_jsonl(log)[:1] == kept


def test_none_is_good_enough(project, capsys):
    settings, results = project
    make_task_shortlist(TaskScope(settings, results, "toy"))
    # Links that help nobody; what was made with the good ones does not stay.
    words = np.arange(4, 4 + WORDS - 1)
    Lexicon(words, np.full(len(words), 9), words).save(results.shortlist("toy") / "partial/lexicon.npz")
    content = read_json(make_task_shortlist(TaskScope(settings, results, "toy")))
    assert content["chosen"] is None
    assert {row["verdict"] for row in content["sizes"]} == {"covers too little"}
    assert "toy: every shortlist loses more than 0.1 BLEU" in capsys.readouterr().out
    assert not (results.shortlist("toy") / "vmap.txt").exists()
    assert deployed_shortlist(DeviceScope(settings, results, "toy", "here")) is None
    assert workload_of(DeviceScope(settings, results, "toy", "here")).candidates is None


def test_what_is_deployed_and_measured_has_it(project):
    settings, results = project
    train_baseline(TaskScope(settings, results, "toy"), "small")
    with pytest.raises(InputError, match=r"shortlist\.json: no such file"):
        export_model(BudgetScope(settings, results, "toy", "here", "small"))
    with pytest.raises(InputError, match=r"shortlist\.json: no such file"):
        workload_of(DeviceScope(settings, results, "toy", "here"))
    make_task_shortlist(TaskScope(settings, results, "toy"))
    network = export_model(BudgetScope(settings, results, "toy", "here", "small")) / "network"
    original = (results.shortlist("toy") / "vmap.txt").read_bytes()
    assert (network / "vmap.txt").read_bytes() == original
    shortlist = deployed_shortlist(DeviceScope(settings, results, "toy", "here"))
    assert isinstance(shortlist, Shortlist)
    measured = workload_of(DeviceScope(settings, results, "toy", "here"), "small")
    made = synthetic_sentence(measured.shape.source_vocabulary, measured.source_length)
    assert measured.candidates == len(shortlist.candidates(made)) < 4 + WORDS
    (results.shortlist("toy") / "vmap.txt").unlink()
    with pytest.raises(InputError, match=r"vmap\.txt: no such file, although shortlist\.json beside it"):
        deployed_shortlist(DeviceScope(settings, results, "toy", "here"))


def test_neither_device_nor_task_need_one_that_want_none(project):
    settings, results = project
    without = settings_of(settings.folder.parent, enabled=False)
    for chosen, device in ((settings, "plain"), (without, "here")):
        assert not chosen.uses_shortlist("toy", device)
        assert deployed_shortlist(DeviceScope(chosen, results, "toy", device)) is None
        assert workload_of(DeviceScope(chosen, results, "toy", device)).candidates is None
    with pytest.raises(InputError, match=r"toy\.yaml, shortlist\.enabled: false, expected true"):
        make_task_shortlist(TaskScope(without, results, "toy"))
    train_baseline(TaskScope(settings, results, "toy"), "small")
    assert not (export_model(BudgetScope(settings, results, "toy", "plain", "small")) / "network/vmap.txt").exists()


@pytest.fixture
def eloquent(project):
    """The project with a network that says something, part of which is right, and its BLEU on validation sentences."""
    settings, results = project
    task = {"search": {"validation_sentences": 20, "workers": 2}, "shortlist": LADDER}
    settings = Settings({"tasks": {"toy": task}}, settings.folder)
    # So small a network ends every sentence at once. One of random weights says something, though nothing right, so
    # every other reference is made what it says.
    path = results.supertransformer("toy") / "checkpoint.pt"
    checkpoint = torch.load(path, weights_only=True)
    torch.manual_seed(1)
    for tensor in checkpoint["model"].values():
        tensor.normal_()
    torch.save(checkpoint, path)
    texts = ValidationTexts(TaskScope(settings, results, "toy"), 20)
    raw = raw_path(results.data("toy"), "validation", "de")
    lines = raw.read_text().splitlines()
    said = texts.decoded(trial.Trial(TaskScope(settings, results, "toy"), "").whole)
    for number, line in list(zip(texts.numbers, said, strict=True))[::2]:
        lines[number] = line
    raw.write_text("".join(f"{line}\n" for line in lines))
    bleu = trial.Trial(TaskScope(settings, results, "toy"), "").score(None).bleu
    assert 10 < bleu < 90
    return settings, results, bleu


def test_bleu_as_objective_is_that_of_the_same_translations(eloquent):
    settings, results, bleu = eloquent
    largest = SearchSpace(settings.space_of("toy")).largest
    found = BleuOfInherited(TaskScope(settings, results, "toy"))
    assert found.bleu(largest) == pytest.approx(bleu)
    assert list(found.sums([(largest, 0, 1)])) == [([pytest.approx(100 - bleu)], [1.0])]


def test_objectives_are_compared_over_drawn_architectures(eloquent):
    settings, results, bleu = eloquent
    with pytest.raises(InputError, match="--count is 2, expected at least 3"):
        compare_objectives(TaskScope(settings, results, "toy"), 2)
    path = compare_objectives(TaskScope(settings, results, "toy"), 6)
    assert artifact("objectives").problems(path) == []
    content = read_json(path)
    values = {row["digest"]: row for row in content["values"]}
    space = SearchSpace(settings.space_of("toy"))
    assert len(values) == content["architectures"] == 6
    assert values[space.largest.digest]["bleu"] == pytest.approx(bleu)
    loss, smallest = InheritedLoss(TaskScope(settings, results, "toy")), space.smallest
    # The evaluator takes the sentences in pieces: in batches of another size kernels may add fp32 products differently.
    assert values[smallest.digest]["validation_loss"] == pytest.approx(loss(smallest), rel=1e-6)
    low, high = content["kendall_tau_95_percent"]
    assert -1 <= low <= content["kendall_tau"] <= high <= 1
    # Evaluations are kept: again, nothing is evaluated.
    kept = results.evaluations("toy").read_text()
    assert read_json(compare_objectives(TaskScope(settings, results, "toy"), 6))["values"] == content["values"]
    assert results.evaluations("toy").read_text() == kept
