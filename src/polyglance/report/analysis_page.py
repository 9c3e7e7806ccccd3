"""The report of a pack's analysis: one HTML file that needs no network.

Legend: N pairs of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from polyglance.analysis.pack import LanguageChange, PackAnalysis
from polyglance.analysis.spread import Spread
from polyglance.languages import registry
from polyglance.report import background, document, payload
from polyglance.storage import atomic

TEACHER = "teacher"
# What this page has and the report has not.
_STYLE = """<style>
.beside { display: grid; gap: 16px; margin-top: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.matrices { margin-top: 20px; }
.matrices :is(td, th) { white-space: nowrap; }
</style>"""
WITH = {"images": "images", "english": "English texts"}


def write_analysis(
    path: Path, analysis: PackAnalysis, *, title: str, facts: Mapping[str, Any]
) -> Path:
    """Write an analysis as one HTML file.

    Args:
        path: The file to write; its folder is made.
        analysis: What was found.
        title: Heading of the page.
        facts: How to make it again: `commands`, `versions`, ...

    Raises:
        MissingExtraError: Where vl-convert-python is not installed.
    """
    from polyglance.report import analysis_plots, plots  # Altair: 0.8 s

    names = _names(analysis)
    data = {
        "names": list(names.values()),
        "shapes": list(analysis_plots.SHAPES),
        "specs": {
            "map": analysis_plots.text_map(),
            "cosines": analysis_plots.cosines(),
            "spectrum": analysis_plots.spectrum(),
            "spread": analysis_plots.spread(),
            "curve": analysis_plots.class_curve(),
        },
        **_rows(analysis, names),
    }
    page = document.document(
        title,
        body=_body(analysis, names, title=title, facts=facts),
        data=payload.as_json(data),
        script=document.asset("analysis.js"),
        charts=plots.script(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, page)
    return path


def _names(analysis: PackAnalysis) -> dict[str, str]:
    """What the colours are called, by language id; the teacher's English first, in grey."""
    found = {TEACHER: "English by the teacher"}
    for language in analysis.languages:
        found[language] = registry.get_language(language).english_name
    return found


def _rows(analysis: PackAnalysis, names: Mapping[str, str]) -> dict[str, Any]:
    """The numbers behind each chart."""
    order = list(names)
    curve = analysis.curve
    return {
        "points": [
            {
                "who": order.index(point.language),
                "cluster": point.cluster,
                "image": point.content_id,
                "text": point.text,
            }
            for point in analysis.points
        ],
        "maps": [
            {"x": found.x, "y": found.y} for found in (analysis.map_before, analysis.map_after)
        ],
        "cosines": {language: _matrices(row) for language, row in analysis.languages.items()},
        "spectrum": [
            {"place": place, "value": value}
            for place, value in enumerate(analysis.head.singular_values, 1)
            if value > 0
        ]
        if analysis.head
        else [],
        "spread": [
            {
                "label": label,
                "slot": slot,
                **dict(
                    zip(
                        ("least", "quarter", "middle", "upper", "most"),
                        found.quantiles,
                        strict=True,
                    )
                ),
                "outside": found.outside,
            }
            for label, slot, found in _spreads(analysis, names)
        ],
        "curve": [
            {
                "num_classes": size,
                "accuracy": value,
                "fitted": curve.line.intercept.mean + curve.line.slope.mean * math.log10(size),
            }
            for size, values in zip(curve.num_classes, curve.by_subset, strict=True)
            for value in values
        ]
        if curve
        else [],
    }


def _matrices(row: LanguageChange) -> dict[str, Any]:
    """Both matrices with images and with English, and what rows and columns are."""
    pairs = {"images": row.with_images, "english": row.with_english}
    return {
        name: {
            "matrices": [found.cosines for found in both],
            "first": row.texts,
            "second": row.content_ids if name == "images" else row.english_texts,
        }
        for name, both in pairs.items()
        if both is not None
    }


def _spreads(analysis: PackAnalysis, names: Mapping[str, str]) -> list[tuple[str, int, Spread]]:
    """Rows of the chart of distances: what they are called, their colour, and the distances."""
    found = []
    if analysis.teacher_spread is not None:
        found.append((names[TEACHER], 0, analysis.teacher_spread))
    for slot, (language, row) in enumerate(analysis.languages.items(), 1):
        if row.spread is not None:
            for word, each in zip(("before", "after"), row.spread, strict=True):
                found.append((f"{names[language]}, {word}", slot % 8, each))
    return found


def _body(
    analysis: PackAnalysis, names: Mapping[str, str], *, title: str, facts: Mapping[str, Any]
) -> str:
    """Everything that is read, in reading order."""
    before = (
        "the pack's text tower by itself, which its head is given"
        if analysis.before == "tower"
        else "the teacher's own text tower: this pack has no head"
    )
    return (
        f'{_STYLE}<a class="skip" href="#main">Skip to the analysis</a>'
        '<header class="top"><div class="bar"><span class="mark">polyglance</span>'
        '<button type="button" id="theme" aria-pressed="false" aria-label="Dark theme">'
        '<span aria-hidden="true"></span></button></div>'
        f"<h1>{escape(title)}</h1><p class=lead>{escape(analysis.task)} · "
        f"{len(analysis.languages)} languages</p></header>"
        f'<main id="main"><section class="task"><h2>Texts before and after</h2>'
        f"<p class=hint>Before is {before}; after is the pack. In both, English by the "
        "teacher stands beside.</p>"
        f"{_legend(names)}{_maps(analysis)}{_cosines(analysis, names)}"
        f"{_others(analysis)}</section>"
        '<section class="reproduce"><h2>How to make this again</h2>'
        f'<div class="facts">{background.facts_html(facts)}</div></section></main>'
    )


def _legend(names: Mapping[str, str]) -> str:
    items = "".join(
        f'<li><i class="key" style="background:var(--m{slot % 8})"></i>'
        f"<bdi>{escape(name)}</bdi></li>"
        for slot, name in enumerate(names.values())
    )
    return f'<ul class="legend">{items}</ul>'


def _maps(analysis: PackAnalysis) -> str:
    figures = [
        _figure(
            f"{word}: {found.same_cluster:.0%} of the nearest ten are about the same cluster of "
            f"images, {found.same_language:.0%} in the same language",
            plot="map",
            at=place,
            label=f"Map of texts, {word.lower()}: languages by colour, images by shape.",
        )
        for place, (word, found) in enumerate(
            (("Before", analysis.map_before), ("After", analysis.map_after))
        )
    ]
    found = analysis.map_after
    method = {"tsne": "t-SNE", "umap": "UMAP"}[found.method]
    return (
        f'<div class="beside">{"".join(figures)}</div>'
        f"<p class=hint>{method} of {len(found.x):,} texts by cosine; a shape is a cluster of "
        f"images. The shares are counted in the full space; by chance they would be "
        f"{found.same_cluster_by_chance:.0%} and {found.same_language_by_chance:.0%}.</p>"
    )


def _cosines(analysis: PackAnalysis, names: Mapping[str, str]) -> str:
    # The language that the pack brings farthest is shown at first.
    gains = {
        language: row.with_images[1].gap - row.with_images[0].gap
        for language, row in analysis.languages.items()
    }
    first = max(gains, key=lambda language: gains[language])
    options = "".join(
        f'<option value="{escape(language)}"{" selected" if language == first else ""}>'
        f"{escape(names[language])}</option>"
        for language in gains
    )
    kinds = "".join(f'<option value="{key}">{word}</option>' for key, word in WITH.items())
    rows = "".join(
        f"<tr><th scope=row><bdi>{escape(names[language])}</bdi></th>{_cosine_cells(row)}</tr>"
        for language, row in analysis.languages.items()
    )
    return (
        "<h3>Cosines of pairs</h3><form class=controls><label class=field><span>Language</span>"
        f'<select name="language">{options}</select></label>'
        f'<label class=field><span>With</span><select name="with">{kinds}</select></label></form>'
        '<p class=hint data-slot="absent" hidden>English is not compared with itself, and pairs '
        "need an English text of the same image.</p>"
        '<div class="beside">'
        + _figure("Before", plot="cosines", at=0, label="Matrix of cosines before.")
        + _figure("After", plot="cosines", at=1, label="Matrix of cosines after.")
        + '</div><div class="scroller matrices" role="region" tabindex="0" '
        'aria-label="Cosines of pairs"><table><thead><tr><th>Language</th>'
        "<th>with images: pairs</th><th>others</th><th>pair first</th>"
        "<th>with English: pairs</th><th>others</th><th>pair first</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div><p class=hint>Mean cosines before → after. With "
        "images, before is the teacher's text tower. Pair first: how many texts are nearest to "
        "their own, of those in the matrix.</p>"
    )


def _cosine_cells(row: LanguageChange) -> str:
    cells = ""
    for both in (row.with_images, row.with_english):
        if both is None:
            cells += "<td>–</td>" * 3
            continue
        first, last = both
        cells += (
            f"<td>{_cosine(first.pair_mean)} → {_cosine(last.pair_mean)}</td>"
            f"<td>{_cosine(first.other_mean)} → {_cosine(last.other_mean)}</td>"
            f"<td>{first.pairs_first:.0%} → {last.pairs_first:.0%}</td>"
        )
    return cells


def _cosine(value: float) -> str:
    """Two decimals, a real minus, no minus before zero."""
    return f"{value:z.2f}".replace("-", "\N{MINUS SIGN}")


def _others(analysis: PackAnalysis) -> str:
    """The head, paraphrases, and accuracy against the number of texts, where they are there."""
    figures: list[str] = []
    if any(row.spread for row in analysis.languages.values()) or analysis.teacher_spread:
        figures.append(
            _figure(
                "Paraphrases: texts of the same image",
                plot="spread",
                label="Distances of texts of one image, by language.",
                said="Bar: middle half; stroke: middle; line: all; diamond: mean distance of "
                "texts of different images.",
            )
        )
    if analysis.head is not None:
        head = analysis.head
        figures.append(
            _figure(
                "Singular values of the head",
                plot="spectrum",
                label="Singular values of the head.",
                said=f"{head.dim_in} to {head.dim_out}. Effective rank {head.effective_rank:.0f} "
                f"(of the squares {head.effective_rank_of_squares:.0f}); deviation from "
                f"orthogonality {head.orthogonality_deviation:.1f}; distance from a rotation of "
                f"any scale {head.rotation_distance:.2f}; length of the bias {head.bias_norm:.2f}.",
            )
        )
    if analysis.curve is not None:
        slope = analysis.curve.line.slope
        figures.append(
            _figure(
                "Accuracy against the number of texts",
                plot="curve",
                label="Accuracy against the number of texts to choose from.",
                said="Each image among so many English texts, by the teacher. Ten times as many "
                f"cost {-100 * slope.mean:.1f} points [{-100 * slope.high:.1f}, "
                f"{-100 * slope.low:.1f}]; the line explains {analysis.curve.line.explained:.0%}.",
            )
        )
    return (
        f'<h3>Paraphrases, head, number of texts</h3><div class="beside">{"".join(figures)}</div>'
    )


def _figure(heading: str, *, plot: str, label: str, at: int = 0, said: str = "") -> str:
    return (
        f'<figure class="chart"><figcaption><b>{escape(heading)}</b></figcaption>'
        f'<div class="plot" data-plot="{plot}" data-at="{at}" role="img" '
        f'aria-label="{escape(label)}"></div>'
        + (f"<p class=hint>{escape(said)}</p>" if said else "")
        + "</figure>"
    )
