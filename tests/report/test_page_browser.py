"""The report in a real browser: nothing in the console, nothing asked of anybody, sorting works."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from fake_results import BASELINE, MODELS, fake_results
from polyglance.report import building, page, tables, wording

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</script><script>document.title='broken'</script>"

pytestmark = pytest.mark.slow


def write(path: Path, *, num_languages: int = 112, models=MODELS) -> Path:
    return page.write_report(
        path,
        title=f"A hundred languages {HOSTILE}",
        results=fake_results(num_languages=num_languages, models=models),
        model_order=models,
        baseline=BASELINE,
        facts={"commands": ["make demo"], "note": HOSTILE},
        notes=["The map saw English alone."],
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGLANCE_CACHE", str(folder / "cache"))
        yield {
            "demo": write(folder / "demo.html"),
            "big": write(folder / "big.html", num_languages=201, models=MODELS[:3]),
        }


@pytest.fixture(scope="module")
def tab():
    """One page of a real browser, for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        browser = importlib.import_module("benchmarks.browser")
        command = browser.find_browser()
        if command is None:
            pytest.skip(f"no browser here: none of {', '.join(browser.BROWSERS)}")
        with browser.open_browser(command) as opened:
            yield opened


def browse(tab, report: Path, hash_: str = "", *, width: int = 1280, theme: str = "light") -> str:
    """The page with every chart drawn; anything in the console fails the test."""
    tab.size(width, 900, theme=theme)
    tab.open(Path("/dev/null"))  # an address that differs after # alone would not load again
    tab.open(report, fragment=f"#{hash_}")
    tab.size(width, tab.evaluate("document.documentElement.scrollHeight"), theme=theme)
    drawn = "[...document.querySelectorAll('.plot')].every((p) => p.hidden || p.dataset.drawn)"
    tab.wait_for(drawn)
    assert tab.said == []
    return str(tab.evaluate("document.documentElement.outerHTML"))


def ids(dom: str) -> list[str]:
    body = dom[dom.index('<table class="languages"') :].partition("</table>")[0]
    return re.findall(r'<td class="wide id">(\w+)</td>', body)


def section():
    (made,) = building.build_sections(
        fake_results(num_languages=112), model_order=MODELS, baseline=BASELINE
    )
    return made


def drawn(dom: str) -> list[str]:
    return re.findall(r'data-plot="(\w+)"[^>]*data-drawn="(\d+)"', dom)


def test_it_draws_everything_and_asks_nobody(reports, tab):
    dom = browse(tab, reports["demo"])
    every = str(112 * len(MODELS))
    assert drawn(dom) == [("heat", every), ("bars", "24"), ("scatter", every), ("resources", "305")]
    assert dom.count("<svg") > 2 * len(MODELS)
    assert tab.evaluate("document.title").startswith("A hundred languages")
    assert tab.requests == [f"{reports['demo'].as_uri()}"]


def test_the_list_of_requests_would_show_one(tab, tmp_path):
    leaking = tmp_path / "leaking.html"
    leaking.write_text('<!doctype html><img src="http://127.0.0.1:9/x"><p>seen', encoding="utf-8")
    tab.open(leaking)
    assert "http://127.0.0.1:9/x" in tab.requests


@pytest.mark.parametrize(
    ("hash_", "model", "split", "descending"),
    [
        ("sort=m2&order=asc", "ridge", "seen", False),
        ("sort=m3&order=desc&split=held_out", "m2m", "held_out", True),
    ],
)
def test_it_sorts_and_shows_the_split_that_is_asked_for(
    reports, tab, hash_, model, split, descending
):
    dom = browse(tab, reports["demo"], hash_)
    view = section().view(split=split, direction="text_to_content", value="hit_rate_at_10")
    found = ids(dom)
    assert len(found) == 112
    values = [round(view.figure(model, language).value, 5) for language in found]
    assert values == sorted(values, reverse=descending)
    shown = re.findall(r'<span class="v">([^<]*)</span>', dom[dom.index("<tr data-i=") :])
    assert shown[: len(MODELS)] == [
        wording.per_cent(view.figure(name, found[0]).value) for name in MODELS
    ]
    assert f'aria-sort="{"descending" if descending else "ascending"}"' in dom


def test_it_filters_by_own_name_without_marks_and_by_script(reports, tab):
    assert ids(browse(tab, reports["demo"], "filter=turkce")) == ["tur_Latn"]
    dom = browse(tab, reports["demo"], "group=script:Arabic&sort=name&order=asc&all=1")
    assert ids(dom)[0] == "arb_Arab"
    assert {name[-4:] for name in ids(dom)} == {"Arab"}
    assert f"{len(ids(dom))} of 112 languages" in dom
    dom = browse(tab, reports["demo"], "filter=no+such+language")
    assert ids(dom) == []


def test_other_directions_and_values_fill_the_headline(reports, tab):
    hash_ = "direction=content_to_text&value=hit_rate_at_1&after=3&sort=gain&order=desc"
    dom = browse(tab, reports["demo"], hash_)
    made = section()
    view = made.view(split="seen", direction="content_to_text", value="hit_rate_at_1")
    heads = {row.model: row for row in tables.headlines(view)}
    row = dom[dom.index('<tr data-model="3">') :].partition("</tr>")[0]
    shown = re.findall(r'<span class="v">([^<]*)</span>', row)
    assert shown[:2] == [
        wording.per_cent(heads["m2m"].english.value),
        wording.per_cent(heads["m2m"].others.value),
    ]
    assert '<b data-slot="value">R@1</b>' in dom
    assert '<b data-slot="direction">image to text</b>' in dom
    found = ids(dom)
    gains = [view.figure("m2m", name).value - view.figure(BASELINE, name).value for name in found]
    assert all(a >= b - 2e-5 for a, b in pairwise(gains))


def test_an_address_that_names_nothing_shows_the_first_view(reports, tab):
    dom = browse(tab, reports["demo"], "sort=nope&after=99&split=x&value=y&group=")
    assert ids(dom) == ids(browse(tab, reports["demo"], ""))


def test_sizes_and_a_phone_in_the_dark(reports, tab):
    assert reports["demo"].stat().st_size < 2_000_000
    assert reports["big"].stat().st_size < 3_000_000
    dom = browse(tab, reports["big"], "all=1", width=390, theme="dark")
    assert len(ids(dom)) == 201
    assert drawn(dom) == [
        ("heat", "603"),
        ("bars", "201"),
        ("scatter", "603"),
        ("resources", "252"),
    ]
    assert 'aria-pressed="true"' in dom
    assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_a_chart_waits_until_it_is_near(reports, tab):
    tab.size(1280, 300)
    tab.open(Path("/dev/null"))
    tab.open(reports["demo"])
    tab.evaluate("new Promise((done) => setTimeout(done, 400))")
    assert tab.evaluate("document.querySelectorAll('[data-drawn]').length") == 0
    assert tab.evaluate("typeof vegaEmbed") == "undefined"
    tab.evaluate("document.querySelector('[data-plot=bars]').scrollIntoView()")
    tab.wait_for("document.querySelector('[data-plot=bars]').dataset.drawn === '24'")


def test_group_means_follow_the_kind_of_group_and_filter(reports, tab):
    dom = browse(tab, reports["demo"], "by=script")
    view = section().views[0]
    arabic = [name for name in view.figures["ridge"] if name.endswith("_Arab")]
    expected = tables.mean_figure([view.figure("ridge", name) for name in arabic])
    table = dom[dom.index('<table class="groups"') :].partition("</table>")[0]
    row = table[table.index(">Arabic<") :].partition("</tr>")[0]
    assert f'<td class="num">{len(arabic)}</td>' in row
    shown = re.findall(r'<span class="v">([^<]*)</span>', row)
    assert shown[MODELS.index("ridge")] == wording.per_cent(expected.value)
    tab.evaluate("document.querySelector('[data-group=\"script:Arabic\"]').click()")
    dom = tab.evaluate("document.documentElement.outerHTML")
    assert sorted(ids(dom)) == sorted(arabic)
    means = tab.evaluate("[...document.querySelectorAll('td.mean .v')].map((v) => v.textContent)")
    assert means == shown
