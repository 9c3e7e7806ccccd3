"""A tuned tower is its base by reference and the tensors that differ, and nothing else."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import small_world
from polyglance import errors
from polyglance.model.side import Side, load_tower_beside
from polyglance.towers import load_tower
from polyglance.towers.trainable import text

GERMAN = "deu_Latn"


@pytest.fixture
def reference(make_checkpoint, tmp_path):
    """A sentence tower, which our own BERT runs."""
    folder = tmp_path / "base"
    shutil.copytree(make_checkpoint("bert"), folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    listed = [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return f"sentence:{folder}"


def trained(base, reference, texts, *, only=""):
    """A few steps away from the base."""
    made = text.TrainableTransformer.copy_of(base, reference)
    for name, parameter in made.module.named_parameters():
        parameter.requires_grad_(only in name)
    _descend(made, texts)
    return made.export()[0]


def adapted(base, reference, texts, *, method="adapters", settings=None):
    settings = settings or {"reduction": 4}
    made = text.TrainableAdapters(
        base, reference, languages=(GERMAN,), method=method, settings=settings
    )
    _descend(made, texts)
    return made.export()[0]


def _descend(made, texts):
    prepared = made.prepare(texts, [GERMAN] * len(texts))
    learning = [p for p in made.module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        made.forward(prepared, torch.arange(len(texts))).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["nllb", "clip", "sentence"])
def test_what_was_learnt_comes_back(kind, reference, make_checkpoint, texts, tmp_path):
    reference = reference if kind == "sentence" else f"hf:{make_checkpoint(kind)}"
    base = load_tower(reference, modality="text")
    german = [GERMAN] * len(texts)
    before = base.encode(texts, languages=german)
    tower = trained(base, reference, texts)
    tower.save(tmp_path / "tuned")
    again = load_tower(f"tuned:{tmp_path / 'tuned'}", modality="text")
    after = again.encode(texts, languages=german)
    np.testing.assert_array_equal(after, tower.encode(texts, languages=german))
    assert np.abs(after - before).max() > 1e-2
    assert again.fingerprint == tower.fingerprint != base.fingerprint
    assert again.space_id == again.fingerprint
    assert again.uses_language == base.uses_language
    assert again.dim == base.dim
    # Training went on in a copy.
    np.testing.assert_array_equal(base.encode(texts, languages=german), before)


def test_only_what_learnt_is_written(reference, texts, tmp_path):
    base = load_tower(reference, modality="text")
    trained(base, reference, texts, only="layers.1.narrow").save(tmp_path / "tuned")
    stored = load_file(tmp_path / "tuned" / "weights.safetensors")
    assert len(stored) == 2
    assert all("layers.1.narrow" in name for name in stored)
    facts = json.loads((tmp_path / "tuned" / "tower.json").read_text())
    assert facts["base"] == reference
    assert facts["base_fingerprint"] == base.fingerprint
    assert facts["languages"] == []


def test_a_tuned_tower_is_trained_on_from_its_own_base(reference, texts, tmp_path):
    base = load_tower(reference, modality="text")
    first = trained(base, reference, texts, only="layers.0")
    second = trained(first, "tuned:./tower", texts, only="layers.1.narrow")
    assert second.tuning.base == reference
    assert set(first.tensors) < set(second.tensors)
    second.save(tmp_path / "tuned")
    again = load_tower(f"tuned:{tmp_path / 'tuned'}", modality="text")
    np.testing.assert_array_equal(again.encode(texts), second.encode(texts))


@pytest.mark.parametrize("kind", ["adapters", "lora", "shared-lora"])
def test_adapters_come_back(kind, reference, texts, tmp_path):
    if kind != "adapters":
        pytest.importorskip("peft", reason="extra `lora` is not installed")
    settings = {"reduction": 4} if kind == "adapters" else {"rank": 2, "alpha": 4}
    base = load_tower(reference, modality="text")
    tower = adapted(base, reference, texts, method=kind, settings=settings)
    tower.save(tmp_path / "tuned")
    again = load_tower(f"tuned:{tmp_path / 'tuned'}", modality="text")
    german, english = [GERMAN] * len(texts), ["eng_Latn"] * len(texts)
    after = again.encode(texts, languages=german)
    np.testing.assert_array_equal(after, tower.encode(texts, languages=german))
    assert np.abs(after - base.encode(texts)).max() > 1e-3
    np.testing.assert_array_equal(again.encode(texts, languages=english), base.encode(texts))
    assert again.uses_language
    assert (again.fingerprint, again.space_id) == (tower.fingerprint, base.space_id)
    assert again.encode(texts, languages=german, output="pre_projection").shape == (len(texts), 16)
    stored = load_file(tmp_path / "tuned" / "weights.safetensors")
    assert sum(tensor.numel() for tensor in stored.values()) < 1000


def test_adapters_on_a_tuned_tower_carry_it_along(reference, texts, tmp_path):
    base = load_tower(reference, modality="text")
    middle = trained(base, reference, texts, only="layers.0")
    tower = adapted(middle, "tuned:./tower", texts)
    tower.save(tmp_path / "pack" / "tower")
    again = load_tower_beside(tmp_path / "pack", "tuned:./tower", modality="text")
    german, english = [GERMAN] * len(texts), ["eng_Latn"] * len(texts)
    assert again.fingerprint == tower.fingerprint
    np.testing.assert_array_equal(
        again.encode(texts, languages=german), tower.encode(texts, languages=german)
    )
    np.testing.assert_array_equal(again.encode(texts, languages=english), middle.encode(texts))


def test_the_fingerprint_is_base_and_tensors(reference, texts, tmp_path):
    base = load_tower(reference, modality="text")
    one, two = (trained(base, reference, texts, only=only) for only in ("layers.0", "layers.1"))
    assert one.fingerprint != two.fingerprint
    elsewhere = tmp_path / "moved"
    shutil.copytree(reference.partition(":")[2], elsewhere)
    moved = trained(
        load_tower(f"sentence:{elsewhere}", modality="text"), "x", texts, only="layers.0"
    )
    assert moved.fingerprint == one.fingerprint


def test_a_side_writes_it_into_a_pack(reference, texts, tmp_path):
    tower = trained(load_tower(reference, modality="text"), reference, texts, only="layers.1")
    Side(tower, "tuned:./tower").save_tower(tmp_path)
    again = load_tower_beside(tmp_path, "tuned:./tower", modality="text")
    assert again.fingerprint == tower.fingerprint


class TestBadFolders:
    @pytest.fixture
    def folder(self, reference, texts, tmp_path):
        tower = trained(load_tower(reference, modality="text"), reference, texts, only="layers.1")
        tower.save(tmp_path / "tuned")
        return tmp_path / "tuned"

    def refused(self, folder, match, *, error=errors.StoreError):
        with pytest.raises(error, match=match):
            load_tower(f"tuned:{folder}", modality="text")

    def test_another_base(self, folder, reference):
        file = folder.parent / "base" / "model.safetensors"
        tensors = {name: tensor + 1 for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})
        self.refused(folder, "was trained on")

    def test_tensors_that_do_not_fit(self, folder):
        file = folder / "weights.safetensors"
        save_file({"features.no.such": torch.ones(2)}, file)
        small_world.edit(folder / "tower.json", sealed={})
        self.refused(
            folder, r"1 tensors of .* do not fit the base, first features\.no\.such.*torch 2"
        )

    def test_no_tensors(self, folder):
        (folder / "weights.safetensors").write_bytes(b"nothing")
        self.refused(folder, "not the file that was saved")
        small_world.edit(folder / "tower.json", sealed={})
        self.refused(folder, "cut or damaged")

    def test_a_damaged_manifest(self, folder):
        file = folder / "tower.json"
        facts = json.loads(file.read_text())
        del facts["base_fingerprint"]
        file.write_text(json.dumps(facts))
        self.refused(folder, "damaged")

    def test_nothing_there(self, tmp_path):
        self.refused(tmp_path, "there is no file", error=errors.UnavailableError)

    def test_images_and_options(self, folder):
        for tail, modality, said in (("", "image", "read text"), ("?a=b", "text", "no options")):
            with pytest.raises(errors.ConfigError, match=said):
                load_tower(f"tuned:{folder}{tail}", modality=modality)

    def test_adapters_that_are_not_all_there(self, reference, texts, tmp_path):
        base = load_tower(reference, modality="text")
        adapted(base, reference, texts).save(tmp_path / "half")
        file = tmp_path / "half" / "weights.safetensors"
        tensors = load_file(file)
        del tensors["1.by_language.deu_Latn.up.bias"]
        save_file(tensors, file)
        small_world.edit(tmp_path / "half" / "tower.json", sealed={})
        self.refused(tmp_path / "half", "first 1.by_language.deu_Latn.up.bias")


def test_what_cannot_learn_is_refused(reference, texts):
    import small_world

    with pytest.raises(errors.ConfigError, match="WordTower is no transformer"):
        text.TrainableTransformer.copy_of(
            small_world.load_reference("fake:teacher"), "fake:teacher"
        )
    base = load_tower(reference, modality="text")
    made = text.TrainableTransformer.copy_of(base, reference)
    made.module.requires_grad_(False)
    with pytest.raises(errors.TrainingError, match="no parameter of the tower learnt"):
        made.export()


def test_a_sentence_tower_learns_through_every_layer(reference, texts):
    """Our own BERT runs faster where nothing learns; that must not cost a gradient."""
    base = load_tower(reference, modality="text")
    base.encode(texts)
    made = text.TrainableTransformer.copy_of(base, reference)
    made.module.train()
    made.forward(made.prepare(texts, None), torch.arange(len(texts))).square().sum().backward()
    assert all(parameter.grad is not None for parameter in made.module.parameters())
    made.module.eval()
    with torch.no_grad():
        slow = made.forward(made.prepare(texts, None), torch.arange(len(texts)))
    np.testing.assert_allclose(slow.numpy(), base.encode(texts), atol=1e-5)
