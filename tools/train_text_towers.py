"""Train the two shipped text towers of the pictograms anew, as `polyglance demo --fresh` does.

    python tools/train_text_towers.py FOLDER [distilled|ranking ...]

Wanted when `text_forms.folded` changes: n-grams are made of folded texts, in training as in use.
Copy what it writes over `src/polyglance/towers/tiny/weights/` once the figures of the demo have not
fallen. The image tower, which takes most of the time of `--fresh`, does not read texts that way.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from polyglance.demo import towers
from polyglance.recipes import translation_ranking
from polyglance.recipes.data import parallel_text
from polyglance.recipes.distill import recipe
from polyglance.sources import pictograms
from polyglance.towers import load_tower
from polyglance.towers.tiny.tower import SHIPPED, TinyTextTower
from polyglance.vectors import unit

KINDS = ("distilled", "ranking")


def train(kind: str) -> TinyTextTower:
    """One of the two, on the seen concepts."""
    world = pictograms.load_world()
    pairs, related = towers.name_pairs(world)
    if kind == "ranking":
        return translation_ranking.train_tower(
            pairs, related=related, config=translation_ranking.RankingConfig()
        )
    english = load_tower(towers.ENGLISH_TOWER, modality="text")
    data = parallel_text.gather(pairs, related)
    targets = unit(english.encode(data.english))
    found, _ = recipe.train_tower(data, targets, config=recipe.DistillConfig())
    return found


def main() -> None:
    """Train and save."""
    folder, *kinds = sys.argv[1:]
    for kind in kinds or KINDS:
        started = time.perf_counter()
        train(kind).save(Path(folder) / SHIPPED[1 + KINDS.index(kind)])
        print(f"{kind}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
