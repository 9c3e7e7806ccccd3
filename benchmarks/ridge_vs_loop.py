"""`ridge-vs-loop`: the closed-form map against the published M2M loop, on 250,000 x 768 -> 768.

The loop is timed over a stated number of steps and extrapolated to its 195,350. How fast the closed
form can be at all is measured beside it: float32 products of one block, as fast as this machine
makes them. That sets the ratio's target, and no single time of the loop does. Quality is run in
full on real data: the published loop to its last epoch, on photos and on pictograms.
"""

from __future__ import annotations

from benchmarks import plain_loop, real_pairs
from benchmarks.harness import Criterion, Outcome, best_of_alternating, say

from polyglance.heads import closed_form
from polyglance.metrics import bootstrap
from polyglance.recipes import ridge
from polyglance.recipes.data import english_text
from polyglance.vectors import Vectors

NUM_ROWS, WIDTH, DEV_ROWS = 250_000, 768, 2_000
TIMED_STEPS = 500
# X^T X is symmetric: half of it is computed. X^T Y is not.
FLOATING_POINT_OPERATIONS = 3 * NUM_ROWS * WIDTH**2
# Beside the products stand sums, seven solutions and their choice on dev texts.
SHARE_OF_LIMIT = 0.6
TIMED_PRODUCTS = 20


def run() -> Outcome:
    """Time both, then compare what they find."""
    say(f"making {NUM_ROWS:,} pairs of width {WIDTH}")
    x, y = plain_loop.structured_pairs(NUM_ROWS + DEV_ROWS, WIDTH, seed=0)
    pairs = english_text.EncodedPairs(
        x[:NUM_ROWS], y[:NUM_ROWS], x[NUM_ROWS:], y[NUM_ROWS:], "unit", 0
    )
    loop = plain_loop.PlainLoop(pairs.x, pairs.y)
    seconds = best_of_alternating(
        {
            "ridge": lambda: ridge.fit(pairs, ridge.RidgeConfig()),
            "loop": lambda: loop.run(num_steps=TIMED_STEPS),
            "products": lambda: _products(x, y),
        },
        turns=3,
    )
    loop_seconds = seconds["loop"] / TIMED_STEPS * loop.num_steps
    per_second = TIMED_PRODUCTS * 2 * closed_form.BLOCK_ROWS * WIDTH**2 / seconds["products"]
    limit_seconds = FLOATING_POINT_OPERATIONS / per_second
    figures = {
        "alternative": "the published loop: 50 epochs, batch 64",
        "rows": NUM_ROWS,
        "width": WIDTH,
        "ridge_seconds": seconds["ridge"],
        "loop_seconds_extrapolated": loop_seconds,
        "loop_seconds_timed": seconds["loop"],
        "loop_steps_timed": TIMED_STEPS,
        "loop_steps_in_all": loop.num_steps,
        "loop_share_extrapolated": 1 - TIMED_STEPS / loop.num_steps,
        "machine_gflops": per_second / 1e9,
        "ridge_seconds_at_that_limit": limit_seconds,
        "ridge_share_of_limit": limit_seconds / seconds["ridge"],
    }
    others = [
        Criterion(
            name="ridge_seconds_at_250k", value=seconds["ridge"], target=3.0, direction="at most"
        )
    ]
    for world in real_pairs.worlds():
        found, criteria = _quality(world)
        figures[world.name] = found
        others += criteria
    return Outcome(
        ratio=loop_seconds / seconds["ridge"],
        figures=figures,
        others=tuple(others),
        target=SHARE_OF_LIMIT * loop_seconds / limit_seconds,
    )


def _products(x: Vectors, y: Vectors) -> None:
    left, right = x[: closed_form.BLOCK_ROWS].T, y[: closed_form.BLOCK_ROWS]
    for _ in range(TIMED_PRODUCTS):
        left @ right


def _quality(world: real_pairs.RealWorld) -> tuple[dict[str, object], list[Criterion]]:
    """Hit rates of both, and that no language is behind the loop beyond its interval."""
    say(f"{world.name}: ridge, then the loop in full over {len(world.pairs.x):,} texts")
    ours = world.hits(ridge.fit(world.pairs, ridge.RidgeConfig()).map)
    plain = plain_loop.PlainLoop(world.pairs.x, world.pairs.y)
    took = plain.run()
    theirs = world.hits(plain.apply)
    lost = {
        language: bootstrap.paired_difference(
            theirs[language], ours[language], clusters=world.queries[language][1], seed=0
        ).difference
        for language in ours
    }
    figures: dict[str, object] = {
        "ridge_hit_rate_at_10": {name: float(hits.mean()) for name, hits in ours.items()},
        "loop_hit_rate_at_10": {name: float(hits.mean()) for name, hits in theirs.items()},
        "lost": {name: [one.mean, one.low, one.high] for name, one in lost.items()},
        "loop_seconds": took,
    }
    return figures, [
        Criterion(
            name=f"{world.name}_lost_{language}_at_least",
            value=one.low,
            target=0.0,
            direction="at most",
        )
        for language, one in lost.items()
    ]
