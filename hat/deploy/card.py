"""Figures in ``model.json`` and the model card ``README.md`` of a deployed folder.

Scores and latency are measured with the folder, so they are added after the export. Adding them changes neither the
network nor the time stamp of ``model.json``, by which later stages know whether they are up to date.
"""

import os
from pathlib import Path
from typing import Any

from hat.artifacts.files import file_digest, only_one, read_json, write_json, write_text
from hat.config.runtimes import RUNTIMES
from hat.deploy.folder import DESCRIPTION
from hat.system.extras import install_command

CARD = "README.md"


def file_list(folder: Path) -> dict[str, dict[str, Any]]:
    """Return ``bytes`` and ``sha256`` of every file below a folder except ``model.json`` and the card."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in (DESCRIPTION, CARD) and not path.name.startswith("."):
            found[name] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    return found


def add_figures(folder: Path, **figures: Any) -> None:
    """Add measured figures, such as ``bleu`` and ``latency_ms``, to ``model.json`` and rewrite the card.

    Raises:
        InputError: the folder has no ``model.json``.
    """
    path = folder / DESCRIPTION
    with only_one(folder.parent / "partial", f"Describing {folder}"):
        stamp = path.stat() if path.exists() else None
        values = read_json(path)
        values["figures"] = values.get("figures", {}) | figures
        write_json(path, values)
        if stamp is not None:
            os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        write_text(folder / CARD, card(values))


def card(values: dict[str, Any]) -> str:
    """Return the model card in Markdown for the content of ``model.json``."""
    figures = values.get("figures", {})
    source, target = values["source_language"], values["target_language"]
    size = sum(file["bytes"] for file in values["files"].values())
    kind, name, origin = _subject(values)
    rows = [
        ("Translates", f"`{source}` to `{target}`, task `{values['task']}`"),
        ("Made for", f"device `{values['device']}`, {kind} `{name}`"),
        ("Runs on", f"{values['runtime']}, {values['precision']}, {values['threads']} thread(s) per sentence"),
        ("Parameters", f"{values['parameters']:,}"),
        ("Files", f"{size / 1e6:.1f} MB"),
        ("Data", values["data_licence"]),
    ]
    if values.get("shortlist"):
        rows.append(("Shortlist", "the output projection is only computed for likely tokens (`network/vmap.txt`)"))
    if "bleu" in figures:
        rows.append(("BLEU", f"{figures['bleu']:.1f} on {figures['sentences']:,} test sentences"))
        rows.append(("", f"`{figures['bleu_signature']}`"))
        rows.append(("chrF", f"{figures['chrf']:.1f}, `{figures['chrf_signature']}`"))
    if "latency_ms" in figures:
        conditions = figures["latency_conditions"]
        workload = conditions["workload"]
        average = f", mean of {len(workload['lengths'])} lengths" if "lengths" in workload else ""
        rows.append(
            (
                "Latency",
                f"{figures['latency_ms']:.1f} ms per sentence ({workload['source_length']} tokens, beam"
                f" {workload['beam']}, {workload['target_length']} steps{average}), measured on"
                f" {conditions['machine']}",
            )
        )
    if "energy_j" in figures:
        rows.append(("Energy", f"{figures['energy_j']:.3g} J per sentence of these lengths ({figures['meter']})"))
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    example = f'Translator.from_folder("path/of/this/folder").translate(["One sentence in {source}."])'
    return f"""# {values["task"]}, {name}: {source} to {target}

| | |
| --- | --- |
{table}

{origin} by `hat` {values["provenance"]["hat_version"]} on {values["provenance"]["created"]}.
All figures were measured with the files of this folder; `model.json` has more of them, and the digest of every file.

```sh
{install_command(RUNTIMES[values["runtime"]].extra)}
hat translate --model path/of/this/folder < sentences.txt
hat serve --model path/of/this/folder
```

```python
from hat import Translator

{example}
```

The model was trained on the text of one task only, so the score does not hold for other kinds of text. Translations are
not checked; do not rely on them where mistakes do harm.
"""


def _subject(values: dict[str, Any]) -> tuple[str, str, str]:
    """Return what a folder was made for, its name, and the beginning of a sentence about its origin."""
    if "networks" in values:
        names = ", ".join(network["name"] for network in values["networks"])
        return "budgets", names, "SubTransformers that share inherited weights, found"
    if "budget" in values:
        return "budget", values["budget"], "A SubTransformer found and trained"
    return "baseline", values["baseline"], "A baseline trained"
