"""Topic matching: what is asked is drawn by topic, the same each time, and says what is missing."""

import numpy as np
import pytest

from polyglance import errors, tasks
from polyglance.sources import mvl_sib
from polyglance.tasks import topics

HEAD = "index_id\tcategory\ttext\n"
CODES = ("eng_Latn", "nqo_Nkoo")


@pytest.fixture
def release(tmp_path):
    """Six sentences a topic in two languages, and all images but two of travel."""
    for code in CODES:
        folder = tmp_path / "data" / "sib200" / code
        folder.mkdir(parents=True)
        rows = [
            f"{6 * place + n}\t{topic}\t{code} {topic} {n}\n"
            for place, topic in enumerate(mvl_sib.TOPICS)
            for n in range(6)
        ]
        for part, start in (("train", 0), ("dev", 20), ("test", 30)):
            end = {"train": 20, "dev": 30, "test": None}[part]
            (folder / f"{part}.tsv").write_text(HEAD + "".join(rows[start:end]))
    images = tmp_path / "data" / "images" / "sib200"
    images.mkdir(parents=True)
    for name in mvl_sib.image_names()[:-2]:
        (images / name).write_bytes(b"")
    return tmp_path


def test_sentences_and_images_of_the_release(release):
    data = tasks.get_task("mvl-sib").load(release, None)
    assert set(data.languages) == set(CODES)
    assert len(data.sentences["nqo_Nkoo"]) == 42
    assert (len(data.item_ids), len(data.media_files)) == (70, 68)
    assert data.topics[:11].count("entertainment") == 10
    assert data.data_id("eng_Latn") != data.data_id("nqo_Nkoo")
    with pytest.raises(errors.LanguageError, match="mvl-sib has nothing in deu_Latn"):
        tasks.get_task("mvl-sib").load(release, ["deu_Latn"])


@pytest.mark.parametrize("num_references", topics.REFERENCES)
def test_questions_are_of_one_topic_against_three_others(release, num_references):
    data = tasks.get_task("mvl-sib").load(release, None)
    asked = data.questions("eng_Latn", num_references=num_references)
    of_sentences = np.array([sentence.topic for sentence in data.sentences["eng_Latn"]])
    of_images = np.array(data.topics)
    assert asked.images.shape == asked.asking.shape == (3 * 42, num_references)
    assert asked.sentences.shape == asked.choices.shape == (3 * 42, 4)
    for references, candidates in (
        (of_images[asked.images], of_sentences[asked.sentences]),
        (of_sentences[asked.asking], of_images[asked.choices]),
    ):
        assert (references == candidates[:, :1]).all()
        assert all(len(set(row)) == 4 for row in candidates.tolist())
    assert all(len(set(row)) == num_references for row in asked.images.tolist())
    assert all(len(set(row)) == num_references for row in asked.asking.tolist())
    # Each sentence is right three times, and asks three times.
    assert set(np.bincount(asked.sentences[:, 0])) == {3}
    assert (asked.asking[:, 0] == asked.sentences[:, 0]).all()


def test_all_languages_are_asked_the_same(release):
    data = tasks.get_task("mvl-sib").load(release, None)
    first, second = (data.questions(code, num_references=3) for code in CODES)
    assert (first.images == second.images).all()
    topics.draw_questions.cache_clear()
    again = data.questions("eng_Latn", num_references=3)
    assert (again.sentences == first.sentences).all()


def test_images_that_are_not_at_hand_are_dropped_and_counted(release):
    data = tasks.get_task("mvl-sib").load(release, None)
    fewer = data.only([name for name in data.item_ids if "travel" not in name], reason="missing")
    assert fewer.num_dropped == {"missing": 10}
    asked = fewer.questions("eng_Latn", num_references=1)
    assert len(asked.images) == 3 * 36  # no question about travel
    with pytest.raises(errors.UnavailableError, match="images of 3 topics at hand"):
        data.only([f"{t}_0.jpg" for t in ("health", "sports", "travel")], reason="missing")
    one_each = data.only([f"{topic}_0.jpg" for topic in mvl_sib.TOPICS], reason="missing")
    assert one_each.questions("eng_Latn", num_references=3) is None


def test_without_a_folder():
    with pytest.raises(errors.UnavailableError, match="mvl-sib are not part of polyglance"):
        tasks.get_task("mvl-sib").load(None, None)


def test_its_texts_are_held_against_training_data(release):
    from polyglance.tasks import leakage

    data = tasks.get_task("mvl-sib").load(release, None)
    assert ("eng_Latn", "eng_Latn health 0") in set(leakage._texts_of(data))


def test_numbers_of_references_that_no_question_has_are_said(release, monkeypatch):
    said = []
    monkeypatch.setattr(topics.progress, "say", said.append)
    data = tasks.get_task("mvl-sib").load(release, None)
    kept = [name for name in data.item_ids if not name.startswith("travel_") or name[7] < "2"]
    few = data.only(kept, reason="items_missing")
    assert said == [
        "mvl-sib is not asked with 3 and 5 references: of the topic travel only 2 of 10 images are "
        "at hand"
    ]
    assert few.questions("eng_Latn", num_references=1) is not None
    assert few.questions("eng_Latn", num_references=3) is None
    data.only(data.item_ids, reason="items_missing")
    assert len(said) == 1
