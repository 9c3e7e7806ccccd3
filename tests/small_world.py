"""The world of the default tests: coloured shapes, English words, and invented languages.

Pictures are drawn, nothing is downloaded. English phrases are sums of word vectors; the tower
`fake:teacher` knows English words only, `fake:multilingual` knows the words of all languages in a
space of its own width; `fake:accented` does so too, and each language lies elsewhere in its space.
Towers register under the library `fake`, so that references work.
"""

import hashlib
import itertools
import json

import numpy as np
from PIL import Image, ImageDraw

from polyglance import towers
from polyglance.heads import closed_form
from polyglance.model import dual_encoder
from polyglance.model.side import Side
from polyglance.records import Caption
from polyglance.vectors import unit

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 70, 220),
    "yellow": (230, 210, 40),
    "violet": (150, 60, 190),
    "black": (20, 20, 20),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring", "bar")
SIZES = ("big", "small")
LANGUAGES = ("deu_Latn", "hin_Deva", "arb_Arab")
# First letter of each script's run of letters, from which words are invented.
LETTERS = {"deu_Latn": ord("a"), "hin_Deva": 0x0915, "arb_Arab": 0x0628}

PHRASES = tuple(" ".join(parts) for parts in itertools.product(SIZES, COLOURS, SHAPES))
WORDS = (*SIZES, *COLOURS, *SHAPES)


def digest(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def translate(phrase, language):
    """The phrase in an invented language: each word has one translation."""
    if language == "eng_Latn":
        return phrase
    return " ".join(_invent(word, language) for word in phrase.split())


def _invent(word, language):
    number, start = digest(word + language), LETTERS[language]
    return "".join(chr(start + (number >> 4 * i) % 16) for i in range(6))


LANGUAGE_OF = {_invent(word, language): language for word in WORDS for language in LANGUAGES}
MEANING = {_invent(word, language): word for word in WORDS for language in LANGUAGES} | {
    word: word for word in WORDS
}


def draw(phrase, *, seed=0):
    """A 32 x 32 picture of a phrase, shifted a little by the seed."""
    size, colour, shape = phrase.split()
    rng = np.random.default_rng([seed, digest(phrase) % 2**32])
    picture = Image.new("RGB", (32, 32), "white")
    pen = ImageDraw.Draw(picture)
    half = 12 if size == "big" else 7
    x, y = 16 + rng.integers(-2, 3, size=2)
    box = (x - half, y - half, x + half, y + half)
    fill = COLOURS[colour]
    if shape == "circle":
        pen.ellipse(box, fill=fill)
    elif shape == "square":
        pen.rectangle(box, fill=fill)
    elif shape == "triangle":
        pen.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=fill)
    elif shape == "cross":
        pen.rectangle((x - half, y - 2, x + half, y + 2), fill=fill)
        pen.rectangle((x - 2, y - half, x + 2, y + half), fill=fill)
    elif shape == "ring":
        pen.ellipse(box, outline=fill, width=3)
    else:
        pen.rectangle((x - half, y - 3, x + half, y + 3), fill=fill)
    return picture


class WordTower(towers.Tower):
    """A text tower that adds up fixed random vectors of the words it knows."""

    modality = "text"
    uses_language = False

    def __init__(self, name, dim, *, multilingual, accent=0.0):
        self.dim, self.multilingual, self.accent = dim, multilingual, accent
        self.space_id = self.fingerprint = f"words-{name}-{dim}"
        self.num_encoded = 0

    def encode(self, items, *, languages=None, output="embedding"):
        self.num_encoded += len(items)
        rows = [sum(map(self._word, text.split()), start=np.zeros(self.dim)) for text in items]
        return np.asarray(rows, np.float32).reshape(len(items), self.dim)

    def _word(self, word):
        known = MEANING.get(word, word) if self.multilingual else word
        rng = np.random.default_rng(digest(self.space_id + known))
        found = rng.standard_normal(self.dim)
        if self.accent and word in LANGUAGE_OF:
            found += self.accent * self._word(LANGUAGE_OF[word])
        return found


class PixelTower(towers.Tower):
    """An image tower that gives the pixels of an 8 x 8 thumbnail."""

    modality = "image"
    uses_language = False
    dim = 8 * 8 * 3
    space_id = fingerprint = "pixels-8"

    def __init__(self):
        self.num_encoded = 0

    def preprocess(self, image):
        small = image.convert("RGB").resize((8, 8), Image.Resampling.BOX)
        return np.asarray(small, np.float32).reshape(-1) / 255 - 0.5

    def encode(self, items, *, languages=None, output="embedding"):
        self.num_encoded += len(items)
        rows = [self.preprocess(item) if isinstance(item, Image.Image) else item for item in items]
        return np.asarray(rows, np.float32).reshape(len(items), self.dim)


def load(reference, *, modality):
    """What the library `fake` loads."""
    if modality == "image":
        return PixelTower()
    if reference.location == "multilingual":
        return WordTower("multilingual", 40, multilingual=True)
    if reference.location == "accented":
        return WordTower("accented", 40, multilingual=True, accent=1.5)
    return WordTower("teacher", 24, multilingual=False)


def fit_teacher():
    """The English-only model: pixels under a ridge map into the teacher's word space."""
    words = WordTower("teacher", 24, multilingual=False)
    pixels = PixelTower()
    phrases = [phrase for phrase in PHRASES for _ in range(8)]
    x = unit(pixels.encode([draw(p, seed=i % 8 + 1) for i, p in enumerate(phrases)]))
    y = unit(words.encode(phrases))
    head = closed_form.ridge(x, y, penalty=1e-3)
    return dual_encoder.DualEncoder(
        Side(PixelTower(), "fake:pixels", head, "unit"), Side(words, "fake:teacher"), "in memory"
    )


def captions(language):
    """One caption a picture; the id of a picture is its phrase with dashes."""
    return [
        Caption(f"{p.replace(' ', '-')}.png", translate(p, language), language) for p in PHRASES
    ]


def load_reference(reference):
    """A text tower of this world by its full reference."""
    return load(towers.TowerReference("fake", reference.partition(":")[2], {}), modality="text")


def edit(manifest, **changes):
    """Change a manifest as its owner would who knows of its checksum: that line goes."""
    content = {**json.loads(manifest.read_text("utf-8")), **changes}
    content.pop("checksum", None)
    manifest.write_text(json.dumps(content), "utf-8")
