"""From captions by language to a retrieval task: what the loaders share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from polyglance import errors
from polyglance.records import Caption, Quarantined
from polyglance.results.schema import CaptionPolicy
from polyglance.sources import captions
from polyglance.sources.text_lines import SetAside
from polyglance.tasks.retrieval import Metric, RetrievalData
from polyglance.tasks.rows import each_language

T = TypeVar("T")


def task_of(
    task: str,
    rows: Mapping[str, Sequence[Caption]],
    *,
    policy: CaptionPolicy = "first",
    split: str = "test",
    metric: Metric = "hit_rate",
    set_aside: Sequence[Quarantined] = (),
) -> RetrievalData:
    """A task whose content items are all those that any language has captions of.

    A language without one is set aside.

    Raises:
        InputError: Where there is no caption at all.
    """
    captioned = {language: listed for language, listed in rows.items() if listed}
    ids = tuple(dict.fromkeys(c.item_id for listed in captioned.values() for c in listed))
    if not ids:
        raise errors.InputError(
            f"{task} has no caption to measure in {', '.join(rows) or 'any language'}",
            hint="look at the files in --data: is the file of captions empty, or of another split?",
        )
    empty = [Quarantined(name, "no caption to measure") for name in rows if name not in captioned]
    return RetrievalData(
        task=task,
        item_ids=ids,
        captions=captioned,
        policy=policy,
        splits={split: np.ones(len(ids), bool)},
        metric=metric,
        set_aside=(*set_aside, *empty),
    )


def by_language(
    folder: Path,
    languages: list[str] | None,
    *,
    pattern: str,
    dataset: str,
    read: Callable[[str, SetAside], list[Caption]],
) -> tuple[dict[str, list[Caption]], tuple[Quarantined, ...]]:
    """Captions by language, and what stood aside: files of no language, lines of no caption."""
    found = captions.find_files(folder, pattern, dataset=dataset)
    aside = list(found.set_aside)

    def failed(name: str, error: errors.InputError) -> None:
        where = str(found.paths[name].relative_to(folder)) if name in found.paths else name
        aside.append(Quarantined(where, f"{error.message}; {error.hint}"))

    rows = each_language(
        languages or found.paths, lambda name: read(name, aside.append), failed=failed
    )
    return rows, tuple(aside)


def pick(names: Mapping[str, T], languages: list[str] | None, task: str) -> dict[str, T]:
    """The languages wanted of those that are there.

    Raises:
        LanguageError: For one that is not there.
    """
    if languages is None:
        return dict(names)
    lacking = [language for language in languages if language not in names]
    if lacking:
        raise errors.LanguageError(
            f"{task} has nothing in {', '.join(lacking)}; it has {', '.join(sorted(names))}",
            hint="leave those out",
        )
    return {language: names[language] for language in languages}


def plain_or_gzip(path: Path) -> Path:
    """The file, or the same with `.gz` behind its name where only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path
