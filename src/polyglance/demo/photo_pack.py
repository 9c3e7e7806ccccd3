"""The pack of the photos' demo: the user's own, the one that ships, or one trained on captions.

A trained one is `ridge` from English captions, by the function that `polyglance train` calls.
"""

from __future__ import annotations

from pathlib import Path

from polyglance import errors
from polyglance.demo import photo_set
from polyglance.demo.photo_set import PhotoSet
from polyglance.encoding.texts import VectorCache
from polyglance.model import shipped
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.recipes import run

TOWER = "packaged:multilingual-e5-small?runtime=onnx"


def shipped_pack(model: str) -> str | None:
    """Name of the pack of many languages that comes with a model; None where none does."""
    return next(iter(shipped.default_packs(model)), None)


def location(
    given: str | None, *, model: DualEncoder, photos: PhotoSet | None, out: Path, tower: str = TOWER
) -> str:
    """Where the pack is, or the name of one that ships; trained now where there is none.

    Args:
        given: Folder or hub id of the user's own; None for the demo's choice.
        model: That answers in English.
        photos: The captioned photos to learn from; None where the photos have no captions.
        out: Folder for a trained one; one of an earlier run, for this very model, is taken.
        tower: The multilingual text tower of a trained one.

    Raises:
        UnavailableError: None was given, none ships, and there is no text to train one.
    """
    if given is not None:
        return given
    found = shipped_pack(model.reference)
    if found is not None:
        return found
    if photos is None:
        raise errors.UnavailableError(
            f"no language pack comes with {model.reference}, and none can be trained on photos "
            "without captions",
            hint="name a pack: --pack PACK; polyglance train makes one, and so does this demo on "
            "captioned photos (images.tsv and captions.LANG.tsv beside them)",
        )
    if not _is_of(out, model):
        training_data, pairs = photo_set.training_data(photos.folder)
        pack = run.train(
            "ridge",
            training_data,
            teacher=model,
            tower=tower,
            cache=VectorCache(),
            dev=run.Dev(parallel=pairs),
        )
        pack.save(out)
    return str(out)


def _is_of(folder: Path, model: DualEncoder) -> bool:
    """Whether a pack of an earlier run is there, of this model's space."""
    if not (folder / PACK_FILE).is_file():
        return False
    return LanguagePack.load(folder).manifest.space_id == model.space_id
