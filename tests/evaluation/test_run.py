"""Where pictures come from: a folder, webdataset's tars, given vectors; what lacks is counted."""

import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.cli import eval_tables
from polyglance.evaluation import run as evaluation
from polyglance.heads.affine import AffineMap
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.manifest import LanguageScore
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.results import schema
from polyglance.tasks.retrieval import RetrievalData

IDS = tuple(f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES)


def task():
    return RetrievalData(
        task="shapes",
        item_ids=IDS,
        captions={"eng_Latn": small_world.captions("eng_Latn")},
        policy="first",
        splits={"test": np.ones(len(IDS), bool)},
    )


def png(phrase):
    buffer = io.BytesIO()
    small_world.draw(phrase, seed=99).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def tars(tmp_path):
    """Two shards; a text beside each picture, as webdataset has it."""
    rows = [(name, png(phrase)) for name, phrase in zip(IDS, small_world.PHRASES, strict=True)]
    for number, part in enumerate((rows[:40], rows[40:])):
        members = [
            pair
            for name, data in part
            for pair in ((f"x/{name}", data), (f"x/{name[:-4]}.txt", b"a picture"))
        ]
        write_tar(tmp_path / "tars" / f"{number:05}.tar", members)
    return tmp_path / "tars"


def run(model, *, images=None, **options):
    settings = {"pack": None, "languages": None, "out": None, **options}
    return evaluation.evaluate(str(model), task(), images=images, **settings)


def test_tars_give_the_very_figures_of_a_folder(model_folder, picture_folder, tars):
    from_folder = run(model_folder, images=picture_folder)
    assert from_folder[0].num_candidates == 72
    assert run(model_folder, images=tars) == from_folder


def test_a_picture_is_encoded_once_for_all_tasks_and_places(
    model_folder, picture_folder, tars, tmp_path, monkeypatch
):
    encode, encoded = small_world.PixelTower.encode, []

    def counted(self, items, **options):
        encoded.extend(items)
        return encode(self, items, **options)

    monkeypatch.setattr(small_world.PixelTower, "encode", counted)
    shutil.copytree(picture_folder, tmp_path / "again")
    found = [
        evaluation.evaluate(
            str(model_folder),
            replace(task(), task=name),
            pack=None,
            languages=None,
            out=None,
            images=images,
        )
        for name in ("xtd10", "xtd200")
        for images in (picture_folder, tmp_path / "again", tars)
    ]
    assert len(encoded) == len(IDS)
    assert all([row.values for row in rows] == [row.values for row in found[0]] for rows in found)


def test_one_tar_and_what_it_lacks(model_folder, tars):
    row = run(model_folder, images=tars / "00000.tar")[0]
    assert row.num_candidates == 40
    assert row.num_dropped["items_missing"] == 32
    assert row.num_dropped["captions_without_content"] == 32


def test_a_damaged_member_drops_its_pair_and_the_others_go_on(model_folder, tmp_path):
    rows = [(name, png(phrase)) for name, phrase in zip(IDS, small_world.PHRASES, strict=True)]
    rows[3] = (rows[3][0], rows[3][1][:60])
    write_tar(tmp_path / "one.tar", rows)
    row = run(model_folder, images=tmp_path / "one.tar")[0]
    assert row.num_dropped["items_missing"] == 0
    assert row.num_dropped["items_damaged"] == 1
    (said,) = row.dropped_names["items_damaged"]
    assert said.startswith(f"{IDS[3]}: ")
    assert row.num_candidates == 71


def test_a_tar_that_is_cut_is_named(model_folder, tars, tmp_path):
    last = tars / "00001.tar"
    last.write_bytes(last.read_bytes()[: 512 * 9])
    out = tmp_path / "out.jsonl"
    row = run(model_folder, images=tars, out=out)[0]
    assert row.num_dropped["tars_damaged"] == 1
    (said,) = row.dropped_names["tars_damaged"]
    assert said.startswith("00001.tar: ")
    assert row.num_candidates == 72 - row.num_dropped["items_missing"] - len(
        row.dropped_names.get("items_damaged", ())
    )
    assert schema.read_results(out)[0] == row
    table = eval_tables.result_table("shapes", [row])
    assert "tars damaged: 1" in table
    assert "  00001.tar: " in table


def test_pictures_of_tars_are_encoded_once(model_folder, tars, monkeypatch):
    seen = []
    plain = small_world.PixelTower.encode

    def counting(self, items, **options):
        seen.extend(items)
        return plain(self, items, **options)

    monkeypatch.setattr(small_world.PixelTower, "encode", counting)
    run(model_folder, images=tars)
    assert len(seen) == 72
    run(model_folder, images=tars)
    assert len(seen) == 72


@pytest.fixture
def vectors(model_folder, tmp_path):
    """Vectors of all pictures but the last, as the model itself gives them."""
    encoder = DualEncoder.load(model_folder)
    given = encoder.encode_items([small_world.draw(p, seed=99) for p in small_world.PHRASES])
    folder = tmp_path / "vectors"
    folder.mkdir()
    np.save(folder / "vectors.npy", given[:-1])
    (folder / "ids.txt").write_text("\n".join(IDS[:-1]) + "\n")
    return folder, encoder.space_id


def test_given_vectors_stand_for_the_pictures(model_folder, picture_folder, vectors):
    folder, space = vectors
    (picture_folder / IDS[-1]).unlink()
    rows = run(model_folder, image_vectors=f"precomputed:{folder}?space={space}")
    expected = run(model_folder, images=picture_folder)
    assert [row.values for row in rows] == [row.values for row in expected]
    assert rows[0].num_dropped["vectors_missing"] == 1


def test_vectors_of_another_space_are_refused(model_folder, vectors):
    folder, space = vectors
    with pytest.raises(errors.SpaceMismatchError, match="declared to lie in the space 'clip'") as e:
        run(model_folder, image_vectors=f"precomputed:{folder}?space=clip")
    assert f"?space={space}" in e.value.hint


def test_what_are_no_vectors(model_folder, vectors):
    with pytest.raises(errors.ConfigError, match="is no reference to vectors"):
        run(model_folder, image_vectors=str(vectors[0]))


def test_no_pictures_at_all(model_folder, tmp_path):
    with pytest.raises(errors.UnavailableError, match="does not bring its 72 images") as caught:
        run(model_folder)
    assert "--image-vectors" in caught.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.InputError, match="there is no image in"):
        run(model_folder, images=tmp_path / "empty")


def test_a_model_with_another_routing_is_another_model(teacher):
    """Scores of one routing are never taken for those of the other."""
    fresh = trained_pack(teacher)
    ids = {evaluation.model_id(teacher), evaluation.model_id(teacher.with_pack(fresh))}
    for speaks in ("pack", "teacher"):
        for language in ("deu_Latn", "hin_Deva"):
            score = LanguageScore(pack=0.5, teacher=0.4, speaks=speaks)
            manifest = replace(fresh.manifest, languages={language: score})
            ids.add(evaluation.model_id(teacher.with_pack(replace(fresh, manifest=manifest))))
    assert len(ids) == 6


def test_a_pack_with_another_content_tower_is_another_model(teacher):
    fresh = trained_pack(teacher)
    manifest = replace(fresh.manifest, content="new-tower", content_tower="fake:pixels")
    ids = set()
    for scale in (1, 2):
        weight = scale * np.eye(fresh.side.dim, 192, dtype=np.float32)
        head = AffineMap(weight, np.zeros(len(weight), np.float32))
        side = Side(small_world.PixelTower(), "fake:pixels", head)
        pack = replace(fresh, manifest=manifest, content_side=side)
        ids.add(evaluation.model_id(teacher.with_pack(pack, reencode=True)))
    assert len(ids) == 2


def test_rows_that_are_known_of_another_routing_are_measured_again(
    teacher, model_folder, picture_folder, tmp_path
):
    """The German of a pack that speaks, and of one that leaves it to the teacher."""
    fresh, rates = trained_pack(teacher), {}
    for speaks in ("pack", "teacher"):
        score = LanguageScore(pack=0.5, teacher=0.4, speaks=speaks)
        manifest = replace(fresh.manifest, languages={"deu_Latn": score})
        replace(fresh, manifest=manifest).save(tmp_path / "pack")
        data = replace(task(), captions={"deu_Latn": small_world.captions("deu_Latn")})
        rows = evaluation.evaluate(
            str(model_folder),
            data,
            pack=str(tmp_path / "pack"),
            images=picture_folder,
            languages=None,
            out=tmp_path / "results.jsonl",
        )
        rates[speaks] = rows[0].values["hit_rate_at_10"]
    assert rates["pack"] > rates["teacher"] + 0.3


def test_english_without_a_score_is_measured_by_the_teacher(
    teacher, model_folder, picture_folder, tmp_path
):
    """To the last digit, though the pack's own English would do as well as its German."""
    trained_pack(teacher).save(tmp_path / "pack")
    alone, routed = (
        run(model_folder, images=picture_folder, pack=pack)
        for pack in (None, str(tmp_path / "pack"))
    )
    assert [row.values for row in alone] == [row.values for row in routed]
    assert {row.model for row in alone} == {str(model_folder)}
    assert {(row.model, row.pack) for row in routed} == {
        (str(model_folder), str(tmp_path / "pack"))
    }
    assert routed[0].called == f"{model_folder} + {tmp_path / 'pack'}"
    assert {(row.pack, row.called) for row in alone} == {("", str(model_folder))}
    with_pack = teacher.with_pack(trained_pack(teacher))
    assert with_pack.router.speaker("eng_Latn") == "teacher"


def trained_pack(teacher):
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def test_what_was_measured_is_measured_anew_only_where_something_changed(
    model_folder, picture_folder, tmp_path, monkeypatch
):
    """A picture under its old name, a caption, the code that scores; each is a measurement more."""
    from polyglance.evaluation import SCORERS, identity, retrieval

    scored = []
    plain = retrieval.score

    def counting(encoder, data, **options):
        scored.append(options["language"])
        return plain(encoder, data, **options)

    monkeypatch.setattr("polyglance.evaluation.SCORERS", {**SCORERS, RetrievalData: counting})
    out = tmp_path / "r.jsonl"
    first = run(model_folder, images=picture_folder, out=out)
    assert run(model_folder, images=picture_folder, out=out) == first
    assert len(scored) == 1
    assert schema.read_results(out) == first

    small_world.draw(small_world.PHRASES[5], seed=98).save(picture_folder / IDS[3])
    changed = run(model_folder, images=picture_folder, out=out)
    assert len(scored) == 2
    assert changed[0].data_id == first[0].data_id
    assert changed[0].score_id != first[0].score_id

    data = task()
    said = data.captions["eng_Latn"]
    data = replace(data, captions={"eng_Latn": [replace(said[0], text="else"), *said[1:]]})
    settings = {"pack": None, "languages": None, "images": picture_folder, "out": out}
    evaluation.evaluate(str(model_folder), data, **settings)
    assert len(scored) == 3

    monkeypatch.setattr(identity, "scoring_id", lambda: "mended rounding")
    run(model_folder, images=picture_folder, out=out)
    assert len(scored) == 4
    run(model_folder, images=picture_folder, out=out)
    assert len(scored) == 4


def test_the_code_that_scores_counts_by_its_own_text():
    from polyglance.evaluation import identity

    source = Path(identity.__file__).parents[1]
    for name in identity.SCORING:
        assert (source / name).exists(), name
    assert len(identity.scoring_id()) == 32


def test_a_language_beside_a_damaged_line_is_measured_again(model_folder, picture_folder, tmp_path):
    out = tmp_path / "r.jsonl"
    first = run(model_folder, images=picture_folder, out=out)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:-1]) + lines[-1][:50])
    assert run(model_folder, images=picture_folder, out=out) == first
    assert schema.read_results(out) == first


def test_names_that_fit_two_pictures_are_counted_and_told(model_folder, picture_folder, tmp_path):
    (picture_folder / "more").mkdir()
    small_world.draw(small_world.PHRASES[5], seed=98).save(picture_folder / "more" / IDS[3])
    row = run(model_folder, images=picture_folder)[0]
    assert row.num_dropped["names_of_several_items"] == 1
    (said,) = row.dropped_names["names_of_several_items"]
    assert said.startswith(f"{IDS[3]}: fits several images")


def test_one_picture_gives_values_and_says_that_there_is_no_interval(model_folder, tmp_path):
    small_world.draw(small_world.PHRASES[0], seed=99).save(tmp_path / IDS[0])
    rows = run(model_folder, images=tmp_path)
    assert rows[0].values["hit_rate_at_1"] == 1.0
    assert rows[0].intervals == {}
    assert "no interval can be given" in eval_tables.result_table("shapes", rows)


def test_results_say_which_languages_a_model_is_said_to_know(
    teacher, model_folder, picture_folder, tmp_path
):
    spoken = ("eng_Latn", "deu_Latn", "hin_Deva")
    texts = replace(task(), captions={name: small_world.captions(name) for name in spoken})
    alone = evaluation.evaluate(str(model_folder), texts, images=picture_folder)
    assert {row.supported for row in alone} == {None}
    pack = trained_pack(teacher)
    listed = {"deu_Latn": LanguageScore(speaks="pack")}
    replace(pack, manifest=replace(pack.manifest, languages=listed)).save(tmp_path / "pack")
    rows = evaluation.evaluate(
        str(model_folder), texts, pack=tmp_path / "pack", images=picture_folder
    )
    assert {row.language: row.supported for row in rows} == {
        "eng_Latn": True,
        "deu_Latn": True,
        "hin_Deva": False,
    }
    table = eval_tables.result_table("shapes", rows)
    values = [
        row.values["hit_rate_at_10"]
        for row in rows
        if row.supported and row.direction == "text_to_content"
    ]
    (line,) = [one for one in table.splitlines() if one.startswith("mean of 2 supported")]
    assert f"{100 * sum(values) / 2:.1f}" in line
