"""Dual encoders and packs: composed, saved, loaded, routed, refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import polyglance
import small_world
from polyglance import errors
from polyglance.heads import affine
from polyglance.model import card as model_card
from polyglance.model import dual_encoder, same_space
from polyglance.model import pack as packs
from polyglance.model.manifest import LanguageScore, PackManifest
from polyglance.model.side import Side, SpaceTower
from polyglance.recipes import ridge


@pytest.fixture(scope="module")
def pack(teacher):
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def with_scores(pack, **languages):
    from dataclasses import replace

    scores = {
        name: LanguageScore(pack=a, teacher=b, speaks=who)
        for name, (a, b, who) in languages.items()
    }
    return packs.LanguagePack(replace(pack.manifest, languages=scores), pack.side, pack.probes)


def test_pack_round_trip_gives_the_same_vectors(pack, tmp_path):
    with_scores(pack, deu_Latn=(0.6, 0.1, "pack")).save(tmp_path / "pack")
    loaded = packs.LanguagePack.load(tmp_path / "pack")
    raw = pack.side.tower.encode(["red circle"])
    np.testing.assert_array_equal(loaded.side.through_head(raw), pack.side.through_head(raw))
    np.testing.assert_array_equal(loaded.probes, pack.probes)
    assert loaded.manifest.languages["deu_Latn"].speaks == "pack"
    card = (tmp_path / "pack" / "README.md").read_text()
    assert "| German | `deu_Latn` | 60.0 | 10.0 | pack |" in card


def test_saving_over_a_pack_replaces_it_whole(pack, tmp_path):
    pack.save(tmp_path / "pack")
    pack.save(tmp_path / "pack")
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("c")) == ["pack"]


def test_model_round_trip(teacher, model_folder):
    loaded = dual_encoder.DualEncoder.load(model_folder)
    pictures = [small_world.draw("big red circle")]
    assert loaded.space_id == teacher.space_id
    np.testing.assert_array_equal(loaded.encode_items(pictures), teacher.encode_items(pictures))


def test_both_sides_of_a_reference_must_share_a_space(monkeypatch):
    with pytest.raises(errors.ConfigError, match="image side gives vectors of width 192, its text"):
        dual_encoder.DualEncoder.load("fake:teacher")
    monkeypatch.setattr(small_world.PixelTower, "dim", 24)
    loaded = dual_encoder.DualEncoder.load("fake:teacher")
    assert loaded.content.tower.modality == "image"
    assert loaded.text.tower.modality == "text"


@pytest.mark.parametrize(
    ("scores", "language", "speaker"),
    [
        ({}, "eng_Latn", "teacher"),
        ({}, "deu_Latn", "pack"),
        ({}, None, "pack"),
        ({"deu_Latn": (0.1, 0.2, "teacher")}, "deu_Latn", "teacher"),
        ({"eng_Latn": (0.9, 0.2, "pack")}, "eng_Latn", "pack"),
    ],
)
def test_who_speaks(pack, scores, language, speaker):
    assert with_scores(pack, **scores).speaker(language) == speaker


def test_mixed_languages_go_each_to_its_speaker(teacher, pack):
    routed = with_scores(pack, hin_Deva=(0.1, 0.2, "teacher"))
    texts = ["red circle", small_world.translate("red circle", "deu_Latn"), "red circle"]
    together = teacher.with_pack(routed).encode_texts(
        texts, languages=["eng_Latn", "deu_Latn", "hin_Deva"]
    )
    english = teacher.encode_texts(["red circle"], languages=["eng_Latn"])
    np.testing.assert_array_equal(together[[0, 2]], np.repeat(english, 2, axis=0))
    assert not np.allclose(together[1], together[0])


def test_without_a_pack_the_teacher_answers_everything(teacher):
    router = dual_encoder.TextRouter(teacher.dim, lambda: teacher.text, None)
    assert router.speaker("deu_Latn") == "teacher"


def test_a_pack_of_another_space_is_refused(teacher, pack):
    other = dual_encoder.DualEncoder(
        Side(small_world.PixelTower(), "fake:pixels"), teacher.text, "fake:x"
    )
    with pytest.raises(errors.SpaceMismatchError, match="made for in memory, this is fake:x"):
        other.with_pack(pack)


class TestKnownEquivalents:
    """The same model from another library passes if, and only if, the probes agree."""

    @pytest.fixture(autouse=True)
    def equivalents(self, monkeypatch):
        monkeypatch.setattr(
            same_space, "KNOWN_EQUIVALENTS", (frozenset({"in memory", "fake:same"}),)
        )

    def other(self, teacher, tower):
        moved = affine.AffineMap(teacher.content.head.weight * 1.001, teacher.content.head.bias)
        content = Side(small_world.PixelTower(), "x", moved)
        return dual_encoder.DualEncoder(content, Side(tower, "y"), "fake:same")

    def test_same_probes_pass(self, teacher, pack):
        self.other(teacher, teacher.text.tower).with_pack(pack)

    def test_other_probes_are_refused(self, teacher, pack):
        stranger = small_world.WordTower("stranger", 24, multilingual=False)
        with pytest.raises(errors.SpaceMismatchError, match="cosine of only"):
            self.other(teacher, stranger).with_pack(pack)

    def test_texts_that_agree_do_not_vouch_for_the_pictures(self, teacher, pack):
        head = teacher.content.head
        turned = affine.AffineMap(head.weight[::-1].copy(), head.bias[::-1].copy())
        content = Side(small_world.PixelTower(), "x", turned)
        other = dual_encoder.DualEncoder(content, teacher.text, "fake:same")
        with pytest.raises(errors.SpaceMismatchError, match="probe images have a cosine"):
            other.with_pack(pack)

    def test_a_pack_without_pictures_to_probe_with_is_no_proof(self, teacher, pack):
        texts_alone = packs.LanguagePack(
            pack.manifest, pack.side, pack.probes[: len(same_space.PROBE_TEXTS)]
        )
        with pytest.raises(errors.SpaceMismatchError, match="holds no images"):
            self.other(teacher, teacher.text.tower).with_pack(texts_alone)


class TestDamage:
    def test_one_number_that_is_none(self, pack, tmp_path):
        probes = pack.probes.copy()
        probes[0, 0] = np.nan
        packs.LanguagePack(pack.manifest, pack.side, probes).save(tmp_path / "pack")
        with pytest.raises(errors.StoreError, match="probes holds numbers that are not finite"):
            packs.LanguagePack.load(tmp_path / "pack")

    def test_absent(self, tmp_path):
        with pytest.raises(errors.UnavailableError, match="no language pack"):
            packs.LanguagePack.load(tmp_path / "none")

    def test_missing_field(self, pack, tmp_path):
        pack.save(tmp_path / "pack")
        file = tmp_path / "pack" / "pack.json"
        facts = json.loads(file.read_text())
        del facts["space_id"]
        file.write_text(json.dumps(facts))
        with pytest.raises(errors.StoreError, match="does not say its space_id"):
            packs.LanguagePack.load(tmp_path / "pack")

    def test_another_tower_than_it_was_made_with(self, pack, tmp_path):
        pack.save(tmp_path / "pack")
        small_world.edit(tmp_path / "pack" / "pack.json", tower="fake:teacher")
        with pytest.raises(errors.StoreError, match="fingerprint"):
            packs.LanguagePack.load(tmp_path / "pack")

    def test_a_model_folder_is_no_pack(self, model_folder):
        with pytest.raises(errors.PolyglanceError):
            packs.LanguagePack.load(model_folder)

    def test_a_tower_outside_the_folder(self, pack, tmp_path):
        pack.save(tmp_path / "pack")
        small_world.edit(tmp_path / "pack" / "pack.json", tower="fake:./../../x")
        with pytest.raises(errors.StoreError, match="outside"):
            packs.LanguagePack.load(tmp_path / "pack")

    def test_a_tower_that_cannot_be_written_into_a_folder(self, pack, tmp_path):
        from dataclasses import replace

        side = replace(pack.side, reference="fake:./tower")
        broken = packs.LanguagePack(pack.manifest, side, pack.probes)
        with pytest.raises(errors.StoreError, match="cannot be written"):
            broken.save(tmp_path / "pack")
        assert not (tmp_path / "pack").exists()
        shutil.rmtree(tmp_path / "pack", ignore_errors=True)


def test_what_a_head_takes_is_part_of_the_space(teacher):
    """The same head behind raw and behind unit vectors leads to two spaces."""
    content = teacher.content
    ids = {Side(content.tower, content.reference, content.head, takes).space_id for takes in TAKES}
    assert len(ids) == 2


TAKES = ("raw", "unit")


def test_the_card_lists_languages_by_tag_and_scores_from_the_best(pack):
    scored = with_scores(
        pack,
        hin_Deva=(0.3, 0.1, "pack"),
        deu_Latn=(0.2, 0.1, "pack"),
        arb_Arab=(0.6, 0.1, "pack"),
        swh_Latn=(0.0, 0.1, "teacher"),
        ben_Beng=(None, None, "pack"),
    )
    card = model_card.render(scored.manifest)
    tags = [line[2:] for line in card.split("---")[1].splitlines() if line.startswith("- ")]
    assert tags == sorted(tags)
    assert len(tags) == 5
    order = ("arb_Arab", "hin_Deva", "deu_Latn", "swh_Latn", "ben_Beng")
    places = [card.index(f"`{name}`") for name in order]
    assert places == sorted(places)


def test_the_card_shows_how_scores_are_spread(pack):
    spread = {"pack": {"5 %": 0.125, "95 %": 0.75}, "teacher": {"5 %": 0.25, "95 %": 0.5}}
    card = model_card.render(dataclasses.replace(pack.manifest, score_distribution=spread))
    for figure in ("0.125", "0.750", "0.250", "0.500"):
        assert figure in card


def test_another_text_side_than_the_model_was_saved_with_is_refused(teacher, tmp_path):
    teacher.save(tmp_path / "m")
    facts = json.loads((tmp_path / "m" / "model.json").read_text())
    text = {**facts["text"], "fingerprint": "0" * 32}
    small_world.edit(tmp_path / "m" / "model.json", text=text)
    with pytest.raises(errors.StoreError, match="the text side of .* was saved with 000"):
        dual_encoder.DualEncoder.load(str(tmp_path / "m")).encode_texts(["a"], languages=None)


def test_what_a_manifest_says_that_was_told_only_what_it_must():
    needed = {
        "recipe": "r",
        "space_id": "s",
        "teacher": "t",
        "tower": "w",
        "tower_fingerprint": "f",
    }
    assert dataclasses.asdict(PackManifest(**needed)) == {
        **needed,
        "probe_texts": (),
        "head_input": "unit",
        "content": "unchanged",
        "content_tower": "",
        "content_output": "embedding",
        "content_input": "unit",
        "content_modality": "image",
        "languages": {},
        "score_distribution": {},
        "config": {},
        "data": {},
        "measured": {},
        "language_means": (),
        "num_trainable_parameters": 0,
        "training_seconds": 0.0,
        "polyglance_version": polyglance.__version__,
    }
    assert dataclasses.asdict(LanguageScore(speaks="pack")) == {
        "pack": None,
        "teacher": None,
        "speaks": "pack",
        "num_queries": 0,
    }


@pytest.mark.parametrize("kind", ["model", "pack"])
def test_a_head_that_changed_on_the_disk_is_refused(teacher, pack, tmp_path, kind):
    """One bit, which makes a number a little larger: only the checksum can tell."""
    folder = tmp_path / "saved"
    saved, manifest, file = (
        (teacher, "model.json", "content_head.safetensors")
        if kind == "model"
        else (pack, "pack.json", "head.safetensors")
    )
    saved.save(folder)
    assert list(json.loads((folder / manifest).read_text())["sealed"]) == [file]
    type(saved).load(folder)
    data = bytearray((folder / file).read_bytes())
    data[-4] ^= 1
    (folder / file).write_bytes(bytes(data))
    with pytest.raises(errors.StoreError, match=f"{file} is not the file that was saved"):
        type(saved).load(folder)


def test_a_side_seen_as_a_tower_prepares_and_encodes_as_its_tower_and_head_do(teacher):
    content, text = SpaceTower(teacher.content), SpaceTower(teacher.text)
    picture, pixels = small_world.draw("big red circle"), teacher.content.tower
    prepared = content.preprocess(picture)
    np.testing.assert_array_equal(prepared, pixels.preprocess(picture))
    assert text.preprocess("red circle") == "red circle"
    raw = pixels.encode([prepared])
    by_hand = (raw / np.linalg.norm(raw)) @ teacher.content.head.weight.T
    by_hand += teacher.content.head.bias
    np.testing.assert_allclose(
        content.encode([prepared]), by_hand / np.linalg.norm(by_hand), atol=1e-6
    )
    assert len(content.encode([])) == 0
    words = teacher.text.tower.encode(["red circle"])
    np.testing.assert_allclose(
        text.encode(["red circle"]), words / np.linalg.norm(words), atol=1e-6
    )
    with pytest.raises(errors.ConfigError, match="output 'pre_projection' of a space"):
        content.encode([prepared], output="pre_projection")
    assert [(one.modality, one.dim, one.uses_language) for one in (content, text)] == [
        ("image", 24, False),
        ("text", 24, False),
    ]
    assert content.space_id == content.fingerprint == teacher.content.space_id != pixels.space_id


@pytest.mark.parametrize("said", [{}, {"encodes_in_threads": True}, {"encodes_in_threads": False}])
def test_whether_a_side_encodes_in_threads_is_its_tower_s_to_say(said):
    tower = type("Said", (small_world.PixelTower,), said)()
    assert SpaceTower(Side(tower, "x")).encodes_in_threads is bool(said.get("encodes_in_threads"))
