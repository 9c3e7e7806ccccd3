"""The search page in a real browser: five scripts, a picture, Arabic, and the keyboard alone."""

import base64
import io
import json
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from benchmarks.browser import find_browser, open_browser
from benchmarks.serve_load import make_pack

import small_world
from polyglance.demo import english_model, towers
from polyglance.model.manifest import LanguageScore
from polyglance.model.pack import LanguagePack
from polyglance.search import indexing

pytest.importorskip("fastapi", reason="pip install 'polyglance[serve]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="needs Chromium"),
]
LANGUAGES = ("arb_Arab", "deu_Latn", "heb_Hebr", "hin_Deva", "jpn_Jpan", "rus_Cyrl")
SCRIPTS = ("red circle", "красный круг", "دائرة حمراء", "लाल गोला", "赤い丸")
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}


@pytest.fixture
def page(picture_folder, tmp_path):
    """A tab that shows the page of a server over drawn pictures."""
    three = towers.load(None)
    model = english_model(three, tmp_path / "model")
    index, pack = tmp_path / "index", tmp_path / "pack"
    made = LanguagePack.load(make_pack(model, three, tmp_path / "unmeasured"))
    scores = {name: LanguageScore(pack=0.5, teacher=0.1, speaks="pack") for name in LANGUAGES}
    replace(made, manifest=replace(made.manifest, languages=scores)).save(pack)
    indexing.build(picture_folder, model=str(tmp_path / "model"), out=index)
    argv = ("serve", "--index", str(index), "--pack", str(pack), "--port", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "polyglance", *argv], stdout=subprocess.PIPE, text=True
    )
    address = process.stdout.readline().split()[0]
    try:
        with open_browser(find_browser()) as tab:
            tab.size(1280, 900)
            tab.go(f"{address}/")
            tab.wait_for(READY)
            yield tab
            assert [
                asked for asked in tab.requests if not asked.startswith((address, "blob:"))
            ] == []
            assert tab.said == []
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


READY = 'document.documentElement.dataset.ready === "yes"'
HITS = 'document.querySelectorAll(".hit").length'
SAID = 'document.getElementById("said").textContent'
ACTIVE = "document.activeElement"


def type_text(tab, text):
    tab.call("Input.insertText", text=text)


def press(tab, key, **more):
    facts = ENTER if key == "Enter" else {"key": key, "code": key, **more}
    tab.call("Input.dispatchKeyEvent", type="keyDown", **facts)
    tab.call("Input.dispatchKeyEvent", type="keyUp", **facts)


def clear(tab):
    tab.evaluate("document.getElementById('query').select()")


@pytest.mark.parametrize("query", SCRIPTS)
def test_results_come_as_one_types(page, query):
    type_text(page, query)
    page.wait_for(f"{HITS} > 10 && {SAID} !== ''")
    page.wait_for(
        "[...document.querySelectorAll('.hit img')].slice(0, 12).every(i => i.naturalWidth)"
    )
    assert page.evaluate("new URLSearchParams(location.search).get('q')") == query
    heights = "JSON.stringify([...document.querySelectorAll('.hit')].map(h => h.offsetHeight))"
    assert len(set(json.loads(page.evaluate(heights)))) == 1  # nothing jumps


def test_a_picture_is_dropped(page):
    written = io.BytesIO()
    small_world.draw("big red circle", seed=99).save(written, "PNG")
    data = base64.b64encode(written.getvalue()).decode()
    page.evaluate(
        f"""(async () => {{
          const blob = await (async () => new Blob([Uint8Array.from(atob("{data}"),
            (c) => c.charCodeAt(0))], {{ type: "image/png" }}))();
          const dragged = new DataTransfer();
          dragged.items.add(new File([blob], "photo.png", {{ type: "image/png" }}));
          document.body.dispatchEvent(new DragEvent("dragenter",
            {{ dataTransfer: dragged, bubbles: true }}));
          window.shown = document.getElementById("drop").classList.contains("over");
          document.body.dispatchEvent(new DragEvent("drop",
            {{ dataTransfer: dragged, bubbles: true, cancelable: true }}));
        }})()"""
    )
    assert page.evaluate("window.shown")
    page.wait_for(f"{HITS} > 10")
    first = "document.querySelector('.hit').getAttribute('aria-label')"
    assert page.evaluate(first) == "1. big-red-circle.png"
    assert page.evaluate("!document.getElementById('chip').hidden")
    page.evaluate("document.getElementById('remove').click()")
    page.wait_for(f"{HITS} === 0")


def test_the_page_turns_round_for_arabic(page):
    page.evaluate("document.getElementById('language').focus()")
    press(page, "Enter")
    page.wait_for(f"{ACTIVE}.id === 'find'")
    type_text(page, "arab")
    page.wait_for("document.querySelectorAll('[role=option]').length === 1")
    assert "العربية" in page.evaluate("document.querySelector('[role=option].active').textContent")
    press(page, "Enter")
    page.wait_for("document.documentElement.dir === 'rtl'")
    assert page.evaluate("document.documentElement.lang") == "ar"
    assert page.evaluate(f"{ACTIVE}.id") == "language"  # the focus comes back
    assert (
        page.evaluate("document.getElementById('query').getAttribute('aria-label')")
        == "البحث عن الصور"
    )
    box, button = (
        page.evaluate(f"document.getElementById('{name}').getBoundingClientRect().left")
        for name in ("query", "language")
    )
    assert button < box  # the button stands at the other end


def test_the_keyboard_is_enough(page):
    page.evaluate("document.getElementById('language').focus()")
    press(page, "/", text="/")
    assert page.evaluate(f"{ACTIVE}.id") == "query"
    type_text(page, "red circle")
    page.wait_for(f"{HITS} > 10")
    label = f"{ACTIVE}.getAttribute('aria-label')"
    press(page, "ArrowDown")
    assert page.evaluate(label).startswith("1. ")
    press(page, "ArrowRight")
    assert page.evaluate(label).startswith("2. ")
    press(page, "ArrowDown")
    below = int(page.evaluate(label).split(".")[0])
    assert below > 3
    press(page, "ArrowUp")
    assert page.evaluate(label).startswith("2. ")
    press(page, "Enter")
    page.wait_for("document.getElementById('details').open")
    shown = page.evaluate("document.getElementById('shown').textContent")
    press(page, "ArrowRight")
    page.wait_for(f"document.getElementById('shown').textContent !== {shown!r}")
    press(page, "Escape", windowsVirtualKeyCode=27)
    page.wait_for("!document.getElementById('details').open")
    page.wait_for(f"{label}?.startsWith('3. ')")  # the focus is where one looked last
    press(page, "Enter")
    page.wait_for("document.getElementById('details').open")
    more = page.evaluate("document.getElementById('shown').textContent")
    page.evaluate("document.getElementById('more').focus()")
    press(page, "Enter")
    page.wait_for(f"new URLSearchParams(location.search).get('like') === {more!r}")
    page.wait_for(f"{HITS} > 10 && {SAID}.includes({more!r})")
