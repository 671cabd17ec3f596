import shutil
from pathlib import Path

import pytest

from hat.config.overrides import from_command_line, layered, parse
from hat.config.settings import Settings, budget_ms, merge, undotted
from hat.errors import InputError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path / "config"


def test_shipped_configuration_is_sound():
    settings = Settings(folder=ROOT / "config")
    assert {"demo", "bibleende", "iwslt14deen", "wmt14ende", "wmt14enfr", "wmt19ende"} <= set(settings.tasks)
    assert {"local", "rpi4"} <= set(settings.devices)


@pytest.mark.parametrize(("text", "value"), [("150ms", 150), ("3.5s", 3500), ("0.5ms", 0.5)])
def test_budgets(text, value):
    assert budget_ms(text) == value


@pytest.mark.parametrize("text", ["50", "ms", "-5ms", "0ms", "5 ms", "5m", "1e3ms", "5ms\n"])
def test_wrong_budgets(text):
    with pytest.raises(InputError, match="expected a positive NUMBERms or NUMBERs"):
        budget_ms(text)


def test_all_errors_at_once_with_file_and_key(folder):
    (folder / "tasks" / "demo.yaml").write_text((folder / "tasks" / "demo.yaml").read_text() + "colour: red\n")
    (folder / "devices" / "local.yaml").write_text("connection: telepathy\nbeam: 0\n")
    (folder / "spaces" / "odd.yaml").write_text("[1, 2")
    (folder / "config.yaml").write_text("tasks: {demo: {search: {parents: -1, levels: 0}}}\nscoring: {beam: none}\n")
    overrides = {"seed": "x", "search": {"population": 0}, "tasks.demo.search.parents": 0, "devices.xeon": {"beam": -2}}
    with pytest.raises(InputError) as caught:
        Settings(overrides, folder)
    text = str(caught.value)
    for expected in (
        "overrides (--config, --configfile, --set), seed: ",
        "tasks/demo.yaml, colour: unknown key, expected one of description, ",
        "devices/local.yaml, connection: input should be 'local' or 'ssh', got 'telepathy'",
        "devices/local.yaml, beam: ",
        "spaces/odd.yaml: not YAML",
        "overrides (--config, --configfile, --set), search.population: ",
        "overrides (--config, --configfile, --set), tasks.demo.search.parents: input should be greater than 0, got 0",
        "overrides (--config, --configfile, --set), devices.xeon.beam: input should be greater than 0, got -2",
        f"{folder}/config.yaml, tasks.demo.search.levels: input should be greater than 0, got 0",
        f"{folder}/config.yaml, scoring.beam: input should be a valid integer",
    ):
        assert text.count(expected) == 1, expected
    assert all("\n" not in line and len(line) > 20 for line in text.splitlines())


def test_unknown_names_list_the_known(folder):
    settings = Settings(folder=folder)
    with pytest.raises(InputError, match=r"task 'nosuch' is unknown, expected one of .*demo"):
        settings.task("nosuch")
    with pytest.raises(InputError, match=r"device 'x' is unknown, expected one of local, .*rpi4"):
        settings.device("x")
    with pytest.raises(InputError, match=r"tasks\.nosuch: unknown, expected one of"):
        Settings({"tasks": {"nosuch": {}}}, folder)


def test_precedence(folder, tmp_path):
    lowest = Settings(folder=folder).task("bibleende").search.iterations
    (folder / "config.yaml").write_text("search: {iterations: 21, population: 99}\n")
    assert Settings(folder=folder).task("bibleende").search.iterations == 21 != lowest
    file = tmp_path / "more.yaml"
    file.write_text("search.iterations: 22\n")
    overrides = from_command_line(None, [file], [])
    assert Settings(overrides, folder).task("bibleende").search.iterations == 22
    overrides = from_command_line('{"search": {"iterations": 20}}', [file], ["search={iterations: 23}"])
    chosen = Settings(overrides, folder).task("bibleende").search
    assert (chosen.iterations, chosen.population) == (23, 99)


def test_single_task_overrides_all_tasks(folder):
    settings = Settings({"scoring": {"beam": 2}, "tasks": {"demo": {"scoring": {"beam": 3}}}}, folder)
    assert settings.task("demo").scoring.beam == 3
    assert settings.task("bibleende").scoring.beam == 2


def test_another_kind_replaces_the_whole():
    corpus = {"kind": "bible", "train": [["k", "e"]]}
    assert merge({"corpus": corpus}, {"corpus": {"kind": "parallel"}}) == {"corpus": {"kind": "parallel"}}
    assert merge({"corpus": corpus}, {"corpus": {"x": 1}}) == {"corpus": {**corpus, "x": 1}}


def test_dotted_keys():
    assert undotted({"a.b.c": 1, "a": {"b.d": 2}}) == {"a": {"b": {"c": 1, "d": 2}}}
    assert layered([{"a.b": 1}, {"a": {"b": 2}}]) == {"a": {"b": 2}}


@pytest.mark.parametrize("argument", ["search", "=5", "a={"])
def test_wrong_set_arguments(argument):
    with pytest.raises(InputError, match="--set"):
        parse(argument)


def test_missing_configuration_folder(tmp_path):
    with pytest.raises(InputError, match=r"config\.yaml: no such file; run in the project's folder"):
        Settings(folder=tmp_path / "nowhere")
