"""Towers of sentence-transformers, whose folder is read directly where that is enough.

Legend: B rows of a batch, D width.

    sentence:all-MiniLM-L6-v2          from an installed package, no network
    sentence:/a/folder                 a folder as the library saves it
    sentence:owner/name                from the hub or its cache

Vectors are what the library's own `encode` gives: of unit length only where the folder's modules
end in Normalize. A chain of Transformer, Pooling, Dense and Normalize is read here; of a BERT not
even transformers is imported. Anything else goes to the library itself (extra `sentence`), whose
import takes 9 s.

Options: `revision`, `prompt` (a name from the folder's prompts; empty for none) or `prefix` (put in
front of every text, where a folder names no prompts), `device`. A folder with prompts and no
default among them is not loaded until one is chosen: its vectors differ by prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.records import Languages, Modality, Output
from polyglance.towers import Tower, TowerReference
from polyglance.towers.libraries import places, sentence_folders, transformers
from polyglance.towers.libraries.sentence_folders import Chain
from polyglance.towers.runtime import (
    batching,
    bert,
    checkpoints,
    devices,
    language_tokens,
    weights,
)
from polyglance.towers.runtime.pooling import PooledEncoder
from polyglance.towers.trainable.assembled import Identity, ProjectedEncoder, TorchTextTower
from polyglance.vectors import Vectors

OPTIONS = ("revision", "prompt", "prefix", "device")

# What BERT's tokenizer is told, and what its normaliser in tokenizer.json calls it, by default.
_BERT_SETTINGS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "do_lower_case": ("lowercase", True),
        "strip_accents": ("strip_accents", None),
        "tokenize_chinese_chars": ("handle_chinese_chars", True),
    }
)
# Files that decide what the library computes.
_NAMED_BY = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})


class LibraryTower(Tower):
    """A text tower that sentence_transformers itself runs; repeats are still encoded once.

    Args:
        model: A `SentenceTransformer`.
        name: Its space and fingerprint.
        prompt: Put in front by the library.
    """

    modality: Modality = "text"

    def __init__(self, model: Any, *, name: str, prompt: str) -> None:
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
        ConfigError: Where a prompt must be chosen, or the folder brings code of its own.
    """
    del modality
    _require_known_options(reference)
    folder = places.folder_of(reference)
    assert folder is not None
    return load_folder(folder, reference)


def load_folder(folder: Path, reference: TowerReference) -> Tower:
    """As `load`, where the folder is known.

    Args:
        folder: Of sentence-transformers.
        reference: How it was named; its options count.

    Raises:
        UnknownNameError, ConfigError, MissingExtraError: As `load`.
    """
    _require_known_options(reference)
    device = devices.device_of(reference.options.get("device"))
    prompt = sentence_folders.prompt_of(folder, reference)
    chain = sentence_folders.read_chain(folder)
    if chain is None:
        return _with_library(folder, device=device, prompt=prompt)
    config = checkpoints.read_json(chain.transformer / "config.json")
    if bert.is_supported(config) and _is_whole(chain.transformer):
        parts = _bert_parts(chain, config=config, prompt=prompt)
    else:
        parts = _transformers_parts(chain, prompt=prompt, device=device)
    module = _assemble(PooledEncoder(parts.encoder, pooling=chain.pooling), tail=chain.tail)
    with torch.inference_mode():
        probe = batching.collate(parts.rows(["a"], parts.languages[:1]), pad_id=parts.pad_id)
        module.eval()
        dim = module(probe).shape[1]
        before = module(probe, output="pre_projection").shape[1]
    facts = {
        **chain.facts,
        "config": {key: config[key] for key in transformers.CONFIG_FACTS if key in config},
        "max_length": parts.max_length,
        "prompt": prompt,
        "text_form": text_forms.facts_of(chain.form),
    }
    name = weights.fingerprint_of_folder(chain.transformer, facts=facts)
    return TorchTextTower(
        module,
        token_rows=parts.rows,
        identity=Identity(dim=dim, pre_projection_dim=before, space_id=name, fingerprint=name),
        pad_id=parts.pad_id,
        device=device,
        uses_language=bool(parts.languages),
        languages=parts.languages,
    )


def _require_known_options(reference: TowerReference) -> None:
    allowed = [name for name in OPTIONS if name != "revision" or reference.library != "packaged"]
    for name in reference.options:
        if name not in allowed:
            raise errors.unknown_name(
                f"option of {reference.library} towers", name, allowed=allowed
            )


def _assemble(pooled: nn.Module, *, tail: Sequence[nn.Module]) -> ProjectedEncoder:
    """The last Dense is the projection; what stands before it makes features."""
    dense = [i for i, module in enumerate(tail) if isinstance(module, nn.Sequential)]
    if not dense:
        return ProjectedEncoder(pooled, after=nn.Sequential(*tail) if tail else None)
    at = dense[-1]
    features = nn.Sequential(pooled, *tail[:at]) if at else pooled
    rest = nn.Sequential(*tail[at + 1 :]) if tail[at + 1 :] else None
    return ProjectedEncoder(features, tail[at], after=rest)


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderParts:
    """An encoder with its tokenizer.

    Attributes:
        encoder: Token ids to states.
        rows: Texts to token ids, with the prompt in front.
        pad_id: The id that fills short rows.
        max_length: Tokens.
        languages: Ids of those that its tokenizer has tokens for, and then needs.
    """

    encoder: nn.Module
    rows: batching.TokenRowsOf
    pad_id: int
    max_length: int
    languages: tuple[str, ...] = ()


def _is_whole(folder: Path) -> bool:
    """Whether tokenizer.json alone says how texts are read.

    Transformers lets tokenizer_config.json overrule the normaliser of a BERT's tokenizer.json.
    """
    if not (folder / "tokenizer.json").is_file():
        return False
    said = sentence_folders.json_of(folder / "tokenizer_config.json")
    normaliser = sentence_folders.json_of(folder / "tokenizer.json").get("normalizer") or {}
    agrees = normaliser.get("type") != "BertNormalizer" or all(
        said.get(name, default) == normaliser.get(theirs)
        for name, (theirs, default) in _BERT_SETTINGS.items()
    )
    return not said or (agrees and said.get("truncation_side", "right") == "right")


def _bert_parts(chain: Chain, *, config: Mapping[str, Any], prompt: str) -> EncoderParts:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(chain.transformer / "tokenizer.json"))
    limit = min(sentence_folders.max_length(chain), int(config["max_position_embeddings"]))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)

    def rows(texts: Sequence[str], languages: Sequence[str] | None) -> batching.TokenRows:
        del languages
        shaped = text_forms.prepared(texts, form=chain.form, prefix=prompt)
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(shaped)]

    tensors = dict(weights.stored_tensors(chain.transformer))
    encoder = bert.from_tensors(tensors, config=config)
    pad_id = int(config.get("pad_token_id") or 0)
    return EncoderParts(encoder=encoder, rows=rows, pad_id=pad_id, max_length=limit)


def _transformers_parts(chain: Chain, *, prompt: str, device: torch.device) -> EncoderParts:
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
    rows = transformers.plain_token_rows(
        tokenizer, max_length=limit, prefix=prompt, form=chain.form
    )
    languages: tuple[str, ...] = ()
    if language_tokens.reads_language(tokenizer):
        rows = language_tokens.by_language(rows, tokenizer=tokenizer)
        languages = tuple(language_tokens.language_codes(tokenizer))
    return EncoderParts(
        encoder=model.get_encoder() if model.config.is_encoder_decoder else model,
        rows=rows,
        pad_id=0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id),
        max_length=limit,
        languages=languages,
    )


def _with_library(folder: Path, *, device: torch.device, prompt: str) -> LibraryTower:
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise errors.missing_extra(f"the modules of {folder}", extra="sentence") from error
    try:
        model = SentenceTransformer(
            str(folder),
            device=str(device),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (ImportError, OSError, ValueError) as error:
        raise errors.ConfigError(
            f"sentence-transformers cannot build {folder}: {errors.first_line(error)}",
            hint="models that bring their own code are not run; docs/towers.md says how their "
            "vectors come in",
        ) from error
    tokenizer = getattr(model, "tokenizer", None)
    if language_tokens.reads_language(tokenizer):
        raise errors.ConfigError(
            f"{folder} has modules that only sentence-transformers runs, and a tokenizer "
            f"({type(tokenizer).__name__}) that must be told the language, which it does not",
            hint="take the encoder by its hf: name, which sets the language of each text",
        )
    files = (path for path in folder.rglob("*") if path.suffix in _NAMED_BY)
    facts = {
        "files": weights.file_digest(files),
        "prompt": prompt,
        "text_form": text_forms.facts_of("plain"),
    }
    return LibraryTower(model, name=weights.fingerprint({}, facts=facts), prompt=prompt)
