"""The report page: sections, charts, tables and notes in one HTML file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polyglance.metrics import significance
from polyglance.report import (
    building,
    document,
    hard_languages,
    headline,
    language_lists,
    payload,
    published_table,
    resources,
    tables,
    task_pairs,
    wording,
)
from polyglance.report.answers import AnsweredQuery
from polyglance.report.tables import Section
from polyglance.results.schema import Result
from polyglance.storage import atomic


def write_report(
    path: Path,
    *,
    title: str,
    results: Sequence[Result],
    model_order: Sequence[str],
    baseline: str,
    facts: Mapping[str, Any],
    notes: Sequence[str] = (),
    modality: str = "image",
    comparison: Mapping[str, Any] | None = None,
    distilled: Mapping[str, Collection[str]] = MappingProxyType({}),
    counts: resources.Counts = MappingProxyType({}),
    answers: Sequence[AnsweredQuery] = (),
) -> Path:
    """Write results as one HTML file that needs no network.

    Args:
        path: The file to write; its folder is made.
        title: Heading of the page.
        results: What was measured; any number of tasks.
        model_order: Every model of the results, as they are to be listed.
        baseline: The model the others are compared with.
        facts: How to make the numbers again: `commands`, `versions`, `seconds`, ...
        notes: Plain sentences to be read with the numbers.
        modality: What the content items are.
        comparison: A comparison of recipes (`compare.Comparison.as_json()`), shown first.
        distilled: By model, the languages that it was distilled in.
        counts: Resources by what they count and language, beside those that are known.
        answers: Queries and what they found, shown first.

    Returns:
        `path`.

    Raises:
        ResultError: For results that may not be set beside each other.
        UnknownNameError: For a model or baseline that `model_order` lacks.
        MissingExtraError: Where vl-convert-python is not installed.
    """
    sections = building.build_sections(results, model_order=model_order, baseline=baseline)
    from polyglance.report import plots  # Altair: 0.8 s

    slots = headline.model_slots(model_order, baseline=baseline)
    labels = wording.short_names(model_order)
    pairs = task_pairs.task_pairs(sections)
    pairs_of_views = task_pairs.payload(pairs, sections, modality=modality)
    order = list(dict.fromkeys(name for section in sections for name in section.languages))
    counted = {**counts, **resources.known_counts()}
    data = {
        "languages": payload.of_languages(order),
        "resources": [
            [resources.count_of(by_language, language) for language in order]
            for by_language in counted.values()
        ],
        "sections": [
            payload.of_section(
                section, order=order, baseline=baseline, after=_after(section, baseline)
            )
            for section in sections
        ],
        "pairs": pairs_of_views,
        "specs": {
            "bars": plots.bars(),
            "heat": plots.heat(),
            "pair": plots.pair(),
            "resources": plots.resources(),
            "scatters": [_scatter(section) for section in sections],
        },
        "shapes": headline.SHAPES,
        "slots": slots,
        "labels": labels,
        "directions": {
            direction: wording.direction_name(direction, modality=modality)
            for direction in tables.DIRECTION_ORDER
        },
    }
    page = document.document(
        "report.html",
        data=payload.as_json(data),
        script=document.asset("charts.js") + document.asset("page.js"),
        charts=plots.script(),
        title=title,
        notes=notes,
        facts=facts,
        comparison=comparison,
        answers=answers,
        modality=modality,
        baseline=baseline,
        slots=slots,
        labels=labels,
        sections=[
            _task(
                section,
                results,
                name=name,
                baseline=baseline,
                modality=modality,
                distilled=distilled,
                counts=counted,
            )
            for section, name in zip(
                sections, tables.section_names(sections, modality=modality), strict=True
            )
        ],
        resource_names=list(counted),
        num_languages=len(order),
        num_models=len({name for section in sections for name in section.models}),
        tasks=list(dict.fromkeys(section.task for section in sections)),
        pairs=[
            (f"{named['across']['name']} – {named['up']['name']}", pair)
            for named, pair in zip(pairs_of_views, pairs, strict=True)
        ],
        least_points=significance.LEAST_POINTS,
        code_versions=sorted({v for section in sections for v in section.code_versions}),
        model_ids={model: id_ for section in sections for model, id_ in section.model_ids.items()},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, page)
    return path


def _task(
    section: Section,
    results: Sequence[Result],
    *,
    name: str,
    baseline: str,
    modality: str,
    distilled: Mapping[str, Collection[str]],
    counts: resources.Counts,
) -> dict[str, Any]:
    """What the template of a task shows, beside the section itself."""
    main, after = section.views[0], _after(section, baseline)
    sorted_by = after if after is not None else section.models[0]
    return {
        "section": section,
        "name": name,
        "after": after,
        "cards": headline.cards(section, baseline=baseline, after=after),
        "controls": headline.controls(section, modality=modality),
        "heads": {
            split: headline.by_model(section.in_split(main, split)) for split in section.splits
        },
        "chance": tables.chance(main),
        "num_others": max(row.num_others for row in tables.headlines(main)),
        "sorted_by": sorted_by,
        "languages": tables.in_order_of(main, section.languages, model=sorted_by),
        "hard": hard_languages.hard_languages(main),
        "supported": language_lists.supported_means(section),
        "distilled": language_lists.distilled_languages(section, distilled),
        "resources": resources.correlations(section, counts),
        "published": [
            (view, rows)
            for key, rows in published_table.beside(section, results).items()
            for view in section.views
            if view.key == key
        ],
    }


def _scatter(section: Section) -> dict[str, Any] | None:
    from polyglance.report import plots

    if len(section.splits) < 2:
        return None
    across, up = (wording.split_name(split) for split in section.splits[:2])
    return plots.scatter(across=across, up=up)


def _after(section: Section, baseline: str) -> str | None:
    """The model that is compared with the baseline at first: the best of the main view."""
    main = section.views[0]
    return tables.best_model(main, baseline=baseline) if baseline in main.figures else None
