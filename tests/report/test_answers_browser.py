"""Answers in a real browser: thumbnails drawn, each script in its direction, a phone's width."""

import importlib
import io
from pathlib import Path

import pytest
from PIL import Image

from polyglance.report import answers
from polyglance.report.answers import AnsweredQuery, Card, CardRow, FoundItem
from polyglance.report.tables import Figure

pytestmark = pytest.mark.slow


@pytest.fixture
def tab(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    browser = importlib.import_module("benchmarks.browser")
    command = browser.find_browser()
    if command is None:
        pytest.skip(f"no browser here: none of {', '.join(browser.BROWSERS)}")
    with browser.open_browser(command) as opened:
        yield opened


def jpeg(colour):
    file = io.BytesIO()
    Image.new("RGB", (200, 150), colour).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_asks_nobody(tab, tmp_path, width, theme):
    items = [
        FoundItem(name=f"{n}.jpg", score=0.5, thumbnail=jpeg((40 * n, 90, 60))) for n in (1, 2)
    ]
    items.append(FoundItem(name="a-name-that-is-very-long-indeed-" * 4, score=0.1))
    asked = [
        AnsweredQuery(language=each, text=text, meaning="x", answered_by="pack", items=items)
        for each, text in (("heb_Hebr", "אנשים על חוף הים"), ("tha_Thai", "สุนัขสองตัวในหิมะ" * 9))
    ]
    row = CardRow(language="deu_Latn", num_queries=900, pack=Figure(0.5, 0.4, 0.6))
    page = answers.write_answers(
        tmp_path / "page.html",
        asked,
        title="Photos",
        lead="2 photos",
        facts={"commands": ["polyglance demo --photos " + "x" * 300]},
        card=Card(says="Measured elsewhere.", rows=[row] * 9),
    )
    tab.size(width, 900, theme=theme)
    tab.open(page)
    shown = "[...document.images].map((one) => one.complete && one.naturalWidth)"
    tab.wait_for(f"{shown}.every(Boolean)")
    assert tab.evaluate(shown) == [200] * 4
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("getComputedStyle(document.querySelector('.answer h3')).direction") == "rtl"
    assert tab.said == []
    assert [one for one in tab.requests if not one.startswith("data:")] == [page.as_uri()]
