"""Which files may be fetched for a task, and what are their hashes? Makes tasks/pinned_files.tsv.

    python tools/make_pinned_files.py FOLDER    FOLDER holds xtd10 and xtd200 as their publishers
                                                ship them

The commits are those that brought each file; what is fetched later is held against the hash.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).parents[1] / "src" / "polyglance" / "tasks" / "pinned_files.tsv"
XTD10 = "https://raw.githubusercontent.com/adobe-research/Cross-lingual-Test-Dataset-XTD10"
XTD200 = "https://raw.githubusercontent.com/visheratin/nllb-clip"
NAMES = "test_image_names.txt"
# XTD's own languages; German, French and English are of MIC, Japanese of STAIR.
FOLDERS = {
    "MIC": ("455f8bace77912d2e879e64cbc9e7402d4598626", ("de", "en", "fr")),
    "STAIR": ("d77ff16148468c84287f3efcbf602a015c5e4954", ("jp",)),
    "XTD10": (
        "f2ce7e3b87f871c655a49542ea59ccf4c065089e",
        ("es", "it", "ko", "pl", "ru", "tr", "zh"),
    ),
}
NAMES_URL = f"{XTD10}/d6cfdf769647697cfc060fab276c9f1fb883652a/XTD10/{NAMES}"
XTD200_COMMIT = "e5a349922038c2e639705b40e181d2baf81831cd"


def rows(folder: Path) -> Iterator[tuple[str, str, Path, str]]:
    """Task, path, hash and address of each file."""
    for place, (commit, codes) in FOLDERS.items():
        for code in codes:
            name = f"test_1kcaptions_{code}.txt"
            yield "xtd10", name, folder / "xtd10" / name, f"{XTD10}/{commit}/{place}/{name}"
    yield "xtd10", NAMES, folder / "xtd10" / NAMES, NAMES_URL
    yield "xtd200", NAMES, folder / "xtd10" / NAMES, NAMES_URL
    english = f"{XTD10}/{FOLDERS['MIC'][0]}/MIC/test_1kcaptions_en.txt"
    for path in sorted((folder / "xtd200").glob("???_????.txt")):
        url = f"{XTD200}/{XTD200_COMMIT}/data/xtd200/{path.name}"
        yield "xtd200", path.name, path, english if path.name == "eng_Latn.txt" else url


def main() -> None:
    """Write the table."""
    lines = ["task\tpath\tsha256\turl"]
    for task, name, path, url in rows(Path(sys.argv[1])):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{task}\t{name}\t{digest}\t{url}")
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
