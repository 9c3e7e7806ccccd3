"""The pack of the photos' demo: the user's, the one that ships, or one trained on captions."""

import pytest

import captioned_photos
from polyglance import errors
from polyglance.demo import photo_pack, photo_set
from polyglance.model import shipped
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack

TOWER = "fake:multilingual"


@pytest.fixture
def model(model_folder):
    return DualEncoder.load(str(model_folder))


@pytest.fixture
def photos(tmp_path):
    return photo_set.load(captioned_photos.write(tmp_path / "set"))


def test_the_users_own_pack_wins(model, photos, tmp_path):
    out = tmp_path / "new"
    found = photo_pack.location("mine", model=model, photos=photos, out=out, tower=TOWER)
    assert found == "mine"
    assert not out.exists()


def test_a_pack_that_ships_is_taken_and_none_is_trained(model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(photo_pack, "shipped_pack", lambda reference: f"of {reference}")
    out = tmp_path / "new"
    found = photo_pack.location(None, model=model, photos=photos, out=out, tower=TOWER)
    assert found == f"of {model.reference}"
    assert not out.exists()


def test_without_one_captions_train_it_once(model, photos, tmp_path, monkeypatch):
    out = tmp_path / "new"
    assert photo_pack.location(None, model=model, photos=photos, out=out, tower=TOWER) == str(out)
    pack = LanguagePack.load(out)
    assert pack.manifest.recipe == "ridge"
    assert pack.manifest.languages["deu_Latn"].speaks == "pack"
    assert pack.manifest.languages["deu_Latn"].num_queries == 12  # the dev photos
    assert pack.manifest.data["num_texts"] == 36 - 10  # ten are held out
    monkeypatch.setattr(photo_pack.run, "train", None)  # a second run takes it as it is
    assert photo_pack.location(None, model=model, photos=photos, out=out, tower=TOWER) == str(out)


def test_without_pack_and_captions_it_says_what_to_do(model, tmp_path):
    with pytest.raises(errors.UnavailableError, match="no language pack comes with") as caught:
        photo_pack.location(None, model=model, photos=None, out=tmp_path / "new", tower=TOWER)
    assert "--pack PACK" in caught.value.hint


def test_models_of_others_have_no_pack_that_ships(model_folder):
    assert photo_pack.shipped_pack(str(model_folder)) is None


def test_the_default_pack_of_many_languages_is_taken_where_it_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "_weights", lambda name: tmp_path / name)
    assert photo_pack.shipped_pack("photos") is None
    folder = tmp_path / "packs" / "photos-residual-mlp"
    folder.mkdir(parents=True)
    assert photo_pack.shipped_pack("photos") is None
    (folder / "pack.json").write_text("{}")
    assert photo_pack.shipped_pack("photos") == "photos-residual-mlp"
