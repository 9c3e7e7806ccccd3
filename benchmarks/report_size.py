"""Is the report small and quick? 3 models x 201 languages, both ways, R@1/5/10 with intervals.

Two things are held against targets: the size of the file, and the seconds until a reader can use
it in a real browser. The clock starts where the browser starts to read the file (`performance.now`
is zero there) and stops when the table has been sorted by another column, by a click on its head,
and painted. The click is made by a script that stands in the page before it loads and clicks as
soon as the page's own script listens; so parsing, filling, sorting, layout and paint all count.
Median of several loads, each in a fresh page of a warm browser. Where there is no browser, the size
alone is measured, and that is said.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.browser import Tab, find_browser, open_browser
from benchmarks.harness import Criterion, Outcome, say

from polyglance.languages.registry import all_languages
from polyglance.report.page import write_report
from polyglance.results.schema import Direction, Result

MODELS = ("English alone", "distilled", "ridge")
NUM_LANGUAGES, NUM_QUERIES = 201, 1000
SEED = 20
LOADS = 5
TARGET_MEGABYTES, TARGET_SECONDS = 3.0, 1.0
# Width and height of the window in CSS pixels.
WINDOWS = {"desk": (1280, 900), "phone": (390, 844)}
# Clicks as soon as the page listens, then waits for the frame that shows the new order.
USABLE = """
(() => {
  const wait = () => {
    const head = document.querySelector('table.languages th[data-key="name"] button');
    if (!head || !document.documentElement.classList.contains("alive"))
      return void setTimeout(wait);
    window.listening = performance.now();
    head.click();
    const first = document.querySelector("table.languages tbody tr td.id").textContent;
    requestAnimationFrame(() => setTimeout(() => {
      window.usable = { seconds: performance.now() / 1000, first,
        listening: window.listening / 1000 };
    }));
  };
  wait();
})();
"""


def make_results(
    *, num_languages: int = NUM_LANGUAGES, models: tuple[str, ...] = MODELS
) -> list[Result]:
    """Hit rates of every model in every language, both ways; the same ones every time."""
    languages = [row.id for row in all_languages() if row.in_flores][:num_languages]
    directions: tuple[Direction, ...] = ("text_to_content", "content_to_text")
    return [
        _result(model, language, direction)
        for language in languages
        for model in models
        for direction in directions
    ]


def run() -> Outcome:
    """Write the report, weigh it, and use it."""
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(
            Path(folder) / "report.html",
            title="3 models in 201 languages",
            results=make_results(),
            model_order=MODELS,
            baseline=MODELS[0],
            facts={"commands": ["make bench NAME=report-size"]},
        )
        megabytes = page.stat().st_size / 1e6
        say(f"  {megabytes:.2f} MB, the target is {TARGET_MEGABYTES:g} MB at most")
        figures: dict[str, Any] = {
            "models": len(MODELS),
            "languages": NUM_LANGUAGES,
            "numbers": len(MODELS) * NUM_LANGUAGES * 2 * 3,
            "megabytes": round(megabytes, 3),
        }
        browser = find_browser()
        if browser is None:
            say("  no browser here: the size alone was measured, the seconds were not")
            return Outcome(ratio=megabytes, figures={**figures, "seconds": None})
        measured = _measure(page, browser)
    others = tuple(
        Criterion(
            name=f"seconds_until_usable_{window}",
            value=found["seconds"],
            target=TARGET_SECONDS,
            direction="at most",
        )
        for window, found in measured.items()
    )
    return Outcome(ratio=megabytes, figures={**figures, "browser": measured}, others=others)


def _measure(page: Path, browser: str) -> dict[str, dict[str, Any]]:
    """For each window: seconds until usable and listening, of the median load, and of the worst."""
    measured = {}
    with open_browser(browser) as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=USABLE)
        for window, (width, height) in WINDOWS.items():
            tab.size(width, height)
            loads = [_load(tab, page) for _ in range(LOADS)]
            loads.sort(key=lambda found: found["seconds"])
            measured[window] = {**loads[LOADS // 2], "slowest_load": loads[-1]["seconds"]}
            listed = ", ".join(f"{found['seconds']:.3f}" for found in loads)
            say(f"  {window} ({width} px): usable after {listed} s")
    return measured


def _load(tab: Tab, page: Path) -> dict[str, Any]:
    tab.open(Path("/dev/null"))
    tab.open(page)
    tab.wait_for("window.usable")
    found: dict[str, Any] = tab.evaluate("window.usable")
    if tab.said or found["first"] != min(_ids(), key=_english_name):
        raise RuntimeError(f"the page is not as it should be: {found['first']}, {tab.said}")
    return found


def _ids() -> list[str]:
    return [row.id for row in all_languages() if row.in_flores][:NUM_LANGUAGES]


def _english_name(language: str) -> str:
    return next(row.english_name for row in all_languages() if row.id == language)


def _result(model: str, language: str, direction: Direction) -> Result:
    random = Random(f"{SEED} {model} {language} {direction}")
    best = random.uniform(0.2, 0.9)
    values = {f"hit_rate_at_{k}": best * share for k, share in ((1, 0.4), (5, 0.8), (10, 1.0))}
    return Result(
        task="xtd200",
        split="test",
        language=language,
        direction=direction,
        metric="hit_rate",
        caption_policy="first",
        values=values,
        intervals={
            name: (max(0.0, value - 0.03), min(1.0, value + 0.03)) for name, value in values.items()
        },
        num_queries=NUM_QUERIES,
        num_candidates=NUM_QUERIES,
        num_dropped={},
        model=model,
        model_id=f"fingerprint of {model}",
        data_id=f"fingerprint of {language}",
    )
