"""`photo-pack`: how far does a pack from parallel text alone bring five languages to real photos?

The model knows English: trained on the English captions of Flickr8k's train photos. The pack is
`distill` on parallel text; no caption in Chinese, Arabic, German, French or Czech is ever seen
with a picture, and none of a dev or test photo at all. All captions of the 1,000 test photos ask
(5 a photo in English and Chinese, 3 in Arabic, 1 for nine photos in ten in the others), all 1,000
photos are candidates. Settings were chosen on the 500 dev photos. Three seeds, each with a
teacher and a pack of its own; intervals draw test photos, with all their captions in all languages.

Legend: Q queries of all languages, L languages, S seeds, B draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from benchmarks import photo_world
from benchmarks.harness import Criterion, Outcome, say
from numpy.typing import NDArray

from polyglance.evaluation import retrieval
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import bootstrap
from polyglance.model.dual_encoder import DualEncoder
from polyglance.recipes.distill import recipe
from polyglance.recipes.distill.config import DistillConfig

Doubles = NDArray[np.float64]
SEEDS = (0, 1, 2)
CONFIG = DistillConfig(
    ending="contrast",
    num_buckets=120_000,
    dim=256,
    dropout=0.1,
    num_steps=500,
    batch_size=1024,
    learning_rate=1e-2,
    temperature=0.1,
)
LEAST_ENGLISH, LEAST_LANGUAGE = 0.60, 0.60
K = retrieval.KS.index(10)
LANGUAGES = (ENGLISH, *photo_world.OTHER_LANGUAGES)


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """Whether each query found its photo among the first ten, by language.

    Attributes:
        hits: Language to float64 (queries,).
        photos: Language to int64 (queries,), the photo each is about.
    """

    hits: Mapping[str, NDArray[np.float64]]
    photos: Mapping[str, NDArray[np.int64]]


def train_pack(world: photo_world.PhotoWorld, *, config: DistillConfig) -> DualEncoder:
    """The teacher with a pack from the world's parallel text on it."""
    pack = recipe.train(
        world.parallel.pairs, teacher=world.teacher, config=config, cache=world.cache
    )
    return world.teacher.with_pack(pack)


def hits_of(model: DualEncoder, world: photo_world.PhotoWorld, *, split: str) -> Hits:
    """Ask a split's photos in all six languages."""
    hits, photos = {}, {}
    for language in LANGUAGES:
        parts = retrieval.score_language(
            model,
            world.data(split),
            language=language,
            contents=world.contents(split),
            cache=world.cache,
        )
        part = next(part for part in parts if part.direction == "text_to_content")
        hits[language], photos[language] = part.hits[:, K], part.clusters
    return Hits(hits=hits, photos=photos)


def rates_of(found: Hits) -> dict[str, float]:
    """R@10 by language."""
    return {language: float(hits.mean()) for language, hits in found.hits.items()}


def run() -> Outcome:
    """Train and measure with three seeds."""
    started = time.perf_counter()
    found = []
    for seed in SEEDS:
        world = photo_world.load(seed=seed)
        if seed == SEEDS[0]:
            _tell(world.parallel)
        begun = time.perf_counter()
        model = train_pack(world, config=replace(CONFIG, seed=seed))
        say(f"seed {seed}: pack trained in {time.perf_counter() - begun:.0f} s")
        for split in ("dev", "test"):
            measured = hits_of(model, world, split=split)
            shown = ", ".join(f"{name} {rate:.3f}" for name, rate in rates_of(measured).items())
            say(f"seed {seed}, {split}: R@10 {shown}")
        found.append(measured)
    return outcome_of(
        found,
        facts={
            "alternative": "the English figure of the same model, same photos",
            "split": "test",
            "caption_policy": "all",
            "num_candidates": len(world.photos("test")),
            "texts_by_language": world.parallel.num_texts,
            "left_out": dict(world.parallel.left_out),
            "seconds": time.perf_counter() - started,
        },
    )


def _tell(parallel: photo_world.ParallelText) -> None:
    texts = ", ".join(f"{n:,} {language}" for language, n in parallel.num_texts.items())
    say(f"parallel text: {len(parallel.pairs):,} pairs of {texts}")
    for reason, count in parallel.left_out.items():
        say(f"  left out: {count:,} {reason.replace('_', ' ')}")


def outcome_of(found: Sequence[Hits], *, facts: Mapping[str, object]) -> Outcome:
    """Means over the seeds with intervals, and what has to be reached.

    Args:
        found: Hits of each seed, of the same queries.
        facts: What else the figures say.
    """
    drawn = _draw(found)
    num_seeds = len(found)
    shape = (-1, num_seeds, len(LANGUAGES))
    means = drawn.means.reshape(shape).mean(axis=1)  # (1, L)
    draws = drawn.draws.reshape(shape).mean(axis=1)  # (B, L)
    by_seed = drawn.means.reshape(num_seeds, len(LANGUAGES))

    def told(of: Callable[[Doubles], Doubles]) -> dict[str, object]:
        """A figure of (rows, L) rates: mean, interval, and that of each seed."""
        value = float(of(means)[0])
        span = bootstrap.interval_of(of(draws), mean=value, num_clusters=drawn.num_clusters.max())
        return {
            "value": round(value, 4),
            "interval": [round(span.low, 4), round(span.high, 4)],
            "by_seed": of(by_seed).round(4).tolist(),
        }

    def share(rates: Doubles, column: int) -> Doubles:
        return rates[:, column] / rates[:, 0]

    columns = range(1, len(LANGUAGES))
    least = min(columns, key=lambda column: share(means, column)[0])
    figures = {
        "average_of_english": told(lambda rates: rates[:, 1:].mean(axis=1) / rates[:, 0]),
        "r_at_10": {
            name: told(lambda rates, column=column: rates[:, column])
            for column, name in enumerate(LANGUAGES)
        },
        "of_english": {
            LANGUAGES[column]: told(lambda rates, column=column: share(rates, column))
            for column in columns
        },
        "least_language": LANGUAGES[least],
        "seeds": list(SEEDS[:num_seeds]),
        **facts,
    }
    return Outcome(
        ratio=float(means[0, 1:].mean() / means[0, 0]),
        figures=figures,
        others=(
            Criterion(name="english_r_at_10", value=float(means[0, 0]), target=LEAST_ENGLISH),
            Criterion(
                name="least_language_of_english",
                value=float(share(means, least)[0]),
                target=LEAST_LANGUAGE,
            ),
        ),
    )


def _draw(found: Sequence[Hits]) -> bootstrap.BootstrapMeans:
    """Means of S x L columns under the same draws of photos."""
    rows = sum(len(found[0].hits[language]) for language in LANGUAGES)
    values = np.zeros((rows, len(found), len(LANGUAGES)))  # (Q, S, L)
    present = np.zeros_like(values, bool)
    start = 0
    for column, language in enumerate(LANGUAGES):
        stop = start + len(found[0].hits[language])
        present[start:stop, :, column] = True
        for seed, each in enumerate(found):
            values[start:stop, seed, column] = each.hits[language]
        start = stop
    return bootstrap.bootstrap_means(
        values.reshape(rows, -1),
        clusters=np.concatenate([found[0].photos[language] for language in LANGUAGES]),
        seed=0,
        present=present.reshape(rows, -1),
    )
