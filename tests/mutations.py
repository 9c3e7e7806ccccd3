"""Damage to what polyglance keeps on the disk ends in a clear error or the right answer.

    python tests/mutations.py --count 300 --seed 0

A world is made once: a model, a pack, an index with thumbnails and a derived column, a cache of
text vectors, results, a run with a checkpoint. A mutation takes a copy, damages one thing, and asks
what the thing is for. What comes is an error of ours, or what came from the undamaged world; other
answers are silently wrong, other exceptions are crashes, and both are failures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import MappingProxyType

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import small_world
from polyglance import errors, towers
from polyglance.encoding import texts
from polyglance.heads.affine import AffineMap
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.results import schema
from polyglance.search import indexing
from polyglance.search import searcher as service

TEXTS = ["a red circle", "a blue square", "green", "a small dog", "two boats"]
KINDS = ("index", "pack", "model", "cache", "results", "run")
QUERIES = (("big red circle", "eng_Latn"), ("small blue square", None))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n"


class State:
    """What a run keeps: two tensors and a number."""

    def __init__(self, seed):
        import torch

        torch.manual_seed(seed)
        self.state = {"w": torch.randn(20, 20), "step": seed, "b": torch.randn(50)}

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def make_world(root):
    """The undamaged world."""
    teacher = small_world.fit_teacher()
    (root / "photos").mkdir(parents=True)
    for phrase in small_world.PHRASES:
        name = f"{phrase.replace(' ', '-')}.png"
        small_world.draw(phrase, seed=99).save(root / "photos" / name)
    teacher.save(root / "model")
    indexing.build(root / "photos", model=str(root / "model"), out=root / "index")
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    made = ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )
    made.save(root / "pack")
    rng = np.random.default_rng(0)
    turn = AffineMap(rng.standard_normal((24, 24)).astype(np.float32), np.zeros(24, np.float32))
    from dataclasses import replace

    from polyglance.model.manifest import LanguageScore

    scores = {"deu_Latn": LanguageScore(pack=0.9, teacher=0.1, speaks="pack")}
    facts = replace(made.manifest, content="head", languages=scores)
    LanguagePack(facts, made.side, made.probes, content_head=turn).save(root / "moving")
    ask_cache(root)
    rows = [
        small_result(language, value / 7)
        for value, language in enumerate(["deu_Latn", "fra_Latn", "eng_Latn"], 1)
    ]
    schema.append_results(root / "results.jsonl", rows)
    checkpoints(root, seed=3).save(12)
    for pack in (None, "pack", "moving"):
        ask_index(root, pack)


def small_result(language, value):
    """One measured row."""
    return schema.Result(
        task="t", split="test", language=language, direction="text_to_content", metric="hit_rate",
        caption_policy="all", values={"hit_rate_at_10": value}, num_queries=100,
        intervals={"hit_rate_at_10": (value / 2, value * 1.1)}, num_candidates=50, model="m",
        model_id="0123", data_id="4567",
    )  # fmt: skip


def checkpoints(root, *, seed):
    """The checkpoints of the world's run."""
    from polyglance.training.checkpoints import Checkpoints, Part, RunFolder

    return Checkpoints(RunFolder(root / "run"), {"state": Part(of=State(seed))})


def ask_index(root, pack):
    """Answers to a few questions, by ids, paths and rounded scores."""
    searcher = service.Searcher(root / "index", packs=[] if pack is None else [root / pack])
    found = []
    for text, language in QUERIES:
        said = language if pack is None else (language or "deu_Latn")
        for hit in searcher.search(service.Query.of_text(text), language=said, top=5).hits:
            found.append((hit.id, os.path.basename(hit.path), round(hit.score, 5)))
    return found


def ask_picture(root):
    """What is like a picture, by the model's content side."""
    searcher = service.Searcher(root / "index")
    picture = sorted((root / "photos").iterdir())[3]
    vectors = searcher.encode_media([picture])
    return [(hit.id, round(hit.score, 5)) for hit in searcher.rank(vectors, top=5)[0]]


def ask_cache(root):
    """Vectors of texts, from the cache where it has them."""
    tower = small_world.load_reference("fake:teacher")
    cache = texts.VectorCache(root / "cache")
    vectors = texts.text_vectors(TEXTS, tower, cache=cache)
    return vectors.round(5).tolist()


def ask_results(root):
    """The rows of a file of results; a file that is not whole is said to be so."""
    rows = schema.read_results(root / "results.jsonl")
    said = schema.read_what_is_whole(root / "results.jsonl").said
    if said or not rows:
        raise errors.ResultError("; ".join(said) or "no results", hint="measure again")
    return [(row.language, dict(row.values), dict(row.intervals), row.num_queries) for row in rows]


def ask_run(root):
    """The state that a resumed run stands at."""
    again = checkpoints(root, seed=4)
    again.resume()
    (part,) = again._parts.values()
    return {k: np.asarray(v).round(5).tolist() for k, v in part.of.state.items()}


ASK = {
    "index": lambda root: [ask_index(root, pack) for pack in (None, "pack", "moving")],
    "pack": lambda root: [ask_index(root, pack) for pack in ("pack", "moving")],
    "model": lambda root: [ask_index(root, None), ask_picture(root)],
    "cache": ask_cache,
    "results": ask_results,
    "run": ask_run,
}
PLACE = {"results": "results.jsonl"}


def files_of(place):
    """What can be damaged in a thing, sorted so that a seed means the same."""
    if place.is_file():
        return [place]
    found = (path for path in place.rglob("*") if path.is_file())
    return sorted(path for path in found if not path.name.endswith((".lock", ".txn", ".jpg")))


def damage(root, kind, rng):
    """Do something to one file; says what."""
    place = root / PLACE.get(kind, kind)
    if kind == "pack":
        place = root / rng.choice(["pack", "moving"])
    listed = files_of(place)
    # Lance names its files by chance: a file is chosen by its folder, then by its place in there.
    folder = rng.choice(sorted({path.parent.relative_to(root) for path in listed}))
    path = rng.choice([one for one in listed if one.parent == root / folder])
    data = path.read_bytes()
    ways = ["flip", "flip", "flip", "cut", "empty", "zeros", "delete", "lfs", "swap"]
    if path.suffix == ".json":
        ways += ["edit"] * 5 + ["version"]
    way = rng.choice(ways)
    if way == "flip" and data:
        at = rng.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
    elif way == "cut":
        path.write_bytes(data[: rng.randrange(max(1, len(data)))])
    elif way in ("empty", "flip"):
        path.write_bytes(b"")
    elif way == "zeros":
        at = rng.randrange(max(1, len(data)))
        path.write_bytes(data[:at] + bytes(min(64, len(data) - at)) + data[at + 64 :])
    elif way == "delete":
        path.unlink()
    elif way == "lfs":
        path.write_bytes(LFS % 0)
    elif way == "swap":
        same = [one for one in listed if one.suffix == path.suffix and one != path]
        if not same:
            path.write_bytes(data[::-1])
        else:
            shutil.copyfile(rng.choice(same), path)
    elif way == "version":
        path.write_bytes(data.replace(b'"schema_version": 1', b'"schema_version": 9'))
    else:
        way = f"edit {edit(path, rng)}"
    return f"{way}: {path.relative_to(root)}"


def edit(path, rng):
    """Change one value of a JSON file to another one of a kind; says which."""
    content = json.loads(path.read_text("utf-8"))
    places = []

    def walk(value, way):
        if isinstance(value, dict):
            for name, each in value.items():
                walk(each, [*way, name])
        else:
            places.append((way, value))

    walk(content, [])
    way, value = rng.choice(places)
    kinds = [None, "", "..", -1, 7, 1e9, float("nan"), True, [], {}, "teacher", "head", "raw"]
    new = rng.choice([one for one in kinds if one != value])
    inner = content
    for name in way[:-1]:
        inner = inner[name]
    inner[way[-1]] = new
    if rng.random() < 0.3:  # by someone who knows of the checksum
        content.pop("checksum", None)
    path.write_text(json.dumps(content), "utf-8")
    return f"{'.'.join(way)} = {new!r}{'' if 'checksum' in content else ' (checksum taken out)'}"


def outcome(world, wanted, *, number, seed):
    """One mutation: kind, what was done, and `right`, `refused`, or what went wrong."""
    rng = random.Random(f"{seed}-{number}")
    kind = KINDS[number % len(KINDS)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "world"
        shutil.copytree(world, root)
        # What the index notes leads into the copy, as after a move of all together.
        done = damage(root, kind, rng)
        try:
            found = ASK[kind](root)
        except errors.PolyglanceError as error:
            return kind, done, "refused" if error.hint and error.message else "no words"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return kind, done, f"CRASH {type(error).__name__}: {str(error)[:200]}"
        return kind, done, "right" if found == wanted[kind] else "SILENTLY WRONG"


def run(count, *, seed, show=False):
    """So many mutations; what came of each."""
    table = {**towers.TOWERS, "fake": towers.TowerSource("small_world", "load")}
    before, towers.TOWERS = towers.TOWERS, MappingProxyType(table)
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "first" / "world"
            make_world(made)
            # Moved, so that no copy is answered from the first one's model.
            world = Path(folder) / "world"
            made.rename(world)
            wanted = {kind: ask(world) for kind, ask in ASK.items()}
            found = []
            for number in range(count):
                found.append(outcome(world, wanted, number=number, seed=seed))
                if show:
                    print(number, *found[-1], sep="\t", flush=True)
            return found
    finally:
        towers.TOWERS = before


def failures(found):
    """Those that are neither refused in words nor right."""
    return [one for one in found if one[2] not in ("refused", "right")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    all_found = run(given.count, seed=given.seed, show=True)
    print(Counter((kind, said.partition(":")[0]) for kind, _, said in all_found))
    bad = failures(all_found)
    print(f"{len(all_found)} mutations, seed {given.seed}: {len(bad)} failures")
    sys.exit(bool(bad))
