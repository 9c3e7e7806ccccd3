"""Options of `train` and `compare` that name training data, and the reading of their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyglance.cli.left_out import name_some

if TYPE_CHECKING:
    from polyglance.encoding.texts import VectorCache
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.model.side import Side
    from polyglance.recipes import Recipe
    from polyglance.recipes.data.training_data import TrainingData
    from polyglance.recipes.run import Dev
    from polyglance.records import MediaFile, Pair, Quarantined
    from polyglance.tasks.leakage import Screened
    from polyglance.tasks.rows import TaskData as TaskTexts
    from polyglance.vectors import Vectors

Text = Annotated[
    Path | None, typer.Option("--text", help="English text, one a line (those of English text).")
]
Parallel = Annotated[
    Path | None,
    typer.Option(
        "--parallel",
        help="Parallel text: a table with the columns english, language, text "
        "(distill, babel-adapter, etcl).",
    ),
]
Translations = Annotated[
    Path | None,
    typer.Option(
        "--translations",
        help="Texts in any two languages: a table with the columns language, text, "
        "other_language, other_text (etcl).",
    ),
]
Captions = Annotated[
    Path | None,
    typer.Option(
        "--captions",
        help="Captions: a table with the columns image, language, text (nllb-clip, etcl, and "
        "babel-adapter with --set objective=lit).",
    ),
]
Bank = Annotated[
    Path | None,
    typer.Option(
        "--bank",
        help="Texts that nobody paired: a table with language, text, or a folder of LANGUAGE.txt "
        "(uclip; with those of English text, where each language lies).",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", help="An index of the model, or a folder of images."),
]
TowerOption = Annotated[
    str | None,
    typer.Option(
        "--tower",
        "-t",
        help="Multilingual text tower: packaged:multilingual-e5-small, sentence:NAME, hf:NAME.",
    ),
]
DevParallel = Annotated[
    Path | None,
    typer.Option(
        "--dev-parallel",
        help="Translations that only measure the pack: a table with english, language, text.",
    ),
]
KnownLanguages = Annotated[
    list[str] | None,
    typer.Option(
        "--languages", help="What the tower knows, as de,fr,hi; listed where nothing measures it."
    ),
]
TestTasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        help="A task whose texts and images must not be learnt from; `every` for all in --data.",
    ),
]
TaskData = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the task's text files, or of such folders."),
]
TaskImages = Annotated[
    Path | None, typer.Option("--task-images", help="Folder of the task's images.")
]
LeakagePolicy = Annotated[
    str,
    typer.Option(
        "--leakage",
        help="Training data that is in a task as well: refuse, leave-out, or allow (and say so).",
    ),
]


# What each option of training data gives, as fields of `TrainingData`.
GIVES = {
    "text": ("english",),
    "parallel": ("parallel",),
    "translations": ("translations",),
    "captions": ("image_text",),
    "bank": ("banks", "unpaired"),
    "images": ("image_text", "banks", "files"),
}
# In the place of a task's name: all that are there.
EVERY_TASK = "every"


@dataclass(frozen=True, kw_only=True)
class MaterialFiles:
    """What the user gave; None where nothing was."""

    text: Path | None = None
    parallel: Path | None = None
    translations: Path | None = None
    captions: Path | None = None
    bank: Path | None = None
    images: Path | None = None

    def tell_not_learnt_from(self, row: Recipe, config: Any) -> None:
        """Name on the error stream the options from which the recipe, so set, does not learn."""
        taken = row.learns_from(config)
        idle = [
            f"--{name}"
            for name, fields in GIVES.items()
            if getattr(self, name) is not None and taken.isdisjoint(fields)
        ]
        if idle:
            typer.echo(f"{row.name} does not learn from {', '.join(idle)}", err=True)
            if self.parallel is not None and "--parallel" in idle:
                typer.echo(
                    "  what is held out of --parallel measures it; --dev-parallel takes all of it",
                    err=True,
                )

    def read(self, teacher: DualEncoder) -> Given:
        """Read all that was given; images are encoded, or taken from their index.

        Rows and images that cannot be used are left out and told on the error stream.

        Args:
            teacher: The model whose space images are encoded into.

        Raises:
            ConfigError: For captions without images.
            InputError: For a file of which nothing can be used.
        """
        import numpy as np

        from polyglance import errors
        from polyglance.recipes.data import image_text, pseudo_pairs
        from polyglance.recipes.data.training_data import TrainingData
        from polyglance.sources import captions

        has_ids = teacher.content.tower.ids is not None
        if self.images is not None and has_ids and not is_index(self.images):
            typer.echo(
                f"--images {self.images} is not read: {teacher.reference} has vectors of its own",
                err=True,
            )
        if self.images is None and self.captions and not has_ids:
            raise errors.ConfigError(
                f"{self.captions} is learnt from together with images",
                hint="say where they are: --images INDEX, or a folder of images",
            )
        aside: list[Quarantined] = []
        items = Items(ids=[], vectors=np.empty((0, teacher.dim), np.float32), keys=[])
        if self.images or self.captions or (self.bank and has_ids):
            items = content_vectors(self.images, teacher, set_aside=aside.append)
        joined = banks = None
        texts: list[tuple[str, str]] = []
        if self.captions is not None:
            rows = captions.read_caption_rows(self.captions, set_aside=aside.append)
            joined = image_text.join(
                rows, item_ids=items.ids, contents=items.vectors, content_keys=items.keys
            )
        if self.bank is not None:
            texts = captions.read_texts_by_language(self.bank, set_aside=aside.append)
            if len(items.vectors):
                banks = pseudo_pairs.Banks(
                    items.vectors, [t for _, t in texts], [name for name, _ in texts], items.keys
                )
        known = {file.id: file for file in items.files}
        training_data = TrainingData(
            english=() if self.text is None else captions.read_lines(self.text),
            parallel=_parallel(self.parallel, set_aside=aside.append),
            translations=()
            if self.translations is None
            else captions.read_translations(self.translations, set_aside=aside.append),
            image_text=joined,
            banks=banks,
            unpaired=texts,
            files={}
            if joined is None
            else {each: known[each] for each in joined.item_ids if each in known},
        )
        tell_set_aside(aside)
        return Given(training_data=training_data, items=items)


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """Encoded images.

    Attributes:
        ids: N of them.
        vectors: Float32 (N, D), unit.
        keys: What tells an image from any other: the hash of its bytes; of vectors that were
            computed elsewhere the id.
        files: Where they lie, of those that are files.
    """

    ids: list[str]
    vectors: Vectors
    keys: list[str]
    files: Sequence[MediaFile] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What was read.

    Attributes:
        training_data: To learn from.
        items: The images of it.
    """

    training_data: TrainingData
    items: Items

    def screened(
        self,
        tests: Sequence[TaskTexts],
        *,
        images: Path | None,
        teacher: DualEncoder,
        policy: str,
    ) -> Screened:
        """The training data, screened for what is in tasks as well; see `tasks.leakage`.

        Args:
            tests: The tasks, with their texts.
            images: Folder of their images.
            teacher: The model; one of precomputed vectors knows images by id.
            policy: `refuse`, `leave-out` or `allow`.
        """
        from polyglance.tasks import leakage

        tower = teacher.content.tower
        return leakage.screen(
            self.training_data,
            [
                leakage.of_task(
                    test, items=images, modality=tower.modality, by_id=tower.ids is not None
                )
                for test in tests
            ],
            policy=policy,  # type: ignore[arg-type]  # checked there
            item_keys=dict(zip(self.items.ids, self.items.keys, strict=True)),
            bank_ids=self.items.ids,
        )


def tell_set_aside(aside: Sequence[Quarantined]) -> None:
    """Say on the error stream what is not learnt from, and why; of several processes the first."""
    from polyglance.storage import launched

    if not launched.rank():
        name_some("set aside", [f"{one.id}: {one.reason}" for one in aside], err=True)


def _parallel(path: Path | None, *, set_aside: Callable[[Quarantined], None]) -> Sequence[Pair]:
    """Parallel text from a table, if there is one."""
    from polyglance.sources import captions

    return () if path is None else captions.read_parallel_table(path, set_aside=set_aside)


def is_index(folder: Path) -> bool:
    """Whether a folder is an index, and no folder of images."""
    from polyglance.storage.identity import MANIFEST_NAME

    return (folder / MANIFEST_NAME).is_file()


def content_vectors(
    images: Path | None,
    teacher: DualEncoder,
    *,
    set_aside: Callable[[Quarantined], None],
) -> Items:
    """Ids, unit vectors and keys of an index, or of a folder's images, encoded once, ever.

    Args:
        images: The index or folder; None where the model's own vectors are all that there is.
        teacher: The model that encodes.
        set_aside: Told of each image that cannot be read.

    Raises:
        SpaceMismatchError: For an index of another model.
    """
    from polyglance import errors
    from polyglance.encoding.cache import MediaCache
    from polyglance.search import metadata as index
    from polyglance.sources.walking import find_media
    from polyglance.storage.store import Store

    if images is not None and is_index(images):
        store = Store.open(images)
        if store.facts.space_id != teacher.space_id:
            raise errors.SpaceMismatchError(
                f"the index {images} is of another space than the model {teacher.reference}",
                hint="give an index that was made with this model",
            )
        files = index.files_of(store)
        return Items(ids=store.ids(), vectors=store.vectors(), keys=store.keys(), files=files)
    tower = teacher.content.tower
    if tower.ids is not None:
        # Vectors computed elsewhere: what was encoded is all that there is.
        ids = list(tower.ids)
        return Items(ids=ids, vectors=teacher.encode_items(ids), keys=ids)
    assert images is not None
    files = find_media(images, tower.modality)
    found = MediaCache().encode(files, tower)
    for one in found.quarantined:
        set_aside(one)
    vectors = teacher.items_from_raw(found.vectors)
    return Items(ids=found.ids, vectors=vectors, keys=found.keys, files=files)


def dev_of(
    parallel: Path | None, languages: list[str] | None, *, share: float | None = None
) -> Dev:
    """How the pack is measured, from the options that say so.

    Args:
        parallel: Table of translations that only measure.
        languages: Codes, several in one word perhaps.
        share: Of the data that is held out; None for the usual one.
    """
    from polyglance.languages.registry import normalise_language
    from polyglance.recipes.data import held_out
    from polyglance.recipes.run import Dev

    if share is not None:
        held_out.require_share(share)
    codes = [code.strip() for part in languages or [] for code in part.split(",") if code.strip()]
    known = [normalise_language(code) for code in codes]
    aside: list[Quarantined] = []
    pairs = _parallel(parallel, set_aside=aside.append)
    tell_set_aside(aside)
    return Dev(share=held_out.SHARE if share is None else share, parallel=pairs, languages=known)


def load_tasks(names: list[str] | None, folder: Path | None) -> list[TaskTexts]:
    """Tasks with their texts, from the publishers' files or a folder of such folders."""
    from polyglance.tasks import get_task, load_task

    for name in names or []:
        if name != EVERY_TASK:
            get_task(name)
    if EVERY_TASK in (names or []):
        return _every_task(folder)
    return [load_task(name, folder) for name in names or []]


def _every_task(folder: Path | None) -> list[TaskTexts]:
    """All tasks of a folder of folders; those that cannot be read are told on the error stream."""
    from polyglance import errors
    from polyglance.records import Quarantined
    from polyglance.tasks import TASKS, folder_of, load_task

    found: list[TaskTexts] = []
    aside: list[Quarantined] = []
    for name in TASKS:
        if folder_of(name, folder) is not None:
            try:
                found.append(load_task(name, folder))
            except errors.PolyglanceError as error:
                aside.append(Quarantined(f"task {name}", error.message))
    tell_set_aside(aside)
    if not found:
        raise errors.InputError(
            f"--task {EVERY_TASK}: {folder or 'no --data'} has no folder of a task",
            hint="give a folder that holds folders called as the tasks: polyglance eval --list",
        )
    return found


def text_side(tower: str | None) -> Side | None:
    """The multilingual text tower that was named, if one was."""
    from polyglance.model.side import Side
    from polyglance.towers import load_tower

    return None if tower is None else Side(load_tower(tower, modality="text"), tower)


def text_cache() -> VectorCache:
    """Where text vectors are kept for this user."""
    from polyglance.encoding.texts import VectorCache

    return VectorCache()
