"""A tokenizer of the pieces that a text may hold cuts it as the whole one does."""

import random

import pytest

from polyglance.towers.onnx import pieces
from polyglance.towers.onnx.making import PROBES

tokenizers = pytest.importorskip("tokenizers")

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def whole(seed=0, *, lower=False):
    """A Unigram tokenizer of substrings of the probes, in the form of XLM-R's."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    draw = random.Random(seed)
    text = "▁".join(PROBES).replace(" ", "▁")
    found = {text[i : i + draw.randint(1, 6)] for i in range(0, len(text), 2)}
    vocabulary = [(word, 0.0) for word in SPECIAL]
    vocabulary += [(piece, -draw.uniform(1, 20)) for piece in sorted(found)] + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lower else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([*SPECIAL, "<mask>"])
    tokenizer.enable_truncation(24)
    return tokenizer


@pytest.fixture
def low_bar(monkeypatch):
    monkeypatch.setattr(pieces, "LEAST_PIECES", 10)


@pytest.mark.parametrize("lower", [False, True])
def test_every_text_is_cut_as_by_the_whole(tmp_path, low_bar, lower):
    tokenizer = whole(lower=lower)
    assert pieces.write(tokenizer, tmp_path)
    quick = pieces.Pieces(tmp_path)
    texts = [
        *PROBES[:-1],
        "ein  Hund\nam Strand",
        "zzz q 漢字 qqq",
        "\u200b",
        "ﬁsch ｆｉｓｈ",
        "😀" * 9,
    ]
    wanted = [row.ids for row in tokenizer.encode_batch_fast(texts)]
    assert [quick.token_rows([text]) for text in texts] == [[row] for row in wanted]
    assert quick.token_rows(texts[:7]) == wanted[:7]


def test_long_texts_and_special_tokens_go_to_the_whole(tmp_path, low_bar):
    assert pieces.write(whole(), tmp_path)
    quick = pieces.Pieces(tmp_path)
    assert quick.token_rows(["dog " * 400]) is None
    assert quick.token_rows(["a <mask> dog"]) is None
    assert quick.token_rows(["a dog"]) is not None


def test_other_tokenizers_have_none(tmp_path, low_bar):
    from tokenizers import Tokenizer, models

    assert not pieces.write(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_small_vocabulary_has_none(tmp_path):
    assert not pieces.write(whole(), tmp_path)
