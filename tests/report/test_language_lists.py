"""Means over lists of languages: right against a plain loop, and the paper's own where it is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fake_results import fake_results
from polyglance import errors
from polyglance.languages import groups
from polyglance.languages.encoder_languages import encoder_languages
from polyglance.languages.registry import normalise_language
from polyglance.report import building, language_lists, load_results, plain, tables
from polyglance.report.language_lists import difference_of_means
from polyglance.results import schema
from polyglance.results.schema import Result
from shared_data import SHARED, needs_shared

ROWS = fake_results(num_languages=40)
MODELS = list(dict.fromkeys(row.called for row in ROWS))


def section_of(rows):
    models = list(dict.fromkeys(row.called for row in rows))
    (section,) = building.build_sections(rows, model_order=models, baseline=models[0])
    return section


def told(rows, model, known):
    return [
        replace(row, supported=row.language in known) if row.called == model else row
        for row in rows
    ]


def test_a_model_is_averaged_over_its_own_languages():
    known = {"deu_Latn", "fra_Latn", "eng_Latn", "hin_Deva"}
    section = section_of(told(ROWS, "ridge", known))
    found = language_lists.supported_means(section)
    assert [view.direction for view, _ in found] == ["text_to_content", "content_to_text"]
    for view, means in found:
        assert set(means) == {"ridge"}
        values = [
            row.values["hit_rate_at_10"]
            for row in ROWS
            if (row.model, row.direction, row.split) == ("ridge", view.direction, view.split)
            and row.language in known
        ]
        assert means["ridge"].figure.value == pytest.approx(np.mean(values))
        assert (means["ridge"].num_supported, means["ridge"].num_measured) == (4, 40)
    # What is known of nobody, and what is all of them, says nothing new.
    assert language_lists.supported_means(section_of(ROWS)) == []
    every = {row.language for row in ROWS}
    assert language_lists.supported_means(section_of(told(ROWS, "ridge", every))) == []


def test_distilled_languages_stand_beside_the_others_of_their_group():
    listed = encoder_languages()["AltCLIP-m9"]
    section = section_of(ROWS)
    ((view, (found,)), *_) = language_lists.distilled_languages(section, {"ridge": listed})
    values = {name: figure.value for name, figure in view.figures["m2m"].items()}
    for group, names in (("low", ("very-low", "low")), ("mid", ("mid",)), ("high", ("high",))):
        row = next(r for r in found.rows if (r.group, r.model) == (group, "m2m"))
        inside = [n for n in values if n != "eng_Latn" and groups.resource_group(n) in names]
        first = [values[n] for n in inside if n in listed]
        others = [values[n] for n in inside if n not in listed]
        assert (row.num_distilled, row.num_languages) == (len(first), len(inside))
        assert row.others.value == pytest.approx(np.mean(others))
        if first:
            assert row.difference.value == pytest.approx(np.mean(first) - np.mean(others))
        else:
            assert (row.distilled, row.difference) == (None, None)
    assert [row.model for row in found.rows][:2] == ["ridge", MODELS[0]]
    in_none = [n for n in values if n != "eng_Latn" and groups.resource_group(n) is None]
    assert found.num_left_out == len(in_none)
    # Another model's list is nobody's here.
    assert language_lists.distilled_languages(section, {"nobody": listed}) == []


def test_of_the_others_count_those_that_the_model_supports():
    section = section_of(told(ROWS, "ridge", {"deu_Latn", "hin_Deva"}))
    ((_, (found,)), *_) = language_lists.distilled_languages(section, {"ridge": {"fra_Latn"}})
    high = next(row for row in found.rows if row.group == "high" and row.model == "ridge")
    assert (high.num_distilled, high.num_languages) == (1, 2)
    assert high.difference.low is None


def test_the_interval_of_a_difference_is_about_other_languages():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 0.1, 30), rng.normal(0.3, 0.1, 20)
    found = difference_of_means(first.tolist(), second.tolist())
    assert found.value == pytest.approx(first.mean() - second.mean())
    # Welch's interval, by hand.
    error = np.sqrt(first.var(ddof=1) / 30 + second.var(ddof=1) / 20)
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.25)
    assert found.value - found.low == pytest.approx(1.96 * error, rel=0.25)
    assert difference_of_means([], [1.0]) is None


def test_tables_without_a_browser_have_them_too(tmp_path):
    path = plain.write_markdown(
        tmp_path / "r.md",
        title="t",
        results=told(ROWS, "ridge", {"deu_Latn"}),
        model_order=MODELS,
        baseline=MODELS[0],
        distilled={"ridge": {"deu_Latn", "fra_Latn"}},
        counts={"captions": {row.language: 5.0 + i for i, row in enumerate(ROWS)}},
    )
    text = path.read_text("utf-8")
    assert "### Over supported languages" in text
    assert "| ridge | 1 of 40 |" in text
    assert "### Distilled languages of ridge" in text
    assert "| captions | distill |" in text


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "r.jsonl"
    schema.append_results(path, ROWS)
    return path


def test_lists_are_named_on_the_command_line(run, results, tmp_path, monkeypatch):
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "window.vegaEmbed = null")
    counts = tmp_path / "captions.tsv"
    rows = "".join(f"{code}\t{n}\n" for n, code in enumerate(("de", "fr", "hi", "ar", "es"), 3))
    counts.write_text("language\tcaptions of LAION5B\n" + rows, "utf-8")
    argv = ("report", results, "--out", tmp_path / "r.html", "--resources", counts)
    argv += ("--supports", "ridge=M-CLIP", "--distilled", "ridge=AltCLIP-m9")
    code, _, err = run(*argv, "--csv", tmp_path / "r.csv")
    assert (code, err) == (0, "")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "Over supported languages" in page
    assert "captions of LAION5B" in page
    assert "was distilled in" in page
    assert ",yes," in (tmp_path / "r.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--supports", "ridge"), "MODEL=LIST"),
        (("--supports", "nobody=de"), "nobody"),
        (("--distilled", "ridge=klingon"), "klingon"),
    ],
)
def test_lists_that_are_none(run, results, tmp_path, given, said):
    code, _, err = run("report", results, "--out", tmp_path / "r.html", *given)
    assert code == 2
    assert said in err.splitlines()[0]
    assert not (tmp_path / "r.html").exists()


def published_rows(name, model):
    """A file of Babel-ImageNet's results as ours: translated prompts where there are any."""
    path = SHARED / "babel_imagenet" / "results" / f"{name}.json"
    best = {}
    for row in json.loads(path.read_text("utf-8"))["results"]:
        if row["lang"] not in best or row["prompt"] != "label":
            best[row["lang"]] = row
    return [
        Result(
            task="babel-imagenet",
            split="test",
            language=normalise_language(row["lang"], dataset="babel-imagenet"),
            direction="content_to_class",
            metric="accuracy",
            caption_policy="none",
            variant="best",
            values={"accuracy": row["accuracy"]},
            num_queries=50 * row["num_classes"],
            num_candidates=row["num_classes"],
            model=model,
            model_id=model,
            data_id=row["lang"],
        )
        for row in best.values()
    ]


@needs_shared
def test_babel_imagenet_table_7():
    rows = published_rows("mclip-xlmrl-vitl14", "M-CLIP")
    rows += published_rows("altclip-xlmrl-vitl14", "AltCLIP")
    rows += published_rows("openclip-xlmrl-vith14", "H-14")
    # All 298 languages of the files: the paper's 100 alone count.
    rows = [replace(row, supported=row.language in encoder_languages()["XLM-R"]) for row in rows]
    lists = {
        "M-CLIP": encoder_languages()["M-CLIP XLM-R"],
        "AltCLIP": encoder_languages()["AltCLIP-m9"],
    }
    ((_, found),) = language_lists.distilled_languages(section_of(rows), lists)
    by_key = {(one.model, row.group, row.model): row for one in found for row in one.rows}
    shares = [
        (row.num_distilled, row.num_languages) for key, row in by_key.items() if key[0] == key[2]
    ]
    assert shares == [(14, 41), (18, 35), (13, 16), (0, 41), (2, 35), (6, 16)]
    # Released results are newer than the table: all within a point of what it prints.
    for key, mean, difference in (
        (("M-CLIP", "low", "M-CLIP"), 37.6, 14.4),
        (("M-CLIP", "low", "H-14"), 26.1, 10.1),
        (("M-CLIP", "mid", "H-14"), 47.5, 13.2),
        (("M-CLIP", "high", "H-14"), 55.3, 15.8),
        (("AltCLIP", "mid", "AltCLIP"), 47.5, 28.0),
        (("AltCLIP", "high", "AltCLIP"), 51.7, 28.9),
        (("AltCLIP", "high", "H-14"), 57.0, 7.4),
    ):
        assert 100 * by_key[key].distilled.value == pytest.approx(mean, abs=1)
        assert 100 * by_key[key].difference.value == pytest.approx(difference, abs=1)


@needs_shared
def test_babel_imagenet_table_2():
    """Means over the groups of the 100 languages, of every language that the file has."""
    from polyglance.report import groups as report_groups

    (view,) = section_of(published_rows("nllb-siglip-large", "NLLB")).views
    found = report_groups.group_means(view, "babel-imagenet-100")
    assert {name: count for name, (count, _) in found.items()} == {
        "high": 16,
        "mid": 35,
        "low": 32,
        "very low": 17,
        report_groups.NOT_EVALUATED: 198,
    }
    printed = {"very low": 40.61, "low": 43.22, "mid": 42.78, "high": 39.75}
    for name, value in printed.items():
        assert 100 * found[name][1]["NLLB"].value == pytest.approx(value, abs=0.006)


def test_a_model_of_which_nothing_is_known_is_not_listed():
    section = section_of(ROWS)
    assert section.supported == {}
    assert tables.headlines(section.views[0])


def test_a_list_for_a_model_with_an_equals_sign_in_its_name(tmp_path):
    path = tmp_path / "r.jsonl"
    schema.append_results(path, [replace(row, model="m?space=x") for row in ROWS[:4]])
    gathered = load_results.gather([path])
    assert load_results.lists(["m?space=x=de"], gathered) == {"m?space=x": {"deu_Latn"}}
    with pytest.raises(errors.UnknownNameError):
        load_results.lists(["m=de"], gathered)
