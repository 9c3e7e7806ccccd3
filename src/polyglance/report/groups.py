"""Language groups as readers see them: by resources, script and family, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from polyglance.languages import groups
from polyglance.report import tables, wording
from polyglance.report.tables import Figure, View

TITLES: Mapping[groups.By, str] = MappingProxyType(
    {
        "resources": "Resources",
        "babel-imagenet-100": "Babel-ImageNet’s 100",
        "script": "Script",
        "family": "Family",
    }
)
_RESOURCES = MappingProxyType({"high": "high", "mid": "mid", "low": "low", "very-low": "very low"})
UNKNOWN_RESOURCES = "not in Babel-ImageNet"
NOT_EVALUATED = "not among the 100"


@cache
def group_of(language: str, by: groups.By) -> str:
    """The name of a language's group.

    >>> group_of("deu_Latn", "resources"), group_of("deu_Latn", "script")
    ('high', 'Latin')
    """
    if by == "script":
        return wording.script_name(language.split("_")[1])
    if by == "family":
        return groups.family(language)
    if by == "babel-imagenet-100":
        return _RESOURCES.get(groups.evaluated_group(language) or "", NOT_EVALUATED)
    return _RESOURCES.get(groups.resource_group(language) or "", UNKNOWN_RESOURCES)


def members(languages: Sequence[str], by: groups.By) -> dict[str, list[str]]:
    """Languages by the name of their group: resources from high to none, else the largest first.

    >>> members(["deu_Latn", "hin_Deva", "acm_Arab"], "resources")
    {'high': ['deu_Latn'], 'mid': ['hin_Deva'], 'not in Babel-ImageNet': ['acm_Arab']}
    """
    found: dict[str, list[str]] = {}
    for language in languages:
        found.setdefault(group_of(language, by), []).append(language)
    if by in ("resources", "babel-imagenet-100"):
        order = [*_RESOURCES.values(), UNKNOWN_RESOURCES, NOT_EVALUATED]
        return {name: found[name] for name in order if name in found}
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def group_means(view: View, by: groups.By) -> dict[str, tuple[int, Mapping[str, Figure | None]]]:
    """By group: how many languages every model of the view has there, and each model's mean."""
    shared = sorted(set.intersection(*(set(figures) for figures in view.figures.values())))
    return {
        name: (
            len(inside),
            {
                model: tables.mean_figure([figures[language] for language in inside])
                for model, figures in view.figures.items()
            },
        )
        for name, inside in members(shared, by).items()
    }
