"""Scores that a pack carries: what an evaluation found, by task and language, for its card.

    {"flickr8k": {"split": "test", "caption_policy": "first", "num_candidates": 1000,
                  "languages": {"deu_Latn": {"num_queries": 912,
                                             "hit_rate_at_10": [0.55, 0.52, 0.58]}}}}

Each score stands with both ends of its 95 % interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from polyglance.results.schema import Result

KS = (1, 5, 10)


def of_results(results: Iterable[Result]) -> dict[str, Any]:
    """Hit rates of text to item by task and language, each with its interval.

    Args:
        results: Of one model with one pack, in one split; those of other directions and metrics
            are left out.
    """
    found: dict[str, Any] = {}
    for row in results:
        if row.direction != "text_to_content" or row.metric != "hit_rate":
            continue
        task = found.setdefault(
            row.task,
            {
                "split": row.split,
                "caption_policy": row.caption_policy,
                "num_candidates": row.num_candidates,
                "languages": {},
            },
        )
        scores: dict[str, Any] = {"num_queries": row.num_queries}
        for k in KS:
            name = f"hit_rate_at_{k}"
            value = row.values[name]
            ends = row.intervals.get(name, (value, value))
            scores[name] = [round(each, 4) for each in (value, *ends)]
        task["languages"][row.language] = scores
    return found


def cells(scores: Mapping[str, Any]) -> list[str]:
    """R@1, R@5 and R@10 in per cent, with their intervals, as a table shows them.

    >>> cells({"hit_rate_at_1": [0.2, 0.18, 0.22], "hit_rate_at_5": [0.5, 0.47, 0.53],
    ...        "hit_rate_at_10": [0.6, 0.57, 0.63]})
    ['20.0 [18.0, 22.0]', '50.0 [47.0, 53.0]', '60.0 [57.0, 63.0]']
    """
    listed = []
    for k in KS:
        value, low, high = (100 * each for each in scores[f"hit_rate_at_{k}"])
        listed.append(f"{value:.1f} [{low:.1f}, {high:.1f}]")
    return listed
