"""What is measured? A data set is a row of this table: where its texts are, how it is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.results import CaptionPolicy
from polyglance.tasks import retrieval
from polyglance.tasks.retrieval import RetrievalData


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the table.

    Attributes:
        summary: What is asked of what.
        num_languages: In the publisher's release.
        policy: Which captions take part, as the papers do it.
        images: What the content ids are, for whoever brings the pictures.
        licence: Of the texts.
        load: Reads the publisher's files from a folder; None of it is downloaded.
    """

    summary: str
    num_languages: int
    policy: CaptionPolicy
    images: str
    licence: str
    load: Callable[[Path | None, list[str] | None], RetrievalData]


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "pictograms": Task(
            summary="emoji drawn by an artist the model never saw, by their CLDR names",
            num_languages=112,
            policy="unique",
            images="fetched with the npm client; concepts seen in training and held out apart",
            licence="Unicode-3.0 (names), CC-BY-4.0 (pictures)",
            load=retrieval.load_pictograms,
        ),
        "flickr8k": Task(
            summary="photos of people and dogs, human captions",
            num_languages=6,
            policy="all",
            images="Flickr8k file names; the test split of images.tsv",
            licence="of the photos' owners; research use",
            load=retrieval.load_flickr8k,
        ),
        "xtd10": Task(
            summary="MS COCO photos, one human caption each",
            num_languages=11,
            policy="first",
            images="COCO 2014 file names",
            licence="CC-BY-4.0",
            load=retrieval.load_xtd,
        ),
        "xtd200": Task(
            summary="XTD translated by NLLB into the languages of FLORES-200",
            num_languages=201,
            policy="first",
            images="COCO 2014 file names",
            licence="CC-BY-NC-4.0",
            load=retrieval.load_xtd,
        ),
        "xm3600": Task(
            summary="3,600 photos from all over the world (Crossmodal-3600)",
            num_languages=36,
            policy="unique",
            images="Open Images ids with .jpg",
            licence="CC-BY-4.0",
            load=retrieval.load_xm3600,
        ),
    }
)


def get_task(name: str) -> Task:
    """A row of the table.

    Raises:
        UnknownNameError: For a name that is not there.
    """
    if name not in TASKS:
        raise errors.unknown_name("task", name, allowed=TASKS)
    return TASKS[name]
