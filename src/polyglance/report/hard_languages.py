"""Languages that are hard for every model, by z-scores within each model.

As in uCLIP's figure 2: a z-score takes away how good a model is, so that what is left says of a
language whether it is hard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polyglance.metrics import significance
from polyglance.report import wording
from polyglance.report.tables import View

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

    @property
    def widest(self) -> float:
        """The largest distance of a language; 1 where there is none."""
        return max(abs(z) for z in self.mean.values()) or 1.0


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
