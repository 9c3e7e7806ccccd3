"""Import of heads for generation that the authors of M2M published."""

from __future__ import annotations

from pathlib import Path

from polyglance import errors
from polyglance.generation.heads import GenerationHead, GenerationManifest
from polyglance.heads import linear
from polyglance.model.side import Side
from polyglance.recipes.published_m2m import read_checkpoint
from polyglance.records import Output


def import_generation_head(
    checkpoint: Path, *, tower: Side, target: str, target_output: Output = "pre_projection"
) -> GenerationHead:
    """A head for generation: layers and `layer_norm.weight|bias` from `.pth` or `.safetensors`.

    Args:
        checkpoint: The file.
        tower: The multilingual text tower that it was fitted on.
        target: The text encoder that it stands in for, for whoever reads the head's manifest.
        target_output: Which of its outputs.

    Raises:
        UnavailableError: Where there is no such file.
        InputError: For a head for retrieval, or a file that holds anything else.
        VectorError: Where the widths do not fit the tower.
    """
    head = linear.generation_head_from_published(read_checkpoint(checkpoint)).eval()
    dim_in = head.mlps[0].in_features
    if dim_in != tower.tower.dim:
        raise errors.VectorError(
            f"the head takes vectors of width {dim_in}; the tower gives {tower.tower.dim}",
            hint="name the tower in the checkpoint's config.json",
        )
    manifest = GenerationManifest(
        recipe="m2m (published)",
        tower=tower.reference,
        tower_fingerprint=tower.tower.fingerprint,
        target=target,
        target_output=target_output,
        data={"kind": "published checkpoint", "file": checkpoint.name},
    )
    return GenerationHead(manifest, Side(tower.tower, tower.reference), head)
