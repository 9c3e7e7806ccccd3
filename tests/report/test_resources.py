"""Scores against resources: right correlations, and counts that people bring."""

import math

import pytest
from scipy import stats

from fake_results import fake_results
from polyglance import errors
from polyglance.languages.groups import num_xlm_r_tokens
from polyglance.report import building, resources

ROWS = fake_results(num_languages=40)


def section():
    models = list(dict.fromkeys(row.called for row in ROWS))
    (found,) = building.build_sections(ROWS, model_order=models, baseline=models[0])
    return found


def test_correlations_are_those_of_the_library():
    found = section()
    rows = resources.correlations(found, resources.known_counts())
    assert {row.resource for row in rows} == {resources.TOKENS, resources.CLASSES}
    row = next(r for r in rows if (r.resource, r.model) == (resources.TOKENS, "ridge"))
    points = [
        (math.log10(count), figure.value)
        for name, figure in found.views[0].figures["ridge"].items()
        if name != "eng_Latn" and (count := num_xlm_r_tokens(name))
    ]
    across, up = zip(*points, strict=True)
    assert row.found.num_points == len(points)
    assert row.found.spearman.mean == pytest.approx(stats.spearmanr(across, up).statistic)
    assert row.found.pearson.mean == pytest.approx(stats.pearsonr(across, up).statistic)
    assert row.found.spearman.low <= row.found.spearman.mean <= row.found.spearman.high


def test_counts_are_of_the_language_that_a_variety_is_of():
    assert resources.count_of({"kmr_Latn": 3.0}, "kmr_Latn_ku") == 3.0
    assert resources.count_of({"kmr_Latn": 3.0}, "deu_Latn") is None


def test_too_few_languages_say_nothing():
    assert resources.correlations(section(), {"x": {"deu_Latn": 1.0, "fra_Latn": 2.0}}) == []


def test_ones_own_counts(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text("language\tcaptions\nde\t12\nhi\t3.5\n", "utf-8")
    assert resources.read_counts(path) == {"captions": {"deu_Latn": 12.0, "hin_Deva": 3.5}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table"),
        ("language\tn\n", "no table"),
        ("de\t100\nfr\t50\n", "no table of two columns with a head"),
        ("language\tn\nde\tmany\n", "line 2"),
        ("language\tn\nde\t0\n", "above 0"),
        ("language\tn\nde\tnan\n", "above 0"),
        ("language\tn\nde\t1\ndeu_Latn\t2\n", "line 3"),
        ("language\tn\nxyzzy\t1\n", "line 2"),
        ("language\tn\nde\n", "line 2"),
    ],
)
def test_counts_that_are_none(tmp_path, text, said):
    path = tmp_path / "c.tsv"
    path.write_text(text, "utf-8")
    with pytest.raises((errors.InputError, errors.LanguageError), match=said):
        resources.read_counts(path)


def test_a_line_that_cannot_be_used_costs_no_other(tmp_path):
    path, aside = tmp_path / "c.tsv", []
    path.write_text("language\tn\nde\t1\nzh\t2\nfr\tmany\nhi\t4\n", "utf-8")
    found = resources.read_counts(path, set_aside=aside.append)
    assert found == {"n": {"deu_Latn": 1.0, "hin_Deva": 4.0}}
    assert [one.id for one in aside] == ["c.tsv, line 3", "c.tsv, line 4"]
    assert "ambiguous language 'zh'" in aside[0].reason
    with pytest.raises(errors.InputError, match="counts 'n', and so does another"):
        resources.read_all_counts([path, path], set_aside=aside.append)
    path.write_text("language\tn\nzh\t2\n", "utf-8")
    with pytest.raises(errors.InputError, match="no line that can be used"):
        resources.read_counts(path, set_aside=aside.append)
