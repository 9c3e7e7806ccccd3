"""The packs that ship answer where none is named; what stands in their way is said."""

import shutil
from dataclasses import replace

import pytest

import small_world
from polyglance import errors
from polyglance.model import dual_encoder, shipped
from polyglance.model.pack import LanguagePack
from polyglance.search import default_packs, indexing
from polyglance.search.index import Index
from polyglance.search.searcher import Searcher

PHRASE = "big red circle"
GERMAN = small_world.translate(PHRASE, "deu_Latn")


@pytest.fixture
def index_path(shipped_world, picture_folder, tmp_path):
    indexing.build(picture_folder, model="small", out=tmp_path / "index")
    return tmp_path / "index"


def test_the_shipped_pack_answers_where_none_is_named(index_path):
    searcher = Searcher(index_path)
    answer = searcher.search(GERMAN, language="deu_Latn", top=3)
    assert answer.assumed[0].pack == "small-ridge"
    assert "big-red-circle.png" in [hit.id for hit in answer.hits]
    assert "small-ridge" in searcher.defaults.notice
    assert searcher.defaults.missing is None
    (one,) = searcher.search(PHRASE, language="eng_Latn").assumed
    assert one.speaker == "teacher"


def test_no_pack_is_the_model_alone(index_path):
    searcher = Searcher(index_path, packs=[])
    assert searcher.spoken == ()
    assert searcher.defaults == default_packs.DefaultPacks()


def test_a_model_that_does_not_ship_has_none(picture_folder, model_folder, tmp_path):
    indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    searcher = Searcher(tmp_path / "index")
    assert searcher.spoken == ()
    assert searcher.defaults.notice is None


def test_vectors_in_a_space_of_their_own_have_none(index_path, monkeypatch):
    index = Index(index_path)
    monkeypatch.setattr(default_packs.relocation, "model_space", lambda _: "another")
    assert default_packs.of_index(index) == default_packs.DefaultPacks()


@pytest.mark.parametrize("kind", default_packs.ABSENT)
def test_without_the_package_of_its_tower_english_is_left(index_path, monkeypatch, kind):
    def refuse(cls, location):
        raise kind("the tower needs the package such", hint="pip install such")

    monkeypatch.setattr(LanguagePack, "load", classmethod(refuse))
    searcher = Searcher(index_path)
    assert "English alone" in searcher.defaults.missing
    assert "small-ridge" in searcher.defaults.missing
    assert "pip install such" in searcher.defaults.missing
    assert "small-ridge" not in searcher.defaults.notice
    answer = searcher.search(PHRASE, top=1)
    assert [hit.id for hit in answer.hits] == ["big-red-circle.png"]
    assert answer.assumed[0].speaker == "teacher"


def test_what_needs_no_package_still_answers(index_path, shipped_world, monkeypatch):
    row = shipped.ShippedPack(model="small", what="words that need nothing", is_default=True)
    monkeypatch.setitem(shipped.PACKS, "small-other", row)
    shutil.copytree(
        shipped_world / "packs" / "small-ridge", shipped_world / "packs" / "small-other"
    )
    assert list(Searcher(index_path).defaults.packs) == ["small-ridge", "small-other"]
    load = LanguagePack.load.__func__

    def refuse(cls, location):
        if location == "small-ridge":
            raise errors.MissingExtraError("it needs such", hint="pip install such")
        return load(cls, location)

    monkeypatch.setattr(LanguagePack, "load", classmethod(refuse))
    searcher = Searcher(index_path)
    assert searcher.search(GERMAN, language="deu_Latn", top=1).assumed[0].pack == "small-other"
    assert "English and words that need nothing, without small-ridge" in searcher.defaults.missing


def test_a_damaged_pack_is_no_missing_package(index_path, shipped_world):
    (shipped_world / "packs" / "small-ridge" / "head.safetensors").write_bytes(b"")
    with pytest.raises(errors.StoreError, match="not the file that was saved"):
        Searcher(index_path)


def test_an_index_of_earlier_weights_is_refused_with_the_command(
    index_path, shipped_world, picture_folder
):
    now = dual_encoder.read_facts(shipped_world / "small")
    other = small_world.fit_teacher()
    head = other.content.head
    content = replace(other.content, head=replace(head, bias=head.bias + 1))
    replace(other, content=content).save(shipped_world / "small")
    with pytest.raises(errors.SpaceMismatchError, match="earlier weights of small") as caught:
        Searcher(index_path)
    assert now.space_id in caught.value.message
    assert caught.value.hint.endswith(f"polyglance index {picture_folder.resolve()} --model small")
    with pytest.raises(errors.SpaceMismatchError) as caught:
        Searcher(index_path, packs=[]).search(PHRASE, language="eng_Latn")
    assert "polyglance index FOLDER --model small" in caught.value.hint


def test_a_language_that_no_pack_lists_is_said(index_path):
    searcher = Searcher(index_path)
    (note,) = searcher.search("какой-то текст", language="rus_Cyrl", top=1).notes
    assert "small-ridge does not list Russian" in note
    assert searcher.search(GERMAN, language="deu_Latn", top=1).notes == ()
    assert searcher.search(PHRASE, language="eng_Latn", top=1).notes == ()


def test_what_is_prepared_can_encode(shipped_world, monkeypatch):
    asked = []
    monkeypatch.setattr(
        small_world.WordTower,
        "encode",
        lambda self, items, *, languages=None, output="embedding": asked.append(languages),
    )
    found = default_packs.prepared("small")
    assert list(found.packs) == ["small-ridge"]
    assert len(asked) == 1
    assert default_packs.prepared("hf:a/b") == default_packs.DefaultPacks()
    assert shipped.default_packs("hf:a/b") == ()
