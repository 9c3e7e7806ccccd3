"""Groups of languages: by resources, by script and by family.

Resources go by the number of ImageNet classes that have a label in Babel-ImageNet (298
languages), at the bounds of its released analysis; the paper prints others, which would not give
its own group sizes. The paper evaluates 100 of them: those that XLM-R was pre-trained in and eight
that no machine translates (its table 5). Families are the top level of Glottolog 4.0 (Hammarström,
Forkel and Haspelmath, CC-BY 4.0); an isolate is a family of its own, and what Glottolog sets apart
as `Artificial Language` or `Pidgin` keeps that name. All stand in `groups.tsv`, made by
`tools/make_language_groups.py`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from polyglance import errors
from polyglance.languages import registry

By = Literal["resources", "babel-imagenet-100", "script", "family"]

# Most classes a language of the group has; Babel-ImageNet's released analysis.
RESOURCE_BOUNDS: Mapping[str, int] = MappingProxyType(
    {"very-low": 100, "low": 333, "mid": 666, "high": 1000}
)


@dataclass(frozen=True, slots=True)
class _Facts:
    """A row of the file."""

    family: str
    num_classes: int | None
    is_evaluated: bool
    num_tokens: int | None


def language_groups(by: By) -> Mapping[str, tuple[str, ...]]:
    """The languages of each group, every language of the table in one group at most.

    Args:
        by: `resources` (from very low to high; languages that Babel-ImageNet lacks are in none),
            `babel-imagenet-100` (the same of the 100 languages that its paper evaluates),
            `script` (ISO 15924 codes) or `family`; the last two with the largest group first.

    Raises:
        UnknownNameError: For another way.

    >>> language_groups("family")["Koreanic"]
    ('kor_Hang',)
    """
    if by not in get_args(By):
        raise errors.unknown_name("way to group languages", by, allowed=get_args(By))
    by_classes = by in ("resources", "babel-imagenet-100")
    groups: dict[str, list[str]] = {name: [] for name in RESOURCE_BOUNDS if by_classes}
    for row in registry.all_languages():
        name = {
            "resources": resource_group(row.id),
            "babel-imagenet-100": evaluated_group(row.id),
            "script": row.script,
            "family": family(row.id),
        }[by]
        if name is not None:
            groups.setdefault(name, []).append(row.id)
    if not by_classes:
        groups = dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))
    return MappingProxyType({name: tuple(members) for name, members in groups.items()})


def resource_group(language: str) -> str | None:
    """How well Babel-ImageNet knows a language; None where it does not have it.

    >>> resource_group("deu_Latn"), resource_group("acm_Arab")
    ('high', None)
    """
    count = num_babel_imagenet_classes(language)
    if count is None:
        return None
    return next(name for name, most in RESOURCE_BOUNDS.items() if count <= most)


def evaluated_group(language: str) -> str | None:
    """The same of the 100 languages that Babel-ImageNet's paper evaluates; None for others.

    >>> evaluated_group("deu_Latn"), evaluated_group("eng_Latn")
    ('high', None)
    """
    return resource_group(language) if _facts(language).is_evaluated else None


def evaluated_groups() -> Mapping[str, tuple[str, ...]]:
    """The paper's four groups under names that say how large they are: 17, 32, 35, 16.

    >>> list(evaluated_groups())
    ['very low (17)', 'low (32)', 'mid (35)', 'high (16)']
    """
    return MappingProxyType(
        {
            f"{name.replace('-', ' ')} ({len(members)})": members
            for name, members in language_groups("babel-imagenet-100").items()
        }
    )


def num_babel_imagenet_classes(language: str) -> int | None:
    """For how many of ImageNet's 1,000 classes Babel-ImageNet has a label; None for no language.

    >>> num_babel_imagenet_classes("deu_Latn")
    738
    """
    return _facts(language).num_classes


def num_xlm_r_tokens(language: str) -> int | None:
    """Millions of tokens that XLM-R was pre-trained on, all scripts together; None for no language.

    Source: XLM-R (Conneau et al. 2020), table 6; Babel-ImageNet, figure 4, takes it for how well
    resourced a language is.

    >>> num_xlm_r_tokens("deu_Latn"), num_xlm_r_tokens("ace_Latn")
    (10297, None)
    """
    return _facts(language).num_tokens


def family(language: str) -> str:
    """The family of a language, as Glottolog names it.

    >>> family("eus_Latn"), family("zho_Hant")
    ('Basque', 'Sino-Tibetan')
    """
    return _facts(language).family


def _facts(language: str) -> _Facts:
    return _table()[registry.get_language(language).id]


@cache
def _table() -> Mapping[str, _Facts]:
    path = Path(__file__).with_suffix(".tsv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {
            row["id"]: _Facts(
                row["family"],
                int(row["babel_imagenet_classes"]) if row["babel_imagenet_classes"] else None,
                row["babel_imagenet_100"] == "yes",
                int(row["xlm_r_tokens_millions"]) if row["xlm_r_tokens_millions"] else None,
            )
            for row in rows
        }
