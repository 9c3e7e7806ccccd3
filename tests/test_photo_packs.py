"""The builder of the shipped packs: what it keeps apart, and that it makes packs for any CLIP."""

import csv
import gzip
import importlib.util
from pathlib import Path

import pytest
from tools import photo_pack_texts, photo_packs

import small_bert
import small_world
from polyglance.languages.registry import ENGLISH
from polyglance.model.pack import LanguagePack
from polyglance.recipes.distill.config import DistillConfig

ROOT = Path(__file__).parents[1]
# By code of the data set: in which invented language its captions are here.
INVENTED = {"en": ENGLISH, "zh": "hin_Deva", "ar": "arb_Arab"} | dict.fromkeys(
    ("de", "fr", "cs"), "deu_Latn"
)
SPLITS = ("train",) * 4 + ("dev", "test")


@pytest.fixture
def flickr8k(tmp_path):
    """One drawn photo a phrase, in the publisher's form, its captions in six languages."""
    folder = tmp_path / "flickr8k"
    (folder / "all-photos").mkdir(parents=True)
    names = [f"{number}_{'x' * 3}.jpg" for number in range(len(small_world.PHRASES))]
    for name, phrase in zip(names, small_world.PHRASES, strict=True):
        small_world.draw(phrase, seed=5).save(folder / "all-photos" / name)
    tables = {"images": [(name, SPLITS[row % len(SPLITS)]) for row, name in enumerate(names)]}
    for code, language in INVENTED.items():
        tables[f"captions.{code}"] = [
            (name, small_world.translate(phrase, language))
            for name, phrase in zip(names, small_world.PHRASES, strict=True)
        ]
    for stem, rows in tables.items():
        with (folder / f"{stem}.tsv").open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(("image", "split" if stem == "images" else "caption"))
            writer.writerows(rows)
    return folder


@pytest.fixture
def multi30k(tmp_path):
    """Lines of a train photo, of a dev photo, and of one that is not in the other data set."""
    folder = tmp_path / "multi30k"
    folder.mkdir()
    (folder / "train.images.txt").write_text("0.jpg\n4.jpg\n999.jpg\n")
    for code in ("en", "de", "fr", "cs"):
        lines = "\n".join(f"{what} in {code}" for what in ("train", "dev", "other"))
        (folder / f"train.{code}.gz").write_bytes(gzip.compress(lines.encode()))
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A CLIP of random weights, of the form that a hub has."""
    path = ROOT / "tests" / "towers" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small_checkpoints", path)
    checkpoints = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checkpoints)
    folder = tmp_path_factory.mktemp("clip")
    checkpoints.BUILDERS["clip"](folder)
    return folder


@pytest.fixture
def texts(flickr8k, multi30k, monkeypatch):
    monkeypatch.setattr(photo_pack_texts, "NUM_KEPT_BACK", 8)
    return photo_pack_texts.Texts(flickr8k, multi30k)


def test_captions_of_the_two_sides_are_about_different_photos(texts):
    kept = texts.kept_back
    assert len(kept) == 8
    assert all(texts.split_of[name] == "train" for name in kept)
    english, unpaired = set(texts.english()), texts.unpaired()
    assert len(english) == 40  # 48 train photos less 8
    phrase_of = dict(zip(texts.split_of, small_world.PHRASES, strict=True))
    foreign = {phrase_of[name] for name in kept}
    assert english.isdisjoint(foreign)
    drawn = {text for _, text in unpaired if " in " not in text}
    languages = set(INVENTED.values()) - {ENGLISH}
    expected = {small_world.translate(p, language) for p in foreign for language in languages}
    assert drawn == expected
    assert {text for _, text in unpaired if " in " in text} == {
        "other in de",
        "other in fr",
        "other in cs",
    }


def test_parallel_text_has_nothing_of_dev_and_test_photos(texts):
    pairs = texts.parallel()
    said = {pair.text_a for pair in pairs}
    unseen = {
        phrase
        for (_, split), phrase in zip(texts.split_of.items(), small_world.PHRASES, strict=True)
        if split != "train"
    }
    assert said.isdisjoint(unseen)
    assert {"train in en", "other in en"} <= said
    assert "dev in en" not in said
    assert {pair.language_a for pair in pairs} == {ENGLISH}
    assert len({pair.language_b for pair in pairs}) == 5


def test_a_pack_is_called_after_model_and_recipe():
    assert photo_packs.name_of("photos", "ridge") == "photos-ridge"
    assert photo_packs.name_of("hf:a/b-c_d?revision=1", "m2m") == "a-b-c-d-m2m"


def test_packs_for_any_clip_with_measured_cards(flickr8k, clip, tmp_path, monkeypatch, texts):
    said = []
    tower = small_bert.save(tmp_path / "multilingual", width=24, seed=3)
    monkeypatch.setattr(
        photo_packs, "RECIPES", {"photos": ("ridge", "distill"), "photos-open": ("ridge",)}
    )
    quick = DistillConfig(ending="linear", num_buckets=500, dim=8, num_steps=3)
    monkeypatch.setattr(photo_packs, "CONFIGS", {"distill": quick})
    photo_packs.main(
        [str(flickr8k), str(tmp_path / "out"), "--model", f"hf:{clip}", "--tower", tower],
        say=lambda *lines, flush: said.append(" ".join(lines)),
    )
    made = sorted((tmp_path / "out").iterdir())
    assert [folder.name.rpartition("-")[2] for folder in made] == ["distill", "ridge"]
    ridge = LanguagePack.load(made[1])
    assert ridge.manifest.teacher == f"hf:{clip}"
    found = ridge.manifest.measured["flickr8k"]
    assert (found["split"], found["num_candidates"]) == ("test", 12)
    assert len(found["languages"]) == 6
    for scores in found["languages"].values():
        value, low, high = scores["hit_rate_at_10"]
        assert low <= value <= high
    card = (made[1] / "README.md").read_text(encoding="utf-8")
    assert "## Measured on flickr8k" in card
    assert "licence of the texts" in card
    assert any("distill in" in line for line in said)


def test_a_page_without_its_marks_is_refused_before_any_work(flickr8k, tmp_path, capsys):
    page = tmp_path / "packs.md"
    page.write_text("# Packs\n")
    with pytest.raises(SystemExit):
        photo_packs.main([str(flickr8k), str(tmp_path / "out"), "--page", str(page)])
    assert "scores: begin" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
