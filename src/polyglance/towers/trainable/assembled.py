"""Towers assembled from a torch module, a tokenizer and a name, for all libraries.

Legend: N items, B items of a batch, L tokens, C channels, H height, W width, D width of vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyglance import errors
from polyglance.records import Languages, Modality, Output
from polyglance.towers.base import Tower
from polyglance.towers.runtime import batching
from polyglance.towers.trainable import pixels
from polyglance.vectors import Vectors

IMAGES_PER_BATCH = 32


class ProjectedEncoder(nn.Module):
    """Features, and the last projection where there is one.

    Args:
        features: A batch to (B, D').
        projection: (B, D') to (B, D); None where the features are the embedding.
        after: What follows the projection in the published model, e.g. scaling to unit length.
    """

    def __init__(
        self,
        features: nn.Module,
        projection: nn.Module | None = None,
        *,
        after: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.projection = projection
        self.after = after

    def forward(self, batch: Any, *, output: Output = "embedding") -> Tensor:
        """(B, D), or (B, D') for `pre_projection`; with gradient."""
        vectors = cast(Tensor, self.features(batch))
        if output == "pre_projection" and self.projection is not None:
            return vectors
        return self.embedding(vectors)

    def embedding(self, features: Tensor) -> Tensor:
        """Features (B, D') to (B, D)."""
        vectors = features if self.projection is None else cast(Tensor, self.projection(features))
        return vectors if self.after is None else self.after(vectors)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a tower is: width and names.

    Attributes:
        dim: D.
        pre_projection_dim: Width in front of the last projection; D where there is none.
        space_id: Which space.
        fingerprint: Which tower.
    """

    dim: int
    pre_projection_dim: int
    space_id: str
    fingerprint: str


class TorchTower(Tower):
    """What the towers of torch have in common.

    Args:
        module: Batch to vectors.
        identity: Width and names.
        device: Where the module runs.
    """

    pre_projection_dim: int

    def __init__(
        self, module: ProjectedEncoder, *, identity: Identity, device: torch.device
    ) -> None:
        self.module = module.eval().to(device)
        self.device = device
        self.dim, self.pre_projection_dim = identity.dim, identity.pre_projection_dim
        self.space_id, self.fingerprint = identity.space_id, identity.fingerprint

    def forward(self, batch: Mapping[str, Tensor], *, output: Output = "embedding") -> Tensor:
        """A batch on the tower's device to (B, D), with gradient."""
        return cast(Tensor, self.module(batch, output=output))


class TorchTextTower(TorchTower):
    """A text tower: encodes in evaluation mode, and offers `forward` with gradient.

    Args:
        module: Batch of token ids to vectors.
        token_rows: Texts and languages to token ids.
        identity: Width and names.
        pad_id: The id that fills short rows.
        device: Where the module runs.
        uses_language: Whether token ids depend on the language.
        languages: Ids of those that it has tokens for.
    """

    modality: Modality = "text"
    trainable = True

    def __init__(
        self,
        module: ProjectedEncoder,
        *,
        token_rows: batching.TokenRowsOf,
        identity: Identity,
        pad_id: int,
        device: torch.device,
        uses_language: bool = False,
        languages: Sequence[str] = (),
    ) -> None:
        super().__init__(module, identity=identity, device=device)
        self.token_rows, self.pad_id = token_rows, pad_id
        self.uses_language, self.languages = uses_language, languages

    def encode(
        self, items: Sequence[str], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Texts to float32 (N, D), raw; see the protocol."""
        self._check_languages(languages)
        self.module.eval()

        def forward(batch: batching.Padded) -> Vectors:
            sent = {name: torch.from_numpy(a).to(self.device) for name, a in batch.items()}
            with torch.inference_mode():
                out = self.forward(sent, output=output).float().cpu()
            return cast(Vectors, out.numpy())

        return batching.encode_deduplicated(
            items,
            languages if self.uses_language else None,
            encoder=batching.TextForward(
                token_rows=self.token_rows,
                forward=forward,
                width=self.dim if output == "embedding" else self.pre_projection_dim,
                pad_id=self.pad_id,
                on_cpu=self.device.type == "cpu",
            ),
        )

    def tokenize(
        self, texts: Sequence[str], languages: Sequence[str] | None = None
    ) -> batching.Batch:
        """Texts to one padded batch on the tower's device, for `forward`."""
        self._check_languages(languages)
        rows = self.token_rows(texts, languages if self.uses_language else None)
        batch = batching.collate(rows, pad_id=self.pad_id)
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def count_repeats(
        self, texts: Sequence[str], languages: Sequence[str] | None = None
    ) -> batching.RepeatCount:
        """How many of the texts `encode` really encodes."""
        self._check_languages(languages)
        tags = languages if self.uses_language else None
        return batching.count_repeats(texts, tags, token_rows=self.token_rows)

    def _check_languages(self, languages: Sequence[str] | None) -> None:
        if self.uses_language and languages is None:
            raise errors.LanguageError(
                "no languages given; this tower reads the language of every text, and nothing "
                "falls back to English",
                hint="give encode(texts, languages=[...]), one id such as deu_Latn a text",
            )


class TorchImageTower(TorchTower):
    """An image tower: PIL images or preprocessed arrays to vectors, in batches.

    Args:
        module: Batch of pixel arrays to vectors.
        recipe: From image to array.
        identity: Width and names.
        device: Where the module runs.
        dtype: In which the module runs.
    """

    modality: Modality = "image"

    def __init__(
        self,
        module: ProjectedEncoder,
        *,
        recipe: pixels.PixelRecipe,
        identity: Identity,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(module, identity=identity, device=device)
        self.recipe, self.dtype = recipe, dtype

    @property
    def encodes_in_threads(self) -> bool:
        """Whether several threads gain anything: an accelerator takes one batch at a time."""
        return self.device.type == "cpu"

    def preprocess(self, item: Any) -> NDArray[np.float32]:
        """One PIL image to (C, H, W); thread-safe."""
        return pixels.to_array(item, recipe=self.recipe)

    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """PIL images, or arrays of `preprocess`, to float32 (N, D), raw; see the protocol."""
        del languages
        self.module.eval()
        width = self.dim if output == "embedding" else self.pre_projection_dim
        vectors = np.empty((len(items), width), dtype=np.float32)  # (N, D)
        for start in range(0, len(items), IMAGES_PER_BATCH):
            part = items[start : start + IMAGES_PER_BATCH]
            arrays = [x if isinstance(x, np.ndarray) else self.preprocess(x) for x in part]
            with torch.inference_mode():
                out = self.forward(self.collate(arrays), output=output)
            vectors[start : start + len(part)] = out.float().cpu().numpy()
        return vectors

    def collate(self, arrays: Sequence[NDArray[Any]]) -> Mapping[str, Tensor]:
        """Arrays of `preprocess` to the batch that `forward` takes.

        Raises:
            InputError: Where an array has another shape than `preprocess` gives.
        """
        if self.recipe.fit == "patches":
            batch = patch_batch(arrays, recipe=self.recipe)
        else:
            shapes = {array.shape for array in arrays}
            if len(shapes) > 1 or any(len(shape) != 3 for shape in shapes):
                raise errors.InputError(
                    f"arrays of shapes {sorted(shapes)}; those of one `preprocess` are allowed",
                    hint="give PIL images, or arrays from this tower's preprocess",
                )
            batch = {"pixel_values": np.stack(arrays)}  # (B, C, H, W)
        tensors = {name: torch.from_numpy(array).to(self.device) for name, array in batch.items()}
        tensors["pixel_values"] = tensors["pixel_values"].to(self.dtype)
        return tensors


def patch_batch(
    arrays: Sequence[NDArray[Any]], *, recipe: pixels.PixelRecipe
) -> dict[str, NDArray[Any]]:
    """Images of different shapes as rows of patches, filled up with zeros (SigLIP 2, NaFlex).

    Args:
        arrays: B arrays (C, H, W), H and W multiples of the patch size.
        recipe: Its `patch_size` and `max_patches` (P).

    Returns:
        `pixel_values` (B, P, patch^2 C), `pixel_attention_mask` (B, P), `spatial_shapes` (B, 2).
    """
    size, most = recipe.patch_size, recipe.max_patches
    values = np.zeros((len(arrays), most, size * size * 3), dtype=np.float32)
    mask = np.zeros((len(arrays), most), dtype=np.int64)
    shapes = np.zeros((len(arrays), 2), dtype=np.int64)
    for row, array in enumerate(arrays):
        patches = pixels.to_patches(array, patch_size=size)
        values[row, : len(patches)] = patches
        mask[row, : len(patches)] = 1
        shapes[row] = array.shape[1] // size, array.shape[2] // size
    return {"pixel_values": values, "pixel_attention_mask": mask, "spatial_shapes": shapes}
