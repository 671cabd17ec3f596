"""The report: one page with everything that was found, which needs no network and opens from disk."""

import base64
import html
import json
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from hat.artifacts.files import write_text
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import Settings
from hat.data.significance import verdict
from hat.errors import InputError
from hat.report.document import with_data
from hat.report.figures import Gallery, draw_all
from hat.report.overall_tables import TABLES, make_tables
from hat.report.published import read_models
from hat.report.rows import known_architecture, significance
from hat.report.summary import Row
from hat.space.architecture import Architecture
from hat.space.profile import PUBLISHED_SHAPE

WEB = Path(__file__).with_name("web")
# The whole page stays below 10 MB.
FIGURE_BYTES = 8_000_000
# What a row of a table is sorted by, where its text is no number.
NUMBERS = {
    "latency, ms": "latency_ms",
    "energy, J": "energy_j",
    "BLEU": "bleu",
    "chrF": "chrf",
    "parameters, M": "params_m",
    "without embeddings, M": "params_without_embeddings_m",
    "FLOPs, G": "flops_g",
    "training": "training_s",
    "kg CO2e": "carbon_kg",
    "USD": "price_usd",
    "loss, inherited": "inherited_loss",
    "loss, trained": "validation_loss",
    "difference in BLEU": "difference",
    "p": "p_value",
    "folder, MB": "folder_mb",
    "change in BLEU": "bleu_change",
    "measured": "rows",
    "held out": "held_out_rows",
    "RMSE, ms": "rmse_ms",
    "MAPE, %": "mape_percent",
    "Kendall's tau": "kendall_tau",
    "noise, MAPE %": "noise_mape_percent",
    "seconds": "seconds",
    "processor seconds": "processor_s",
    "memory, MB": "max_rss_mb",
    "encoder width": "encoder_embed_dim",
    "decoder width": "decoder_embed_dim",
}


def write_page(settings: Settings, results: Results, path: Path) -> Path:
    """Draw all figures anew and write the report.

    Args:
        settings: the configuration, whose ``report`` says what is covered.
        results: where the artifacts are.
        path: the file.

    Raises:
        InputError: nothing has been made yet, or an artifact is malformed.
    """
    tables = make_tables(settings, results)
    if not any(tables.values()):
        raise InputError(f"{results.root}: there is nothing to report yet; `snakemake` makes the demo")
    galleries = draw_all(settings, results)
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
        "tables": "\n".join(_table(name, rows) for name, rows in tables.items() if rows),
        "figures": "\n".join(_figures(galleries)) or "<p>None could be drawn yet.</p>",
        "lacking": _lacking(galleries, [TABLES[name].target for name, rows in tables.items() if not rows]),
        "made": f"Made by hat {version('hat')}, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, from the"
        f" artifacts in {html.escape(str(results.root))}/.",
    }
    page = (WEB / "page.html").read_text(encoding="utf-8")
    for name, content in parts.items():
        page = page.replace(f"<!-- {name} -->", content)
    return page


def summary(settings: Settings, results: Results, tables: dict[str, list[Row]]) -> list[str]:
    """What was found, in sentences: the models of each task and device, and whether they differ."""
    own = [row for row in tables["main"] if row["source"] == "measured"]
    lines = []
    for task, device in dict.fromkeys((row["task"], row["device"]) for row in own):
        rows = [row for row in own if (row["task"], row["device"]) == (task, device)]
        scored = [row for row in rows if row["bleu"] is not None]
        judged = [row for row in rows if row["within_budget"] is not None]
        line = f"{task} on {device}: {len(rows)} models"
        if scored:
            best = max(scored, key=lambda row: row["bleu"])
            line += f", BLEU up to {best['bleu']:.1f} ({best['model']})"
        timed = [row["latency_ms"] for row in rows if row["latency_ms"] is not None]
        if timed:
            line += f", {min(timed):.1f} to {max(timed):.1f} ms a sentence"
        if judged:
            met = sum(row["within_budget"] for row in judged)
            line += f"; {met} of {len(judged)} were measured within their budget"
        lines.append(f"{line}.")
        tested = significance(DeviceScope(settings, results, task, device), settings.configuration.report.budgets)
        names = [row["model"] for row in rows]
        following = set(pairwise(names))
        lines += [f"{verdict(pair)}." for pair in tested["pairs"] if (pair["first"], pair["second"]) in following]
    published = len(tables["main"]) - len(own)
    if published:
        lines.append(f"{published} published models are shown beside ours; none of these was measured here.")
    return lines


def _models(settings: Settings, results: Results, rows: Sequence[Row]) -> Iterator[Row]:
    """What the plot shows: models with latency and BLEU, their Architecture, and how to have them again."""
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
            "params_m": row.get("params_without_embeddings_m"),
            "flops_g": row.get("flops_g"),
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
    titles = [*columns, "reproduce"] if repeatable else list(columns)
    head = "".join(f'<th scope="col"><button type="button">{html.escape(title)}</button></th>' for title in titles)
    lines = []
    for row in rows:
        cells = []
        for title, cell in columns.items():
            value = row.get(NUMBERS.get(title, ""))
            number = f' data-value="{value!r}"' if isinstance(value, (int, float)) else ""
            cells.append(f"<td{number}>{html.escape(cell(row))}</td>")
        if repeatable:
            target = row.get("target")
            cells.append(f"<td><code>snakemake {html.escape(target)}</code></td>" if target else "<td>published</td>")
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
            picture = (gallery.folder / f"{figure['name']}.png").read_bytes()
            encoded = base64.b64encode(picture).decode()
            if len(encoded) > left:
                out.append(str(gallery.folder / figure["name"]))
                continue
            left -= len(encoded)
            title, caption = html.escape(figure["title"]), html.escape(figure["caption"])
            yield (
                f'<figure><img src="data:image/png;base64,{encoded}" alt="{title}. {caption}" loading="lazy">'
                f"<figcaption><strong>{title}.</strong> {caption}</figcaption></figure>"
            )
    if out:
        yield f'<p class="quiet">Left out, so that the page stays small: {html.escape(", ".join(out))}.</p>'


def _lacking(galleries: Sequence[Gallery], targets: Sequence[str]) -> str:
    lines = [sentence for gallery in galleries for sentence in gallery.sentences()]
    lines += [f"{target}: makes another table" for target in targets if target]
    if not lines:
        return ""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<section><h2>Not made yet</h2><ul>{items}</ul></section>"
