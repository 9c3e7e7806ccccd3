"""Towers and packs that several files of these tests share."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

import small_bert
from polyglance.towers import load_tower
from polyglance.towers.trainable import text as live

# The small checkpoints of the towers' own tests; that folder's conftest is no module of ours.
_spec = importlib.util.spec_from_file_location(
    "small_checkpoints", Path(__file__).parents[1] / "towers" / "conftest.py"
)
small_checkpoints = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small_checkpoints)
make_checkpoint = small_checkpoints.make_checkpoint
offline = small_checkpoints.offline
pictures = small_checkpoints.pictures


def _clip_of_bytes(folder):
    """The small CLIP with a token for every byte, as the real one has: no text is unknown to it."""
    import tokenizers
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    ends = ["<|startoftext|>", "<|endoftext|>"]
    names = [*alphabet, *(x + "</w>" for x in alphabet), *ends]
    CLIPTokenizer(vocab={n: i for i, n in enumerate(names)}, merges=[]).save_pretrained(folder)
    size = len(names)
    special = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    text = {**small_checkpoints.TEXT, "vocab_size": size, **special}
    config = CLIPConfig(text_config=text, vision_config=small_checkpoints.VISION, projection_dim=10)
    small_checkpoints._save(CLIPModel(config), folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)


small_checkpoints.BUILDERS["clip_of_bytes"] = _clip_of_bytes
TEXTS = ["a dog", "the cat sat on a mat", "b", "zebra crossing the road", "x y z"]


@pytest.fixture(scope="session")
def texts():
    return list(TEXTS)


@pytest.fixture(scope="session")
def bert_reference(tmp_path_factory):
    """A sentence tower of one token a word, which our own BERT runs."""
    return small_bert.save(tmp_path_factory.mktemp("bert") / "tower")


@pytest.fixture
def letters_reference(make_checkpoint, tmp_path):
    """The same of single letters, with a Dense of tanh and Normalize behind its pooling."""
    from safetensors.torch import save_file

    folder = tmp_path / "letters"
    shutil.copytree(make_checkpoint("bert"), folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    kinds += [("3_Normalize", "Normalize")]
    listed = [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds]
    (folder / "modules.json").write_text(json.dumps(listed))
    for path, _ in kinds[1:]:
        (folder / path).mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    dense = {"in_features": 16, "out_features": 10}
    dense["activation_function"] = "torch.nn.modules.activation.Tanh"
    (folder / "2_Dense" / "config.json").write_text(json.dumps(dense))
    generator = torch.Generator().manual_seed(1)
    tensors = {
        "linear.weight": torch.randn(10, 16, generator=generator),
        "linear.bias": torch.randn(10, generator=generator),
    }
    save_file(tensors, folder / "2_Dense" / "model.safetensors")
    return f"sentence:{folder}"


def tuned(reference, texts, *, method="weights", languages=()):
    """A tower some steps away from its base: all weights, or a part for each language."""
    base = load_tower(reference, modality="text")
    if method == "weights":
        made = live.TrainableTransformer.copy_of(base, reference)
    else:
        settings = {"reduction": 4} if method == "adapters" else {"rank": 2, "alpha": 4}
        made = live.TrainableAdapters(
            base, reference, languages=tuple(languages), method=method, settings=settings
        )
    tags = [languages[i % len(languages)] if languages else "eng_Latn" for i in range(len(texts))]
    prepared = made.prepare(texts, tags)
    learning = [p for p in made.module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        # Not the length, which some towers hold at one.
        made.forward(prepared, torch.arange(len(texts)))[:, ::2].sum().backward()
        optimizer.step()
    return made.export()[0]


@pytest.fixture(scope="session")
def tune():
    """The function above."""
    return tuned
