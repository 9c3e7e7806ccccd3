"""docs/towers.md does what it says: its code is run, and every rule names a test that exists."""

import json
import re
import shlex
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import small_world
from polyglance import DualEncoder
from polyglance.towers import TOWERS, parse_reference
from polyglance.towers.libraries import sentence_transformers

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "towers.md").read_text(encoding="utf-8")
PART = PAGE.partition("\n## The rules, tower by tower")[2].partition("\n## ")[0]
RULES = [line for line in PART.splitlines() if line.startswith("| ") and "---" not in line][1:]
NAMES = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]


def blocks(language, heading):
    """Code of one language under a heading."""
    part = PAGE.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)


@pytest.mark.parametrize("line", RULES)
def test_every_rule_is_held_by_tests(line):
    cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
    assert len(cells) == 6
    named = re.findall(r"`(tests/[\w/]+\.py)`", cells[-1])
    assert named
    for path in named:
        assert "def test_" in (ROOT / path).read_text(encoding="utf-8")


def test_every_kind_of_tower_has_its_rules():
    said = " ".join(line.split("|")[1] for line in RULES)
    # An image tower reads no text.
    assert all(f"`{name}:`" in said for name in TOWERS if name not in ("tuned-image", "fake"))


def test_the_references_of_the_page_have_the_options_they_name():
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE.partition("\n## ")[0], re.DOTALL)
    references = [parse_reference(shlex.split(line)[2]) for line in block.splitlines()]
    assert [dict(one.options) for one in references] == [
        {"prefix": "query: "},
        {"prompt": "query"},
        {"pretrained": "v1"},
    ]
    sentence = [one for one in references if one.library == "sentence"]
    assert all(set(one.options) <= set(sentence_transformers.OPTIONS) for one in sentence)


def test_m_clip_becomes_a_model(make_checkpoint, tmp_path, monkeypatch):
    from transformers import XLMRobertaModel

    monkeypatch.chdir(tmp_path)
    encoder = make_checkpoint("xlm_roberta")
    torch.manual_seed(4)
    parts = torch.nn.ModuleDict(
        {
            "transformer": XLMRobertaModel.from_pretrained(encoder),
            "LinearTransformation": torch.nn.Linear(16, 10),
        }
    )
    Path("m-clip").mkdir()
    torch.save(parts.state_dict(), "m-clip/pytorch_model.bin")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder / name, Path("m-clip") / name)
    Path("xlm-roberta-large").symlink_to(encoder)
    (code,) = blocks("python", "M-CLIP")
    clip = f"hf:{make_checkpoint('clip')}"
    exec(compile(code.replace("hf:openai/clip-vit-large-patch14", clip), "towers.md", "exec"), {})
    model = DualEncoder.load("m-clip-model")
    assert (model.dim, model.text.dim) == (10, 10)
    found = model.encode_texts(["a dog"], languages=["deu_Latn"])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_vectors_of_a_model_with_code_of_its_own_are_measured(
    teacher, run, picture_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("xtd10").mkdir()
    Path("xtd10/test_image_names.txt").write_text("\n".join(NAMES))
    Path("xtd10/test_1kcaptions_en.txt").write_text("\n".join(small_world.PHRASES))

    class AutoModel:
        @classmethod
        def from_pretrained(cls, name, *, trust_remote_code):
            assert (name, trust_remote_code) == ("jinaai/jina-clip-v2", True)
            return cls()

        def encode_image(self, paths):
            assert all(Path(path).is_file() for path in paths)
            drawn = [small_world.draw(p, seed=99) for p in small_world.PHRASES]
            return teacher.encode_items(drawn)

        def encode_text(self, texts, *, task):
            assert task == "retrieval.query"
            return teacher.encode_texts(texts, languages=None)

    monkeypatch.setitem(sys.modules, "transformers", types.SimpleNamespace(AutoModel=AutoModel))
    (code,) = blocks("python", "Models that bring")
    known = {"names": NAMES, "texts": list(small_world.PHRASES)}
    exec(compile(code, "towers.md", "exec"), known)
    (command,) = blocks("sh", "Models that bring")
    code, out, err = run(*shlex.split(command)[1:], "--json")
    assert (code, err) == (0, "")
    rows = {row["direction"]: row for row in json.loads(out)}
    assert rows["text_to_content"]["values"]["hit_rate_at_10"] > 0.5
