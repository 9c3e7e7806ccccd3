"""Small folders in the form of sentence-transformers."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

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


@pytest.fixture
def library():
    """What the library itself gives for a folder; skips where it is not installed."""
    reason = "extra `sentence` is not installed"
    found = pytest.importorskip("sentence_transformers", reason=reason)

    def encode(folder, texts, **options):
        return found.SentenceTransformer(str(folder), device="cpu").encode(texts, **options)

    return encode
