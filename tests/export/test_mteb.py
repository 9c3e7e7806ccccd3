"""A pack is a model of mteb: mteb itself gives the scores that `polyglance eval` gives."""

import dataclasses

import numpy as np
import pytest

import shared_data
import small_world
from polyglance import errors
from polyglance.evaluation import run as evaluation
from polyglance.export import mteb as ours
from polyglance.heads import affine
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.tasks import load_task
from polyglance.towers import load_tower

AGREED = 1e-6
BITEXT = {"deu": "deu-Latn", "jpn": "jpn-Jpan", "rus": "rus-Cyrl"}
NO_MTEB = "mteb is not installed: pip install 'polyglance[mteb]'"


@pytest.fixture
def mteb():
    return pytest.importorskip("mteb", reason=NO_MTEB)


def metadata(mteb, kind, name, languages, *, score, modalities=("text",), category="t2t"):
    return mteb.TaskMetadata(
        name=name,
        dataset={"path": "local/files", "revision": "1"},
        description="local files",
        type=kind,
        category=category,
        modalities=list(modalities),
        eval_splits=["test"],
        eval_langs=languages,
        main_score=score,
    )


def similarity_task(mteb, data):
    """The pairs of our task as a task of mteb's, a subset a pair of languages."""
    from datasets import Dataset
    from mteb.abstasks import AbsTaskSTS

    class Local(AbsTaskSTS):
        def load_data(self, **kwargs):
            self.dataset = {
                f"{language}-{other}": {
                    "test": Dataset.from_dict(
                        {
                            "sentence1": [row.text_a for row in rows],
                            "sentence2": [row.text_b for row in rows],
                            "score": [row.score for row in rows],
                        }
                    )
                }
                for language, by_other in data.pairs.items()
                for other, rows in by_other.items()
            }
            self.data_loaded = True

    languages = {
        f"{language}-{other}": sorted({ours._tag(language), ours._tag(other)})
        for language, by_other in data.pairs.items()
        for other in by_other
    }
    Local.metadata = metadata(mteb, "STS", "LocalSTS", languages, score="cosine_spearman")
    return Local()


def bitext_task(mteb, data):
    """The translations of our task as a task of mteb's."""
    from datasets import Dataset
    from mteb.abstasks import AbsTaskBitextMining

    class Local(AbsTaskBitextMining):
        def load_data(self, **kwargs):
            self.dataset = {
                language: {
                    "test": Dataset.from_dict(
                        {
                            "sentence1": [row.text_a for row in rows],
                            "sentence2": [row.text_b for row in rows],
                        }
                    )
                }
                for language, rows in data.pairs.items()
            }
            self.data_loaded = True

    languages = {language: [ours._tag(language), "eng-Latn"] for language in data.pairs}
    Local.metadata = metadata(mteb, "BitextMining", "LocalBitext", languages, score="f1")
    return Local()


def measured(mteb, model, task, score):
    """mteb's own score by subset."""
    found = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
    return {row["hf_subset"]: row[score] for row in found.task_results[0].scores["test"]}


def write_pairs(folder):
    """Parallel text of the small world in the form of the task `bitext`."""
    folder.mkdir()
    # Its German is made of words that no detector knows: mteb does not say which column is which.
    for language in (ENGLISH, "arb_Arab", "hin_Deva"):
        texts = [small_world.translate(p, language) for p in small_world.PHRASES]
        (folder / f"{language}.txt").write_text("\n".join(texts), encoding="utf-8")
    return folder


def test_translations_score_alike_in_the_small_world(mteb, model_folder, pack_folder, tmp_path):
    data = load_task("bitext", write_pairs(tmp_path / "texts"))
    rows = evaluation.evaluate(str(model_folder), data, pack=pack_folder)
    mine = {r.language: r.values["accuracy"] for r in rows if r.direction == "text_to_other"}
    theirs = measured(mteb, ours.model(pack_folder), bitext_task(mteb, data), "accuracy")
    assert theirs == pytest.approx(mine, abs=AGREED)
    assert set(mine) == {"arb_Arab", "hin_Deva"}


def test_images_are_found_alike_in_the_small_world(
    mteb, model_folder, pack_folder, picture_folder, tmp_path
):
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval
    from PIL import Image

    xtd = tmp_path / "xtd10"
    xtd.mkdir()
    names = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]
    texts = [small_world.translate(phrase, "deu_Latn") for phrase in small_world.PHRASES]
    (xtd / "test_image_names.txt").write_text("\n".join(names))
    (xtd / "test_1kcaptions_de.txt").write_text("\n".join(texts), encoding="utf-8")
    rows = evaluation.evaluate(
        str(model_folder), load_task("xtd10", xtd), pack=pack_folder, images=picture_folder
    )
    (mine,) = [row.values for row in rows if row.direction == "text_to_content"]

    class Local(AbsTaskRetrieval):
        metadata = metadata(
            mteb,
            "Any2AnyMultilingualRetrieval",
            "LocalImages",
            {"de": ["deu-Latn"]},
            score="ndcg_at_10",
            modalities=("text", "image"),
            category="t2i",
        )

        def load_data(self, **kwargs):
            images = [Image.open(picture_folder / name) for name in names]
            self.dataset = {
                "de": {
                    "test": {
                        "corpus": Dataset.from_dict({"id": names, "image": images}),
                        "queries": Dataset.from_dict({"id": texts, "text": texts}),
                        "relevant_docs": {
                            text: {name: 1} for text, name in zip(texts, names, strict=True)
                        },
                        "top_ranked": None,
                    }
                }
            }
            self.data_loaded = True

    for at in (1, 5, 10):
        theirs = measured(mteb, ours.model(pack_folder), Local(), f"recall_at_{at}")
        assert theirs["de"] == pytest.approx(mine[f"hit_rate_at_{at}"], abs=1e-5)


@pytest.fixture
def real_model(mteb, run, model_folder, english, tmp_path):
    """A pack behind a text tower that gives real sentences real vectors."""
    argv = ("train", "ridge", "--model", model_folder, "--tower", "tiny:pictograms-ranking")
    code, _, err = run(*argv, "--text", english, "--out", tmp_path / "real")
    assert (code, err) == (0, "")
    return tmp_path / "real"


@shared_data.needs_shared
def test_sentence_similarity_scores_alike_on_the_publisher_s_files(mteb, teacher):
    """Without a pack: behind its head 24 dimensions are left, and cosines that rounding orders."""
    reference = "tiny:pictograms-ranking"
    data = load_task("sts17", shared_data.SHARED / "sts17")
    rows = evaluation.evaluate(reference, data)
    mine = {f"{r.language}-{r.other_language}": r.values["spearman"] for r in rows}
    text = Side(load_tower(reference, modality="text"), reference)
    wide = affine.AffineMap(np.eye(text.dim, teacher.dim, dtype=np.float32), np.zeros(text.dim))
    images = dataclasses.replace(teacher.content, head=wide)
    model = ours.MtebModel(DualEncoder(images, text, reference), name="ranking")
    theirs = measured(mteb, model, similarity_task(mteb, data), "cosine_spearman")
    assert len(mine) == 6
    assert theirs == pytest.approx(mine, abs=AGREED)


@shared_data.needs_shared
def test_tatoeba_scores_alike_on_the_publisher_s_files(mteb, real_model, model_folder, tmp_path):
    """On the pairs of which neither side is repeated: a repeated one is one candidate here."""
    place = tmp_path / "tatoeba"
    place.mkdir()
    for code in BITEXT:
        name = f"tatoeba.{code}-eng"
        sides = [
            (shared_data.SHARED / "tatoeba" / f"{name}.{side}").read_text("utf-8").split("\n")
            for side in (code, "eng")
        ]
        seen = [set(), set()]
        kept = []
        for pair in zip(*sides, strict=True):
            if all(pair) and all(text not in have for text, have in zip(pair, seen, strict=True)):
                kept.append(pair)
                for text, have in zip(pair, seen, strict=True):
                    have.add(text)
        for number, side in enumerate((code, "eng")):
            text = "".join(f"{pair[number]}\n" for pair in kept)
            (place / f"{name}.{side}").write_text(text, encoding="utf-8")
    data = load_task("tatoeba", place)
    rows = evaluation.evaluate(str(model_folder), data, pack=real_model)
    mine = {r.language: r.values["accuracy"] for r in rows if r.direction == "text_to_other"}
    theirs = measured(mteb, ours.model(real_model), bitext_task(mteb, data), "accuracy")
    assert len(mine) == 3
    assert theirs == pytest.approx(mine, abs=AGREED)


def test_it_is_an_encoder_of_mteb_with_a_name_of_its_own(mteb, model_folder, pack_folder):
    from mteb.models import EncoderProtocol

    alone, packed = ours.model(model_folder), ours.model(model_folder, pack=pack_folder)
    for one in (alone, packed):
        assert isinstance(one, EncoderProtocol)
    meta = packed.mteb_model_meta
    assert meta.name == "polyglance/pack"
    assert "eng-Latn" in meta.languages
    assert meta.modalities == ["text", "image"]
    # mteb keeps results by name and revision: another pack is another model.
    assert meta.revision != alone.mteb_model_meta.revision
    assert meta.revision == evaluation.model_id(packed.encoder)


class Subset:
    """What mteb hands over of a task."""

    name = "t"

    def __init__(self, *tags):
        self.hf_subsets_to_langscripts = {"s": list(tags)}


def asked(model, subset, **batch):
    return model.encode([batch], task_metadata=subset, hf_split="test", hf_subset="s")


@pytest.fixture
def packed(model_folder, pack_folder):
    encoder = DualEncoder.load(model_folder).with_pack(LanguagePack.load(pack_folder))
    return ours.MtebModel(encoder, name="pack")


def test_texts_of_a_pair_of_languages_are_read_in_their_own(packed):
    pair = Subset("eng-Latn", "rus-Cyrl")
    for language, texts in (
        ("rus_Cyrl", ["собака на пляже", "красная машина"]),
        (ENGLISH, ["a dog on the beach", "a red car"]),
    ):
        expected = packed.encoder.encode_texts(texts, languages=[language] * 2)
        np.testing.assert_array_equal(asked(packed, pair, text=texts), expected)


def test_a_language_that_is_not_known_is_read_as_unknown(packed):
    texts = ["nuqneH"]
    expected = packed.encoder.encode_texts(texts, languages=None)
    np.testing.assert_array_equal(asked(packed, Subset("zzz-Zzzz"), text=texts), expected)


def test_batches_are_joined_and_cosines_are_of_unit_length(packed):
    batches = [{"text": ["one", "two"]}, {"text": ["three"]}]
    found = packed.encode(batches, task_metadata=Subset("deu-Latn"), hf_split="test", hf_subset="s")
    assert found.shape == (3, packed.encoder.dim)
    np.testing.assert_allclose(np.diag(packed.similarity(found, found)), 1, atol=1e-6)
    np.testing.assert_allclose(packed.similarity_pairwise(found, 2 * found), 1, atol=1e-6)


def test_a_sentence_has_one_vector_on_both_sides_and_none_outlives_its_subset(packed):
    german = Subset("deu-Latn")
    first = asked(packed, german, text=["a", "b", "a"])
    second = asked(packed, german, text=["c", "a"])
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[0], second[1])
    assert set(packed._known) == {("deu_Latn", text) for text in "abc"}
    packed.encode([{"text": ["d"]}], task_metadata=german, hf_split="dev", hf_subset="s")
    assert set(packed._known) == {("deu_Latn", "d")}


def test_what_the_model_does_not_read_is_refused(packed):
    for batch in ({"video": [1]}, {"text": ["a"], "image": [2]}):
        with pytest.raises(errors.UnavailableError, match="t gives .*; one of text and image is"):
            asked(packed, Subset("eng-Latn"), **batch)


def test_sounds_are_items_of_an_audio_model():
    mono = ours._decoded({"array": [0.5, -0.5], "sampling_rate": 8000}, "audio")
    assert (mono.samples.shape, mono.rate) == ((1, 2), 8000)


def test_a_pack_with_contents_of_its_own_projects_what_is_searched(teacher, pack_folder):
    plain = LanguagePack.load(pack_folder)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((plain.dim, plain.dim)))[0]
    head = affine.AffineMap(turn.astype(np.float32), np.zeros(plain.dim, np.float32))
    facts = dataclasses.replace(plain.manifest, content="head")
    pack = LanguagePack(facts, plain.side, plain.probes, content_head=head)
    model = ours.MtebModel(teacher.with_pack(pack), name="turned")
    pictures = [small_world.draw(phrase, seed=3) for phrase in small_world.PHRASES[:3]]
    raw = teacher.encode_items(pictures)
    found = asked(model, Subset("deu-Latn"), image=pictures)
    np.testing.assert_allclose(found, pack.project(raw), atol=1e-6)
    np.testing.assert_allclose(asked(model, Subset("eng-Latn"), image=pictures), raw, atol=1e-6)
    with pytest.raises(errors.LanguageError, match="their vectors do not compare"):
        asked(model, Subset("eng-Latn", "deu-Latn"), text=["a"])


def test_without_mteb_the_extra_is_named(monkeypatch, model_folder):
    monkeypatch.setattr(ours.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.MissingExtraError) as caught:
        ours.model(model_folder)
    assert "polyglance[mteb]" in caught.value.hint
