"""Results in MTEB's form: a TaskResult for each model, task and direction.

Source: embeddings-benchmark/mteb, `mteb/results/task_result.py` of version 2: a score needs
`main_score`, `hf_subset` and `languages`, and may hold anything else that is JSON. So a score of
ours carries its whole result under `polyglance`, and nothing is lost.

Our task names are not MTEB's: its own Tatoeba, for one, has F1 as its main score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages.registry import get_language, normalise_language
from polyglance.results import schema
from polyglance.results.schema import Result
from polyglance.storage import atomic, made_files, manifest_fields

META_FILE = "model_meta.json"
MAIN_VALUES = {"hit_rate": "hit_rate_at_10", "mean_reciprocal_rank": "mean_reciprocal_rank"}
# Its name of the same figure, for whoever reads by it.
ITS_VALUES = {"spearman": "cosine_spearman"}


def to_files(rows: Sequence[Result]) -> dict[str, str]:
    """`MODEL/FINGERPRINT/TASK.json`, a task a direction, as MTEB lays its results out."""
    made: dict[str, dict[str, Any]] = {}
    for row in rows:
        parts = (row.task, row.variant, row.direction, row.metric, row.caption_policy)
        task = " ".join(part for part in parts if part not in ("", "none"))
        path = f"{_slug(row.called)}/{_slug(row.model_id)}/{_slug(task)}.json"
        found = made.setdefault(
            path,
            {
                "dataset_revision": row.data_id,
                "task_name": task,
                "mteb_version": None,
                "scores": {},
                "evaluation_time": None,
                "kg_co2_emissions": None,
            },
        )
        found["scores"].setdefault(row.split, []).append(_score(row))
    return {
        path: json.dumps(each, ensure_ascii=False, indent=1) + "\n" for path, each in made.items()
    }


def _score(row: Result) -> dict[str, Any]:
    languages = [row.language, row.other_language] if row.other_language else [row.language]
    tags = ["{0.iso639_3}-{0.script}".format(get_language(language)) for language in languages]
    main = MAIN_VALUES.get(row.metric, row.metric)
    values = dict(row.values)
    return {
        "main_score": values.get(main, next(iter(values.values()))),
        "hf_subset": "-".join(languages),
        "languages": tags,
        **values,
        **{its: values[ours] for ours, its in ITS_VALUES.items() if ours in values},
        "polyglance": schema.to_row(row),
    }


def from_object(
    found: dict[str, Any], *, path: Path
) -> tuple[list[Result], list[errors.PolyglanceError]]:
    """Results of one TaskResult, ours or MTEB's own of sentence similarity and bitext.

    Returns:
        The results, and an error for each score of another kind or without a number.
    """
    rows: list[Result] = []
    failed: list[errors.PolyglanceError] = []
    scores = found["scores"] if isinstance(found["scores"], dict) else {"": found["scores"]}
    for split, listed in scores.items():
        for score in listed if isinstance(listed, list) else [listed]:
            try:
                rows.append(
                    schema.from_row(score["polyglance"])
                    if isinstance(score, dict) and "polyglance" in score
                    else _of_mteb(score, found, split=split, path=path)
                )
            except (ValueError, errors.LanguageError) as error:
                reason = getattr(error, "message", error)
                failed.append(
                    errors.ResultError(
                        f"{path} is no TaskResult of MTEB that can be used: {reason}",
                        hint="write or fetch it again; of MTEB's own tasks, similarity and bitext "
                        "are read",
                    )
                )
    return rows, failed


def _of_mteb(score: dict[str, Any], found: dict[str, Any], *, split: str, path: Path) -> Result:
    tags = manifest_fields.field_of(score, "languages", Sequence[str])
    if len(tags) not in (1, 2):
        raise ValueError(f"it says {len(tags)} languages; one or two can be read")
    languages = [normalise_language(tag) for tag in tags]
    task = manifest_fields.field_of(found, "task_name", str)
    similar = "cosine_spearman" in score
    if not similar and not ("accuracy" in score and "f1" in score and len(languages) == 2):
        raise ValueError(f"{task} holds neither cosine_spearman nor accuracy and f1 of a pair")
    model = _model_name(path)
    names = {"spearman": "cosine_spearman"} if similar else {"accuracy": "accuracy", "f1": "f1"}
    return schema.of_fields(
        {
            "task": task,
            "split": split,
            "language": languages[0],
            "other_language": languages[-1],
            "direction": "text_with_other" if similar else "text_to_other",
            "metric": "spearman" if similar else "accuracy",
            "caption_policy": "none",
            "values": {
                ours: manifest_fields.field_of(score, its, float) for ours, its in names.items()
            },
            "num_queries": 0,
            "num_candidates": 0,
            "model": model,
            "model_id": f"{model} {path.parent.name}",
            "data_id": manifest_fields.field_of(found, "dataset_revision", str),
            "code_version": f"mteb {found.get('mteb_version') or ''}".strip(),
        }
    )


def _model_name(path: Path) -> str:
    """As `model_meta.json` beside the file has it, else the folder above the revision's."""
    meta = path.with_name(META_FILE)
    if meta.is_file():
        name: str = manifest_fields.field_of(atomic.read_json(meta), "name", str, place=META_FILE)
        return name
    return path.parent.parent.name


def _slug(name: str) -> str:
    return made_files.short_name(re.sub(r"[^\w.-]+", "_", name))
