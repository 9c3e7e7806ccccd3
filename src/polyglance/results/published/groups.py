"""The languages behind a printed mean, so that a mean of results may stand beside it.

A row of `groups.tsv` names a table, or several with `|` between them, conditions on its means in
the form of `averages`, and their languages; the first row that a mean meets counts. These are

    own                                   those that the same model prints there of the same task
    @TABLE|TABLE!LANGUAGE in ENCODER      those of other tables of the same task, less what follows
                                          `!`, and of `encoder_languages` only what the encoder has
    deu_Latn fra_Latn ...                 language ids

M2M's lists of supported languages (its table 4) have Tagalog, `tl`; XM3600 has Filipino, `fil`. The
author's files by language show that the means of table 9 leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from polyglance.languages.encoder_languages import among, languages_in
from polyglance.results import published
from polyglance.results.published import PublishedNumber, averages
from polyglance.results.schema import Result

OWN = "own"
Pair = frozenset[str] | tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class ComparableMean:
    """A printed mean beside the mean of a model's results over the same languages.

    Attributes:
        number: As it is printed; `PublishedNumber.fraction` is in the unit of `mean`.
        like: One of the results, which share all but their languages.
        mean: Unweighted, of the results' values.
        num_members: Over how many languages, or pairs of them.
    """

    number: PublishedNumber
    like: Result
    mean: float
    num_members: int


def is_group(number: PublishedNumber) -> bool:
    """Whether a number is of several languages together."""
    return number.language == published.ALL_LANGUAGES or number.language.startswith(
        published.GROUP_PREFIX
    )


def members(number: PublishedNumber) -> frozenset[Pair]:
    """Language, and other language, of each member of a number's group; none where unknown.

    In `text_with_other` a pair has no order, as for `published.comparable`.
    """
    rows = _rows().get(number.table, ()) if is_group(number) else ()
    said = next((said for where, said in rows if averages.meets(number, where)), None)
    if said is None:
        return frozenset()
    if said == OWN:
        beside = (
            one
            for one in published.numbers_of(number.table)
            if (one.model, one.task) == (number.model, number.task)
        )
        return frozenset(published.pair_of(one) for one in beside if not is_group(one))
    if said.startswith("@"):
        listed, _, encoder = said[1:].partition(" in ")
        tables, _, left_out = listed.partition("!")
        supported = languages_in(encoder) if encoder else None
        return frozenset(
            published.pair_of(one)
            for table in tables.split("|")
            for one in published.numbers_of(table)
            if one.task == number.task and not is_group(one) and one.language != left_out
            if supported is None or among(one.language, supported)
        )
    return frozenset((language, number.other_language) for language in said.split())


def comparable_means(results: Iterable[Result]) -> list[ComparableMean]:
    """The printed means that may be set beside means of results.

    As `published.comparable`, and only where a model has a result in every language of the group.

    Args:
        results: Of any models and tasks.
    """
    by_model: dict[tuple[object, ...], dict[Pair, Result]] = {}
    for row in results:
        key = (row.called, row.model_id, row.direction, *published.asked_as(row))
        by_model.setdefault(key, {}).setdefault(published.pair_of(row), row)
    found = []
    for (_, _, direction, *asked), rows in by_model.items():
        like = next(iter(rows.values()))
        for number, group in _by_asked().get(tuple(asked), ()):
            if number.direction not in (direction, "both") or not group <= rows.keys():
                continue
            inside = [rows[pair].values for pair in group]
            if all(number.metric in values for values in inside):
                mean = sum(values[number.metric] for values in inside) / len(inside)
                found.append(
                    ComparableMean(number=number, like=like, mean=mean, num_members=len(inside))
                )
    return found


@cache
def _by_asked() -> dict[tuple[object, ...], list[tuple[PublishedNumber, frozenset[Pair]]]]:
    """All numbers of known groups by what they share with results that may stand beside them."""
    found: dict[tuple[object, ...], list[tuple[PublishedNumber, frozenset[Pair]]]] = {}
    for number in published.published_numbers():
        if is_group(number) and number.fraction is not None and (group := members(number)):
            found.setdefault(published.asked_as(number), []).append((number, group))
    return found


@cache
def _rows() -> dict[str, list[tuple[averages.Conditions, str]]]:
    """By table: conditions on a mean, and what is said of its languages."""
    found: dict[str, list[tuple[averages.Conditions, str]]] = {}
    columns = ("table", "where", "languages")
    for row in published.read_rows(published.FOLDER / "groups.tsv", required=columns):
        for table in row["table"].split("|"):
            where = averages.conditions(row["where"])
            found.setdefault(table, []).append((where, row["languages"]))
    return found
