"""The model card of an export: metadata as hubs read it, use, notes, scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from polyglance.export.request import Order
from polyglance.languages.registry import get_language
from polyglance.model import card
from polyglance.results.schema import Result
from polyglance.storage import locations
from polyglance.towers import parse_reference
from polyglance.towers.trainable.tuned import TunedTower

FILE = "README.md"
# What a hub calls the task, by who asks whom.
TASK_TYPES = {
    "text_to_content": "text-to-image-retrieval",
    "content_to_text": "image-to-text-retrieval",
    "content_to_class": "zero-shot-image-classification",
}
# The tags that a form's readers look for.
TAGS = ("multilingual", "clip", "language-pack", "image-text-retrieval")


def render(order: Order, *, library: str, usage: str, notes: Sequence[str]) -> str:
    """The card in Markdown, its metadata block in front.

    Args:
        order: The pack with its scores.
        library: What reads the folder.
        usage: Markdown: how it is used.
        notes: What whoever uses it must know, a sentence or two each.
    """
    parts = [
        f"---\n{_metadata(order, library)}---\n",
        card.body(order.pack.manifest, usage="\n\n".join([usage.strip(), *notes])),
        *_measured(order.results),
        "## Licence\n",
        _licence(order),
    ]
    return "\n".join(parts)


def _metadata(order: Order, library: str) -> str:
    from huggingface_hub import ModelCardData

    manifest = order.pack.manifest
    spoken = set(manifest.languages) | {row.language for row in order.results}
    results = list(_eval_results(order))
    data = ModelCardData(
        language=sorted({get_language(name).bcp47 for name in spoken}) or None,
        # A hub wants a name; "other" sends the reader to the section below.
        license=order.license or "other",
        license_name=None if order.license else "that-of-its-parts",
        library_name=library,
        tags=[*TAGS, manifest.recipe],
        base_model=_base_models(order) or None,
        model_name=f"{manifest.recipe} pack for {manifest.teacher}" if results else None,
        eval_results=results or None,
    )
    return f"{data.to_yaml()}\n"


def _eval_results(order: Order) -> Iterator[Any]:
    """Scores by language and task, in per cent, in the order of the card."""
    from huggingface_hub import EvalResult

    for language, score in sorted(order.pack.manifest.languages.items()):
        if score.pack is None:
            continue
        yield EvalResult(
            task_type=TASK_TYPES["text_to_content"],
            dataset_type="dev",
            dataset_name=f"dev split of the training data, {language}",
            dataset_config=language,
            metric_type="hit_rate_at_10",
            metric_name="R@10 in per cent",
            metric_value=round(100 * score.pack, 2),
        )
    for row in order.results:
        for metric, value in row.values.items():
            yield EvalResult(
                task_type=TASK_TYPES.get(row.direction, row.direction.replace("_", "-")),
                dataset_type=row.task,
                dataset_name=f"{row.task}, {row.language}",
                dataset_config=row.language,
                dataset_split=row.split,
                metric_type=metric,
                metric_name=f"{metric} in per cent",
                metric_value=round(100 * value, 2),
                metric_args=_asked(row) or None,
            )


def _asked(row: Result) -> dict[str, Any]:
    """What two rows of one task and language can differ in."""
    facts = {"direction": row.direction, "captions": row.caption_policy, "variant": row.variant}
    return {name: value for name, value in facts.items() if value and value != "none"}


def _measured(results: Sequence[Result]) -> Iterator[str]:
    if not results:
        return
    yield "## Measured\n"
    yield "In per cent, with 95 % intervals where they were drawn.\n"
    yield "| task | language | who asks | metric | score | interval |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in results:
        for metric, value in row.values.items():
            low, high = row.intervals.get(metric, (None, None))
            interval = "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"
            yield (
                f"| {row.task} ({row.split}) | `{row.language}` | {row.direction} | {metric} "
                f"| {100 * value:.1f} | {interval} |"
            )
    yield ""


def _base_models(order: Order) -> list[str]:
    """The hub names among teacher and tower; folders of this disk are left out."""
    manifest = order.pack.manifest
    tower = order.pack.side.tower
    base = [tower.tuning.base] if isinstance(tower, TunedTower) else []
    references = [manifest.teacher, manifest.tower, *base]
    names = [
        parse_reference(reference).location
        for reference in references
        if reference.startswith(("hf:", "sentence:"))
    ]
    return sorted({name for name in names if locations.HUB_ID.fullmatch(name)})


def _licence(order: Order) -> str:
    if order.license:
        return f"`{order.license}`, as whoever exported it said.\n"
    manifest = order.pack.manifest
    return (
        f"Nobody named one. Weights that come from `{manifest.tower}` or `{manifest.teacher}` stay "
        "under the licences of those.\n"
    )
