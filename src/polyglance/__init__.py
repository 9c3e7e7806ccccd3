"""New languages for an image-text model in minutes, without re-encoding one image.

A *language pack* is a folder with a text side: put on a dual encoder or on an index of its images,
it makes them answer in its languages. The index stays as it is.

    import polyglance

    model = "hf:openai/clip-vit-base-patch32"
    polyglance.index("photos", model=model, out="index")

    english = open("captions.txt").read().splitlines()
    tower = "sentence:paraphrase-multilingual-mpnet-base-v2"
    pack = polyglance.train("ridge", {"english": english}, teacher=model, tower=tower)
    pack.save("pack")

    searcher = polyglance.Searcher("index", packs=["pack"])
    searcher.search("ein Hund am Strand", language="deu_Latn").hits

    polyglance.evaluate(model, "xtd10", data="xtd10", images="coco", pack="pack")

    both = polyglance.DualEncoder.load(model).with_pack(polyglance.LanguagePack.load("pack"))
    both.encode_texts(["ein Hund am Strand"], languages=["deu_Latn"])  # (1, 512), unit

The command line does the same: `polyglance train | index | search | eval`, and more.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes longer to import than all the rest
if TYPE_CHECKING:
    from typing import Any

    from polyglance.evaluation.run import evaluate
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.model.pack import LanguagePack
    from polyglance.recipes.run import train
    from polyglance.search.indexing import build as index
    from polyglance.search.searcher import Searcher

__version__ = "0.1.0"
__all__ = ["DualEncoder", "LanguagePack", "Searcher", "evaluate", "index", "train"]

# Each name is imported when it is first asked for.
_HOMES = {
    "DualEncoder": ("polyglance.model.dual_encoder", "DualEncoder"),
    "LanguagePack": ("polyglance.model.pack", "LanguagePack"),
    "Searcher": ("polyglance.search.searcher", "Searcher"),
    "evaluate": ("polyglance.evaluation.run", "evaluate"),
    "index": ("polyglance.search.indexing", "build"),
    "train": ("polyglance.recipes.run", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
