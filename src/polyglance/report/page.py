"""The report page: sections, charts, tables and notes in one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal

from polyglance.report import (
    background,
    building,
    document,
    hard_languages,
    headline,
    language_table,
    payload,
    published_table,
    tables,
    task_pairs,
    wording,
)
from polyglance.report import (
    comparison as comparison_table,
)
from polyglance.report.tables import Section
from polyglance.results.schema import Result
from polyglance.storage import atomic

Modality = Literal["image", "audio"]


def write_report(
    path: Path,
    *,
    title: str,
    results: Sequence[Result],
    model_order: Sequence[str],
    baseline: str,
    facts: Mapping[str, Any],
    notes: Sequence[str] = (),
    modality: Modality = "image",
    comparison: Mapping[str, Any] | None = None,
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
    body = _body(
        sections,
        title=title,
        baseline=baseline,
        facts=facts,
        notes=notes,
        modality=modality,
        before=comparison_table.comparison_section(comparison),
        behind=task_pairs.pairs_section(
            pairs, sections, modality=modality, legend=_legend(slots, labels=labels)
        ),
        results=results,
    )
    order = list(dict.fromkeys(name for section in sections for name in section.languages))
    data = {
        "languages": payload.of_languages(order),
        "sections": [
            payload.of_section(
                section, order=order, baseline=baseline, after=_after(section, baseline)
            )
            for section in sections
        ],
        "pairs": task_pairs.payload(pairs, sections, modality=modality),
        "specs": {
            "bars": plots.bars(),
            "heat": plots.heat(),
            "pair": plots.pair(),
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
        title,
        body=body,
        data=payload.as_json(data),
        script=document.asset("charts.js") + document.asset("page.js"),
        charts=plots.script(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, page)
    return path


def _body(
    sections: Sequence[Section],
    *,
    title: str,
    baseline: str,
    facts: Mapping[str, Any],
    notes: Sequence[str],
    modality: Modality,
    before: str,
    behind: str,
    results: Sequence[Result],
) -> str:
    """Everything that is read, in reading order."""
    made = "".join(
        _section(section, number=number, baseline=baseline, modality=modality, results=results)
        for number, section in enumerate(sections)
    )
    num_languages = len({name for section in sections for name in section.languages})
    num_models = len({name for section in sections for name in section.models})
    tasks = ", ".join(dict.fromkeys(section.task for section in sections))
    return (
        '<a class="skip" href="#main">Skip to the numbers</a>'
        '<header class="top"><div class="bar"><span class="mark">polyglance</span>'
        '<button type="button" id="theme" aria-pressed="false" aria-label="Dark theme">'
        '<span aria-hidden="true"></span></button></div>'
        f"<h1>{escape(title)}</h1><p class=lead>{_count(num_languages, 'language')} · "
        f"{_count(num_models, 'model')} · {escape(tasks)}</p>"
        f"{background.notes_list(notes)}</header>"
        f'<main id="main">{before}{made}{behind}'
        '<section class="reproduce"><h2>How to make these numbers again</h2>'
        f'<div class="facts">{background.facts_html(facts)}{background.fingerprints(sections)}'
        "</div></section></main>"
    )


def _section(
    section: Section,
    *,
    number: int,
    baseline: str,
    modality: Modality,
    results: Sequence[Result],
) -> str:
    """One task: cards, models, groups, charts, languages, what was published and dropped."""
    after = _after(section, baseline)
    policy = wording.policy_name(section.caption_policy, modality=modality)
    main = section.views[0]
    main_name = (
        f"{wording.direction_name(main.direction, modality=modality)}, "
        f"{wording.value_name(main.value)}"
    )
    compared = (
        ""
        if after is None
        else f"<p class=lead><bdi>{escape(baseline)}</bdi> → <b><bdi>{escape(after)}</bdi></b>, "
        f"{escape(main_name)}</p>"
    )
    return (
        f'<section class="task" data-section="{number}"><h2>{escape(section.task)}</h2>{compared}'
        f"{headline.cards(section, baseline=baseline, after=after)}"
        f'<form class="controls" aria-label="What is shown">'
        f"{headline.controls(section, number=number, modality=modality)}</form>"
        "<h3>Models</h3>"
        f"{headline.model_table(section, number=number, baseline=baseline, modality=modality)}"
        f'<p class="hint">{_mean_hint(section)}</p>'
        f"{language_table.group_table(section, number=number)}"
        f"<h3>Languages</h3><form class=filters aria-label='Which languages'>"
        f"{language_table.filters(section, number=number, after=after, baseline=baseline)}</form>"
        f"{_charts(section, number=number, baseline=baseline)}"
        f"{language_table.language_table(section, number=number, baseline=baseline, after=after)}"
        f'<p class="hint">{_table_hint(after)}</p>'
        f"{hard_languages.hard_section(section, modality=modality)}"
        f"{published_table.published_section(section, results, modality=modality)}"
        f"<h3>What was dropped</h3>{background.dropped_table(section)}"
        f'<p class="hint">Captions that took part: {escape(policy)}.{_prompts(section)}</p>'
        f"{background.repeated_table(section)}</section>"
    )


def _charts(section: Section, *, number: int, baseline: str) -> str:
    """Places for the charts, with legends of our own and words for who cannot see them."""
    slots = headline.model_slots(section.all_models, baseline=baseline)
    legend = _legend(
        {model: slots[model] for model in section.models},
        labels=wording.short_names(section.all_models),
    )
    across = [wording.split_name(split) for split in section.splits]
    scatter = ""
    if len(across) > 1:
        heading = f"{across[0].capitalize()} against {across[1]}, language by language"
        scatter = (
            f'<figure class="chart"><figcaption><b>{escape(heading)}</b>'
            f"{legend}</figcaption>"
            '<div class="plot" data-plot="scatter" role="img" aria-label="Scatter plot: each '
            f"language and model, {escape(across[0])} across, {escape(across[1])} up. The table "
            'below has the same numbers."></div></figure>'
        )
    return (
        f'<div class="charts" data-charts="{number}"><figure class="chart across">'
        "<figcaption><b>Every model and language, in the order of the table</b></figcaption>"
        '<div class="plot" data-plot="heat" role="img" aria-label="Heat map: models by languages. '
        'The table below has the same numbers."></div></figure><figure class="chart">'
        '<figcaption><b>Before and after, in the order of the table</b><ul class="legend">'
        '<li><i class="key before"></i><bdi data-slot="before-name"></bdi></li>'
        '<li><i class="key after"></i><bdi data-slot="after-name"></bdi></li>'
        '<li><i class="key rule"></i>95&nbsp;% interval</li></ul></figcaption>'
        '<div class="plot" data-plot="bars" role="img" aria-label="Bars: each language before and '
        'after. The table below has the same numbers."></div>'
        f'<button type="button" class="more" data-slot="more" hidden></button></figure>{scatter}'
        "</div>"
    )


def _legend(slots: Mapping[str, int], *, labels: Mapping[str, str]) -> str:
    items = "".join(
        f"<li>{headline.swatch(slot)}<bdi>{escape(labels[model])}</bdi></li>"
        for model, slot in slots.items()
    )
    return f'<ul class="legend">{items}</ul>'


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


def _mean_hint(section: Section) -> str:
    main = section.views[0]
    count = max(row.num_others for row in tables.headlines(main))
    other = " other than English" if tables.ENGLISH in section.languages else ""
    return (
        f"The mean is over the {_count(count, 'language')}{other} that every model "
        "was measured in; its interval is the mean of theirs, which is wider than its own. "
        "Intervals are about other pictures or texts of the same kind, not about other languages."
    )


def _prompts(section: Section) -> str:
    """Which prompts were taken, where a variant leaves that open."""
    if len(section.prompts_taken) < 2:
        return ""
    listed = ", ".join(
        f"{escape(wording.variant_name(name))} {count:,}"
        for name, count in section.prompts_taken.items()
    )
    return f" Prompts that were taken, in so many languages: {listed}."


def _table_hint(after: str | None) -> str:
    if after is None:
        return ""
    return "A gain is in colour where the intervals of before and after do not touch."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
