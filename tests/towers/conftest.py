"""Small checkpoints with random weights, saved by the libraries themselves in their own form."""

import string

import numpy as np
import pytest
from PIL import Image

LETTERS = list(string.ascii_lowercase)
TEXTS = ["a dog", "the cat sat on a mat", "b", "a dog", "", "zebra crossing the road", "x y z"]
VISION = {
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 20,
}


@pytest.fixture(scope="session")
def texts():
    """Repeats, an empty text, and lengths that differ."""
    return list(TEXTS)


@pytest.fixture(scope="session")
def pictures():
    """RGB noise in three shapes, one of them grey."""
    generator = np.random.default_rng(3)
    shapes = [(31, 17, 3), (16, 16, 3), (12, 40, 3), (21, 21)]
    return [Image.fromarray(generator.integers(0, 256, s, dtype=np.uint8)) for s in shapes]


@pytest.fixture(scope="session", autouse=True)
def offline():
    """No look-up of a hub, whatever the machine has."""
    patch = pytest.MonkeyPatch()
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    yield
    patch.undo()


def bert_tokenizer(folder):
    """A WordPiece tokenizer of single letters."""
    from transformers import BertTokenizer

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + x for x in LETTERS)]
    tokenizer = BertTokenizer(vocab={name: i for i, name in enumerate(names)})
    tokenizer.save_pretrained(folder)
    return len(names)


def clip_tokenizer(folder):
    """A byte-pair tokenizer of single letters."""
    from transformers import CLIPTokenizer

    ends = ["<|startoftext|>", "<|endoftext|>"]
    names = [*LETTERS, *(x + "</w>" for x in LETTERS), *ends]
    CLIPTokenizer(vocab={n: i for i, n in enumerate(names)}, merges=[]).save_pretrained(folder)
    return len(names)


def xlm_tokenizer(folder):
    """A unigram tokenizer of single letters, with XLM-R's layout of special tokens."""
    from transformers import XLMRobertaTokenizer

    names = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, "<mask>"]
    tokenizer = XLMRobertaTokenizer(vocab=[(name, -float(i)) for i, name in enumerate(names)])
    tokenizer.save_pretrained(folder)
    return len(names)


def nllb_tokenizer(folder, **settings):
    """NLLB's tokenizer with three languages."""
    from transformers import NllbTokenizer

    languages = ["deu_Latn", "eng_Latn", "fra_Latn"]
    names = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, *languages, "<mask>"]
    tokenizer = NllbTokenizer(
        vocab={name: i for i, name in enumerate(names)},
        merges=[],
        extra_special_tokens=languages,
        **settings,
    )
    tokenizer.save_pretrained(folder)
    return len(names)


def _save(model, folder):
    """Larger random weights than the library draws, so that mistakes are visible."""
    import torch

    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    model.eval().save_pretrained(folder)


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory):
    """A function from the name of a builder below to its folder, built once a session."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            BUILDERS[name](folder)
            made[name] = folder
        return made[name]

    return make


def _clip(folder):
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    size = clip_tokenizer(folder)
    special = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    config = CLIPConfig(
        text_config={**TEXT, "vocab_size": size, **special}, vision_config=VISION, projection_dim=10
    )
    _save(CLIPModel(config), folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)


def _chinese_clip(folder):
    from transformers import ChineseCLIPConfig, ChineseCLIPImageProcessorPil, ChineseCLIPModel

    config = ChineseCLIPConfig(
        text_config={**TEXT, "vocab_size": bert_tokenizer(folder)},
        vision_config=VISION,
        projection_dim=10,
    )
    _save(ChineseCLIPModel(config), folder)
    ChineseCLIPImageProcessorPil(
        size={"height": 16, "width": 16}, do_center_crop=False
    ).save_pretrained(folder)


def _altclip(folder):
    from transformers import AltCLIPConfig, AltCLIPModel, CLIPImageProcessorPil

    text = {**TEXT, "vocab_size": xlm_tokenizer(folder), "project_dim": 14, "pad_token_id": 1}
    config = AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=10)
    _save(AltCLIPModel(config), folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)


def _metaclip_2(folder):
    from transformers import CLIPImageProcessorPil, MetaClip2Config, MetaClip2Model

    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = {**TEXT, "vocab_size": xlm_tokenizer(folder), "projection_dim": 10, **special}
    config = MetaClip2Config(text_config=text, vision_config=VISION, projection_dim=10)
    _save(MetaClip2Model(config), folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)


def _align(folder):
    """As the published one prepares its images: a square, cropped, to the range -1 to 1."""
    from transformers import AlignConfig, AlignModel, EfficientNetImageProcessorPil

    vision = {
        "image_size": 16,
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "depth_divisor": 2,
        "kernel_sizes": [3, 3, 5],
        "in_channels": [32, 4, 6],
        "out_channels": [4, 6, 10],
        "strides": [1, 2, 2],
        "num_block_repeats": [1, 1, 2],
        "expand_ratios": [1, 2, 2],
        "hidden_dim": 20,
    }
    text = {**TEXT, "vocab_size": bert_tokenizer(folder)}
    config = AlignConfig(text_config=text, vision_config=vision, projection_dim=10)
    _save(AlignModel(config), folder)
    EfficientNetImageProcessorPil(
        size={"height": 20, "width": 20},
        crop_size={"height": 16, "width": 16},
        do_center_crop=True,
        do_normalize=False,
        rescale_factor=2 / 255,
        rescale_offset=True,
        include_top=False,
        resample=2,
    ).save_pretrained(folder)


def _siglip(folder):
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    text = {**TEXT, "vocab_size": bert_tokenizer(folder), "projection_size": 12}
    _save(SiglipModel(SiglipConfig(text_config=text, vision_config=VISION)), folder)
    SiglipImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)


def _siglip2(folder):
    from transformers import Siglip2Config, Siglip2ImageProcessorPil, Siglip2Model

    text = {**TEXT, "vocab_size": bert_tokenizer(folder), "projection_size": 12}
    vision = {**VISION, "num_patches": 16}
    _save(Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)), folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=12).save_pretrained(folder)


def _bert(folder):
    from transformers import BertConfig, BertModel

    _save(BertModel(BertConfig(**TEXT, vocab_size=bert_tokenizer(folder))), folder)


def _bert_without_cls(folder):
    _bert(folder)
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = folder / "tokenizer_config.json"
    config.write_text(config.read_text().replace("BertTokenizer", "PreTrainedTokenizerFast"))


def _xlm_roberta(folder):
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        **TEXT, vocab_size=xlm_tokenizer(folder), pad_token_id=1, type_vocab_size=1
    )
    _save(XLMRobertaModel(config), folder)


def _nllb(folder, **settings):
    from transformers import M2M100Config, M2M100Model

    config = M2M100Config(
        vocab_size=nllb_tokenizer(folder, **settings),
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=40,
    )
    _save(M2M100Model(config), folder)


def _nllb_legacy(folder):
    _nllb(folder, legacy_behaviour=True)


def _t5(folder):
    from transformers import T5Config, T5Model

    config = T5Config(
        vocab_size=xlm_tokenizer(folder), d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2
    )
    _save(T5Model(config), folder)


BUILDERS = {
    "clip": _clip,
    "chinese_clip": _chinese_clip,
    "altclip": _altclip,
    "metaclip_2": _metaclip_2,
    "align": _align,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "bert": _bert,
    "bert_without_cls": _bert_without_cls,
    "xlm_roberta": _xlm_roberta,
    "nllb": _nllb,
    "nllb_legacy": _nllb_legacy,
    "t5": _t5,
}
