"""The report of an analysis by classes: maps of images, curves by number of classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyglance.analysis.class_analysis import ClassAnalysis
from polyglance.analysis.classes import ClassCurve
from polyglance.languages import registry
from polyglance.report import document, payload
from polyglance.storage import atomic

NUM_COLOURS = 8


def write_class_analysis(
    path: Path, analysis: ClassAnalysis, *, title: str, facts: Mapping[str, Any]
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

    maps = [found for found in (analysis.raw, analysis.projected) if found is not None]
    points = zip(analysis.item_ids, analysis.class_of, strict=True)
    data = {
        "names": analysis.classes,
        "shapes": list(analysis_plots.SHAPES),
        "specs": {"map": analysis_plots.image_map(), "curves": analysis_plots.class_curves()},
        "points": [
            {"who": number, "cluster": number, "image": item_id, "text": ""}
            for item_id, number in points
        ],
        "maps": [{"x": found.x, "y": found.y} for found in maps],
        "curves": _curve_rows(analysis),
    }
    names = {name: registry.get_language(name).english_name for name in analysis.curves}
    page = document.document(
        "class_analysis.html",
        data=payload.as_json(data),
        script=document.asset("analysis.js"),
        charts=plots.script(),
        title=title,
        facts=facts,
        analysis=analysis,
        names=names,
        maps=list(zip(("Raw", "Projected"), maps, strict=False)),
        own_shapes=analysis_plots.SHAPES,
        num_colours=NUM_COLOURS,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, page)
    return path


def _curve_rows(analysis: ClassAnalysis) -> list[dict[str, Any]]:
    """A row a subset of classes, by language, without the pack and with it."""
    rows: list[dict[str, Any]] = []
    for slot, (language, (before, after)) in enumerate(analysis.curves.items()):
        name = registry.get_language(language).english_name
        rows += _subsets(before, label=f"{name}, by the model alone", slot=slot, dash=bool(after))
        if after is not None:
            rows += _subsets(after, label=f"{name}, with the pack", slot=slot, dash=False)
    return rows


def _subsets(curve: ClassCurve, *, label: str, slot: int, dash: bool) -> list[dict[str, Any]]:
    line = curve.line
    return [
        {
            "num_classes": size,
            "accuracy": value,
            "fitted": line.intercept.mean + line.slope.mean * math.log10(size),
            "label": label,
            "slot": slot % NUM_COLOURS,
            "dash": dash,
        }
        for size, values in zip(curve.num_classes, curve.by_subset, strict=True)
        for value in values
    ]
