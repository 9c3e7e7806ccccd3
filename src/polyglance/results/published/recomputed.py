"""An author's file checked: its averages recomputed, the paper's figures beside it.

Three things are asked of the numbers of a file. Its own averages are recomputed from its
languages. Where a file has none, the macro average over its languages is made. And whatever the
paper prints of the same model, task, language, metric and direction is laid beside the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polyglance.languages.groups import language_groups
from polyglance.languages.registry import ENGLISH
from polyglance.results.published import GROUP_PREFIX, PublishedNumber, half_unit, published_numbers
from polyglance.results.published.author_files import AVERAGE, read_author_file


@dataclass(frozen=True, kw_only=True)
class OwnAverage:
    """An average that stands in an author's file, and what the file's languages give.

    Attributes:
        number: As it stands there.
        recomputed: From the numbers of the languages, in the same unit.
        num_members: How many numbers those are.
        tolerance: A unit of the last digit that the file's numbers have: half for the average,
            half for its members.
    """

    number: PublishedNumber
    recomputed: float
    num_members: int
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the average follows from the languages, up to rounding."""
        return abs(self.number.value - self.recomputed) <= self.tolerance + 1e-9


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A figure of the paper, and what the author's file gives in its place.

    Attributes:
        printed: As the paper has it.
        file: Name of the author's file.
        value: From the file, in the paper's unit.
    """

    printed: PublishedNumber
    file: str
    value: float

    @property
    def agrees(self) -> bool:
        """Whether the file's number, rounded as the paper does, is the printed one."""
        return abs(self.value - self.printed.value) <= half_unit(self.printed.printed) + 1e-9


@dataclass(frozen=True, kw_only=True)
class Examined:
    """An author's file with all that was asked of it.

    Attributes:
        numbers: As they stand in the file.
        averages: Its own averages, recomputed.
        means: What is made of its languages (`macro_averages`, `class_groups`).
        beside: What the paper prints of the same.
    """

    numbers: tuple[PublishedNumber, ...]
    averages: tuple[OwnAverage, ...]
    means: tuple[PublishedNumber, ...]
    beside: tuple[Beside, ...]


def examine(path: Path) -> Examined:
    """Read an author's file and ask all that this module can ask of it.

    Raises:
        UnavailableError, UnknownNameError, InputError: As `read_author_file`.
    """
    numbers = read_author_file(path)
    of_classes = any(number.metric == "accuracy" for number in numbers)
    means = class_groups(numbers) if of_classes else macro_averages(numbers)
    return Examined(
        numbers=tuple(numbers),
        averages=tuple(own_averages(numbers)),
        means=tuple(means),
        beside=tuple(beside_paper([*numbers, *means])),
    )


def own_averages(numbers: Sequence[PublishedNumber]) -> list[OwnAverage]:
    """The averages that an author's file holds, beside those of its languages.

    Args:
        numbers: All of one file.

    Returns:
        One entry an average whose languages are there, in the file's order.
    """
    by_model: dict[str, list[PublishedNumber]] = {}
    for number in numbers:
        by_model.setdefault(number.model, []).append(number)
    found = []
    for group in by_model.values():
        # Zeros at the end are lost in files, so the longest number tells how they were rounded.
        unit = 2 * min(half_unit(number.printed) for number in group)
        languages = [number for number in group if number.language != AVERAGE]
        for average in group:
            if average.language != AVERAGE:
                continue
            members = [each.value for each in languages if _is_member(each, average)]
            if members:
                found.append(
                    OwnAverage(
                        number=average,
                        recomputed=sum(members) / len(members),
                        num_members=len(members),
                        tolerance=unit,
                    )
                )
    return found


def _is_member(number: PublishedNumber, average: PublishedNumber) -> bool:
    """Whether an average is over a number; `average_recall` is over R@1, R@5 and R@10."""
    return (
        average.task in (number.task, "all")
        and (average.metric == number.metric or average.metric == "average_recall")
        and (average.direction == number.direction or average.direction == "both")
        and number.variant.startswith(average.variant)
    )


def macro_averages(numbers: Iterable[PublishedNumber]) -> list[PublishedNumber]:
    """The mean over languages of each model, task, metric, direction and variant.

    Args:
        numbers: Of one file or several; groups among them are passed over.

    Returns:
        Averages to ten digits behind the point, in the order of the numbers; the note says over
        how many languages.
    """
    groups: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for number in numbers:
        if not number.language.startswith(GROUP_PREFIX):
            key = (number.table, number.model, number.task)
            groups.setdefault((*key, number.metric, number.direction, number.variant), []).append(
                number
            )
    return [_mean_of(members, language=AVERAGE) for members in groups.values()]


def class_groups(numbers: Sequence[PublishedNumber]) -> list[PublishedNumber]:
    """Babel-ImageNet's means over its groups of languages, from a file of its results.

    Each language counts with the translated prompts, or where it has none with its bare labels;
    so does English, which is in no group.

    Args:
        numbers: All of one file.
    """
    best: dict[str, PublishedNumber] = {}
    for number in numbers:
        if number.language not in best or number.variant == "translated":
            best[number.language] = number
    found = [best[ENGLISH]] if ENGLISH in best else []
    for group, names in language_groups("babel-imagenet-100").items():
        if members := [best[name] for name in names if name in best]:
            # The paper prints "v-low".
            found.append(_mean_of(members, language=GROUP_PREFIX + group.replace("very", "v")))
    return [replace(mean, variant="best") for mean in found]


def beside_paper(numbers: Sequence[PublishedNumber]) -> list[Beside]:
    """What the paper prints of the models and languages of an author's file.

    Args:
        numbers: All of one file, and what is made of them (`macro_averages`, `class_groups`).

    Returns:
        One entry a printed figure of the same model, task, split, language, metric, direction,
        caption policy and variant, in the paper's order.
    """
    if not numbers:
        return []
    by_key = {_key(number): number for number in numbers}
    printed = [n for n in published_numbers() if n.paper == numbers[0].paper]
    return [
        Beside(
            printed=number,
            file=by_key[_key(number)].table,
            value=_per(by_key[_key(number)], unit=number.unit),
        )
        for number in printed
        if _key(number) in by_key
    ]


def _key(number: PublishedNumber) -> tuple[str, ...]:
    return (
        number.model,
        number.task,
        number.split,
        number.language,
        number.metric,
        number.direction,
        number.caption_policy,
        number.variant,
    )


def _per(number: PublishedNumber, *, unit: str) -> float:
    """A number in the unit of another."""
    if number.unit == unit:
        return number.value
    return number.value * 100 if unit == "percent" else number.value / 100


def _mean_of(members: Sequence[PublishedNumber], *, language: str) -> PublishedNumber:
    mean = sum(member.value for member in members) / len(members)
    note = f"{len(members)} language{'s' if len(members) > 1 else ''}"
    return replace(members[0], language=language, printed=f"{mean:.10f}", note=note)
