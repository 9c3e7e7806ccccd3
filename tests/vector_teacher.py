"""A private CLIP: the small world's model, of which only vectors are at hand."""

import json

import numpy as np

import small_world

SPACE = "private"


def write(folder, *, texts=small_world.PHRASES):
    """Vectors of all pictures and of some English texts, with their ids; the model's reference."""
    model = small_world.fit_teacher()
    names = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]
    drawn = [small_world.draw(phrase, seed=99) for phrase in small_world.PHRASES]
    side(folder / "image", names, model.encode_items(drawn))
    side(folder / "text", list(texts), 7 * model.encode_texts(texts, languages=None))
    return f"precomputed:{folder}?space={SPACE}"


def side(folder, ids, vectors):
    """One side: `vectors.npy` and `ids.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "vectors.npy", vectors)
    (folder / "ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")


def manifest(pack):
    """What a pack says of itself."""
    return json.loads((pack / "pack.json").read_text("utf-8"))
