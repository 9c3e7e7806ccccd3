"""Paired tests of two models on the same queries, in each language and over all.

Legend: M content items, D width, Q queries, L languages, B draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from polyglance import errors, progress
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.encoders import Encoder
from polyglance.evaluation.per_query import Correct, all_members, ask
from polyglance.evaluation.retrieval import KS
from polyglance.metrics import bootstrap, significance
from polyglance.metrics.bootstrap import DEFAULT_DRAWS, BootstrapMeans, PairedDifference
from polyglance.results.schema import Direction
from polyglance.tasks import TaskData
from polyglance.vectors import Vectors

Correction = Literal["holm", "benjamini-hochberg"]

CORRECTIONS: Mapping[Correction, Callable[[Mapping[str, float]], dict[str, float]]] = (
    MappingProxyType(
        {"holm": significance.holm, "benjamini-hochberg": significance.benjamini_hochberg}
    )
)


# The least p-value of B drawn signs is 1 / (B + 1), and corrections multiply it by up to the number
# of languages: with 1,000 draws no language of 201 could ever differ.
DRAWS_PER_LANGUAGE = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Contestant:
    """A model and what its texts are compared with.

    Attributes:
        encoder: Gives text vectors in the space of `contents`.
        contents: By language, float32 (M, D), unit, in the order of the task's content ids. The
            two models of a pair may have spaces and widths of their own. None where the task has
            texts alone.
    """

    encoder: Encoder
    contents: Callable[[str], Vectors] | None


@dataclass(frozen=True, kw_only=True)
class LanguageDifference:
    """How much the first model is above the second in one language.

    Attributes:
        first: Share that the first model gets right.
        second: Share that the second model gets right.
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
        value: What is compared: `hit_rate_at_10`, or `accuracy`.
        correction: Of the p-values of the languages.
        languages: By language.
        macro: Mean over the languages, each counted once; all over the same content items, so that
            what is hard for every language at once does not average out.
    """

    task: str
    split: str
    direction: Direction
    value: str
    correction: Correction
    languages: Mapping[str, LanguageDifference]
    macro: PairedDifference


def compare_models(
    first: Contestant,
    second: Contestant,
    *,
    data: TaskData,
    languages: Sequence[str],
    k: int = 10,
    correction: Correction = "holm",
    cache: VectorCache | None = None,
    seed: int = 0,
    num_draws: int | None = None,
) -> list[Pairing]:
    """Score both models on the same queries, and say where they differ by more than chance.

    Args:
        first: The model in question.
        second: The model that it is compared with.
        data: The task, the same for both.
        languages: Which of its languages.
        k: Of retrieval, one of `KS`.
        correction: How the p-values are corrected for many languages.
        cache: Keeps what towers gave.
        seed: Of the draws.
        num_draws: B; None takes as many as the correction needs to find anything.

    Returns:
        One for each split and direction.

    Raises:
        ConfigError: For another k or correction, no language, or a task whose items are not right
            or wrong.
        UnavailableError: Where nothing can be asked in any of the languages.
        VectorError: Where texts and contents of a model differ in width.
    """
    _check(languages, k=k, correction=correction)
    # By split and direction, then by language.
    pairs: dict[tuple[str, Direction], dict[str, tuple[Correct, Correct]]] = {}
    with progress.bar("comparing", total=len(languages)) as advance:
        for language in languages:
            both = zip(
                *(
                    ask(
                        model.encoder,
                        data,
                        language=language,
                        contents=None if model.contents is None else model.contents(language),
                        cache=cache,
                        k=k,
                    )
                    for model in (first, second)
                ),
                strict=True,
            )
            for a, b in both:
                pairs.setdefault((a.split, a.direction), {})[language] = (a, b)
            advance(1)
    if not pairs:
        raise errors.UnavailableError(
            f"{data.task} asks nothing in {', '.join(languages)}: no image at hand is of a "
            "class that is named there",
            hint="choose other languages, or give more images",
        )
    return [
        _pairing(
            data.task,
            parts,
            correction=correction,
            seed=seed,
            num_draws=num_draws or max(DEFAULT_DRAWS, DRAWS_PER_LANGUAGE * len(languages)),
        )
        for parts in pairs.values()
    ]


def _pairing(
    task: str,
    parts: Mapping[str, tuple[Correct, Correct]],
    *,
    correction: Correction,
    seed: int,
    num_draws: int,
) -> Pairing:
    members = all_members([a for a, _ in parts.values()])
    drawn = _draw(
        [(a, a.values - b.values) for a, b in parts.values()],
        members=members,
        seed=seed,
        num_draws=num_draws,
    )
    found = dict(zip(parts, drawn.differences(), strict=True))
    corrected = CORRECTIONS[correction]({name: pair.p_value for name, pair in found.items()})
    some, _ = next(iter(parts.values()))
    return Pairing(
        task=task,
        split=some.split,
        direction=some.direction,
        value=some.value,
        correction=correction,
        languages={
            language: LanguageDifference(
                first=float(a.values.mean()),
                second=float(b.values.mean()),
                difference=found[language],
                corrected_p_value=corrected[language],
                num_queries=len(a.values),
            )
            for language, (a, b) in parts.items()
        },
        macro=drawn.over(range(len(parts))).differences()[0],
    )


def _draw(
    values: Sequence[tuple[Correct, NDArray[np.float64]]],
    *,
    members: NDArray[np.int64],
    seed: int,
    num_draws: int,
) -> BootstrapMeans:
    """Means of each language's (Q,) values, all over the same content items."""
    sums, counts = [], []
    size = int(members.max()) + 1
    for part, differences in values:
        sums.append(np.bincount(part.clusters, differences, minlength=size)[members])
        counts.append(np.bincount(part.clusters, minlength=size)[members])
    return bootstrap.bootstrap_totals(
        np.stack(sums, axis=1),
        np.stack(counts, axis=1).astype(np.float64),
        seed=seed,
        num_draws=num_draws,
    )


def require_k(k: int) -> None:
    """Refuse a rank that no hits are counted to.

    Raises:
        ConfigError: It is none of `KS`.
    """
    if k not in KS:
        raise errors.ConfigError(
            f"k is {k}; it is one of {', '.join(map(str, KS))}", hint="take one of those"
        )


def _check(languages: Sequence[str], *, k: int, correction: str) -> None:
    require_k(k)
    if correction not in CORRECTIONS:
        raise errors.unknown_name("correction", correction, allowed=get_args(Correction))
    if not languages:
        raise errors.ConfigError(
            "no language to compare in", hint="name some that the task has: --language"
        )
