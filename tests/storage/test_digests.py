"""Every persisted digest keeps its value: what was made by an earlier version opens and answers.

The expected values were printed by the code before digests had a module of their own.
"""

import ast
import dataclasses
import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import export_packs
import polyglance
from polyglance import compare
from polyglance.demo import evaluation
from polyglance.encoding import reading, texts
from polyglance.encoding.cache import MediaCache
from polyglance.evaluation import identity, run
from polyglance.heads.affine import AffineMap
from polyglance.model.side import Side
from polyglance.recipes.data import dev_sets, english_text, pseudo_pairs
from polyglance.recipes.data.image_text import ImageText, LeftOut
from polyglance.recipes.data.pseudo_pairs import Banks
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Caption, LabelSet, MediaFile, Pair, ScoredPair
from polyglance.report import document
from polyglance.sources import binary_images, pictograms
from polyglance.storage import digests, made_files, manifests, seals
from polyglance.storage.store import Store, StoreFacts
from polyglance.tasks import fetching
from polyglance.tasks.classification import ClassificationData
from polyglance.tasks.neighbours import NeighbourData
from polyglance.tasks.retrieval import RetrievalData
from polyglance.tasks.text import BitextData, SimilarityData
from polyglance.towers import Tower, load_tower
from polyglance.towers.runtime import weights
from polyglance.towers.tiny import tower as tiny
from polyglance.training import fingerprints

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
UNIT = np.eye(4, dtype=np.float32)[:3]
IDS = ("a", "bé", "c")


class TextTower(Tower):
    modality, uses_language, dim = "text", False, 4
    fingerprint, space_id, pre_projection_dim = "tower-1", "space-1", 4

    def encode(self, items, *, languages=None, output="embedding"):
        return np.resize(ROWS, (len(items), 4))


class ImageTower(TextTower):
    modality = "image"


def affine_map(rows=4):
    return AffineMap(np.arange(rows * 4, dtype=np.float32).reshape(rows, 4), np.ones(rows, "f4"))


def names_below(folder):
    return sorted(path.name for path in folder.iterdir())


def of_sides():
    side = Side(TextTower(), "fake:t", affine_map())
    other = dataclasses.replace(side, head_input="raw", output="pre_projection")
    return side.fingerprint, side.space_id, other.fingerprint, other.space_id


def of_packs():
    shared = {"tower": TextTower(), "head": None, "space_id": "s"}
    plain = export_packs.pack_of("fake:t", **shared)
    headed = export_packs.pack_of("fake:t", content="head", content_head=affine_map(2), **shared)
    side = Side(ImageTower(), "fake:i", affine_map())
    moved = export_packs.pack_of("fake:t", content="new-tower", content_side=side, **shared)
    return plain.column_id, headed.column_id, moved.column_id


def of_evaluation():
    return run._identity(["a", "bé"]), identity.keys_id(["k", "l"]), identity.vectors_id(ROWS.T)


def of_training():
    mixed = ["a", b"b", 1, 2.5, None, True, ROWS.T, torch.ones(2, 3).t(), {"k": [1, "é"]}, ()]
    return fingerprints.fingerprint(*mixed, torch.ones(2, dtype=torch.bfloat16))


def of_english_text():
    return english_text.data_id(["a dog", "ein Büro"], "tower", "space")


def of_training_data():
    image_text = ImageText(
        IDS, ROWS, (Caption("a", "ein Hund", "deu_Latn"),), ROWS[:1], LeftOut(), content_keys=()
    )
    whole = TrainingData(
        english=["a dog", "\ud800"],
        parallel=[Pair("a dog", "eng_Latn", "ein Hund", "deu_Latn")],
        image_text=image_text,
        banks=Banks(ROWS, ["un chien"], ["fra_Latn"], IDS),
    )
    return TrainingData().fingerprint(), whole.fingerprint()


def of_pseudo_pairs(folder):
    asker = pseudo_pairs.Asker("tower", ["k1", "k2"], texts.VectorCache(folder))
    pseudo_pairs.answered(UNIT[:2], UNIT, temperature=0.01, asker=asker)
    return names_below(folder)


def of_retrieval():
    task = RetrievalData(
        task="t",
        item_ids=IDS,
        captions={"deu_Latn": [Caption("bé", "Büro", "deu_Latn"), Caption("c", "x", "deu_Latn")]},
        policy="first",
        splits={"test": np.array([True, False, True])},
    )
    return task.data_id("deu_Latn"), dataclasses.replace(task, candidates="captioned").data_id(
        "deu_Latn"
    )


def of_classes():
    classes = np.array([1, 0, 1])
    named = ClassificationData(
        task="t",
        names=("dog", "cat"),
        labels={"deu_Latn": LabelSet("deu_Latn", (0, 1), ("Hund", "Kätzchen"))},
        prompts={},
        english=None,
        item_ids=IDS,
        classes=classes,
    )
    neighbours = NeighbourData(task="t", item_ids=IDS, classes=classes)
    return named.data_id("deu_Latn"), neighbours.data_id("eng_Latn")


def of_text_tasks():
    scored = [ScoredPair("a", "deu_Latn", "b", "eng_Latn", 2.5)]
    similar = SimilarityData(task="t", pairs={"deu_Latn": {"eng_Latn": scored}}, num_unscored={})
    pairs = [Pair("ä", "deu_Latn", "b", "eng_Latn")]
    bitext = BitextData(task="t", pairs={"deu_Latn": pairs}, num_empty={})
    return similar.data_id("deu_Latn"), bitext.data_id("deu_Latn")


def of_files(folder):
    for name, data in {"a.bin": b"one", "b.bin": b"two" * 9}.items():
        (folder / name).write_bytes(data)
    paths = [folder / "b.bin", folder / "a.bin", folder / "absent"]
    return (
        fetching._hash_of(folder / "a.bin"),
        weights.file_digest(paths),
        *seals.of_folder(folder, manifest="pack.json").values(),
        seals.checksum({"b": [2.5, "é"], "a": None}),
    )


def of_weights():
    tensors = {"w": torch.arange(6.0).reshape(2, 3).half(), "ids": torch.arange(3)}
    arrays = {"w": ROWS.T, "b": np.float32([1, 2]), "scale": np.array(2, np.float32)}
    return weights.fingerprint(tensors, facts={"é": 1}), tiny.fingerprint_of(arrays, "text")


def of_vectors_on_disk(folder):
    for name, ids in {"one": IDS, "two": ("d", "e", "f")}.items():
        (folder / name).mkdir()
        np.save(folder / name / "vectors.npy", ROWS + 1)
        (folder / name / "ids.txt").write_text("\n".join(ids) + "\n", "utf-8")
    return load_tower(f"precomputed:{folder / 'one'}?space=s", modality="image").fingerprint


def of_stores(folder):
    facts = StoreFacts(modality="text", dim=4, fingerprint="f", space_id="s")
    store = Store.open_or_create(folder / "store", facts)
    store.append(["a", "b"], ["k2", "k1"], vectors=UNIT[:2])
    return store.data_id(), store.fingerprint()


def of_caches(folder):
    cache = texts.VectorCache(folder / "texts")
    cache.store_of(TextTower())
    cache.store_of(TextTower(), output="pre_projection")
    Image.new("RGB", (4, 4), "red").save(folder / "red.png")
    MediaCache(folder / "images").encode(
        [MediaFile("red", folder / "red.png", modality="image")], ImageTower()
    )
    return names_below(folder / "texts"), names_below(folder / "images")


def of_content():
    return (
        reading.content_key(b"bytes"),
        texts.text_key("Büro", language=None),
        texts.text_key("Büro", language="deu_Latn"),
    )


def of_made_files(folder):
    made_files.write(folder / "made", {"a.txt": "ä"}, form="test")
    found = manifests.read_manifest(
        folder / "made" / made_files.MANIFEST, kind=made_files.KIND, schema_version=1
    )
    assert made_files.is_own(folder / "made")
    return found["files"]


def of_unpacked(folder, monkeypatch):
    monkeypatch.setenv("POLYGLANCE_CACHE", str(folder / "cache"))
    (folder / "test_batch.bin").write_bytes(bytes([3]) + bytes(3 * 32 * 32))
    return binary_images.unpack(folder).name


def of_choices():
    families = [f"family {n}" for n in range(40)]
    return (
        [n for n, name in enumerate(families) if pictograms.is_held_out(name)],
        [n for n, name in enumerate(families) if evaluation._is_sampled(name)],
        dev_sets.place_of("a dog"),
    )


def of_comparisons(folder, monkeypatch):
    def saved(*given, **settings):
        return SimpleNamespace(save=lambda path: path.mkdir(parents=True), manifest=None, side=None)

    monkeypatch.setattr(compare, "train_recipe", saved)
    monkeypatch.setattr(compare, "build_config", lambda recipe, given: sorted(given.items()))
    monkeypatch.setattr(compare, "tower_for", lambda recipe, tower: tower)
    side = SimpleNamespace(space_id="text-space")
    setup = compare.ComparisonSetup(
        teacher=SimpleNamespace(space_id="space", text=side),
        data=None,
        contents=ROWS,
        training_data=TrainingData(),
        tower=None,
        seeds=(0,),
        out=folder,
    )
    return compare._trained(setup, "ridge", 7).name


GOLDEN = {
    "of_caches": (
        ["8c6b5601e00aacf082c5a9e0", "f05fa10df2dea6bdffbce4b0"],
        ["e2088a6cd206a5a24f471f36"],
    ),
    "of_choices": ([2, 8, 14, 17, 25, 34, 36], [2, 16, 18, 27, 35], 2297997560638993970),
    "of_classes": ("e9e59ae0819ed7b5973fe83b8adfefdb", "8aff3967572c96a70801305834212590"),
    "of_comparisons": "ridge-7-3d7848b0d020b496",
    "of_content": (
        "6ea7442bc44abc453a57f9153dda1bd6",
        "32408ecb618429a1dc5eda5477dfb58e",
        "6ff3f18a9ae40602320fe595468721a3",
    ),
    "of_english_text": "188b2eb310a450a0913e30bb1280ac85",
    "of_evaluation": (
        "62857d7a5db9d008340296168cbe27c4",
        "9f3943bb08245cf0d0d938869a8d16d1",
        "1c8ff139c0dd81a8cb01fbeb137ef24a",
    ),
    "of_files": (
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        "4be4b2e37e3961b6e3904ef3757aa5dd",
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        "84b4e0ec822f47c5b9677e6ca031b1e646e0751b6d8048c4cda44e6016c9c7d8",
        "08bad8bd03072d20d7fc8ea18e248a2d",
    ),
    "of_made_files": {
        "a.txt": {
            "bytes": 2,
            "sha256": "33e6d73fee82904c8d7afb78de1154d1e8dc2a0edb08120e63df5b9385c2d9cc",
        }
    },
    "of_packs": ("e64984c3aacf6ede", "0df841db8e0fcad4", "f61778e833965886"),
    "of_pseudo_pairs": ["pseudo-43ff7dce23cdfbd21f0f36f2"],
    "of_retrieval": ("45adcce274c8004b3895696203d2cf5d", "25c64c4659dc3d48db04c05a45cfa09c"),
    "of_sides": (
        "6674f29d8956d9ce48781c2d4dabd244",
        "07d1e85b946620bcd6e40187d35a7049",
        "295fd12b377cf4c374275435c927d762",
        "4de63f0f2be6bc34f125b359b7de2e88",
    ),
    "of_stores": ("b54c0da68935d9077337e0a95ad2b925", "17f530e9012d4b3b1da1e82455405fe5"),
    "of_text_tasks": ("7d8334b79dd6f3cd6aec4d78021fd849", "2f497df5296bdfd313f25cec03f51179"),
    "of_training": "c73093e7f50292b20cef59ca5e5d1850",
    "of_training_data": ("2c6dbcb76a06a6518583275c98c9adae", "2baefb8117b0d58ddb423587fba30991"),
    "of_unpacked": "8d0b8eb7e5d4ec1e95046c31",
    "of_vectors_on_disk": "f648a2027a5d21ccf046fd9c676e6e61",
    "of_weights": ("4faa808063e9105ade5a98cafc6842f5", "9524cb2fd0f05af931228547935bcf47"),
}

CASES = [each for name, each in sorted(globals().items()) if name.startswith("of_")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_persisted_digest_keeps_its_value(case, tmp_path, monkeypatch):
    given = {"folder": tmp_path, "monkeypatch": monkeypatch}
    taken = case.__code__.co_varnames[: case.__code__.co_argcount]
    assert case(**{name: given[name] for name in taken}) == GOLDEN[case.__name__]


def test_hashlib_is_imported_in_one_file():
    source = Path(polyglance.__file__).parent
    importing = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Import) and "hashlib" in [each.name for each in node.names])
        or (isinstance(node, ast.ImportFrom) and node.module == "hashlib")
    }
    assert importing == {"storage/digests.py"}


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f2", "?", "i8", "U3", "M8[s]"])
@pytest.mark.parametrize("shape", [(), (0, 3), (6,), (2, 3), (3, 2, 2)])
def test_an_array_counts_by_its_values_row_by_row(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    whole = hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
    assert digests.of_parts([array]) == digests.of_parts([np.asfortranarray(array)]) == whole
    every_second = np.repeat(np.atleast_1d(array), 2, axis=-1)[..., ::2]
    assert digests.of_parts([every_second]) == whole


def test_parts_follow_each_other_with_nothing_between():
    parts = ["é", b"", np.float32([1, 2]), "", b"xyz"]
    whole = "é".encode() + np.float32([1, 2]).tobytes() + b"xyz"
    for num_bytes in (8, 12, 16):
        expected = hashlib.blake2b(whole, digest_size=num_bytes).hexdigest()
        assert digests.of_parts(iter(parts), num_bytes=num_bytes) == expected


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 9999)
    assert digests.sha256_of_file(tmp_path / "a") == digests.sha256(bytes(range(256)) * 9999)


def test_the_digest_of_a_page_is_that_of_its_policy():
    assert document._sha256("é") == "SplVfkAzw1Od4utlRyAXytX5VX96BiWgnxw/biumnEw="
