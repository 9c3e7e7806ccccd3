"""Towers of transformers: both sides of dual encoders, and text encoders alone.

Legend: B rows of a batch, L tokens, D width.

    hf:openai/clip-vit-base-patch32                 image or text side, with its projection
    hf:xlm-roberta-base?pooling=mean                a text encoder needs a named pooling
    hf:facebook/nllb-200-distilled-600M             NLLB's encoder; reads the language of each text

Options: `pooling` (text encoders alone), `revision`, `dtype` (float32, float16, bfloat16),
`max_length` (tokens), `prefix` (put in front of every text), `device`. Weights are safetensors
only, and no code of a checkpoint is ever run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import nn

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.languages.text_forms import TextForm
from polyglance.records import Modality
from polyglance.towers import Tower, TowerReference
from polyglance.towers.families import DUAL_FAMILIES, DualFamily
from polyglance.towers.runtime import batching, checkpoints, devices, language_tokens, weights
from polyglance.towers.runtime.pooling import TEXT_POOLINGS, PooledEncoder
from polyglance.towers.trainable import pixels
from polyglance.towers.trainable.assembled import (
    Identity,
    ProjectedEncoder,
    TorchImageTower,
    TorchTextTower,
)

OPTIONS = ("pooling", "revision", "dtype", "max_length", "prefix", "device")
DTYPES = MappingProxyType(
    {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
)
# Settings of a sub-model that change what its tensors compute.
CONFIG_FACTS = (
    "model_type",
    "hidden_act",
    "activation_function",
    "layer_norm_eps",
    "num_attention_heads",
    "encoder_attention_heads",
    "patch_size",
    "image_size",
    "strides",
    "depthwise_padding",
    "batch_norm_eps",
    "pooling_type",
)
_VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
TOKENIZER_FILES = (
    *_VOCABULARY_FILES,
    "tokenizer_config.json",
    "merges.txt",
    "special_tokens_map.json",
)
# These count positions from behind the padding id, so two of the table's rows are never reached.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "altclip")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A folder with what was asked of it."""

    folder: Path
    reference: TowerReference
    config: Mapping[str, Any]
    dtype: torch.dtype
    device: torch.device

    def option(self, name: str, default: str = "") -> str:
        """What the reference says of an option, else the default."""
        return self.reference.options.get(name, default)


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load one side of a checkpoint.

    Args:
        reference: `hf:FOLDER_OR_HUB_NAME?options`.
        modality: `image` or `text`.

    Returns:
        A `TorchTextTower` or `TorchImageTower`.

    Raises:
        UnavailableError: Where the checkpoint cannot be had, or has no safetensors.
        ConfigError: For a pooling that is missing or cannot be, or a checkpoint without that side.
        UnknownNameError: For an unknown option.
    """
    for name in reference.options:
        if name not in OPTIONS:
            raise errors.unknown_name("option of hf towers", name, allowed=OPTIONS)
    dtype = reference.options.get("dtype", "float32")
    if dtype not in DTYPES:
        raise errors.unknown_name("dtype", dtype, allowed=DTYPES)
    folder = checkpoints.find_folder(reference.location, revision=reference.options.get("revision"))
    weights.weight_files(folder)  # refuses pickles before transformers, which takes seconds, loads
    found = Checkpoint(
        folder=folder,
        reference=reference,
        config=checkpoints.read_json(folder / "config.json"),
        dtype=DTYPES[dtype],
        device=devices.device_of(reference.options.get("device")),
    )
    model_type = str(found.config.get("model_type"))
    if model_type in DUAL_FAMILIES:
        if "pooling" in reference.options:
            raise errors.ConfigError(
                f"pooling={found.option('pooling')} for {reference.location}; a dual encoder "
                "brings its own",
                hint="leave the option out",
            )
        if modality == "image":
            return _dual_image(found, family=DUAL_FAMILIES[model_type])
        if modality == "text":
            return _dual_text(found, family=DUAL_FAMILIES[model_type])
    elif modality == "text":
        return _text_alone(found)
    raise errors.ConfigError(
        f"{reference.location} ({model_type}) has no {modality} side; image sides are read of "
        f"{', '.join(DUAL_FAMILIES)}",
        hint="name a checkpoint of one of those families",
    )


def _dual_text(found: Checkpoint, *, family: DualFamily) -> TorchTextTower:
    model = load_model(found, class_name=family.model)
    projection = _take_projection(model, path=family.text_projection)
    tokenizer = load_tokenizer(found.folder)
    sub = model.config.text_config
    limit = max_length(found, tokenizer=tokenizer, config=sub)
    space_id = _content_fingerprint(found, family=family, vision_config=model.config.vision_config)
    form = form_of(found.folder, config=found.config)
    facts = _text_facts(found, limit=limit, config=sub, pooling=family.text_pooling)
    return TorchTextTower(
        ProjectedEncoder(PooledEncoder(model.text_model, pooling=family.text_pooling), projection),
        token_rows=plain_token_rows(
            tokenizer,
            max_length=limit,
            prefix=found.option("prefix"),
            padding="max_length" if family.fixed_length else "do_not_pad",
            form=form,
        ),
        identity=Identity(
            dim=projection.out_features,
            pre_projection_dim=projection.in_features,
            space_id=space_id,
            fingerprint=weights.fingerprint(
                weights.stored_tensors(found.folder, prefixes=family.text_prefixes), facts=facts
            ),
        ),
        pad_id=_pad_id(tokenizer),
        device=found.device,
    )


def _dual_image(found: Checkpoint, *, family: DualFamily) -> TorchImageTower:
    model = load_model(found, class_name=family.model)
    sub = model.config.vision_config
    projection = None
    # Both sides have one width; ALIGN's image side states it nowhere.
    dim = before = int(model.get_submodule(family.text_projection).out_features)
    if family.image_projection is not None:
        projection = _take_projection(model, path=family.image_projection)
        dim, before = projection.out_features, projection.in_features
    space_id = _content_fingerprint(found, family=family, vision_config=sub)
    return TorchImageTower(
        ProjectedEncoder(PooledEncoder(model.vision_model, pooling="pooler"), projection),
        recipe=_pixel_recipe(found, family=family),
        identity=Identity(
            dim=dim,
            pre_projection_dim=before,
            space_id=space_id,
            fingerprint=weights.fingerprint(
                {}, facts={"image side of": space_id, "dtype": found.option("dtype", "float32")}
            ),
        ),
        device=found.device,
        dtype=found.dtype,
    )


def _text_alone(found: Checkpoint) -> TorchTextTower:
    """An encoder without a content side; its space is its own."""
    is_nllb = found.config.get("model_type") == "m2m_100"
    pooling = found.option("pooling", "position0" if is_nllb else "")
    if pooling not in TEXT_POOLINGS:
        said = f"pooling {pooling!r}" if pooling else "no pooling"
        raise errors.ConfigError(
            f"{said} for the text encoder {found.reference.location}; allowed: "
            + ", ".join(TEXT_POOLINGS),
            hint=f"name one as its authors used it: hf:{found.reference.location}?pooling=mean",
        )
    model = load_model(found, class_name="AutoModel", pooling=pooling)
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    tokenizer = load_tokenizer(found.folder)
    limit = max_length(found, tokenizer=tokenizer, config=model.config)
    rows = plain_token_rows(tokenizer, max_length=limit, prefix=found.option("prefix"))
    uses_language = is_nllb or language_tokens.reads_language(tokenizer)
    if uses_language:
        rows = language_tokens.by_language(rows, tokenizer=tokenizer)
    elif pooling == "cls":
        _check_cls(rows, tokenizer=tokenizer, location=found.reference.location)
    # A decoder takes no part in encoding, and is absent from some checkpoints of the same encoder.
    names = ("model.encoder.", "model.shared.", "encoder.", "shared.") if is_nllb else ("",)
    name = weights.fingerprint(
        weights.stored_tensors(found.folder, prefixes=names),
        facts=_text_facts(found, limit=limit, config=model.config, pooling=pooling),
    )
    dim = int(model.config.hidden_size)
    return TorchTextTower(
        ProjectedEncoder(PooledEncoder(encoder, pooling=pooling)),
        token_rows=rows,
        identity=Identity(dim=dim, pre_projection_dim=dim, space_id=name, fingerprint=name),
        pad_id=_pad_id(tokenizer),
        device=found.device,
        uses_language=uses_language,
        languages=tuple(language_tokens.language_codes(tokenizer)) if uses_language else (),
    )


def form_of(folder: Path, *, config: Mapping[str, Any]) -> TextForm:
    """What a checkpoint's texts were like in training, as far as its tokenizer does not see to it.

    SigLIP 2 was trained on lower-cased texts with Gemma's tokenizer, which keeps the case: the
    checkpoints of one resolution, whose model type is that of the first SigLIP, say so only by it.

    Args:
        folder: Of the checkpoint.
        config: Its config.json.
    """
    model_type = str(config.get("model_type"))
    family = DUAL_FAMILIES.get(model_type)
    if family is None:
        return "plain"
    file = folder / "tokenizer_config.json"
    named = checkpoints.read_json(file).get("tokenizer_class") if file.is_file() else None
    if model_type.startswith("siglip") and str(named).startswith(("Gemma", "Siglip2")):
        return "lower"
    return family.text_form


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint folder.

    Raises:
        UnavailableError: Where its files, or a package that reads them, are absent.
    """
    from transformers import AutoTokenizer

    # Without this, transformers 5 gives a tokenizer of no vocabulary, to which all texts are equal.
    if not any((folder / name).is_file() for name in _VOCABULARY_FILES):
        raise errors.UnavailableError(
            f"{folder} has no tokenizer; one of {', '.join(_VOCABULARY_FILES)} holds it",
            hint="download the whole model again: hf download OWNER/NAME",
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        raise errors.UnavailableError(
            f"the tokenizer of {folder} cannot be read: {errors.first_line(error)}",
            hint="check that tokenizer.json or the vocabulary is there; sentencepiece vocabularies "
            "need: pip install sentencepiece",
        ) from error


def plain_token_rows(
    tokenizer: Any,
    *,
    max_length: int,
    prefix: str = "",
    padding: str = "do_not_pad",
    form: TextForm = "plain",
) -> batching.TokenRowsOf:
    """Tokenisation that does not depend on the language.

    Args:
        tokenizer: Of transformers.
        max_length: Tokens, special ones included.
        prefix: Put in front of every text.
        padding: `do_not_pad`, or `max_length` for a model that reads its padding.
        form: Into which texts are brought first.
    """

    def rows(texts: Sequence[str], languages: Sequence[str] | None) -> batching.TokenRows:
        del languages
        if not texts:
            return []
        encoded = tokenizer(
            text_forms.prepared(texts, form=form, prefix=prefix),
            truncation=True,
            max_length=max_length,
            padding=padding,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return cast(batching.TokenRows, encoded["input_ids"])

    return rows


def load_model(found: Checkpoint, *, class_name: str, pooling: str = "") -> Any:
    """A model of transformers with every tensor that it will use.

    Raises:
        ConfigError: Where transformers cannot build it, or the checkpoint lacks a tensor.
    """
    import transformers

    try:
        model, info = getattr(transformers, class_name).from_pretrained(
            found.folder,
            dtype=found.dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (ValueError, KeyError, RuntimeError) as error:
        raise errors.ConfigError(
            f"transformers cannot build {found.reference.location}: {errors.first_line(error)}",
            hint="models that bring their own code are not run; docs/towers.md says how their "
            "vectors come in",
        ) from error
    # A missing tensor is filled at random without an error; only an unused pooler may be.
    missing = sorted(
        key
        for key in info["missing_keys"]
        if pooling == "pooler" or not key.startswith("pooler.") or class_name != "AutoModel"
    )
    if missing:
        raise errors.ConfigError(
            f"{found.reference.location} lacks {len(missing)} tensors of {type(model).__name__}, "
            f"first {missing[0]}; they would be random",
            hint="take the complete checkpoint"
            + (", or another pooling" if pooling == "pooler" else ""),
        )
    return model.eval()


def _take_projection(model: Any, *, path: str) -> nn.Linear:
    """The projection, and where it sits inside a sub-model, an identity in its place."""
    *parents, name = path.split(".")
    holder = model.get_submodule(".".join(parents))
    projection = getattr(holder, name)
    if parents:
        setattr(holder, name, nn.Identity())
    return cast(nn.Linear, projection)


def _content_fingerprint(found: Checkpoint, *, family: DualFamily, vision_config: Any) -> str:
    """The `space_id` of both sides; the width of numbers (`dtype`) does not make another space."""
    facts = {
        "config": _config_facts(vision_config),
        "pixels": _pixel_recipe(found, family=family).facts(),
    }
    tensors = weights.stored_tensors(found.folder, prefixes=family.content_prefixes)
    return weights.fingerprint(tensors, facts=facts)


def _pixel_recipe(found: Checkpoint, *, family: DualFamily) -> pixels.PixelRecipe:
    """From `preprocessor_config.json`, or its place in the newer `processor_config.json`."""
    combined = found.folder / "processor_config.json"
    if combined.is_file() and "image_processor" in (config := checkpoints.read_json(combined)):
        return pixels.from_preprocessor_config(
            config["image_processor"], crops_by_default=family.crops
        )
    config = checkpoints.read_json(found.folder / "preprocessor_config.json")
    return pixels.from_preprocessor_config(config, crops_by_default=family.crops)


def _text_facts(found: Checkpoint, *, limit: int, config: Any, pooling: str) -> dict[str, Any]:
    return {
        "config": _config_facts(config),
        "tokenizer": weights.file_digest(found.folder / name for name in TOKENIZER_FILES),
        "max_length": limit,
        "pooling": pooling,
        "prefix": found.option("prefix"),
        "text_form": text_forms.facts_of(form_of(found.folder, config=found.config)),
        "dtype": found.option("dtype", "float32"),
    }


def _config_facts(config: Any) -> dict[str, Any]:
    return {key: getattr(config, key) for key in CONFIG_FACTS if hasattr(config, key)}


def max_length(found: Checkpoint, *, tokenizer: Any, config: Any) -> int:
    """The tokens a text may have: the option, bounded by what the model has positions for."""
    positions = int(getattr(config, "max_position_embeddings", None) or 512)
    if found.config.get("model_type") in _OFFSET_POSITIONS:
        positions -= 2
    asked = found.option("max_length")
    if not asked:
        return min(int(tokenizer.model_max_length), positions)
    if not asked.isdigit() or not 3 <= int(asked) <= positions:
        raise errors.ConfigError(
            f"max_length={asked}; 3 to {positions} tokens are allowed for this model",
            hint="leave it out for the longest the model reads",
        )
    return int(asked)


def _pad_id(tokenizer: Any) -> int:
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def _check_cls(rows: batching.TokenRowsOf, *, tokenizer: Any, location: str) -> None:
    """`cls` reads position 0, so the tokenizer must put its classification token there."""
    wanted = tokenizer.cls_token_id
    if wanted is None or rows(["a"], None)[0][0] != wanted:
        raise errors.ConfigError(
            f"pooling=cls for {location}, whose tokenizer puts no classification token first",
            hint="name position0 if its first token is meant, or mean",
        )
