"""`polyglance eval`: which captions ask, on the publisher's XM3600; MVL-SIB with its images."""

import json
import re

import pytest
from PIL import Image

import small_world
from polyglance.sources import mvl_sib

PHRASES = small_world.PHRASES


def copy_as(picture, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(picture).convert("RGB").save(path, quality=95)


@pytest.fixture
def xm3600(tmp_path, picture_folder):
    """Crossmodal-3600 in small: two captions a photo, the same second one everywhere."""
    folder = tmp_path / "xm3600"
    lines = []
    for number, phrase in enumerate(PHRASES):
        copy_as(
            picture_folder / f"{phrase.replace(' ', '-')}.png", folder / "images" / f"{number}.jpg"
        )
        said = {"caption": [phrase, "a picture"]}
        lines.append(json.dumps({"image/key": str(number), "image/locale": "en", "en": said}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def measure(run, model, folder, *options):
    argv = ("eval", model, "--task", "xm3600", "--data", folder, "--images", folder / "images")
    return run(*argv, *options)


def test_xm3600_asked_in_three_ways_at_once(run, model_folder, xm3600):
    ways = ("first", "all", "unique")
    asked = [part for way in ways for part in ("--captions", way)]
    code, out, err = measure(run, model_folder, xm3600, *asked, "--json")
    assert code == 0, err
    rows = [row for row in json.loads(out) if row["direction"] == "text_to_content"]
    count = len(PHRASES)
    assert [(row["caption_policy"], row["num_queries"]) for row in rows] == [
        ("first", count),
        ("all", 2 * count),
        ("unique", count + 1),
    ]
    first, every, unique = (row["values"]["hit_rate_at_1"] for row in rows)
    # What is said of all photos is found by chance, or always where all are right.
    assert every < first
    assert unique == pytest.approx((first * count + 1) / (count + 1))


def test_without_a_way_all_captions_ask_and_the_table_names_them(run, model_folder, xm3600):
    _, out, _ = measure(run, model_folder, xm3600, "--json")
    assert {row["caption_policy"] for row in json.loads(out)} == {"all"}
    code, out, _ = measure(run, model_folder, xm3600, "--captions", "first", "--captions", "all")
    assert code == 0
    lines = [re.sub(r"\x1b\[[0-9]*m", "", line) for line in out.splitlines()]
    assert [line.split()[1] for line in lines if line.startswith("eng_Latn")] == ["first", "all"]
    assert max(len(line) for line in lines if not line.startswith("of /")) <= 80


def test_captions_of_no_such_name(run, model_folder, xm3600):
    code, _, err = measure(run, model_folder, xm3600, "--captions", "frist")
    assert code == 2
    assert "unknown caption policy 'frist'" in err
    assert "first" in err


def test_captions_change_nothing_in_a_task_of_texts(run, tmp_path):
    (tmp_path / "tatoeba.deu-eng.deu").write_text("Hund\nKatze\n")
    (tmp_path / "tatoeba.deu-eng.eng").write_text("dog\ncat\n")
    argv = ("eval", "fake:multilingual", "--task", "tatoeba", "--data", tmp_path)
    code, _, err = run(*argv, "--captions", "all")
    assert code == 0
    assert err == "tatoeba has texts alone: --captions changes nothing there\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"en": {"caption": ["x"]}}', "image/key: None was found"),
        ('{"image/key": "x", "image/locale": "en"}', "x.jpg has captions in no language"),
        ('{"image/key": "x", "en": {"caption": []}}', "caption is []; expected a list"),
        ("not json", "'not json' is no JSON object"),
    ],
)
def test_a_line_that_cannot_be_used_is_told_and_the_others_measured(
    run, model_folder, xm3600, line, said
):
    path = xm3600 / "captions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + line.encode())
    code, out, err = measure(run, model_folder, xm3600, "--json")
    assert code == 0
    assert {row["num_queries"] for row in json.loads(out)} == {len(PHRASES), 2 * len(PHRASES)}
    assert "xm3600: 1 set aside" in err
    assert said in " ".join(err.split())


def test_a_file_without_any_caption_is_refused(run, model_folder, xm3600):
    (xm3600 / "captions.jsonl").write_text("")
    code, _, err = measure(run, model_folder, xm3600)
    assert code == 2
    assert "has no line with a caption; expected lines" in err
    assert "  -> give the publisher's file" in err


def test_mvl_sib_with_the_images_of_its_release(run, model_folder, picture_folder, tmp_path):
    pictures = sorted(picture_folder.glob("*.png"))
    texts, images = tmp_path / "data/sib200/eng_Latn", tmp_path / "data/images/sib200"
    texts.mkdir(parents=True)
    for place, name in enumerate(mvl_sib.image_names()):
        copy_as(pictures[place % len(pictures)], images / name)
    for start, part in enumerate(mvl_sib.PARTS):
        rows = [
            f"{number}\t{mvl_sib.TOPICS[number % 7]}\tsentence {number}"
            for number in range(start, 60, 3)
        ]
        (texts / f"{part}.tsv").write_text("index_id\tcategory\ttext\n" + "\n".join(rows) + "\n")
    argv = ("eval", model_folder, "--task", "mvl-sib", "--data", tmp_path)
    code, out, err = run(*argv, "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert [(row["direction"], row["variant"]) for row in rows[:2]] == [
        ("content_to_text", "1 reference"),
        ("text_to_content", "1 reference"),
    ]
    assert {(row["num_queries"], row["num_candidates"]) for row in rows} == {(180, 4)}
    assert len(rows) == 6
    code, out, _ = run(*argv)
    assert code == 0
    assert "images to sentence" in out
    assert "sentences to image" in out
