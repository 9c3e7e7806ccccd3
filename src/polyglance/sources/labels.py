"""Readers of class names and of the prompts around them, one for each form.

    babel_imagenet-298.json             {"DE": [[class indices], [labels]], ...}
    nllb_dist13b_prompts.json           {"DE": [80 templates with {}], ...}
    XX_classnames.json                  {"imagenet1k": [1,000 names], ...}
    XX_zeroshot_classification_templates.json   {"imagenet1k": [templates with {c}], ...}
    translations_cifar10.json           {"czech": [a whole prompt for each class], ...}
    labels.LANG.txt, templates.LANG.txt a line a class; a line a template with {}
    batches.meta.txt, class_names.txt,  English names as the publishers of CIFAR, STL-10, Food-101
    ClassName.txt, ...                  and SUN397 ship them, a line a class

Class indices count from 0; those of ImageNet are in the order of the sorted WordNet ids. A name is
put into a template by replacement, so that a name with braces stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polyglance import errors
from polyglance.languages.registry import ENGLISH, normalise_language
from polyglance.records import LabelSet, PromptSet, Quarantined
from polyglance.sources.captions import languages_of
from polyglance.sources.language_files import LanguageFiles, by_language
from polyglance.sources.text_lines import SetAside, entry_of, read_json, read_lines

SLOT = "{}"
BABEL_LABELS = "babel_imagenet-298.json"
BABEL_PROMPTS = "nllb_dist13b_prompts.json"
NAMES = "{}_classnames.json"
TEMPLATES = "{}_zeroshot_classification_templates.json"
# The folder of human names, which is looked for beside that of another data set as well.
NAMES_FOLDER = "imagenet_names"

# Where publishers list their classes in English.
CLASS_LISTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cifar10": ("batches.meta.txt",),
        "cifar100": ("fine_label_names.txt",),
        "stl10": ("class_names.txt",),
        "food101": ("meta/labels.txt", "labels.txt", "meta/classes.txt", "classes.txt"),
        "sun397": ("ClassName.txt",),
    }
)


def read_babel_labels(path: Path) -> dict[str, LabelSet]:
    """Babel-ImageNet's labels by language, in the order of the file.

    Raises:
        InputError: Another form; says which language.
    """
    sets = {}
    for code, row in _by_code(path, "class indices and labels").items():
        if not (isinstance(row, list) and len(row) == 2 and all(isinstance(p, list) for p in row)):
            raise _wrong(path, code, "two lists, of class indices and of labels")
        indices, names = row
        if len(indices) != len(names) or not all(type(index) is int for index in indices):
            raise _wrong(path, code, "one label for each class index")
        if len(set(indices)) != len(indices) or min(indices, default=-1) < 0:
            raise _wrong(path, code, "class indices from 0, each once")
        language = normalise_language(code, dataset="babel-imagenet")
        sets[language] = LabelSet(language, tuple(indices), _texts(names, path, code))
    return sets


def read_babel_prompts(path: Path) -> dict[str, PromptSet]:
    """Babel-ImageNet's translated templates by language, repeats kept.

    Raises:
        InputError: Another form, or a template without its one slot.
    """
    return {
        (language := normalise_language(code, dataset="babel-imagenet")): PromptSet(
            language, _templates(rows, path, code)
        )
        for code, rows in _by_code(path, "lists of templates").items()
    }


def read_names(folder: Path, language: str, *, dataset: str) -> LabelSet:
    """Names of all classes of a data set, written by people: `XX_classnames.json`.

    Args:
        folder: Holds the files, or stands beside the folder that does.
        language: A language id.
        dataset: As the file calls it, such as `imagenet1k`.

    Raises:
        UnavailableError: No such file.
        InputError: Another form, or a file without the data set.
    """
    path, found = _named(folder, NAMES, language=language, dataset=dataset)
    names = _texts(found, path, dataset)
    return LabelSet(language, tuple(range(len(names))), names)


def read_templates(folder: Path, language: str, *, dataset: str) -> PromptSet:
    """Templates written by people: `XX_zeroshot_classification_templates.json`, `{c}` for a name.

    Args:
        folder: As for `read_names`.
        language: A language id.
        dataset: As the file calls it.

    Raises:
        UnavailableError: No such file.
        InputError: Another form, or a file without the data set.
    """
    path, found = _named(folder, TEMPLATES, language=language, dataset=dataset)
    rows = [row.replace("{c}", SLOT) if isinstance(row, str) else row for row in found]
    return PromptSet(language, _templates(rows, path, dataset))


def languages_with_names(folder: Path) -> list[str]:
    """Ids of the languages that `read_names` finds in a folder, sorted."""
    return languages_of(_names_folder(folder), NAMES.format("*"), dataset="imagenet")


def languages_with_templates(folder: Path) -> list[str]:
    """Ids of the languages that `read_templates` finds in a folder, sorted."""
    return languages_of(_names_folder(folder), TEMPLATES.format("*"), dataset="imagenet")


def read_class_prompts(path: Path) -> dict[str, LabelSet]:
    """Translations of uCLIP: a whole prompt for each class, by the English name of the language.

    Raises:
        InputError: Another form.
    """
    sets = {}
    for name, rows in _by_code(path, "lists of prompts").items():
        language = normalise_language(name)
        texts = _texts(rows, path, name)
        sets[language] = LabelSet(language, tuple(range(len(texts))), texts)
    return sets


def read_label_lines(
    folder: Path, *, num_classes: int | None = None, set_aside: SetAside | None = None
) -> dict[str, LabelSet]:
    """Names in a form of one's own: `labels.LANG.txt`, line n for class n.

    Args:
        folder: Where the files are.
        num_classes: How many lines each has; None takes those of the English file, if one is there.
        set_aside: Told of each file with an empty line, which names no class, with too many lines
            or too few, or that cannot be read; None stops at the first.

    Raises:
        InputError: For such a file, without `set_aside`.
    """
    paths = dict(_lines_by_language(folder, "labels").paths)
    sets: dict[str, LabelSet] = {}
    # English first: by it the others are counted.
    for language in sorted(paths, key=lambda one: one != ENGLISH):
        path = paths[language]
        with entry_of(Path(folder), path.name, set_aside):
            names = _texts(read_lines(path), path, "line")
            if num_classes is None and language == ENGLISH:
                num_classes = len(names)
            if num_classes is not None and len(names) != num_classes:
                raise errors.InputError(
                    f"{path} names {len(names)} classes; there are {num_classes}",
                    hint="give one name for each class, in the order of the English ones",
                )
            sets[language] = LabelSet(language, tuple(range(len(names))), names)
    return dict(sorted(sets.items()))


def read_template_lines(folder: Path, *, set_aside: SetAside | None = None) -> dict[str, PromptSet]:
    """Templates in a form of one's own: `templates.LANG.txt`, a line each, with `{}`.

    Args:
        folder: Where the files are.
        set_aside: Told of each file with a line without its one slot; None stops at the first.

    Raises:
        InputError: For such a file, without `set_aside`.
    """
    sets = {}
    for language, path in _lines_by_language(folder, "templates").paths.items():
        with entry_of(Path(folder), path.name, set_aside):
            sets[language] = PromptSet(language, _templates(read_lines(path), path, "line"))
    return sets


def files_set_aside(folder: Path) -> tuple[Quarantined, ...]:
    """The files of labels and templates of one's own whose code is not understood, and why."""
    found = [_lines_by_language(folder, stem) for stem in ("labels", "templates")]
    return tuple(item for each in found for item in each.set_aside)


def read_class_list(folder: Path, *, dataset: str) -> LabelSet | None:
    """The English names in the publisher's own list; None where the folder holds none.

    Args:
        folder: Of the data set.
        dataset: One of `CLASS_LISTS`.
    """
    for name in CLASS_LISTS.get(dataset, ()):
        path = Path(folder) / name
        if path.is_file():
            lines = [line for line in read_lines(path) if line.strip()]
            names = tuple(class_name(line) for line in lines)
            return LabelSet(ENGLISH, tuple(range(len(names))), names)
    return None


def class_name(written: str) -> str:
    """A class as people say it, from how a folder or a list writes it.

    >>> class_name("apple_pie"), class_name("/a/airplane_cabin"), class_name("/b/balcony/exterior")
    ('apple pie', 'airplane cabin', 'balcony exterior')
    """
    parts = written.strip().strip("/").split("/")
    if len(parts) > 1 and len(parts[0]) == 1:
        parts = parts[1:]  # SUN397 sorts its classes under their first letters
    return " ".join(parts).replace("_", " ")


def _by_code(path: Path, expected: str) -> Mapping[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict) or not found:
        raise errors.InputError(
            f"{path}: expected {expected} by language", hint="fetch the file again"
        )
    return found


def _named(folder: Path, pattern: str, *, language: str, dataset: str) -> tuple[Path, list[Any]]:
    where = _names_folder(folder)
    for path in sorted(where.glob(pattern.format("*"))):
        code = path.name.removesuffix(pattern.format(""))
        if normalise_language(code, dataset="imagenet") == language:
            found = read_json(path)
            if not isinstance(found, dict) or not isinstance(found.get(dataset), list):
                raise _wrong(path, dataset, "a list")
            return path, found[dataset]
    raise errors.UnavailableError(
        f"there is no {pattern.format('XX')} for {language} in {where}",
        hint=f"put the files of human names into {where}, or leave {language} out",
    )


def _names_folder(folder: Path) -> Path:
    folder = Path(folder)
    beside = folder.parent / NAMES_FOLDER
    has_own = any(folder.glob(TEMPLATES.format("*")))
    return beside if beside.is_dir() and not has_own else folder


def _lines_by_language(folder: Path, stem: str) -> LanguageFiles:
    paths = sorted(Path(folder).glob(f"{stem}.*.txt"))
    named = [(path.name.split(".")[1], path) for path in paths]
    return by_language(named, dataset=None, folder=Path(folder))


def _texts(found: Any, path: Path, where: str) -> tuple[str, ...]:
    texts = found if isinstance(found, list) else [None]
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str) or not text.strip():
            raise _wrong(path, f"{where} {number}", "text that is not empty")
    return tuple(texts)


def _templates(found: Iterable[Any], path: Path, where: str) -> tuple[str, ...]:
    templates = _texts(list(found), path, where)
    for number, template in enumerate(templates, 1):
        if template.count(SLOT) != 1:
            raise _wrong(path, f"{where} {number}", f"one {SLOT} in {template!r}")
    return templates


def _wrong(path: Path, where: str, expected: str) -> errors.InputError:
    return errors.InputError(
        f"{path}, {where}: expected {expected}", hint="mend that entry, or fetch the file again"
    )
