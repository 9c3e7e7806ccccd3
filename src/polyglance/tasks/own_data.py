"""Tasks on a data set of the user's own, in the form of the library `datasets`.

    image   caption_de   caption_en    a column a language: CODE, caption_CODE, text_CODE, ...
    image   captions     language      a row's own language; one caption or a list of them
    image   label                      classes, named by ClassLabel or by the labels themselves

Legend: M items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from polyglance import errors
from polyglance.languages.registry import ENGLISH, normalise_language
from polyglance.records import Caption, LabelSet, MediaFile, Quarantined
from polyglance.sources import arrow_datasets, labels, language_files
from polyglance.sources.arrow_datasets import SavedDataset
from polyglance.sources.text_lines import SetAside, entry_of, require_text, unusable
from polyglance.tasks import captioned
from polyglance.tasks.classification import ClassificationData, picked
from polyglance.tasks.fetching import required
from polyglance.tasks.retrieval import RetrievalData
from polyglance.tasks.rows import Task

TEXT_COLUMNS = ("caption", "captions", "text", "texts", "sentence", "sentences", "description")
LANGUAGE_COLUMNS = ("language", "lang", "locale")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label")
CAST = "cast it: cast_column('label', datasets.ClassLabel(names=[...]))"
FORM = ("state.json and *.arrow (save_to_disk)", "or *.parquet")


def text_columns(dataset: SavedDataset, *, set_aside: SetAside) -> dict[str, str | None]:
    """The columns of captions, and the language of each; None where each row says its own.

    Args:
        dataset: Which.
        set_aside: Told of columns of captions whose language is not understood.

    Raises:
        InputError: There is none, or its language is not said.
    """
    found: dict[str, str | None] = {}
    aside: list[Quarantined] = []
    for name in dataset.columns:
        before, _, code = name.partition("_")
        is_text = before in TEXT_COLUMNS and bool(code)
        if not is_text:
            code = name
        if name in arrow_datasets.ID_COLUMNS or not language_files.is_code(code):
            continue
        try:
            language = normalise_language(code)
            if language in found.values():
                first = next(one for one, known in found.items() if known == language)
                reason = f"it is {language}, as {first} is, which is read; merge them, or rename it"
                set_aside(Quarantined(f"{dataset.place.name}, column {name}", reason))
                continue
            found[name] = language
        except errors.LanguageError as error:
            # Any other column, such as url, is of another kind.
            if is_text or error.message.startswith("ambiguous"):
                aside.append(Quarantined(f"{dataset.place.name}, column {name}", error.message))
                set_aside(aside[-1])
    if found:
        return found
    plain = [name for name in TEXT_COLUMNS if name in dataset.columns]
    if not plain:
        raise dataset.wrong(
            "a column of captions is expected, as caption_de, or caption beside language"
            f"{_first_of(aside)}",
            hint="rename one: rename_column('mine', 'caption_en')",
        )
    if not any(name in dataset.columns for name in LANGUAGE_COLUMNS):
        raise dataset.wrong(
            f"{plain[0]} does not say its language",
            hint=f"rename it, as in {plain[0]}_en, or add a column language",
        )
    return {plain[0]: None}


def load_captions(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Captions against the images or sounds of a data set.

    Args:
        folder: As `arrow_datasets.find_dataset` takes it.
        languages: Which ones; None takes all that are there.

    Raises:
        InputError: No such columns, or no caption that can be used.
        LanguageError: A language that is not there.
    """
    dataset = arrow_datasets.find_dataset(required(folder, "own-captions"))
    aside: list[Quarantined] = []
    items, captions = _read_captions(dataset, set_aside=aside.append)
    if not items:
        raise dataset.wrong(
            f"not one caption can be used{_first_of(aside)}", hint="mend the rows, or save it again"
        )
    return RetrievalData(
        task="own-captions",
        item_ids=tuple(items),
        media_files=tuple(items.values()),
        captions=captioned.pick(dict(sorted(captions.items())), languages or None, "own-captions"),
        policy="all",
        splits={dataset.split: np.ones(len(items), bool)},
        set_aside=tuple(aside),
    )


def _read_captions(
    dataset: SavedDataset, *, set_aside: SetAside
) -> tuple[dict[str, MediaFile], dict[str, list[Caption]]]:
    """The items that have a caption, by id, and the captions by language."""
    columns = text_columns(dataset, set_aside=set_aside)
    beside = [name for name in LANGUAGE_COLUMNS if name in dataset.columns][:1]
    wanted = [*columns, *(beside if None in columns.values() else [])]
    items: dict[str, MediaFile] = {}
    captions: dict[str, list[Caption]] = {}
    not_known: Counter[tuple[str, str]] = Counter()
    for row in arrow_datasets.read_rows(dataset, columns=wanted, set_aside=set_aside):
        for name, language in columns.items():
            given = row.values[name]
            for text in given if isinstance(given, list) else [given]:
                with entry_of(dataset.place, f"row {row.number}", set_aside):
                    said = require_text(text, name)
                    code = language or require_text(row.values[beside[0]], beside[0])
                    try:
                        known = language or normalise_language(code)
                    except errors.LanguageError as error:
                        not_known[code, error.message] += 1
                        continue
                    captions.setdefault(known, []).append(Caption(row.item.id, said, known))
                    items[row.item.id] = row.item
    for (code, reason), count in not_known.items():
        where = f"{dataset.place.name}, captions in {code!r}: {count:,}"
        set_aside(Quarantined(where, reason))
    return items, captions


def load_classes(folder: Path | None, languages: list[str] | None) -> ClassificationData:
    """The classes of a data set's images or sounds.

    Their names in the data set count as English; `labels.LANG.txt` and `templates.LANG.txt` beside
    it give other languages, a line a class.

    Args:
        folder: As `arrow_datasets.find_dataset` takes it.
        languages: Which ones; None takes all that are there.

    Raises:
        InputError: No such columns, or numbers without names.
        LanguageError: A language that is not there.
    """
    place = required(folder, "own-classes")
    dataset = arrow_datasets.find_dataset(place)
    column = next((name for name in LABEL_COLUMNS if name in dataset.columns), None)
    if column is None:
        raise dataset.wrong(
            f"a column of classes is expected: {', '.join(LABEL_COLUMNS)}",
            hint="rename one: rename_column('mine', 'label')",
        )
    aside: list[Quarantined] = []
    items: dict[str, MediaFile] = {}
    classes: dict[str, str | int] = {}
    listed = dataset.features.get(column, {}).get("names")
    if listed is not None and not (isinstance(listed, list) and all(map(_is_name, listed))):
        raise dataset.wrong(
            f"the names of the classes of {column} are {listed!r}; expected a list of texts",
            hint=CAST,
        )
    for row in arrow_datasets.read_rows(dataset, columns=[column], set_aside=aside.append):
        with entry_of(dataset.place, f"row {row.number}", aside.append):
            classes[row.item.id] = _class_of(
                row.values[column], column, num_names=len(listed or ())
            )
            items[row.item.id] = row.item
    if not items:
        raise dataset.wrong(
            f"{column} holds no class that can be used{_first_of(aside)}", hint=CAST
        )
    names = tuple(listed or sorted({str(one) for one in classes.values()}))
    beside = place if place.is_dir() else place.parent
    named = {ENGLISH: LabelSet(ENGLISH, tuple(range(len(names))), names)}
    named |= labels.read_label_lines(beside, num_classes=len(names), set_aside=aside.append)
    prompts = labels.read_template_lines(beside, set_aside=aside.append)
    index_of = {name: index for index, name in enumerate(names)}
    found = [one if isinstance(one, int) else index_of[one] for one in classes.values()]
    return ClassificationData(
        task="own-classes",
        names=names,
        labels=picked(named, languages, "own-classes"),
        prompts=prompts,
        english=prompts.get(ENGLISH),
        item_ids=tuple(items),
        media_files=tuple(items.values()),
        classes=np.array(found, np.int64),
        set_aside=(*aside, *labels.files_set_aside(beside)),
        split=dataset.split,
    )


def _first_of(aside: list[Quarantined]) -> str:
    """The first of what was set aside, for an error that leaves nothing to list."""
    return f" ({aside[0].id}: {aside[0].reason})" if aside else ""


def _is_name(value: object) -> bool:
    return not unusable(value)


def _class_of(value: object, column: str, *, num_names: int) -> str | int:
    """A class: its number where the data set names its classes, else its name."""
    if not num_names:
        return require_text(value, f"{column} without names of its classes")
    if not isinstance(value, int) or not 0 <= value < num_names:
        raise errors.InputError(
            f"{column}: {value!r} was found; expected a number from 0 to {num_names - 1}",
            hint="mend that entry",
        )
    return value


OWN: Mapping[str, Task] = MappingProxyType(
    {
        "own-captions": Task(
            kind="retrieval",
            metric="hit_rate",
            summary="captions of your own data set, saved by datasets or as Parquet",
            num_languages=0,
            policy="all",
            images="columns image or audio, and caption_CODE, or caption and language",
            files=FORM,
            licence="yours",
            load=load_captions,
        ),
        "own-classes": Task(
            kind="classification",
            metric="accuracy",
            summary="classes of your own data set, saved by datasets or as Parquet",
            num_languages=0,
            policy="none",
            images="columns image or audio, and label; labels.LANG.txt beside it",
            files=FORM,
            licence="yours",
            load=load_classes,
        ),
    }
)
