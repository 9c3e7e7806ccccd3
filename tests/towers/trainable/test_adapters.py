"""Adapters of many languages in one transformer: placement, mixed batches, an untouched base."""

import copy
import json
import shutil
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.runtime import blocks
from polyglance.towers.trainable import adapters, tuned
from polyglance.towers.trainable import text as live

LANGUAGES = ("deu_Latn", "fra_Latn")
OTHER = "eng_Latn"
# Family: reference options, and whether its blocks end in a normalisation.
FAMILIES = {
    "clip": ("", False),
    "siglip": ("", False),
    "nllb": ("", False),
    "chinese_clip": ("", True),
    "altclip": ("", True),
    "bert": ("?pooling=mean", True),
    "xlm_roberta": ("?pooling=mean", True),
    "mpnet": ("?pooling=mean", True),
    "ours": (None, True),
}
LOW_RANK = {"rank": 2, "alpha": 8}
SETTINGS = {"adapters": {"reduction": 4}, "lora": LOW_RANK, "shared-lora": LOW_RANK}


@pytest.fixture(scope="module")
def load(make_checkpoint, tmp_path_factory):
    """A function from family to its tower and reference."""

    def mpnet():
        from transformers import MPNetConfig, MPNetModel

        folder = tmp_path_factory.mktemp("mpnet")
        shutil.copytree(make_checkpoint("xlm_roberta"), folder, dirs_exist_ok=True)
        size = json.loads((folder / "config.json").read_text())["vocab_size"]
        torch.manual_seed(0)
        config = MPNetConfig(
            vocab_size=size,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=20,
            initializer_range=0.3,
        )
        MPNetModel(config).save_pretrained(folder)
        return folder

    def ours():
        folder = tmp_path_factory.mktemp("ours")
        shutil.copytree(make_checkpoint("bert"), folder, dirs_exist_ok=True)
        kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
        listed = [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds]
        (folder / "modules.json").write_text(json.dumps(listed))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
        return folder

    own = {"mpnet": mpnet, "ours": ours}
    made = {}

    def make(family):
        if family not in made:
            options = FAMILIES[family][0]
            folder = own[family]() if family in own else make_checkpoint(family)
            reference = f"sentence:{folder}" if options is None else f"hf:{folder}{options}"
            made[family] = load_tower(reference, modality="text"), reference
        return made[family]

    return make


def learnt(base, reference, *, kind="adapters", languages=LANGUAGES):
    """Adapters as if they had learnt: drawn at random, not zero."""
    settings = SETTINGS[kind]
    made = live.TrainableAdapters(
        base, reference, languages=languages, method=kind, settings=settings
    )
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in made.module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def mixed(texts):
    """Every text in every language, interleaved."""
    rows = [(text, language) for text in texts for language in (*LANGUAGES, OTHER)]
    return [text for text, _ in rows], [language for _, language in rows]


@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    def test_blocks_are_found_with_their_ends(self, family, load):
        base, _ = load(family)
        ends = blocks.find_ends(base, within=base.module)
        assert [end.width for end in ends] == [16, 16]
        assert [end.norm is not None for end in ends] == [FAMILIES[family][1]] * 2

    def test_new_adapters_change_nothing(self, family, load, texts):
        base, _ = load(family)
        german = ["deu_Latn"] * len(texts)
        before = base.encode(texts, languages=german)
        routed = adapters.insert(base, languages=LANGUAGES, reduction=4)
        np.testing.assert_allclose(routed.tower.encode(texts, languages=german), before, atol=1e-6)
        np.testing.assert_array_equal(base.encode(texts, languages=german), before)

    def test_a_mixed_batch_gives_each_language_its_own(self, family, load, texts):
        made = learnt(*load(family))
        spoken, languages = mixed(texts)
        rows = torch.arange(len(spoken))
        with torch.no_grad():
            together = made.forward(made.prepare(spoken, languages), rows)
            for language in (*LANGUAGES, OTHER):
                own = torch.tensor([i for i, name in enumerate(languages) if name == language])
                alone = made.prepare(texts, [language] * len(texts))
                apart = made.forward(alone, torch.arange(len(texts)))
                torch.testing.assert_close(together[own], apart, atol=1e-5, rtol=1e-5)
        one, two = together[0::3], together[1::3]
        assert (one - two).abs().amax(1).min() > 1e-3

    def test_other_languages_keep_every_bit(self, family, load, texts):
        base, reference = load(family)
        tower, _ = learnt(base, reference).export()
        spoken, languages = mixed(texts)
        got = tower.encode(spoken, languages=languages)
        wanted = base.encode(texts, languages=[OTHER] * len(texts))
        np.testing.assert_array_equal(got[2::3], wanted)
        assert np.abs(got[0::3] - wanted).max(axis=1).min() > 1e-3
        # The very batch, with and without adapters on its other rows.
        batch = tower.tokenize(spoken, languages)
        bare = {name: tensor[:, 1:] for name, tensor in batch.items()}
        with torch.no_grad():
            assert torch.equal(tower.forward(batch)[2::3], base.forward(bare)[2::3])

    def test_each_language_has_a_gradient_of_its_own(self, family, load, texts):
        made = learnt(*load(family))
        prepared = made.prepare(texts, ["fra_Latn"] * len(texts))
        made.forward(prepared, torch.arange(len(texts))).square().sum().backward()
        for name, parameter in made.module.named_parameters():
            assert (parameter.grad is None) == ("deu_Latn" in name), name
        assert all(
            parameter.grad is None
            for name, parameter in made.routed.tower.module.named_parameters()
            if "bank" not in name
        )


def test_the_adapter_stands_where_the_paper_says_after_the_norm():
    """Post-norm: norm(s + up(relu(down(norm(s))))), written out for one block."""
    torch.manual_seed(0)
    norm = nn.LayerNorm(8)
    end = blocks.BlockEnd(norm, norm, 8)
    bank = adapters._adapt(end, ("deu_Latn",), 2)
    bottleneck = bank.by_language["deu_Latn"]
    nn.init.normal_(bottleneck.up.weight)
    summed = torch.randn(3, 4, 8)
    token = adapters.CHOICE.set(adapters.choose(torch.tensor([1, 0, 1])))
    got = norm(summed)
    adapters.CHOICE.reset(token)
    hidden = norm(summed)
    change = F.relu(hidden @ bottleneck.down.weight.T + bottleneck.down.bias)
    change = change @ bottleneck.up.weight.T + bottleneck.up.bias
    wanted = F.layer_norm(summed + change, (8,), norm.weight, norm.bias)
    torch.testing.assert_close(got[[0, 2]], wanted[[0, 2]])
    assert torch.equal(got[1], hidden[1])
    assert bottleneck.down.out_features == 4


def test_the_adapter_stands_where_the_paper_says_on_the_stream():
    """Pre-norm: s + up(relu(down(s))), and the rest of a block's tuple goes through."""

    class Block(nn.Module):
        def forward(self, states):
            return states * 2, "attention"

    torch.manual_seed(0)
    block = Block()
    bank = adapters._adapt(blocks.BlockEnd(block, None, 8), ("deu_Latn", "fra_Latn"), 2)
    states = torch.randn(3, 4, 8)
    for bottleneck in bank.by_language.values():
        nn.init.normal_(bottleneck.up.weight)
    token = adapters.CHOICE.set(adapters.choose(torch.tensor([2, 1, 0])))
    got, rest = block(states)
    adapters.CHOICE.reset(token)
    assert rest == "attention"
    for row, language in enumerate(("fra_Latn", "deu_Latn")):
        wanted = 2 * states[row] + bank.by_language[language](2 * states[row])
        torch.testing.assert_close(got[row], wanted)
    assert torch.equal(got[2], 2 * states[2])


def test_sixteen_is_the_reduction_and_one_the_narrowest():
    assert adapters.Bottleneck(768, reduction=16).down.out_features == 48
    assert adapters.Bottleneck(8, reduction=16).down.out_features == 1


def test_threads_do_not_mix(load, texts):
    base, reference = load("ours")
    tower, _ = learnt(base, reference).export()
    wanted = {name: tower.encode(texts, languages=[name] * len(texts)) for name in LANGUAGES}
    wrong = []

    def ask(name):
        for _ in range(20):
            got = tower.encode(texts, languages=[name] * len(texts))
            if not np.array_equal(got, wanted[name]):
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in LANGUAGES * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_copy_has_adapters_of_its_own(load, texts):
    routed = learnt(*load("ours")).routed
    other = copy.deepcopy(routed.tower.module)
    batch = routed.tower.tokenize(texts, ["deu_Latn"] * len(texts))
    with torch.no_grad():
        before = other(batch)
        for parameter in routed.bank.parameters():
            parameter.zero_()
        assert torch.equal(other(batch), before)
        assert not torch.allclose(routed.tower.forward(batch), before)


def test_languages_are_asked_for(load, texts):
    made = learnt(*load("ours"))
    with pytest.raises(errors.LanguageError, match="no languages given"):
        made.prepare(texts, None)
    with pytest.raises(errors.LanguageError, match="no languages given"):
        made.export()[0].encode(texts)


def test_long_texts_are_cut_before_their_last_token(load):
    base, reference = load("clip")
    for tower in (
        live.TrainableAdapters(
            base, reference, languages=LANGUAGES, method="adapters", settings={"reduction": 4},
            max_tokens=6,
        ),
        live.TrainableTransformer.copy_of(base, reference, max_tokens=6),
    ):  # fmt: skip
        long, short = tower.prepare(["abcdefghijkl", "ab"], ["deu_Latn", "deu_Latn"]).rows
        assert len(long) == 6
        assert len(short) < 6
        assert long[-1] == short[-1] == base.token_rows(["a"], None)[0][-1]
    # SigLIP reads every text at full length.
    fixed = live.TrainableTransformer.copy_of(*load("siglip"), max_tokens=6)
    assert len(fixed.prepare(["a"], None).rows[0]) == 20


def test_what_cannot_take_adapters_is_refused(load):
    base, reference = load("ours")
    with pytest.raises(errors.ConfigError, match="reduction 0"):
        adapters.insert(base, languages=LANGUAGES, reduction=0)
    tower, _ = learnt(base, reference).export()
    with pytest.raises(errors.ConfigError, match="has adapters of deu_Latn, fra_Latn"):
        tuned.torch_tower(tower)
    flat = copy.copy(base)
    flat.module = nn.Linear(2, 2)
    with pytest.raises(errors.ConfigError, match="no list of like blocks"):
        blocks.find_ends(flat, within=flat.module)


@pytest.fixture
def peft():
    """The library; its import takes seconds."""
    return pytest.importorskip("peft", reason="extra `lora` is not installed")


# One for each name that attention has for its projections, and the one whose language is a token.
@pytest.mark.parametrize("family", ["clip", "nllb", "xlm_roberta", "mpnet", "ours"])
def test_low_rank_changes_choose_their_rows(family, load, texts, peft):
    base, reference = load(family)
    made = learnt(base, reference, kind="lora")
    tower, _ = made.export()
    spoken, languages = mixed(texts)
    got = tower.encode(spoken, languages=languages)
    english = base.encode(texts, languages=[OTHER] * len(texts))
    np.testing.assert_array_equal(got[2::3], english)
    for start, language in enumerate(LANGUAGES):
        alone = tower.encode(texts, languages=[language] * len(texts))
        np.testing.assert_allclose(got[start::3], alone, atol=1e-5)
        assert np.abs(alone - english).max(axis=1).min() > 1e-3
    prepared = made.prepare(texts, ["fra_Latn"] * len(texts))
    made.forward(prepared, torch.arange(len(texts))).square().sum().backward()
    for name, parameter in made.module.named_parameters():
        assert (parameter.grad is None) == ("deu_Latn" in name), name


def test_languages_may_share_one_low_rank_change(load, texts, peft):
    base, reference = load("ours")
    tower, _ = learnt(base, reference, kind="shared-lora").export()
    one, two = (tower.encode(texts, languages=[name] * len(texts)) for name in LANGUAGES)
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - base.encode(texts)).max() > 1e-3


def test_low_rank_changes_need_named_projections(load, peft):
    from polyglance.towers.trainable import lora

    base, _ = load("ours")
    with pytest.raises(errors.ConfigError, match="rank 0"):
        lora.insert(base, change_of={"deu_Latn": "a"}, rank=0)
    with pytest.raises(errors.ConfigError, match="q_proj, v_proj"):
        lora.find_targets(nn.Sequential(nn.ModuleList([nn.Linear(2, 2)])))


def test_rows_of_like_length_go_together_and_come_back_in_order(load):
    base, reference = load("ours")
    made = learnt(base, reference)
    texts = [" ".join("abcdefgh"[: 1 + i % 8]) for i in range(120)]
    languages = [LANGUAGES[i % 3 % 2] for i in range(120)]
    rows = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        got = made.forward(made.prepare(texts, languages), rows).numpy()
    wanted = made.export()[0].encode(texts, languages=languages)
    np.testing.assert_allclose(got, wanted[rows.numpy()], atol=1e-5)
