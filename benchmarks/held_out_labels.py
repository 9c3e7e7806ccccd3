"""Do labels in a language find classes that no map was fitted on? M2M in miniature, real vectors.

A text tower is mapped into CLIP's space by ridge regression on the English names of 700 of
ImageNet's classes: their vectors are CLIP ViT-B/32's own (prompt ensembles, made by others). The
other 300 classes are held out. Their CLIP vectors stand for pictures, Babel-ImageNet's labels, or
the English names, are asked for through the map, and `evaluate` scores them as any other
zero-shot classification. Three pairs of classes have the same CLIP vector, so not even CLIP's own
names reach 100 per cent over all 1,000. Beside each map stands one fitted on shuffled pairs, which
must be at chance.

    python -m benchmarks.held_out_labels            the towers that are at hand
    python -m benchmarks.held_out_labels REFERENCE  any other text tower, such as hf:NAME
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.harness import shared_data

from polyglance import evaluation, tasks
from polyglance.heads import closed_form
from polyglance.heads.affine import AffineMap
from polyglance.languages.registry import ENGLISH
from polyglance.results.schema import Result
from polyglance.tasks.classification import ClassificationData
from polyglance.towers import load_tower
from polyglance.vectors import unit

NUM_FIT, NUM_DEV = 700, 100
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
LANGUAGES = (ENGLISH, "fra_Latn", "deu_Latn", "spa_Latn", "rus_Cyrl", "jpn_Jpan", "swh_Latn")
SEED = 4
WEIGHTS = Path(__file__).resolve().parents[1] / "src" / "polyglance" / "towers" / "tiny" / "weights"


@dataclass(frozen=True, eq=False)
class Mapped:
    """A text tower with a map behind it; what `evaluate` asks of a model."""

    tower: Any
    head: AffineMap

    def encode_texts(
        self, texts: Sequence[str], *, languages: Sequence[str] | None, cache: Any = None
    ) -> np.ndarray:
        """Texts to unit vectors of CLIP's space, (N, 512)."""
        del cache
        return unit(self.head(unit(self.tower.encode(texts, languages=languages))))


def fit(tower: Any, names: Sequence[str], targets: np.ndarray, *, shuffled: bool) -> AffineMap:
    """Ridge on names of classes, its penalty chosen on the last of them."""
    sources = unit(tower.encode(list(names), languages=[ENGLISH] * len(names)))
    order = np.arange(len(names) - NUM_DEV)
    if shuffled:
        order = np.random.default_rng(SEED).permutation(order)
    head, _ = closed_form.best_ridge(
        sources[: len(order)],
        targets[order],
        dev_x=sources[len(order) :],
        dev_y=targets[len(order) :],
        penalties=PENALTIES,
    )
    return head


def held_out(data: ClassificationData, classes: np.ndarray) -> ClassificationData:
    """The task on held-out classes alone: others are neither asked for nor guessed."""
    chosen = {}
    keep = set(classes.tolist())
    for language, row in data.labels.items():
        pairs = [p for p in zip(row.class_indices, row.labels, strict=True) if p[0] in keep]
        indices, labels = zip(*pairs, strict=True)
        chosen[language] = replace(row, class_indices=indices, labels=labels)
    return replace(
        data,
        labels=chosen,
        item_ids=tuple(map(str, classes)),
        classes=classes,
        subset_sizes=(),
        variant="labels",
    )


def run(reference: str, data: ClassificationData, clip: np.ndarray) -> list[Result]:
    """Print one tower's accuracies on held-out classes, language by language."""
    tower = load_tower(reference, modality="text")
    order = np.random.default_rng(SEED).permutation(len(clip))
    fitted, rest = order[:NUM_FIT], np.sort(order[NUM_FIT:])
    names = [data.names[index] for index in fitted]
    asked = held_out(data, rest)
    print(reference)
    print(f"  {'language':<10} {'classes':>7}  {'held-out accuracy':>20}  {'shuffled':>8}  chance")
    by_map = {
        shuffled: evaluation.evaluate(
            Mapped(tower, fit(tower, names, clip[fitted], shuffled=shuffled)),
            asked,
            contents=clip[rest],
            name=reference,
            model_id=f"{tower.fingerprint} {shuffled}",
        )
        for shuffled in (False, True)
    }
    for row, control in zip(*by_map.values(), strict=True):
        low, high = row.intervals["accuracy"]
        print(
            f"  {row.language:<10} {row.num_candidates:>7}  {row.values['accuracy']:>6.1%} "
            f"[{low:.1%}, {high:.1%}]  {control.values['accuracy']:>8.1%}  "
            f"{1 / row.num_candidates:.1%}"
        )
    return by_map[False]


def main() -> None:
    """The towers at hand, or those that are named."""
    shared = shared_data()
    if not (shared / "clip_vit_b32_imagenet_text.f32.npy").is_file():
        sys.exit(f"no real CLIP vectors at {shared}; set POLYGLANCE_SHARED_DATA to their folder")
    clip = unit(np.load(shared / "clip_vit_b32_imagenet_text.f32.npy"))
    data = tasks.get_task("babel-imagenet").load(shared / "babel_imagenet", list(LANGUAGES))
    towers = sys.argv[1:] or ["sentence:all-MiniLM-L6-v2", f"tiny:{WEIGHTS / 'pictograms-ranking'}"]
    for reference in towers:
        run(reference, data, clip)


if __name__ == "__main__":
    main()
