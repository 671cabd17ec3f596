"""The page of ``hat serve`` in a real browser: Debian's Chromium, driven by Playwright, with no other host in reach."""

import re
import shutil
from urllib.parse import urlsplit

import pytest
from serving import PATIENCE_SECONDS, Served
from toy_model import write_model

from hat.deploy.translator import Translator
from hat.runtime.base import Decoding

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; on Debian the package chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SENTENCE = "the end of the beginning."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    decoding = Decoding(beam=2, max_length_ratio=0, max_length_extra=8)
    said = {"task": "toy", "device": "board", "budget": "20ms"}
    return write_model(tmp_path_factory.mktemp("browser") / "model", decoding=decoding, **said)


@pytest.fixture(scope="module")
def served(folder, tmp_path_factory):
    with Served(folder, tmp_path_factory.mktemp("log") / "log", "--characters", 200) as served:
        yield served


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        playwright.expect.set_options(timeout=1000 * PATIENCE_SECONDS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, served):
    """The page, opened; in the end the console must be empty and no other host have been asked."""
    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE_SECONDS)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.expected = set()
    page.goto(served.url)
    playwright.expect(page).to_have_title("English to German")
    yield page
    page.close()
    assert [text for text in said if not any(expected in text for expected in page.expected)] == []
    assert {(urlsplit(url).hostname, urlsplit(url).port) for url in asked if not url.startswith("data:")} == {
        served.address
    }


def translated(page):
    playwright.expect(page.locator("#status")).to_have_text(re.compile(r"^Translated in [0-9.]+ ms\.$"))
    assert page.get_by_role("alert").inner_text() == ""
    return page.get_by_label("German translation").input_value()


def test_a_sentence_is_translated_and_its_latency_shown(page, folder):
    assert page.get_by_role("heading").inner_text() == "English to German"
    assert page.locator("#model").inner_text() == "Model 20ms; task toy; made for board; runs on torch, fp32"
    page.get_by_label("English", exact=True).fill(f"{SENTENCE}\n\n{SENTENCE}")
    page.get_by_role("button", name="Translate").click()
    (expected,) = Translator.from_folder(folder).translate([SENTENCE])
    assert translated(page) == f"{expected}\n\n{expected}"


def test_the_keyboard_is_enough(page, folder):
    (expected,) = Translator.from_folder(folder).translate([SENTENCE])
    # The text has the focus when the page opens.
    page.keyboard.type(SENTENCE)
    page.keyboard.press("Control+Enter")
    assert translated(page) == expected
    order = []
    for _ in range(2):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    assert order == ["translate", "translation"]
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type(other := "the heaven and the earth.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    (expected,) = Translator.from_folder(folder).translate([other])
    playwright.expect(page.locator("#translation")).to_have_value(expected)
    translated(page)


def test_every_control_has_a_name(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('textarea, button')].filter(one => !(one.labels?.length || one.textContent))"
        ".map(one => one.id)"
    )
    assert unnamed == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("#source").get_attribute("lang") == "en"
    assert page.locator("#translation").get_attribute("lang") == "de"


def test_what_is_too_long_is_said(page):
    page.expected.add("413")
    page.locator("#source").fill("a" * 201)
    page.get_by_role("button", name="Translate").click()
    said = "Not translated: the text has 201 characters, at most 200 are allowed."
    playwright.expect(page.get_by_role("alert")).to_have_text(said)
    assert page.locator("#status").inner_text() == ""
    # Then a shorter one takes the error away.
    page.locator("#source").fill("the end.")
    page.get_by_role("button", name="Translate").click()
    translated(page)


def test_markup_and_odd_characters_are_text(page):
    page.locator("#source").fill("<img src=x onerror=alert(1)> \U0001f680 \u05d0\u202e")
    page.get_by_role("button", name="Translate").click()
    translated(page)
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_server_that_is_gone_is_said(browser, folder, tmp_path):
    page = browser.new_page()
    with Served(folder, tmp_path / "log") as served:
        page.goto(served.url)
        playwright.expect(page).to_have_title("English to German")
    page.locator("#source").fill("the end.")
    page.get_by_role("button", name="Translate").click()
    playwright.expect(page.get_by_role("alert")).to_have_text("Not translated: the server cannot be reached.")
    page.close()
