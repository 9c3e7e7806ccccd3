"""Packs of small checkpoints with heads drawn at random, so that a mistake is visible."""

import numpy as np

from polyglance.heads import affine
from polyglance.model.manifest import LanguageScore, PackManifest
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.towers import load_tower
from polyglance.vectors import unit

DIM = 12
GERMAN, HINDI = "deu_Latn", "hin_Deva"
SCORES = {
    GERMAN: LanguageScore(pack=0.5, teacher=0.125, speaks="pack"),
    HINDI: LanguageScore(pack=0.25, teacher=0.0, speaks="pack"),
}


def affine_map(dim_in, dim_out=DIM, *, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((dim_out, dim_in)).astype(np.float32)
    return affine.AffineMap(weight, rng.standard_normal(dim_out).astype(np.float32))


def chain(dim_in, *, normed):
    """Two layers with a ReLU between, perhaps behind a layer norm."""
    hidden, rng = 2 * dim_in, np.random.default_rng(4)
    draw = [rng.standard_normal(hidden).astype(np.float32) for _ in range(2)]
    norms = (affine.Norm(*draw),) if normed else None
    return affine.Chain((affine_map(dim_in, hidden, seed=1), affine_map(hidden, seed=2)), norms)


def pack_of(reference, *, tower=None, head=..., **settings):
    """A pack of a tower, by default with a linear head on unit vectors.

    Settings are the side's (`head_input`, `output`) and the manifest's (all others).
    """
    tower = tower or load_tower(reference, modality="text")
    side_settings = {n: settings.pop(n) for n in ("head_input", "output") if n in settings}
    width = tower.dim
    if side_settings.get("output") == "pre_projection":
        width = tower.pre_projection_dim
    head = affine_map(width) if head is ... else head
    parts = {n: settings.pop(n) for n in ("content_head", "content_side") if n in settings}
    side = Side(tower, reference, head, **side_settings)
    facts = {
        "recipe": "ridge",
        "space_id": "a-space",
        "teacher": "hf:owner/teacher",
        "tower": reference,
        "tower_fingerprint": tower.fingerprint,
        "head_input": side.head_input,
        "languages": SCORES,
    }
    manifest = PackManifest(**{**facts, **settings})
    return LanguagePack(manifest, side, np.zeros((8, side.dim), np.float32), **parts)


def vectors(pack, texts, *, language="eng_Latn"):
    """What the pack itself says: unit vectors."""
    raw = pack.side.tower.encode(texts, languages=[language] * len(texts), output=pack.side.output)
    return unit(pack.side.through_head(raw))
