"""Results in CLIP_benchmark's form: fractions by its names, both directions in one object.

Source: LAION-AI/CLIP_benchmark, `clip_benchmark/cli.py` (the object that `eval` dumps and the
table that `build` makes of many) and the metrics of `zeroshot_retrieval` and
`zeroshot_classification`.

Its `pretrained`, which says which weights, holds our fingerprint of the model. Beside its own keys
stand ours, flat, so that its `build` makes columns of them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages.registry import normalise_language
from polyglance.results import schema, spreadsheets
from polyglance.results.schema import Direction, Result
from polyglance.storage import atomic, made_files, manifest_fields

LOST = ("intervals", "counts of queries, candidates and repeated captions", "what was dropped")

RETRIEVAL, CLASSIFICATION = "zeroshot_retrieval", "zeroshot_classification"
# What its metrics of retrieval begin with: it names a direction by what is found.
PREFIXES: Mapping[str, Direction] = {
    "image_retrieval_": "text_to_content",
    "text_retrieval_": "content_to_text",
}
OF_DIRECTION = {direction: prefix for prefix, direction in PREFIXES.items()}
CLASS_METRICS = {"acc1": "accuracy", "acc5": "accuracy_at_5"}
OF_CLASS_VALUE = {ours: its for its, ours in CLASS_METRICS.items()}
# Its data sets that are tasks here under another name, and those of which it holds one caption an
# image, the first; of any other it takes all.
TASKS_OF_DATASETS: Mapping[str, str] = {
    "crossmodal3600": "xm3600",
    "multilingual_mscoco_captions": "xtd10",
    "mscoco_captions": "mscoco",
}
ONE_CAPTION = ("crossmodal3600", "multilingual_mscoco_captions", "xtd200", "flickr30k-200")
DELIMITERS = (",", ";", "\t")
ITS_KEYS = ("dataset", "model", "pretrained", "task", "language", "model_fullname")
OUR_KEYS = (
    *("split", "metric", "variant", "caption_policy"),
    *("model_id", "data_id", "code_version"),
)
# Those that a result has beside its metric.
OUR_FACTS = tuple(name for name in OUR_KEYS if name != "metric")


def holds(row: Result) -> bool:
    """Whether the form has a place for a result: retrieval of two kinds, and classification."""
    return row.direction in OF_DIRECTION or row.direction == "content_to_class"


def to_objects(rows: Iterable[Result]) -> list[dict[str, Any]]:
    """Results as the objects that `clip_benchmark eval` dumps, one for both directions."""
    made: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        task = CLASSIFICATION if row.direction == "content_to_class" else RETRIEVAL
        ours = {name: getattr(row, name) for name in OUR_KEYS}
        found = made.setdefault(
            (task, row.task, row.called, row.language, *ours.values()),
            {
                "dataset": row.task,
                "model": row.called,
                "pretrained": row.model_id,
                "task": task,
                "metrics": {},
                "language": row.language,
                **ours,
            },
        )
        for name, value in row.values.items():
            found["metrics"][_its_name(name, row.direction)] = value
    return list(made.values())


def to_files(rows: Sequence[Result]) -> dict[str, str]:
    """A JSON file for each object, named as its `--output` template would."""
    found = {}
    for each in to_objects(rows):
        parts = [each[k] for k in ("dataset", "pretrained", "model", "language", "task")]
        parts += [each[k] for k in ("split", "metric", "variant", "caption_policy")]
        parts.append(each["data_id"][:8])
        name = "_".join(["benchmark", *(re.sub(r"[^\w.-]+", "-", part) for part in parts if part)])
        path = f"{made_files.short_name(name)}.json"
        found[path] = json.dumps(each, ensure_ascii=False, indent=1) + "\n"
    return found


def to_csv(rows: Sequence[Result]) -> str:
    """The table of its `build`: a row an object, a column a metric, empty where there is none."""
    objects = to_objects(rows)
    metrics = dict.fromkeys(name for each in objects for name in each["metrics"])
    text = io.StringIO()
    writer = csv.DictWriter(text, [*ITS_KEYS, *OUR_KEYS, *metrics], lineterminator="\n")
    writer.writeheader()
    for each in objects:
        row = {name: value for name, value in each.items() if name != "metrics"}
        writer.writerow(
            {
                name: spreadsheets.cell(value)
                for name, value in {
                    **row,
                    **each["metrics"],
                    "model_fullname": f"{row['model']} {row['pretrained']}",
                }.items()
            }
        )
    return text.getvalue()


def from_csv(path: Path) -> tuple[list[Result], list[errors.PolyglanceError]]:
    """Results of a table that `clip_benchmark build` or this package wrote.

    Returns:
        The results, and an error for each line that is none, naming it.

    Raises:
        ResultError: For a table of another kind.
    """
    table = _table(path)
    rows: list[Result] = []
    failed: list[errors.PolyglanceError] = []
    for number, line in enumerate(table, 2):
        facts = {
            name: line[name] and spreadsheets.text_of(line[name])
            for name in (*ITS_KEYS, *OUR_KEYS)
            if name in line
        }
        texts = {name: value for name, value in line.items() if name not in facts and value}
        try:
            metrics = {name: _number(value, column=name) for name, value in texts.items()}
            rows += from_object({**facts, "metrics": metrics}, where=f"{path}, line {number}")
        except errors.ResultError as error:
            failed.append(error)
        except ValueError as error:
            failed.append(_no_result(f"{path}, line {number}", error))
    return rows, failed


def is_table(path: Path) -> bool:
    """Whether a file is a table of its form."""
    try:
        return bool(_table(path))
    except errors.ResultError:
        return False


def _table(path: Path) -> list[dict[str, Any]]:
    """The lines of a table by column; spreadsheets save it with semicolons or tabs."""
    try:
        text = atomic.read_bytes(path).decode("utf-8-sig")
        header = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=header.count)
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        lacking = {"dataset", "model", "task"} - set(table.fieldnames or ())
        if lacking:
            raise ValueError(f"its first line names no column {', '.join(sorted(lacking))}")
        return list(table)
    except (OSError, ValueError, csv.Error) as error:
        raise errors.ResultError(
            f"{path} is no table of CLIP_benchmark: {errors.first_line(error)}",
            hint="give what clip_benchmark build wrote, as it is",
        ) from error


def from_object(found: Mapping[str, Any], *, where: str) -> list[Result]:
    """Results of one object, CLIP_benchmark's own or ours: one for each direction and metric.

    Its own objects say no caption policy: it takes all captions that its data set holds.

    Raises:
        ResultError: For an object of another kind, naming `where`.
    """
    try:
        task = manifest_fields.field_of(found, "task", str)
        if task not in (RETRIEVAL, CLASSIFICATION):
            raise ValueError(f"its task is {task!r}; {RETRIEVAL} and {CLASSIFICATION} are read")
        by_kind: dict[tuple[Direction, str], dict[str, float]] = {}
        metrics = manifest_fields.field_of(found, "metrics", Mapping[str, float])
        for its_name, value in metrics.items():
            direction, name = _our_name(its_name, task)
            metric = found.get("metric") or _metric_of(name)
            schema.check_values({its_name: value})
            by_kind.setdefault((direction, metric), {})[name] = value
        if not by_kind:
            raise ValueError("it has no metrics")
        ours = "model_id" in found
        model = manifest_fields.field_of(found, "model", str)
        full_name = f"{model} {manifest_fields.field_of(found, 'pretrained', str)}"
        language = manifest_fields.field_of({"language": "en", **found}, "language", str | None)
        dataset = manifest_fields.field_of(found, "dataset", str)
        policy = "none" if task != RETRIEVAL else "first" if dataset in ONE_CAPTION else "all"
        facts = {
            "task": dataset if ours else TASKS_OF_DATASETS.get(dataset, dataset),
            "split": "test",
            "language": normalise_language(language or "en", dataset="clip-benchmark"),
            "caption_policy": policy,
            "num_queries": 0,
            "num_candidates": 0,
            "model": model if ours else full_name,
            "model_id": full_name,
            "data_id": "",
            "code_version": "CLIP_benchmark",
        }
        facts |= {name: found[name] for name in OUR_FACTS if name in found}
        return [
            schema.of_fields({**facts, "direction": direction, "metric": metric, "values": values})
            for (direction, metric), values in by_kind.items()
        ]
    except (ValueError, errors.LanguageError) as error:
        raise _no_result(where, error) from error


def _no_result(where: str, error: Exception) -> errors.ResultError:
    return errors.ResultError(
        f"{where} is no result of CLIP_benchmark: {getattr(error, 'message', error)}",
        hint="write or fetch it again; the form has dataset, model, pretrained, task, "
        "metrics and language",
    )


def _number(text: object, *, column: str | None) -> float:
    """The number of a cell.

    Raises:
        ValueError: It holds none, or stands behind the last column.
    """
    if column is None:
        raise ValueError("it has more cells than the first line has columns")
    try:
        return float(str(text))
    except ValueError:
        raise ValueError(f"its {column} is {text!r}; a number is wanted") from None


def _its_name(name: str, direction: Direction) -> str:
    """Our name of a value as its metric.

    >>> _its_name("hit_rate_at_5", "text_to_content"), _its_name("accuracy", "content_to_class")
    ('image_retrieval_recall@5', 'acc1')
    """
    if direction == "content_to_class":
        return OF_CLASS_VALUE.get(name, name)
    return OF_DIRECTION[direction] + re.sub(r"^hit_rate_at_", "recall@", name)


def _our_name(name: str, task: str) -> tuple[Direction, str]:
    """Its metric as a direction and our name of the value.

    >>> _our_name("text_retrieval_recall@10", RETRIEVAL)
    ('content_to_text', 'hit_rate_at_10')
    """
    if task == CLASSIFICATION:
        return "content_to_class", CLASS_METRICS.get(name, name)
    for prefix, direction in PREFIXES.items():
        if name.startswith(prefix):
            return direction, name.removeprefix(prefix).replace("recall@", "hit_rate_at_")
    raise ValueError(f"{name!r} is no metric of retrieval")


def _metric_of(name: str) -> str:
    """The metric under which a value stands with us."""
    if name.startswith("hit_rate_at_"):
        return "hit_rate"
    return "accuracy" if name in ("macro_f1", "mean_per_class_recall", "accuracy_at_5") else name
