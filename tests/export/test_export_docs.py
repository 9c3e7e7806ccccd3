"""Every snippet of docs/export.md runs, in its order."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from export_packs import SCORES, affine_map
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.manifest import PackManifest
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.towers import load_tower

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
SNIPPET = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)


@pytest.mark.slow
def test_snippets_run(bert_reference, run, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript", reason="extra `onnx` is not installed")
    pytest.importorskip("sentence_transformers", reason="extra `sentence` is not installed")
    monkeypatch.chdir(tmp_path)
    tower = load_tower(bert_reference, modality="text")
    image = Side(load_tower("tiny:pictograms-image", modality="image"), "tiny:pictograms-image")
    side = Side(tower, bert_reference, affine_map(48, 384))
    DualEncoder(image, side, "model").save(tmp_path / "model")
    manifest = PackManifest(
        recipe="ridge",
        space_id=image.space_id,
        teacher="model",
        tower=bert_reference,
        tower_fingerprint=tower.fingerprint,
        languages=SCORES,
    )
    LanguagePack(manifest, side, np.zeros((8, 384), np.float32)).save(tmp_path / "pack")
    snippets = SNIPPET.findall(DOCS.read_text(encoding="utf-8"))
    assert [kind for kind, _ in snippets] == ["bash", "python"] * 4
    for kind, text in snippets:
        if kind == "python":
            exec(compile(text, str(DOCS), "exec"), {})
            continue
        program, *argv = shlex.split(text)
        assert program == "polyglance"
        code, _, said = run(*argv)
        assert code == 0, said
