"""An M-CLIP text encoder, converted, gives the vectors of its own forward pass."""

import json
import shutil

import numpy as np
import pytest
import torch

from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.libraries import m_clip


class MultilingualCLIP(torch.nn.Module):
    """As M-CLIP published it: the mean of the token states, and a linear layer."""

    def __init__(self, folder):
        from transformers import XLMRobertaModel

        super().__init__()
        self.transformer = XLMRobertaModel.from_pretrained(folder)
        self.LinearTransformation = torch.nn.Linear(16, 10)

    def encode_text(self, batch):
        states = self.transformer(**batch)[0]
        mask = batch["attention_mask"].unsqueeze(2)
        return self.LinearTransformation((states * mask).sum(1) / mask.sum(1))


@pytest.fixture
def texts(texts):
    """Those that the small encoder has positions for: the published model cuts none."""
    return [text for text in texts if len(text) < 15]


@pytest.fixture
def encoder(make_checkpoint):
    return make_checkpoint("xlm_roberta")


@pytest.fixture
def published(encoder, tmp_path):
    """Its folder, with a pickle and a configuration that no library knows; and the model."""
    torch.manual_seed(4)
    model, folder = MultilingualCLIP(encoder).eval(), tmp_path / "m-clip"
    folder.mkdir()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    facts = {"model_type": "M-CLIP", "modelBase": "xlm-roberta-large", "numDims": 10}
    (folder / "config.json").write_text(json.dumps(facts))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder / name, folder / name)
    return folder, model


def test_vectors_are_those_of_the_published_model(published, encoder, texts, tmp_path):
    from transformers import AutoTokenizer

    folder, model = published
    reference = m_clip.convert(folder, encoder=encoder, out=tmp_path / "converted")
    assert reference == f"sentence:{tmp_path / 'converted'}"
    tower = load_tower(reference, modality="text")
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = model.encode_text(dict(batch)).numpy()
    np.testing.assert_allclose(tower.encode(texts), wanted, atol=1e-5)
    assert (tower.dim, tower.pre_projection_dim) == (10, 16)
    assert not [*(tmp_path / "converted").rglob("*.bin")]


def test_the_library_reads_the_folder_too(published, encoder, library, texts, tmp_path):
    folder, _ = published
    reference = m_clip.convert(folder, encoder=encoder, out=tmp_path / "converted")
    found = load_tower(reference, modality="text").encode(texts)
    wanted = library(tmp_path / "converted", texts)
    np.testing.assert_allclose(found, wanted, atol=2e-6, rtol=1e-5)


def test_the_pickle_itself_is_not_loaded_as_a_tower(published):
    with pytest.raises(errors.UnavailableError, match="only safetensors are read") as refused:
        load_tower(f"hf:{published[0]}?pooling=mean", modality="text")
    assert "docs/towers.md" in refused.value.hint


class RunsCode:
    def __reduce__(self):
        return print, ("it ran",)


def test_a_pickle_that_runs_code_is_refused(published, encoder, tmp_path, capsys):
    folder, _ = published
    torch.save({"transformer.x": RunsCode()}, folder / "pytorch_model.bin")
    with pytest.raises(errors.StoreError, match="more than plain tensors"):
        m_clip.convert(folder, encoder=encoder, out=tmp_path / "converted")
    assert "it ran" not in capsys.readouterr().out
    assert not (tmp_path / "converted").exists()


def test_what_is_no_m_clip_is_refused(published, encoder, make_checkpoint, tmp_path):
    folder, _ = published
    out = tmp_path / "converted"
    with pytest.raises(errors.ConfigError, match="transformer of width None"):
        m_clip.convert(folder, encoder=make_checkpoint("nllb"), out=out)
    torch.save({"transformer.x": torch.ones(1)}, folder / "pytorch_model.bin")
    with pytest.raises(errors.ConfigError, match=r"transformer\.\* and LinearTransformation"):
        m_clip.convert(folder, encoder=encoder, out=out)
    torch.save([torch.ones(1)], folder / "pytorch_model.bin")
    with pytest.raises(errors.StoreError, match="holds a list"):
        m_clip.convert(folder, encoder=encoder, out=out)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(errors.UnavailableError, match=r"neither model\.safetensors nor"):
        m_clip.convert(folder, encoder=encoder, out=out)
    assert not out.exists()
