"""What Snakemake answers when it is asked, without running anything: the state of targets, the graph of rules."""

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hat.errors import HatError, InputError

SNAKEFILE = Path("Snakefile")
UP_TO_DATE = "no update"


def ask(*arguments: str) -> str:
    """Standard output of ``snakemake ARGUMENTS`` in the working directory.

    Raises:
        InputError: there is no Snakefile here.
        HatError: Snakemake refuses; the message is its own last line.
    """
    if not SNAKEFILE.exists():
        raise InputError(f"{Path.cwd()}: no Snakefile; run in the project's folder")
    command = [sys.executable, "-m", "snakemake", "--nolock", "--dry-run", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        lines = [line for line in ran.stderr.splitlines() if line.strip()]
        raise HatError(f"snakemake {' '.join(arguments)}: {lines[-1].strip().removeprefix('hat: ') if lines else ''}")
    return ran.stdout


def state(targets: Sequence[str]) -> list[dict[str, str]]:
    """State of everything that targets are made from.

    Returns:
        ``file``, ``rule``, ``made`` (empty where it is missing), ``state`` (``up to date``, ``missing``, or why it
        would be made again), the targets first.
    """
    lines = ask("--summary", *targets).splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("output_file\t")), None)
    if start is None:
        raise HatError(f"snakemake --summary {' '.join(targets)}: printed no table")
    rows = []
    for row in csv.DictReader(lines[start:], delimiter="\t", quoting=csv.QUOTE_NONE):
        made = "" if row["date"] == "-" else row["date"]
        if not made:
            said = "missing"
        elif row["plan"] == UP_TO_DATE:
            said = "up to date" if row["status"] == "ok" else row["status"]
        else:
            said = row["status"] if row["status"] != "ok" else row["plan"]
        rows.append({"file": row["output_file"], "rule": row["rule"], "made": made, "state": said})
    return rows


def rule_graph(targets: Sequence[str]) -> str:
    """The graph of rules behind targets, in the dot language."""
    printed = ask("--rulegraph", "dot", "--", *targets)
    return printed[printed.index("digraph") :] if "digraph" in printed else printed
