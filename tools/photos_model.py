"""Make the shipped photo models anew, on all train photos, chosen on dev photos, with their cards.

    python tools/photos_model.py FLICKR8K OUT [--class-names FOLDER] [--only NAME]

FLICKR8K holds `images.tsv`, `captions.LANG.tsv` and the photos (`all-photos/`, 224 px); FOLDER
holds the English class names of ImageNet (`en_classnames.json`, as CLIP_benchmark has it). Copy
what it writes over `src/polyglance/model/weights/` once the scores of the cards have not fallen.

Legend: M photos, N captions.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from polyglance.encoding.cache import MediaCache
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import affine
from polyglance.heads.affine import Head
from polyglance.languages.registry import ENGLISH, get_language
from polyglance.metrics import retrieval
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import HeadInput, Side
from polyglance.recipes import class_names, dual_heads
from polyglance.recipes.dual_heads import CaptionedVectors
from polyglance.records import MediaFile
from polyglance.sources import captions, labels
from polyglance.storage import atomic, locations
from polyglance.towers import load_tower
from polyglance.towers.trainable.assembled import TorchImageTower
from polyglance.vectors import Vectors, unit

# At the size that the network was trained for: worth two points of R@10 on dev photos over 224.
NETWORK = "packaged:efficientnet-lite2?size=260"
PHOTOS = f"{NETWORK}&features=roots"
CLASSES = NETWORK + "&features=classes&top={top}&temperature={temperature}"
TEXTS = "packaged:all-minilm-l6-v2"
PROMPT = "a photo of a {}"
TOPS, TEMPERATURES = (10, 20, 50, 100, 1000), (1.0, 2.0, 3.0, 4.0, 6.0)
CONFIG = dual_heads.HeadsConfig(hidden=1280, label_smoothing=0.1)
LANGUAGES = (ENGLISH, "zho_Hans", "arb_Arab", "deu_Latn", "fra_Latn", "ces_Latn")
KS = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Photos:
    """The photos of a data set by split, and how they and texts become vectors.

    Attributes:
        folder: The data set.
        split_of: Photo to split.
    """

    folder: Path
    split_of: Mapping[str, str]

    def names(self, split: str) -> list[str]:
        """Photos of a split."""
        return [name for name, found in self.split_of.items() if found == split]

    @cache  # noqa: B019 - one a run
    def pooled(self, split: str) -> Vectors:
        """Float32 (M, 1280) of a split's photos, as the network pools them; encoded once."""
        files = [
            MediaFile(name, self.folder / "all-photos" / name, modality="image")
            for name in self.names(split)
        ]
        found = MediaCache().encode(files, load_tower(NETWORK, modality="image"))
        if found.quarantined:
            raise SystemExit(f"cannot be read: {found.quarantined[0]}")
        return found.vectors

    def vectors(self, reference: str, split: str) -> Vectors:
        """What a tower on that network gives, raw, from what was pooled."""
        tower = load_tower(reference, modality="image")
        assert isinstance(tower, TorchImageTower)
        found = torch.from_numpy(self.pooled(split))
        with torch.inference_mode():
            for layer in (tower.module.projection, tower.module.after):
                found = found if layer is None else layer(found)
        return found.numpy()

    def texts(
        self, language: str, split: str, *, first: bool = False
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """Vectors of a split's captions, unit, and the photo of each."""
        row_of = {name: row for row, name in enumerate(self.names(split))}
        listed = captions.read_flickr8k(self.folder, language, split=split)
        if first:
            listed = list({each.item_id: each for each in reversed(listed)}.values())[::-1]
        return (
            unit(encoded([each.text for each in listed])),
            np.array([row_of[each.item_id] for each in listed]),
        )


def encoded(texts: Sequence[str]) -> Vectors:
    """Float32 (N, D) of the English sentence encoder, kept where the photo benchmarks keep it."""
    return text_vectors(
        list(texts),
        load_tower(TEXTS, modality="text"),
        languages=[ENGLISH] * len(texts),
        cache=VectorCache(locations.cache_folder() / "photo-world" / "texts"),
    )


def model_of(
    photos: str, photo_head: Head, text_head: Head, *, head_input: HeadInput
) -> DualEncoder:
    """A dual encoder of two towers by reference, its heads in half precision."""
    return DualEncoder(
        Side(
            load_tower(photos, modality="image"),
            photos,
            affine.rounded(photo_head),
            head_input,
        ),
        Side(load_tower(TEXTS, modality="text"), TEXTS, affine.rounded(text_head)),
        "in memory",
    )


def scores(model: DualEncoder, photos: Photos, split: str) -> dict[str, list[float]]:
    """R@1, R@5 and R@10 of first captions in per cent, by language."""
    shown = model.items_from_raw(photos.vectors(model.content.reference, split))
    found = {}
    for language in LANGUAGES:
        texts, owners = photos.texts(language, split, first=True)
        said = unit(model.text.through_head(texts))
        hits = retrieval.hit_rates_at_k(said, shown, relevance=owners, ks=KS)
        found[language] = [round(100 * float(hits[k].mean()), 1) for k in KS]
    return found


def train_photos(photos: Photos, config: dual_heads.HeadsConfig) -> DualEncoder:
    """Heads trained on the English captions of the train photos."""
    parts = {}
    for split in ("train", "dev"):
        texts, owners = photos.texts(ENGLISH, split)
        items = unit(photos.vectors(PHOTOS, split))
        parts[split] = CaptionedVectors(items=items, texts=texts, owners=owners)
    photo_head, text_head, _ = dual_heads.train_heads(
        parts["train"], dev=parts["dev"], config=config
    )
    return model_of(PHOTOS, photo_head, text_head, head_input="unit")


def open_model(photos: Photos, class_names_folder: Path) -> DualEncoder:
    """Heads from the names of the classes; how many classes count is chosen on dev photos."""
    names = labels.read_names(class_names_folder, ENGLISH, dataset="imagenet1k").labels
    photo_head, text_head = class_names.convex_combination(
        encoded([PROMPT.format(name) for name in names])
    )
    texts, owners = photos.texts(ENGLISH, "dev")
    found: list[tuple[float, str]] = []
    for top in TOPS:
        for temperature in TEMPERATURES:
            reference = CLASSES.format(top=top, temperature=temperature)
            shown = unit(photo_head(photos.vectors(reference, "dev")))
            hits = retrieval.hit_rates_at_k(
                unit(text_head(texts)), shown, relevance=owners, ks=(10,)
            )
            found.append((float(hits[10].mean()), reference))
    score, reference = max(found)
    print(f"photos-open: {reference}, R@10 {score:.3f} on dev", flush=True)
    return model_of(reference, photo_head, text_head, head_input="raw")


def card(name: str, model: DualEncoder, photos: Photos, *, facts: Sequence[str]) -> str:
    """What a user should know of a model, as Markdown."""
    rows = [
        f"| {get_language(language).english_name} | {' / '.join(map(str, rates))} |"
        for language, rates in scores(model, photos, "test").items()
    ]
    lines = [
        f"# {name}",
        "",
        f"A dual encoder of English texts and photos: `{model.content.reference}` and "
        f"`{model.text.reference}`, each behind a head; {model.dim} dimensions.",
        "",
        *facts,
        "",
        "Test: the 1,000 test photos of Flickr8k, first captions, text to photo, R@1 / R@5 / R@10 "
        "in per cent. It knows English; the other languages show what a language pack has to add.",
        "",
        "| language | R@1 / R@5 / R@10 |",
        "| --- | --- |",
        *rows,
        "",
        "Towers: EfficientNet-Lite2 (Apache-2.0, trained on ImageNet, whose photos are for "
        "research) and all-MiniLM-L6-v2 (Apache-2.0), installed as packages and not part of this "
        "folder. Made by `python tools/photos_model.py FLICKR8K OUT --class-names FOLDER`.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make both models."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("flickr8k", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--class-names", type=Path, help="folder of en_classnames.json")
    parser.add_argument("--only", choices=("photos", "photos-open"))
    given = parser.parse_args()
    photos = Photos(given.flickr8k, captions.read_splits(given.flickr8k / "images.tsv"))
    wanted = [given.only] if given.only else ["photos", "photos-open"]
    for name in wanted:
        started = time.perf_counter()
        if name == "photos":
            model = train_photos(photos, CONFIG)
            settings = ", ".join(f"{key} {value}" for key, value in asdict(CONFIG).items())
            facts = [
                "Trained on the English captions of the 6,348 train photos of Flickr8k, which "
                "their owners allow **for research and education alone**; so are the weights of "
                "the heads. `photos-open` needs no captions. Chosen on the 500 dev photos.",
                "",
                f"Settings: {settings}.",
            ]
        else:
            if given.class_names is None:
                parser.error("photos-open needs --class-names")
            model = open_model(photos, given.class_names)
            facts = [
                "No caption was trained on: a photo is the mean of the vectors of ImageNet's class "
                "names (those of CLIP's authors, MIT), weighed by the probabilities of its classes "
                "(Norouzi et al. 2014). Number of classes and temperature were chosen on the "
                "English captions of the 500 dev photos of Flickr8k.",
            ]
        model.save(given.out / name)
        atomic.write_text(given.out / name / "README.md", card(name, model, photos, facts=facts))
        size = sum(path.stat().st_size for path in (given.out / name).iterdir())
        print(f"{name}: {size / 1e6:.2f} MB in {time.perf_counter() - started:.0f} s", flush=True)
        print(json.dumps({split: scores(model, photos, split) for split in ("dev", "test")}))


if __name__ == "__main__":
    main()
