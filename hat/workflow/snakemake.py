"""Query Snakemake without running jobs: the state of targets and the graph of rules."""

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hat.errors import HatError, InputError

SNAKEFILE = Path("Snakefile")
UP_TO_DATE = "no update"


def ask(*arguments: str) -> str:
    """Return the standard output of ``snakemake ARGUMENTS`` in the working directory.

    Raises:
        InputError: the working directory has no Snakefile.
        HatError: Snakemake fails; the message is its last line.
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
    """Return the state of targets and of all files that they are made from.

    Returns:
        Rows with ``file``, ``rule``, ``made`` (time; empty if missing), ``state`` (``up to date``, ``missing``, or why
        the file would be remade), the targets first.
    """
    lines = ask("--summary", *targets).splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("output_file\t")), None)
    if start is None:
        raise HatError(f"snakemake --summary {' '.join(targets)}: printed no table")
    rows = []
    for row in csv.DictReader(lines[start:], delimiter="\t", quoting=csv.QUOTE_NONE):
        made = "" if row["date"] == "-" else row["date"]
        if not made:
            reason = "missing"
        elif row["plan"] == UP_TO_DATE:
            reason = "up to date" if row["status"] == "ok" else row["status"]
        else:
            reason = row["status"] if row["status"] != "ok" else row["plan"]
        rows.append({"file": row["output_file"], "rule": row["rule"], "made": made, "state": reason})
    return rows


def rule_graph(targets: Sequence[str]) -> str:
    """Return the graph of the rules behind targets in the DOT language."""
    printed = ask("--rulegraph", "dot", "--", *targets)
    return printed[printed.index("digraph") :] if "digraph" in printed else printed
