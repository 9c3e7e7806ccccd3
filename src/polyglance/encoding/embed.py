"""Encoding of texts and items into a store, once, resumed after any stop.

Legend: N rows, D width.

Rows are keyed by content, so what a store holds is never encoded again; they are appended as they
come, so what a killed run had appended is there, once. Items that cannot be read, or for which the
tower gives no usable vector, are set aside with the reason (`quarantine.jsonl` in the store's
folder), and the rest goes on. Torch is not imported here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from polyglance import errors, progress
from polyglance.encoding import media
from polyglance.records import MediaFile, Output, Quarantined
from polyglance.sources.formats import FORMATS
from polyglance.storage import atomic, digests, locations
from polyglance.storage.identity import MANIFEST_NAME, StoreFacts
from polyglance.storage.store import Store
from polyglance.towers import Tower
from polyglance.vectors import Vectors, check_shape, unusable_rows

QUARANTINE_NAME = "quarantine.jsonl"
BLOCK_ROWS = 2048
# Fewer than this are done before a bar is read.
BAR_ROWS = 256
# Above this many pieces a table is compacted at the end; opening grows by about 0.1 ms a piece.
MAX_FRAGMENTS = 64
# How long a look-up waits for another process that fills the same cache.
CACHE_WAIT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class EmbedReport:
    """What one run did.

    Attributes:
        new: Rows that were added, or replaced since their content had changed.
        known: Distinct items whose row was there already.
        quarantined: What was set aside, and why.
    """

    new: int
    known: int
    quarantined: tuple[Quarantined, ...] = ()


class VectorCache:
    """A folder with a text store for each tower and output, made when it is first asked for.

    Args:
        folder: Where; None for the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = locations.cache_folder() / "texts" if folder is None else Path(folder)
        self._stores: dict[str, Store] = {}

    def store_of(self, tower: Tower, *, output: Output = "embedding") -> Store:
        """The store of one tower and output.

        Raises:
            StoreError: Its folder is damaged, or of another schema version.
        """
        parts = "\n".join((tower.space_id, tower.fingerprint, output))
        name = digests.of_parts([parts], num_bytes=12)
        if name not in self._stores:
            path = self.folder / name
            if (path / MANIFEST_NAME).exists():
                self._stores[name] = Store.open(path)
            else:
                facts = facts_of(tower, output=output, dim=_width_of(tower, output=output))
                self._stores[name] = Store.open_or_create(path, facts)
        return self._stores[name]


def facts_of(tower: Tower, *, output: Output = "embedding", dim: int | None = None) -> StoreFacts:
    """The facts of a store of this tower's vectors.

    Args:
        tower: Who encodes.
        output: What is asked of it.
        dim: Width D; None for `tower.dim`, which is right for `embedding` only.

    Raises:
        ConfigError: `pre_projection` without a width.
    """
    if dim is None and output != "embedding":
        raise errors.ConfigError(
            f"the width of {output} is not the tower's {tower.dim}", hint="give dim as well"
        )
    return StoreFacts(
        modality=tower.modality,
        dim=tower.dim if dim is None else dim,
        fingerprint=tower.fingerprint,
        space_id=tower.space_id,
        output=output,
    )


def open_media_store(
    path: Path, tower: Tower, *, extra_facts: Mapping[str, Any] | None = None
) -> Store:
    """Open the store of an item tower's embeddings, or make it; as `Store.open_or_create`."""
    return Store.open_or_create(
        path,
        facts_of(tower),
        extra_columns=media.media_columns(),
        extra_facts=extra_facts,
    )


def require_tower(store: Store, tower: Tower) -> None:
    """Refuse a store that another tower filled; its output is the store's own choice."""
    facts = facts_of(tower, dim=tower.dim)
    if store.facts.output != "embedding":
        facts = replace(facts, output=store.facts.output, dim=store.facts.dim)
    store.require(facts)


def text_key(text: str, *, language: str | None) -> str:
    """The content key of a text: its very bytes, with the language where the tower uses it.

    Args:
        text: Any text that UTF-8 can write.
        language: A language id; None where the tower does not use it.

    >>> text_key("a", language=None) == text_key("a", language="deu_Latn")
    False
    """
    # No language id holds a NUL, so that a pair and a text can never be taken for each other.
    head = "" if language is None else f"{language}\0"
    return digests.of_parts([head + text])


def embed_texts(
    texts: Sequence[str],
    tower: Tower,
    *,
    store: Store,
    languages: Sequence[str] | None = None,
    block_rows: int = BLOCK_ROWS,
) -> EmbedReport:
    """Encode the distinct texts that a store lacks, appending block by block.

    Args:
        texts: N texts, repeats allowed; the id of a row is its content key.
        tower: A text tower.
        store: Of this tower.
        languages: N language ids; required where the tower uses the language, else not looked at.
        block_rows: Rows encoded and appended at a time, 1 or more: what an interruption can cost.

    Returns:
        Counts of distinct texts; texts whose vector was unusable are set aside.

    Raises:
        LanguageError: The tower needs languages and got none.
        InputError: Another number of languages than texts, or text that is not valid Unicode.
        StoreError: The store is another tower's, or another process is writing it.
        DiskFullError: No room; what was appended stays.
    """
    require_tower(store, tower)
    keys = _text_keys(texts, tower, languages=languages)
    with store.writing():
        return _embed_missing(
            keys, texts, tower=tower, store=store, languages=languages, block_rows=block_rows
        )


def text_vectors(
    texts: Sequence[str],
    tower: Tower,
    *,
    store: Store | None = None,
    cache: VectorCache | None = None,
    languages: Sequence[str] | None = None,
    output: Output = "embedding",
) -> Vectors:
    """Vectors of texts in their order, each text encoded once, ever, where there is a store.

    Args:
        texts: N texts, repeats allowed.
        tower: A text tower.
        store: Keeps the vectors; without store and cache the tower just encodes.
        cache: Keeps them in its store of this tower; not together with `store`.
        languages: N language ids; required where the tower uses the language.
        output: What is asked of the tower; a `store` must be of the same.

    Returns:
        float32 (N, D), raw.

    Raises:
        VectorError: The tower gave a text no usable vector.
        ConfigError: Both `store` and `cache`, or a store of another output.
        LanguageError, InputError, StoreError, DiskFullError: As `embed_texts`.
    """
    if not tower.worth_storing:
        # Such a tower encodes faster than a store reads.
        cache = None
    if store is not None and cache is not None:
        raise errors.ConfigError("a store and a cache were given", hint="give one of the two")
    if (store is None and cache is None) or not len(texts):
        return tower.encode(texts, languages=languages, output=output)
    if store is None:
        assert cache is not None
        store = cache.store_of(tower, output=output)
    if store.facts.output != output:
        raise errors.ConfigError(
            f"{output} was asked of {store.path}, a store of {store.facts.output}",
            hint="give a store of that output, or a cache",
        )
    require_tower(store, tower)
    keys = _text_keys(texts, tower, languages=languages)
    if store.missing(keys):
        with store.writing(wait_seconds=CACHE_WAIT_SECONDS):
            report = _embed_missing(
                keys, texts, tower=tower, store=store, languages=languages, block_rows=BLOCK_ROWS
            )
        if report.quarantined:
            raise errors.VectorError(
                f"the tower gave {len(report.quarantined)} texts no usable vector, first: "
                f"{report.quarantined[0].reason}",
                hint="leave those texts out, or look at the tower",
            )
    return store.vectors(keys)  # (N, D)


def embed_media(
    items: Sequence[MediaFile],
    tower: Tower,
    *,
    store: Store,
    num_threads: int = 2,
    look: media.Look | None = None,
    wait_seconds: float = 0.0,
) -> EmbedReport:
    """Encode the items that a store lacks; reading and preprocessing run ahead in threads.

    A file whose path, size and time are those of its row is not even opened. One whose content is
    known under any id is not encoded again. An id whose content changed gets a new row in the place
    of the old; where the changed file cannot be read, the old row stays.

    Args:
        items: N files with distinct ids.
        tower: Of their modality; its `preprocess` runs in the threads.
        store: Of this tower, as `open_media_store` makes it.
        num_threads: How many read ahead, and how many batches are encoded at once, 1 or more.
        look: Is shown each file that is read, and fills further columns of the store.
        wait_seconds: How long to wait for another process that is writing the store.

    Returns:
        Counts of files; what could not be read is set aside, and the others go on.

    Raises:
        InputError: An id twice, or a file of another modality.
        StoreError: The store is another tower's, lacks a column, or is being written by another.
        DiskFullError: No room; what was appended stays.
    """
    require_tower(store, tower)
    noun = FORMATS[tower.modality].noun
    if other := next((item for item in items if item.modality != tower.modality), None):
        raise errors.InputError(
            f"{other.id} is of the modality {other.modality}; the tower reads {tower.modality}",
            hint="give files that the tower reads, or another tower",
        )
    if len({item.id for item in items}) != len(items):
        twice, count = Counter(item.id for item in items).most_common(1)[0]
        raise errors.InputError(
            f"the {noun} id {twice!r} was given {count} times; ids are unique",
            hint=f"give each {noun} once",
        )
    with store.writing(wait_seconds=wait_seconds):
        run = media.MediaRun(store, tower, num_threads=num_threads, look=look)
        changed = [item for item in items if not run.is_unchanged(item)]
        ahead = media.read_ahead(
            changed,
            preprocess=tower.preprocess,
            known_keys=run.known_keys,
            num_threads=num_threads,
            look=look,
        )
        with _bar(f"{noun}s", total=len(changed)) as advance, closing(run), closing(ahead):
            try:
                for read in ahead:
                    run.take(read)
                    advance(1)
                run.finish()
            except BaseException:
                # Ctrl-C as well: what was encoded is kept, unless the write itself was hit.
                run.keep_encoded()
                raise
        set_aside(store, run.quarantined, tried=[item.id for item in items])
        _compact_if_scattered(store)
    return EmbedReport(
        new=run.num_new,
        known=len(items) - run.num_new - len(run.quarantined),
        quarantined=tuple(run.quarantined),
    )


def read_quarantine(store: Store) -> list[Quarantined]:
    """What is set aside in a store's folder, as of the last run that tried it.

    A damaged line is passed over: the item that it names is tried again by the next run.
    """
    path = store.path / QUARANTINE_NAME
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            said = json.loads(line)
            found.append(Quarantined(id=str(said["id"]), reason=str(said["reason"])))
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
    return found


def set_aside(store: Store, found: Sequence[Quarantined], *, tried: Collection[str]) -> None:
    """Bring `quarantine.jsonl` up to date: an item that can be read now leaves it."""
    before = read_quarantine(store)
    gone = set(tried)
    after = [one for one in before if one.id not in gone] + list(found)
    if after != before:
        text = "".join(json.dumps(asdict(one), ensure_ascii=True) + "\n" for one in after)
        atomic.write_text(store.path / QUARANTINE_NAME, text)


def _compact_if_scattered(store: Store) -> None:
    if store.num_fragments > MAX_FRAGMENTS:
        store.compact()


@contextmanager
def _bar(label: str, *, total: int) -> Iterator[progress.Advance]:
    """A bar, where there is enough to do for one."""
    if total < BAR_ROWS:
        yield lambda count: None
        return
    with progress.bar(label, total=total) as advance:
        yield advance


def _width_of(tower: Tower, *, output: Output) -> int:
    """The width of an output; that in front of the projection is seen from one text."""
    if output == "embedding":
        return tower.dim
    languages = ["eng_Latn"] if tower.uses_language else None
    return int(tower.encode(["a"], languages=languages, output=output).shape[1])


def _text_keys(texts: Sequence[str], tower: Tower, *, languages: Sequence[str] | None) -> list[str]:
    """The content key of each text, checked."""
    if tower.uses_language and languages is None:
        raise errors.LanguageError(
            "the tower uses the language, and no languages were given; one a text is wanted",
            hint="give languages, or --language on the command line",
        )
    if languages is not None and len(languages) != len(texts):
        raise errors.InputError(
            f"{len(languages)} languages for {len(texts)} texts", hint="give one a text"
        )
    keys = []
    for row, text in enumerate(texts):
        language = languages[row] if languages is not None and tower.uses_language else None
        try:
            keys.append(text_key(text, language=language))
        except (UnicodeEncodeError, TypeError) as error:
            raise errors.InputError(
                f"text {row} is {text!r}; valid Unicode text is wanted", hint="mend or drop it"
            ) from error
    return keys


def _embed_missing(
    keys: Sequence[str],
    texts: Sequence[str],
    *,
    tower: Tower,
    store: Store,
    languages: Sequence[str] | None,
    block_rows: int,
) -> EmbedReport:
    """Encode and append what is missing; the caller is the store's writer."""
    row_of = {key: row for row, key in reversed(list(enumerate(keys)))}  # the first of its repeats
    missing = store.missing(keys)
    aside: list[Quarantined] = []
    with _bar("texts", total=len(missing)) as advance:
        for start in range(0, len(missing), block_rows):
            block = missing[start : start + block_rows]
            rows = [row_of[key] for key in block]
            vectors = tower.encode(
                [texts[row] for row in rows],
                languages=None if languages is None else [languages[row] for row in rows],
                output=store.facts.output,
            )  # (B, D)
            check_shape(vectors, dim=store.facts.dim, num_rows=len(block))
            bad = unusable_rows(vectors)
            aside += [
                Quarantined(block[b], f"{reason} for the text {texts[rows[b]][:80]!r}")
                for b, reason in bad.items()
            ]
            good = [b for b in range(len(block)) if b not in bad]
            names = [block[b] for b in good]
            store.append(names, names, vectors=vectors[good])
            advance(len(block))
    set_aside(store, aside, tried=missing)
    _compact_if_scattered(store)
    return EmbedReport(
        new=len(missing) - len(aside), known=len(row_of) - len(missing), quarantined=tuple(aside)
    )
