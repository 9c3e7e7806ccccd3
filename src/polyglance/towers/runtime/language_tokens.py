"""Language tokens: how a tokenizer is told the language of each text, for all libraries.

NLLB's tokenizer puts a token of the language in front of the text; until it is told another one it
says English. It is told by `src_lang`: what is set by `set_src_lang_special_tokens`, as open_clip's
`set_language` does, transformers sets back when the next texts come.

NLLB-CLIP (Visheratin 2023) pools the encoder at position 0. Only the tokenizer's present layout,
language token first, makes that a language-aware summary; its legacy layout puts the token last and
would pool a piece of the first word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from polyglance import errors
from polyglance.languages.registry import DATASET_ALIASES
from polyglance.towers.runtime import batching

# NLLB's codes are FLORES-200's, which are ours, but for what its tokenizer calls otherwise.
_OWN_NAMES = {ours: theirs for theirs, ours in DATASET_ALIASES["nllb"].items()}
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


def reads_language(tokenizer: Any) -> bool:
    """Whether token ids of a tokenizer of transformers depend on the language it is told.

    NLLB's do, and those of other translation models (M2M-100, mBART), which all say so by the name
    of the language that they are set to.
    """
    return hasattr(tokenizer, "src_lang")


def language_codes(tokenizer: Any) -> dict[str, int]:
    """The languages that a tokenizer has tokens for, by our ids, and the ids of the tokens."""
    vocabulary = tokenizer.get_vocab()
    theirs = {name: index for name, index in vocabulary.items() if _CODE.fullmatch(name)}
    return theirs | {ours: theirs[name] for ours, name in _OWN_NAMES.items() if name in theirs}


def own_name(language: str, *, codes: Collection[str]) -> str:
    """What the tokenizer calls a language: Santali in Ol Chiki is `sat_Beng` there.

    >>> own_name("sat_Olck", codes=("deu_Latn", "sat_Beng"))
    'sat_Beng'
    """
    theirs = _OWN_NAMES.get(language, language)
    return theirs if theirs in codes else language


def by_language(rows_of: batching.TokenRowsOf, *, tokenizer: Any) -> batching.TokenRowsOf:
    """Tokenisation with the language set for each text; one list may mix languages.

    Args:
        rows_of: Tokenisation by `tokenizer` as it is set, whatever is done to texts before.
        tokenizer: Of NLLB, as transformers makes it.

    Raises:
        ConfigError: Where the tokenizer has no such languages, or puts their token elsewhere.
    """
    codes = language_codes(tokenizer)
    if not codes or not reads_language(tokenizer):
        raise errors.ConfigError(
            f"{type(tokenizer).__name__} knows no language token like deu_Latn; NLLB's tokenizer "
            "does",
            hint="name a checkpoint of NLLB-200",
        )

    def rows(texts: Sequence[str], languages: Sequence[str] | None) -> batching.TokenRows:
        by_language: dict[str, list[int]] = {}
        for row, language in enumerate(languages or ()):
            by_language.setdefault(language, []).append(row)
        unknown = sorted(set(by_language) - set(codes))
        if unknown:
            near = errors.nearest(unknown[0], codes)
            raise errors.TowerLacksLanguageError(
                f"NLLB has no language {', '.join(unknown[:5])}; it has {len(codes)}",
                hint=f"did you mean {' or '.join(near)}?" if near else "leave those rows out",
            )
        found: batching.TokenRows = [[]] * len(texts)
        for language, members in by_language.items():
            tokenizer.src_lang = own_name(language, codes=codes)
            encoded = rows_of([texts[row] for row in members], None)
            for row, ids in zip(members, encoded, strict=True):
                found[row] = ids
        return found

    language, code = next(iter(codes.items()))
    if rows(["a"], [language])[0][0] != code:
        raise errors.ConfigError(
            "this NLLB tokenizer puts the language token last (legacy_behaviour); position 0 must "
            "hold it",
            hint='set "legacy_behaviour": false in tokenizer_config.json of a copy of the folder',
        )
    return rows
