"""The towers that the project trains: quick, the same after saving, right against plain loops."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import small_world
from polyglance import errors
from polyglance.languages import text_forms
from polyglance.towers import load_tower
from polyglance.towers.tiny import ngrams
from polyglance.towers.tiny import tower as tiny
from polyglance.towers.tiny.image_net import TinyImageNet, preprocess
from polyglance.towers.tiny.text_net import NgramNet
from polyglance.towers.tiny.tower import TinyTextTower, fingerprint_of, text_tower_from


def text_net(width=5, dropout=0.2):
    torch.manual_seed(0)
    net = NgramNet(num_buckets=500, dim=8, width=width, dropout=dropout)
    torch.nn.init.normal_(net.table.weight)
    return net.eval()


def image_tower():
    torch.manual_seed(0)
    return tiny.TinyImageTower(TinyImageNet(6))


class TestNgrams:
    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
    def test_any_text_has_features_of_unit_weight(self, texts):
        found = ngrams.featurise(texts)
        assert len(found) == len(texts)
        for start, end in zip(found.offsets[:-1], found.offsets[1:], strict=True):
            assert end > start
            assert (found.weights[start:end] ** 2).sum() == pytest.approx(1, abs=1e-4)

    def test_alone_or_in_company_a_text_has_the_same_features(self):
        texts = ["chien", "un grand chien", "इंद्रधनुष", ""]
        together = ngrams.featurise(texts)
        for row, text in enumerate(texts):
            alone = ngrams.featurise([text])
            part = ngrams.select(together, np.array([row]))
            np.testing.assert_array_equal(alone.hashes, part.hashes)
            np.testing.assert_allclose(alone.weights, part.weights)

    def test_case_width_and_spacing_do_not_matter(self):
        both = ngrams.featurise(["Hot  Dog", "ｈot dog"])
        first, second = (ngrams.select(both, np.array([i])) for i in range(2))
        np.testing.assert_array_equal(first.hashes, second.hashes)

    def test_vowel_signs_stay_with_their_letters(self):
        assert ngrams.GRAPHEME.findall("हिन्दी") == ["हि", "न्दी"]

    def test_number_of_features_of_a_word(self):
        # <dog>: 3 single, 4 pairs, 3 triples, 2 of four, and the word itself
        assert len(ngrams.featurise(["dog"]).hashes) == 3 + 4 + 3 + 2 + 1

    def test_pool_is_the_weighted_sum(self):
        found = ngrams.featurise(["dog", "cat food"])
        rng = np.random.default_rng(0)
        table = rng.integers(-127, 128, (50, 3)).astype(np.int8)
        scale = rng.random(50).astype(np.float16)
        expected = np.zeros((2, 3))
        for row in range(2):
            for i in range(found.offsets[row], found.offsets[row + 1]):
                bucket = found.hashes[i] % 50
                expected[row] += found.weights[i] * table[bucket] * float(scale[bucket])
        np.testing.assert_allclose(ngrams.pool(found, table, row_scale=scale), expected, rtol=1e-4)

    def test_blocks_cover_every_row_once(self):
        offsets = np.array([0, 3, 300_000, 300_001, 300_005])
        spans = list(ngrams.blocks(offsets))
        assert [i for first, last in spans for i in range(first, last)] == [0, 1, 2, 3]


class TestText:
    @pytest.mark.parametrize(
        ("ending", "with_memory"), [("linear", False), ("softmax", False), ("softmax", True)]
    )
    def test_numpy_gives_what_torch_learnt(self, ending, with_memory):
        net, texts = text_net(), ["chien", "ein Hund", "घर"]
        memory = np.eye(5, 3, dtype=np.float32) if with_memory else None
        tower = tiny.text_tower_from(net, ending=ending, memory=memory)
        with torch.no_grad():
            scores = net(ngrams.featurise(texts))
        expected = (scores if ending == "linear" else scores.softmax(dim=1)).numpy()
        expected = expected @ memory if with_memory else expected
        found = tower.encode(texts)
        assert found.shape == (3, tower.dim)
        np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())

    def test_saved_and_loaded_it_is_the_same_tower(self, tmp_path):
        tower = tiny.text_tower_from(text_net(), ending="softmax")
        tower.save(tmp_path / "t")
        loaded = load_tower(f"tiny:{tmp_path / 't'}", modality="text")
        assert loaded.fingerprint == tower.fingerprint
        np.testing.assert_array_equal(loaded.encode(["a", "b c"]), tower.encode(["a", "b c"]))

    def test_the_form_of_its_texts_is_part_of_what_it_is(self, tmp_path):
        tower = text_tower_from(text_net(), ending="linear")
        tower.save(tmp_path / "t")
        facts = json.loads((tmp_path / "t" / "tower.json").read_text())
        assert facts["text_form"] == text_forms.facts_of("folded")
        older = TinyTextTower(tower.tensors, ending="linear", text_form="")
        assert older.fingerprint == fingerprint_of(tower.tensors, "linear") != tower.fingerprint
        older.save(tmp_path / "older")
        reference = f"tiny:{tmp_path / 'older'}"
        assert load_tower(reference, modality="text").fingerprint == older.fingerprint
        small_world.edit(tmp_path / "t" / "tower.json", text_form="folded 99")
        with pytest.raises(errors.StoreError, match="folded 99"):
            load_tower(f"tiny:{tmp_path / 't'}", modality="text")

    def test_spellings_of_a_word_are_one(self):
        tower = text_tower_from(text_net(), ending="linear")
        for one, other in (("σκύλος", "ΣΚΥΛΟΣ"), ("l'arbre", "l’arbre"), ("ماهی", "ماهي")):
            np.testing.assert_array_equal(*tower.encode([one, other]))

    def test_endings_are_different_towers(self):
        net = text_net()
        one, other = (tiny.text_tower_from(net, ending=e) for e in ("softmax", "linear"))
        assert one.fingerprint != other.fingerprint

    def test_nothing_to_encode(self):
        assert tiny.text_tower_from(text_net(), ending="linear").encode([]).shape == (0, 5)

    def test_a_query_needs_no_torch(self, tmp_path):
        tiny.text_tower_from(text_net(), ending="softmax").save(tmp_path / "t")
        code = (
            "import sys; from polyglance.towers import load_tower\n"
            f"load_tower('tiny:{tmp_path / 't'}', modality='text').encode(['chien'])\n"
            "sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_dropout_acts_in_training_only(self):
        net, features = text_net(dropout=0.5), ngrams.featurise(["chien"])
        assert torch.equal(net(features), net(features))
        net.train()
        assert not torch.equal(net(features), net(features))


class TestImage:
    def test_saved_and_loaded_it_is_the_same_tower(self, tmp_path):
        tower = image_tower()
        tower.save(tmp_path / "t")
        loaded = load_tower(f"tiny:{tmp_path / 't'}", modality="image")
        picture = Image.new("RGB", (90, 40), (200, 30, 30))
        assert loaded.fingerprint == tower.fingerprint
        # Weights are kept in half precision.
        np.testing.assert_allclose(loaded.encode([picture]), tower.encode([picture]), atol=2e-3)

    def test_pictures_and_arrays_are_the_same(self):
        tower = image_tower()
        picture = Image.new("RGB", (64, 64), (10, 200, 30))
        np.testing.assert_array_equal(
            tower.encode([picture]), tower.encode([tower.preprocess(picture)])
        )

    def test_transparency_is_white(self):
        clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
        np.testing.assert_array_equal(preprocess(clear), 1)

    def test_nothing_to_encode(self):
        assert image_tower().encode([]).shape == (0, 6)

    def test_other_tensors_are_refused(self):
        with pytest.raises(errors.StoreError, match="not the tensors"):
            tiny.image_tower_from({"project.bias": np.zeros(3), "other": np.zeros(3)})


@pytest.mark.parametrize("name", tiny.SHIPPED)
def test_shipped_towers_load(name):
    modality = "image" if name.endswith("image") else "text"
    assert load_tower(f"tiny:{name}", modality=modality).dim > 100


def test_absent_tower():
    with pytest.raises(errors.UnavailableError, match="pictograms-image"):
        load_tower("tiny:nowhere", modality="text")


def test_the_other_modality(tmp_path):
    image_tower().save(tmp_path / "t")
    with pytest.raises(errors.ConfigError, match="reads image"):
        load_tower(f"tiny:{tmp_path / 't'}", modality="text")


@pytest.mark.parametrize(
    "make", [image_tower, lambda: tiny.text_tower_from(text_net(), ending="linear")]
)
def test_no_output_but_the_embedding(make):
    with pytest.raises(errors.ConfigError, match="pre_projection"):
        make().encode([], output="pre_projection")
