"""What does it all come to? From nothing to a search in a hundred languages, on pictograms.

An image tower that knows English names alone gets a hundred languages in three ways; each is
measured in every language on pictures by an artist that no training saw, and the best one answers
queries over an index of those pictures.
"""

from __future__ import annotations

from pathlib import Path

from polyglance.demo import measuring, packs_made, telling, towers
from polyglance.demo.stages import Stages
from polyglance.search import index
from polyglance.sources import pictograms


def run(out: Path, *, fresh: bool = False) -> telling.Summary:
    """Run every stage; what `out` holds already is taken up, not done again.

    Args:
        out: Folder of the results: `model/`, `pack/`, `packs/`, `index/`, `results.jsonl`,
            `summary.json`, `report.html`.
        fresh: Retrain the towers that are shipped with polyglance.

    Returns:
        What `summary.json` holds.
    """
    stages = Stages()
    with stages("fetch pictures and names"):
        world = pictograms.load_world()
    with stages("train towers" if fresh else "load towers"):
        made = towers.train(world, out) if fresh else towers.shipped(out)
    with stages("index pictures"):
        index.build(
            world.folder(pictograms.TEST_ARTIST), model=str(made.model), out=out / "index"
        )
    with stages("make language packs"):
        bench = measuring.Bench.open(world, out, made)
        packs = packs_made.make(bench, made, out)
    with stages("measure every language"):
        rows = measuring.measure_all(bench, packs, out / "results.jsonl")
    summary = telling.summarise(rows, world)
    with stages("answer five queries"):
        answers = telling.ask_five(out / "index", packs.best, world)
    with stages("write the report"):
        telling.write(summary, rows, out=out, stages=stages, answers=answers)
    return summary
