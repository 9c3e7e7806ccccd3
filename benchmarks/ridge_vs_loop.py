"""`ridge-vs-loop`: the closed-form map against the published M2M loop, on 250,000 x 768 -> 768.

The loop is timed over a stated number of steps and extrapolated to its 195,350. Quality is run in
full on real data: the published loop to its last epoch, on photos and on pictograms.
"""

from __future__ import annotations

from benchmarks import plain_loop, real_pairs
from benchmarks.harness import Criterion, Outcome, best_of_alternating, say

from polyglance.recipes import ridge
from polyglance.recipes.data import english_text

NUM_ROWS, WIDTH, DEV_ROWS = 250_000, 768, 2_000
TIMED_STEPS = 500
# A map may lose half a point of text-to-image R@10 against the loop, no more.
MOST_LOST = 0.005


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
        },
        turns=3,
    )
    loop_seconds = seconds["loop"] / TIMED_STEPS * loop.num_steps
    figures = {
        "alternative": "the published loop: 50 epochs, batch 64",
        "rows": NUM_ROWS,
        "width": WIDTH,
        "ridge_seconds": seconds["ridge"],
        "loop_seconds_extrapolated": loop_seconds,
        "loop_steps_timed": TIMED_STEPS,
        "loop_steps_in_all": loop.num_steps,
    }
    others = [
        Criterion(
            name="ridge_seconds_at_250k", value=seconds["ridge"], target=5.0, direction="at most"
        )
    ]
    for world in real_pairs.worlds():
        say(f"{world.name}: ridge, then the loop in full over {len(world.pairs.x):,} texts")
        ours = world.hit_rate(ridge.fit(world.pairs, ridge.RidgeConfig()).map)
        plain = plain_loop.PlainLoop(world.pairs.x, world.pairs.y)
        took = plain.run()
        theirs = world.hit_rate(plain.apply)
        figures[world.name] = {
            "ridge_hit_rate_at_10": ours,
            "loop_hit_rate_at_10": theirs,
            "loop_seconds": took,
        }
        others += [
            Criterion(
                name=f"{world.name}_lost_{language}",
                value=theirs[language] - ours[language],
                target=MOST_LOST,
                direction="at most",
            )
            for language in ours
        ]
    return Outcome(ratio=loop_seconds / seconds["ridge"], figures=figures, others=tuple(others))
