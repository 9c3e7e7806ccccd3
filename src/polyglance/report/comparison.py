"""The comparison of recipes in a report: a table of them, its front, and what to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from polyglance.report import wording


def comparison_section(comparison: Mapping[str, Any] | None) -> str:
    """The section of a comparison; empty without one.

    Args:
        comparison: `compare.Comparison.as_json()`.
    """
    if comparison is None:
        return ""
    split = comparison["main_split"]
    groups = list(comparison["entries"][0]["scores"][split]) if comparison["entries"] else []
    rows = "".join(_row(entry, split=split, groups=groups) for entry in comparison["entries"])
    heads = "".join(
        f'<th scope="col" class="num">{escape(title)}</th>'
        for title in (
            *(
                group if group in ("English", "others") else wording.script_name(group)
                for group in groups
            ),
            "Gain",
            "Trained",
            "Parameters",
            "On disk",
            "A query",
        )
    )
    skipped = "".join(
        f"<li>{escape(name)}: {escape(reason)}</li>"
        for name, reason in comparison["skipped"].items()
    )
    return (
        '<section class="task comparison"><h2>The comparison</h2>'
        f"<p class=lead>{escape(comparison['advice'])}</p>"
        '<div class="scroller" role="region" tabindex="0" aria-label="The comparison of recipes">'
        '<table class="models"><thead><tr><th scope="col">Way</th><th scope="col">Learns from</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="hint">Text to image, R@10 in per cent with 95&nbsp;% intervals over images, '
        f"{_seeds(comparison['seeds'])}, split {escape(wording.split_name(split))}. "
        "★: no other way is as good in score, training time, data and query time. Advice and stars "
        f"are chosen on {comparison['num_dev']} items that are in no figure here.</p>"
        + (f"<h3>Left out</h3><ul>{skipped}</ul>" if skipped else "")
        + "</section>"
    )


def _seeds(seeds: Sequence[int]) -> str:
    return "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds averaged"


def _row(entry: Mapping[str, Any], *, split: str, groups: Sequence[str]) -> str:
    scores, gain = entry["scores"][split], entry["gain"].get(split)
    cells = [_score(scores.get(group)) for group in groups]
    cells.append("–" if gain is None else _signed(gain))
    seconds, size = entry["training_seconds"], entry["size_bytes"]
    cells.append(f"{seconds:,.1f} s" if seconds else "–")
    cells.append(f"{entry['num_trainable_parameters']:,}")
    cells.append(f"{size / 2**20:,.1f} MB" if size else "–")
    cells.append(f"{entry['query_milliseconds']:.1f} ms")
    star = " ★" if entry["on_front"] else ""
    numbers = "".join(f'<td class="num">{cell}</td>' for cell in cells)
    return (
        f'<tr><th scope="row">{escape(entry["name"])}{star}</th>'
        f"<td>{escape(entry['data'])}</td>{numbers}</tr>"
    )


def _score(score: Mapping[str, float] | None) -> str:
    if score is None:
        return "–"
    span = wording.span(score["low"], score["high"])
    return f"<b>{wording.per_cent(score['mean'])}</b> <small>{span}</small>"


def _signed(gain: Mapping[str, float]) -> str:
    span = wording.span(gain["low"], gain["high"])
    return f"<b>{wording.points(gain['mean'])}</b> <small>{span}</small>"
