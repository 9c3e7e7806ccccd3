"""Captions of the same items become text-to-text tasks."""

import pytest

from polyglance import errors, tasks
from polyglance.evaluation import FunctionEncoder, evaluate
from polyglance.records import Caption
from polyglance.tasks.caption_text import CaptionTextData
from shared_data import SHARED, needs_shared

HEADER = "audiocap_id,youtube_id,start_time,caption\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test.csv").write_text(
        HEADER + '1,abc,5,"Rain, and a dog"\n2,abc,5,It rains\n3,def,0,A man talks\n', "utf-8"
    )
    (tmp_path / "test.ja.csv").write_text(HEADER + "1,abc,5,雨\n3,def,0,男\n", "utf-8")
    return tmp_path


def test_captions_of_a_clip_belong_together(folder):
    found = tasks.get_task("audiocaps-text").load(folder, None)
    assert found.captions["eng_Latn"][0] == Caption("abc_5", "Rain, and a dog", "eng_Latn")
    assert found.languages == ("eng_Latn", "jpn_Jpan")
    assert found.partners("eng_Latn") == ("eng_Latn",)
    # One text a clip: nothing to find in Japanese itself.
    assert found.partners("jpn_Jpan") == ("eng_Latn",)
    alone = tasks.get_task("audiocaps-text").load(folder, ["jpn_Jpan"])
    assert alone.languages == ("jpn_Jpan",)
    assert alone.data_id("jpn_Jpan") == found.data_id("jpn_Jpan")
    assert found.places == {"abc_5": 0, "def_0": 1}


def test_another_english_text_is_another_measurement(folder):
    before = tasks.get_task("audiocaps-text").load(folder, None)
    text = (folder / "test.csv").read_text("utf-8").replace("It rains", "It pours")
    (folder / "test.csv").write_text(text, "utf-8")
    after = tasks.get_task("audiocaps-text").load(folder, None)
    assert before.data_id("jpn_Jpan") != after.data_id("jpn_Jpan")


def test_bad_files(folder, tmp_path):
    load = tasks.get_task("audiocaps-text").load
    with pytest.raises(errors.UnavailableError, match="--data|not part"):
        load(None, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.UnavailableError, match="no test.csv"):
        load(tmp_path / "empty", None)
    (folder / "test.de.csv").write_text("\ufeff" + HEADER + "1,abc,5,\n2,abc,5,Regen\n", "utf-8")
    (folder / "test.fr.csv").write_text("a,b\n1,2\n", "utf-8")
    (folder / "test.zzz.csv").write_text(HEADER, "utf-8")
    found = load(folder, None)
    assert [row.text for row in found.captions["deu_Latn"]] == ["Regen"]
    said = {item.id: item.reason for item in found.set_aside}
    assert said["test.de.csv, line 2"].startswith("the caption")
    assert "youtube_id" in said["test.fra_Latn.csv"]
    assert "zzz" in said["test.zzz.csv"]


def test_xm3600_without_its_photos(tmp_path):
    for code, text in (("de", "Hund"), ("en", "dog")):
        (tmp_path / f"captions_{code}.json").write_text(
            f'[{{"filename": "a.jpg", "captions_translated": "{text}"}}]', "utf-8"
        )
    found = tasks.get_task("xm3600-uclip-text").load(tmp_path, ["deu_Latn"])
    assert found.languages == ("deu_Latn",)
    assert set(found.captions) == {"deu_Latn", "eng_Latn"}
    # With one English text a photo there is nothing to find in English.
    assert tasks.get_task("xm3600-uclip-text").load(tmp_path, None).languages == ("deu_Latn",)


@needs_shared
def test_the_publishers_files():
    found = tasks.get_task("audiocaps-text").load(SHARED / "audiocaps", None)
    assert found.languages == ("eng_Latn", "jpn_Jpan")
    assert len(found.places) == 975
    assert found.partners("jpn_Jpan") == ("jpn_Jpan", "eng_Latn")
    assert found.set_aside == ()
    photos = tasks.get_task("xm3600-uclip-text").load(SHARED / "xm3600", ["deu_Latn"])
    assert len(photos.places) == 3600


def test_the_engine_asks_it():
    captions = [Caption(f"i{n // 2}", f"word{n // 2} {n % 2}", "eng_Latn") for n in range(8)]
    data = CaptionTextData(task="t", captions={"eng_Latn": captions}, asked=("eng_Latn",))
    encoder = FunctionEncoder(
        lambda texts: [
            [1.0, *(float(text.startswith(f"word{n} ")) for n in range(4))] for text in texts
        ],
        model_id="m",
    )
    (row,) = evaluate(encoder, data, name="m", model_id="m")
    assert (row.language, row.other_language) == ("eng_Latn", "eng_Latn")
    assert row.values["hit_rate_at_1"] == 1
    assert (row.num_queries, row.num_candidates) == (8, 7)
