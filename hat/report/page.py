"""The report: one page with all results, which needs no network and opens from disk."""

import base64
import html
import json
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from hat.artifacts.files import write_text
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import Settings
from hat.data.significance import verdict
from hat.errors import InputError
from hat.report.advice import doubts, examples, recommendation
from hat.report.document import Number, with_data
from hat.report.figures import Gallery, draw_all
from hat.report.overall_tables import TABLES, Table, make_tables
from hat.report.published import read_models
from hat.report.rows import Row, known_architecture, significance
from hat.space.architecture import Architecture
from hat.space.profile import PUBLISHED_SHAPE

WEB = Path(__file__).with_name("web")
# The whole page stays below 10 MB.
FIGURE_BYTES = 8_000_000


def write_page(settings: Settings, results: Results, path: Path) -> Path:
    """Draw all figures and write the report.

    Args:
        settings: the configuration, whose ``report`` says what is covered.
        results: where the artifacts are.
        path: the file.

    Raises:
        InputError: nothing has been made yet, or an artifact is malformed.
    """
    tables = make_tables(settings, results)
    if not any(tables.values()):
        raise InputError(f"{results.root}: nothing to report yet; `snakemake` makes the demo")
    galleries = draw_all(settings, results, with_pictures=True)
    models = list(_models(settings, results, tables["main"]))
    write_text(path, _page(settings, results, models, tables, galleries))
    return path


def _page(
    settings: Settings,
    results: Results,
    models: Sequence[Row],
    tables: dict[str, list[Row]],
    galleries: Sequence[Gallery],
) -> str:
    parts = {
        "style": (WEB / "page.css").read_text(encoding="utf-8"),
        "script": (WEB / "page.js").read_text(encoding="utf-8"),
        "data": json.dumps({"models": models}, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
        "summary": "".join(f"<li>{html.escape(line)}</li>" for line in summary(settings, results, tables)),
        "examples": "\n".join(_examples(settings, results, tables["main"])),
        "tables": "\n".join(_table(name, rows) for name, rows in tables.items() if rows),
        "figures": "\n".join(_figures(galleries)) or "<p>No figure could be drawn yet.</p>",
        "missing": _missing(galleries, [TABLES[name] for name, rows in tables.items() if not rows]),
        "made": f"Made by hat {version('hat')}, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, from the"
        f" artifacts in {html.escape(str(results.root))}/.",
    }
    page = (WEB / "page.html").read_text(encoding="utf-8")
    for name, content in parts.items():
        page = page.replace(f"<!-- {name} -->", content)
    return page


def summary(settings: Settings, results: Results, tables: dict[str, list[Row]]) -> list[str]:
    """Say in sentences which models each task and device has, and whether they differ."""
    own = [row for row in tables["main"] if row["source"] == "measured"]
    lines = []
    for task, device in dict.fromkeys((row["task"], row["device"]) for row in own):
        rows = [row for row in own if (row["task"], row["device"]) == (task, device)]
        scored = [row for row in rows if row["bleu"] is not None]
        judged = [row for row in rows if row["within_budget"] is not None]
        line = f"{task} on {device}: {len(rows)} model{'s' * (len(rows) > 1)}"
        if scored:
            best = max(scored, key=lambda row: row["bleu"])
            line += f", BLEU up to {best['bleu']:.1f} ({best['model']})"
        timed = [row["latency_ms"] for row in rows if row["latency_ms"] is not None]
        if timed:
            line += f", {min(timed):.1f} to {max(timed):.1f} ms per sentence"
        if judged:
            met = sum(row["within_budget"] for row in judged)
            line += f"; {met} of {len(judged)} were measured within their budget"
        lines.append(f"{line}.")
        tested = significance(DeviceScope(settings, results, task, device), settings.configuration.report.budgets)
        names = [row["model"] for row in rows]
        following = set(pairwise(names))
        lines += [f"{verdict(pair)}." for pair in tested["pairs"] if (pair["first"], pair["second"]) in following]
        named = [row | {"budget": row["model"]} for row in scored if row["latency_ms"] is not None]
        if named:
            lines += [*doubts(DeviceScope(settings, results, task, device), named), recommendation(named, tested)]
    published = len(tables["main"]) - len(own)
    if published:
        models = f"{published} published models are" if published > 1 else "1 published model is"
        lines.append(f"{models} shown for comparison, not measured here.")
    return lines


def _examples(settings: Settings, results: Results, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of translated test sentences for each task and device."""
    own = [row for row in rows if row["source"] == "measured"]
    for task, device in dict.fromkeys((row["task"], row["device"]) for row in own):
        named = [{"budget": row["model"]} for row in own if (row["task"], row["device"]) == (task, device)]
        for example in examples(DeviceScope(settings, results, task, device), named):
            lines = {
                f"{task} on {device}": example["source"],
                "reference": example["reference"],
                **example["translations"],
            }
            cells = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in lines.items())
            yield f'<dl class="example">{"".join(cells)}</dl>'


def _models(settings: Settings, results: Results, rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the models in the plot: latency, BLEU, Architecture, and the command that makes each."""
    chosen = settings.configuration.report
    published = read_models(Path(chosen.published_models)) if chosen.published_models else []
    drawn = {(row["task"], row["device"], row["budget"]): row["architecture"] for row in published}
    ours = {theirs: mine for mine, theirs in chosen.published_devices.items() if mine in settings.devices}
    for row in rows:
        if row["latency_ms"] is None or row["bleu"] is None:
            continue
        measured = row["source"] == "measured"
        if measured:
            found = known_architecture(BudgetScope(settings, results, row["task"], row["device"], row["model"]))
        else:
            found = drawn.get((row["task"], row["device"], row["model"]))
        architecture = found if isinstance(found, Architecture) else None
        targets = f"snakemake {row['target']} {Path(row['target']).parent}/latency.json" if measured else ""
        yield {
            **{key: row.get(key) for key in ("task", "device", "model", "kind", "source", "bleu", "bleu_low")},
            **{key: row.get(key) for key in ("bleu_high", "latency_ms", "latency_low_ms", "latency_high_ms", "chrf")},
            "budget_ms": row.get("budget_ms"),
            **{key: row.get(key) for key in ("params_m", "params_without_embeddings_m", "flops_g")},
            "name": architecture.digest if architecture else row["model"],
            "architecture": architecture.to_dict() if architecture else None,
            "qkv_dim": settings.space_of(row["task"]).qkv_dim if measured else PUBLISHED_SHAPE.qkv_dim,
            "shown_with": ours.get(row["device"]) if not measured else None,
            "reproduce": targets,
        }


def _table(name: str, rows: Sequence[Row]) -> str:
    table = TABLES[name]
    repeatable = name == "main"
    columns = with_data(table.columns, rows)
    # Names of rows and numbers look different from text.
    names = {
        title: "name" if title == "model" else "number" * isinstance(cell, Number) for title, cell in columns.items()
    }
    classes = {title: f' class="{name}"' if name else "" for title, name in names.items()}
    titles = [*columns, "reproduce"] if repeatable else list(columns)
    head = "".join(
        f'<th scope="col"{classes.get(title, "")}><button type="button">{html.escape(title)}</button></th>'
        for title in titles
    )
    lines = []
    for row in rows:
        cells = []
        for title, cell in columns.items():
            value = row.get(cell.key) if isinstance(cell, Number) else None
            number = "" if value is None else f' data-value="{value!r}"'
            # An interval stays on one line.
            shown = html.escape(cell(row)).replace(", ", ",&nbsp;" if number else ", ")
            cells.append(f"<td{number}{classes[title]}>{shown}</td>")
        if repeatable:
            target = row.get("target")
            # Long paths break after a slash.
            command = html.escape(f"snakemake {target}").replace("/", "/<wbr>")
            cells.append(f"<td><code>{command}</code></td>" if target else "<td>published</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    title = html.escape(table.title)
    return (
        f'<section class="table" id="table-{name}"><h3>{title}</h3><div class="scroll" tabindex="0" role="region"'
        f' aria-label="{title}"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
        f'<p class="quiet">{html.escape(table.legend)}</p></section>'
    )


def _figures(galleries: Sequence[Gallery]) -> Iterator[str]:
    left = FIGURE_BYTES
    out = []
    for gallery in galleries:
        for figure in gallery.drawn:
            picture = gallery.pictures[figure["name"]]
            encoded = base64.b64encode(picture).decode()
            if len(encoded) > left:
                out.append(str(gallery.folder / figure["name"]))
                continue
            left -= len(encoded)
            title, caption = html.escape(figure["title"]), html.escape(figure["caption"])
            width, height = _size(picture)
            yield (
                f'<figure><img src="data:image/svg+xml;base64,{encoded}" width="{width}" height="{height}"'
                f' alt="{title}" loading="lazy">'
                f'<figcaption><strong>{title}.</strong> <span class="caption">{caption}</span></figcaption></figure>'
            )
    if out:
        yield f'<p class="quiet">Left out to keep the page small: {html.escape(", ".join(out))}.</p>'


def _size(picture: bytes) -> tuple[int, int]:
    """Return the width and height of an SVG file in pixels."""
    root = ElementTree.fromstring(picture)
    width, height = (round(float(root.attrib[name].removesuffix("pt")) * 96 / 72) for name in ("width", "height"))
    return width, height


def _missing(galleries: Sequence[Gallery], tables: Sequence[Table]) -> str:
    lines = [sentence for gallery in galleries for sentence in gallery.sentences()]
    lines += [
        f"{table.title}: `snakemake {table.target}` makes a row of this table" for table in tables if table.target
    ]
    if not lines:
        return ""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<section><h2>Missing</h2><ul>{items}</ul></section>"
