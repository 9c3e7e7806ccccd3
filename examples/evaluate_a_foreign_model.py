"""Score a model that is not ours, a plain function, beside one of ours.

    python examples/evaluate_a_foreign_model.py [FOLDER]

FOLDER gets the texts. The task is `bitext`: find each text's translation among all of them.
"""

import zlib

import numpy as np
import shapes

import polyglance
from polyglance.evaluation import FunctionEncoder
from polyglance.evaluation import evaluate as evaluate_encoder
from polyglance.tasks import load_task

folder = shapes.output_folder()

# The task reads a file a language, a text a line; line by line they say the same.
TEXTS = {
    "eng_Latn": ["dog", "cat", "elephant", "banana", "apple", "guitar", "moon", "train"],
    "deu_Latn": ["Hund", "Katze", "Elefant", "Banane", "Apfel", "Gitarre", "Mond", "Zug"],
    "fra_Latn": ["chien", "chat", "éléphant", "banane", "pomme", "guitare", "lune", "train"],
    "rus_Cyrl": ["собака", "кошка", "слон", "банан", "яблоко", "гитара", "луна", "поезд"],
}
for language, lines in TEXTS.items():
    (folder / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")


def letters(texts: list[str]) -> np.ndarray:
    """The foreign model: counts pairs of letters, and knows no meaning."""
    vectors = np.full((len(texts), 512), 1e-3, np.float32)
    for row, text in enumerate(texts):
        for first, second in zip(text.lower(), text.lower()[1:], strict=False):
            vectors[row, zlib.crc32((first + second).encode()) % 512] += 1
    return vectors


# Any function from a list of texts to vectors will do. `model_id` says which model it is; change it
# when the model changes, and results that were kept are measured anew.
foreign = evaluate_encoder(
    FunctionEncoder(letters, model_id="letters, version 1"),
    load_task("bitext", folder),
    name="letters",
    model_id="letters, version 1",
)

# Ours is named by its reference; the same files, the same ties, the same intervals.
ours = polyglance.evaluate("tiny:pictograms-distilled", "bitext", data=folder)

# Each language gives two results: its texts ask for the English ones, and the other way round.
for row in [*foreign, *ours]:
    low, high = row.intervals["accuracy"]
    print(
        f"{row.model:26} {row.language}  {row.direction}  accuracy {row.values['accuracy']:.2f}  "
        f"95 % interval {low:.2f} to {high:.2f}"
    )
