"""Which published numbers a task here meets under exactly the paper's protocol, and why not others.

A number is met where a result of a task here, in the number's language, would be given it by
`published.comparable`, or results in all languages of its group by `groups.comparable_means`. What
a task's results hold is said in `FORMS` by kind and metric; tests hold it against real results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from polyglance.evaluation.retrieval import AVERAGE_RECALL, HIT_RATES, KS, RECIPROCAL_RANK
from polyglance.evaluation.text import MEAN_ACCURACY
from polyglance.metrics.relevance import CAPTION_POLICIES
from polyglance.results import published
from polyglance.results.published import PublishedNumber, groups
from polyglance.results.published.reasons import reason_of
from polyglance.results.schema import CaptionPolicy, Direction, Result
from polyglance.tasks import TASKS
from polyglance.tasks.classification import VARIANTS
from polyglance.tasks.topics import REFERENCES

# A reason that no table gives: what has it is a gap of the tables, and a test finds it.
UNEXPLAINED = "no reason given"


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the results of a kind of task hold.

    Attributes:
        directions: Which side asks.
        values: Names of the values.
        policies: Which captions may take part.
        variants: Ways to ask.
    """

    directions: tuple[Direction, ...]
    values: tuple[str, ...]
    policies: tuple[CaptionPolicy, ...] = ("none",)
    variants: tuple[str, ...] = ("",)


def _retrieval(*more: str) -> Form:
    return Form(
        directions=("text_to_content", "content_to_text"),
        values=(*HIT_RATES, RECIPROCAL_RANK, AVERAGE_RECALL, *more),
        policies=CAPTION_POLICIES,
    )


_CLASSES = Form(
    directions=("content_to_class",), values=("accuracy", "macro_f1"), variants=VARIANTS
)
# By a task's kind and the metric that its row names.
FORMS: Mapping[tuple[str, str], Form] = MappingProxyType(
    {
        ("retrieval", "hit_rate"): _retrieval(),
        ("retrieval", "average_recall"): _retrieval(),
        ("retrieval", RECIPROCAL_RANK): _retrieval(*(f"{RECIPROCAL_RANK}_at_{k}" for k in KS)),
        ("classification", "accuracy"): _CLASSES,
        ("classification", "macro_f1"): _CLASSES,
        ("classification", "knn_accuracy"): Form(
            directions=("content_to_content",), values=("hit_rate_at_1",)
        ),
        ("text", "spearman"): Form(directions=("text_with_other",), values=("spearman",)),
        ("text", "hit_rate"): Form(
            directions=("text_to_other", "other_to_text"),
            values=(*HIT_RATES, RECIPROCAL_RANK),
            policies=("unique",),
        ),
        ("text", "accuracy"): Form(
            directions=("text_to_other", "other_to_text"), values=("accuracy", MEAN_ACCURACY)
        ),
    }
)
# Tasks whose results are not those of their kind.
FORMS_OF_TASKS: Mapping[str, Form] = MappingProxyType(
    {
        "mvl-sib": Form(
            directions=("content_to_text", "text_to_content"),
            values=("accuracy",),
            variants=tuple(f"{n} reference{'s' if n > 1 else ''}" for n in REFERENCES),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class Covered:
    """A published number, and whether a result of ours may stand beside it.

    Attributes:
        number: As it is printed.
        reason: Why none may, one of `reasons.REASONS`; empty where one may.
        why: What else there is to say of that.
    """

    number: PublishedNumber
    reason: str = ""
    why: str = ""

    @property
    def comparable(self) -> bool:
        """Whether a result of a task here meets it."""
        return not self.reason


def coverage(numbers: Iterable[PublishedNumber] | None = None) -> list[Covered]:
    """Whether each number can be met, in the order of the numbers.

    Args:
        numbers: Which ones; None takes all.
    """
    found = published.published_numbers() if numbers is None else numbers
    return [_covered(number) for number in found]


def form_of(task: str) -> Form:
    """What the results of a task of `TASKS` hold."""
    row = TASKS[task]
    return FORMS_OF_TASKS.get(task) or FORMS[row.kind, row.metric]


def _covered(number: PublishedNumber) -> Covered:
    said = reason_of(number)
    if said is not None:
        return Covered(number=number, reason=said[0], why=said[1])
    return Covered(number=number, reason="" if _is_met(number) else UNEXPLAINED)


def _is_met(number: PublishedNumber) -> bool:
    if not groups.is_group(number):
        pair = (number.language, number.other_language)
        return any(number in published.comparable(row) for row in _results_in(number, pair))
    pairs = groups.members(number)
    rows = [row for pair in pairs for row in _results_in(number, _ordered(pair))]
    return any(found.number == number for found in groups.comparable_means(rows))


def _ordered(pair: groups.Pair) -> tuple[str, str]:
    """A pair as a result writes it; of a language with itself, a set holds one."""
    listed = sorted(pair) if isinstance(pair, frozenset) else list(pair)
    return listed[0], listed[-1]


def _results_in(number: PublishedNumber, pair: tuple[str, str]) -> Iterator[Result]:
    """The results that its task would give, in one language, asked as the number was."""
    row = TASKS.get(number.task)
    if row is None or number.split not in row.splits:
        return
    form = form_of(number.task)
    if number.variant not in form.variants:
        return
    for policy in form.policies:
        for direction in form.directions:
            if policy == number.caption_policy and number.direction in (direction, "both"):
                yield Result(
                    task=number.task,
                    split=number.split,
                    language=pair[0],
                    other_language=pair[1],
                    direction=direction,
                    metric=row.metric,
                    caption_policy=policy,
                    variant=number.variant,
                    values=dict.fromkeys(form.values, 0.5),
                    num_queries=1,
                    num_candidates=1,
                    model="ours",
                    model_id="",
                    data_id="",
                )
