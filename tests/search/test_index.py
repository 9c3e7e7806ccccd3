"""A folder becomes an index once; packs make it answer in other languages."""

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.search import index, indexing


@pytest.fixture
def built(picture_folder, model_folder, tmp_path):
    report = indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    assert report.new == len(small_world.PHRASES)
    return index.Index(tmp_path / "index")


@pytest.fixture(scope="module")
def pack(teacher):
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def ask(opened, pack, query, language):
    router = opened.router(pack)
    return opened.search(router.encode_texts([query], languages=[language]), top=3)[0]


def test_english_without_a_pack(built):
    hits = ask(built, None, "big red circle", "eng_Latn")
    assert "big-red-circle.png" in [hit.id for hit in hits]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert hits[0].score >= hits[1].score >= hits[2].score
    assert hits[0].path.endswith(hits[0].id)


@pytest.mark.parametrize("language", small_world.LANGUAGES)
def test_a_pack_answers_in_other_languages(built, pack, language):
    query = small_world.translate("big red circle", language)
    assert "big-red-circle.png" in [hit.id for hit in ask(built, pack, query, language)]


def test_the_teacher_is_not_loaded_where_the_pack_speaks(built, pack, monkeypatch):
    monkeypatch.setattr(index, "load_side", lambda *_: pytest.fail("loaded the teacher"))
    ask(built, pack, small_world.translate("big red circle", "deu_Latn"), "deu_Latn")


def test_second_run_encodes_nothing(built, picture_folder, model_folder):
    report = indexing.build(picture_folder, model=str(model_folder), out=built.path)
    assert (report.new, report.known) == (0, len(small_world.PHRASES))


def test_unreadable_pictures_are_set_aside(picture_folder, model_folder, tmp_path):
    (picture_folder / "empty.png").write_bytes(b"")
    (picture_folder / "text.jpg").write_text("no picture")
    report = indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "i")
    assert sorted(item.id for item in report.quarantined) == ["empty.png", "text.jpg"]
    assert len(index.Index(tmp_path / "i").ids) == len(small_world.PHRASES)


def test_a_pack_for_another_space_is_refused(built, pack):
    from dataclasses import replace

    from polyglance.model.pack import LanguagePack

    other = LanguagePack(replace(pack.manifest, space_id="elsewhere"), pack.side, pack.probes)
    with pytest.raises(errors.SpaceMismatchError):
        built.router(other)


def test_an_index_of_another_model_is_refused(built, picture_folder):
    with pytest.raises((errors.SpaceMismatchError, errors.StoreError)):
        indexing.build(picture_folder, model="fake:teacher", out=built.path)


def test_empty_folder(model_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.InputError):
        indexing.build(tmp_path / "empty", model=str(model_folder), out=tmp_path / "i")


def test_more_answers_asked_than_there_are(built):
    hits = built.search(built.vectors[:1], top=1000)[0]
    assert len(hits) == len(small_world.PHRASES)


def test_no_answers_asked(built):
    with pytest.raises(errors.ConfigError, match="top 0"):
        built.search(built.vectors[:1], top=0)


def test_vectors_are_unit_and_in_the_space(built, teacher):
    np.testing.assert_allclose(np.linalg.norm(built.vectors, axis=1), 1, rtol=1e-5)
    assert built.space_id == teacher.space_id


def test_warming_up_reads_what_the_first_search_waits_for(built):
    opened = index.Index(built.path)
    assert "vectors" not in vars(opened)
    opened.warm_up()
    assert {"vectors", "id_map", "contents", "paths"} <= set(vars(opened))
