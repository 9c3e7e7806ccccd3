"""Small stores of unit vectors for the tests of the vector index."""

import numpy as np

from polyglance.storage.identity import StoreFacts
from polyglance.storage.store import Store
from polyglance.vectors import unit

DIM = 32


def vectors(count, *, seed=0):
    """Unit vectors, loosely clustered, (count, DIM)."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((40, DIM))
    noise = rng.standard_normal((count, DIM))
    return unit((centres[rng.integers(0, 40, count)] + 2.0 * noise).astype(np.float32))


def make(path, count):
    """A store with the column `size`, ids `i0`, `i1`, ..."""
    import pyarrow as pa

    facts = StoreFacts(modality="image", dim=DIM, fingerprint="made", space_id="made-space")
    store = Store.create(path, facts, extra_columns={"size": pa.int64()})
    add(store, 0, count)
    return store


def add(store, start, count, *, rows=None):
    """Append rows `start` and following."""
    ids = [f"i{number}" for number in range(start, start + count)]
    rows = vectors(count, seed=start) if rows is None else rows
    extra = {"size": list(range(start, start + count))}
    store.append(ids, [f"k{identity}" for identity in ids], vectors=rows, extra=extra)


def naive(store, query, *, top, allowed=None):
    """Ids of the nearest rows by a full sort; of equal scores the earlier row."""
    scores = store.vectors() @ query
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    ids = store.ids()
    return [ids[row] for row in order if allowed is None or allowed(row)][:top]
