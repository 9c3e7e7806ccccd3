"""What follows from an author's file: its averages, and the paper's figures."""

import json
from dataclasses import replace

import pytest

from polyglance.languages.registry import normalise_language
from polyglance.results.published import published_numbers
from polyglance.results.published.author_files import read_author_file
from polyglance.results.published.recomputed import (
    beside_paper,
    class_groups,
    examine,
    macro_averages,
    own_averages,
)
from shared_data import SHARED, needs_shared

M2M = SHARED / "m2m_metrics"
BABEL = SHARED / "babel_imagenet"


def flat(folder, **changes):
    """Two languages, R@1 and R@10, with their right averages: 35, 55 and 45."""
    rates = {
        "eval/R@1/t2i/XTD10_captions_es": 20.0,
        "eval/R@10/t2i/XTD10_captions_es": 40.0,
        "eval/R@1/t2i/MIC_caption_de": 30.0,
        "eval/R@10/t2i/MIC_caption_de": 50.0,
        "eval/R@1/i2t/XTD10_captions_es": 40.0,
        "eval/R@10/i2t/XTD10_captions_es": 60.0,
        "eval/R@1/i2t/MIC_caption_de": 50.0,
        "eval/R@10/i2t/MIC_caption_de": 70.0,
        "eval/avg_metric_t2i": 35.0,
        "eval/avg_metric_i2t": 55.0,
        "eval/avg_metric": 45.0,
    }
    path = folder / "baseline_clip.json"
    path.write_text(json.dumps({**rates, **changes}))
    return path


def test_averages_of_a_file_follow_from_its_languages(tmp_path):
    found = own_averages(read_author_file(flat(tmp_path)))
    assert [average.recomputed for average in found] == [35.0, 55.0, 45.0]
    assert [average.num_members for average in found] == [4, 4, 8]
    assert all(average.agrees for average in found)


def test_an_average_that_does_not_follow(tmp_path):
    wrong = {"eval/avg_metric_i2t": 55.3}
    agree = [each.agrees for each in own_averages(read_author_file(flat(tmp_path, **wrong)))]
    assert agree == [True, False, True]


def test_averages_of_a_csv_are_by_model_and_task(tmp_path):
    columns = "model,version,avg"
    for task in ("crossmodal3600", "multilingual_mscoco_captions"):
        columns += "".join(f",{task} image_retrieval_recall@1 {x}" for x in ("avg", "de", "en"))
    path = tmp_path / "openclip_multilingual_retrieval_results.csv"
    rows = [
        "A,x,0.25,0.15,0.1234,0.1766,0.35,0.3,0.4",
        "B,x,0.5,0.4,0.4001,0.5999,0.5,0.5,0.5",
    ]
    path.write_text("\n".join([columns, *rows]) + "\n")
    found = own_averages(read_author_file(path))
    assert [(each.number.model, each.agrees) for each in found] == [
        ("A x", True),
        ("A x", True),
        ("A x", True),
        ("B x", True),
        ("B x", False),
        ("B x", True),
    ]


def test_macro_averages_are_over_languages_not_over_the_files_averages(tmp_path):
    means = macro_averages(read_author_file(flat(tmp_path)))
    assert [(mean.metric, mean.direction, mean.value) for mean in means] == [
        ("hit_rate_at_1", "text_to_content", 25.0),
        ("hit_rate_at_10", "text_to_content", 45.0),
        ("hit_rate_at_1", "content_to_text", 45.0),
        ("hit_rate_at_10", "content_to_text", 65.0),
    ]
    assert {mean.note for mean in means} == {"2 languages"}


def test_figures_of_the_paper_beside_a_file(tmp_path):
    # CLIP's row of table 2 has 55.4 for German and 64.1 for Spanish, text to image.
    changes = {
        "eval/R@10/t2i/MIC_caption_de": 55.44,
        "eval/R@10/t2i/XTD10_captions_es": 64.0,
    }
    numbers = read_author_file(flat(tmp_path, **changes))
    found = {each.printed.language: each for each in beside_paper(numbers)}
    assert set(found) == {"deu_Latn", "spa_Latn"}  # image to text is printed in English alone
    assert found["deu_Latn"].agrees
    assert not found["spa_Latn"].agrees
    assert found["spa_Latn"].printed.table == "m2m-table2"


def test_class_groups_take_translated_prompts_where_there_are_any(tmp_path):
    counts = published_numbers(table="babel-imagenet-table5")
    rows = [
        {"lang": code, "prompt": prompt, "num_classes": 1, "accuracy": accuracy}
        for code, prompt, accuracy in [
            ("EN", "label", 0.1),
            ("EN", "nllb_dist13b_prompts", 0.7),
            ("SA", "nllb_dist13b_prompts", 0.4),
            ("SA", "label", 0.9),
        ]
    ]
    path = tmp_path / "nllb-siglip-base.json"
    path.write_text(json.dumps({"meta": {}, "results": rows}))
    numbers = read_author_file(path)
    others = [
        number.language
        for number in counts
        if number.language not in {each.language for each in numbers}
    ]
    template = numbers[0]
    numbers += [
        replace(template, language=language, variant="labels", printed="0.2") for language in others
    ]
    english, lowest, *rest = class_groups(numbers)
    assert (english.language, english.value) == ("eng_Latn", 0.7)
    assert (lowest.language, lowest.note) == ("group:v-low", "17 languages")
    assert lowest.value == pytest.approx((0.4 + 16 * 0.2) / 17)
    assert [row.value for row in rest] == pytest.approx([0.2, 0.2, 0.2])
    assert [row.note for row in rest] == ["32 languages", "35 languages", "16 languages"]


def test_a_file_with_few_languages_gives_what_it_can(tmp_path):
    path = tmp_path / "nllb-siglip-base.json"
    row = {"lang": "DE", "prompt": "label", "num_classes": 738, "accuracy": 0.5}
    path.write_text(json.dumps({"results": [row]}))
    found = examine(path)
    assert [(mean.language, mean.note) for mean in found.means] == [("group:high", "1 language")]
    path = tmp_path / "baseline_clip.json"
    path.write_text('{"eval/avg_metric_t2i": 5.0}')
    assert examine(path).averages == ()


@needs_shared
def test_every_average_in_the_authors_files_follows():
    paths = [*M2M.glob("*.json"), *(SHARED / "published").glob("*.csv")]
    averages = [each for path in paths for each in own_averages(read_author_file(path))]
    assert len(averages) == 50 * 3 + 123 * 13
    assert [each for each in averages if not each.agrees] == []


@needs_shared
@pytest.mark.parametrize("name", ["baseline_clip", "baseline_jinav1", "baseline_align"])
def test_rows_of_table_2_are_those_of_the_baselines_files(name):
    found = examine(M2M / f"{name}.json").beside
    assert len(found) == 14
    assert all(each.agrees for each in found)


@needs_shared
def test_errata_of_jina_clip_v2_are_what_its_file_says():
    others = [each for each in examine(M2M / "Other_jina.json").beside if not each.agrees]
    assert len(others) == 6
    assert all(float(each.printed.erratum.should_be) == each.value for each in others)


@needs_shared
def test_babel_imagenet_table_2_follows_from_the_languages_of_its_files():
    found = [each for path in (BABEL / "results").glob("*.json") for each in examine(path).beside]
    assert len(found) == 10 * 5
    assert all(each.agrees for each in found)


@needs_shared
def test_babel_imagenet_table_5_counts_the_labels_of_the_data():
    labels = json.loads((BABEL / "babel_imagenet-298.json").read_text())
    counts = {
        normalise_language(code, dataset="babel-imagenet"): len(indices)
        for code, (indices, _) in labels.items()
    }
    for number in published_numbers(table="babel-imagenet-table5"):
        assert counts[number.language] == number.value
