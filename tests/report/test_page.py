from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_results import BASELINE, MODELS, fake_results
from polyglance.report import building, document, headline, page, payload, tables, wording

VOID = {"meta", "input", "br", "path"}
ROWS = fake_results(num_languages=14)
HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Elements, attributes and text of a page; complains where tags do not balance."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        assert len(found) == len(attrs), (tag, attrs)
        self.elements.append((tag, found))
        if tag == "script":
            self.scripts.append((found, ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    def having(self, tag=None, **attributes):
        return [
            found
            for name, found in self.elements
            if tag in (None, name)
            and all(found.get(key.replace("_", "-")) == value for key, value in attributes.items())
        ]


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "window.vegaEmbed = null")


def write(tmp_path, rows=ROWS, **changes):
    settings = {
        "title": "A hundred languages",
        "results": rows,
        "model_order": list(dict.fromkeys(row.model for row in rows)),
        "baseline": BASELINE,
        "facts": {"commands": ["make demo"], "seconds": {"train": 61.25}},
        "notes": ["The map saw English alone."],
        **changes,
    }
    path = page.write_report(tmp_path / "deep" / "report.html", **settings)
    return path.read_text(encoding="utf-8")


def test_the_page_is_whole_and_asks_nobody(tmp_path):
    html = write(tmp_path)
    read = Page(html)
    assert html.startswith("<!doctype html>")
    assert "default-src 'none'" in html
    for tag, attributes in read.elements:
        assert tag not in {"link", "iframe", "img", "base", "object"}
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert re.findall(r"url\(|@import|https?:", html) == []
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = [a["aria-labelledby"] for _, a in read.elements if "aria-labelledby" in a]
    assert set(labelled) <= set(ids)


def test_every_script_that_runs_is_named_by_its_hash(tmp_path):
    read = Page(write(tmp_path))
    (policy,) = read.having("meta", http_equiv="Content-Security-Policy")
    # The charts' script waits as text until one is needed; the data never run.
    running = [text for found, text in read.scripts if found.get("type") != "application/json"]
    assert len(running) == 3
    for text in running:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy["content"]


def test_hostile_names_stay_text(tmp_path):
    rows = [
        replace(row, model=HOSTILE if row.model == "ridge" else row.model, task=HOSTILE)
        for row in ROWS
    ]
    html = write(
        tmp_path,
        rows=rows,
        title=HOSTILE,
        notes=[HOSTILE],
        facts={HOSTILE: {HOSTILE: [HOSTILE]}, "commands": HOSTILE, "x": HOSTILE, "y": [HOSTILE]},
    )
    read = Page(html)
    assert len(read.scripts) == 4
    assert read.having("img") == []
    assert "<img" not in html
    data = json.loads(read.scripts[1][1])
    assert HOSTILE in data["sections"][0]["models"]
    assert sum(HOSTILE in text for text in read.text) > 8


@given(st.text())
def test_json_in_a_script_holds_no_sign_of_markup(text):
    made = payload.as_json({"model": text})
    assert not set("<>&\u2028\u2029") & set(made)
    assert json.loads(made) == {"model": text}


def test_languages_carry_their_own_name_tag_and_direction(tmp_path):
    read = Page(write(tmp_path))
    (arabic, again) = read.having("bdi", lang="ar")
    assert arabic["dir"] == again["dir"] == "rtl"
    assert {found["dir"] for found in read.having("bdi", lang="ja")} == {"ltr"}
    assert "العربية" in read.text
    assert [found["lang"] for found in read.having("html")] == ["en"]


def test_the_tables_show_the_main_view_in_per_cent(tmp_path):
    html = write(tmp_path)
    (section,) = building.build_sections(ROWS, model_order=MODELS, baseline=BASELINE)
    main = section.views[0]
    best = tables.best_model(main, baseline=BASELINE)
    order = tables.in_order_of(main, section.languages, model=best)
    body = html[html.index('<table class="languages"') :]
    assert [int(i) for i in re.findall(r'<tr data-i="(\d+)">', body)] == [
        section.languages.index(language) for language in order
    ]
    row = body[body.index("<tr data-i=") :].partition("</tr>")[0]
    shown = re.findall(r'<span class="v">([^<]*)</span>', row)
    assert shown == [wording.per_cent(main.figure(model, order[0]).value) for model in MODELS]
    assert 'aria-sort="descending"' in body


def test_the_payload_holds_every_number_as_a_fraction(tmp_path):
    read = Page(write(tmp_path))
    (data,) = json.loads(read.scripts[1][1])["sections"]
    (section,) = building.build_sections(ROWS, model_order=MODELS, baseline=BASELINE)
    assert [view["name"] for view in data["views"][:3]] == ["R@10", "R@5", "R@1"]
    for view, shown in zip(section.views, data["views"], strict=True):
        for m, model in enumerate(section.models):
            for i, language in enumerate(section.languages):
                figure = view.figure(model, language)
                columns = [shown[name][m] for name in ("values", "lows", "highs")]
                # A column that is the same in every row is one number.
                ends = [column[i] if isinstance(column, list) else column for column in columns]
                assert ends == pytest.approx([figure.value, figure.low, figure.high], abs=1e-5)


def test_two_tasks_get_sections_of_their_own(tmp_path):
    rows = ROWS + fake_results(num_languages=3, models=("distill", "m2m"), task="flickr")
    html = write(tmp_path, rows=rows)
    read = Page(html)
    assert [found["data-section"] for found in read.having("section") if len(found) > 1] == [
        "0",
        "1",
    ]
    data = json.loads(read.scripts[1][1])
    # The second task lacks the baseline: nothing to compare with, so no gain and no cards.
    assert (data["sections"][1]["baseline"], data["sections"][1]["after"]) == (None, None)
    assert (html.count('data-key="gain"'), html.count('class="cards"')) == (1, 1)
    assert "14 languages · 5 models · pictograms, flickr" in "".join(read.text)


def test_one_model_one_split_no_intervals_no_english(tmp_path):
    rows = [
        replace(row, intervals={}, num_dropped={})
        for row in ROWS
        if (row.model, row.split) == (BASELINE, "seen") and row.language != "eng_Latn"
    ]
    html = write(tmp_path, rows=rows, notes=[], facts={})
    read = Page(html)
    text = "".join(read.text)
    assert "1 model ·" in text
    assert "Nothing was dropped." in text
    assert 'data-plot="scatter"' not in html
    assert 'class="cards"' not in html
    assert 'data-key="gain"' not in html
    # Correlations with resources have intervals of their own, over languages.
    before, resources = html.split("<h3>Against resources</h3>")
    assert 'class="ci"' not in before + resources.split("</table>", 1)[1]
    assert read.having("td", data_part="english") == []


def test_a_language_that_a_model_lacks_shows_a_dash(tmp_path):
    rows = [row for row in ROWS if (row.model, row.language) != ("distill", "arb_Arab")]
    html = write(tmp_path, rows=rows)
    row = html[html.index(">arb_Arab</td>") :].partition("</tr>")[0]
    assert row.count('<span class="v">–</span>') == 1
    assert 'gain">–</td>' in row
    assert "the 12 languages other than English" in html


def test_cards_say_when_english_does_not_change(tmp_path):
    html = write(tmp_path)
    assert "<b>unchanged</b>" in html
    (section,) = building.build_sections(ROWS, model_order=MODELS, baseline=BASELINE)
    assert headline.cards(section, baseline=BASELINE, after=None) == []


def test_a_card_without_both_numbers_is_left_out(tmp_path):
    rows = [row for row in ROWS if (row.model, row.language) != ("distill", "eng_Latn")]
    html = write(tmp_path, rows=rows)
    assert html.count('<div class="card">') == 2
    rows = [row for row in rows if (row.split, row.model) != ("held_out", BASELINE)]
    html = write(tmp_path, rows=rows)
    assert html.count('<div class="card">') == 1


def test_chance_is_not_said_where_the_number_of_candidates_varies(tmp_path):
    assert "Guessing among 1,911 candidates" in write(tmp_path)
    rows = [replace(row, num_candidates=500 + len(row.language)) for row in ROWS]
    rows[0] = replace(rows[0], num_candidates=7)
    assert "Guessing among" not in "".join(Page(write(tmp_path, rows=rows)).text)


def test_gains_are_in_colour_only_where_intervals_do_not_touch(tmp_path):
    html = write(tmp_path)
    english = html[html.index(">eng_Latn</td>") :].partition("</tr>")[0]
    assert '<td class="num gain">0.0</td>' in english
    arabic = html[html.index(">arb_Arab</td>") :].partition("</tr>")[0]
    assert '<td class="num gain up">+' in arabic
    turned = [row for row in ROWS if row.model in (BASELINE, "distill")]
    html = write(tmp_path, rows=turned, baseline="distill")
    arabic = html[html.index(">arb_Arab</td>") :].partition("</tr>")[0]
    assert '<td class="num gain down">−' in arabic


def test_facts_of_every_form():
    shown = (
        document.environment()
        .get_template("facts.html")
        .module.listed(
            {
                "commands": ["make demo", "polyglance eval <m>"],
                "seconds": {"train": 61.25, "note": "estimated", "done": True},
                "total_seconds": 1200,
                "versions": {"torch": "2.9", "of": {"numpy": 2, "all": [1, 2]}},
                "steps": ["one", {"two": 3}],
                "nothing": None,
            }
        )
    )
    assert "<pre><code>polyglance eval &lt;m&gt;</code></pre>" in shown
    assert "<dd>61.2 s</dd>" in shown
    assert "<dd>estimated</dd>" in shown
    assert "<dd>True</dd>" in shown
    assert "<p>1,200.0 s</p>" in shown
    assert "<dt><bdi>numpy</bdi></dt><dd>2</dd>" in shown
    assert "<dd>1, 2</dd>" in shown
    assert "<li>one</li>" in shown
    assert "<h3>Nothing</h3><p>None</p>" in shown


def test_a_script_cannot_end_its_element(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "polyglance.report.plots.script", lambda: 'window.x = "</SCRIPT><!-- </script>"'
    )
    read = Page(write(tmp_path))
    assert read.scripts[3][1] == 'window.x = "\\x3c/SCRIPT>\\x3c!-- \\x3c/script>"'


def test_colours_and_shapes_repeat_but_the_baseline_keeps_its_own():
    models = [f"model {number}" for number in range(12)]
    slots = headline.model_slots(models, baseline="model 5")
    assert slots["model 5"] == 0
    assert 0 not in [slot for model, slot in slots.items() if model != "model 5"]
    assert max(slots.values()) == len(headline.SHAPES) - 1
    parts = document.environment().get_template("parts.html").module
    drawn = {parts.swatch(slot).partition("<path")[2] for slot in slots.values()}
    assert len(drawn) == len(headline.SHAPES)


def test_words_that_are_not_in_the_tables_are_shown_as_they_are():
    assert wording.policy_name("fifth", modality="image") == "fifth"
    assert wording.direction_name("content_to_text", modality="audio") == "audio to text"
