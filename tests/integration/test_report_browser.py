"""The report in a real browser, from disk: Debian's Chromium, driven by Playwright, with no network at all."""

import json
import re
import shutil
from pathlib import Path

import pytest
from made_results import BUDGETS, write_results

from hat.config.settings import Settings
from hat.report.page import write_page

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; on Debian the package chromium")
ROOT = Path(__file__).parents[2]
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
PATIENCE_MS = 120_000
VIEWS = {
    "phone": (390, 844, "light"),
    "phone, dark": (360, 740, "dark"),
    "tablet": (820, 1100, "dark"),
    "desk": (1400, 900, "light"),
    "desk, dark": (1400, 900, "dark"),
}
# In the page: boxes of elements.
BOX = "one => { const box = one.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; }"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    made = write_results(tmp_path_factory.mktemp("report") / "results")
    # Nothing of it may become markup.
    score = made.budget("demo", "local", "40ms") / "score.json"
    score.write_text(json.dumps(json.loads(score.read_text()) | {"chrf": 21.5}))
    models = made.root / "models.csv"
    models.write_text(
        "name,params,flops_without_last_layer,readme_latency,readme_bleu,readme_sacrebleu\n"
        "HAT_demo_pub<b>x</b>@0.09s,1000000,2000000000,0.09s,5.5,5.4\n"
    )
    return made


@pytest.fixture(scope="module")
def page_file(results):
    report = {
        "tasks": ["demo"],
        "devices": ["local"],
        "published_models": str(results.root / "models.csv"),
        "published_devices": {"local": "pub<b>x</b>"},
    }
    with pytest.MonkeyPatch.context() as patch:
        # Without a Snakefile there is no graph of its rules, which takes Snakemake to print.
        patch.chdir(results.root)
        path = write_page(Settings({"report": report}, ROOT / "config"), results, results.root / "report.html")
    assert path.stat().st_size < 10_000_000
    return path


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        playwright.expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(params=VIEWS)
def page(browser, page_file, request):
    """The page in a view; in the end the console is empty and nothing but the file was asked for."""
    width, height, scheme = VIEWS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda one: asked.append(one.url))
    page.goto(page_file.as_uri())
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]


def boxes(page, selector):
    """Left, top, right and bottom of elements, in pixels."""
    return page.locator(selector).evaluate_all(f"all => all.map({BOX})")


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_values_are_those_of_the_artifacts(page, results):
    assert page.locator(".mark").count() == 4
    # In the table, as numbers.
    rows = page.evaluate(
        "[...document.querySelectorAll('#table-main tbody tr')].map(row => [...row.cells].map("
        "cell => cell.dataset.value ?? cell.textContent))"
    )
    heads = [text.strip() for text in page.locator("#table-main th").all_inner_texts()]
    for budget, row in zip(BUDGETS, rows, strict=False):
        shown = dict(zip(heads, row, strict=True))
        folder = results.budget("demo", "local", budget)
        score, latency = (json.loads((folder / name).read_text()) for name in ("score.json", "latency.json"))
        assert (shown["model"], shown["source"]) == (budget, "measured")
        assert [float(shown[name]) for name in ("latency, ms", "BLEU", "chrF")] == [
            latency["latency_ms"],
            score["bleu"],
            score["chrf"],
        ]
        assert shown["reproduce"] == f"snakemake {folder}/bleu.txt"
    assert rows[3][1] == "pub<b>x</b>" and rows[3][heads.index("source")] == "published"
    # In the plot: what is chosen is shown.
    mark = page.locator(".mark").nth(1)
    assert mark.get_attribute("aria-label").startswith("60ms: 58.0 ms, BLEU 5.0, Architecture ")
    mark.hover()
    playwright.expect(page.locator("#tip")).to_have_text(mark.get_attribute("aria-label"))
    mark.click()
    chosen = page.locator("#chosen")
    playwright.expect(chosen.locator("h3")).to_have_text("60ms, demo on local")
    assert "58.0 ms, 95 % interval 57.5 to 59.3" in chosen.inner_text()
    assert chosen.locator(".network rect").count() == 3 + 2
    assert chosen.locator(".network line").count() == 1 + 2
    assert (
        "parameters\n1.50 million; " in chosen.inner_text() and " million without embeddings and" in chosen.inner_text()
    )
    assert " billion per sentence, without output projection" in chosen.inner_text()
    assert "feed-forward 512, 512" in chosen.locator(".network").get_attribute("aria-label")


def test_the_keyboard_is_enough(page):
    page.locator("#place").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('class')") == "mark"
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#chosen h3")).to_have_text("40ms, demo on local")
    playwright.expect(page.locator(".mark").first).to_have_attribute("aria-pressed", "true")
    # Sorting by BLEU, then the other way.
    head = page.locator("#table-main th").nth(4)
    head.locator("button").focus()
    for order, expected in (("ascending", ["40ms", "60ms", "0.09s", "0.1s"]), ("descending", ["0.1s", "0.09s"])):
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == order
        assert page.locator("#table-main tbody tr td:nth-child(3)").all_inner_texts()[: len(expected)] == expected


def test_names_hide_no_mark_and_stay_in_the_plot(page):
    names, marks = boxes(page, "#plot .label, #plot .budget-name"), boxes(page, "#plot .mark > :not(.halo)")
    (plot,) = boxes(page, "#plot svg")
    assert [len(marks), page.locator("#plot .label").count(), page.locator("#plot .budget-name").count()] == [4, 4, 3]
    for number, name in enumerate(names):
        assert plot[0] <= name[0] and plot[1] <= name[1] and name[2] <= plot[2] and name[3] <= plot[3]
        assert not any(overlap(name, other) for other in (*marks, *names[:number]))


def test_every_budget_has_its_line(page):
    """Also one beyond all latencies, as here that of 0.1s."""
    lines, grid = page.locator("#plot .budget"), page.locator("#plot .grid[y1='12']")
    x = [float(lines.nth(number).get_attribute("x1")) for number in range(lines.count())]
    (plot,) = boxes(page, "#plot svg")
    assert len(x) == len(BUDGETS) and sorted(x) == x and x[-1] < plot[2] - plot[0]
    # At the right place of the scale.
    ticks = page.locator("#plot text[text-anchor=middle]").evaluate_all(
        "all => all.filter(one => /^\\d+$/.test(one.textContent))"
        ".map(one => [Number(one.textContent), +one.getAttribute('x')])"
    )
    assert len(ticks) == grid.count() >= 2
    (first, at), *_, (last, end) = ticks
    scale = (end - at) / (last - first)
    assert x == pytest.approx([at + (budget - first) * scale for budget in (40, 60, 100)])


def test_lines_of_a_network_end_at_boxes(page):
    page.locator(".mark").nth(2).click()
    network = page.locator("#chosen .network")
    rects = network.locator("rect").evaluate_all(
        "all => all.map(one => ['x', 'y', 'width', 'height'].map(name => +one.getAttribute(name)))"
    )
    lines = network.locator("line").evaluate_all(
        "all => all.map(one => ['x1', 'y1', 'x2', 'y2'].map(name => +one.getAttribute(name)))"
    )
    right = [(x + width, y + height / 2) for x, y, width, height in rects]
    left = [(x, y + height / 2) for x, y, _, height in rects]
    assert len(lines) > 1
    # Encoder layers of other widths: from the edge of the one to the edge of the other.
    assert len({width for _, _, width, _ in rects}) > 1
    for x1, y1, x2, y2 in lines:
        assert any((x1, y1) == pytest.approx(spot) for spot in right)
        assert any((x2, y2) == pytest.approx(spot) for spot in left)
    # What is written in a box fits into it.
    shapes, texts = boxes(page, "#chosen .network rect"), boxes(page, "#chosen .network text")
    inside = [box for box in texts if any(overlap(box, shape) for shape in shapes)]
    assert len(inside) == 2 * len(rects)
    for box in inside:
        assert any(shape[0] <= box[0] and box[2] <= shape[2] for shape in shapes if overlap(box, shape))


def test_nothing_is_out_of_sight(page):
    """No sideways scrolling of the page; latency is in sight on a phone, the whole main table on a desk."""
    width = page.viewport_size["width"]
    page.locator(".mark").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    heads = [text.strip() for text in page.locator("#table-main th").all_inner_texts()]
    # Nothing here has a cost or a power meter.
    assert {"latency, ms", "BLEU", "reproduce"} <= set(heads) and not {"kg CO2e", "USD", "energy, J"} & set(heads)
    cells = boxes(page, "#table-main tbody tr:first-child td")
    assert cells[heads.index("latency, ms")][2] <= width
    if width >= 1400:
        assert cells[heads.index("reproduce")][2] <= width
    # The name of a row stays when the table is scrolled.
    page.locator("#table-main .scroll").evaluate("one => { one.scrollLeft = one.scrollWidth; }")
    (region,), names = boxes(page, "#table-main .scroll"), boxes(page, "#table-main td.name")
    assert len(names) == 4 and all(region[0] <= name[0] < name[2] <= region[2] for name in names)


def test_figures_enlarge_and_close(page):
    button, dialog = page.locator("figure button").first, page.locator("#enlarged")
    title = page.locator("figure img").first.get_attribute("alt")
    assert page.locator("figure button").count() == page.locator("figure").count()
    (before,) = boxes(page, "figure:first-child img")
    for open_by, close_by in (("click", "Escape"), ("Enter", "button"), ("Space", "Escape")):
        if open_by == "click":
            button.click()
        else:
            button.focus()
            page.keyboard.press(open_by)
        playwright.expect(dialog).to_be_visible()
        assert dialog.locator("h2").inner_text() == title
        assert dialog.locator("p").inner_text() in page.locator("figure figcaption").first.inner_text()
        (after,), (frame,) = boxes(page, "#enlarged img"), boxes(page, "#enlarged")
        assert after[2] - after[0] >= 700
        if page.viewport_size["width"] != VIEWS["tablet"][0]:
            # There a figure is nearly as wide as the window on the page already.
            assert after[2] - after[0] > 1.2 * (before[2] - before[0])
        assert (after[3] - after[1]) / (after[2] - after[0]) == pytest.approx(
            (before[3] - before[1]) / (before[2] - before[0]), rel=0.02
        )
        size = page.viewport_size
        assert min(frame[:2]) >= 0 and frame[2] <= size["width"] and frame[3] <= size["height"]
        # What does not fit is scrolled inside.
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        if close_by == "button":
            dialog.locator("button").click()
        else:
            page.keyboard.press(close_by)
        playwright.expect(dialog).to_be_hidden()
        playwright.expect(button).to_be_focused()


def test_captions_are_said_once(page):
    for figure in page.locator("figure").all():
        caption = figure.locator(".caption").inner_text()
        assert caption and caption not in figure.locator("img").get_attribute("alt")
        assert figure.inner_text().count(caption) == 1


def test_text_is_legible(page):
    """At least WCAG's 4.5 between text and ground, of the page and of the plot."""
    for selector, key in (("body", "color"), (".quiet", "color"), ("#plot .label", "fill"), ("#plot text", "fill")):
        found = page.locator(selector).first.evaluate(f"one => getComputedStyle(one).{key}")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        one, other = sorted(luminance(colour) for colour in (found, ground))
        assert (other + 0.05) / (one + 0.05) >= 4.5, selector


def luminance(colour):
    """Relative luminance of a colour such as rgb(1, 2, 3), as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_pictures_and_controls_have_names(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('img, button, select, [role=button], [role=region]')].filter(one => !("
        "one.alt || one.textContent.trim() && one.tagName === 'BUTTON' || one.ariaLabel || one.labels?.length)).length"
    )
    assert unnamed == 0
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("figure img").count() >= 8
    broken = page.evaluate(
        "Promise.all([...document.images].map(one => { one.loading = 'eager';"
        " return one.decode().then(() => 0, () => 1); })).then(found => found.reduce((sum, one) => sum + one, 0))"
    )
    assert broken == 0


def test_nothing_is_fetched_from_elsewhere(page_file):
    text = page_file.read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert "@import" not in text and "url(" not in text
