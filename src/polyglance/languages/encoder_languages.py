"""The languages of published text encoders, as their papers and cards list them.

A list says what an encoder supports, or what a model was distilled in: whoever names it knows
which. They stand in `encoder_languages.tsv` with their source; that of XLM-R follows from the
tokens it was pre-trained on (`groups.num_xlm_r_tokens`).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.languages import groups, registry

XLM_R = "XLM-R"
# What the lists write for a language that the table has in two forms.
IN_TWO_FORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"zh": ("zho_Hans", "zho_Hant"), "ku": ("kmr_Latn", "ckb_Arab")}
)
# Of LaBSE's list: a group of languages of which the table has none.
UNKNOWN = frozenset({"hmn"})


@cache
def encoder_languages() -> Mapping[str, frozenset[str]]:
    """Language ids by encoder.

    >>> sorted(encoder_languages()["AltCLIP-m9"])[:3]
    ['arb_Arab', 'eng_Latn', 'fra_Latn']
    """
    path = Path(__file__).with_suffix(".tsv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        found = {row["encoder"]: ids_of(set(row["codes"].split()) - UNKNOWN) for row in rows}
    covered = (row.id for row in registry.all_languages() if groups.num_xlm_r_tokens(row.id))
    return MappingProxyType({**found, XLM_R: frozenset(covered)})


def ids_of(codes: Iterable[str]) -> frozenset[str]:
    """The ids that codes mean, both where a code means two forms of a language.

    Raises:
        LanguageError: For an unknown code.
    """
    return frozenset(
        name
        for code in codes
        for name in IN_TWO_FORMS.get(code) or (registry.normalise_language(code),)
    )


def languages_in(given: str) -> frozenset[str]:
    """The ids that somebody names: an encoder of the table, or codes with commas between.

    Raises:
        LanguageError: For what is neither.

    >>> sorted(languages_in("de, fr")), len(languages_in("M-CLIP XLM-R"))
    (['deu_Latn', 'fra_Latn'], 48)
    """
    if given in encoder_languages():
        return encoder_languages()[given]
    codes = [code.strip() for code in given.split(",") if code.strip()]
    try:
        found = ids_of(codes)
    except errors.LanguageError as error:
        raise errors.LanguageError(
            f"{given!r} is no list of languages: {error.message}",
            hint=f"give codes, as de,fr; or one of: {', '.join(encoder_languages())}",
        ) from error
    if not found:
        raise errors.LanguageError(
            f"{given!r} names no language",
            hint=f"give codes, as de,fr; or one of: {', '.join(encoder_languages())}",
        )
    return found


def among(language: str, listed: Collection[str]) -> bool:
    """Whether a list has a language, or the one that it is a data set's variety of.

    >>> among("kmr_Latn_ku", {"kmr_Latn"})
    True
    """
    return language in listed or registry.get_language(language).base_id in listed
