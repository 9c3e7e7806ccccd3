"""A folder of everything that commands read and write, whole and damaged, for the fuzzer of verbs.

whole      model, pack, index, run-less results, tables, pictures, a task's texts
precious   what is nobody's but the user's
damaged    a copy of each whole thing with a part cut, emptied, replaced or turned to nonsense
"""

import json
import os
import shutil

import numpy as np

import small_world
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.results import schema
from polyglance.search import indexing
from polyglance.storage import tensor_files
from polyglance.towers import load_tower

NUM_PICTURES = 24
PHRASES = small_world.PHRASES[:NUM_PICTURES]
NAMES = [f"{phrase.replace(' ', '-')}.png" for phrase in PHRASES]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"


def build(folder):
    """Make the world; the towers of the small world have to be in the table."""
    folder.mkdir()
    (folder / "photos" / "deep er").mkdir(parents=True)
    for number, (name, phrase) in enumerate(zip(NAMES, PHRASES, strict=True)):
        place = folder / "photos" / ("deep er" if number % 5 == 0 else "") / name
        small_world.draw(phrase, seed=99).save(place)
    _tables(folder)
    teacher = small_world.fit_teacher()
    teacher.save(folder / "model")
    tower = Side(load_tower("fake:multilingual", modality="text"), "fake:multilingual")
    config = ridge.RidgeConfig()
    ridge.train(list(small_world.PHRASES), teacher=teacher, tower=tower, config=config).save(
        folder / "pack"
    )
    indexing.build(folder / "photos", model=str(folder / "model"), out=folder / "index")
    schema.append_results(folder / "results.jsonl", [_result(lang) for lang in ("eng", "deu")])
    _others(folder)
    _damaged(folder)
    return folder


def _tables(folder):
    lines = list(small_world.PHRASES)
    (folder / "english.txt").write_text("\n".join(lines), encoding="utf-8")
    rows = [
        (phrase, language, small_world.translate(phrase, language))
        for phrase in PHRASES
        for language in small_world.LANGUAGES
    ]

    def table(name, header, cells, encoding="utf-8"):
        text = "\n".join("\t".join(row) for row in [header, *cells])
        (folder / name).write_bytes(text.encode(encoding, "replace"))

    table("pairs.tsv", ("english", "language", "text"), rows)
    table("bank.tsv", ("language", "text"), [row[1:] for row in rows])
    named = [(f"{phrase.replace(' ', '-')}.png", *rest) for phrase, *rest in rows]
    table("captions.tsv", ("image", "language", "text"), named)
    table("utf16.tsv", ("english", "language", "text"), rows, "utf-16")
    table("latin.tsv", ("english", "language", "text"), rows, "latin-1")
    table("other.tsv", ("a", "b"), [("1", "2"), ("3",)])
    data = folder / "xtd10"
    data.mkdir()
    (data / "test_image_names.txt").write_text("\n".join(NAMES))
    for code, language in (("en", "eng_Latn"), ("de", "deu_Latn")):
        said = [small_world.translate(phrase, language) for phrase in PHRASES]
        (data / f"test_1kcaptions_{code}.txt").write_text("\n".join(said), encoding="utf-8")


def _result(language):
    return schema.Result(
        task="xtd10",
        split="test",
        language=f"{language}_Latn",
        direction="text_to_content",
        metric="hit_rate",
        caption_policy="first",
        values={"hit_rate_at_1": 0.25, "hit_rate_at_5": 0.5, "hit_rate_at_10": 0.75},
        intervals={"hit_rate_at_10": (0.6, 0.9)},
        num_queries=24,
        num_candidates=24,
        model="fake:teacher",
        model_id="abc",
        data_id="d",
    )


def _others(folder):
    """What is nobody's but the user's, and places of every other sort."""
    (folder / "precious" / "2023").mkdir(parents=True)
    shutil.copy(folder / "photos" / NAMES[1], folder / "precious" / "2023" / "wedding.png")
    (folder / "precious" / "thesis.txt").write_text("years of work\n")
    (folder / "precious" / "esc\x1b[31m.txt").write_text("odd name\n")
    (folder / "empty").mkdir()
    (folder / "empty.txt").touch()
    (folder / "link").symlink_to("precious")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    vectors = folder / "vectors"
    vectors.mkdir()
    np.save(vectors / "vectors.npy", np.eye(24, dtype=np.float32))
    (vectors / "ids.txt").write_text("\n".join(map(str, range(24))))
    tensor_files.write(
        folder / "checkpoint.safetensors",
        {"mlps.0.weight": np.eye(24, 40, dtype=np.float32), "mlps.0.bias": np.zeros(24)},
    )


def _damaged(folder):
    """Copies with one part that is not as it should be."""

    def copy(name, of, part, change):
        shutil.copytree(folder / of, folder / name)
        place = folder / name / part
        place.unlink() if change is None else place.write_bytes(change(place.read_bytes()))

    def half(data):
        return data[: len(data) // 2]

    copy("pack-cut", "pack", "head.safetensors", half)
    copy("pack-without", "pack", "head.safetensors", None)
    copy("pack-pointer", "pack", "head.safetensors", lambda data: POINTER)
    copy("pack-half", "pack", "pack.json", half)
    copy("pack-list", "pack", "pack.json", lambda data: b"[1]")
    copy(
        "pack-bare",
        "pack",
        "pack.json",
        lambda data: b'{"schema_version":1,"kind":"language-pack"}',
    )
    copy("pack-out", "pack", "pack.json", lambda data: data.replace(b"fake:multi", b"tiny:/../"))
    copy("model-half", "model", "model.json", half)
    copy(
        "model-bare",
        "model",
        "model.json",
        lambda data: b'{"schema_version":1,"kind":"dual-encoder"}',
    )
    copy("index-half", "index", "store.json", half)
    copy("index-null", "index", "store.json", lambda data: b"null")
    copy("index-deep", "index", "store.json", lambda data: b"[" * 5000)
    copy("index-other", "index", "store.json", lambda data: data.replace(b'"dim": ', b'"dim": 9'))
    copy("index-without", "index", "store.json", None)
    (folder / "index-empty").mkdir()
    shutil.copy(folder / "index" / "store.json", folder / "index-empty")
    whole = (folder / "results.jsonl").read_bytes()
    for name, data in {
        "results-cut.jsonl": whole[:-40],
        "results-bom.jsonl": b"\xef\xbb\xbf" + whole,
        "results-nan.jsonl": whole.replace(b"0.25", b"NaN"),
        "results-text.jsonl": b"not a result\n" + whole,
        "results-null.jsonl": b"null\n[]\n{}\n",
        "results.json": json.dumps({"metrics": {"x": "y"}, "task": "zeroshot_retrieval"}).encode(),
        "results.csv": b"dataset,model\nx,y\n",
        "binary.tsv": bytes(range(256)) * 8,
    }.items():
        (folder / name).write_bytes(data)
