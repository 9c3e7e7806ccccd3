"""Import of heads that the M2M author published, as packs and as heads for generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from polyglance import errors
from polyglance.encoding.texts import VectorCache
from polyglance.heads import linear
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.new_pack import new_pack
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import scoring
from polyglance.recipes.data import dev_sets
from polyglance.recipes.run import Dev
from polyglance.records import Pair
from polyglance.storage import tensor_files
from polyglance.towers import declared_languages


def import_head(checkpoint: Path) -> linear.LinearHead:
    """Read a head for retrieval: `mlps.{i}.weight|bias` from `.pth` or `.safetensors`.

    Raises:
        UnavailableError: Where there is no such file.
        InputError: For tensors that are no head.
        StoreError: For a damaged file, or one that holds more than tensors.
    """
    return linear.head_from_published(read_checkpoint(checkpoint))


def import_pack(
    checkpoint: Path,
    *,
    teacher: DualEncoder,
    tower: Side,
    english: Sequence[str] = (),
    dev: Dev | None = None,
    cache: VectorCache | None = None,
) -> LanguagePack:
    """A pack of a published head, measured on whatever is given for it.

    Args:
        checkpoint: The file.
        teacher: The dual encoder whose space the head leads to.
        tower: The multilingual text tower that it was fitted on.
        english: English texts that measure it.
        dev: Translations that measure it, and languages that it is said to know.
        cache: Keeps what the teacher gave.

    Raises:
        VectorError: Where the widths do not fit tower and teacher.
    """
    head = import_head(checkpoint)
    folded = head.fold()
    wanted = (tower.tower.dim, teacher.dim)
    if (folded.dim_in, folded.dim_out) != wanted:
        raise errors.VectorError(
            f"the head maps {folded.dim_in} to {folded.dim_out}; tower and model need "
            f"{wanted[0]} to {wanted[1]}",
            hint="name the tower and the model in the checkpoint's config.json",
        )
    # The released code feeds the sentence vectors as they come.
    pack = new_pack(
        "m2m (published)",
        Side(tower.tower, tower.reference, folded, "raw"),
        teacher=teacher,
        data={"kind": "published checkpoint", "file": checkpoint.name},
        num_trainable_parameters=linear.count_parameters(head),
    )
    dev = dev or Dev()
    pairs = [*dev.parallel, *(Pair(text, ENGLISH, text, ENGLISH) for text in english)]
    return scoring.with_scores(
        pack,
        [dev_sets.of_pairs(pairs)] if pairs else [],
        teacher=teacher,
        unmeasured=[*dev.known(), *declared_languages.languages_of(tower.tower, tower.reference)],
        cache=cache,
    )


def read_checkpoint(checkpoint: Path) -> Mapping[str, Tensor]:
    """The tensors of a published head's file; refuses all that is none."""
    if checkpoint.is_dir():
        raise errors.InputError(
            f"{checkpoint} is a folder; the file of a head is wanted",
            hint="name the checkpoint in it: a .pth or .safetensors",
        )
    if not checkpoint.is_file():
        raise errors.UnavailableError(f"no file {checkpoint}", hint="give the checkpoint itself")
    if checkpoint.suffix == ".safetensors":
        return tensor_files.read_torch(checkpoint)
    return tensor_files.read_pickled(checkpoint)
