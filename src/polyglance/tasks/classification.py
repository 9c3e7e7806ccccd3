"""Data of zero-shot classification tasks: classes, names, prompts and images.

Legend: M content items, C classes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import LabelSet, Modality, PromptSet, Quarantined
from polyglance.sources import class_images, labels
from polyglance.sources.formats import FORMATS
from polyglance.storage import digests
from polyglance.tasks.fetching import required
from polyglance.tasks.items import ItemData

Variant = Literal["labels", "english", "translated", "human", "best"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
BARE = (labels.SLOT,)

# Classes in the order of the data sets' numbers, for folders that do not hold the publisher's list.
CLASS_NAMES: Mapping[str, LabelSet] = MappingProxyType(
    {
        dataset: LabelSet(ENGLISH, tuple(range(10)), tuple(names.split()))
        for dataset, names in {
            "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
            "stl10": "airplane bird car cat deer dog horse monkey ship truck",
        }.items()
    }
)


def variant_of(name: str) -> Variant:
    """A way to ask for classes, by its name.

    Raises:
        UnknownNameError: For a way that does not exist.
    """
    for variant in VARIANTS:
        if variant == name:
            return variant
    raise errors.unknown_name("kind of prompts", name, allowed=VARIANTS)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationData(ItemData):
    """A classification task with its data at hand, asked in one way.

    Attributes:
        names: C English names of all classes, by which image folders may be called.
        labels: Names of classes by language; a language may lack some.
        prompts: Templates of its own, by language; a language may have none.
        english: English templates, in which any language's labels may stand; None where the
            labels are whole prompts.
        variant: How classes are asked for: bare `labels`; labels in `english` templates; in
            `translated` ones; in those that people wrote, `human`; or `best`, as Babel-ImageNet
            reports: translated where there are such templates, else the better of the first two.
        human: Templates that people wrote, by language, where `prompts` are translated ones.
        classes: Int64 (M,), the class of each content item.
        subset_sizes: On random subsets of how many classes accuracy is measured as well.
        links: Linked folders and files of images that were not followed, and why.
        split: Which part of the data set it is.
    """

    names: tuple[str, ...]
    labels: Mapping[str, LabelSet]
    prompts: Mapping[str, PromptSet]
    english: PromptSet | None
    variant: Variant = "best"
    human: Mapping[str, PromptSet] = field(default_factory=dict)
    classes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    subset_sizes: tuple[int, ...] = ()
    links: tuple[Quarantined, ...] = ()
    split: str = "test"

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages that can be asked in this way."""
        templates = {"translated": self.prompts, "human": self.human}.get(self.variant)
        if templates is not None:
            return tuple(language for language in self.labels if language in templates)
        return tuple(self.labels)

    @functools.cached_property
    def num_languages_without_images(self) -> int:
        """How many languages name no class that there is an image of."""
        there = set(self.classes.tolist())
        return sum(there.isdisjoint(row.class_indices) for row in self.labels.values())

    @functools.cached_property
    def without_images(self) -> Mapping[str, tuple[Quarantined, ...]]:
        """The classes that no image at hand is of, and links not followed, by reason."""
        there = set(self.classes.tolist())
        empty = (name for index, name in enumerate(self.names) if index not in there)
        classes = tuple(Quarantined(f"class {name}", "no image") for name in empty)
        links = {"links_not_followed": self.links} if self.links else {}
        return {"classes_without_images": classes, **links}

    def asked_as(self, variant: str) -> ClassificationData:
        """The task, asked in another way.

        Raises:
            UnknownNameError: For a way that does not exist.
            UnavailableError: For English templates around whole prompts, or where none is there.
        """
        known = variant_of(variant)
        if known == "english" and self.english is None:
            raise errors.UnavailableError(
                f"{self.task} has no English templates around its names",
                hint="ask with --prompts labels, translated or best",
            )
        asked = replace(self, variant=known)
        if not asked.languages:
            raise errors.UnavailableError(
                f"{self.task} has no templates of the kind {known!r} in any language chosen",
                hint="ask with --prompts labels, english or best",
            )
        return asked

    def choices(self, language: str) -> dict[str, tuple[str, ...]]:
        """The templates to be tried in a language, by name, repeats kept; the better one counts.

        Where there is more than one, it is `best` in a language without templates of its own.
        """
        english = {} if self.english is None else {"english": self.english.templates}
        own = self.prompts.get(language)
        translated = {} if own is None else {"translated": own.templates}
        if self.variant == "labels":
            return {"labels": BARE}
        if self.variant == "human":
            return {"human": self.human[language].templates}
        if self.variant == "english":
            return dict(english)
        return translated or {"labels": BARE, **english}

    def with_items(self, folder: Path | None, modality: Modality) -> ClassificationData:
        """The task on the items, or precomputed vectors, of a folder that says their classes.

        Args:
            modality: What they are.
            folder: As `sources.class_images` reads it; None where none was given.

        Raises:
            UnavailableError: Without a folder.
            InputError: For classes that cannot be numbered.
        """
        if self.item_ids:
            return self
        if folder is None:
            raise errors.UnavailableError(
                f"{self.task} does not bring its {FORMATS[modality].noun}s",
                hint="give a folder with one folder a class, or with labels.tsv "
                f"(columns {modality} and class): --images FOLDER",
            )
        found = class_images.read_classed_images(folder, modality)
        return replace(
            self,
            item_ids=found.ids,
            classes=class_images.class_indices(found, names=self.names),
            media_files=found.media_files,
            links=found.links,
        )

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's labels and templates and of the content items."""
        named = self.labels[language]
        labels = zip(named.class_indices, named.labels, strict=True)
        return digests.of_parts(
            [
                *(f"{item_id}\0" for item_id in self.item_ids),
                self.classes,
                *(f"{index}\0{name}\0" for index, name in labels),
                repr((self.variant, self.choices(language), self.subset_sizes)),
            ]
        )

    def _rows(self, keep: NDArray[np.bool_]) -> Mapping[str, Any]:
        return {"classes": self.classes[keep]}


def picked(
    named: Mapping[str, LabelSet], languages: list[str] | None, task: str
) -> Mapping[str, LabelSet]:
    """The labels of the languages asked for; None takes all.

    Raises:
        LanguageError: For a language that is not there.
    """
    lacking = sorted(set(languages or ()) - set(named))
    if lacking:
        raise errors.LanguageError(
            f"{task} has no labels in {', '.join(lacking)}; it has {', '.join(sorted(named))}",
            hint="leave those out",
        )
    return named if languages is None else {language: named[language] for language in languages}


def load_babel_imagenet(folder: Path | None, languages: list[str] | None) -> ClassificationData:
    """Babel-ImageNet: labels in 298 languages, templates in 90; English by OpenAI's names.

    The file's English row holds WordNet's lemmas, which the release replaces as well.

    Args:
        folder: Holds the publisher's files; `imagenet_names` stands inside or beside it.
        languages: Which ones; None takes all.
    """
    where = required(folder, "babel-imagenet")
    english = labels.read_names(where, ENGLISH, dataset="imagenet1k")
    templates = labels.read_templates(where, ENGLISH, dataset="imagenet1k")
    named = labels.read_babel_labels(where / labels.BABEL_LABELS) | {ENGLISH: english}
    prompts = labels.read_babel_prompts(where / labels.BABEL_PROMPTS) | {ENGLISH: templates}
    return ClassificationData(
        task="babel-imagenet",
        names=english.labels,
        labels=picked(named, languages, "babel-imagenet"),
        prompts=prompts,
        english=templates,
        human={
            who: labels.read_templates(where, who, dataset="imagenet1k")
            for who in labels.languages_with_templates(where)
        },
        subset_sizes=(100,),
    )


def load_imagenet_human_babel(
    folder: Path | None, languages: list[str] | None
) -> ClassificationData:
    """ImageNet as people named it, in the classes that Babel-ImageNet has a label for.

    So that both data sets ask the same: Babel-ImageNet, figure 6.

    Args:
        folder: As for `load_babel_imagenet`.
        languages: Which ones; None takes all that both have.
    """
    whole = load_imagenet_human(required(folder, "imagenet-human-babel"), languages)
    babel = load_babel_imagenet(folder, None).labels
    shared = {}
    for who, row in whole.labels.items():
        named = set(babel[who].class_indices) if who in babel else set()
        kept = [
            pair for pair in zip(row.class_indices, row.labels, strict=True) if pair[0] in named
        ]
        if kept:
            indices, names = zip(*kept, strict=True)
            shared[who] = LabelSet(who, indices, names)
    return replace(whole, task="imagenet-human-babel", labels=shared)


def load_imagenet_human(folder: Path | None, languages: list[str] | None) -> ClassificationData:
    """ImageNet with names and templates that people wrote, in five languages.

    Args:
        folder: Holds `XX_classnames.json` and `XX_zeroshot_classification_templates.json`.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "imagenet-human")
    there = {
        who: labels.read_names(where, who, dataset="imagenet1k")
        for who in labels.languages_with_names(where)
    }
    named = picked(there, languages, "imagenet-human")
    prompts = {
        who: labels.read_templates(where, who, dataset="imagenet1k")
        for who in dict.fromkeys([*named, ENGLISH])
    }
    return ClassificationData(
        task="imagenet-human",
        names=there[ENGLISH].labels,
        labels=named,
        prompts=prompts,
        english=prompts[ENGLISH],
    )


def load_named_classes(
    folder: Path | None, languages: list[str] | None, *, dataset: str, task: str = ""
) -> ClassificationData:
    """ImageNet, CIFAR-10/100, STL-10, Food-101, SUN397: the names and templates of a folder.

    English names stand in the publisher's own list (those of CIFAR-10 and STL-10 here; of ImageNet
    CLIP's), English templates are CLIP's. Whole prompts of uCLIP's five languages come from its
    file; other languages from `labels.LANG.txt` and `templates.LANG.txt`, since ETCL's translations
    into 83 languages were never published.

    Args:
        folder: Holds the files.
        languages: Which ones; None takes all that are there.
        dataset: As the files of English names and templates call it.
        task: Its name, where that is another.
    """
    task = task or dataset
    where = required(folder, task)
    listed = labels.read_class_list(where, dataset=dataset) or CLASS_NAMES.get(dataset)
    if listed is None and dataset not in labels.CLASS_LISTS:
        listed = labels.read_names(where, ENGLISH, dataset=dataset)
    named: dict[str, LabelSet] = {} if listed is None else {ENGLISH: listed}
    prompts: dict[str, PromptSet] = {}
    whole = where / f"translations_{dataset}.json"
    if whole.is_file():
        own = labels.read_class_prompts(whole)
        named |= own
        prompts |= {language: PromptSet(language, BARE) for language in own}
    aside: list[Quarantined] = []
    num_classes = len(named[ENGLISH].labels) if ENGLISH in named else None
    named |= labels.read_label_lines(where, num_classes=num_classes, set_aside=aside.append)
    if ENGLISH not in named:
        raise errors.UnavailableError(
            f"{where} does not name the classes of {dataset} in English",
            hint=f"put {labels.CLASS_LISTS[dataset][0]} of the data set into it, or "
            "labels.en.txt with a class a line",
        )
    names = named[ENGLISH].labels
    prompts |= labels.read_template_lines(where, set_aside=aside.append)
    if ENGLISH not in prompts:
        try:
            prompts[ENGLISH] = labels.read_templates(where, ENGLISH, dataset=dataset)
        except errors.UnavailableError:
            # English is left out rather than asked in another way than elsewhere.
            del named[ENGLISH]
    _require_whole(named, len(names), where)
    return ClassificationData(
        task=task,
        names=names,
        labels=picked(named, languages, task),
        prompts=prompts,
        english=None if whole.is_file() else prompts.get(ENGLISH),
        set_aside=(*aside, *labels.files_set_aside(where)),
    )


def _require_whole(named: Mapping[str, LabelSet], num_classes: int, where: Path) -> None:
    for language, row in named.items():
        if len(row.labels) != num_classes:
            raise errors.InputError(
                f"{where} names {len(row.labels)} classes in {language}; there are {num_classes}",
                hint="give one name for each class, in the order of the English ones",
            )
