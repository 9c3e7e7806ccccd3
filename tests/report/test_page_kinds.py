"""All kinds of task in one report: classification, bitext, pairs of languages, neighbours."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from fake_results import languages
from polyglance.report import building, groups, page, published_table, tables, task_pairs, wording
from polyglance.results import published
from polyglance.results.schema import Result

MODELS = ("a", "b")
NAMES = [name for name in languages(9) if name != "eng_Latn"]


def made(task, language, *, model="a", value=0.5, name="accuracy", **changes) -> Result:
    row = Result(
        task=task,
        split="test",
        language=language,
        direction="content_to_class",
        metric="accuracy",
        caption_policy="none",
        values={name: value},
        intervals={name: (value - 0.1, value + 0.1)},
        num_queries=10,
        num_candidates=20,
        model=model,
        model_id=f"id of {model}",
        data_id=f"{task} {language}",
    )
    return replace(row, **changes)


def classification(*, offset=0.0) -> list[Result]:
    return [
        made(
            "babel-imagenet",
            language,
            model=model,
            value=0.1 * place + 0.05 * (model == "b") + offset,
            variant=variant,
            split=split,
            prompts_taken="labels" if variant == "best" and place % 2 else "english",
        )
        for place, language in enumerate(NAMES)
        for model in MODELS
        for variant in ("best", "english")
        for split in ("test", "subset-100")
    ]


def retrieval(values: list[float]) -> list[Result]:
    return [
        made(
            "xtd10",
            language,
            model=model,
            direction="text_to_content",
            metric="hit_rate",
            caption_policy="first",
            values={"hit_rate_at_1": value, "hit_rate_at_10": 2 * value},
        )
        for language, value in zip(NAMES, values, strict=False)
        for model in MODELS
    ]


def similarity() -> list[Result]:
    pairs = [("arb_Arab", "arb_Arab"), ("arb_Arab", "eng_Latn"), ("tur_Latn", "eng_Latn")]
    return [
        made(
            "sts17",
            language,
            model=model,
            name="spearman",
            direction="text_with_other",
            metric="spearman",
            other_language=other,
            data_id=f"{language} {other}",
        )
        for language, other in pairs
        for model in MODELS
    ]


def build(rows: list[Result]):
    return building.build_sections(rows, model_order=MODELS, baseline="a")


def test_prompts_and_subsets_are_views_of_one_section():
    (section,) = build(classification())
    assert section.options("variant") == ("best", "english")
    assert section.options("split") == ("test", "subset-100")
    assert len(section.views) == 4
    assert section.prompts_taken == {"english": 4, "labels": 4}


def test_a_language_beside_itself_and_beside_english_never_share_a_view():
    (section,) = build(similarity())
    by_partner = {view.partner: set(view.figures["a"]) for view in section.views}
    assert by_partner == {"itself": {"arb_Arab"}, "eng_Latn": {"arb_Arab", "tur_Latn"}}
    assert section.data_ids["arb_Arab"] == "arb_Arab arb_Arab, arb_Arab eng_Latn"


@pytest.mark.parametrize("changes", [{"variant": "x"}, {"other_language": "deu_Latn"}])
def test_what_is_of_another_kind_is_in_a_view_of_its_own(changes):
    rows = [made("t", "deu_Latn"), made("t", "deu_Latn", model="b", **changes)]
    assert rows[0].kind != rows[1].kind
    (section,) = build(rows)
    assert [tuple(view.figures) for view in section.views] in ([("a",), ("b",)], [("b",), ("a",)])


def test_every_direction_and_value_of_a_result_has_a_name():
    for direction in tables.DIRECTION_ORDER:
        assert "_" not in wording.direction_name(direction, modality="image")
    assert wording.short_names(["hf:x/a", "sentence:y/a", "hf:x/b + p/c"]) == {
        "hf:x/a": "hf:x/a",  # the short one would mean two
        "sentence:y/a": "sentence:y/a",
        "hf:x/b + p/c": "c",
    }


def test_group_means_are_over_languages_that_all_models_have():
    rows = [row for row in classification() if (row.model, row.language) != ("b", NAMES[1])]
    (section,) = build(rows)
    view = section.views[0]
    found = groups.group_means(view, "script")
    shared = [name for name in NAMES if name != NAMES[1]]
    assert sum(count for count, _ in found.values()) == len(shared)
    for name, (count, means) in found.items():
        inside = [one for one in shared if groups.group_of(one, "script") == name]
        expected = np.mean([view.figure("a", one).value for one in inside])
        assert (count, means["a"].value) == (len(inside), pytest.approx(expected))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write results as a page, whose HTML comes back."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "window.vegaEmbed = null")

    def writer(results, *, models):
        path = page.write_report(
            tmp_path / "r.html",
            title="t",
            results=results,
            model_order=models,
            baseline="a",
            facts={},
        )
        return path.read_text(encoding="utf-8")

    return writer


def test_sections_of_one_task_are_headed_by_whose_captions_ask(write):
    first = retrieval([0.05 * place for place in range(len(NAMES))])
    html = write([*first, *(replace(row, caption_policy="all") for row in first)], models=MODELS)
    for said in ("the first caption of each image", "all captions"):
        assert f"<h2>xtd10 ({said})</h2>" in html
        assert f"Fingerprints of the data of xtd10 ({said})" in html
    alone = write(first, models=MODELS)
    assert "<h2>xtd10</h2>" in alone
    assert re.search(r"Text to image, R@\d+, test; languages other than English", alone)


def test_tasks_are_paired_with_the_correlation_of_their_points():
    accuracy = [0.1 * place for place in range(len(NAMES))]
    rates = [0.4 - value / 4 for value in accuracy]
    sections = build(retrieval(rates) + classification())
    (pair,) = task_pairs.task_pairs(sections)
    # Classification goes across; retrieval up, by R@1.
    assert task_pairs.name_of(sections, pair.across, modality="image").startswith("babel-imagenet")
    assert task_pairs.name_of(sections, pair.up, modality="image").endswith("R@1")
    assert pair.num_points == 2 * len(NAMES)
    assert pair.by_model["b"].pearson.mean == pytest.approx(-1.0)
    assert pair.by_model["b"].spearman.mean == pytest.approx(-1.0)
    x, y = accuracy + [value + 0.05 for value in accuracy], rates + rates
    assert pair.every.pearson.mean == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_tasks_without_a_language_in_common_make_no_pair(write):
    assert task_pairs.task_pairs(build(classification())) == []

    def alone(*rows):
        return building.build_sections(rows, model_order=["a"], baseline="a")

    assert task_pairs.task_pairs(alone(made("t", "deu_Latn"), made("u", "fra_Latn"))) == []
    few_rows = [made("t", "deu_Latn"), made("u", "deu_Latn")]
    few = alone(*few_rows)
    (pair,) = task_pairs.task_pairs(few)
    assert (pair.num_points, pair.every, pair.by_model) == (1, None, {})
    assert pair.correlations == []
    assert "Correlations" in write(few_rows, models=["a"])


def published_rows(metric="hit_rate_at_10") -> list[Result]:
    """Ours beside the first table of XTD10: the same languages, half the value."""
    numbers = [
        number
        for number in published.published_numbers(task="xtd10", metric=metric)
        if (number.direction, number.caption_policy) == ("text_to_content", "first")
        and "_" in number.language
        and number.fraction is not None
    ]
    first = [n for n in numbers if (n.model, n.table) == (numbers[0].model, numbers[0].table)]
    return [
        made(
            "xtd10",
            number.language,
            direction="text_to_content",
            metric="hit_rate",
            caption_policy="first",
            values={metric: number.fraction / 2},
        )
        for number in first
    ]


def test_published_numbers_stand_beside_ours_over_the_same_languages(write):
    rows = published_rows()
    (section,) = building.build_sections(rows, model_order=["a"], baseline="a")
    (found,) = published_table.beside(section, rows).values()
    ours = {one.language: one.values["hit_rate_at_10"] for one in rows}
    for row in found:
        assert set(row.figures) <= set(ours)
        if row.group:
            continue
        assert row.num_languages == len(row.figures)
        assert row.means["a"] == pytest.approx(np.mean([ours[name] for name in row.figures]))
        assert row.means[""] == pytest.approx(np.mean(list(row.figures.values())))
    assert any(row.means[""] == pytest.approx(2 * row.means["a"]) for row in found)
    html = write(rows, models=["a"])
    assert found[0].table in html
    assert "Printed in papers, not measured here" in html


def test_a_mean_that_a_paper_prints_stands_beside_ours_over_all_its_languages(write):
    languages_of = {n.language for n in published.numbers_of("m2m-table5") if "_" in n.language}
    rows = [
        made(
            "xtd10",
            language,
            direction="text_to_content",
            metric="hit_rate",
            caption_policy="first",
            name="hit_rate_at_10",
            value=place / 20,
        )
        for place, language in enumerate(sorted(languages_of))
    ]
    (section,) = building.build_sections(rows, model_order=["a"], baseline="a")
    (found,) = published_table.beside(section, rows).values()
    printed = [row for row in found if row.group and row.table == "m2m-table5"]
    assert len(printed) == 9
    for row in printed:
        assert (row.group, row.num_languages, dict(row.figures)) == ("average", 11, {})
        assert row.means["a"] == pytest.approx(np.mean(np.arange(11) / 20))
    assert "11, as printed: average" in write(rows, models=["a"])
    # Without one of the languages there is no such mean.
    (section,) = building.build_sections(rows[1:], model_order=["a"], baseline="a")
    (found,) = published_table.beside(section, rows[1:]).values()
    assert not [row for row in found if row.group and row.num_languages == 11]


@pytest.mark.parametrize(
    "changes",
    [
        {"caption_policy": "all"},
        {"split": "dev"},
        {"task": "xtd11"},
        {"values": {"mean_reciprocal_rank": 0.5}},
        {"direction": "content_to_class"},
        {"variant": "english"},
    ],
)
def test_nothing_published_stands_beside_what_differs_in_kind(changes, write):
    rows = [replace(row, **changes, intervals={}) for row in published_rows()]
    (section,) = building.build_sections(rows, model_order=["a"], baseline="a")
    assert published_table.beside(section, rows) == {}
    assert "Printed in papers" not in write(rows, models=["a"])


def test_a_page_of_all_kinds(write):
    repeated = {
        "captions_duplicated": 2,
        "most_repeated_caption": "رجل <b>",
        "most_repeated_times": 3,
    }
    neighbours = [
        made("imagenet-knn", "eng_Latn", model=model, direction="content_to_content", **repeated)
        for model in MODELS
    ]
    bitext = [
        made(
            "tatoeba", "arb_Arab", model=model, direction=way, other_language="eng_Latn", **repeated
        )
        for model in MODELS
        for way in ("text_to_other", "other_to_text")
    ]
    rows = retrieval([0.1] * 8) + classification() + similarity() + neighbours + bitext
    html = write(rows, models=MODELS)
    data = json.loads(re.search(r'id="data">(.*?)</script>', html)[1])
    assert [len(one["views"]) for one in data["sections"]] == [2, 4, 2, 1, 2]
    assert len(data["languages"]["id"]) == len({row.language for row in rows})
    assert data["pairs"][0]["across"]["name"].startswith("babel-imagenet")
    for words in ("text to its translation", "the same language", "image to image", "subset-100"):
        assert words in html
    assert '<bdi lang="ar" dir="rtl">رجل &lt;b&gt;</bdi>' in html
