"""The documentation: built strictly, its commands exist, its targets are taken, its examples run."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from hat.artifacts.layout import Results
from hat.cli.app import app
from hat.config.settings import Settings
from hat.workflow.targets import check_targets

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "config" / "README.md"]
BLOCK = re.compile(r"(?P<run><!-- run -->\n\s*)?^(?P<indent> *)```sh\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Folders with files that name pages.
NAMING = ("hat", "tests", "workflow", "config", "docs")
# What stands for a name of the reader's.
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|\[|…|\.\.\.|\bNAME\b")


def blocks(path):
    """Shell blocks of a page: whether they are to be run, and their commands."""
    for match in BLOCK.finditer(path.read_text()):
        lines = [line.removeprefix(match["indent"]) for line in match["code"].splitlines()]
        yield bool(match["run"]), "\n".join(lines) + "\n"


def commands(program):
    """Calls of a program in the shell blocks of all pages: page and arguments."""
    for path in PAGES:
        # Indented blocks show how a verb is called, optional parts in brackets.
        shown = re.findall(rf"^ {{4}}({program} .*)$", path.read_text(), re.MULTILINE)
        plain = "\n".join(re.sub(r"[\[\]]", "", line) for line in shown)
        for code in [plain, *(code for _, code in blocks(path))]:
            for line in code.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\||;", line.partition(" #")[0]):
                    words = re.findall(r"'[^']*'|\"[^\"]*\"|\S+", part)
                    if words[:1] == [program]:
                        yield path.name, [word.strip("'\"") for word in words[1:]]


def known(page, words):
    """Follow the words of a call through the command line."""
    command, said = typer.main.get_command(app), f"{page}: hat {' '.join(words)}"
    left = list(words)
    while left:
        word = left.pop(0)
        if word in ("<", ">"):
            break
        if word.startswith("-"):
            options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
            options |= dict.fromkeys(["--help", "-h"])
            assert word in options, f"{said}: there is no option {word}"
            if options[word] is not None and not getattr(options[word], "is_flag", False):
                left = left[1:]
        elif hasattr(command, "commands"):
            if PLACEHOLDER.search(word):
                return
            assert word in command.commands, f"{said}: there is no verb {word}"
            command = command.commands[word]
    assert not hasattr(command, "commands") or not words or words[0].startswith("-"), f"{said}: lacks a verb"


def test_every_command_exists():
    calls = list(commands("hat"))
    assert len(calls) > 20
    for page, words in calls:
        known(page, words)


def test_every_target_is_taken():
    settings = Settings(folder=ROOT / "config")
    targets = set()
    for _, words in commands("snakemake"):
        targets |= {word for word in words if word.startswith("results/") and not PLACEHOLDER.search(word)}
    # Those of devices and tasks that the pages themselves add.
    own = {target for target in targets if not re.search(r"\b(mine|mine-local|demo-mine|report\.html)\b", target)}
    assert len(own) > 8
    check_targets(own, settings, Results("results"), will_run=False)


def test_a_command_that_does_not_exist_is_found():
    with pytest.raises(AssertionError, match="there is no verb nosuch"):
        known("page", ["nosuch", "x"])
    with pytest.raises(AssertionError, match="there is no option --nosuch"):
        known("page", ["score", "a", "b", "--nosuch"])


def test_the_picture_of_the_workflow_shows_its_rules():
    """The committed picture, which a plain view of the Markdown shows too, is that of today's rules."""
    drawn = ROOT / "docs/images/workflow.svg"
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)

    def content(picture):
        return sorted(re.findall(r"<text[^>]*>([^<]+)", picture)), picture.count("<path")

    assert content(drawn.read_text()) == content(hooks.workflow()), "run `python docs/hooks.py`"


def test_every_page_that_is_named_exists():
    """Code, configuration and pages that name a page of the documentation."""
    named = set()
    for path in [*ROOT.glob("*.*"), *(path for name in NAMING for path in (ROOT / name).rglob("*"))]:
        if path.suffix in {".py", ".md", ".smk", ".yaml", ".yml", ".toml", ".json", ".rst"} and path.is_file():
            named |= set(re.findall(r"\bdocs/[\w/-]+\.(?:md|svg|png)", path.read_text()))
    assert len(named) > 20
    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []


def test_packages_are_listed_in_the_order_of_their_imports():
    text = (ROOT / "docs/development/index.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    folders = {path.parent.name for path in (ROOT / "hat").glob("*/__init__.py")}
    assert set(listed) == folders - {"fairseq_plugin"}
    wrong = []
    for place, package in enumerate(listed):
        for path in (ROOT / "hat" / package).rglob("*.py"):
            imported = re.findall(r"^\s*(?:from|import) hat\.(\w+)", path.read_text(), re.MULTILINE)
            wrong += [(path.name, other) for other in imported if other in listed[place + 1 :]]
    assert wrong == []


def test_the_site_is_built_strictly(tmp_path):
    pytest.importorskip("mkdocs", reason="needs mkdocs-material; it is in the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    verbs = (tmp_path / "reference/cli.html").read_text()
    assert "hat latency range" in verbs and "--threads" in verbs
    assert "supertransformer.updates" in (tmp_path / "reference/configuration.html").read_text()
    # Pages load nothing from elsewhere.
    loaded = re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"(https?://[^\"]+)", (tmp_path / "index.html").read_text())
    assert loaded == []
    for page, depth in (("index.html", ""), ("reference/cli.html", "../")):
        assert f'<script src="{depth}search-from-disk.js">' in (tmp_path / page).read_text(), page
    _search_from_disk(tmp_path)


def _search_from_disk(site):
    """Look for a word on a page that is opened from disk, without any network."""
    chromium = shutil.which("chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if chromium is None:
        pytest.skip("the search needs Chromium; on Debian the package chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": 1300, "height": 900}, offline=True).new_page()
        page.set_default_timeout(300_000)
        page.goto((site / "index.html").as_uri())
        page.wait_for_function("window.Worker === window.IFrameWorker && document.querySelector('iframe')")
        page.keyboard.press("/")
        page.locator(".md-search__input").press_sequentially("conformal")
        page.wait_for_selector(".md-search-result__item a[href*='predictor.html']")
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in PAGES if any(run for run, _ in blocks(path))], ids=lambda path: path.name
)
def test_examples_run(path, tmp_path):
    """Blocks below ``<!-- run -->``, one after the other, in a copy of the project."""
    for name in ("Snakefile", "workflow", "config"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / "profiles").symlink_to("workflow/profiles")
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for run, code in blocks(path):
        if run:
            ran = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", code],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"PATH": search, "PYTHONPATH": str(ROOT)},
            )
            assert ran.returncode == 0, f"{code}\n{ran.stdout}{ran.stderr}"
