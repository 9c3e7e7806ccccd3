"""Languages that a text tower declares: by itself, by its reference, card or family.

Nobody here measured them; a pack lists them without a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polyglance import errors
from polyglance.languages.registry import normalise_language
from polyglance.towers import Tower, TowerReference, parse_reference
from polyglance.towers.runtime import checkpoints

# The languages of XLM-R (Conneau et al. 2020, appendix A; Latin transcriptions left out), which its
# descendants have as well (multilingual E5, paraphrase-multilingual-mpnet, M-CLIP, AltCLIP).
XLM_R = (
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he "
    "hi hr hu hy id is it ja jv ka kk km kn ko kmr ky la lo lt lv mg mk ml mn mr ms my ne nl no om "
    "or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta te th tl tr ug uk ur uz vi xh yi "
    "zho_Hans zho_Hant"
)
# By `model_type` of a checkpoint's config.json.
FAMILIES: Mapping[str, str] = MappingProxyType({"xlm-roberta": XLM_R, "xlm-roberta-xl": XLM_R})
# What cards and lists write for a language that the table has in two scripts.
IN_TWO_SCRIPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"zh": ("zho_Hans", "zho_Hant"), "ku": ("kmr_Latn", "ckb_Arab")}
)


def languages_of(tower: Tower, reference: str) -> tuple[str, ...]:
    """Ids of the languages that a tower is said to know, sorted; empty where nothing says so.

    Args:
        tower: The text tower; its own `languages` (NLLB's are its tokenizer's) come first.
        reference: How it is named; `?languages=de,fr` of precomputed vectors comes next, then what
            the folder of a checkpoint says.
    """
    if tower.languages:
        return known(tower.languages)
    parsed = parse_reference(reference)
    if "languages" in parsed.options:
        return known(parsed.options["languages"].split(","))
    folder = _folder_of(parsed)
    return () if folder is None else _of_checkpoint(folder)


def known(codes: Iterable[str]) -> tuple[str, ...]:
    """Ids of those codes that mean a known language; cards hold others, as `multilingual`.

    >>> known(["de", "zh", "multilingual"])
    ('deu_Latn', 'zho_Hans', 'zho_Hant')
    """
    found: set[str] = set()
    for code in codes:
        if code in IN_TWO_SCRIPTS:
            found.update(IN_TWO_SCRIPTS[code])
            continue
        try:
            found.add(normalise_language(code.strip()))
        except errors.LanguageError:
            continue
    return tuple(sorted(found))


def _folder_of(reference: TowerReference) -> Path | None:
    """The folder of a checkpoint, which is there since its tower was loaded."""
    if reference.library == "sentence":
        from polyglance.towers.libraries import sentence_folders

        return sentence_folders.folder_of(reference)
    if reference.library == "hf":
        return checkpoints.find_folder(
            reference.location, revision=reference.options.get("revision")
        )
    return None


def _of_checkpoint(folder: Path) -> tuple[str, ...]:
    """Its card, else its family's list."""
    said = known(_of_card(folder / "README.md"))
    if len(said) > 1:
        return said
    config = _json(folder / "config.json")
    model_type = str(config.get("model_type"))
    if model_type in FAMILIES:
        return known(FAMILIES[model_type].split())
    return said


def _of_card(path: Path) -> list[str]:
    """`language:` of the metadata block that model hubs read."""
    import yaml  # type: ignore[import-untyped]

    if not path.is_file():
        return []
    parts = path.read_text(encoding="utf-8", errors="replace").split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return []
    try:
        block = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return []
    found = block.get("language") if isinstance(block, dict) else None
    listed = found if isinstance(found, list) else [found]
    # YAML reads the code of Norwegian as the word no.
    return ["no" if one is False else one for one in listed if isinstance(one, str) or one is False]


def _json(path: Path) -> Mapping[str, Any]:
    content = checkpoints.read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}
