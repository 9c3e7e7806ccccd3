"""Are pictures indexed faster than by a plain loop? The same tower, thumbnails on for ours.

The alternative is what one writes first: open a picture, bring it to RGB, preprocess, encode, one
after the other. A second plain loop encodes in batches as we do, and is shown beside it. Ours is
the whole of `indexing.build`: walk, hash, decode, preprocess, encode, thumbnail, time and place,
table. Vectors must agree. Further: a second run over 10,000 unchanged files, the whole process.

Pictures are the 400 photos of the shared data where they are, else generated ones of their size;
three files of each, which differ in a byte after the picture, so that every file is new content.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.harness import Criterion, Outcome, best_of_alternating, say, shared_data
from PIL import Image

from polyglance.vectors import unit

MODEL = "tiny:pictograms-image"
COPIES = 3
NUM_GENERATED = 400
SIDE = 224
BATCH = 64
TURNS = 5
NUM_UNCHANGED = 10_000
SECOND_RUN_SECONDS = 3.0
LEAST_COSINE = 0.9999


def run() -> Outcome:
    """Both loops and ours, in turns; then the second run."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), num_unchanged=NUM_UNCHANGED, copies=COPIES, turns=TURNS)


def measure(folder: Path, *, num_unchanged: int, copies: int, turns: int) -> Outcome:
    """The benchmark at any size.

    Args:
        folder: An empty one.
        num_unchanged: Files of the second run.
        copies: Files of each picture.
        turns: How often each side is timed.
    """
    from polyglance.search import indexing
    from polyglance.storage.store import Store
    from polyglance.towers import load_tower

    source = make_pictures(folder / "pictures", copies=copies)
    paths = sorted((folder / "pictures").iterdir())
    tower: Any = load_tower(MODEL, modality="image")
    numbers = itertools.count()
    plain: dict[str, np.ndarray] = {}

    def ours() -> None:
        report = indexing.build(
            folder / "pictures", model=MODEL, out=folder / f"index-{next(numbers)}"
        )
        assert report.new == len(paths), report

    def one_by_one() -> None:
        plain["vectors"] = np.concatenate([tower.encode([opened(p, tower)]) for p in paths])

    def in_batches() -> None:
        for batch in _batches(paths):
            tower.encode([opened(path, tower) for path in batch])

    best = best_of_alternating(
        {"ours": ours, "plain loop": one_by_one, "plain loop in batches": in_batches}, turns=turns
    )
    store = Store.open(folder / "index-0")
    found = store.vectors([path.name for path in paths])
    cosine = float((found * unit(plain["vectors"])).sum(axis=1).min())
    seconds = second_run(folder / "unchanged", num_files=num_unchanged)
    rate = {name: len(paths) / value for name, value in best.items()}
    return Outcome(
        ratio=rate["ours"] / rate["plain loop"],
        figures={
            "alternative": "open, convert, preprocess, encode, one picture after the other",
            "model": MODEL,
            "pictures": source,
            "num_files": len(paths),
            "images_per_second": {name: round(value, 1) for name, value in rate.items()},
            "ratio_to_the_loop_in_batches": round(rate["ours"] / rate["plain loop in batches"], 3),
            "thumbnails": sum(1 for _ in (folder / "index-0" / "thumbnails").rglob("*.jpg")),
            "num_unchanged": num_unchanged,
        },
        others=(
            Criterion(
                name="second_run_seconds",
                value=seconds,
                target=SECOND_RUN_SECONDS,
                direction="at most",
            ),
            Criterion(name="least_cosine_to_the_loop", value=cosine, target=LEAST_COSINE),
        ),
    )


def opened(path: Path, tower: Any) -> Any:
    """What a plain loop does before it encodes."""
    with Image.open(path) as image:
        return tower.preprocess(image.convert("RGB"))


def make_pictures(folder: Path, *, copies: int) -> str:
    """Fill a folder with JPEGs, all of different content; says where they come from."""
    data = shared_data()
    photos = sorted((data / "flickr8k" / "photos").glob("*.jpg"))
    folder.mkdir()
    source = f"{len(photos)} flickr8k photos, {copies} files of each"
    if not photos:
        generated = folder.with_name("generated")
        generated.mkdir()
        rng = np.random.default_rng(0)
        for number in range(NUM_GENERATED):
            coarse = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            picture.save(generated / f"{number}.jpg", quality=90)
        photos = sorted(generated.iterdir())
        source = f"{len(photos)} generated pictures of {SIDE} x {SIDE}, {copies} files of each"
    for photo in photos:
        content = photo.read_bytes()
        for copy in range(copies):
            (folder / f"{photo.stem}-{copy}.jpg").write_bytes(content + bytes([copy]))
    return source


def second_run(folder: Path, *, num_files: int) -> float:
    """Seconds of the whole command over an index that has nothing new; best of three."""
    photos = folder / "photos"
    for number in range(num_files):
        place = photos / f"{number % 100:02}"
        if number < 100:
            place.mkdir(parents=True)
            Image.new("RGB", (16, 16), (number, 2 * number, 90)).save(place / "first.png")
        content = (place / "first.png").read_bytes()
        (place / f"{number}.png").write_bytes(content + number.to_bytes(4, "big"))
    for path in photos.glob("*/first.png"):
        path.unlink()
    command = [sys.executable, "-m", "polyglance", "index", str(photos), "--model", MODEL]
    command += ["--out", str(folder / "index")]
    say(f"  indexing {num_files:,} files, so that they are known")
    subprocess.run(command, check=True, capture_output=True)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        assert f"0 new, {num_files:,} known" in done.stdout, done.stdout
    say(f"  second run: {min(seconds):.2f} s")
    return min(seconds)


def _batches(paths: list[Path]) -> list[list[Path]]:
    return [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
