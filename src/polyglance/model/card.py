"""The README of a pack, made from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyglance.languages.registry import ENGLISH, get_language
from polyglance.model.manifest import PackManifest
from polyglance.results import measured

SEARCH = """
```bash
polyglance search 'a question' --language fr --index INDEX --pack PACK
```
"""


def render(manifest: PackManifest) -> str:
    """The model card in Markdown, with the metadata block that model hubs read."""
    tags = sorted({get_language(name).bcp47 for name in manifest.languages})
    lines = ["---", "library_name: polyglance", "tags: [multilingual, clip, language-pack]"]
    if tags:
        lines += ["language:", *(f"- {tag}" for tag in tags)]
    return "\n".join([*lines, "---", "", body(manifest)])


def body(manifest: PackManifest, *, usage: str = SEARCH) -> str:
    """The card behind its metadata: what the pack is, how it is used, its scores by language.

    Args:
        manifest: Of the pack.
        usage: Markdown that says how the folder is used.
    """
    lines = [
        f"# A language pack for `{manifest.teacher}`",
        "",
        f"Made with the recipe `{manifest.recipe}` by polyglance {manifest.polyglance_version}. It",
        "gives an existing index of that model new languages; no image is encoded again",
        f"(content side: {manifest.content}).",
        "",
        usage.strip(),
        "",
        f"- text tower: `{manifest.tower}` ({manifest.tower_fingerprint})",
        f"- space: `{manifest.space_id}`",
        f"- trainable parameters: {manifest.num_trainable_parameters:,}",
        f"- training: {manifest.training_seconds:.1f} s",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in manifest.data.items()),
        "",
    ]
    for task, found in manifest.measured.items():
        lines += _measured_table(manifest, task, found)
    if manifest.languages:
        lines += _score_table(manifest)
    if manifest.score_distribution:
        lines += _distribution_table(manifest)
    return "\n".join(lines) + "\n"


def _measured_table(manifest: PackManifest, task: str, found: Mapping[str, Any]) -> list[str]:
    """What an evaluation found by language, and which languages nobody measured."""
    spoken = found["languages"]
    rows = [
        f"| {get_language(name).english_name} | `{name}` | {scores['num_queries']:,} | "
        f"{' | '.join(measured.cells(scores))} |"
        for name, scores in spoken.items()
    ]
    others = sorted(
        get_language(name).english_name
        for name in manifest.languages
        if name not in spoken and name != ENGLISH
    )
    return [
        f"## Measured on {task}",
        "",
        f"Text to item, split {found['split']}, {found['num_candidates']:,} candidates, captions: "
        f"{found['caption_policy']}; per cent with 95 % intervals. English is answered by the "
        "model itself.",
        "",
        "| language | id | queries | R@1 | R@5 | R@10 |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"Nobody measured it in the other {len(others)} languages that it lists: "
        f"{', '.join(others)}."
        if others
        else "It lists no other language.",
        "",
    ]


def _score_table(manifest: PackManifest) -> list[str]:
    """Dev scores by language, best first, and who answers."""
    best_first = sorted(
        manifest.languages.items(),
        key=lambda row: -1.0 if row[1].pack is None else row[1].pack,
        reverse=True,
    )
    rows = [
        f"| {get_language(name).english_name} | `{name}` | {_per_cent(score.pack)} "
        f"| {_per_cent(score.teacher)} | {score.speaks} |"
        for name, score in best_first
    ]
    return [
        "## Dev scores",
        "",
        "R@10 in per cent on a dev split; `dev`, above, says what was asked for. Queries in a",
        *(
            (
                "language go to the pack, in English as well: the teacher was at hand only as",
                "vectors of listed texts, and reads no others.",
            )
            if manifest.probe_texts
            else (
                "language go to whoever is better there, to the pack where nobody measured;",
                "English always goes to the teacher, with vectors unchanged.",
            )
        ),
        "",
        "| language | id | pack | teacher | who answers |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _per_cent(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.1f}"


def _distribution_table(manifest: PackManifest) -> list[str]:
    """Quantiles of the best cosine of a query, for owners of thresholds."""
    quantiles = list(next(iter(manifest.score_distribution.values())))
    return [
        "## Cosine of the best answer",
        "",
        "For those who cut answers off at a threshold.",
        "",
        f"| who | {' | '.join(quantiles)} |",
        f"| --- |{' --- |' * len(quantiles)}",
        *(
            f"| {who} | {' | '.join(f'{values[q]:.3f}' for q in quantiles)} |"
            for who, values in manifest.score_distribution.items()
        ),
        "",
    ]
