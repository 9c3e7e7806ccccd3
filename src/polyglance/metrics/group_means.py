"""Means of groups of languages: each counted once, those without a value named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class GroupMean:
    """The mean over the members of a group that have a value.

    Attributes:
        mean: None where no member has one.
        num_members: How many have one.
        missing: Members without one, sorted.
    """

    mean: float | None
    num_members: int
    missing: tuple[str, ...]


def group_means(
    values: Mapping[str, float], *, groups: Mapping[str, Collection[str]]
) -> dict[str, GroupMean]:
    """Unweighted mean of the members' values, for each group of languages.

    Args:
        values: A value for each language.
        groups: The languages of each group.

    Returns:
        In the order of the groups; members without a value are named, never counted as 0.

    >>> group_means({"a": 1.0, "b": 0.0}, groups={"both": ["a", "b", "c"]})["both"]
    GroupMean(mean=0.5, num_members=2, missing=('c',))
    """
    found = {}
    for name, members in groups.items():
        known = [values[member] for member in members if member in values]
        found[name] = GroupMean(
            mean=float(np.mean(known)) if known else None,
            num_members=len(known),
            missing=tuple(sorted(set(members) - set(values))),
        )
    return found
