"""A BERT encoder without transformers: the published layers, written out in torch.

Legend: B rows of a batch, L tokens, D width, A attention heads.

Most small sentence encoders are BERTs. Importing transformers for one costs 3.4 s of processor time
above torch, this file nothing; the vectors are the same (a test compares both).
Source: Devlin et al. 2019; layer order after the published checkpoints (normalise after adding).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The published projections that stand in one matrix here, in its order.
_THIRDS = ("query", "key", "value")


class States(NamedTuple):
    """What an encoder returns: the state of each token, (B, L, D)."""

    last_hidden_state: Tensor


class Linear(nn.Linear):
    """A linear layer whose weights come from a checkpoint."""

    def reset_parameters(self) -> None:
        """Draw nothing: the tensors of a checkpoint take the place of these."""


class Embedding(nn.Embedding):
    """A table whose rows come from a checkpoint."""

    def reset_parameters(self) -> None:
        """Draw nothing: MiniLM's words alone would take 0.1 s."""


class BertLayer(nn.Module):
    """One block: attention, add, normalise; feed-forward, add, normalise."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, inner = int(config["hidden_size"]), int(config["intermediate_size"])
        epsilon = float(config.get("layer_norm_eps", 1e-12))
        self.num_heads = int(config["num_attention_heads"])
        self.dropout = float(config.get("hidden_dropout_prob", 0.1))
        self.attention_dropout = float(config.get("attention_probs_dropout_prob", 0.1))
        # Query, key and value in one product: three small ones keep two cores less busy.
        self.query_key_value = Linear(width, 3 * width)
        self.attended = Linear(width, width)
        self.attended_norm = nn.LayerNorm(width, eps=epsilon)
        self.widen = Linear(width, inner)
        self.narrow = Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, eps=epsilon)

    def forward(self, states: Tensor, *, mask: Tensor | None) -> Tensor:
        """(B, L, D) to (B, L, D); `mask` (B, 1, 1, L), true where a token may be read."""
        rows, tokens, width = states.shape
        split = self.query_key_value(states).view(rows, tokens, 3, self.num_heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, A, L, D / A)
        read = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        read = self.attended(read.transpose(1, 2).reshape(rows, tokens, width))
        states = self.attended_norm(states + F.dropout(read, self.dropout, self.training))
        inner = self.narrow(F.gelu(self.widen(states)))
        return cast(
            Tensor, self.output_norm(states + F.dropout(inner, self.dropout, self.training))
        )


class BertEncoder(nn.Module):
    """Embeddings and blocks; no pooler.

    Args:
        config: The content of `config.json`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = int(config["hidden_size"])
        self.dropout = float(config.get("hidden_dropout_prob", 0.1))
        self.words = Embedding(int(config["vocab_size"]), width)
        # Every text is the first of its pair, so that type's vector is part of the positions.
        self.positions = Embedding(int(config["max_position_embeddings"]), width)
        self.norm = nn.LayerNorm(width, eps=float(config.get("layer_norm_eps", 1e-12)))
        self.layers = nn.ModuleList(
            BertLayer(config) for _ in range(int(config["num_hidden_layers"]))
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> States:
        """Token ids (B, L), and 1 for real tokens where rows are padded, to states (B, L, D)."""
        tokens = input_ids.shape[1]
        states = self.norm(self.words(input_ids) + self.positions.weight[:tokens])
        states = F.dropout(states, self.dropout, self.training)
        mask = None if attention_mask is None else attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            states = layer(states, mask=mask)
        return States(states)


def is_supported(config: Mapping[str, Any]) -> bool:
    """Whether a configuration describes what this file computes.

    >>> is_supported({"model_type": "bert", "hidden_act": "gelu"})
    True
    >>> is_supported({"model_type": "bert", "hidden_act": "relu"})
    False
    """
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act", "gelu") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and not config.get("add_cross_attention", False)
    )


def from_tensors(tensors: Mapping[str, Tensor], *, config: Mapping[str, Any]) -> BertEncoder:
    """Build the encoder from the tensors of a published checkpoint.

    Args:
        tensors: By their published names, with or without `bert.` in front.
        config: The content of `config.json`.

    Raises:
        KeyError: Where a tensor is absent.
    """
    stored = {name.removeprefix("bert."): tensor.float() for name, tensor in tensors.items()}
    placed = {
        "words.weight": stored["embeddings.word_embeddings.weight"],
        "positions.weight": stored["embeddings.position_embeddings.weight"]
        + stored["embeddings.token_type_embeddings.weight"][0],
    }
    num_layers = int(config["num_hidden_layers"])
    for i in range(num_layers):
        for kind in ("weight", "bias"):
            placed[f"layers.{i}.query_key_value.{kind}"] = torch.cat(
                [stored[f"encoder.layer.{i}.attention.self.{x}.{kind}"] for x in _THIRDS]
            )
    for ours, theirs in _published_names(num_layers).items():
        placed[ours] = stored[theirs]
    # Not on the meta device, which imports 800 modules in 1.4 s.
    encoder = BertEncoder(config)
    encoder.load_state_dict(placed, assign=True)
    return encoder


def to_tensors(encoder: BertEncoder) -> dict[str, Tensor]:
    """The encoder's tensors by their published names: what `from_tensors` takes.

    The vector of the first token type is part of the positions here, so the two types are zero.
    """
    own = {name: tensor.detach().cpu() for name, tensor in encoder.state_dict().items()}
    found = {
        "embeddings.word_embeddings.weight": own["words.weight"],
        "embeddings.position_embeddings.weight": own["positions.weight"],
        "embeddings.token_type_embeddings.weight": torch.zeros(2, own["words.weight"].shape[1]),
    }
    for i in range(len(encoder.layers)):
        for kind in ("weight", "bias"):
            thirds = own[f"layers.{i}.query_key_value.{kind}"].chunk(3)
            for name, third in zip(_THIRDS, thirds, strict=True):
                found[f"encoder.layer.{i}.attention.self.{name}.{kind}"] = third
    for ours, theirs in _published_names(len(encoder.layers)).items():
        found[theirs] = own[ours]
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _published_names(num_layers: int) -> dict[str, str]:
    """Our names of the tensors that are kept as they are, and the published ones."""
    modules = {"norm": "embeddings.LayerNorm"}
    for i in range(num_layers):
        there, here = f"encoder.layer.{i}.", f"layers.{i}."
        modules[here + "attended"] = there + "attention.output.dense"
        modules[here + "attended_norm"] = there + "attention.output.LayerNorm"
        modules[here + "widen"] = there + "intermediate.dense"
        modules[here + "narrow"] = there + "output.dense"
        modules[here + "output_norm"] = there + "output.LayerNorm"
    return {
        f"{ours}.{kind}": f"{theirs}.{kind}"
        for ours, theirs in modules.items()
        for kind in ("weight", "bias")
    }
