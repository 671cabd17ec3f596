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
SIZES = {"phone": (360, 740), "tablet": (820, 1100), "desk": (1400, 950)}


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


@pytest.fixture(params=SIZES)
def page(browser, page_file, request):
    """The page at a size; in the end the console is empty and nothing but the file was asked for."""
    width, height = SIZES[request.param]
    scheme = "dark" if request.param == "tablet" else "light"
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


def test_values_are_those_of_the_artifacts(page, results):
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
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
    assert "feed-forward 512, 512" in chosen.locator(".network").get_attribute("aria-label")


def test_the_keyboard_is_enough(page):
    page.locator("#place").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('class')") == "mark"
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#chosen h3")).to_have_text("40ms, demo on local")
    playwright.expect(page.locator(".mark").first).to_have_attribute("aria-pressed", "true")
    # Sorting by BLEU, then the other way.
    head = page.locator("#table-main th").nth(6)
    head.locator("button").focus()
    for order, expected in (("ascending", ["40ms", "60ms", "0.09s", "0.1s"]), ("descending", ["0.1s", "0.09s"])):
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == order
        assert page.locator("#table-main tbody tr td:nth-child(3)").all_inner_texts()[: len(expected)] == expected


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
