"""The three towers of the demo, shipped with the package or trained from its world.

An image tower that learnt English names from one artist's drawings; a text tower distilled from the
English sentence encoder; a text tower from translation ranking in a space of its own. None of them
saw a held-out concept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from polyglance.languages.registry import ENGLISH
from polyglance.recipes import tiny_image
from polyglance.recipes import translation_ranking as ranking
from polyglance.recipes.data import parallel_text
from polyglance.recipes.distill import recipe
from polyglance.recipes.distill.config import DistillConfig
from polyglance.records import Modality, Pair
from polyglance.sources import pictograms
from polyglance.towers import Tower, load_tower
from polyglance.towers.tiny.tower import SHIPPED, TinyImageTower, TinyTextTower
from polyglance.vectors import unit

ENGLISH_TOWER = "sentence:all-MiniLM-L6-v2"


@dataclass(frozen=True, kw_only=True, eq=False)
class Towers:
    """The three towers.

    Attributes:
        image: Into the space of the English sentence encoder.
        distilled: Multilingual text into that space.
        ranking: Multilingual text into a space of its own.
    """

    image: TinyImageTower
    distilled: TinyTextTower
    ranking: TinyTextTower

    def save(self, folder: Path) -> None:
        """Write them under the names by which they are shipped."""
        self.image.save(folder / SHIPPED[0])
        self.distilled.save(folder / SHIPPED[1])
        self.ranking.save(folder / SHIPPED[2])


def load(folder: Path | None) -> Towers:
    """The shipped towers, or those that `train` left in a folder."""

    def one(name: str, modality: Modality) -> Tower:
        where = name if folder is None else str(folder / name)
        return load_tower(f"tiny:{where}", modality=modality)

    image, distilled, ranked = (
        one(SHIPPED[0], "image"),
        one(SHIPPED[1], "text"),
        one(SHIPPED[2], "text"),
    )
    assert isinstance(image, TinyImageTower)
    assert isinstance(distilled, TinyTextTower)
    assert isinstance(ranked, TinyTextTower)
    return Towers(image=image, distilled=distilled, ranking=ranked)


def train(world: pictograms.World) -> Towers:
    """Train all three on the seen concepts."""
    english = load_tower(ENGLISH_TOWER, modality="text")
    pairs, related = name_pairs(world)
    data = parallel_text.gather(pairs, related)
    targets = unit(english.encode(data.english))
    distilled, _ = recipe.train_tower(data, targets, config=DistillConfig())
    ranked = ranking.train_tower(pairs, related=related, config=ranking.RankingConfig())
    return Towers(image=train_image(world, english), distilled=distilled, ranking=ranked)


def train_image(
    world: pictograms.World, english: Tower, config: tiny_image.TinyImageConfig | None = None
) -> TinyImageTower:
    """The English-only image tower, from the training artist's drawings of seen concepts."""
    seen = [concept for concept in world.concepts if not concept.held_out]
    names, described = english_names(world), english_descriptions(world)
    folder = world.folder(pictograms.TRAIN_ARTIST)
    drawings = [np.asarray(Image.open(folder / concept.id).convert("RGBA")) for concept in seen]
    return tiny_image.train(
        tiny_image.as_drawings(drawings),
        unit(english.encode(names)),
        unit(english.encode(described)),
        config=config or tiny_image.TinyImageConfig(),
    )


def name_pairs(world: pictograms.World) -> tuple[list[Pair], list[Pair]]:
    """Names as translations of the English name; keywords as what only belongs to it."""
    texts, _ = pictograms.training_texts(world)
    english = world.names[ENGLISH]
    pairs: list[Pair] = []
    related: list[Pair] = []
    for text in texts:
        name = english[world.concepts[text.concept].id]
        (pairs if text.is_name else related).append(Pair(name, ENGLISH, text.text, text.language))
    return pairs, related


def english_names(world: pictograms.World) -> list[str]:
    """English names of the seen concepts."""
    named = world.names[ENGLISH]
    return [named[concept.id] for concept in world.concepts if not concept.held_out]


def english_descriptions(world: pictograms.World) -> list[str]:
    """Names with their keywords behind them, none of which names a held-out concept."""
    forbidden = world.held_out_names(ENGLISH)
    described = []
    for concept in world.concepts:
        if not concept.held_out:
            words = world.keywords[ENGLISH][concept.id]
            kept = [word for word in words if pictograms.normalise(word) not in forbidden]
            described.append(f"{world.names[ENGLISH][concept.id]}: {', '.join(kept)}")
    return described


def english_texts(world: pictograms.World) -> list[str]:
    """English text alone, on which `ridge` and `m2m` are fitted.

    Names and descriptions: with single keywords instead of descriptions the map lost 8 points in
    the other languages, since a keyword belongs to many concepts at once.
    """
    return [*english_names(world), *english_descriptions(world)]
