"""docs/foreign-models.md does what it says: its code is run, on small models made here."""

import json
import re
import shlex
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import small_world
from polyglance import errors
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation import FunctionEncoder, evaluate
from polyglance.tasks import get_task

PAGE = Path(__file__).resolve().parents[1] / "docs" / "foreign-models.md"
NAMES = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]
LANGUAGES = {"en": "eng_Latn", "de": "deu_Latn"}


def blocks(language):
    """Code of one language, by the heading that it stands under."""
    found = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading = part.partition("\n")[0]
        found[heading] = re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, picture_folder):
    """A working folder with the data that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    for name in ("texts", "xtd10"):
        Path(name).mkdir()
    Path("xtd10/test_image_names.txt").write_text("\n".join(NAMES))
    for code, language in LANGUAGES.items():
        lines = "\n".join(small_world.translate(p, language) for p in small_world.PHRASES)
        Path(f"texts/{language}.txt").write_text(lines)
        Path(f"xtd10/test_1kcaptions_{code}.txt").write_text(lines)
    return tmp_path


@pytest.fixture
def multilingual(monkeypatch):
    """The libraries' names, with the small world's tower behind them."""
    tower = small_world.WordTower("multilingual", 40, multilingual=True)

    class SentenceTransformer:
        def __init__(self, name):
            assert name == "paraphrase-multilingual-MiniLM-L12-v2"

        def encode(self, texts):
            return 3 * tower.encode(texts)

    stand_in = types.SimpleNamespace(SentenceTransformer=SentenceTransformer)
    monkeypatch.setitem(sys.modules, "sentence_transformers", stand_in)


@pytest.fixture
def open_clip(teacher, monkeypatch):
    """The little of open_clip that the page calls: pixels and words of the small world."""
    pixels, words = teacher.content, teacher.text.tower
    clip = types.SimpleNamespace(
        encode_image=lambda rows: torch.from_numpy(pixels.through_head(unit(rows.numpy()))),
        encode_text=lambda rows: torch.from_numpy(words.encode(rows)),
    )
    stand_in = types.SimpleNamespace(
        create_model_and_transforms=lambda _, pretrained: (
            clip,
            None,
            lambda image: torch.from_numpy(pixels.tower.preprocess(image)),
        ),
        get_tokenizer=lambda _: lambda rows: rows,
    )
    monkeypatch.setitem(sys.modules, "open_clip", stand_in)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def execute(code, **known):
    names = {"Path": Path, **known}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


def test_sentence_transformers_in_python(multilingual):
    (code,) = blocks("python")["You use sentence-transformers"]
    rows = execute(code)["rows"]
    assert [row.values["accuracy"] for row in rows] == [1.0, 1.0]


def test_open_clip_in_python(open_clip, model_folder, run):
    (code,) = blocks("python")["You use open_clip"]
    rows = execute(code)["rows"]
    argv = ("eval", model_folder, "--task", "xtd10", "--data", "xtd10", "--images", "pictures")
    _, out, _ = run(*argv, "--json")
    ours = {(r["language"], r["direction"]): r["values"] for r in json.loads(out)}
    assert len(rows) == len(ours) == 4
    for row in rows:
        assert ours[row.language, row.direction] == pytest.approx(dict(row.values))


def test_vectors_on_both_sides(teacher, run):
    (code,) = blocks("python")["You have the vectors"]
    pictures = teacher.encode_items([small_world.draw(p, seed=99) for p in small_world.PHRASES])
    texts = [small_world.translate(p, x) for x in LANGUAGES.values() for p in small_world.PHRASES]
    vectors = 2 * teacher.encode_texts(texts, languages=None)
    given = {"texts": texts, "text_vectors": vectors}
    execute(code, names=NAMES[1:], image_vectors=pictures[1:], **given)
    (command,) = blocks("sh")["You have the vectors"]
    code, out, err = run(*shlex.split(command)[1:], "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert {row["language"] for row in rows} == set(LANGUAGES.values())
    assert rows[0]["num_dropped"]["vectors_missing"] == 1
    english = next(
        r for r in rows if (r["language"], r["direction"]) == ("eng_Latn", "text_to_content")
    )
    assert english["values"]["hit_rate_at_10"] > 0.5


def test_a_text_without_a_vector_is_named(teacher, run):
    (code,) = blocks("python")["You have the vectors"]
    pictures = np.eye(len(NAMES), dtype=np.float32)
    given = {"names": NAMES, "image_vectors": pictures, "texts": ["x"]}
    execute(code, text_vectors=pictures[:1], **given)
    (command,) = blocks("sh")["You have the vectors"]
    code, _, err = run(*shlex.split(command)[1:])
    assert code == 2
    assert "72 of 72 texts have no vector" in err


def test_a_private_clip_from_vectors_to_a_search(teacher, run, tmp_path):
    """The whole page: vectors in, a pack out, an index of the vectors, a question in Hindi."""
    (layout,) = blocks("python")["You have the vectors"]
    pictures = teacher.encode_items([small_world.draw(p, seed=99) for p in small_world.PHRASES])
    texts = list(small_world.PHRASES)
    vectors = teacher.encode_texts(texts, languages=None)
    execute(layout, names=NAMES, image_vectors=pictures, texts=texts, text_vectors=vectors)
    Path("captions.txt").write_text("\n".join(texts), encoding="utf-8")
    (commands,) = blocks("sh")["A private CLIP: bring vectors"]
    question = small_world.translate("big red ring", "hin_Deva")
    named = "sentence:paraphrase-multilingual-mpnet-base-v2"
    said = commands.replace(named, "fake:multilingual")
    for line in said.replace("\\\n", " ").replace("लाल अंगूठी", question).splitlines():
        code, out, err = run(*shlex.split(line)[1:])
        assert code == 0, err
    assert "big-red-ring.png" in out
    assert "answered by the pack (hin_Deva)" in err
    (code,) = blocks("python")["A private CLIP: bring vectors"]
    pack = execute(
        code.replace("sentence:paraphrase-multilingual-mpnet-base-v2", "fake:multilingual")
    )["pack"]
    assert pack.manifest.space_id == "mine"


def test_commands_of_the_page(run):
    """The hub is not asked here: `sentence:NAME` is the small world's tower."""
    sections = blocks("sh")
    said = sections["You use sentence-transformers"] + sections["Taking results elsewhere"]
    for block in said:
        for line in block.replace("\\\n", " ").splitlines():
            argv = [
                "fake:multilingual" if x.startswith("sentence:") else x for x in shlex.split(line)
            ]
            code, out, err = run(*argv[1:])
            assert code == 0, err
    assert "2 results in 2 files" in out


def test_a_function_meets_each_text_once_where_there_is_a_cache(tmp_path):
    seen = []

    def encode(texts):
        seen.extend(texts)
        return [[len(text), 1.0, hash(text) % 7] for text in texts]

    data = get_task("bitext").load(Path("texts"), None)
    cache = VectorCache(tmp_path / "vectors")
    for _ in range(2):
        mine = FunctionEncoder(encode, model_id="mine")
        evaluate(mine, data, name="mine", model_id="mine", cache=cache)
    assert sorted(x for x in seen if x != "a") == sorted({x for x in seen if x != "a"})
    assert len(seen) >= 2 * len(NAMES)


def test_a_function_that_gives_something_else():
    with pytest.raises(errors.VectorError, match=r"gave \(1,\) for 1 texts"):
        FunctionEncoder(lambda texts: [1.0] * len(texts), model_id="mine")
