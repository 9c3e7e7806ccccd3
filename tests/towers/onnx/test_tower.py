"""A text tower in ONNX Runtime: made once, as near to torch as stated, read without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import small_bert
import small_world
from polyglance import errors
from polyglance.storage import locations
from polyglance.towers import load_tower
from polyglance.towers.onnx import making
from polyglance.vectors import unit

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

ODD = ["", "x " * 5_000, "🐶🏖️", "\u200b\u202e\x00", "  Dog\ndog  "]


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """A small BERT beside an empty cache; without `?device=cpu`."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    return small_bert.save(tmp_path / "bert", width=64).partition("?")[0]


def graphs():
    return sorted(Path(locations.cache_folder(), "onnx").glob("*/model.onnx"))


def test_float32_is_torch_and_int8_is_near(reference):
    texts = [*small_world.PHRASES[:20], *ODD]
    wanted = load_tower(reference, modality="text").encode(texts)
    exact = load_tower(f"{reference}?runtime=onnx-float32", modality="text")
    np.testing.assert_allclose(exact.encode(texts), wanted, atol=1e-5)
    quick = load_tower(f"{reference}?runtime=onnx", modality="text")
    assert (unit(quick.encode(texts)) * unit(wanted)).sum(1).min() > 0.99
    assert quick.facts.least_cosine >= 0.99
    assert quick.encode([]).shape == (0, quick.dim)
    names = {load_tower(reference, modality="text").fingerprint, exact.fingerprint}
    assert len({*names, quick.fingerprint}) == 3
    assert quick.space_id == quick.fingerprint


def test_torch_is_the_default_by_name_too(reference):
    named = load_tower(f"{reference}?runtime=torch", modality="text")
    assert named.fingerprint == load_tower(reference, modality="text").fingerprint
    assert named.trainable


def test_it_is_made_once_and_again_where_it_is_damaged(reference, monkeypatch):
    asked = f"{reference}?runtime=onnx"
    first = load_tower(asked, modality="text").encode(["dog"])
    calls, fill = [], making.fill
    monkeypatch.setattr(making, "fill", lambda *a, **k: calls.append(1) or fill(*a, **k))
    load_tower(asked, modality="text")
    assert not calls
    (graph,) = graphs()
    graph.write_bytes(graph.read_bytes()[:100])
    np.testing.assert_array_equal(load_tower(asked, modality="text").encode(["dog"]), first)
    assert len(calls) == 1


def test_other_weights_in_the_same_place_have_another_graph(reference):
    before = load_tower(f"{reference}?runtime=onnx", modality="text")
    folder = Path(reference.partition(":")[2])
    other = small_bert.save(folder.parent / "other", width=64, seed=5).partition("?")[0]
    (folder / "model.safetensors").write_bytes(
        (Path(other.partition(":")[2]) / "model.safetensors").read_bytes()
    )
    after = load_tower(f"{reference}?runtime=onnx", modality="text")
    assert after.fingerprint != before.fingerprint
    assert len(graphs()) == 2


def test_a_prefix_is_read_as_torch_reads_it(reference):
    plain, front = "dog", "?prefix=red "
    wanted = load_tower(reference + front, modality="text").encode([plain])
    found = load_tower(f"{reference}{front}&runtime=onnx-float32", modality="text").encode([plain])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_graph_below_the_stated_cosine_is_refused(reference, monkeypatch):
    monkeypatch.setattr(making, "LEAST_COSINE", {"int8": 1.1, "float32": 0.999})
    with pytest.raises(errors.ConfigError, match=r"cosine of only .* at least 1\.1") as caught:
        load_tower(f"{reference}?runtime=onnx", modality="text")
    assert "runtime=onnx-float32" in caught.value.hint
    assert graphs() == []
    load_tower(f"{reference}?runtime=onnx-float32", modality="text")


@pytest.mark.parametrize("absent", ["onnxruntime", "onnx"])
def test_a_missing_package_names_the_install_line(reference, monkeypatch, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(errors.MissingExtraError, match=r"polyglance\[onnx\]"):
        load_tower(f"{reference}?runtime=onnx", modality="text")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("runtime=onx", "unknown runtime"),
        ("runtime=onnx&device=cuda", "device=cuda beside runtime=onnx"),
        ("runtime=onnx&pooling=mean", "option of sentence"),
    ],
)
def test_what_cannot_be_is_refused(reference, options, said):
    with pytest.raises(errors.PolyglanceError, match=said):
        load_tower(f"{reference}?{options}", modality="text")


def test_a_library_without_graphs_has_no_such_option(reference):
    with pytest.raises(errors.ConfigError, match="names a runtime"):
        load_tower("tiny:pictograms-ranking?runtime=onnx", modality="text")


TORCH_FREE = """
import sys
from polyglance.towers import load_tower
tower = load_tower(sys.argv[1], modality="text")
vectors = tower.encode(["dog", "red cat"])
assert "torch" not in sys.modules and "transformers" not in sys.modules
print(float(vectors[0, 0]))
"""


def test_once_made_it_is_loaded_without_torch(reference):
    asked = f"{reference}?runtime=onnx"
    wanted = load_tower(asked, modality="text").encode(["dog"])
    out = subprocess.run(
        [sys.executable, "-c", TORCH_FREE, asked], capture_output=True, text=True, check=True
    )
    assert float(out.stdout) == pytest.approx(float(wanted[0, 0]), abs=1e-6)


def test_two_processes_at_once_make_one_graph(reference):
    command = [sys.executable, "-c", TORCH_FREE.replace("assert", "0 and"), reference]
    command[-1] += "?runtime=onnx"
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert said[0] == said[1] != ""
    assert len(graphs()) == 1
    assert json.loads((graphs()[0].parent / "made.json").read_text())["precision"] == "int8"
