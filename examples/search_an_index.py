"""Index a folder of images, and search it by text, by image, and by both.

    python examples/search_an_index.py [FOLDER]

FOLDER gets the images, the model and the index.
"""

from pathlib import Path

import shapes

import polyglance
from polyglance.search.searcher import Answer

folder = shapes.output_folder()
pictures = shapes.draw_pictures(folder / "pictures")
model = shapes.save_model(folder / "model")

# Each image is encoded once. A second run opens only what has changed.
report = polyglance.index(pictures, model=model, out=folder / "index")
print(f"indexed: {report.new} new, {report.known} known")
report = polyglance.index(pictures, model=model, out=folder / "index")
print(f"again:   {report.new} new, {report.known} known")

searcher = polyglance.Searcher(folder / "index")


def show(asked: str, answer: Answer) -> None:
    """Print the names of the best images."""
    print(f"{asked:28} {', '.join(Path(hit.id).stem for hit in answer.hits)}")


# A text, in any language that the model or a pack speaks.
for text, language in (
    ("red heart", "eng_Latn"),
    ("rotes Herz", "deu_Latn"),
    ("cercle vert", "fra_Latn"),
    ("синий квадрат", "rus_Cyrl"),
):
    show(text, searcher.search(text, language=language, top=3))

# An image, and an image with texts to add and to take away, as on the command line.
heart = f'image:"{(pictures / "green-heart.png").as_posix()}"'
show("a green heart", searcher.search(heart, top=3))
query = heart + ' + 2*"purple heart" - "green heart"'
show("the same, but purple", searcher.search(query, language="eng_Latn", top=3))
