"""Building of a table's vector index: when it pays, with its recall measured and noted.

Legend: S sampled queries, M rows, D width, K answers.

An index is built when it pays, from `LEAST_ROWS` on. Rows that come later are all compared until
they are many; then a part of their own is added to the index, and when a fifth of the table is new
the partitions are chosen anew. After each step the index looks into as many partitions as are
needed to find `WANTED_RECALL` of what a full comparison finds, for images and for texts alike.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np

from polyglance.storage.ann_index import (
    FACTS_KEY,
    INDEX_NAME,
    IndexFacts,
    Nearest,
    Rows,
    best_of,
    facts_of,
)
from polyglance.storage.store import Store
from polyglance.vectors import Vectors

# A query of 100,000 x 512 took 13-26 ms by comparing all and 3.3-4.1 ms through the index (two busy
# cores), which took 43 s to build; at 25,000 it was 10-20 ms, which nobody waits for.
LEAST_ROWS = 100_000
# More rows than this outside the index, and as a share of all, and it is extended; 5,000 add 5 ms
# to a query.
LEAST_NEW_ROWS = 5_000
EXTENDED_SHARE = 0.02
RETRAINED_SHARE = 0.2
NUM_BITS = 5
NUM_MEASURED = 500
TOP = 10
# Measured on a sample, of which the least number of probes is taken that suffices: other queries
# find up to three thousandths less. Aimed that much higher than the 0.99 that is promised.
WANTED_RECALL = 0.994
LEAST_PROBES = 16
# The number of probes is sought up to this factor.
PRECISION = 1.05


def build_if_it_pays(
    store: Store, *, encode: Callable[[list[str]], Vectors] | None = None
) -> IndexFacts | None:
    """Build or extend the index of a store, where that pays.

    Args:
        store: Unit vectors.
        encode: The text side that asks: English texts to float32 (N, D), unit. Called only where
            something is built; None where there is none at hand.

    Returns:
        What was built and measured; None where nothing had to be done.

    Raises:
        StoreError: Another process is writing.
        DiskFullError: No room; the store is searched as before.
    """
    if len(store) < LEAST_ROWS:
        return None
    if facts_of(store.table) is not None:
        num_new = store.table.stats.index_stats(INDEX_NAME)["num_unindexed_rows"]
        if num_new <= max(LEAST_NEW_ROWS, EXTENDED_SHARE * len(store)):
            return None
    return build(store, texts=None if encode is None else encode(query_texts()))


def query_texts() -> list[str]:
    """Plain English like what people ask, to measure with where no real queries are at hand.

    >>> texts = query_texts()
    >>> len(texts), texts[0], texts[-1]
    (200, 'dog', 'an old photo of a street at night')
    """
    things = ["dog", "cat", "child", "woman", "hat", "red car", "bicycle", "boat", "cake", "street"]
    forms = (
        "{}|two of {}|a {} on the beach|a {} in the snow|a {} in front of a house|{} in the rain|"
        "a {} on the grass|close-up of a {}|a {} with many people|a {} from far away|"
        "black and white {}|{} and a tree|a {} near the water|a {} on a table|a funny {}|"
        "somebody takes a photo of a {}|a {} in the mountains|{} seen through a window|"
        "a small {} at a party|an old photo of a {} at night"
    )
    return [form.format(thing) for form in forms.split("|") for thing in things]


def build(store: Store, *, texts: Vectors | None = None) -> IndexFacts:
    """Build the index of a store, or add to it what it lacks; measure it, and note what was found.

    Args:
        store: Unit vectors, at least one row a partition.
        texts: Float32 (S, D), unit: texts as queries, to measure with.

    Raises:
        StoreError, DiskFullError: As for `build_if_it_pays`.
    """
    started = time.perf_counter()
    with store.writing():
        table = store.table
        known = facts_of(table)
        partitions = num_partitions(len(store))
        if known is None or len(store) - known.num_trained > RETRAINED_SHARE * known.num_trained:
            known = None
            table.create_index(
                "vector",
                # Widths that the quantiser does not take are rare: the partitions alone do.
                "IVF_FLAT" if store.facts.dim % 8 else "IVF_RQ",
                name=INDEX_NAME,
                metric="cosine",
                num_partitions=partitions,
                replace=True,
                **({} if store.facts.dim % 8 else {"num_bits": NUM_BITS}),
            )
        else:
            # A part of its own: merging would let Lance join partitions as it sees fit.
            table.optimize.optimize_indices(index_names=[INDEX_NAME], num_indices_to_merge=0)
        facts = _measured(
            store,
            IndexFacts(
                space_id=store.facts.space_id,
                num_trained=len(store) if known is None else known.num_trained,
                num_partitions=partitions if known is None else known.num_partitions,
                num_probes=LEAST_PROBES,
                num_rows=len(store),
                recall_rows=0.0,
                recall_texts=None,
                seconds=0.0,
            ),
            texts=texts,
        )
        facts = replace(facts, seconds=round(time.perf_counter() - started, 1))
        # Last: a table whose index nobody measured is searched without it.
        table.update_config({FACTS_KEY: json.dumps(asdict(facts))})
        store.refresh()
    return facts


def num_partitions(num_rows: int) -> int:
    """The power of two next to the square root of the rows.

    >>> num_partitions(100_000), num_partitions(1_000_000)
    (256, 1024)
    """
    return int(2 ** round(np.log2(max(num_rows, 1)) / 2))


def exact_nearest(store: Store, queries: Vectors, *, top: int) -> Rows:
    """The nearest rows by comparing all, in memory for a few blocks; of equal scores the earlier.

    Args:
        store: M rows.
        queries: Float32 (S, D), unit.
        top: K, at most M.

    Returns:
        Int64 (S, K), positions in the order of `Store.ids`, best first.
    """
    best_scores = np.empty((len(queries), 0), np.float32)  # (S, K)
    best_rows = np.empty((len(queries), 0), np.int64)
    start = 0
    for ids, vectors in store.blocks():
        scores = queries @ vectors.T  # (S, B)
        kept = np.stack([best_of(each, top=top) for each in scores])  # (S, K)
        both = np.hstack([best_scores, np.take_along_axis(scores, kept, axis=1)])  # (S, 2K)
        order = np.argsort(-both, axis=1, kind="stable")[:, :top]  # earlier rows stand first
        best_rows = np.take_along_axis(np.hstack([best_rows, kept + start]), order, axis=1)
        best_scores = np.take_along_axis(both, order, axis=1)
        start += len(ids)
    return best_rows


def recall(
    index: Nearest, queries: Vectors, *, truth: Rows, beside: int = 0, num_probes: int | None = None
) -> float:
    """Which share of the true nearest the index finds.

    Args:
        index: What is measured.
        queries: Float32 (S, D), unit.
        truth: Int64 (S, K).
        beside: Answers beyond K that do not count: 1 for queries that find themselves.
        num_probes: Partitions to look into; None for as many as a search does.
    """
    found = index.search(queries, top=truth.shape[1] + beside, num_probes=num_probes)
    hits = [len(np.intersect1d(one.rows, right)) for one, right in zip(found, truth, strict=True)]
    return float(np.sum(hits) / truth.size)


def _measured(store: Store, facts: IndexFacts, *, texts: Vectors | None) -> IndexFacts:
    """The facts with as many probes as are needed, and the recall they give."""
    ids = store.ids()
    top = min(TOP, len(ids) - 1)
    own = np.sort(np.random.default_rng(0).permutation(len(ids))[:NUM_MEASURED])  # (S,)
    rows = store.vectors([ids[row] for row in own])
    texts = np.empty((0, store.facts.dim), np.float32) if texts is None else texts[:NUM_MEASURED]
    near = exact_nearest(store, np.concatenate([rows, texts]), top=top + 1)
    others = [each[each != row][:top] for each, row in zip(near, own, strict=False)]
    index = Nearest(store.table, facts=facts)

    def with_probes(probes: int) -> IndexFacts:
        of_rows = recall(index, rows, truth=np.stack(others), beside=1, num_probes=probes)
        of_texts = None
        if len(texts):
            of_texts = recall(index, texts, truth=near[len(own) :, :top], num_probes=probes)
        return replace(facts, num_probes=probes, recall_rows=of_rows, recall_texts=of_texts)

    too_few = min(LEAST_PROBES, facts.num_partitions)
    found = with_probes(too_few)
    if _reaches(found):
        return found
    enough = facts.num_partitions
    found = with_probes(enough)
    while enough > max(too_few * PRECISION, too_few + 1) and _reaches(found):
        middle = round((too_few * enough) ** 0.5)
        tried = with_probes(middle)
        if _reaches(tried):
            enough, found = middle, tried
        else:
            too_few = middle
    return found


def _reaches(facts: IndexFacts) -> bool:
    """Whether the recall is what is wanted, for rows and for texts."""
    measured = (facts.recall_rows, facts.recall_texts)
    return min(one for one in measured if one is not None) >= WANTED_RECALL
