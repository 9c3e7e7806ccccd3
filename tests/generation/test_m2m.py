"""`m2m` for generation learns lengths with directions, in languages that no fit ever saw."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import small_world
from polyglance import errors, training
from polyglance.generation import heads as generation_heads
from polyglance.generation import m2m as m2m_generation
from polyglance.generation.published_m2m import import_generation_head
from polyglance.heads import linear
from polyglance.model.side import Side
from polyglance.recipes import m2m, published_m2m
from shared_data import SHARED

PUBLISHED = SHARED / "m2m_checkpoints"
CONFIG = m2m.M2MConfig(purpose="generation")
# The paper's random start, with steps for 72 phrases in the place of 250,000 captions.
SLOW = m2m.M2MConfig(
    purpose="generation", start="random", num_epochs=60, batch_size=16, learning_rate=1e-2
)


def multilingual():
    return Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")


def english_encoder():
    return Side(small_world.load_reference("fake:teacher"), "fake:teacher")


def fit(config, **settings):
    return m2m_generation.fit(
        small_world.PHRASES,
        target=english_encoder(),
        tower=multilingual(),
        config=config,
        **settings,
    )


@pytest.fixture(scope="module", params=["ridge", "random"])
def fitted(request):
    return fit(CONFIG if request.param == "ridge" else SLOW)


@pytest.mark.parametrize("language", ["eng_Latn", *small_world.LANGUAGES])
def test_raw_vectors_are_met_far_better_than_unit_vectors_could(fitted, language):
    texts = [small_world.translate(phrase, language) for phrase in small_world.PHRASES]
    wanted = english_encoder().tower.encode(small_world.PHRASES)
    lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
    assert lengths.std() > 0.5  # there is something to learn
    # The best that any map to unit vectors can do: every direction right.
    floor = np.square(wanted - wanted / lengths).mean()
    found = fitted.encode(texts, languages=[language] * len(texts))
    assert np.square(found - wanted).mean() < 0.05 * floor
    ratio = np.linalg.norm(found, axis=1, keepdims=True) / lengths
    assert np.abs(ratio - 1).max() < 0.25


def test_the_facts_tell_how_near_it_came(fitted):
    facts = fitted.manifest.data
    assert facts["dev_squared_error"] < 0.05 * facts["dev_squared_error_of_unit_vectors"]
    assert facts["dev_squared_error"] < 0.05 * facts["dev_squared_error_of_the_mean"]
    assert facts["num_texts"] + facts["num_dev_texts"] == len(small_world.PHRASES)


def test_the_closed_form_is_kept_where_descent_does_worse():
    config = m2m.M2MConfig(purpose="generation", learning_rate=5.0, num_epochs=2)
    facts = fit(config).manifest.data
    assert facts["best_step"] == 0
    assert facts["dev_squared_error"] < 0.05 * facts["dev_squared_error_of_the_mean"]


def test_a_map_for_retrieval_does_not_meet_them(fitted, teacher):
    """The same layers trained on unit vectors know no lengths."""
    pack = m2m.train(
        small_world.PHRASES, teacher=teacher, tower=multilingual(), config=m2m.M2MConfig()
    )
    wanted = english_encoder().tower.encode(small_world.PHRASES)
    raw = pack.side.tower.encode(small_world.PHRASES)
    for_search = np.square(pack.side.through_head(raw) - wanted).mean()
    assert np.square(fitted.map(raw) - wanted).mean() < 0.05 * for_search


def test_a_norm_learns_under_bf16_since_its_weights_are_float32():
    """The released run left them at exactly 1."""
    config = m2m.M2MConfig.for_generation_as_published()
    head = fit(config).head
    assert head.layer_norm.weight.dtype == torch.float32
    moved = (head.layer_norm.weight.detach() - 1).abs()
    # 10 epochs of one step each at 3e-4 or less: below what bfloat16 can tell from 1.
    assert 0 < moved.max() < 0.0039


def test_it_learns_with_a_norm_too():
    one = fit(m2m.M2MConfig(**{**vars(SLOW), "layer_norm": True, "precision": "bf16"}))
    # A norm fixes the length up to its weights, and these sums of words have several lengths.
    facts = one.manifest.data
    assert facts["dev_squared_error"] < 0.3 * facts["dev_squared_error_of_the_mean"]


def test_saved_and_loaded_it_gives_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "head")
    again = generation_heads.GenerationHead.load(tmp_path / "head")
    np.testing.assert_array_equal(again.encode(["rot"]), fitted.encode(["rot"]))
    assert again.manifest == fitted.manifest
    assert set(load_file(tmp_path / "head" / "head.safetensors")) == {
        "mlps.0.weight",
        "mlps.0.bias",
        "mlps.1.weight",
        "mlps.1.bias",
    }


def test_another_tower_is_refused(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "head")
    other = small_world.WordTower("other", 40, multilingual=True)
    monkeypatch.setattr(small_world, "load", lambda reference, modality: other)
    with pytest.raises(errors.StoreError, match="fingerprint words-other-40; the head was fitted"):
        generation_heads.GenerationHead.load(tmp_path / "head")


def test_a_pack_is_no_head_for_generation(teacher, tmp_path):
    pack = m2m.train(
        small_world.PHRASES, teacher=teacher, tower=multilingual(), config=m2m.M2MConfig()
    )
    pack.save(tmp_path / "pack")
    with pytest.raises(errors.UnavailableError):
        generation_heads.GenerationHead.load(tmp_path / "pack")


def test_each_purpose_has_its_function(teacher):
    with pytest.raises(errors.ConfigError, match="no pack for search") as refused:
        m2m.train(small_world.PHRASES, teacher=teacher, tower=multilingual(), config=CONFIG)
    assert "generation.m2m.fit" in refused.value.hint
    with pytest.raises(errors.ConfigError, match="purpose 'retrieval'"):
        fit(m2m.M2MConfig())
    with pytest.raises(errors.ConfigError, match="layer_norm for retrieval"):
        m2m.M2MConfig(layer_norm=True)


def test_stopped_and_resumed_it_ends_alike(tmp_path, monkeypatch):
    whole = fit(SLOW)
    real, calls = m2m_generation.regression.mean_squared_error, []

    def die(*both):
        calls.append(1)
        if len(calls) == 100:
            raise KeyboardInterrupt
        return real(*both)

    monkeypatch.setattr(m2m_generation.regression, "mean_squared_error", die)
    run = training.RunFolder(tmp_path / "run", checkpoint_every_steps=30)
    with pytest.raises(KeyboardInterrupt):
        fit(SLOW, run=run)
    monkeypatch.undo()
    resumed = fit(SLOW, run=run)
    for name, value in whole.head.state_dict().items():
        assert torch.equal(value, resumed.head.state_dict()[name])
    with pytest.raises(errors.ConfigError, match="learning_rate 0.01; now it is 0.02"):
        fit(m2m.M2MConfig(**{**vars(SLOW), "learning_rate": 0.02}), run=run)


class TestPublished:
    def checkpoint(self, folder, *, dim_in=40, norm=True):
        """As the author's code saves one: bfloat16."""
        torch.manual_seed(0)
        head = linear.LinearHead(dim_in, 24, num_layers=2, layer_norm=norm)
        if norm:
            torch.nn.init.normal_(head.layer_norm.weight)
        tensors = {name: value.bfloat16() for name, value in head.state_dict().items()}
        torch.save(tensors, folder / "epoch_10.pth")
        return folder / "epoch_10.pth", tensors

    def test_the_vectors_are_those_by_hand(self, tmp_path):
        path, tensors = self.checkpoint(tmp_path)
        one = import_generation_head(path, tower=multilingual(), target="hf:clip")
        z = multilingual().tower.encode(["red circle", "big blue ring"])
        w = {name: value.float().numpy() for name, value in tensors.items()}
        for i in range(2):
            z = z @ w[f"mlps.{i}.weight"].T + w[f"mlps.{i}.bias"]
        mean, spread = z.mean(axis=1, keepdims=True), z.var(axis=1, keepdims=True)
        z = (z - mean) / np.sqrt(spread + 1e-5) * w["layer_norm.weight"] + w["layer_norm.bias"]
        np.testing.assert_allclose(one.encode(["red circle", "big blue ring"]), z, atol=1e-5)
        assert (one.manifest.target, one.manifest.target_output) == ("hf:clip", "pre_projection")
        one.save(tmp_path / "head")
        again = generation_heads.GenerationHead.load(tmp_path / "head")
        np.testing.assert_array_equal(again.encode(["red"]), one.encode(["red"]))

    def test_safetensors_form(self, tmp_path):
        _, tensors = self.checkpoint(tmp_path)
        save_file(tensors, tmp_path / "x.safetensors")
        one = import_generation_head(
            tmp_path / "x.safetensors", tower=multilingual(), target="hf:clip"
        )
        assert next(one.head.parameters()).dtype == torch.float32

    def test_for_retrieval_it_is_refused(self, teacher, tmp_path):
        path, _ = self.checkpoint(tmp_path)
        with pytest.raises(errors.InputError, match="retrieval head has only") as refused:
            published_m2m.import_pack(path, teacher=teacher, tower=multilingual())
        assert "cannot serve retrieval" in refused.value.hint

    def test_a_retrieval_head_is_refused_for_generation(self, tmp_path):
        path, _ = self.checkpoint(tmp_path, norm=False)
        with pytest.raises(errors.InputError, match="generation head has") as refused:
            import_generation_head(path, tower=multilingual(), target="hf:clip")
        assert "directions and no lengths" in refused.value.hint

    def test_another_width_is_refused(self, tmp_path):
        path, _ = self.checkpoint(tmp_path, dim_in=41)
        with pytest.raises(errors.VectorError, match="width 41; the tower gives 40"):
            import_generation_head(path, tower=multilingual(), target="hf:clip")

    @pytest.mark.skipif(not PUBLISHED.exists(), reason="../shared/data is not here")
    def test_the_author_s_two_heads_are_for_retrieval(self):
        found = sorted(PUBLISHED.glob("*/checkpoint.pth"))
        assert len(found) == 2
        for path in found:
            assert published_m2m.import_head(path).fold().dim_in == 768
            with pytest.raises(errors.InputError, match="generation head has"):
                import_generation_head(path, tower=multilingual(), target="hf:clip")


def test_a_head_with_a_norm_does_not_fold():
    with pytest.raises(errors.ConfigError, match="does not fold"):
        linear.LinearHead(3, 2, layer_norm=True).fold()
