"""The demo on photos: a folder of somebody's pictures, or captioned photos as Flickr8k has them.

The model that comes along indexes the photos, and a language pack answers ten queries in ten
scripts. Where people said in several languages what the photos show, every language is measured;
where not, the page shows what the pack's card says of other photos.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from polyglance import errors, evaluation
from polyglance.demo import output, photo_output, photo_pack, photo_queries, photo_set
from polyglance.demo.photo_set import PhotoSet
from polyglance.demo.stages import Stages
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.identity import keys_id
from polyglance.evaluation.run import contents_by_language, model_id, supported_languages
from polyglance.model import shipped
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.results.schema import Result
from polyglance.search import indexing
from polyglance.search.index import Index
from polyglance.search.searcher import Searcher


def run(
    folder: Path,
    out: Path,
    *,
    pack: str | None = None,
    model: str = shipped.DEFAULT,
    tower: str = photo_pack.TOWER,
) -> dict[str, Any]:
    """Run every stage; what `out` holds already is taken up, not done again.

    Args:
        folder: Photos, in subfolders too; or a captioned set, see `photo_set`.
        out: Folder of the results: `index/`, `report.html`, `summary.json`; of a captioned set also
            `results.jsonl` and `results.csv`, and `pack/` where a pack is trained.
        pack: Folder or hub id of a language pack; None for the one that comes along, or that is
            trained on captions.
        model: Reference of the dual encoder.
        tower: Multilingual text tower of a pack that is trained.

    Returns:
        What `summary.json` holds.

    Raises:
        OutputError: `out` is inside of the photos, or a demo on something else.
        InputError: There is no photo, or a file of captions cannot be read.
        MissingExtraError: What the model, the pack or the page's charts need is not installed.
        SpaceMismatchError: The pack is of another model.
        UnavailableError: There is no pack, nor captions to train one.
    """
    if not folder.is_dir():
        raise errors.InputError(
            f"{folder} is not a folder; a folder of photos is wanted", hint="check the path"
        )
    _require_outside(out, folder)
    photos = photo_set.load(folder) if photo_set.is_captioned(folder) else None
    if photos is not None:
        photo_output.require_charts()
    stages = Stages()
    output.begin(out, world=f"photos of {os.path.realpath(folder)}")
    # First, since the photos may be many: a pack that cannot answer is found before they are read.
    with stages("take the language pack"):
        english = DualEncoder.load(model)
        where = photo_pack.location(
            pack, model=english, photos=photos, out=out / "pack", tower=tower
        )
        loaded = LanguagePack.load(where)
        english.with_pack(loaded)
    with stages("index photos"):
        report = indexing.build(
            folder if photos is None else photos.photos,
            model=model,
            out=out / "index",
            exclude=() if photos is None else photos.exclude,
        )
        report.require_rows(folder)
        searcher = Searcher(out / "index", packs=[loaded])
    rows: list[Result] = []
    if photos is not None:
        with stages("measure every language"):
            rows = measure(english, loaded, photos=photos, index=out / "index", out=out)
    with stages("answer ten queries"):
        answers = photo_queries.ask(
            searcher, called={} if photos is None else photos.english_captions
        )
    shown = photo_output.Shown(
        folder=folder,
        model=model,
        pack=loaded,
        pack_location=where,
        num_photos=report.num_rows,
        answers=answers,
        rows=rows,
    )
    with stages("write the report"):
        photo_output.write_page(shown, stages=stages, out=out)
    summary = photo_output.summarise(shown)
    output.write_summary(summary, seconds=stages.seconds, out=out)
    photo_output.show(shown, out=out)
    return summary


def measure(
    model: DualEncoder, pack: LanguagePack, *, photos: PhotoSet, index: Path, out: Path
) -> list[Result]:
    """The model alone and with the pack, in every language that captions are written in.

    The photos are those of the index, whose vectors are there; the results are those that
    `polyglance eval --captions first` gives.

    Args:
        model: The English one.
        pack: Its pack.
        photos: The captioned set.
        index: Of its test photos.
        out: Folder of `results.jsonl`, which is read first and added to.
    """
    store = Index(index).store
    data = photos.test.only(store.ids(), reason="items_missing")
    vectors = store.vectors(data.item_ids)
    rows: list[Result] = []
    for encoder, name in ((model, ""), (model.with_pack(pack), pack.manifest.recipe)):
        rows += evaluation.evaluate(
            encoder,
            data,
            contents=contents_by_language(encoder, data, vectors, images=None),
            contents_id=keys_id(store.keys(data.item_ids)),
            name=model.reference,
            pack=name,
            model_id=model_id(encoder),
            out=out / "results.jsonl",
            cache=VectorCache(),
            supported=supported_languages(model.reference, encoder.text, encoder.pack),
        )
    return rows


def _require_outside(out: Path, folder: Path) -> None:
    """Refuse to write among the photos.

    Raises:
        OutputError: `out` is inside of their folder.
    """
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(folder)):
        raise errors.OutputError(
            f"{out} is inside of the photos' folder {folder}; nothing was written",
            hint="name a folder elsewhere: --out FOLDER",
        )
