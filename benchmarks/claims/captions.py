"""What is the world of captions alone? XTD's, found among vectors of the English ones.

No photo of COCO is at hand. What stands for a picture is what the teacher, the shipped model
`photos`, makes of its English caption; a caption in another language is to find it. So maps between
text encoders are measured on 1,000 captions in many languages: ten by people (XTD10), which e5 and
USE both know, and ten by machine (XTD-200), which USE lacks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.claims import photos
from benchmarks.claims.worlds import World
from benchmarks.real_pairs import SHARED

from polyglance.languages.registry import ENGLISH
from polyglance.sources.xtd import read_xtd
from polyglance.tasks.retrieval import RetrievalData

# XTD10's languages but English; USE was trained on all of them.
KNOWN = (
    "deu_Latn",
    "fra_Latn",
    "ita_Latn",
    "jpn_Jpan",
    "kor_Hang",
    "pol_Latn",
    "rus_Cyrl",
    "spa_Latn",
    "tur_Latn",
    "zho_Hans",
)
# Of the largest languages that USE was not trained on, of several scripts.
LACKED = (
    "ben_Beng",
    "ell_Grek",
    "fin_Latn",
    "heb_Hebr",
    "hin_Deva",
    "hun_Latn",
    "swh_Latn",
    "tam_Taml",
    "ukr_Cyrl",
    "vie_Latn",
)


def is_there() -> bool:
    """Whether captions, and the photos whose captions are learnt from, are at hand."""
    return photos.is_there() and all((SHARED / name).is_dir() for name in ("xtd10", "xtd200"))


def captions(folder: Path, *, quick: bool) -> World:
    """XTD's captions; learnt from are Flickr8k's."""
    world = photos.photos(folder.with_name("photos"), quick=quick)
    english = read_xtd(SHARED / "xtd10", ENGLISH)
    said = {
        ENGLISH: english,
        **{name: read_xtd(SHARED / "xtd10", name) for name in KNOWN},
        **{name: read_xtd(SHARED / "xtd200", name) for name in LACKED},
    }
    return replace(
        world,
        name="captions",
        data=RetrievalData(
            task="xtd",
            item_ids=tuple(caption.item_id for caption in english),
            captions=said,
            policy="first",
            splits={"test": np.ones(len(english), bool)},
        ),
        contents=world.teacher.encode_texts(
            [caption.text for caption in english],
            languages=[ENGLISH] * len(english),
            cache=world.cache,
        ),
        groups={"others": KNOWN, "known": KNOWN, "lacked": LACKED, "English": (ENGLISH,)},
        whole=None,
        encode_test=None,
    )
