"""Translations of a teacher: made by one process or several, killed and gone on with, learnt from."""

import json

import pytest

from hat.config.scope import BudgetScope, TaskScope
from hat.config.settings import Settings
from hat.data.binary.batches import PairedSplit
from hat.data.text.special_tokens import END
from hat.errors import HatError, InputError
from hat.runtime.torch.runtime import TorchModel
from hat.schemas.catalogue import artifact
from hat.space.search_space import SearchSpace
from hat.train import translated
from hat.train.processes import TrainingResources
from hat.train.stages import train_subtransformer, train_supertransformer


class Killed(Exception):
    pass


def test_a_subtransformer_can_learn_from_translations(project, monkeypatch):
    results = project[1]
    short = {"teacher": "supertransformer", "distillation": "sequence", "updates": 2, "validate_every": 2}
    settings = Settings({"tasks": {"toy": {"subtransformer": short}}}, folder=project[0].folder)
    train_supertransformer(TaskScope(settings, results, "toy"))
    place = results.budget("toy", "local", "5ms")
    place.mkdir(parents=True)
    smallest = SearchSpace(settings.space_of("toy")).smallest
    (place / "architecture.json").write_text(json.dumps({"architecture": smallest.to_dict()}))
    with pytest.raises(InputError, match=r"translated\.json: no such file"):
        train_subtransformer(BudgetScope(settings, results, "toy", "local", "5ms"))
    # Killed after some batches: what was translated is not translated again.
    original, seen = TorchModel.translate, []

    def translate(self, sources, decoding):
        if len(seen) == 2:
            raise Killed
        seen.append(len(sources))
        return original(self, sources, decoding)

    monkeypatch.setattr(translated, "BATCH_TOKENS", 500)
    monkeypatch.setattr(TorchModel, "translate", translate)
    with pytest.raises(Killed):
        translated.translate_training(TaskScope(settings, results, "toy"))
    again = []

    def count(self, sources, decoding):
        again.append(len(sources))
        return original(self, sources, decoding)

    monkeypatch.setattr(TorchModel, "translate", count)
    partial = results.translated("toy", "supertransformer") / "partial" / "translations.jsonl"
    with open(partial, "a") as stream:
        stream.write('{"number":3,"tok')
    translated.translate_training(TaskScope(settings, results, "toy"))
    made = results.translated("toy", "supertransformer") / "translated.json"
    assert artifact("translated").problems(made) == []
    text = PairedSplit(results.data("toy"), settings.task("toy"), "train")
    assert sum(seen) + sum(again) == len(text)
    made = PairedSplit(
        results.data("toy"),
        settings.task("toy"),
        "train",
        translated.translated_prefix(TaskScope(settings, results, "toy"), "supertransformer"),
    )
    assert len(made.target) == len(text)
    assert all(sentence[-1] == END for sentence in made.target)
    train_subtransformer(BudgetScope(settings, results, "toy", "local", "5ms"))
    path = results.budget("toy", "local", "5ms") / "subtransformer" / "config.json"
    taught = json.loads(path.read_text())["taught_by"]
    identity = json.loads((results.translated("toy", "supertransformer") / "translated.json").read_text())["identity"]
    assert taught == {"name": "supertransformer", "distillation": "sequence", "translations": identity}


def test_translations_do_not_depend_on_the_number_of_processes(project, monkeypatch):
    results = project[1]
    short = {"teacher": "supertransformer", "distillation": "sequence"}
    settings = Settings({"tasks": {"toy": {"subtransformer": short}}}, folder=project[0].folder)
    train_supertransformer(TaskScope(settings, results, "toy"))
    monkeypatch.setattr(translated, "BATCH_TOKENS", 100)
    processes, original = [], translated.map_chunks
    monkeypatch.setattr(translated, "map_chunks", lambda *given: processes.append(given[2]) or original(*given))
    made = []
    for threads in (1, 2):
        partial = results.translated("toy", "supertransformer") / "partial" / "translations.jsonl"
        partial.unlink(missing_ok=True)
        translated.translate_training(TaskScope(settings, results, "toy"), TrainingResources(threads=threads))
        made.append(
            translated.translated_prefix(TaskScope(settings, results, "toy"), "supertransformer")
            .with_suffix(".bin")
            .read_bytes()
        )
    assert processes == [1, 2]
    assert made[0] == made[1]
    with pytest.raises(HatError, match="64 GPUs are required"):
        translated.translate_training(TaskScope(settings, results, "toy"), TrainingResources(threads=1, gpus=64))
