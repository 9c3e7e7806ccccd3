"""A damaged, moved or foreign index: refused in words, checked in full, mended."""

import json
import shutil

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.heads import affine
from polyglance.model import dual_encoder
from polyglance.model import manifest as packs
from polyglance.model import side as sides
from polyglance.model.pack import LanguagePack
from polyglance.recipes import ridge
from polyglance.search import checking, index, indexing, relocation, searcher, thumbnails
from polyglance.search import pack_columns as columns
from polyglance.storage.identity import StoreFacts
from polyglance.storage.repair import Finding
from polyglance.storage.store import Store


@pytest.fixture
def built(model_folder, picture_folder, tmp_path):
    out = tmp_path / "index"
    indexing.build(picture_folder, model=str(model_folder), out=out)
    return out


def ask(path, **options):
    with_picture = searcher.Searcher(path, **options)
    return [hit.id for hit in with_picture.search(searcher.Query.of_text("big red circle")).hits]


def another_model(teacher, folder):
    """A model of another space, put where the first one was."""
    head = teacher.content.head
    turned = type(head)(head.weight[::-1].copy(), head.bias[::-1].copy())
    side = sides.Side(teacher.content.tower, teacher.content.reference, turned)
    shutil.rmtree(folder)
    dual_encoder.DualEncoder(side, teacher.text, "another").save(folder)


def test_looking_writes_nothing(built):
    (built / "store.lock").unlink(missing_ok=True)
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()}
    assert checking.check(built).is_sound
    (built / "store.json").unlink()
    del before[built / "store.json"]
    assert not checking.check(built).is_sound
    after = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("repair", [False, True])
def test_nothing_is_said_of_a_whole_index(built, repair):
    assert checking.check(built, repair=repair) == checking.Report(num_rows=72, findings=())


class TestPlaces:
    """Each finding word for word, and whether it is harmless or can be mended."""

    def test_a_model_that_was_moved_with_the_index(self, tmp_path, teacher, picture_folder):
        before, after = tmp_path / "before", tmp_path / "after"
        before.mkdir()
        teacher.save(before / "model")
        indexing.build(picture_folder, model=str(before / "model"), out=before / "index")
        before.rename(after)
        said = f"the model was moved to {after}/model; --model {after}/model notes it"
        assert checking.check(after / "index") == checking.Report(
            num_rows=72, findings=(Finding(said, harmless=True),)
        )
        noted = checking.check(after / "index", new_model=str(after / "model"))
        assert noted == checking.Report(num_rows=72, findings=())

    def test_a_model_that_is_gone(self, built, model_folder, picture_folder):
        shutil.rmtree(model_folder)
        said = (
            f"the model of the index {built} is not at its old place any more: there is no "
            f"{model_folder} (name the new one: polyglance check-index {built} --model NEW; or "
            f"index again: polyglance index {picture_folder} --model NEW --out {built})"
        )
        found = checking.check(built, repair=True)
        assert found.findings == (Finding(said, mendable=False),)
        assert not found.is_sound

    def test_pictures_that_are_gone(self, built, picture_folder):
        picture_folder.rename(picture_folder.with_name("photos"))
        said = (
            f"what was indexed, {picture_folder}, is not there: search goes on, images cannot be "
            f"shown; polyglance index NEW-FOLDER --model MODEL --out {built} follows them"
        )
        found = checking.check(built)
        assert found == checking.Report(num_rows=72, findings=(Finding(said, harmless=True),))
        assert found.is_sound


class TestColumns:
    """Columns of packs beside an index."""

    @pytest.fixture
    def made(self, built, teacher):
        """The columns of two packs, in the order of their names."""
        tower = small_world.load_reference("fake:multilingual")
        head = affine.AffineMap(np.eye(24, 40, dtype=np.float32), np.ones(24, np.float32))
        for factor in (1, 2):
            content = affine.AffineMap(
                factor * np.eye(24, dtype=np.float32), np.ones(24, np.float32)
            )
            manifest = packs.PackManifest(
                recipe="test",
                space_id=teacher.space_id,
                teacher=teacher.reference,
                tower="fake:multilingual",
                tower_fingerprint=tower.fingerprint,
                content="head",
            )
            side = sides.Side(tower, "fake:multilingual", head)
            probes = np.eye(8, 24, dtype=np.float32)
            pack = LanguagePack(manifest, side, probes, content)
            columns.project(Store.open(built), pack)
        return sorted((built / columns.FOLDER).iterdir())

    def test_whole_ones_are_left_alone(self, built, made):
        (built / columns.FOLDER / "notes.txt").write_text("mine")
        (built / columns.FOLDER / "mine").mkdir()
        assert checking.check(built, repair=True) == checking.Report(num_rows=72, findings=())
        assert all((path / "store.json").is_file() for path in made)
        assert (built / columns.FOLDER / "mine").is_dir()

    def test_damaged_ones_are_said_by_name_and_go_with_repair(self, built, made):
        one, other = made
        data = next(one.rglob("data/*.lance"))
        data.write_bytes(data.read_bytes()[:-1])
        (other / "store.json").write_text('{"kind": "store", "schema_version": 1, "dim": -4}')
        for repair in (False, True):
            found = checking.check(built, repair=repair)
            assert (found.is_sound, found.num_rows) == (repair, 72 * repair)
            assert [each.mended for each in found.findings] == [repair, repair]
            for finding, path in zip(found.findings, made, strict=True):
                assert finding.said.startswith(f"the column {path.name} of a pack: ")
                assert finding.said.endswith("; its next search makes it anew")
                assert finding.mendable
                assert not finding.harmless
                assert path.exists() == (not repair)
            assert data.name in found.findings[0].said
            assert "store.json does not say its modality" in found.findings[1].said
        assert checking.check(built).findings == ()

    def test_checksums_alone_that_are_gone_are_harmless(self, built, made):
        for path in made:
            (path / "checksums.json").unlink()
        assert checking.check(built, repair=True).findings == ()
        assert all(path.is_dir() for path in made)

    def test_one_with_the_table_of_another_is_left_as_it_is(self, built, made):
        one, other = made
        shutil.rmtree(one / "vectors.lance")
        shutil.copytree(other / "vectors.lance", one / "vectors.lance")
        (finding,) = checking.check(built, repair=True).findings
        assert finding.said.startswith(f"the column {one.name} of a pack: the table in")
        assert "is another store's" in finding.said
        assert not finding.mendable
        assert not finding.mended
        assert one.is_dir()


class TestSpace:
    def test_another_model_in_its_place_is_refused(self, built, teacher, model_folder):
        wanted = Store.open(built).facts.space_id
        another_model(teacher, model_folder)
        with pytest.raises(errors.SpaceMismatchError, match=wanted) as refused:
            ask(built)
        assert dual_encoder.read_facts(model_folder).space_id in refused.value.message
        with pytest.raises(errors.SpaceMismatchError):
            searcher.Searcher(built).encode_media([next(built.parent.glob("pictures/*.png"))])
        report = checking.check(built)
        assert not report.is_sound
        assert wanted in report.findings[0].said

    def test_a_side_that_is_not_what_was_saved_is_refused(self, built, model_folder):
        facts = json.loads((model_folder / "model.json").read_text())
        facts["text"]["tower"] = "fake:multilingual"
        small_world.edit(model_folder / "model.json", text=facts["text"])
        with pytest.raises(errors.StoreError, match="text side of"):
            ask(built)

    def test_a_head_of_the_model_that_was_damaged_is_refused(self, built, model_folder):
        path = model_folder / "content_head.safetensors"
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(errors.StoreError, match="not the file that was saved"):
            searcher.Searcher(built).encode_media([next(built.parent.glob("pictures/*.png"))])

    def test_vectors_of_another_width_than_the_model_are_refused(self, model_folder, tmp_path):
        source = tmp_path / "vectors"
        source.mkdir()
        np.save(source / "vectors.npy", np.eye(5, dtype=np.float32))
        (source / "ids.txt").write_text("a\nb\nc\nd\ne\n")
        indexing.build(source, model=str(model_folder), out=tmp_path / "i", space="theirs")
        with pytest.raises(errors.SpaceMismatchError, match="width 5.*has 24"):
            ask(tmp_path / "i")

    def test_an_index_of_another_space_in_its_place_is_not_answered_from(
        self, built, teacher, model_folder, picture_folder, tmp_path
    ):
        opened = index.Index(built)
        another_model(teacher, model_folder)
        shutil.rmtree(built)
        with pytest.raises(errors.UnavailableError):
            _ = opened.is_current
        indexing.build(picture_folder, model=str(model_folder), out=built)
        assert not opened.is_current
        with pytest.raises(errors.SpaceMismatchError, match="was replaced"):
            opened.reopened()


class TestMoved:
    def test_all_moved_together_is_found(self, tmp_path, teacher, picture_folder, capsys):
        before = tmp_path / "before"
        before.mkdir()
        teacher.save(before / "model")
        indexing.build(picture_folder, model=str(before / "model"), out=before / "index")
        wanted = ask(before / "index")
        before.rename(tmp_path / "after")
        assert ask(tmp_path / "after" / "index") == wanted

    def test_a_model_that_is_gone_is_said_with_the_way_to_name_it(self, built, model_folder):
        wanted = ask(built)
        moved = model_folder.rename(model_folder.with_name("elsewhere"))
        with pytest.raises(errors.UnavailableError, match="not at its old place") as refused:
            ask(built)
        assert "check-index" in refused.value.hint
        assert "--model" in refused.value.hint
        assert not checking.check(built).is_sound
        assert checking.check(built, new_model=str(moved)).is_sound
        assert ask(built) == wanted
        assert str(model_folder) not in (built / "store.json").read_text().replace(str(moved), "")

    def test_a_model_that_is_no_folder_is_noted_where_it_is_the_one(
        self, built, tmp_path, picture_folder
    ):
        index = tmp_path / "pixels"
        indexing.build(picture_folder, model="fake:pixels", out=index)
        assert checking.check(index, new_model="fake:pixels?again=1").is_sound
        assert Store.open(index).extra_facts["model"] == "fake:pixels?again=1"
        with pytest.raises(errors.SpaceMismatchError):
            checking.check(built, new_model="fake:pixels")

    def test_another_model_is_not_noted(self, built, teacher, model_folder, tmp_path):
        shutil.copytree(model_folder, tmp_path / "other")
        another_model(teacher, tmp_path / "other")
        with pytest.raises(errors.SpaceMismatchError):
            checking.check(built, new_model=str(tmp_path / "other"))

    def test_indexing_from_the_new_place_notes_it(self, built, model_folder, picture_folder):
        moved = model_folder.rename(model_folder.with_name("elsewhere"))
        photos = picture_folder.rename(picture_folder.with_name("photos"))
        indexing.build(photos, model=str(moved), out=built)
        facts = Store.open(built).extra_facts
        assert (facts["model"], facts["folder"]) == (str(moved), str(photos))
        assert facts[relocation.BESIDE] == "../elsewhere"


class TestDamage:
    def test_vectors_that_are_not_unit_are_refused_and_mended(self, built, picture_folder):
        store = Store.open(built)
        names = ["id", "key", *store.extra_columns]
        table = store.table.to_table(filter="id LIKE 'big-red%'")
        import pyarrow as pa

        bad = pa.array(np.full(24 * len(table), np.nan, np.float32))
        columns = {name: table[name] for name in names}
        columns["vector"] = pa.FixedSizeListArray.from_arrays(bad, 24)
        merge = store.table.merge_insert("id").when_matched_update_all()
        merge.execute(pa.table(columns))
        with pytest.raises(errors.StoreError, match=f"{len(table)} of .* vectors of") as refused:
            ask(built)
        assert "--repair" in refused.value.hint
        assert checking.check(built, repair=True).is_sound
        model_of = Store.open(built).extra_facts["model"]
        assert indexing.build(picture_folder, model=model_of, out=built).new == len(table)
        assert ask(built)[0] == "big-red-circle.png"

    def test_a_manifest_that_is_damaged_is_taken_from_the_table(self, built):
        wanted = Store.open(built).facts
        (built / "store.json").write_text('{"kind": "store", "schema_version": 1, "dim": -4}')
        with pytest.raises(errors.StoreError):
            index.Index(built)
        assert not checking.check(built).is_sound
        assert checking.check(built, repair=True).is_sound
        assert Store.open(built).facts == wanted

    def test_a_manifest_from_the_table_keeps_its_id(self, built):
        before = json.loads((built / "store.json").read_text())["table_id"]
        (built / "store.json").unlink()
        assert checking.check(built, repair=True).is_sound
        assert json.loads((built / "store.json").read_text())["table_id"] == before
        assert len(Store.open(built)) == len(small_world.PHRASES)

    @pytest.mark.parametrize("repair", [(), ("--repair",)])
    @pytest.mark.parametrize("runs", [1, 4])
    def test_another_table_is_said_and_left_as_it_is(
        self, built, model_folder, tmp_path, run, repair, runs
    ):
        photos = tmp_path / "photos"
        photos.mkdir()
        for number in range(runs):
            small_world.draw("big red ring", seed=number).save(photos / f"{number}.png")
            indexing.build(photos, model=str(model_folder), out=tmp_path / "other")
        shutil.rmtree(built / "vectors.lance")
        shutil.copytree(tmp_path / "other" / "vectors.lance", built / "vectors.lance")
        with pytest.raises(errors.StoreError, match="is another store's"):
            ask(built)
        before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
        code, said, hint = run("check-index", built, *repair)
        assert code == 1
        assert "DAMAGED: the table in" in said
        assert "from a copy; or delete it" in said
        assert "--repair" not in hint  # it would not help
        after = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
        del before[built / "store.lock"], after[built / "store.lock"]
        assert after == before

    def test_left_over_and_damaged_thumbnails(self, built):
        store = Store.open(built)
        place = thumbnails.place_of(built, store.keys()[0])
        place.write_bytes(b"no picture")
        other = built / "thumbnails" / "ab" / f"{'c' * 30}.jpg"
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(b"\xff\xd8\xff")
        mine = built / "thumbnails" / "ab" / "holiday.jpg"
        mine.write_bytes(b"\xff\xd8\xff")
        unfinished = other.with_name(f".{'d' * 30}-{'0' * 16}.making")  # of a killed run
        unfinished.write_bytes(b"\xff\xd8")
        said = (
            "2 thumbnails of content that no row has",
            "1 thumbnails are damaged; they are made again when they are asked for",
        )
        for repair in (False, True):
            report = checking.check(built, repair=repair)
            assert report.is_sound
            assert report.findings == tuple(
                Finding(one, mended=repair, harmless=True) for one in said
            )
        assert not place.exists()
        assert not other.exists()
        assert not unfinished.exists()
        assert mine.exists()
        assert checking.check(built).findings == ()
        assert thumbnails.thumbnail(index.Index(built), store.ids()[0]).startswith(b"\xff\xd8\xff")

    def test_no_index(self, tmp_path):
        with pytest.raises(errors.UnavailableError, match="no index"):
            checking.check(tmp_path)

    def test_the_verb(self, built, run):
        assert run("check-index", built)[0] == 0
        (built / "store.json").write_text("{}")
        code, said, hint = run("check-index", built)
        assert code == 1
        assert "DAMAGED" in said
        assert "--repair" in hint
        code, said, _ = run("check-index", built, "--repair", "--json")
        assert code == 0
        assert json.loads(said)["sound"] is True


class TestForeign:
    """An index or pack that was made to do harm."""

    @pytest.mark.parametrize("key", ["..", "../" * 5 + "etc/x", "", "A" * 32, "0" * 31, "0" * 33])
    def test_a_key_that_would_name_another_file(self, built, key):
        with pytest.raises(errors.StoreError, match="32 hexadecimal digits"):
            thumbnails.place_of(built, key)

    def test_a_thumbnail_that_is_a_link_is_not_followed(self, built, tmp_path):
        secret = tmp_path / "secret.jpg"
        secret.write_bytes(b"\xff\xd8\xffsecret")
        store = Store.open(built)
        place = thumbnails.place_of(built, store.keys()[0])
        place.unlink()
        place.symlink_to(secret)
        assert thumbnails.read(place) is None
        assert b"secret" not in thumbnails.thumbnail(index.Index(built), store.ids()[0])

    def test_a_pack_names_no_folder_of_this_machine(self, teacher, tmp_path, monkeypatch):
        from polyglance.model import pack

        english = [c.text for c in small_world.captions("eng_Latn")] * 4
        tower = small_world.load_reference("fake:multilingual")
        side = sides.Side(tower, "fake:multilingual")
        made = ridge.train(english, teacher=teacher, tower=side, config=ridge.RidgeConfig())
        made.save(tmp_path / "pack")
        for tower_name in ("fake:/home/you/multilingual", "fake:../multilingual", "fake:~/x"):
            small_world.edit(tmp_path / "pack" / "pack.json", tower=tower_name)
            with pytest.raises(errors.StoreError, match="outside of itself"):
                pack.LanguagePack.load(tmp_path / "pack")
        # Who made the pack here named the folder, and may go on doing so.
        from dataclasses import replace

        named = replace(
            made,
            manifest=replace(made.manifest, tower="fake:/models/multilingual"),
            side=replace(made.side, reference="fake:/models/multilingual"),
        )
        monkeypatch.setattr(small_world, "load", lambda reference, *, modality: tower)
        named.save(tmp_path / "mine")
        pack.LanguagePack.load(tmp_path / "mine")
        monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "another cache"))
        with pytest.raises(errors.StoreError, match="outside of itself"):
            pack.LanguagePack.load(tmp_path / "mine")
        monkeypatch.setenv("POLYGLANCE_TOWER_FOLDERS", "/models")
        pack.LanguagePack.load(tmp_path / "mine")


@pytest.mark.parametrize(("as_index", "is_sound"), [(False, True), (True, False)])
def test_vectors_of_any_length_are_sound_but_in_an_index(tmp_path, as_index, is_sound):
    facts = StoreFacts(modality="image", dim=4, fingerprint="f", space_id="s")
    about = {relocation.MODEL: "m"} if as_index else {}
    store = Store.create(tmp_path / "s", facts, extra_facts=about)
    store.append(["a"], ["k"], vectors=np.full((1, 4), 3, np.float32))
    found = checking.check(tmp_path / "s").findings
    assert (not [one for one in found if "of a wrong length" in one.said]) == is_sound
