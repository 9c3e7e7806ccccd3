"""Encoding of texts into a store, once, resumed after any stop.

Legend: N rows, D width.

Rows are keyed by content, so what a store holds is never encoded again; they are appended as they
come, so what a killed run had appended is there, once. Texts for which the tower gives no usable
vector are set aside with the reason (`quarantine.jsonl` in the store's folder), and the rest goes
on. Torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polyglance import errors, progress
from polyglance.encoding.runs import (
    EmbedReport,
    bar_of,
    cache_wait_seconds,
    compact_if_scattered,
    facts_of,
    require_tower,
    set_aside,
)
from polyglance.languages import encoder_languages
from polyglance.records import Output, Quarantined
from polyglance.storage import digests, locations
from polyglance.storage.identity import MANIFEST_NAME
from polyglance.storage.store import Store
from polyglance.towers import Tower
from polyglance.vectors import Vectors, check_shape, unusable_rows

BLOCK_ROWS = 2048
# Of which towers and languages that was said.
_SAID: set[tuple[str, str]] = set()


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
    _say_undeclared(tower, languages)
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
    _require_languages(tower, languages)
    _say_undeclared(tower, languages)
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
        with store.writing(wait_seconds=cache_wait_seconds()):
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


def _width_of(tower: Tower, *, output: Output) -> int:
    """The width of an output; that in front of the projection is seen from one text."""
    if output == "embedding":
        return tower.dim
    languages = ["eng_Latn"] if tower.uses_language else None
    return int(tower.encode(["a"], languages=languages, output=output).shape[1])


def _require_languages(tower: Tower, languages: Sequence[str] | None) -> None:
    """Refuse texts whose language a tower must know and nobody gave."""
    if tower.uses_language and languages is None:
        raise errors.LanguageError(
            "the tower uses the language, and no languages were given; one a text is wanted",
            hint="give languages, or --language on the command line",
        )


def _say_undeclared(tower: Tower, languages: Sequence[str] | None) -> None:
    """Say, once a process, in which languages a tower is asked that it does not declare.

    It encodes them all the same: that it fails there may be what is to be measured.
    """
    if languages is None or not tower.languages:
        return
    for language in dict.fromkeys(languages):
        if (tower.fingerprint, language) not in _SAID and not encoder_languages.among(
            language, tower.languages
        ):
            _SAID.add((tower.fingerprint, language))
            progress.say(
                f"{language} is none of the languages that the text tower declares "
                f"({', '.join(errors.few(sorted(tower.languages)))}); its vectors there may mean "
                "nothing"
            )


def _text_keys(texts: Sequence[str], tower: Tower, *, languages: Sequence[str] | None) -> list[str]:
    """The content key of each text, checked."""
    _require_languages(tower, languages)
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
    with bar_of("texts", total=len(missing)) as advance:
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
    compact_if_scattered(store)
    return EmbedReport(
        new=len(missing) - len(aside), known=len(row_of) - len(missing), quarantined=tuple(aside)
    )
