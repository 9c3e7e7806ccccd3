"""What the examples share: a model, images of coloured shapes, and words for them.

The model is made of two small towers that are shipped with polyglance. They learnt pictograms and
their names in 106 languages. Esperanto is not among them: `train_a_pack.py` adds it.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

import polyglance
from polyglance.model.dual_encoder import load_side
from polyglance.records import Pair

COLOURS = {
    "red": ("ruĝa", "#dd2e44"),
    "orange": ("oranĝa", "#f4900c"),
    "yellow": ("flava", "#fdcb58"),
    "green": ("verda", "#78b159"),
    "blue": ("blua", "#55acee"),
    "purple": ("purpura", "#aa8ed6"),
    "brown": ("bruna", "#c1694f"),
    "black": ("nigra", "#31373d"),
    "white": ("blanka", "#e6e7e8"),
}
# The first three are drawn; the image tower has seen too few of the others.
SHAPES = {
    "circle": "cirklo",
    "square": "kvadrato",
    "heart": "koro",
    "triangle": "triangulo",
    "star": "stelo",
    "diamond": "rombo",
}
DRAWN = ("circle", "square", "heart")


def parallel_text() -> list[Pair]:
    """54 English phrases, each with its translation into Esperanto."""
    return [
        Pair(f"{colour} {shape}", "eng_Latn", f"{adjective} {noun}", "epo_Latn")
        for colour, (adjective, _) in COLOURS.items()
        for shape, noun in SHAPES.items()
    ]


def draw_pictures(folder: Path) -> Path:
    """27 images, named as what they show: `red-circle.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    for colour, (_, fill) in COLOURS.items():
        for shape in DRAWN:
            draw(shape, fill).save(folder / f"{colour}-{shape}.png")
    return folder


def draw(shape: str, fill: str) -> Image.Image:
    """One shape on white, 128 x 128."""
    picture = Image.new("RGB", (128, 128), "white")
    pen = ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse((12, 12, 116, 116), fill=fill)
    elif shape == "square":
        pen.rectangle((12, 12, 116, 116), fill=fill)
    else:
        pen.ellipse((10, 20, 66, 76), fill=fill)
        pen.ellipse((62, 20, 118, 76), fill=fill)
        pen.polygon([(15, 62), (113, 62), (64, 118)], fill=fill)
    return picture


def save_model(folder: Path) -> str:
    """Join an image tower and a text tower of one space; gives the reference of the model."""
    images = load_side("tiny:pictograms-image", "content")
    texts = load_side("tiny:pictograms-distilled", "text")
    polyglance.DualEncoder(images, texts, str(folder)).save(folder)
    return str(folder)


def output_folder() -> Path:
    """The folder that the command line names, or a new temporary one."""
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    folder = Path(named[0]) if named else Path(tempfile.mkdtemp(prefix="polyglance-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
