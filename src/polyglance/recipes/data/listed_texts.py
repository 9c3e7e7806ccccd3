"""English texts that a teacher of vectors has no vector of: refused before training, or left out.

A `precomputed` text side knows the texts of its list and no other. What a recipe asks the teacher
is looked for there before any work begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from polyglance import errors
from polyglance.model.side import Side
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Pair

MissingTexts = Literal["refuse", "leave-out"]
# In the place of a field's name: translations that only measure.
DEV_PARALLEL = "dev_parallel"
_SHOWN = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Listed:
    """What a teacher can be asked.

    Attributes:
        training_data: To learn from.
        dev_parallel: Translations that only measure.
        facts: How many texts were left out, by where they were; empty where none was.
    """

    training_data: TrainingData
    dev_parallel: Sequence[Pair]
    facts: Mapping[str, Any]


def require_policy(policy: str) -> None:
    """Refuse another word.

    Raises:
        UnknownNameError: It is none of the two.
    """
    if policy not in get_args(MissingTexts):
        raise errors.unknown_name("policy on missing texts", policy, allowed=get_args(MissingTexts))


def of_teacher(
    training_data: TrainingData,
    text: Side,
    *,
    asks: Sequence[str],
    dev_parallel: Sequence[Pair] = (),
    policy: str = "refuse",
) -> Listed:
    """Look for every English text that a teacher will be asked for.

    Args:
        training_data: All that there is to learn from.
        text: The teacher's text side; nothing is lacking where it encodes.
        asks: Fields of the training data whose English texts the recipe asks the teacher for.
        dev_parallel: Translations that only measure.
        policy: `refuse` or `leave-out`.

    Raises:
        UnknownNameError: For another policy.
        TrainingError: Where texts have no vector: with `refuse` any, with `leave-out` all of a
            kind.
    """
    require_policy(policy)
    rows: dict[str, Sequence[Any]] = {name: getattr(training_data, name) for name in asks}
    rows[DEV_PARALLEL] = dev_parallel
    lacking = {name: set(text.lacking(map(_english, part))) for name, part in rows.items()}
    lacking = {name: absent for name, absent in lacking.items() if absent}
    if not lacking:
        return Listed(training_data=training_data, dev_parallel=dev_parallel, facts={})
    kept = {
        name: [row for row in part if _english(row) not in lacking.get(name, ())]
        for name, part in rows.items()
    }
    if policy == "refuse" or not all(kept[name] for name in lacking):
        raise _missing(lacking, rows, text=text)
    dev_kept = kept.pop(DEV_PARALLEL)
    return Listed(
        training_data=replace(training_data, **kept),  # type: ignore[arg-type]  # of texts alone
        dev_parallel=dev_kept,
        facts={"texts_without_vector_left_out": {n: len(texts) for n, texts in lacking.items()}},
    )


def _english(row: str | Pair) -> str:
    return row if isinstance(row, str) else row.text_a


def _missing(
    lacking: Mapping[str, set[str]], rows: Mapping[str, Sequence[Any]], *, text: Side
) -> errors.TrainingError:
    counts = ", ".join(
        f"{len(absent):,} of {len(set(map(_english, rows[name]))):,} English texts ({name})"
        for name, absent in lacking.items()
    )
    # In the order of the data, so that the first one is easily found.
    name, absent = next(iter(lacking.items()))
    first = [row for row in dict.fromkeys(map(_english, rows[name])) if row in absent][:_SHOWN]
    there = next(iter(text.tower.ids or ()))
    return errors.TrainingError(
        f"{text.reference} has no vector of {counts}, first {', '.join(map(repr, first))}; it only "
        f"looks texts up, and they are compared exactly: it holds for example {there!r}",
        hint="encode them with the model that made the vectors, and add them with their vectors; "
        "or learn from the others: --missing-texts leave-out",
    )
