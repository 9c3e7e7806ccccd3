"""The table of languages in a report, which sorts and filters.

It is written whole, so that it can be read where scripts do not run.
"""

from __future__ import annotations

from html import escape

from polyglance.languages import registry
from polyglance.report import groups, headline, tables, wording
from polyglance.report.tables import Section

# The columns before the models': key for sorting, title, class that hides it on a phone.
LEADING_COLUMNS = (
    ("name", "Language", ""),
    ("own", "Own name", "wide"),
    ("id", "Id", "wide"),
    ("group", "Resources", "wide"),
    ("queries", "Queries", "wide num"),
)


def language_table(section: Section, *, number: int, baseline: str, after: str | None) -> str:
    """The table of a section in its main view, best languages of `after` first.

    Args:
        section: What is shown.
        number: Place of the section in the page.
        baseline: What the gain is counted from.
        after: Whose gain is shown; None shows none.
    """
    main = section.views[0]
    sorted_by = after if after is not None else section.models[0]
    order = tables.in_order_of(main, section.languages, model=sorted_by)
    heads = "".join(_head(key, escape(title), kind) for key, title, kind in LEADING_COLUMNS)
    slots = headline.model_slots(section.all_models, baseline=baseline)
    for place, model in enumerate(section.models):
        title = f"{headline.swatch(slots[model])}{headline.short_name(section, model)}"
        heads += _head(f"m{place}", title, "num", descending=model == sorted_by)
    if after is not None:
        heads += _head(
            "gain", f"Gain of <bdi data-slot=after>{escape(section.label(after))}</bdi>", "num"
        )
    rows = "".join(_row(section, language, baseline=baseline, after=after) for language in order)
    means = '<td class="num mean"></td>' * len(section.models)
    gain = "" if after is None else '<td class="num"></td>'
    wide = "".join(f'<td class="{kind}"></td>' for _, _, kind in LEADING_COLUMNS[1:])
    foot = (
        '<tfoot><tr><th scope="row">Mean <span class="hint" data-slot="mean-of"></span></th>'
        f"{wide}{means}{gain}</tr></tfoot>"
    )
    return (
        f'<div class="scroller tall" role="region" tabindex="0" aria-labelledby="table-{number}">'
        f'<table class="languages"><caption id="table-{number}" class="said">Languages, in per '
        "cent, with 95 % intervals; the buttons in the heads sort</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>{foot}</table></div>"
    )


def group_table(section: Section, *, number: int) -> str:
    """A place for each model's mean by group; the page's script fills it."""
    heads = "".join(
        f'<th scope="col" class="num">{headline.short_name(section, model)}</th>'
        for model in section.models
    )
    kinds = [(by, title) for by, title in groups.TITLES.items()]
    return (
        '<div class="by-group"><form class="controls" aria-label="Which groups">'
        f"{headline.radios('by', 'Groups of languages', kinds, chosen='resources', number=number)}"
        '</form><div class="scroller half" role="region" tabindex="0" aria-label="Mean by group">'
        '<table class="groups"><thead><tr><th scope="col">Group</th><th scope="col" class="num">'
        f'Languages</th>{heads}</tr></thead><tbody></tbody></table></div><p class="hint">Over the '
        "languages of the group that every model was measured in. A group’s name filters the table "
        f"below. {groups.RESOURCES_HINT}</p></div>"
    )


def filters(section: Section, *, number: int, after: str | None, baseline: str) -> str:
    """What narrows the table down, and which model is compared."""
    total = len(section.languages)
    options = ""
    for by, title in groups.TITLES.items():
        listed = "".join(
            f'<option value="{by}:{escape(name)}">{escape(name)} ({len(inside)})</option>'
            for name, inside in groups.members(section.languages, by).items()
        )
        options += f'<optgroup label="{title}">{listed}</optgroup>'
    compared = "" if after is None else _compared(section, after=after, baseline=baseline)
    return (
        f'<label class="field grow"><span>Find</span><input type="search" data-control="filter" '
        f'placeholder="Language, own name or id" autocomplete="off" spellcheck="false"></label>'
        f'<label class="field"><span>Group</span><select data-control="group">'
        f'<option value="">All languages</option>{options}</select></label>{compared}'
        f'<p class="count" role="status" aria-live="polite" data-slot="count">'
        f"{total} languages</p>"
    )


def _compared(section: Section, *, after: str, baseline: str) -> str:
    options = "".join(
        f'<option value="{place}"{" selected" if model == after else ""}>'
        f"{escape(section.label(model))}</option>"
        for place, model in enumerate(section.models)
        if model != baseline
    )
    return (
        f'<label class="field"><span>Compare with {headline.short_name(section, baseline)}</span>'
        f'<select data-control="after">{options}</select></label>'
    )


def _head(key: str, title: str, kind: str, *, descending: bool = False) -> str:
    sort = ' aria-sort="descending"' if descending else ""
    return (
        f'<th scope="col" class="{kind}"{sort} data-key="{key}"><button type="button">{title}'
        '<span class="order" aria-hidden="true"></span></button></th>'
    )


def _row(section: Section, language: str, *, baseline: str, after: str | None) -> str:
    """One language: names, then a cell a model, then the gain."""
    main = section.views[0]
    row = registry.get_language(language)
    own = _own_name(row) if row.own_name else wording.MISSING
    queries = main.num_queries.get(language)
    cells = (
        f'<th scope="row">{escape(row.english_name)}'
        f'<span class="narrow">{own if row.own_name else escape(language)}</span></th>'
        f'<td class="own wide">{own}</td><td class="wide id">{escape(language)}</td>'
        f'<td class="wide group">{escape(groups.group_of(language, "resources"))}</td>'
        f'<td class="wide num n">{f"{queries:,}" if queries else wording.MISSING}</td>'
    )
    for model in section.models:
        figure = main.figure(model, language)
        heat = f' style="--v:{max(0.0, figure.value):.3f}"' if figure else ""
        cells += f'<td class="num heat"{heat}>{headline.figure_html(figure)}</td>'
    if after is not None:
        cells += _gain_cell(main, language, baseline=baseline, after=after)
    return f'<tr data-i="{section.languages.index(language)}">{cells}</tr>'


def _gain_cell(view: tables.View, language: str, *, baseline: str, after: str) -> str:
    """The gain in points; in colour only where the two intervals do not touch."""
    ours, theirs = view.figure(after, language), view.figure(baseline, language)
    if ours is None or theirs is None:
        return f'<td class="num gain">{wording.MISSING}</td>'
    gain = ours.value - theirs.value
    clear = "" if not ours.clear_of(theirs) else " up" if gain > 0 else " down"
    return f'<td class="num gain{clear}">{wording.points(gain)}</td>'


def _own_name(row: registry.Language) -> str:
    return f'<bdi lang="{row.bcp47}" dir="{row.direction}">{escape(row.own_name)}</bdi>'
