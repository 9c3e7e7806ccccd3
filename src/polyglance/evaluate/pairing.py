"""How do two models differ on the same queries of a task, in each language and over all?

Legend: M content items, D width, Q queries, L languages, B draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from polyglance import comparisons, errors, progress, statistics
from polyglance.affine import Vectors
from polyglance.embed import VectorCache
from polyglance.evaluate import retrieval
from polyglance.evaluate.encoders import Encoder
from polyglance.evaluate.retrieval import KS, Part
from polyglance.results import Direction
from polyglance.statistics import DEFAULT_DRAWS, BootstrapMeans, PairedDifference
from polyglance.tasks.retrieval import RetrievalData

Correction = Literal["holm", "benjamini-hochberg"]

CORRECTIONS: Mapping[Correction, Callable[[Mapping[str, float]], dict[str, float]]] = (
    MappingProxyType(
        {"holm": comparisons.holm, "benjamini-hochberg": comparisons.benjamini_hochberg}
    )
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contestant:
    """A model and what its texts are compared with.

    Attributes:
        encoder: Gives text vectors in the space of `contents`.
        contents: By language, float32 (M, D), unit, in the order of the task's content ids. The
            two models of a pair may have spaces and widths of their own.
    """

    encoder: Encoder
    contents: Callable[[str], Vectors]


@dataclass(frozen=True, kw_only=True)
class LanguageDifference:
    """How much the first model is above the second in one language.

    Attributes:
        first: Hit rate of the first model.
        second: Hit rate of the second model.
        difference: First less second, with its interval and p-value.
        corrected_p_value: After the correction over the languages.
        num_queries: Q.
    """

    first: float
    second: float
    difference: PairedDifference
    corrected_p_value: float
    num_queries: int


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """How much the first model is above the second, in one split and direction.

    Attributes:
        task: Name of the task.
        split: Name of the split.
        direction: Which side asks.
        k: A hit is a right candidate among the first k.
        correction: Of the p-values of the languages.
        languages: By language.
        macro: Mean over the languages, each counted once; all under the same draws of content
            items, so that what is hard for every language at once does not average out.
    """

    task: str
    split: str
    direction: Direction
    k: int
    correction: Correction
    languages: Mapping[str, LanguageDifference]
    macro: PairedDifference


def compare_models(
    first: Contestant,
    second: Contestant,
    *,
    data: RetrievalData,
    languages: Sequence[str],
    k: int = 10,
    correction: Correction = "holm",
    cache: VectorCache | None = None,
    seed: int = 0,
    num_draws: int = DEFAULT_DRAWS,
) -> list[Pairing]:
    """Score both models on the same queries, and say where they differ by more than chance.

    Args:
        first: The model in question.
        second: What it is held against.
        data: The task, the same for both.
        languages: Which of its languages.
        k: One of `KS`.
        correction: How the p-values of many languages are made honest.
        cache: Keeps what towers gave.
        seed: Of the draws.
        num_draws: B.

    Returns:
        One for each split and direction.

    Raises:
        ConfigError: For another k or correction, or no language.
        VectorError: Where texts and contents of a model differ in width.
    """
    _check(languages, k=k, correction=correction)
    # By split and direction, then by language.
    pairs: dict[tuple[str, Direction], dict[str, tuple[Part, Part]]] = {}
    with progress.bar("comparing", total=len(languages)) as advance:
        for language in languages:
            both = zip(
                *(
                    retrieval.score_language(
                        model.encoder,
                        data,
                        language=language,
                        contents=model.contents(language),
                        cache=cache,
                    )
                    for model in (first, second)
                ),
                strict=True,
            )
            for a, b in both:
                pairs.setdefault((a.split, a.direction), {})[language] = (a, b)
            advance(1)
    return [
        _pairing(
            data.task,
            parts,
            k=k,
            correction=correction,
            seed=seed,
            num_draws=num_draws,
        )
        for parts in pairs.values()
    ]


def _pairing(
    task: str,
    parts: Mapping[str, tuple[Part, Part]],
    *,
    k: int,
    correction: Correction,
    seed: int,
    num_draws: int,
) -> Pairing:
    drawn = {
        language: _draw(a, _hits(a, k) - _hits(b, k), seed=seed, num_draws=num_draws)
        for language, (a, b) in parts.items()
    }
    found = {
        language: PairedDifference(
            difference=means.intervals()[0], p_value=statistics.p_value_of(means.draws[:, 0])
        )
        for language, means in drawn.items()
    }
    corrected = CORRECTIONS[correction]({name: pair.p_value for name, pair in found.items()})
    some, _ = next(iter(parts.values()))
    return Pairing(
        task=task,
        split=some.split,
        direction=some.direction,
        k=k,
        correction=correction,
        languages={
            language: LanguageDifference(
                first=float(_hits(a, k).mean()),
                second=float(_hits(b, k).mean()),
                difference=found[language],
                corrected_p_value=corrected[language],
                num_queries=len(a.hits),
            )
            for language, (a, b) in parts.items()
        },
        macro=_macro(list(drawn.values()), num_clusters=len(some.members)),
    )


def _draw(part: Part, values: NDArray[np.float64], *, seed: int, num_draws: int) -> BootstrapMeans:
    """Drawn means of (Q,) values over all content items of the split, asking or not.

    Items that have no text in this language take part as rows that do not count: so all languages
    have the same draws.
    """
    absent = np.setdiff1d(part.members, part.clusters)
    return statistics.bootstrap_means(
        np.concatenate([values, np.zeros(len(absent))])[:, None],
        clusters=np.concatenate([part.clusters, absent]),
        present=np.arange(len(values) + len(absent))[:, None] < len(values),
        seed=seed,
        num_draws=num_draws,
    )


def _macro(drawn: Sequence[BootstrapMeans], *, num_clusters: int) -> PairedDifference:
    draws = np.nanmean(np.concatenate([means.draws for means in drawn], axis=1), axis=1)  # (B,)
    return PairedDifference(
        difference=statistics.interval_of(
            draws,
            mean=float(np.mean([means.means[0] for means in drawn])),
            num_clusters=num_clusters,
        ),
        p_value=statistics.p_value_of(draws),
    )


def _hits(part: Part, k: int) -> NDArray[np.float64]:
    return np.asarray(part.hits[:, KS.index(k)])


def _check(languages: Sequence[str], *, k: int, correction: str) -> None:
    if k not in KS:
        raise errors.ConfigError(f"k is {k}; it is one of {KS}", hint="take one of those")
    if correction not in CORRECTIONS:
        raise errors.unknown_name("correction", correction, allowed=get_args(Correction))
    if not languages:
        raise errors.ConfigError(
            "no language to compare in", hint="name some that the task has: --language"
        )
