"""Background of a report: what was dropped and why, how to make the numbers again, notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from polyglance.languages import registry
from polyglance.report.tables import Section

_REASONS = {
    "captions_beyond_first": "captions after the first of the same item",
    "captions_repeated": "captions that repeat another of the same item",
    "captions_without_content": "captions whose item is not at hand",
    "items_damaged": "items that cannot be read",
    "items_missing": "items that are missing",
    "images_of_unnamed_classes": "images of a class that has no name in the language",
    "pairs_without_score": "pairs that people gave no score",
    "pairs_with_an_empty_side": "pairs with an empty side",
    "tars_damaged": "tars that cannot be read to their end",
    "repeated_candidates": "candidates that repeat another, found as one",
    "vectors_missing": "items without a precomputed vector",
}


def notes_list(notes: Sequence[str]) -> str:
    """Plain sentences a reader should have read before the numbers; empty without any."""
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<aside class="notes" aria-label="Notes"><ul>{items}</ul></aside>'


def dropped_table(section: Section) -> str:
    """What could not take part, by reason, each language counted once."""
    if not section.dropped:
        return "<p>Nothing was dropped.</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(reason_name(row.reason))}{_names(row.names)}</th>'
        f'<td class="num">{row.total:,}</td><td class="num">{row.num_languages:,}</td>'
        f'<td class="num">{row.most:,} '
        f"({escape(registry.get_language(row.most_language).english_name)})</td></tr>"
        for row in section.dropped
    )
    return (
        '<div class="scroller" role="region" tabindex="0" aria-label="What was dropped">'
        '<table class="dropped"><thead><tr><th scope="col">What</th>'
        '<th scope="col" class="num">Summed over languages</th>'
        '<th scope="col" class="num">Languages</th><th scope="col" class="num">'
        f"Most in one</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _names(names: Sequence[str]) -> str:
    return "".join(f'<span class="ci why">{escape(name)}</span>' for name in names)


def repeated_table(section: Section) -> str:
    """Texts that take part twice and more: what they repeat cannot be found for sure."""
    if not section.repeated:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(registry.get_language(row.language).english_name)}</th>'
        f'<td class="num">{row.count:,}</td><td>{_in_language(row.caption, row.language)}</td>'
        f'<td class="num">{row.times:,}</td></tr>'
        for row in section.repeated
    )
    total = sum(row.count for row in section.repeated)
    return (
        f"<details><summary>Texts that repeat an earlier one: {total:,} in "
        f"{len(section.repeated):,} languages</summary>"
        '<p class="hint">They take part. Two items under one text cannot be told apart by it, so '
        "a language with many cannot reach 100&nbsp;%.</p>"
        '<div class="scroller half" role="region" tabindex="0" aria-label="Repeated texts">'
        '<table class="dropped"><thead><tr><th scope="col">Language</th><th scope="col" '
        'class="num">Repeated</th><th scope="col">Most often</th><th scope="col" class="num">'
        f"Times</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _in_language(text: str, language: str) -> str:
    row = registry.get_language(language)
    return f'<bdi lang="{row.bcp47}" dir="{row.direction}">{escape(text)}</bdi>'


def reason_name(reason: str) -> str:
    """A reason in words.

    >>> reason_name("items_missing"), reason_name("too_long")
    ('images that are missing', 'too long')
    """
    return _REASONS.get(reason, reason.replace("_", " "))


def facts_html(facts: Mapping[str, Any]) -> str:
    """Commands, versions, seconds by stage and whatever else the caller knows.

    Args:
        facts: Nested mappings, lists, texts and numbers. What stands under `commands` is shown as
            code, numbers under a name with `seconds` in it as seconds.
    """
    return "".join(
        f'<div class="fact"><h3>{escape(_title(name))}</h3>{_fact(value, name=name)}</div>'
        for name, value in facts.items()
    )


def fingerprints(sections: Sequence[Section]) -> str:
    """What was measured on what: fingerprints of models, data and code."""
    versions = sorted({version for section in sections for version in section.code_versions})
    models = {model: id_ for section in sections for model, id_ in section.model_ids.items()}
    pairs = {"polyglance": ", ".join(versions), **models}
    folded = "".join(
        f"<details><summary>Fingerprints of the data of {escape(section.task)}, "
        f"{len(section.data_ids)} languages</summary>{_pairs(section.data_ids)}</details>"
        for section in sections
    )
    return f'<div class="fact whole"><h3>Fingerprints</h3>{_pairs(pairs)}{folded}</div>'


def _fact(value: Any, *, name: str) -> str:
    """One fact by its form."""
    if name == "commands":
        lines = [value] if isinstance(value, str) else [str(line) for line in value]
        return "".join(f"<pre><code>{escape(line)}</code></pre>" for line in lines)
    if isinstance(value, Mapping):
        if "seconds" in name:
            value = {key: _seconds(number) for key, number in value.items()}
        return _pairs(value)
    if isinstance(value, str | int | float | bool) or value is None:
        shown = _seconds(value) if "seconds" in name else str(value)
        return f"<p>{escape(shown)}</p>"
    return "<ul>" + "".join(f"<li>{_inner(item)}</li>" for item in value) + "</ul>"


def _pairs(pairs: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<div><dt><bdi>{escape(str(key))}</bdi></dt><dd>{_inner(value)}</dd></div>"
        for key, value in pairs.items()
    )
    return f"<dl>{rows}</dl>"


def _inner(value: Any) -> str:
    """A value inside a list or pair, nested as deep as it comes."""
    if isinstance(value, Mapping):
        return _pairs(value)
    if isinstance(value, list | tuple):
        return ", ".join(_inner(item) for item in value)
    return escape(str(value))


def _seconds(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.1f} s"


def _title(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
