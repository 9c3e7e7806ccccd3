"""A search through model and pack whose texts ONNX Runtime encodes imports no torch."""

import subprocess
import sys

import numpy as np
import pytest

import small_bert
import small_world
from polyglance.heads.affine import AffineMap
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.search import indexing
from polyglance.towers import load_tower

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

IMAGES = "tiny:pictograms-image"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An index, and a pack beside it; all text towers by `?runtime=onnx`."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "pictures").mkdir()
    for phrase in small_world.PHRASES[:12]:
        name = f"{phrase.replace(' ', '-')}.png"
        small_world.draw(phrase, seed=1).save(tmp_path / "pictures" / name)
    english, other = (
        small_bert.save(tmp_path / name, seed=seed).replace("?device=cpu", "?runtime=onnx")
        for name, seed in (("english", 0), ("other", 1))
    )
    content = Side(load_tower(IMAGES, modality="image"), IMAGES)
    tower = load_tower(english, modality="text")
    weight = np.random.default_rng(0).standard_normal((content.dim, tower.dim), np.float32)
    head = AffineMap(weight, np.zeros(content.dim, np.float32))
    teacher = DualEncoder(content, Side(tower, english, head), "in memory")
    teacher.save(tmp_path / "model")
    indexing.build(tmp_path / "pictures", model=str(tmp_path / "model"), out=tmp_path / "index")
    pack = ridge.train(
        list(small_world.PHRASES),
        teacher=teacher,
        tower=Side(load_tower(other, modality="text"), other),
        config=ridge.RidgeConfig(),
    )
    pack.save(tmp_path / "pack")
    return tmp_path


@pytest.mark.parametrize(("language", "speaker"), [("en", "teacher"), ("de", "pack")])
def test_the_command_imports_no_torch(world, language, speaker):
    argv = ("search", "big red circle", "--index", world / "index", "--pack", world / "pack")
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "polyglance", *map(str, argv), "-l", language],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert f"answered by the {speaker}" in run.stderr
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "onnxruntime" in imported
    assert imported.isdisjoint({"torch", "transformers", "sentence_transformers", "onnx"})
