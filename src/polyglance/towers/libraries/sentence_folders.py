"""Folders of sentence-transformers: modules, settings and prompts, read without the library.

Legend: B rows of a batch, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from polyglance import errors
from polyglance.languages.text_forms import TextForm
from polyglance.storage import tensor_files
from polyglance.towers import TowerReference
from polyglance.towers.libraries import transformers
from polyglance.towers.libraries.packaged import conversion, table
from polyglance.towers.runtime import checkpoints, weights

_MODEL_CONFIG = "config_sentence_transformers.json"
# The library reads the first of these that says something.
_SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# The library's names of poolings that this file computes, and ours.
_POOLINGS = {"mean": "mean", "cls": "position0", "max": "max", "lasttoken": "last"}
_OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {"Tanh": nn.Tanh, "Identity": nn.Identity, "ReLU": nn.ReLU, "GELU": nn.GELU}
)
# What sentence_bert_config.json may say for the plain case; another key or value means the library.
_PLAIN_TRANSFORMER: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "transformer_task": ("feature-extraction",),
        "module_output_name": ("token_embeddings",),
        "modality_config": (
            {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        ),
        "unpad_inputs": (None, False),
    }
)


class UnitLength(nn.Module):
    """Scale each row to length 1, as the library's Normalize does."""

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, D) to (B, D)."""
        return F.normalize(vectors, p=2, dim=1)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A folder that is Transformer, Pooling and a tail.

    Attributes:
        transformer: The folder of the encoder.
        pooling: Ours.
        max_length: Tokens; None where the tokenizer's own limit holds.
        lower_case: Whether texts are lower-cased before the tokenizer.
        tail: Dense and Normalize modules, in order, and the cut to the first dimensions.
        tail_files: The weights of the dense ones.
        facts: For the fingerprint.
    """

    transformer: Path
    pooling: str
    max_length: int | None
    lower_case: bool
    tail: tuple[nn.Module, ...]
    tail_files: tuple[Path, ...]
    facts: Mapping[str, Any]

    @property
    def form(self) -> TextForm:
        """Into which texts are brought."""
        return "lower" if self.lower_case else "plain"


def read_chain(folder: Path) -> Chain | None:
    """What a folder's modules are, or None where they need the library.

    Raises:
        UnavailableError: Where the folder has no `modules.json`.
    """
    modules = checkpoints.read_json(folder / "modules.json")
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    from_library = all(str(m["type"]).startswith("sentence_transformers.") for m in modules)
    if not from_library or kinds[:2] != ["Transformer", "Pooling"]:
        return None
    transformer = folder / modules[0]["path"]
    settings = next(filter(None, (json_of(transformer / name) for name in _SETTINGS)), {})
    pooling_config = checkpoints.read_json(folder / modules[1]["path"] / "config.json")
    pooling = _pooling(pooling_config)
    tail = [
        _tail_module(folder / module["path"], kind=kind)
        for module, kind in zip(modules[2:], kinds[2:], strict=True)
    ]
    if pooling is None or None in tail or not _is_plain(settings):
        return None
    dense = [
        folder / m["path"]
        for m, kind in zip(modules[2:], kinds[2:], strict=True)
        if kind == "Dense"
    ]
    files = tuple(path / name for path in dense for name in ("config.json", "model.safetensors"))
    kept = json_of(folder / _MODEL_CONFIG).get("truncate_dim")
    if kept is not None:
        tail.append(_first_dimensions(kept, tail=tail, pooling=pooling_config))
    return Chain(
        transformer=transformer,
        pooling=pooling,
        max_length=settings.get("max_seq_length"),
        lower_case=bool(settings.get("do_lower_case", False)),
        tail=tuple(cast("list[nn.Module]", tail)),
        tail_files=files,
        facts={
            "modules": kinds,
            "pooling": pooling,
            "lower_case": bool(settings.get("do_lower_case", False)),
            "tail": [weights.file_digest([file]) for file in files],
            "truncate_dim": kept,
            "tokenizer": weights.file_digest(
                transformer / name for name in transformers.TOKENIZER_FILES
            ),
        },
    )


def _first_dimensions(
    kept: int, *, tail: Sequence[nn.Module | None], pooling: Mapping[str, Any]
) -> nn.Linear:
    """The cut to the first dimensions that a folder asks for (`truncate_dim`), as a frozen map."""
    dense = [cast(nn.Linear, module[0]) for module in tail if isinstance(module, nn.Sequential)]
    named = pooling.get("embedding_dimension", pooling.get("word_embedding_dimension", kept))
    width = int(dense[-1].out_features if dense else named)
    cut = nn.Linear(width, min(kept, width), bias=False).requires_grad_(False)
    nn.init.eye_(cut.weight)
    return cut


def json_of(path: Path) -> Mapping[str, Any]:
    """The content of a file that may be absent."""
    return checkpoints.read_json(path) if path.is_file() else {}


def _is_plain(settings: Mapping[str, Any]) -> bool:
    """Whether the Transformer module does nothing that this file does not."""
    simple = {"max_seq_length", "do_lower_case"}
    return all(
        key in simple or value in _PLAIN_TRANSFORMER.get(key, ()) for key, value in settings.items()
    )


def _pooling(config: Mapping[str, Any]) -> str | None:
    """Our name of the one pooling, None for a combination or one that the library must do."""
    if not config.get("include_prompt", True):
        return None
    named = config.get("pooling_mode")
    if named is None:
        on = [mode for key, mode in _OLD_POOLING_KEYS.items() if config.get(key)]
        named = on[0] if len(on) == 1 else None
    return _POOLINGS.get(named) if isinstance(named, str) else None


def _tail_module(folder: Path, *, kind: str) -> nn.Module | None:
    if kind == "Normalize":
        return UnitLength()
    if kind != "Dense" or not (folder / "model.safetensors").is_file():
        return None
    config = checkpoints.read_json(folder / "config.json")
    activation = str(config.get("activation_function", "")).rpartition(".")[2]
    names = {
        config.get(f"module_{side}_name", "sentence_embedding") for side in ("input", "output")
    }
    if (
        activation not in _ACTIVATIONS
        or config.get("use_residual")
        or names
        - {
            "sentence_embedding",
            None,
        }
    ):
        return None
    stored = tensor_files.read_torch(folder / "model.safetensors")
    linear = nn.Linear(config["in_features"], config["out_features"], bias="linear.bias" in stored)
    linear.load_state_dict({name.removeprefix("linear."): t for name, t in stored.items()})
    return nn.Sequential(linear, _ACTIVATIONS[activation]())


def max_length(chain: Chain) -> int:
    """The module's own limit; folders saved by version 6 keep it with the tokenizer."""
    if chain.max_length is not None:
        return chain.max_length
    return int(json_of(chain.transformer / "tokenizer_config.json").get("model_max_length", 512))


def prompt_of(folder: Path, reference: TowerReference) -> str:
    """What a reference puts in front of every text: its own words, or a prompt of the folder.

    Without either it is the folder's default prompt.

    Raises:
        UnknownNameError: For a prompt that the folder does not have.
        ConfigError: For both, or where the folder has prompts and says of none that it is meant.
    """
    options, config = reference.options, json_of(folder / _MODEL_CONFIG)
    prompts = {name: text or "" for name, text in (config.get("prompts") or {}).items()}
    if "prefix" in options and "prompt" in options:
        raise errors.ConfigError(
            f"{reference} has both a prompt and a prefix; one of them stands in front of a text",
            hint="prompt names one of the folder's own, prefix is the text itself",
        )
    if "prefix" in options:
        return options["prefix"]
    name = options.get("prompt", config.get("default_prompt_name"))
    if name is None and any(prompts.values()):
        listed = ", ".join(f"{name} ({text!r})" for name, text in prompts.items())
        raise errors.ConfigError(
            f"{reference.location} was trained with prompts, and none is its default: {listed}",
            hint="choose what your texts are, captions or queries: "
            f"{reference.library}:{reference.location}?prompt={next(iter(prompts))}; "
            "?prompt= takes none",
        )
    if not name:
        return ""
    if name not in prompts:
        raise errors.unknown_name("prompt", name, allowed=prompts)
    return prompts[name]


def folder_of(reference: TowerReference) -> Path:
    """Where a model lies: a path, the folder of a packaged tower, or the hub's snapshot.

    Raises:
        UnavailableError: Where it cannot be had.
        MissingExtraError: Where the package that carries it is absent.
    """
    location = reference.location
    if reference.library == "packaged" or (
        location.lower() in table.PACKAGED and not Path(location).is_dir()
    ):
        return conversion.folder_of(location)
    return checkpoints.find_folder(location, revision=reference.options.get("revision"))
