"""Languages that are hard for every model, by z-scores within each model.

As in uCLIP's figure 2: a z-score takes away how good a model is, so that what is left says of a
language whether it is hard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from polyglance.languages import registry
from polyglance.metrics import significance
from polyglance.report import headline, tables, wording
from polyglance.report.tables import Section, View

# Of fewer a z-score says little: one model has no common view, four languages hardly a spread.
LEAST_MODELS, LEAST_LANGUAGES = 2, 5
_SPREAD_LEAST = 1e-9


@dataclass(frozen=True, kw_only=True)
class HardLanguages:
    """How far languages stand from their models' means, in standard deviations.

    Attributes:
        mean: Over the models, by language, the hardest first.
        by_model: By model and language.
        left_out: Models that score the same in every language.
    """

    mean: Mapping[str, float]
    by_model: Mapping[str, Mapping[str, float]]
    left_out: tuple[str, ...]


def hard_languages(view: View) -> HardLanguages | None:
    """The z-scores of a view, over the languages that all its models have.

    None with fewer than `LEAST_MODELS` models or `LEAST_LANGUAGES` languages.
    """
    shared = sorted(set.intersection(*(set(figures) for figures in view.figures.values())))
    if len(shared) < LEAST_LANGUAGES:
        return None
    values = {
        model: {name: figures[name].value for name in shared}
        for model, figures in view.figures.items()
    }
    # A scorer at chance is so everywhere alike: it has no hard language.
    told = {
        model: row
        for model, row in values.items()
        if max(row.values()) - min(row.values()) > _SPREAD_LEAST
    }
    if len(told) < LEAST_MODELS:
        return None
    found = significance.z_scores(told)
    order = sorted(shared, key=lambda name: (found.mean[name], name))
    return HardLanguages(
        mean={name: found.mean[name] for name in order},
        by_model=found.by_model,
        left_out=tuple(model for model in values if model not in told),
    )


def hard_section(section: Section, *, modality: str) -> str:
    """Bars about the mean with the same numbers as a table; empty where there is nothing to say.

    It shows the main view of the section and needs no script.
    """
    found = hard_languages(section.views[0])
    if found is None:
        return ""
    name = tables.view_name(section.views[0].key, modality=modality)
    heads = "".join(
        f'<th scope="col" class="num">{headline.short_name(section, model)}</th>'
        for model in found.by_model
    )
    widest = max(abs(z) for z in found.mean.values()) or 1.0
    body = ""
    for language, z in found.mean.items():
        cells = "".join(
            f'<td class="num">{z_text(row[language])}</td>' for row in found.by_model.values()
        )
        body += (
            f'<tr><th scope="row">{escape(registry.get_language(language).english_name)}</th>'
            f'<td class="z"><i style="--z:{z / widest:.3f}" class="{_side(z)}"></i></td>'
            f'<td class="num"><b>{z_text(z)}</b></td>{cells}</tr>'
        )
    return (
        '<h3>Hard languages</h3><p class="hint above">How far each language stands below or above '
        f"a model’s own mean over {len(found.mean):,} languages, in standard deviations, and the "
        f"mean of that over {len(found.by_model):,} models; the hardest first. <b>{escape(name)}"
        f"</b>.{escape(left_out_sentence(found))}</p>"
        '<div class="scroller half" role="region" tabindex="0" aria-label="Hard languages">'
        '<table class="hard"><thead><tr><th scope="col">Language</th><th scope="col">'
        '<span class="said">Bar</span></th><th scope="col" class="num">Mean of the models</th>'
        f"{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def left_out_sentence(found: HardLanguages) -> str:
    """Which models say nothing, with a space in front; empty where all do."""
    if not found.left_out:
        return ""
    return f" Without {', '.join(found.left_out)}: the same number in every language."


def z_text(z: float) -> str:
    """A z-score with its sign.

    >>> z_text(1.234), z_text(-0.5), z_text(-0.001)
    ('+1.23', '−0.50', '0.00')
    """
    shown = f"{z:+.2f}"
    return "0.00" if shown[1:] == "0.00" else shown.replace("-", wording.MINUS)


def _side(z: float) -> str:
    return "below" if z < 0 else "above"
