"""What is the world of real photos? Flickr8k in six human languages, and published encoders.

The teacher is the model `photos` that ships: it knows English. Maps go behind
multilingual-e5-small, and behind USE, which lacks Czech, where a claim asks for an encoder that
lacks a language. What trains a text tower of its own starts from small ones of n-grams, as on
pictograms.

Asked for are the 1,500 photos of dev and test, all of them candidates, by all their captions: maps
and towers of claims are chosen on English text alone. Where the shipped settings themselves were
chosen on the dev photos, the 1,000 of test are asked for.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from benchmarks import multi30k_lines, photo_world
from benchmarks.claims.worlds import World
from benchmarks.photo_world import FLICKR8K, MULTI30K, SPLITS

from polyglance.encoding.texts import VectorCache
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.contrastive.item_side import Files
from polyglance.recipes.data import image_text
from polyglance.records import Caption, MediaFile, Pair
from polyglance.sources import captions, images
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import load_tower
from polyglance.vectors import Vectors, unit

MODEL = "photos"
# On a processor ONNX Runtime in 8 bits encodes twice as many texts a second as torch.
ENCODER = "packaged:multilingual-e5-small?runtime=onnx"
NARROW_ENCODER = "packaged:use-multilingual-v3"
LANGUAGES = (ENGLISH, *photo_world.OTHER_LANGUAGES)
# Train captions a photo: no other language is learnt from more than German is.
MOST_ENGLISH, MOST_OTHERS = 5, 1
# Chinese and Arabic have several captions a photo; one is as much parallel text as German has.
MOST_PAIRS = 6000
ROWS = 64


def is_there() -> bool:
    """Whether the photos are at hand."""
    return photo_world.is_there()


def photos(folder: Path, *, quick: bool) -> World:
    """Flickr8k in six languages written by people.

    Parallel text: Multi30K lines in German, French and Czech without those of dev and test photos,
    and English with Chinese or Arabic captions of one train photo, image features not read.
    """
    split_of = captions.read_splits(FLICKR8K / "images.tsv")
    said = {
        split: {name: captions.read_flickr8k(FLICKR8K, name, split=split) for name in LANGUAGES}
        for split in SPLITS
    }
    learnt = {
        name: first(listed, most=MOST_ENGLISH if name == ENGLISH else MOST_OTHERS)
        for name, listed in said["train"].items()
    }
    if quick:
        few = {name for name, s in split_of.items() if s == "train"} - set(list(split_of)[400:])
        learnt = {name: [c for c in listed if c.item_id in few] for name, listed in learnt.items()}
    named = {split: [name for name, s in split_of.items() if s == split] for split in SPLITS}
    asked = (*named["dev"], *named["test"])
    # Its content side knows the photos by name, encoded once.
    teacher = photo_world.shipped_teacher(MODEL, list(split_of))
    others = photo_world.OTHER_LANGUAGES
    return World(
        name="photos",
        teacher=teacher,
        data=RetrievalData(
            task="flickr8k",
            item_ids=asked,
            captions={
                name: [*said["dev"][name], *said["test"][name]] for name in (ENGLISH, *others)
            },
            policy="all",
            splits={
                "dev and test": np.ones(len(asked), bool),
                "test": np.arange(len(asked)) >= len(named["dev"]),
            },
        ),
        contents=teacher.encode_items(asked),
        english=[caption.text for caption in learnt[ENGLISH]],
        parallel=parallel(learnt, [name for name, s in split_of.items() if s != "train"]),
        image_text=image_text.join(
            [caption for listed in learnt.values() for caption in listed],
            item_ids=named["train"],
            contents=teacher.encode_items(named["train"]),
        ),
        groups={
            "others": others,
            "well": ("ces_Latn", "deu_Latn", "fra_Latn"),
            "low": ("arb_Arab", "zho_Hans"),
            "all": others,
            "English": (ENGLISH,),
            "known": ("arb_Arab", "deu_Latn", "fra_Latn", "zho_Hans"),
            "lacked": ("ces_Latn",),
            "model has": ("deu_Latn", "fra_Latn"),
            "model lacks": ("arb_Arab", "zho_Hans"),
        },
        folder=folder,
        cache=VectorCache(photo_world.kept_in() / "texts"),
        shipped=packaged(ENCODER),
        narrow=packaged(NARROW_ENCODER),
        whole=lambda: (DualEncoder.load(MODEL), files_of(named["train"])),
        encode_test=lambda side: encoded(side, asked),
        quick=quick,
    )


def packaged(reference: str) -> Side:
    """A text tower that packages carry."""
    return Side(load_tower(reference, modality="text"), reference)


def files_of(names: list[str] | tuple[str, ...]) -> Files:
    """Photos by name and where they lie."""
    return {
        name: MediaFile(name, FLICKR8K / "all-photos" / name, modality="image") for name in names
    }


def encoded(side: Side, names: tuple[str, ...]) -> Vectors:
    """Photos by a content side that has learnt, float32 (M, D), unit."""
    files = list(files_of(names).values())
    parts = []
    for start in range(0, len(files), ROWS):
        shown = [
            images.decode_image(file.path.read_bytes(), name=file.id)
            for file in files[start : start + ROWS]
        ]
        parts.append(side.through_head(side.tower.encode(shown, output=side.output)))
    return unit(np.concatenate(parts))


def first(listed: list[Caption], *, most: int) -> list[Caption]:
    """The first captions of each photo."""
    seen = Counter[str]()
    found = []
    for caption in listed:
        seen[caption.item_id] += 1
        if seen[caption.item_id] <= most:
            found.append(caption)
    return found


def parallel(train: dict[str, list[Caption]], forbidden: list[str]) -> list[Pair]:
    """Text that says the same in English and another language, at most `MOST_PAIRS` a language.

    Args:
        train: Captions of train photos by language.
        forbidden: Photos whose lines of Multi30K are left out.
    """
    lines = multi30k_lines.read_multi30k(MULTI30K, "train", languages=["en", "de", "fr", "cs"])
    kept = lines.leaving_out(forbidden)
    rows = np.sort(np.random.default_rng(0).permutation(len(kept.images))[:MOST_PAIRS])
    pairs = []
    for language in ("deu_Latn", "fra_Latn", "ces_Latn"):
        listed = kept.pairs(ENGLISH, language)
        pairs += [listed[row] for row in rows.tolist()]
    english = {caption.item_id: caption.text for caption in first(train[ENGLISH], most=1)}
    for language in ("zho_Hans", "arb_Arab"):
        pairs += [
            Pair(english[caption.item_id], ENGLISH, caption.text, language)
            for caption in first(train[language], most=1)[:MOST_PAIRS]
            if caption.item_id in english
        ]
    return pairs
