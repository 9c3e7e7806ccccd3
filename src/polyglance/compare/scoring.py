"""Scores in groups of languages: hits as one table, and bootstrap draws over images.

Legend: M content items, L languages, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.evaluation import retrieval
from polyglance.languages import registry
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import bootstrap
from polyglance.recipes.data.dev_sets import in_fixed_order
from polyglance.tasks.retrieval import RetrievalData

HIT_RATE_COLUMN = retrieval.KS.index(10)
# A fifth of the items chooses what to take; the others say how good that is.
CHOSEN_ON = "chosen-on"
DEV_ONE_IN = 5
LEAST_ITEMS = 4 * DEV_ONE_IN


def with_dev_split(data: RetrievalData) -> RetrievalData:
    """The task with a fixed fifth of its first split apart, by a hash of the ids.

    Every item stays a candidate, so that no score becomes easier.

    Raises:
        ConfigError: For a task too small to be cut.
    """
    main, members = next(iter(data.splits.items()))
    ids = [one for one, there in zip(data.item_ids, members.tolist(), strict=True) if there]
    if len(ids) < LEAST_ITEMS:
        raise errors.ConfigError(
            f"{data.task} has {len(ids)} items; a fifth of them chooses what to take, the others "
            f"say how good it is, which takes {LEAST_ITEMS} or more",
            hint="take a larger task: polyglance eval --list",
        )
    chosen = set(in_fixed_order(ids)[: len(ids) // DEV_ONE_IN])
    dev = np.array([one in chosen for one in data.item_ids], bool)
    return replace(data, splits={**data.splits, main: members & ~dev, CHOSEN_ON: members & dev})


@dataclass(frozen=True, kw_only=True)
class Score:
    """Hit rate at 10 with its 95 % interval, images drawn whole, seeds averaged."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """Hits of one split, seeds averaged, ready to be drawn.

    Attributes:
        languages: L of them.
        values: Float64 (rows, L), a row a content and caption number.
        present: Bool (rows, L).
        clusters: Int64 (rows,), the content of each row.
        by_seed: Float64 (S, L), means.
    """

    languages: tuple[str, ...]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    by_seed: NDArray[np.float64]

    def drawn(self) -> bootstrap.BootstrapMeans:
        """Means and drawn means by language; all languages share their draws."""
        return bootstrap.bootstrap_means(
            self.values, clusters=self.clusters, present=self.present, seed=0
        )

    def columns(self, members: Sequence[str]) -> NDArray[np.int64]:
        """The places of some registry."""
        return np.array([self.languages.index(name) for name in members], np.int64)


def stacked(parts: Mapping[tuple[str, str], Sequence[retrieval.Part]], split: str) -> Hits:
    """One table of a split's hits: a row for the j-th text of a content, a column a language.

    Args:
        parts: By split and language, the text-to-content part of each seed.
        split: Which split.
    """
    found = {language: each for (s, language), each in parts.items() if s == split}
    members = next(iter(found.values()))[0].members
    most = max(int(np.bincount(each[0].clusters).max()) for each in found.values())
    place = {int(content): row for row, content in enumerate(members)}
    values = np.zeros((len(members) * most, len(found)))
    present = np.zeros(values.shape, bool)
    for column, each in enumerate(found.values()):
        seen: dict[int, int] = {}
        rows = []
        for content in each[0].clusters.tolist():
            seen[content] = seen.get(content, -1) + 1
            rows.append(place[content] * most + seen[content])
        values[rows, column] = np.mean([part.hits[:, HIT_RATE_COLUMN] for part in each], axis=0)
        present[rows, column] = True
    by_seed = np.array(
        [[part.hits[:, HIT_RATE_COLUMN].mean() for part in each] for each in found.values()]
    ).T
    clusters = np.repeat(np.arange(len(members)), most)
    return Hits(
        languages=tuple(found), values=values, present=present, clusters=clusters, by_seed=by_seed
    )


def groups_of(names: Sequence[str]) -> dict[str, list[str]]:
    """English, the others, and the others by script where two or more share one."""
    others = [name for name in names if name != ENGLISH]
    found = {"English": [name for name in names if name == ENGLISH], "others": others}
    by_script: dict[str, list[str]] = {}
    for name in others:
        by_script.setdefault(registry.get_language(name).script, []).append(name)
    found |= {script: members for script, members in by_script.items() if len(members) > 1}
    return {name: members for name, members in found.items() if members}


def score_of(drawn: bootstrap.BootstrapMeans, columns: NDArray[np.int64]) -> Score:
    """The mean over some languages, drawn together."""
    interval = drawn.over(columns).intervals()[0]
    return Score(mean=interval.mean, low=interval.low, high=interval.high)


def difference(first: Hits, second: Hits) -> Score:
    """How much the first is above the second in the languages but English that both have."""
    shared = [one for one in first.languages if one != ENGLISH and one in second.languages]
    mine, theirs = (hits.drawn().over(hits.columns(shared)) for hits in (first, second))
    interval = mine.less(theirs).differences()[0].difference
    return Score(mean=interval.mean, low=interval.low, high=interval.high)
