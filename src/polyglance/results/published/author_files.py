"""Readers of the result files that authors published beside their papers.

M2M's metrics and Babel-ImageNet's results are JSON, open_clip's multilingual retrieval is CSV.
None of them is in this package; `author_files.tsv` says what each is about, by its file name.
Every number is taken to the digit as it stands in the file.

M2M's R@k is per cent and a hit rate. Where its files compare text with text, which side asks is
not said; `variant` then keeps what the file calls it.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from polyglance import errors
from polyglance.languages.registry import normalise_language
from polyglance.results.published import FOLDER, PublishedNumber

AVERAGE = "group:average"
# CLIP_benchmark calls by the kind that is found, M2M by both: image retrieval is text to image.
_DIRECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "t2i": "text_to_content",
        "i2t": "content_to_text",
        "text_to_image": "text_to_content",
        "image_to_text": "content_to_text",
        "image_retrieval": "text_to_content",
        "text_retrieval": "content_to_text",
    }
)
_CSV_TASKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"crossmodal3600": ("xm3600", "xm3600"), "multilingual_mscoco_captions": ("xtd10", "xtd")}
)
_PROMPTS: Mapping[str, str] = MappingProxyType(
    {"label": "labels", "nllb_dist13b_prompts": "translated"}
)


@dataclass(frozen=True, kw_only=True)
class AuthorFile:
    """A row of `author_files.tsv`.

    Attributes:
        file: Its name.
        form: How it is written, one of `FORMS`.
        paper: Short name.
        task: What was measured; empty where the file says so itself.
        caption_policy: Which captions took part.
        model: As the paper's tables call it, where they have it; else the file's name.
        variant: What it measures, where that is not what its form says: `text to text`.
        note: What else is to be known.
    """

    file: str
    form: str
    paper: str
    task: str
    caption_policy: str
    model: str
    variant: str
    note: str


class _Found(NamedTuple):
    """What a form tells of a number."""

    language: str
    metric: str
    direction: str
    printed: str
    variant: str = ""
    model: str = ""
    task: str = ""
    note: str = ""


@cache
def author_files() -> Mapping[str, AuthorFile]:
    """What is known of each file, by its name."""
    with (FOLDER / "author_files.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return MappingProxyType({row["file"]: AuthorFile(**row) for row in rows})


def read_author_file(path: Path) -> list[PublishedNumber]:
    """Every number of a file that an author published, in its order.

    Args:
        path: The file, under the name that its author gave it.

    Returns:
        The numbers; `table` is the file's name, `printed` the digits that stand in it.

    Raises:
        UnavailableError: There is no such file.
        UnknownNameError: A file of another name than those known.
        InputError: A file that is not in the form that its author's have.
    """
    if not path.is_file():
        raise errors.UnavailableError(
            f"there is no file {path}", hint="check the path, or fetch the authors' results"
        )
    row = author_files().get(path.name)
    if row is None:
        near = errors.nearest(path.name, author_files())
        raise errors.UnknownNameError(
            f"no author's file of results is called {path.name!r}; known are those of M2M, "
            "Babel-ImageNet and open_clip",
            hint=f"did you mean {near[0]!r}?" if near else "keep the name its author gave it",
        )
    form = FORMS[row.form]
    try:
        found = list(form.read(path))
        wrong = [each.printed for each in found if not _is_number(each.printed)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} stands where a number is to stand")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.InputError(
            f"{path} is not in the form of {row.form}: {type(error).__name__}, "
            f"{errors.first_line(error)}",
            hint="fetch the file again",
        ) from error
    return [
        PublishedNumber(
            table=row.file,
            paper=row.paper,
            model=each.model or row.model,
            language=each.language,
            task=each.task or row.task,
            split="test",
            metric=each.metric,
            direction="unknown" if row.variant else each.direction,
            caption_policy=row.caption_policy,
            variant=row.variant or each.variant,
            printed=each.printed,
            unit=form.unit,
            note="; ".join(filter(None, (each.note, row.note))),
        )
        for each in found
    ]


def _read_m2m(path: Path) -> Iterator[_Found]:
    """Flat, `eval/R@1/t2i/XTD10_captions_de`, or nested by language, direction and `recall@1`."""
    for key, value in _json(path).items():
        if isinstance(value, str):
            yield _flat(key, value)
            continue
        for direction, rates in value.items():
            for name, printed in rates.items():
                yield _Found(_m2m_language(key), _hit_rate(name), _DIRECTIONS[direction], printed)


def _flat(key: str, printed: str) -> _Found:
    """A number of the flat form; an average is over languages and over R@1, R@5 and R@10."""
    _, *rest = key.split("/")
    average = re.fullmatch(r"(?P<mode>.*)avg_metric(_(?P<direction>t2i|i2t))?", "/".join(rest))
    if average is not None:
        direction = _DIRECTIONS[average["direction"]] if average["direction"] else "both"
        if average["mode"]:
            variant = "text to text" + (f"/{average['direction']}" if average["direction"] else "")
            return _Found(AVERAGE, "average_recall", "unknown", printed, variant)
        return _Found(AVERAGE, "average_recall", direction, printed)
    name, *mode, asks, language = rest
    known, metric = _m2m_language(language), _hit_rate(name)
    if mode:
        return _Found(known, metric, "unknown", printed, f"text to text/{asks}", note=mode[0])
    return _Found(known, metric, _DIRECTIONS[asks], printed)


def _m2m_language(key: str) -> str:
    """The language of `XTD10_captions_de`, `MIC_caption_fr`, `STAIR_caption_jp`, or a code."""
    of_xtd = re.fullmatch(r"(XTD10_captions|MIC_caption|STAIR_caption)_(\w+)", key)
    if of_xtd is not None:
        return normalise_language(of_xtd[2], dataset="xtd")
    return normalise_language(key, dataset="xtd" if key == "jp" else "xm3600")


def _read_babel_imagenet(path: Path) -> Iterator[_Found]:
    """Accuracy by language and prompt; how many classes the language has goes into the note."""
    for row in _json(path)["results"]:
        yield _Found(
            normalise_language(row["lang"], dataset="babel-imagenet"),
            "accuracy",
            "content_to_class",
            row["accuracy"],
            _PROMPTS[row["prompt"]],
            note=f"{row['num_classes']} classes",
        )


def _read_open_clip(path: Path) -> Iterator[_Found]:
    """A model a line; columns are `crossmodal3600 image_retrieval_recall@1 ar` and averages."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            model = f"{row.pop('model')} {row.pop('version')}"
            overall = row.pop("avg")
            yield _Found(AVERAGE, "average_recall", "both", overall, model=model, task="all")
            for column, printed in row.items():
                data, measured, code = column.split(" ")
                task, dataset = _CSV_TASKS[data]
                asks, name = measured.rsplit("_", 1)
                known = AVERAGE if code == "avg" else normalise_language(code, dataset=dataset)
                yield _Found(
                    known, _hit_rate(name), _DIRECTIONS[asks], printed, model=model, task=task
                )


def _hit_rate(name: str) -> str:
    """Our name of `R@10` and `recall@10`."""
    return f"hit_rate_at_{int(name.partition('@')[2])}"


def _is_number(printed: object) -> bool:
    """Whether it is digits of a finite number."""
    return isinstance(printed, str) and math.isfinite(float(printed))


def _json(path: Path) -> Any:
    """JSON with its numbers as they are written."""
    return json.loads(path.read_text(encoding="utf-8"), parse_float=str, parse_int=str)


class _Form(NamedTuple):
    """How files are written, and the unit of what they hold."""

    read: Callable[[Path], Iterator[_Found]]
    unit: Any


FORMS: Mapping[str, _Form] = MappingProxyType(
    {
        "m2m": _Form(_read_m2m, "percent"),
        "babel-imagenet": _Form(_read_babel_imagenet, "fraction"),
        "open_clip": _Form(_read_open_clip, "fraction"),
    }
)
