"""Which retrieval data sets are there?"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from polyglance.tasks import retrieval
from polyglance.tasks.rows import Task

RETRIEVAL: Mapping[str, Task] = MappingProxyType(
    {
        "pictograms": Task(
            kind="retrieval",
            metric="hit_rate",
            summary="emoji drawn by an artist the model never saw, by their CLDR names",
            num_languages=112,
            policy="unique",
            images="fetched with the npm client; concepts seen in training and held out apart",
            licence="Unicode-3.0 (names), CC-BY-4.0 (pictures)",
            load=retrieval.load_pictograms,
        ),
        "flickr8k": Task(
            kind="retrieval",
            metric="hit_rate",
            summary="photos of people and dogs, human captions",
            num_languages=6,
            policy="all",
            images="Flickr8k file names; the test split of images.tsv",
            licence="of the photos' owners; research use",
            load=retrieval.load_flickr8k,
        ),
        "xtd10": Task(
            kind="retrieval",
            metric="hit_rate",
            summary="MS COCO photos, one human caption each",
            num_languages=11,
            policy="first",
            images="COCO 2014 file names",
            licence="CC-BY-4.0",
            load=retrieval.load_xtd,
        ),
        "xtd200": Task(
            kind="retrieval",
            metric="hit_rate",
            summary="XTD translated by NLLB into the languages of FLORES-200",
            num_languages=201,
            policy="first",
            images="COCO 2014 file names",
            licence="CC-BY-NC-4.0",
            load=retrieval.load_xtd,
        ),
        "xm3600": Task(
            kind="retrieval",
            metric="hit_rate",
            summary="3,600 photos from all over the world (Crossmodal-3600)",
            num_languages=36,
            policy="unique",
            images="Open Images ids with .jpg",
            licence="CC-BY-4.0",
            load=retrieval.load_xm3600,
        ),
    }
)
