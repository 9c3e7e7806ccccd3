from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fake_results import fake_results
from polyglance.report import building, hard_languages, page, plain, tables

MODELS = ("a", "b")
LANGUAGES = ("deu_Latn", "fra_Latn", "hin_Deva", "jpn_Jpan", "swh_Latn")
VALUES = {
    "a": (0.5, 0.5, 0.5, 0.5 - 0.1 * 10**0.5 / 2, 0.5 + 0.1 * 10**0.5 / 2),
    "b": (0.3, 0.4, 0.35, 0.35, 0.35),
}


def rows(values=VALUES, languages=LANGUAGES):
    first = fake_results(num_languages=2, models=("x",))[0]
    return [
        replace(
            first,
            model=model,
            model_id=model,
            split="test",
            language=language,
            data_id=language,
            values={"hit_rate_at_10": value},
            intervals={},
        )
        for model, numbers in values.items()
        for language, value in zip(languages, numbers, strict=True)
    ]


def sections(found):
    models = list(dict.fromkeys(row.model for row in found))
    return building.build_sections(found, model_order=models, baseline=models[0])


def test_z_scores_by_hand_hardest_first():
    (section,) = sections(rows())
    found = hard_languages.hard_languages(section.views[0])
    # a's deviations are 0, 0, 0, -d, d: the spread is d times the root of 2/5, so z is the root
    # of 5/2. b's are -0.05, 0.05, 0, 0, 0: the same root.
    z = 2.5**0.5
    assert found.by_model["a"] == pytest.approx(dict(zip(LANGUAGES, (0, 0, 0, -z, z), strict=True)))
    assert found.by_model["b"] == pytest.approx(dict(zip(LANGUAGES, (-z, z, 0, 0, 0), strict=True)))
    assert list(found.mean) == ["deu_Latn", "jpn_Jpan", "hin_Deva", "fra_Latn", "swh_Latn"]
    assert found.mean["jpn_Jpan"] == pytest.approx(-z / 2)
    assert found.left_out == ()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write results as a page, whose HTML comes back."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "window.vegaEmbed = null")

    def writer(**settings):
        return page.write_report(tmp_path / "r.html", facts={}, **settings).read_text("utf-8")

    return writer


def test_one_model_or_four_languages_or_constant_models_give_nothing(write):
    one = sections(rows({"a": VALUES["a"]}))[0]
    four = sections(rows({name: v[:4] for name, v in VALUES.items()}, LANGUAGES[:4]))[0]
    flat = sections(rows({"a": VALUES["a"], "chance": (0.1,) * 5}))[0]
    for section in (one, four, flat):
        assert hard_languages.hard_languages(section.views[0]) is None
    assert "Hard languages" not in write(
        title="t", results=rows({"a": VALUES["a"]}), model_order=["a"], baseline="a"
    )


def test_a_model_at_chance_everywhere_is_left_out_and_named(write):
    models = {**VALUES, "<chance>": (0.1,) * 5}
    results = rows(models)
    (section,) = sections(results)
    found = hard_languages.hard_languages(section.views[0])
    assert found.left_out == ("<chance>",)
    assert list(found.by_model) == ["a", "b"]
    html = write(title="t", results=results, model_order=list(models), baseline="a")
    assert "Without &lt;chance&gt;: the same number in every language." in html


def test_only_languages_that_every_model_has_take_part():
    without = [row for row in rows() if (row.model, row.language) != ("b", "swh_Latn")]
    assert hard_languages.hard_languages(sections(without)[0].views[0]) is None


def test_page_and_markdown_have_the_same_numbers(tmp_path, write):
    settings = {"title": "t", "results": rows(), "model_order": MODELS, "baseline": "a"}
    html = write(**settings)
    text = plain.write_markdown(tmp_path / "r.md", **settings).read_text("utf-8")
    table = html[html.index('<table class="hard"') :].partition("</table>")[0]
    shown = re.findall(r'<th scope="row">(\w+)</th>.*?<b>(.*?)</b>', table)
    assert shown[0] == ("German", "−0.79")
    assert "### Hard languages: text to image, R@10, test" in text
    for name, z in shown:
        assert re.search(rf"^\| {name} \| `\w+` \| {re.escape(z)} \|", text, re.MULTILINE)
    assert 'style="--z:-1.000" class="below"' in table
    assert 'style="--z:1.000" class="above"' in table


@pytest.mark.parametrize("metric", ["average_recall", "mean_reciprocal_rank", "macro_f1"])
def test_a_tasks_own_metric_is_the_main_value(metric):
    found = [
        replace(row, metric=metric, values={"hit_rate_at_10": 0.9, "accuracy": 0.8, metric: 0.5})
        for row in rows()
    ]
    views = sections(found)[0].views
    assert [view.value for view in views] == [metric, "hit_rate_at_10", "accuracy"]
    assert tables.headlines(views[0])[0].others.value == pytest.approx(0.5)
