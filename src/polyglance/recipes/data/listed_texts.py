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
REFUSE: MissingTexts = "refuse"
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
    asked = {name: _distinct(part) for name, part in rows.items()}
    lacking = {name: found for name, told in asked.items() if (found := text.lacking(told))}
    if not lacking:
        return Listed(training_data=training_data, dev_parallel=dev_parallel, facts={})
    if policy == "refuse":
        others = "; or learn from the others: --missing-texts leave-out"
        raise _missing(lacking, asked, text=text, others=others)
    if any(len(found) == len(asked[name]) for name, found in lacking.items()):
        raise _missing(lacking, asked, text=text, others="")
    absent = {name: set(found) for name, found in lacking.items()}
    kept = {
        name: [row for row in part if _english(row) not in absent.get(name, ())]
        for name, part in rows.items()
    }
    dev_kept = kept.pop(DEV_PARALLEL)
    return Listed(
        training_data=replace(training_data, **kept),  # type: ignore[arg-type]  # of texts alone
        dev_parallel=dev_kept,
        facts={"texts_without_vector_left_out": {n: len(texts) for n, texts in lacking.items()}},
    )


def _english(row: str | Pair) -> str:
    return row if isinstance(row, str) else row.text_a


def _distinct(rows: Sequence[str | Pair]) -> list[str]:
    """The English texts, each once; blank ones are learnt from by nobody."""
    return [text for text in dict.fromkeys(map(_english, rows)) if text.strip()]


def _missing(
    lacking: Mapping[str, list[str]], asked: Mapping[str, list[str]], *, text: Side, others: str
) -> errors.TrainingError:
    counts = ", ".join(
        f"{len(found):,} of {len(asked[name]):,} English texts ({name})"
        for name, found in lacking.items()
    )
    first = ", ".join(map(repr, next(iter(lacking.values()))[:_SHOWN]))
    there = next(iter(text.tower.ids or ()))
    return errors.TrainingError(
        f"{text.reference} has no vector of {counts}, first {first}; it only looks texts up, and "
        f"they are compared exactly: it holds for example {there!r}",
        hint="encode them with the model that made the vectors, and add them with their vectors"
        + others,
    )
