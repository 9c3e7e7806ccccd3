"""Towers of open_clip: both sides; the library is imported only in this file.

Legend: B items of a batch, L tokens, D width.

    openclip:ViT-B-32?pretrained=/path/open_clip_model.safetensors
    openclip:ViT-B-32?pretrained=laion2b_s34b_b79k          a tag of open_clip, from its hub cache
    openclip:local-dir:/a/folder                            with open_clip_config.json
    openclip:hf-hub:owner/name

open_clip wants torchvision, so it is an extra and never part of the default install. Images are
prepared by our own code from the model's settings. They become RGB *before* they are resized;
open_clip does that after, which differs only for images with a palette or transparency.

The tokenizer is the model's own. That of NLLB-CLIP (`nllb-clip-base` and its kin) reads the
language of each text; here every text's is set, and required (`language_tokens` says how).

Options: `pretrained`, `device`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.records import Modality
from polyglance.towers import Tower, TowerReference
from polyglance.towers.runtime import batching, devices, language_tokens, weights
from polyglance.towers.trainable import pixels
from polyglance.towers.trainable.assembled import (
    Identity,
    ProjectedEncoder,
    TorchImageTower,
    TorchTextTower,
)

OPTIONS = ("pretrained", "device")
_FILTERS = {"bicubic": 3, "bilinear": 2}
_SCHEMES = ("local-dir:", "hf-hub:")


class MatrixProjection(nn.Module):
    """The projection as open_clip stores it: rows times a matrix.

    Args:
        matrix: (D', D).
    """

    def __init__(self, matrix: nn.Parameter) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, features: Tensor) -> Tensor:
        """(B, D') to (B, D)."""
        return features @ self.matrix


class TextSide(nn.Module):
    """The text side as a module of a batch; the model's other side is dropped by the caller."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, D), not normalised."""
        return cast(Tensor, self.model.encode_text(batch["input_ids"]))


class ImageSide(nn.Module):
    """The image side as a module of a batch."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, D), not normalised."""
        return cast(Tensor, self.visual(batch["pixel_values"]))


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load one side of an open_clip model.

    Args:
        reference: `openclip:MODEL?pretrained=FILE_OR_TAG`.
        modality: `image` or `text`.

    Raises:
        ConfigError: Without weights.
        MissingExtraError: Where open_clip is not installed.
        UnavailableError: Where model, tag or file cannot be had, or torchvision does not load.
    """
    for name in reference.options:
        if name not in OPTIONS:
            raise errors.unknown_name("option of openclip towers", name, allowed=OPTIONS)
    pretrained = reference.options.get("pretrained")
    if pretrained is None and not reference.location.startswith(_SCHEMES):
        raise errors.ConfigError(
            f"{reference} names no weights; without them the model would be random",
            hint=f"openclip:{reference.location}?pretrained=/path/open_clip_model.safetensors",
        )
    open_clip = _import_library()
    model = _create(open_clip, location=reference.location, pretrained=pretrained)
    recipe = pixel_recipe(model.visual.preprocess_cfg)
    space_id = weights.fingerprint(model.visual.state_dict(), facts={"pixels": recipe.facts()})
    device = devices.device_of(reference.options.get("device"))
    if modality == "image":
        return _image_tower(model, recipe=recipe, space_id=space_id, device=device)
    tokenizer = open_clip.get_tokenizer(reference.location)
    return _text_tower(model, tokenizer=tokenizer, space_id=space_id, device=device)


def pixel_recipe(config: Mapping[str, Any]) -> pixels.PixelRecipe:
    """Read open_clip's preprocessing settings.

    Args:
        config: `preprocess_cfg` of a model: size, mean, std, interpolation, resize_mode.

    Raises:
        ConfigError: For a resize mode or filter that is not read.

    >>> pixel_recipe({"size": 224, "resize_mode": "squash", "interpolation": "bicubic"}).fit
    'exact'
    """
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else size
    mode, filter_name = config.get("resize_mode", "shortest"), config.get("interpolation")
    # `shortest` of a size that is not square is another rule in open_clip, and no model uses it.
    if mode not in ("shortest", "squash") or (mode == "shortest" and height != width):
        raise errors.ConfigError(
            f"resize_mode {mode!r} to {height} x {width}; shortest (square) and squash are read",
            hint="check preprocess_cfg of the model",
        )
    if filter_name not in _FILTERS:
        raise errors.unknown_name("interpolation", str(filter_name), allowed=_FILTERS)
    return pixels.PixelRecipe(
        fit="shortest" if mode == "shortest" else "exact",
        height=height,
        width=width,
        resample=_FILTERS[filter_name],
        crop=(height, width) if mode == "shortest" else None,
        crop_rounding="half_even",
        mean=tuple(config.get("mean", (0.0, 0.0, 0.0))),
        std=tuple(config.get("std", (1.0, 1.0, 1.0))),
    )


def _import_library() -> Any:
    try:
        import open_clip
    except ModuleNotFoundError as error:
        raise errors.missing_extra("openclip towers", extra="openclip") from error
    except RuntimeError as error:
        raise errors.UnavailableError(
            f"open_clip does not import here: {errors.first_line(error)}",
            hint="torchvision must be of the same build as torch (both for CPU, or both for one "
            "CUDA); hf: towers need no torchvision",
        ) from error
    return open_clip


def _create(open_clip: Any, *, location: str, pretrained: str | None) -> Any:
    try:
        return open_clip.create_model(
            location, pretrained=pretrained, require_pretrained=True, weights_only=True
        ).eval()
    except (RuntimeError, OSError, ValueError) as error:
        raise errors.UnavailableError(
            f"open_clip cannot give {location} with {pretrained or 'its own weights'}: "
            f"{errors.first_line(error)}",
            hint="list what there is: python -c 'import open_clip; "
            "print(open_clip.list_pretrained())'",
        ) from error


def _image_tower(
    model: Any, *, recipe: pixels.PixelRecipe, space_id: str, device: torch.device
) -> TorchImageTower:
    projection = _take_matrix(model.visual, name="proj")
    module = ProjectedEncoder(ImageSide(model.visual), projection).eval()
    blank = {"pixel_values": torch.zeros(1, 3, recipe.height, recipe.width)}
    name = weights.fingerprint({}, facts={"image side of": space_id})
    return TorchImageTower(
        module,
        recipe=recipe,
        identity=_identity(module, batch=blank, space_id=space_id, fingerprint=name),
        device=device,
    )


def _text_tower(
    model: Any, *, tokenizer: Any, space_id: str, device: torch.device
) -> TorchTextTower:
    # The tensors are named before the model is taken apart.
    stored = {k: v for k, v in model.state_dict().items() if not k.startswith(("visual.", "logit"))}
    model.visual = None
    module = ProjectedEncoder(TextSide(model), _take_matrix(model, name="text_projection")).eval()

    def rows(texts: Sequence[str], languages: Sequence[str] | None) -> batching.TokenRows:
        del languages
        # Full length always: open_clip adds its whole table of positions, and pads with 0.
        if not texts:
            return []
        # What the model was trained with beyond that, its own tokenizer does.
        prepared = text_forms.prepared(texts, form="plain")
        return cast(batching.TokenRows, tokenizer(prepared).tolist())

    # Their wrapper of a tokenizer of transformers keeps it inside.
    inner = getattr(tokenizer, "tokenizer", None)
    codes: dict[str, int] = {}
    rows_of: batching.TokenRowsOf = rows
    if language_tokens.reads_language(inner):
        codes = language_tokens.language_codes(inner)
        rows_of = language_tokens.by_language(rows, tokenizer=inner)
    tag = next(iter(codes), None)
    tags = [tag] if tag else None
    facts = {
        "tokenizer": rows_of(["one a tower, ZWEI"], tags),
        "text_form": text_forms.facts_of("plain"),
        **({"languages": codes} if codes else {}),
    }
    name = weights.fingerprint(stored, facts=facts)
    blank = {"input_ids": torch.tensor(rows_of(["a"], tags))}
    return TorchTextTower(
        module,
        token_rows=rows_of,
        identity=_identity(module, batch=blank, space_id=space_id, fingerprint=name),
        pad_id=0,
        device=device,
        uses_language=bool(codes),
        languages=tuple(codes),
    )


def _take_matrix(holder: Any, *, name: str) -> MatrixProjection | None:
    """The projection, where the model keeps it as a matrix of its own; other forms stay inside."""
    matrix = getattr(holder, name, None)
    if not isinstance(matrix, nn.Parameter):
        return None
    setattr(holder, name, None)
    return MatrixProjection(matrix)


def _identity(
    module: ProjectedEncoder, *, batch: Mapping[str, Tensor], space_id: str, fingerprint: str
) -> Identity:
    """Widths found by trying, as every architecture of open_clip states them elsewhere."""
    with torch.inference_mode():
        dim = module(batch).shape[1]
        before = module(batch, output="pre_projection").shape[1]
    return Identity(dim=dim, pre_projection_dim=before, space_id=space_id, fingerprint=fingerprint)
