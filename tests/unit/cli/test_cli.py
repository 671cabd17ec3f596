import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import hat
from hat.cli.app import app
from hat.cli.verbs import PANELS
from hat.deploy.translator import Translator
from hat.errors import HatError, InputError

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "pandas", "numpy", "matplotlib", "pydantic", "sklearn")


def run(*arguments, **options):
    return CliRunner().invoke(app, ["--config-dir", str(ROOT / "config"), *arguments], **options)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import hat.cli.app", HEAVY),
        ("import hat", (*HEAVY, "hat.deploy.translator", "rich", "typer", "yaml")),
        # What a device has no need of.
        (
            "import hat; hat.Translator.from_folder",
            ("torch", "pandas", "matplotlib", "sklearn", "typer"),
        ),
    ],
    ids=["help", "hat", "Translator"],
)
def test_imports_are_light(code, heavy):
    code = f"import sys; {code}; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_package_offers_the_translator_alone():
    assert hat.Translator is Translator
    with pytest.raises(AttributeError, match="module 'hat' has no attribute 'translate'"):
        hat.translate  # noqa: B018


@pytest.mark.parametrize(
    "verb",
    [
        "data fetch",
        "data extract",
        "data tokenise",
        "data binarise",
        "supertransformer train",
        "latency choose",
        "latency sample",
        "latency collect",
        "latency fit",
        "latency range",
        "latency measure",
        "budgets",
        "search",
        "search-front",
        "search-objectives",
        "subtransformer translate",
        "subtransformer train",
        "export",
        "score",
        "translate",
        "serve",
        "figures",
        "table",
        "tables",
        "compression",
        "report",
        "status",
        "explain",
        "profile",
        "convert import",
        "convert export",
        "convert architecture",
        "config check",
        "config default",
        "config schema",
        "config docs",
    ],
)
def test_every_verb_has_help(verb):
    result = run(*verb.split(), "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def commands(group=None, words=()):
    """Every verb with the words that call it, families too."""
    group = group or get_command(app)
    context = group.make_context("hat", [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield command, (*words, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*words, name))


def test_help_shows_every_verb_once_in_panels_and_in_the_order_of_use(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("--help").output.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("╭─")] == ["Options", *PANELS]
    order = [name for names in PANELS.values() for name in names]
    assert sorted(order) == sorted(words[0] for _, words in commands() if len(words) == 1)
    shown = lines[next(number for number, line in enumerate(lines) if "Pipeline" in line) :]
    # A line for each: the text fits.
    assert [line.split()[1] for line in shown if line.startswith("│")] == order
    for earlier, later in pairwise(("data", "supertransformer", "shortlist", "latency", "budgets", "search", "export")):
        assert order.index(earlier) < order.index(later)


def test_each_verb_of_a_family_has_a_line_in_help(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    families = [(command, words) for command, words in commands() if hasattr(command, "list_commands")]
    assert len(families) > 9
    for family, words in families:
        shown = run(*words, "--help").output.partition("─ Commands ─")[2].splitlines()
        context = family.make_context("hat", [], resilient_parsing=True)
        assert [line.split()[1] for line in shown if line.startswith("│")] == family.list_commands(context)


def test_flags_take_no_value_and_help_shows_none():
    flags = 0
    for command, words in commands():
        context = command.make_context("hat", [], resilient_parsing=True)
        for parameter in command.get_params(context):
            if isinstance(parameter.default, bool) or parameter.name == "help":
                assert parameter.is_flag, (words, parameter.name)
                flags += 1
        assert "<bool>" not in run(*words, "--help").output
    assert flags > 80


def test_help_texts_start_with_a_capital_and_end_as_a_sentence():
    for command, words in commands():
        context = command.make_context("hat", [], resilient_parsing=True)
        texts = [command.help, *(parameter.help for parameter in command.get_params(context))]
        for text in texts:
            assert text and text[0].isupper() | (text[:10] == "config.yaml"), (words, text)
            assert text.endswith("."), (words, text)
            assert "\n" not in text.strip(), (words, text)
            assert len(text) <= 80, (words, text)


def test_sound_configuration():
    result = run("config", "check", "--json")
    assert result.exit_code == 0
    assert "demo" in json.loads(result.stdout)["tasks"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--set", "seed=x", "config", "check"],
            "hat: overrides (--config, --configfile, --set), seed: input should be a valid integer",
        ),
        (["--set", "seed", "config", "check"], "hat: --set seed: expected KEY=VALUE"),
        (["--configfile", "/nowhere.yaml", "config", "check"], "hat: /nowhere.yaml: no such file"),
        (["data", "fetch", "nosuch"], "hat: task 'nosuch' is unknown, expected one of"),
        (["table", "demo", "nosuch"], "hat: device 'nosuch' is unknown, expected one of"),
        (["config", "schema", "nosuch"], "hat: schema 'nosuch' is unknown, expected one of config"),
        (["translate", "--model", "/nowhere", "a"], "/nowhere"),
    ],
)
def test_mistakes_end_in_a_sentence(arguments, sentence):
    result = run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("error", "code"), [(HatError("disk"), 1), (InputError("key"), 2), (KeyboardInterrupt(), 130)])
def test_exit_codes(monkeypatch, error, code):
    def fail(*_):
        raise error

    monkeypatch.setattr("hat.config.documents.default_file", fail)
    result = run("config", "default")
    assert result.exit_code == code
    assert result.stderr == (f"hat: {error}\n" if code != 130 else "")


def test_reader_that_goes_away_is_no_error():
    command = f"{Path(sys.executable).with_name('hat')} config schema task | head -c 1"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in shown.stderr
