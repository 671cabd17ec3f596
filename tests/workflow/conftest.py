"""A project folder of its own for each test, with a task that takes seconds."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")

SPACE = """
qkv_dim: 32
encoder_embed_dim: [32, 16]
encoder_layers: [1]
encoder_ffn_dim: [64, 32]
encoder_heads: [2, 1]
decoder_embed_dim: [32, 16]
decoder_layers: [6, 3, 1]
decoder_ffn_dim: [64, 32]
decoder_self_heads: [2, 1]
decoder_cross_heads: [2, 1]
decoder_cross_span: [1]
"""
TASK = """
description: Made sentences, for tests
source_language: en
target_language: de
space: smoke
corpus:
  kind: parallel
  train: {tsv: {kind: file, path: corpus.tsv}}
  held_out: 40
tokenisation: {bpe_merges: 60, max_length: 40}
network: {norm: pre}
supertransformer: &training
  updates: 40
  batch_tokens: 512
  learning_rate: 5.0e-3
  warmup_updates: 5
  dropout: 0.0
  validate_every: 20
  save_every: 10
subtransformer:
  <<: *training
  initial_weights: inherited
  average_checkpoints: 2
latency: {samples: 24, models: [linear], passes: 1, warmup: 1, repeats: 5, source_length: 8, target_length: 8}
search:
  {evaluations: 10, levels: 3, top_up: 2, workers: 1, population: 6, parents: 2, mutations: 2, crossovers: 2,
   iterations: 2, validation_sentences: 20}
scoring: {max_sentences: 20, batch_tokens: 64}
shortlist: {align_sentences: 100, validation_sentences: 10, frequent: [10, 30], translations: [5, 200]}
"""

# Part of every Python process of a run: notes which files of results/ are put in place or appended to, and kills
# the whole process group, Snakemake included, at a given one.
HOOK = """
import os, re, signal, sys

journal, alone, kill = os.environ.get("HAT_FAULT", "||").split("|")
kill, _, times = kill.rpartition("#")
seen = 0

def hook(event, values):
    global seen
    if event == "os.rename":
        path = str(values[1])
    elif event == "open" and values[1] == "a":
        path = str(values[0])
    else:
        return
    if not path.startswith("results/") or "/logs/" in path:
        return
    if kill and re.search(kill, path):
        seen += 1
        if seen == int(times):
            (os.kill if alone else os.killpg)(os.getpgrp(), signal.SIGKILL)
    os.write(descriptor, (path + "\\n").encode())

if journal:
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.addaudithook(hook)
"""


class Project:
    """A copy of the workflow and its configuration, in which Snakemake is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Snakefile", "workflow", "config"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        (folder / "profiles").symlink_to("workflow/profiles")
        # The device that is shipped as `local`, beside one of that name whose files and numbers torch makes.
        (folder / "config/devices/local.yaml").rename(folder / "config/devices/shipped.yaml")
        (folder / "config/devices/local.yaml").write_text("connection: local\nruntime: torch\nprecision: fp32\n")
        (folder / "config/spaces/smoke.yaml").write_text(SPACE)
        (folder / "config/tasks/smoke.yaml").write_text(TASK)
        (folder / "config/config.yaml").write_text("demo: {task: smoke, count: 2}\n")
        (folder / "corpus.tsv").write_text(made_corpus(700))
        (folder / "hook").mkdir()
        (folder / "hook/sitecustomize.py").write_text(HOOK)

    @property
    def results(self) -> Path:
        return self.folder / "results" / "smoke" / "local"

    def command(self, *arguments: str) -> list[str]:
        return [str(SNAKEMAKE), *arguments]

    def snakemake(self, *arguments: str, code: int = 0) -> str:
        """Run Snakemake, which must end with this exit code; return its output."""
        ran = subprocess.run(
            self.command(*arguments), check=False, cwd=self.folder, capture_output=True, text=True, timeout=3600
        )
        output = ran.stdout + ran.stderr
        assert ran.returncode == code, output
        return output

    def written(self, *arguments: str, kill: str = "", time: int = 1, alone: bool = False) -> list[str]:
        """Run Snakemake; return the files that it created, replaced or appended to, in order.

        With ``kill`` Snakemake and all that it started, or Snakemake ``alone``, are killed just before the file that
        this pattern matches is written for the ``time``-th time by one process.
        """
        journal, output = self.folder / "journal.txt", self.folder / "output.txt"
        journal.write_text("")
        fault = f"{journal}|{'alone' if alone else ''}|" + (f"{kill}#{time}" if kill else "")
        # Beside what the tests themselves import from.
        path = os.pathsep.join(filter(None, [str(self.folder / "hook"), os.environ.get("PYTHONPATH")]))
        with open(output, "wb") as stream:
            # No pipe: what outlives Snakemake would hold it.
            ran = subprocess.run(
                self.command(*arguments),
                check=False,
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                timeout=3600,
                env=os.environ | {"PYTHONPATH": path, "HAT_FAULT": fault},
            )
        assert ran.returncode == (-signal.SIGKILL if kill else 0), output.read_text()
        return [line.removeprefix("results/") for line in journal.read_text().splitlines()]

    def would_run(self, *arguments: str) -> set[str]:
        """Return the names of the rules that Snakemake would run."""
        output = self.snakemake("-n", *arguments)
        return set(re.findall(r"^(\w+) +[0-9]+$", output, re.MULTILINE)) - {"total"}

    def budgets(self) -> list[str]:
        return sorted(path.parent.name for path in self.results.glob("*/bleu.txt"))

    def kill_when(self, pattern: str, *arguments: str) -> None:
        """Start Snakemake and kill it, and nothing else, with SIGKILL once a file of this pattern exists."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None and not list(self.folder.glob(pattern)):
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        assert process.poll() is None, "Snakemake ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def made_corpus(lines: int) -> str:
    """Return tab-separated pairs: words of a synthetic language, and their translation in reverse order."""
    rng = random.Random(7)
    words = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(2)) for _ in range(80)]
    pairs = []
    for _ in range(lines):
        chosen = [rng.choice(words) for _ in range(rng.randint(5, 9))]
        pairs.append(" ".join(chosen) + "\t" + " ".join(word[::-1] for word in reversed(chosen)))
    return "\n".join(pairs) + "\n"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="session")
def project_in():
    """Return the function that makes a project in a folder."""
    return Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Return a finished project: one run was killed in the middle, and a second one continued."""
    made = Project(tmp_path_factory.mktemp("finished"))
    made.kill_when("results/smoke/supertransformer/partial/*/*")
    made.output = made.snakemake()
    return made
