"""Run `python -m benchmarks.claims` to check the papers' claims and write `docs/claims.md`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.claims import captions, measured, page, photos, running
from benchmarks.claims.arms import PAPERS
from benchmarks.claims.running import Results
from benchmarks.claims.table import CLAIMS
from benchmarks.harness import say

from polyglance.storage import locations

LEAST_SEEDS = 3
PAGE = Path(__file__).resolve().parents[2] / "docs" / "claims.md"
# Worlds, and whether what each is made of is at hand.
WORLDS: Mapping[str, Callable[[], bool]] = {
    "pictograms": lambda: True,
    "photos": photos.is_there,
    "captions": captions.is_there,
}


def main(arguments: list[str]) -> int:
    """Run what is missing, then write the page; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.claims", description="Check the papers' claims on small data."
    )
    names = [*PAPERS, *(claim.id for claim in CLAIMS)]
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--data", nargs="+", choices=list(WORLDS), default=list(WORLDS), help="where to run"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many; 3 or more for a verdict")
    parser.add_argument("--results", type=Path, help="folder that keeps what was run")
    parser.add_argument("--quick", action="store_true", help="a few steps each, page not written")
    parser.add_argument("--render", action="store_true", help="write the page, run nothing")
    parser.add_argument("--json", action="store_true", help="print the rows, write no page")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.only or [] if name not in names]
    if unknown:
        parser.error(f"no claim or paper {', '.join(unknown)}; there are {', '.join(names)}")
    kind = "quick" if given.quick else "full"
    folder = given.results or locations.cache_folder() / "claims" / kind
    results = Results(folder=folder, seeds=tuple(range(given.seeds)), quick=given.quick)
    # In the order given, so that what matters most is there first.
    chosen = list(
        dict.fromkeys(c for name in given.only or PAPERS for c in CLAIMS if name in (c.id, c.paper))
    )
    there = [name for name in given.data if WORLDS[name]()]
    if not given.render:
        running.run(results, chosen, data=there)
    # More seeds of some arms leave the rows of the others as they are.
    results = replace(results, seeds=results.seeds[:LEAST_SEEDS])
    known = measured.Measured() if given.quick else measured.load()
    known = running.brought_up_to_date(results, known)
    rows = running.rows(results, chosen if given.quick else CLAIMS, known=known)
    if given.json:
        print(json.dumps([running.as_json(row) for row in rows], indent=1))
    elif given.quick:
        print(page.render(rows, known.arms))
    else:
        measured.save(known)
        page.write(rows, known.arms, path=PAGE)
        say(f"written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
