"""How long does a search take in a process of its own, through a pack behind a real text tower?

The command is `polyglance search` as people type it: it starts Python, opens the index, loads pack,
tokenizer and encoder, encodes one query and prints ten answers. The alternative is the same pack
with the tower run by torch, which is what every pack did before. Files are in the system's cache.

The index holds drawn pictures, and the model's text side is a head fitted to nothing: what is timed
does not depend on what is in them. The best of several turns, taken alternately.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks.encode_text import captions
from benchmarks.harness import Criterion, Outcome, best_of_alternating, say, shared_data
from PIL import Image

MODEL = "tiny:pictograms-image"
TEACHER_TEXT = "sentence:all-MiniLM-L6-v2"
TOWERS = ("packaged:multilingual-e5-small", TEACHER_TEXT)
QUERY = "ein Hund läuft am Strand"
NUM_PICTURES = 200
NUM_CAPTIONS = 1000
TURNS = 5
MOST_SECONDS = 1.5


def run() -> Outcome:
    """Both packs asked in turns."""
    from polyglance import errors
    from polyglance.towers import load_tower

    for tower in TOWERS:
        try:
            load_tower(tower, modality="text")
            break
        except errors.PolyglanceError as error:
            say(f"{tower}: {error.message}")
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), tower=tower)


def measure(folder: Path, *, tower: str, turns: int = TURNS) -> Outcome:
    """The benchmark with any tower.

    Args:
        folder: An empty one.
        tower: Reference of the pack's text tower, without a runtime.
        turns: How often each side is timed.
    """
    source = make_world(folder)
    separator = "&" if "?" in tower else "?"
    references = {"torch": tower, "onnx": f"{tower}{separator}runtime=onnx"}
    for name, reference in references.items():
        command(
            *("train", "ridge", "--model", folder / "model", "--tower", reference),
            *("--text", folder / "captions.txt", "--out", folder / name),
        )
    asked = ("search", QUERY, "--language", "de", "--index", folder / "index", "--paths")
    sides = {name: [*asked, "--pack", folder / name] for name in references}
    started = time.perf_counter()
    answers = {name: command(*argv).splitlines() for name, argv in sides.items()}
    say(f"first searches, {time.perf_counter() - started:.1f} s: {answers['onnx'][:3]}")
    best = best_of_alternating(
        {name: lambda argv=argv: command(*argv) for name, argv in sides.items()}, turns=turns
    )
    imported = imports_of(*sides["onnx"])
    return Outcome(
        ratio=best["torch"] / best["onnx"],
        figures={
            "alternative": "the same pack with its tower in torch",
            "tower": tower,
            "captions": source,
            "num_pictures": NUM_PICTURES,
            "seconds": {name: round(value, 3) for name, value in best.items()},
            "same_answers_of_ten": len({*answers["torch"]} & {*answers["onnx"]}),
            "slowest_imports_ms": slowest(imported),
        },
        others=(
            Criterion(
                name="seconds_onnx", value=best["onnx"], target=MOST_SECONDS, direction="at most"
            ),
            Criterion(
                name="imports_of_torch",
                value=sum(name.partition(".")[0] == "torch" for name in imported),
                target=0,
                direction="at most",
            ),
        ),
    )


def make_world(folder: Path) -> str:
    """Pictures, a model, an index and captions; gives where the captions come from."""
    from polyglance.heads.affine import AffineMap
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.model.side import Side
    from polyglance.search import indexing
    from polyglance.towers import load_tower

    generator = np.random.default_rng(11)
    (folder / "pictures").mkdir()
    for number in range(NUM_PICTURES):
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST)
        image.save(folder / "pictures" / f"{number}.png")
    content = Side(load_tower(MODEL, modality="image"), MODEL)
    text = load_tower(TEACHER_TEXT, modality="text")
    weight = generator.standard_normal((content.dim, text.dim)).astype(np.float32)
    head = AffineMap(weight, np.zeros(content.dim, np.float32))
    DualEncoder(content, Side(text, TEACHER_TEXT, head), "drawn").save(folder / "model")
    indexing.build(folder / "pictures", model=str(folder / "model"), out=folder / "index")
    lines, source = captions(shared_data())
    lines = random.Random(3).sample(lines, NUM_CAPTIONS)
    (folder / "captions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return source


def command(*arguments: object) -> str:
    """Run the command line in a process of its own; gives what it prints."""
    argv = [sys.executable, "-m", "polyglance", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def imports_of(*arguments: object) -> dict[str, int]:
    """What a command imports: modules and the microseconds of each alone."""
    argv = [sys.executable, "-X", "importtime", "-m", "polyglance", *map(str, arguments)]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stderr.splitlines()
    rows = [line.removeprefix("import time:").split("|") for line in lines if "|" in line]
    return {name.strip(): int(own) for own, _, name in rows if own.strip().isdigit()}


def slowest(imported: dict[str, int], *, count: int = 6) -> dict[str, int]:
    """Milliseconds by package, largest first."""
    total: dict[str, int] = {}
    for name, microseconds in imported.items():
        package = name.partition(".")[0]
        total[package] = total.get(package, 0) + microseconds
    largest = sorted(total.items(), key=lambda item: -item[1])[:count]
    return {name: round(value / 1000) for name, value in largest}
