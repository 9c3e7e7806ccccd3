"""The registry of languages: one table with the codes of every data set, and its look-up.

An id is `iso639-3_Script` (`deu_Latn`), equal to FLORES-200 wherever FLORES has the language.
Three ids carry what sets them apart behind that, and one the publisher's own key, because
Babel-ImageNet keeps them beside the plain language and results must not fall together:
`eng_Latn_simple`, `bel_Cyrl_tarask`, `nds_Latn_NL`, `kmr_Latn_ku`; `Language.base_id` is the
plain form, which is what a tower is told.

The rows stand in `languages.tsv`, made by `tools/make_languages.py` from langcodes and
language_data; its last column holds the tags that find a row, the BCP-47 one first. What a data
set calls differently from everybody else stands in `DATASET_ALIASES` below, and counts only
where that data set is named. langcodes is imported for what none of these hold.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from polyglance import errors

if TYPE_CHECKING:
    import langcodes

Direction = Literal["ltr", "rtl"]

ENGLISH = "eng_Latn"

# Unicode's scripts whose letters run from right to left (bidirectional class R or AL).
# Mong and others written in columns count as ltr, as web browsers lay them out in a line.
RTL_SCRIPTS = frozenset(
    """
    Adlm Arab Aran Armi Avst Chrs Cprt Elym Gara Hatr Hebr Hung Khar Lydi Mand Mani Mend Merc Mero
    Narb Nbat Nkoo Orkh Ougr Palm Phli Phlp Phlv Phnx Prti Rohg Samr Sarb Sidt Sogd Sogo Syrc Syre
    Syrj Syrn Thaa Todr Yezi
    """.split()  # noqa: SIM905 (45 lines otherwise)
)

_HAN_CODES = ("zh", "zho", "chi", "cmn")
_HAN = ("zho_Hans", "zho_Hant")
_KURDISH = ("kmr_Latn", "ckb_Arab")

# What is refused without a script or a data set: either answer would be wrong half of the time.
# All other macrolanguages stand on their clear member (`ar`: arb_Arab), `sr` on srp_Cyrl.
AMBIGUOUS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys((*_HAN_CODES, "chinese", "mandarin", "中文"), _HAN),
        **dict.fromkeys(("ku", "kur", "kurdish", "kurdî"), _KURDISH),
    }
)

# Regions that imply another script than the bare language has; any other region is dropped.
SCRIPT_BY_REGION: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        **{(code, region): "hans" for code in _HAN_CODES for region in ("cn", "sg", "my")},
        **{(code, region): "hant" for code in _HAN_CODES for region in ("tw", "hk", "mo")},
        ("yue", "cn"): "hans",
        ("az", "ir"): "arab",
        ("kk", "cn"): "arab",
        ("ku", "iq"): "arab",
        ("ku", "ir"): "arab",
        ("ku", "tr"): "latn",
        ("mn", "cn"): "mong",
        ("pa", "pk"): "arab",
        ("sr", "me"): "latn",
        ("uz", "af"): "arab",
    }
)

# What a data set's code means there and nowhere else, written as its publisher writes it.
DATASET_ALIASES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "flores": {},
        "nllb": {"sat_Beng": "sat_Olck"},  # the tokenizer's name for text that is in Ol Chiki
        # The last is how the English file of Flickr30k-200, of XTD's form, is called.
        "xtd": {"jp": "jpn_Jpan", "zh": "zho_Hans", "eng_captions": "eng_Latn"},
        "xflickrco": {"zh": "zho_Hans"},
        "wit": {"zh": "zho_Hans", "lah": "pnb_Arab"},  # Wikipedia's codes
        "xm3600": {"zh": "zho_Hans"},
        "multi30k": {},
        "flickr8k": {"zh": "zho_Hans"},
        "sts17": {},
        "audiocaps": {},
        "clip-benchmark": {"cn": "zho_Hans", "jp": "jpn_Jpan", "zh": "zho_Hans"},
        "imagenet": {"cn": "zho_Hans", "jp": "jpn_Jpan"},
        "babel-imagenet": {
            "ALS": "gsw_Latn",  # Alemannic; Tosk Albanian everywhere else
            "BAT_SMG": "sgs_Latn",
            "BE_X_OLD": "bel_Cyrl_tarask",
            "FIU_VRO": "vro_Latn",
            "GMQ_BOT": "gmq_Latn",
            "KU": "kmr_Latn_ku",  # Kurmanji, beside KMR with other labels (4 of 34 the same)
            "NDS_NL": "nds_Latn_NL",
            "NRM": "nrf_Latn",  # Norman; `nrm` is Narom in ISO 639-3
            "ROA_RUP": "rup_Latn",
            "SIMPLE": "eng_Latn_simple",
            "ZH": "zho_Hans",
            "ZH_CLASSICAL": "lzh_Hant",
            "ZH_YUE": "yue_Hant",
        },
        "tatoeba": {
            "cmn": "zho_Hans",
            "kur": "kmr_Latn",  # 97 % of the letters are Latin
            "srp": "srp_Latn",  # 71 % of the letters are Latin
        },
        "omw": {"cmn": "zho_Hans", "qcn": "zho_Hant"},
        "cldr": {"zh": "zho_Hans", "ku": "kmr_Latn"},
    }
)
DATASETS: tuple[str, ...] = tuple(DATASET_ALIASES)

# Of a list that somebody sends, so many are read.
MOST_LOCALES = 16

# language[-script][-region]; whatever has more goes to langcodes. BCP-47's extended form
# (`zh-yue`) is the inner language, under these prefixes only: `eng-deu` is a pair, not German.
_TAG = re.compile(
    r"((ar|kok|lv|ms|sw|uz|zh)-(?=[a-z]{3}\b))?(?P<language>[a-z]{2,3})"
    r"(-(?P<script>[a-z]{4}))?(-(?P<region>[a-z]{2}|\d{3}))?"
)


@dataclass(frozen=True, slots=True)
class Language:
    """A row of the table.

    Attributes:
        id: `iso639-3_Script`, as in FLORES-200 where it has the language.
        english_name: Its name in English.
        own_name: Its name in itself; empty where language_data does not know it.
        iso639_1: The two letters it is known by, its macrolanguage's included; None without.
        iso639_3: The first part of the id. `gmq`, `nah`, `ber` and `bih` are groups of
            ISO 639-5, because what a data set has under them has no code of ISO 639-3.
        script: ISO 15924, the second part of the id.
        direction: Which way the script runs.
        in_flores: Whether it is one of the 204 of FLORES-200.
    """

    id: str
    english_name: str
    own_name: str
    iso639_1: str | None
    iso639_3: str
    script: str
    direction: Direction
    in_flores: bool

    @property
    def bcp47(self) -> str:
        """The shortest BCP-47 tag that `normalise_language` turns into this row (`zh-Hant`)."""
        return _table().bcp47_by_id[self.id]

    @property
    def base_id(self) -> str:
        """The id without what sets a data set's variety apart: `eng_Latn` of `eng_Latn_simple`."""
        return f"{self.iso639_3}_{self.script}"


@dataclass(frozen=True, slots=True)
class _Table:
    """The file in memory, and what it is asked by; keys are case-folded, with `-`."""

    languages: Mapping[str, Language]
    bcp47_by_id: Mapping[str, str]
    id_by_tag: Mapping[str, str]
    id_by_name: Mapping[str, str]


def normalise_language(code: str, *, dataset: str | None = None) -> str:
    """The id of the language that a code or a name means.

    Args:
        code: An id in any case, a BCP-47 tag, a code of ISO 639-1, -2 or -3, an English name or
            an own name. Regions are dropped unless they imply a script (`zh-TW`).
        dataset: The data set that `code` comes from, one of `DATASETS`; its own codes then go
            before the general ones.

    Returns:
        An id of the table.

    Raises:
        LanguageError: For what is unknown, with the nearest, or ambiguous, with the candidates.
        UnknownNameError: For a data set without a table of codes.

    >>> normalise_language("pt_BR"), normalise_language("Deutsch"), normalise_language("zh-TW")
    ('por_Latn', 'deu_Latn', 'zho_Hant')
    >>> normalise_language("als"), normalise_language("ALS", dataset="babel-imagenet")
    ('als_Latn', 'gsw_Latn')
    """
    key = _fold(code)
    if dataset is not None:
        if dataset not in DATASET_ALIASES:
            raise errors.unknown_name("data set with codes of its own", dataset, allowed=DATASETS)
        for alias, language_id in DATASET_ALIASES[dataset].items():
            if key == _fold(alias):
                return language_id
    found = _find(key) or _find_by_langcodes(key)
    if found is None:
        raise _unknown(code)
    if len(found) > 1:
        raise _ambiguous(code, candidates=found)
    return found[0]


def get_language(code: str) -> Language:
    """The row that a code or a name means; see `normalise_language`.

    >>> get_language("zh-Hant").bcp47
    'zh-Hant'
    """
    return _table().languages[normalise_language(code)]


def is_id(given: str) -> bool:
    """Whether it is the id of a row itself, and not another name of it.

    >>> is_id("deu_Latn"), is_id("de")
    (True, False)
    """
    return given in _table().languages


def of_locales(listed: str) -> tuple[str, ...]:
    """The languages of a list of locales, as browsers send it and as systems note it.

    Args:
        listed: Such as `de-AT,en;q=0.8` or `pt_BR.UTF-8:en`. What is no language is passed over,
            and what may be several gives them all.

    >>> of_locales("de-AT,en;q=0.8,*"), of_locales("sr_RS.UTF-8@latin"), of_locales("C.UTF-8")
    (('deu_Latn', 'eng_Latn'), ('srp_Latn',), ())
    """
    found: dict[str, None] = {}
    for one in re.split(r"[,:]", listed)[:MOST_LOCALES]:
        tag = re.match(r"\s*([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]+)*)(?=[\s.;@]|$)", one)
        if tag is None or re.search(r";\s*q=0(\.0*)?\s*$", one):
            continue
        script = "-latn" if one.casefold().endswith("@latin") else ""
        # `zh-Hant-TW`: a region behind a script says no more.
        key = "-".join(_fold(tag[1]).split("-")[:2])
        ids = _find(key.split("-")[0] + script) if script else _find(key)
        found.update(dict.fromkeys(ids or _find(key.split("-")[0]) or ()))
    return tuple(found)


def of_environment(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The languages that a system is set to, as its environment says; none where it is set to none.

    >>> of_environment({"LANG": "ja_JP.UTF-8"}), of_environment({"LANG": "de_DE", "LC_ALL": "C"})
    (('jpn_Jpan',), ())
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "")
    return of_locales(f"{locale}:{environ.get('LANGUAGE', '')}") if of_locales(locale) else ()


def all_languages() -> tuple[Language, ...]:
    """Every row, in the order of the ids."""
    return tuple(_table().languages.values())


def direction(code: str) -> Direction:
    """Which way a language is written.

    >>> direction("ar"), direction("de")
    ('rtl', 'ltr')
    """
    return get_language(code).direction


def _fold(code: str) -> str:
    """Codes and names in the one form in which they are compared."""
    composed = unicodedata.normalize("NFC", code.casefold())
    return " ".join(composed.replace("_", "-").split())


def _find(key: str) -> tuple[str, ...] | None:
    """The ids that a folded code or name means by the tables here: none, one, or several."""
    table = _table()
    if key in AMBIGUOUS:
        return AMBIGUOUS[key]
    exact = table.id_by_tag.get(key) or table.id_by_name.get(key)
    if exact is not None:
        return (exact,)
    tag = _TAG.fullmatch(key)
    if tag is None:
        return None
    language, region = tag["language"], tag["region"] or ""
    script = tag["script"] or SCRIPT_BY_REGION.get((language, region))
    if script is None and language in AMBIGUOUS:
        return AMBIGUOUS[language]
    found = table.id_by_tag.get(f"{language}-{script}" if script else language)
    return None if found is None else (found,)


def _find_by_langcodes(key: str) -> tuple[str, ...] | None:
    """What langcodes makes of a code or name, looked up again: old codes, names in any language."""
    import langcodes  # 0.05 s, and a name 0.02 s more; so only here
    from language_data.names import code_to_names

    try:
        language = langcodes.Language.get(key)
    except ValueError:
        near = _language_of_name(key)
        # `langcodes.find` answers "Serbian foo" with Serbian: it looks at beginnings.
        if near is None or key not in map(_fold, code_to_names(str(near)).values()):
            return None
        language = near
    if language.extlangs or not language.is_valid():
        return None
    return _find(_tag_of(language))


def _language_of_name(key: str) -> langcodes.Language | None:
    """What langcodes finds under a name, or under the beginning of it."""
    import langcodes

    if not key.isprintable():  # langcodes 3.5 fails on control characters and half surrogates
        return None
    try:
        return langcodes.find(key)
    except LookupError:
        return None


def _tag_of(language: langcodes.Language) -> str:
    """Language, script and region of a tag, folded; variants are left out."""
    parts = (language.language, language.script, language.territory)
    return _fold("-".join(part for part in parts if part))


def _unknown(code: str) -> errors.LanguageError:
    """The error for what no table holds, with the nearest rows."""
    table = _table()
    key = _fold(code)
    ids = _of_tag(key) or [*_of_country(key), *_of_name(key), *_nearest(key)]
    ids = list(dict.fromkeys(ids))[:3]
    close = " or ".join(f"{id_} ({table.languages[id_].english_name})" for id_ in ids)
    return errors.LanguageError(
        f"unknown language {code!r}; allowed are ids such as 'deu_Latn', BCP-47, ISO 639, "
        f"English and own names of {len(table.languages)} languages",
        hint=f"did you mean {close}?" if close else "use a code such as 'de' or 'deu_Latn'",
    )


def _ambiguous(code: str, *, candidates: tuple[str, ...]) -> errors.LanguageError:
    """The error for what may be several rows, with an example that is not."""
    languages = [_table().languages[id_] for id_ in candidates]
    listed = " or ".join(f"{language.id} ({language.english_name})" for language in languages)
    return errors.LanguageError(
        f"ambiguous language {code!r}; it may be {listed}",
        hint=f"write one of them, for example {candidates[0]!r} or {languages[0].bcp47!r}",
    )


def _of_tag(key: str) -> list[str]:
    """The rows of a language whose script is wrong or not there: `deu-latm` is near `deu_Latn`."""
    table = _table()
    first = table.id_by_tag.get(key.split("-")[0])
    return [id_ for id_ in table.languages if first is not None and id_[:3] == first[:3]]


def _of_country(key: str) -> list[str]:
    """The main language of a country, whose code is often written in its place (`jp`, `cz`)."""
    import langcodes

    if not re.fullmatch("[a-z]{2}", key):
        return []
    country = langcodes.Language.make(territory=key.upper())
    main = country.maximize().language if country.is_valid() else None
    return list(_find(main) or ()) if main is not None else []


def _of_name(key: str) -> list[str]:
    """The rows of a name that goes on: `serbian (in latin letters)`."""
    near = _language_of_name(key)
    return [] if near is None else list(_find(_tag_of(near)) or ())


def _nearest(key: str) -> list[str]:
    """The rows whose id or name is spelled most like it; for two or three letters, whose code."""
    table = _table()
    by_spelling = {**table.id_by_name, **{_fold(id_): id_ for id_ in table.languages}}
    if len(key) <= 3:
        by_spelling = {tag: id_ for tag, id_ in table.id_by_tag.items() if len(tag) <= 3}
    return [by_spelling[near] for near in errors.nearest(key, by_spelling)]


@cache
def _table() -> _Table:
    """Read the file, once and when first asked."""
    languages: dict[str, Language] = {}
    bcp47_by_id: dict[str, str] = {}
    id_by_tag: dict[str, str] = {}
    id_by_name: dict[str, str] = {}
    for row in _rows():
        language_id, tags = row["id"], row["tags"].split()
        iso639_3, script = language_id.split("_")[:2]
        languages[language_id] = Language(
            id=language_id,
            english_name=row["english_name"],
            own_name=row["own_name"],
            iso639_1=row["iso639_1"] or None,
            iso639_3=iso639_3,
            script=script,
            direction="rtl" if script in RTL_SCRIPTS else "ltr",
            in_flores=row["in_flores"] == "yes",
        )
        bcp47_by_id[language_id] = tags[0]
        with_script = [f"{tag}-{script}" for tag in tags if "-" not in tag]
        id_by_tag.update({_fold(tag): language_id for tag in [language_id, *tags, *with_script]})
        names = filter(None, (row["english_name"], row["own_name"]))
        id_by_name.update({_fold(name): language_id for name in names})
    return _Table(languages, bcp47_by_id, id_by_tag, id_by_name)


def _rows() -> Iterator[dict[str, str]]:
    """The lines of the file beside this one, as its header names the columns."""
    path = Path(__file__).with_name("languages.tsv")
    with path.open(encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
