"""The report of a pack's analysis: one HTML file that needs no network.

Legend: N pairs of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyglance.analysis.pack import LanguageChange, PackAnalysis
from polyglance.analysis.spread import Spread
from polyglance.languages import registry
from polyglance.report import document, payload
from polyglance.storage import atomic

TEACHER = "teacher"


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
    # The language that the pack brings farthest is shown at first.
    gains = {
        language: row.with_images[1].gap - row.with_images[0].gap
        for language, row in analysis.languages.items()
    }
    page = document.document(
        "analysis.html",
        data=payload.as_json(data),
        script=document.asset("analysis.js"),
        charts=plots.script(),
        title=title,
        facts=facts,
        analysis=analysis,
        names=names,
        language_names=[(language, names[language]) for language in gains],
        chosen=max(gains, key=lambda language: gains[language]),
        others=[name for row in analysis.languages.values() for name in row.beside][
            : len(next(iter(analysis.languages.values())).beside)
        ],
        has_spread=bool(_spreads(analysis, names)),
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
                "image": point.item_id,
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
            "matrices": [
                found.cosines
                for found in (*both, *(row.beside.values() if name == "images" else ()))
            ],
            "first": row.texts,
            "second": row.item_ids if name == "images" else row.english_texts,
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
