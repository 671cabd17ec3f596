"""Commands to run next, filled in with the paths of a run's results."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hat.config.scope import DeviceScope
from hat.deploy.folder import DESCRIPTION
from hat.report.rows import Row

# Fewest and most words of the example sentence.
FEWEST_WORDS, MOST_WORDS = 4, 12


def next_steps(scope: DeviceScope, rows: Sequence[Row], best: str | None) -> list[str]:
    """Return commands that translate with a model, serve it, and show the report.

    Args:
        scope: the task and the device.
        rows: rows of the summary.
        best: name of the recommended model, used if it is exported; else the one with the best BLEU.
    """
    commands = []
    exported = [row for row in rows if (_model(scope, row) / DESCRIPTION).exists()]
    if exported:
        used = max(exported, key=lambda row: (row["budget"] == best, row["within_budget"] is not False, row["bleu"]))
        model = shlex.quote(str(_model(scope, used)))
        sentence = "".join(f" {shlex.quote(text)}" for text in _example(scope))
        commands += [
            f"{program('hat')} translate --model {model}{sentence}",
            f"{program('hat')} serve --model {model}",
        ]
    page = scope.results.root / "report.html"
    if page.exists():
        opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
        commands.append(f"{Path(opener).name} {page}" if opener else f"{page}, in a browser")
    else:
        commands.append(f"{program('snakemake')} {page}")
    return commands


def _model(scope: DeviceScope, row: Row) -> Path:
    return scope.of(row["budget"]).folder / "model"


def _example(scope: DeviceScope) -> list[str]:
    """Return a short validation sentence that is easy to quote; empty if the text is missing."""
    path = scope.data / "raw" / f"validation.{scope.task_settings.source_language}"
    if not path.exists():
        return []
    with open(path, encoding="utf-8") as lines:
        sentences = (line.strip() for line in lines)
        short = (text for text in sentences if FEWEST_WORDS <= len(text.split()) <= MOST_WORDS and "'" not in text)
        return [text for text in [next(short, None)] if text is not None]


def program(name: str) -> str:
    """Return the name or path by which the user's shell calls a program installed beside this Python."""
    beside, found = Path(sys.executable).with_name(name), shutil.which(name)
    if not beside.exists() or (found is not None and Path(found).samefile(beside)):
        return name
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))
