"""A small transformer that reads the small world: random weights, one token a word of any language.

It is saved in the form of sentence-transformers, so our own BERT runs it and no test waits for the
import of transformers. Its English vectors make a space; the pictures are mapped into it.
"""

import json

import torch
from safetensors.torch import save_file

import small_world
from polyglance.heads import closed_form
from polyglance.model import dual_encoder
from polyglance.model.side import Side
from polyglance.towers import load_tower
from polyglance.vectors import unit

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def save(folder, *, width=48, layers=2, seed=0, unit=False):
    """Write the folder and give the reference."""
    folder.mkdir(parents=True)
    inner, words = 2 * width, [*SPECIAL, *small_world.MEANING]
    config = {
        "model_type": "bert",
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 16,
        "vocab_size": len(words),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    _tokenizer(words).save(str(folder / "tokenizer.json"))
    save_file(_tensors(len(words), width, inner, layers, seed), folder / "model.safetensors")
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    listed = [
        {"path": path, "type": f"sentence_transformers.models.{kind}"}
        for path, kind in kinds[: 3 if unit else 2]
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    return f"sentence:{folder}?device=cpu"


def teacher(reference):
    """The dual encoder whose text side is that transformer: pictures by a ridge map."""
    tower = load_tower(reference, modality="text")
    pixels = small_world.PixelTower()
    phrases = [phrase for phrase in small_world.PHRASES for _ in range(8)]
    pictures = [small_world.draw(p, seed=i % 8 + 1) for i, p in enumerate(phrases)]
    x, y = unit(pixels.encode(pictures)), unit(tower.encode(phrases))
    head = closed_form.ridge(x, y, penalty=1e-3)
    return dual_encoder.DualEncoder(
        Side(pixels, "fake:pixels", head), Side(tower, reference), "in memory"
    )


def _tokenizer(words):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    numbers = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, numbers[name]) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _tensors(size, width, inner, layers, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=1.0):
        return torch.randn(*shape, generator=generator) * scale

    tensors = {
        "embeddings.word_embeddings.weight": draw(size, width),
        "embeddings.position_embeddings.weight": draw(16, width, scale=0.3),
        "embeddings.token_type_embeddings.weight": torch.zeros(2, width),
    }
    norms, linear = ["embeddings.LayerNorm"], {}
    for i in range(layers):
        at = f"encoder.layer.{i}."
        norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
        names = ("attention.self.query", "attention.self.key", "attention.self.value")
        linear |= {at + name: (width, width) for name in (*names, "attention.output.dense")}
        linear |= {
            at + "intermediate.dense": (inner, width),
            at + "output.dense": (width, inner),
        }
    for name in norms:
        tensors |= {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}
    for name, shape in linear.items():
        tensors[f"{name}.weight"] = draw(*shape, scale=shape[1] ** -0.5)
        tensors[f"{name}.bias"] = torch.zeros(shape[0])
    return tensors
