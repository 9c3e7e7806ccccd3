"""Sections and views made of results, grouped by what may be set side by side, and checked.

Two things under one name are refused: models, texts, or numbers that differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from polyglance import errors
from polyglance.report import tables, wording
from polyglance.report.tables import (
    DIRECTION_ORDER,
    ENGLISH,
    SPLIT_ORDER,
    VALUE_ORDER,
    Dropped,
    Figure,
    Repeated,
    Section,
    View,
    ViewKey,
)
from polyglance.results.schema import Result


def build_sections(
    results: Iterable[Result], *, model_order: Sequence[str], baseline: str
) -> list[Section]:
    """Sort results into what may be set side by side.

    Args:
        results: Any number of tasks, splits, languages, directions and models; equal ones count
            once.
        model_order: Every model of the results.
        baseline: The one the others are compared with, one of `model_order`.

    Returns:
        Sections in the order of their first result.

    Raises:
        ResultError: For no results at all, a model without any, two results of one model where
            there can be one, or results of other texts or content items under one language.
        UnknownNameError: For a baseline or a model that `model_order` does not name.
    """
    rows = list(results)
    _check_models(rows, model_order=model_order, baseline=baseline)
    grouped: dict[tuple[str, str, str], list[Result]] = {}
    for row in rows:
        grouped.setdefault((row.task, row.metric, row.caption_policy), []).append(row)
    return [_section(members, model_order=model_order) for members in grouped.values()]


def _check_models(rows: Sequence[Result], *, model_order: Sequence[str], baseline: str) -> None:
    if not rows:
        raise errors.ResultError(
            "no results were given; a report needs one at least",
            hint="run polyglance eval MODEL --task TASK --out FILE first",
        )
    found = {row.called for row in rows}
    for model in sorted(found - set(model_order)):
        raise errors.unknown_name("model among the results", model, allowed=model_order)
    if baseline not in model_order:
        raise errors.unknown_name("baseline", baseline, allowed=model_order)
    for model in model_order:
        if model not in found:
            raise errors.ResultError(
                f"no results of {model!r}; there are results of {', '.join(sorted(found))}",
                hint="measure that model, or leave it out of the report",
            )


def _section(rows: Sequence[Result], *, model_order: Sequence[str]) -> Section:
    """A section of rows that share task, metric and caption policy."""
    model_ids, data_ids = _model_ids(rows), _data_ids(rows)
    by_key: dict[ViewKey, list[Result]] = {}
    for row in _one_each(rows):
        for name in row.values:
            by_key.setdefault(tables.view_key(row, name), []).append(row)
    views = [
        view
        for key in sorted(by_key, key=lambda key: _view_rank(key, metric=rows[0].metric))
        if (view := _view(by_key[key], key=key, model_order=model_order)) is not None
    ]
    if not views:
        raise errors.ResultError(
            f"the results of {rows[0].task} hold no number (all are absent or not finite)",
            hint="measure it again: polyglance eval",
        )
    measured = {model for view in views for model in view.figures}
    languages = {row.language for row in rows}
    return Section(
        task=rows[0].task,
        metric=rows[0].metric,
        caption_policy=rows[0].caption_policy,
        models=tuple(model for model in model_order if model in measured),
        all_models=tuple(model_order),
        languages=tuple(sorted(languages, key=lambda name: (name != ENGLISH, name))),
        views=tuple(views),
        dropped=tuple(_dropped(rows)),
        repeated=tuple(_repeated(rows)),
        prompts_taken=_prompts_taken(rows),
        supported=_supported(rows),
        model_ids=model_ids,
        data_ids=data_ids,
        code_versions=tuple(sorted({row.code_version for row in rows})),
    )


def _view(members: Sequence[Result], *, key: ViewKey, model_order: Sequence[str]) -> View | None:
    """A view of rows that share its key; None where no number is finite."""
    split, direction, value, variant, partner = key
    figures: dict[str, dict[str, Figure]] = {}
    for row in sorted(members, key=lambda row: row.language):
        number = row.values[value]
        if math.isfinite(number):
            low, high = row.intervals.get(value, (None, None))
            figures.setdefault(row.called, {})[row.language] = Figure(number, low, high)
    if not figures:
        return None
    candidates = [row.num_candidates for row in members]
    return View(
        split=split,
        direction=direction,
        value=value,
        variant=variant,
        partner=partner,
        figures={model: figures[model] for model in model_order if model in figures},
        num_queries={row.language: row.num_queries for row in members},
        num_candidates=(min(candidates), max(candidates)),
    )


def _one_each(rows: Sequence[Result]) -> list[Result]:
    """Every row once; refuses two that say different things of one thing."""
    found: dict[tuple[str, ...], Result] = {}
    for row in rows:
        known = found.setdefault((row.called, row.language, *row.kind), row)
        if known != row:
            raise errors.ResultError(
                f"two results of {row.called!r} on {row.task} {row.split}, {row.language}, "
                f"{row.direction}, which differ; a report takes one",
                hint="leave one of the two out, or give the two models different names",
            )
    return list(found.values())


def _model_ids(rows: Sequence[Result]) -> dict[str, str]:
    """The fingerprint of each model; refuses two models under one name."""
    found: dict[str, str] = {}
    for row in rows:
        known = found.setdefault(row.called, row.model_id)
        if known != row.model_id:
            raise errors.ResultError(
                f"two models are called {row.called!r}: {known[:12]} and {row.model_id[:12]}; "
                "a name means one",
                hint=f"call one of them otherwise: polyglance report --rename "
                f"{row.model_id[:12]}=NAME; or leave the old results out",
            )
    return found


def _data_ids(rows: Sequence[Result]) -> dict[str, str]:
    """The fingerprints of each language's data; refuses numbers of two data beside each other."""
    by_kind: dict[tuple[str, ...], Result] = {}
    by_language: dict[str, list[str]] = {}
    for row in rows:
        known = by_kind.setdefault((row.language, *row.kind), row)
        if known.data_id != row.data_id:
            raise errors.ResultError(
                f"{known.called!r} and {row.called!r} were measured on other texts or content "
                f"items of {row.task} in {row.language} ({known.data_id[:12]} and "
                f"{row.data_id[:12]}); "
                "only numbers of the same data may stand side by side",
                hint="measure both on the same files, or report them apart",
            )
        by_language.setdefault(row.language, []).append(row.data_id)
    return {name: ", ".join(dict.fromkeys(ids)) for name, ids in by_language.items()}


def _view_rank(key: ViewKey, *, metric: str) -> tuple[object, ...]:
    """Main views first: the seen split, text asks, the task's own metric, the largest k."""
    split, direction, value, variant, partner = key
    known = SPLIT_ORDER.index(split) if split in SPLIT_ORDER else len(SPLIT_ORDER)
    k = wording.hit_rate_k(value)
    rank = VALUE_ORDER.index(value) if value in VALUE_ORDER else len(VALUE_ORDER)
    measure = (value != metric, k is None, -(k or 0), rank, value)
    return (known, split, DIRECTION_ORDER.index(direction), *measure, variant, partner)


def _dropped(rows: Sequence[Result]) -> list[Dropped]:
    """What each language lost, counted once though every model, split and direction says it."""
    lost: dict[str, dict[str, int]] = {}
    for row in rows:
        for reason, count in row.num_dropped.items():
            if count:
                by_language = lost.setdefault(reason, {})
                by_language[row.language] = max(count, by_language.get(row.language, 0))
    listed = []
    for reason, by_language in lost.items():
        most_language = max(sorted(by_language), key=lambda language: by_language[language])
        listed.append(
            Dropped(
                reason=reason,
                total=sum(by_language.values()),
                num_languages=len(by_language),
                most=by_language[most_language],
                most_language=most_language,
                names=tuple(
                    dict.fromkeys(
                        said for row in rows for said in row.dropped_names.get(reason, ())
                    )
                ),
            )
        )
    return sorted(listed, key=lambda dropped: (-dropped.total, dropped.reason))


def _repeated(rows: Sequence[Result]) -> list[Repeated]:
    most: dict[str, Repeated] = {}
    for row in rows:
        known = most.get(row.language)
        if row.captions_duplicated > (known.count if known else 0):
            most[row.language] = Repeated(
                language=row.language,
                count=row.captions_duplicated,
                caption=row.most_repeated_caption,
                times=row.most_repeated_times,
            )
    return sorted(most.values(), key=lambda found: (-found.count, found.language))


def _prompts_taken(rows: Sequence[Result]) -> dict[str, int]:
    """Languages by prompts, over the rows whose variant does not say it."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.prompts_taken not in ("", row.variant):
            found.setdefault(row.prompts_taken, set()).add(row.language)
    return {name: len(members) for name, members in sorted(found.items())}


def _supported(rows: Sequence[Result]) -> dict[str, frozenset[str]]:
    """Languages that each model is said to know, of models of which that is known."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.supported is not None:
            known = found.setdefault(row.called, set())
            known.update({row.language} if row.supported else ())
    return {model: frozenset(languages) for model, languages in found.items()}
