"""Figures and tables from artifacts: what they show is what the artifacts say, and what is lacking is named."""

import csv
import gzip
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_results import BUDGETS, write_results
from reference import ARCHITECTURES, latencies
from typer.testing import CliRunner

from hat.cli.app import app
from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.errors import InputError
from hat.report.document import Number, signed, with_data
from hat.report.drawings.cost import cost_of
from hat.report.drawings.latency import dimensions_of, predictor_of
from hat.report.drawings.networks import networks_of
from hat.report.drawings.quality import COLUMNS, trade_off, trade_off_of
from hat.report.drawings.search import OWN, RANDOM, _curves, expected_best, search_of
from hat.report.drawings.workflow import read_graph, workflow_of
from hat.report.figures import draw_all, draw_figures
from hat.report.labels import Label, obstacles, written
from hat.report.names import FIGURE_FILES, FIGURES, artifact_state
from hat.report.overall_tables import TABLES, make_tables, write_tables
from hat.report.page import summary
from hat.report.published import read_latencies, read_models
from hat.report.rows import rows_of
from hat.report.style import new_figure, picture, save, styled

ROOT = Path(__file__).parents[3]
GRAPH = 'digraph x {\n\t0[label = "last", color = "0"];\n\t1[label = "middle"];\n\t2[label = "first"];\n'


@pytest.fixture(scope="module")
def settings():
    return Settings({"report": {"tasks": ["demo"], "devices": ["local"]}}, ROOT / "config")


@pytest.fixture(scope="module")
def drawn(settings, tmp_path_factory):
    """Results with all figures of their task and device."""
    results = write_results(tmp_path_factory.mktemp("results"))
    return results, draw_figures(DeviceScope(settings, results, "demo", "local"), [])


def data(drawn, name):
    return pd.read_csv(drawn[0].figures / "demo-local" / f"{name}.csv")


def test_every_figure_has_its_files_and_states_its_data(drawn):
    results, gallery = drawn
    assert gallery.lacking == []
    assert [figure["name"] for figure in gallery.drawn] == list(FIGURES)
    for figure in gallery.drawn:
        for kind in FIGURE_FILES:
            assert (gallery.folder / f"{figure['name']}.{kind}").stat().st_size > 50
        assert f"Data: {results.root}" in figure["caption"]
        assert figure["caption"] in (gallery.folder / f"{figure['name']}.txt").read_text()


def test_trade_off_shows_the_artifacts(drawn):
    shown = data(drawn, "trade-off")
    assert shown["model"].tolist() == list(BUDGETS)
    for row in shown.to_dict("records"):
        folder = drawn[0].budget("demo", "local", row["model"])
        assert row["bleu"] == json.loads((folder / "score.json").read_text())["bleu"]
        latency = json.loads((folder / "latency.json").read_text())
        assert [row[name] for name in ("latency_ms", "latency_low_ms", "latency_high_ms")] == [
            latency[name] for name in ("latency_ms", "latency_low_ms", "latency_high_ms")
        ]
        assert row["bleu_low"] < row["bleu_high"]


def boxes(axes, texts):
    """Boxes of texts and of the marks of axes, in pixels."""
    marks, _ = obstacles(axes)
    return [text.get_window_extent() for text in texts], marks


def test_names_of_marks_hide_nothing():
    """However crowded, a name is inside the axes and on no mark or other name."""
    near = [(58, 5.0), (58.4, 5.01), (58.8, 4.99), (59, 5.6), (40, 3.0), (90, 6.9), (90, 3)]
    rows = [
        dict.fromkeys(COLUMNS)
        | {"model": f"model {number}", "kind": "HAT", "source": "measured", "latency_ms": x, "bleu": y}
        | {"latency_low_ms": x - 4, "latency_high_ms": x + 9, "bleu_low": y - 1, "bleu_high": y + 1}
        for number, (x, y) in enumerate(near)
    ]
    with styled():
        drawing = trade_off(rows, "Crowded", "Data: none")
        drawing.figure.draw_without_rendering()
        (axes,) = drawing.figure.axes
        with written(drawing.labels) as texts:
            names, marks = boxes(axes, texts)
            assert [text.get_text() for text in texts] == [row["model"] for row in rows]
            for number, name in enumerate(names):
                assert axes.bbox.fully_contains(*name.p0) and axes.bbox.fully_contains(*name.p1)
                assert name.count_overlaps(marks) == name.count_overlaps(names[:number]) == 0
        assert len(marks) >= len(rows) and not axes.texts


def test_names_keep_off_lines_where_there_is_room():
    with styled():
        figure = new_figure()
        (axes,) = figure.axes
        axes.errorbar([1, 2, 3], [1, 3, 2], yerr=0.5, xerr=0.3, marker="o")
        axes.axvline(2.05, linestyle=":")
        figure.draw_without_rendering()
        with written([Label(axes, x, y, "60ms") for x, y in ((1, 1), (2, 3), (3, 2))]) as texts:
            names, _ = boxes(axes, texts)
    _, lines = obstacles(axes)
    # Two bars a mark, the line between the marks, the dotted line.
    assert len(lines) == 3 * 2 + 2 + 1
    assert not any(path.intersects_bbox(name, filled=False) for name in names for path, _ in lines)


def test_legends_stand_above_the_axes(settings, drawn):
    place = DeviceScope(settings, drawn[0], "demo", "local")
    for draw in (dimensions_of, predictor_of, lambda one: trade_off_of(one, rows_of(one))):
        with styled():
            drawing = draw(place)
            drawing.figure.draw_without_rendering()
        shown = [(axes, axes.get_legend()) for axes in drawing.figure.axes if axes.get_legend() is not None]
        assert shown
        for axes, legend in shown:
            box = legend.get_window_extent()
            assert box.y0 >= axes.bbox.y1
            columns = axes.get_subplotspec().get_gridspec().ncols
            # In its own column of the figure.
            assert box.x1 <= drawing.figure.bbox.x1 * axes.get_subplotspec().colspan.stop / columns


def test_a_picture_for_the_page_has_neither_title_nor_caption(settings, drawn):
    place = DeviceScope(settings, drawn[0], "demo", "local")
    with styled():
        drawing = trade_off_of(place, rows_of(place))
        made, again = picture(drawing), picture(drawing)
    # Outlines of texts are paths, with the text in a comment.
    text = made.decode()
    assert made == again
    assert "<!-- latency of a sentence, ms -->" in text
    assert drawing.title not in text and "Filled marks" not in text


def test_search_shows_the_best_so_far_and_random_search(drawn):
    shown = data(drawn, "search")
    own, random = (shown[(shown["budget"] == "40ms") & (shown["of"] == which)] for which in (OWN, RANDOM))
    assert own["best_validation_loss"].tolist() == [5.0, 4.9, 4.9, 4.7]
    assert own["evaluations"].tolist() == [1, 2, 3, 4]
    # Of the three random draws 5.0, 4.9 and 4.95.
    assert random["best_validation_loss"].tolist() == pytest.approx([4.95, (4.9 + 4.9 + 4.95) / 3, 4.9])
    caption = (drawn[0].figures / "demo-local/search.txt").read_text()
    assert f"`snakemake {drawn[0].budget('demo', 'local', '40ms')}/random-search.parquet" in caption


def test_a_random_search_stands_beside_its_search(settings, tmp_path):
    results = write_results(tmp_path)
    folder = results.budget("demo", "local", "40ms")
    pd.DataFrame({"order": [1, 0], "validation_loss": [4.0, 6.0]}).to_parquet(folder / "random-search.parquet")
    with styled():
        drawing = search_of(DeviceScope(settings, results, "demo", "local"), list(BUDGETS))
    found = drawing.data[(drawing.data["budget"] == "40ms") & (drawing.data["of"] == RANDOM)]
    assert found["validation_loss"].tolist() == [6.0, 4.0]
    assert found["best_validation_loss"].tolist() == [5.0, 4.0]
    assert "Dotted, 40ms: the expected best" in drawing.caption
    assert "Dotted, 60ms, 0.1s: the expected best of as many of the random Architectures that the" in drawing.caption
    assert f"{folder}/random" not in drawing.caption
    assert f"{results.budget('demo', 'local', '60ms')}/random-search.parquet" in drawing.caption


def test_only_whole_evaluations_count(tmp_path):
    path = tmp_path / "search.parquet"
    rows = {"order": [0, 1, 2], "generation": 0, "validation_loss": [5.0, 3.0, 4.0], "whole": [True, False, True]}
    pd.DataFrame(rows | {"origin": "sampled"}).to_parquet(path)
    own, random = _curves(tmp_path, "40ms")
    assert own["best_validation_loss"].tolist() == [5.0, 5.0, 4.0]
    assert random["best_validation_loss"].tolist() == [4.5, 4.0]


def test_expected_best_is_the_mean_over_all_draws():
    losses = np.array([3.0, 1.0, 4.0, 1.5, 9.0])
    for count, value in enumerate(expected_best(losses), start=1):
        draws = [min(draw) for draw in itertools.combinations(losses, count)]
        assert value == pytest.approx(np.mean(draws))


def test_dimensions_are_those_of_the_dataset(drawn):
    shown = data(drawn, "latency-dimensions")
    dataset = pd.read_parquet(drawn[0].latency("demo", "local") / "dataset.parquet")
    assert shown["latency_ms"].tolist() == pytest.approx(dataset["latency_ms"].tolist())
    depths = [len(json.loads(text)["decoder_ffn_dim"]) for text in dataset["architecture"]]
    assert shown["decoder_depth"].tolist() == depths
    assert data(drawn, "architectures")["decoder_ffn_dim"].astype(str).tolist() == ["512", "512 512", "512 512 512"]
    assert data(drawn, "inherited")["bleu"].tolist() == [4.0, 5.0, 6.0]
    assert set(data(drawn, "training")["network"]) == {"SuperTransformer", *BUDGETS}


def test_figures_do_not_change_by_themselves(drawn, settings):
    results, gallery = drawn
    before = {path: path.read_bytes() for path in gallery.files if path.stem in ("trade-off", "architectures")}
    place = DeviceScope(settings, results, "demo", "local")
    with styled():
        save(gallery.folder, trade_off_of(place, rows_of(place)))
        save(gallery.folder, networks_of([place]))
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_lacking_is_said_with_its_target(settings, tmp_path):
    results = write_results(tmp_path)
    (results.latency("demo", "local") / "dataset.parquet").unlink()
    (results.predictor("demo", "local") / "errors.json").unlink()
    for budget in BUDGETS:
        for name in ("score.json", "architecture.json", "search.parquet"):
            (results.budget("demo", "local", budget) / name).unlink()
    place = DeviceScope(settings, results, "demo", "local")
    assert [row["bleu"] for row in rows_of(place)] == [None, None, None]
    options = ["--config-dir", str(ROOT / "config"), "--results", str(tmp_path)]
    ran = CliRunner().invoke(app, [*options, "figures", "demo", "local"])
    assert ran.exit_code == 0, ran.output
    path, said = results.latency("demo", "local") / "dataset.parquet", " ".join(ran.output.split())
    assert f"latency-dimensions: {path} is missing; `snakemake {path}` makes it" in said
    assert (
        f"a score with a latency in {place.device_folder} is missing; `snakemake {place.device_folder}/BUDGET" in said
    )
    assert [path.stem for path in (results.figures / "demo-local").glob("*.pdf")] == ["training"]
    ran = CliRunner().invoke(app, [*options, "figures", "bibleende", "local"])
    assert ran.exit_code == 2 and "Traceback" not in ran.output
    ran = CliRunner().invoke(app, [*options, "figures", "demo"])
    assert ran.exit_code == 2 and "figures demo: name a device too" in ran.output


def test_nothing_to_draw(settings, tmp_path, monkeypatch):
    from hat.artifacts.layout import Results

    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="nothing to draw yet"):
        draw_all(settings, Results(tmp_path / "results"))


def test_tables_show_the_artifacts(drawn, settings):
    results, _ = drawn
    written, lacking = write_tables(settings, results)
    assert [str(one) for one in lacking] == [
        f"{results.tables}/quantisation: a row of the table is missing;"
        " `snakemake results/TASK/DEVICE/BUDGET/quantized-4bit/bleu.txt` makes it"
    ]
    assert {path.stem for path in written} == {
        "main", "inherited", "significance", "architectures", "predictors", "benchmarks",
    }  # fmt: skip
    with open(results.tables / "main.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["model"], float(row["bleu"]), float(row["latency_ms"])) for row in rows] == [
        ("40ms", 4.0, 38.0), ("60ms", 5.0, 58.0), ("0.1s", 6.0, 78.0),
    ]  # fmt: skip
    assert "| demo | local | 40ms | 38.0 [37.5, 39.2] | 4.0 [" in (text := (results.tables / "main.md").read_text())
    # Nothing has a cost, a power meter or published rows: no column is empty.
    assert text.splitlines()[2] == (
        "| task | device | model | latency, ms | BLEU | chrF | parameters, M | without embeddings, M"
        " | FLOPs, G | training | kind | source |"
    )
    assert "| demo/supertransformer | 61.5 | 900 |" in (results.tables / "benchmarks.md").read_text()


def test_numbers_of_tables_have_values_to_sort_by(drawn, settings):
    for name, rows in make_tables(settings, drawn[0]).items():
        columns = with_data(TABLES[name].columns, rows)
        numbers = [cell for cell in columns.values() if isinstance(cell, Number)]
        assert bool(numbers) == bool(rows), name
        for cell in numbers:
            assert any(isinstance(row[cell.key], int | float) for row in rows), (name, cell.key)
        # A cell that looks like a number sorts as one.
        texts = [title for title, cell in columns.items() if cell not in numbers]
        assert not [title for title in texts if rows and re.fullmatch(r"[-+]?\d+\.\d+", columns[title](rows[0]))]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.4, "+0.40"), (-0.1, "-0.10"), (-0.004, "0.00"), (0.0, "0.00"), (None, "-")]
)
def test_differences_have_the_sign_of_their_value(value, shown):
    assert signed("difference", 2)({"difference": value}) == shown


def test_the_page_says_in_sentences_what_was_found(drawn, settings):
    results, _ = drawn
    tables = make_tables(settings, results)
    found, *compared, advice = summary(settings, results, tables)
    assert advice == "Use 0.1s: BLEU 6.0, the best BLEU, in 78.0 ms a sentence."
    assert found == (
        "demo on local: 3 models, BLEU up to 6.0 (0.1s), 38.0 to 78.0 ms per sentence; 3 of 3 were measured within"
        " their budget."
    )
    assert [line.split(" (")[0] for line in compared] == [
        f"{better} is {abs(pair['difference']):.2f} BLEU better than {worse}"
        for better, worse in (("60ms", "40ms"), ("0.1s", "60ms"))
        for pair in tables["significance"]
        if (pair["first"], pair["second"]) == (worse, better)
    ]
    published = tables["main"][0] | {"source": "published"}
    one = summary(settings, results, tables | {"main": [tables["main"][0], published]})
    assert one[0].startswith("demo on local: 1 model, ")
    assert one[-1] == "1 published model is shown for comparison, not measured here."


def test_costs_stand_beside_what_they_bought(drawn, settings):
    results, _ = drawn
    path = results.tables / "cost.json"
    stage = {"stage": "demo/local/60ms/subtransformer", "carbon_kg": 0.25, "price_usd": 1.5}
    path.write_text(json.dumps({"rows": [], "stages": [stage]}))
    rows = make_tables(settings, results)["main"]
    path.unlink()
    assert [(row["carbon_kg"], row["price_usd"]) for row in rows] == [(None, None), (0.25, 1.5), (None, None)]


def test_baselines_have_a_kind_of_their_own(drawn, settings, tmp_path):
    results = write_results(tmp_path)
    place = results.budget("demo", "local", "transformer-base")
    place.mkdir()
    (place / "latency.json").write_text(json.dumps({"latency_ms": 400.0, "spread_ms": 8.0}))
    rows = rows_of(DeviceScope(settings, results, "demo", "local"))
    assert [(row["model"], row["kind"]) for row in rows][-1] == ("transformer-base", "Transformer")
    assert rows[-1]["params_without_embeddings_m"] == 44.138496


def test_the_report_is_made_again_when_an_artifact_changes(tmp_path):
    results = write_results(tmp_path)
    before = artifact_state(results)
    assert artifact_state(results) == before
    (results.budget("demo", "local", "40ms") / "score.json").write_text("{}")
    assert artifact_state(results) != before


def test_the_workflow_is_drawn_from_its_graph(tmp_path):
    graph = tmp_path / "workflow.dot"
    graph.write_text(GRAPH + "\t1 -> 0\n\t2 -> 1\n\t2 -> 0\n}\n")
    assert read_graph(graph) == [("first", "last"), ("first", "middle"), ("middle", "last")]
    with styled():
        drawing = workflow_of(graph)
        save(tmp_path, drawing)
    # The arrow that the others imply is left out of the picture, not of the data.
    arrows = [text for text in drawing.figure.axes[0].texts if not text.get_text()]
    assert (len(arrows), len(drawing.data)) == (2, 3)
    # One over several ranks passes by the rules between, which stand in the middle otherwise.
    more = [f'{number}[label = "{name}"];' for number, name in enumerate(("side", "end", "other"), start=3)]
    more += [f"{first} -> {second}" for first, second in ("10", "21", "23", "30", "04", "25", "54")]
    graph.write_text(GRAPH + "".join(f"\t{line}\n" for line in more) + "}\n")
    with styled():
        drawing = workflow_of(graph)
    axes = drawing.figure.axes[0]
    boxes = {text.get_text(): text.get_position() for text in axes.texts if text.get_text()}
    bent = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 1]
    assert len(boxes) == 6 and len(bent) == 1
    assert all(abs(x - other) >= 1 for x, y in bent[0][1:] for other, rank in boxes.values() if rank == y)
    graph.write_text("digraph x {}")
    with pytest.raises(InputError, match="holds no graph"):
        read_graph(graph)


def test_cost_is_read_from_its_table(tmp_path):
    path = tmp_path / "cost.csv"
    with pytest.raises(InputError, match=r"cost.csv is missing; `snakemake .*cost.csv` makes it"):
        cost_of(path)
    path.write_text(
        "method,kind,carbon_kg,task,device\nHAT,estimated,2.5,demo,local\n"
        "Evolved Transformer,published,1000,,\nnone,estimated,,,\n"
    )
    with styled():
        drawing = cost_of(path)
    assert [bar.get_width() for bar in drawing.figure.axes[0].patches] == [1000, 2.5]
    assert "Hatched: published values" in drawing.caption
    labels = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    assert labels == ["Evolved Transformer (published)", "demo on local: HAT (estimated)"]
    path.write_text("stage,hours\na,1\n")
    with pytest.raises(InputError, match="has no column method, carbon_kg, kind"):
        cost_of(path)


def test_published_latencies_have_exact_flops():
    rows = read_models(ARCHITECTURES)
    assert len(rows) == 30
    frame = read_latencies(latencies("wmt14ende_cpu_raspberrypi"))
    assert len(frame) == 2000 and frame["latency_ms"].between(3000, 13000).all()
    # Averages over layers lose nothing of the FLOPs.
    from hat.report.published import _flops_g

    for row in rows:
        if not row["task"].startswith("wmt"):
            continue
        one = row["architecture"]
        averaged = {
            "encoder_embed_dim": one.encoder_embed_dim,
            "encoder_layer_num": one.encoder_layers,
            "encoder_ffn_embed_dim_avg": np.mean(one.encoder_ffn_dim),
            "decoder_embed_dim": one.decoder_embed_dim,
            "decoder_layer_num": one.decoder_layers,
            "decoder_ffn_embed_dim_avg": np.mean(one.decoder_ffn_dim),
            "decoder_arbitrary_ende_attn_avg": np.mean(one.decoder_cross_span),
        }
        assert _flops_g(averaged) == pytest.approx(row["flops_g"], abs=1e-12)


def test_published_data_alone_is_drawn_and_says_so(tmp_path, monkeypatch):
    from hat.artifacts.layout import Results

    monkeypatch.chdir(tmp_path)
    models = pd.read_csv(ARCHITECTURES)
    models[models["name"].str.contains("wmt14ende_raspberrypi")].to_csv(tmp_path / "models.csv", index=False)
    name = "wmt14ende_cpu_raspberrypi"
    (tmp_path / f"{name}.csv").write_bytes(gzip.decompress(latencies(name).read_bytes()))
    report = {
        "published_models": str(tmp_path / "models.csv"),
        "published_latencies": [str(tmp_path / "*raspberrypi.csv")],
    }
    results = Results(tmp_path / "results")
    galleries = draw_all(Settings({"report": report}, ROOT / "config"), results)
    captions = {gallery.folder.name: [figure["caption"] for figure in gallery.drawn] for gallery in galleries}
    assert "2,000 published networks, not measured here" in captions["wmt14ende_cpu_raspberrypi"][0]
    assert "2,000 published latencies, not measured here" in captions["wmt14ende_cpu_raspberrypi"][1]
    pairs = pd.read_csv(results.figures / "published/wmt14ende_cpu_raspberrypi/predictor.csv")
    assert len(pairs) == 2000 and pairs["measured_ms"].between(3000, 13000).all()
    # A regression on some products of dimensions is wrong by 2.6 %, the published network by 4.7 %.
    assert (pairs["predicted_ms"] / pairs["measured_ms"] - 1).abs().mean() < 0.035
    assert "Hollow marks and dashed lines: published values" in captions["wmt14ende-raspberrypi"][0]
    shown = pd.read_csv(results.figures / "published/wmt14ende-raspberrypi/trade-off.csv")
    assert shown["latency_ms"].tolist() == [3500, 4000, 4500, 6000]
    assert shown["bleu"].tolist() == [25.8, 26.9, 27.6, 28.2]
    assert set(shown["source"]) == {"published"}


def test_files_of_others_are_checked(tmp_path):
    path = tmp_path / "models.csv"
    with pytest.raises(InputError, match="no such file"):
        read_models(path)
    path.write_text("name,params\na,1\n")
    with pytest.raises(InputError, match="has no column flops_without_last_layer, readme_latency"):
        read_models(path)
    path.write_text(
        "name,params,flops_without_last_layer,readme_latency,readme_bleu,readme_sacrebleu\nx,1,1,3.5s,20,20\n"
    )
    with pytest.raises(InputError, match="name 'x', expected KIND_TASK_DEVICE@LATENCY"):
        read_models(path)
    wrong = Settings({"report": {"published_latencies": [str(tmp_path / "no*.csv")]}}, ROOT / "config")
    from hat.report.published import latency_files

    with pytest.raises(InputError, match=r"report.published_latencies: no file matches"):
        latency_files(wrong.configuration.report)
