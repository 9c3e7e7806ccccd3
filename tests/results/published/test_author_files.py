"""The authors' own files: every number to the digit, under the right language and direction."""

import json
import re
from collections import Counter

import pytest

from polyglance import errors
from polyglance.languages import registry
from polyglance.results.published import DIRECTIONS, POLICIES
from polyglance.results.published.author_files import FORMS, author_files, read_author_file
from shared_data import SHARED, needs_shared

FOLDERS = ("m2m_metrics", "babel_imagenet/results", "published")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def real_files():
    return [path for folder in FOLDERS for path in sorted((SHARED / folder).glob("*"))]


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_flat_m2m(tmp_path):
    text = """{
        "eval/R@1/i2t/MIC_caption_de": 50.10,
        "eval/R@10/t2i/STAIR_caption_jp": 82.39999961853027,
        "eval/avg_metric_i2t": 61.0,
        "eval/avg_metric": 60.5
    }"""
    first, second, third, last = read_author_file(written(tmp_path, "baseline_clip.json", text))
    assert (first.language, first.metric) == ("deu_Latn", "hit_rate_at_1")
    assert (first.direction, first.printed) == ("content_to_text", "50.10")
    assert (second.language, second.printed) == ("jpn_Jpan", "82.39999961853027")
    assert (second.direction, second.unit, second.task) == ("text_to_content", "percent", "xtd10")
    assert second.model == "CLIP (ViT-L 336px)"
    assert (third.language, third.metric) == ("group:average", "average_recall")
    assert (third.direction, last.direction) == ("content_to_text", "both")


def test_text_compared_with_text_has_no_direction(tmp_path):
    text = """{
        "eval/R@1/text->text/i2t/XTD10_captions_zh": 1.5,
        "eval/{t2t_prefix}avg_metric_t2i": 2.5
    }"""
    numbers = read_author_file(written(tmp_path, "t2t_labse_labse_baseline.json", text))
    assert [number.direction for number in numbers] == ["unknown", "unknown"]
    assert [number.variant for number in numbers] == ["text to text/i2t", "text to text/t2i"]
    assert numbers[0].language == "zho_Hans"


def test_nested_m2m(tmp_path):
    text = '{"fil": {"text_to_image": {"recall@5": 9.0}, "image_to_text": {"recall@10": 17}}}'
    numbers = read_author_file(written(tmp_path, "crossmodal3600-jina-mpnet.json", text))
    assert [(n.language, n.metric, n.direction, n.printed) for n in numbers] == [
        ("tgl_Latn", "hit_rate_at_5", "text_to_content", "9.0"),
        ("tgl_Latn", "hit_rate_at_10", "content_to_text", "17"),
    ]
    assert {n.task for n in numbers} == {"xm3600"}


def test_babel_imagenet(tmp_path):
    row = {"lang": "ALS", "prompt": "nllb_dist13b_prompts", "num_classes": 12, "accuracy": 0.25}
    path = written(tmp_path, "nllb-base.json", json.dumps({"meta": {}, "results": [row]}))
    (number,) = read_author_file(path)
    assert (number.language, number.variant) == ("gsw_Latn", "translated")
    assert (number.printed, number.unit, number.note) == ("0.25", "fraction", "12 classes")


def test_open_clip(tmp_path):
    text = (
        "model,version,avg,crossmodal3600 image_retrieval_recall@1 avg,"
        "multilingual_mscoco_captions text_retrieval_recall@5 jp\n"
        "ViT-B-32,openai,0.134,0.0413,0.0100\n"
    )
    path = written(tmp_path, "openclip_multilingual_retrieval_results.csv", text)
    overall, average, japanese = read_author_file(path)
    assert overall.task == "all"
    assert (average.task, average.language, average.direction) == (
        "xm3600",
        "group:average",
        "text_to_content",
    )
    assert (japanese.task, japanese.language, japanese.metric) == (
        "xtd10",
        "jpn_Jpan",
        "hit_rate_at_5",
    )
    assert (japanese.direction, japanese.printed) == ("content_to_text", "0.0100")
    assert japanese.model == "ViT-B-32 openai"


def test_a_file_of_another_name(tmp_path):
    with pytest.raises(errors.UnknownNameError, match=r"called 'baseline_klip\.json'") as caught:
        read_author_file(written(tmp_path, "baseline_klip.json", "{}"))
    assert "'baseline_clip.json'" in caught.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(errors.UnavailableError, match="no file"):
        read_author_file(tmp_path / "baseline_clip.json")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1, 2]",
        '{"eval/R@ten/t2i/XTD10_captions_de": 5.0}',
        '{"de": {"text_to_sound": {"recall@1": 5.0}}}',
        '{"de": {"text_to_image": {"recall@1": null}}}',
        '{"de": {"text_to_image": {"recall@1": "high"}}}',
        '{"eval/avg_metric": NaN}',
    ],
)
def test_a_file_in_another_form_is_named(tmp_path, text):
    path = written(tmp_path, "baseline_clip.json", text)
    with pytest.raises(errors.InputError, match=r"baseline_clip\.json is not in the form of m2m"):
        read_author_file(path)


def test_what_is_known_of_each_file_is_of_known_kinds():
    rows = author_files().values()
    assert {row.form for row in rows} == set(FORMS)
    assert {row.caption_policy for row in rows} <= set(POLICIES)


@needs_shared
@pytest.mark.parametrize("path", real_files(), ids=lambda path: path.stem[-40:])
def test_real_files_are_read_to_the_digit(path):
    """Another way to the same digits: whatever looks like a value in the text of the file."""
    numbers = read_author_file(path)
    text = path.read_text()
    if path.suffix == ".csv":
        cells = [cell for line in text.splitlines()[1:] for cell in line.split(",")[2:]]
        assert [number.printed for number in numbers] == cells
        return
    name = r'"accuracy"' if path.parent.name == "results" else r'"[^"]*(?:@|avg_)[^"]*"'
    values = re.findall(rf"{name}: ({NUMBER.pattern})", text)
    assert Counter(number.printed for number in numbers) == Counter(values)


@needs_shared
def test_real_files_have_known_languages_and_directions():
    known = {language.id for language in registry.all_languages()} | {"group:average"}
    numbers = [number for path in real_files() for number in read_author_file(path)]
    assert len(numbers) > 50_000
    assert {number.language for number in numbers} <= known
    assert {number.direction for number in numbers} <= set(DIRECTIONS)
