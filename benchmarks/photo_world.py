"""What is the world of real photos? Flickr8k in six human languages, and an English-only teacher.

    world = photo_world.load(seed=0)       or load(model="photos"), the shipped one
    world.teacher                          a DualEncoder; content ids are Flickr8k file names
    world.contents("train")                (M, D) unit vectors of a split's photos in its space
    world.captions_of("deu_Latn", "train") captions with their photo
    world.data("test")                     what `evaluate` scores, all captions of all languages
    world.parallel.pairs                   parallel text; no photo, no dev or test caption
    world.cache                            keeps what the English sentence encoder gave

All that is computed (English sentence vectors, the teacher) is kept in the user's cache folder
under `photo-world`, by seed and settings; the first time takes about four minutes on two cores.

Legend: M photos, D width of the space.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from benchmarks import multi30k_lines
from benchmarks.harness import say, shared_data

from polyglance import errors
from polyglance.encoding.cache import MediaCache
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import MODEL_FILE, DualEncoder
from polyglance.model.side import Side
from polyglance.recipes import dual_heads
from polyglance.records import Caption, MediaFile, Pair
from polyglance.sources import captions
from polyglance.storage import atomic, locations
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import load_tower
from polyglance.vectors import Vectors, unit

SHARED = shared_data()
FLICKR8K, MULTI30K = SHARED / "flickr8k", SHARED / "multi30k"
FEATURES_FILE = "mobilenet_v2_pool.f16.npy"
ENGLISH_TOWER = "sentence:all-MiniLM-L6-v2"
# Captions a photo: 5 in English and Chinese, 3 in Arabic, 1 in the others (for nine photos in ten).
OTHER_LANGUAGES = ("zho_Hans", "arb_Arab", "deu_Latn", "fra_Latn", "ces_Latn")
MULTI30K_LANGUAGES = ("deu_Latn", "fra_Latn", "ces_Latn")
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class ParallelText:
    """English texts beside texts that say the same, joined by photo; no photo was looked at.

    Attributes:
        pairs: English first; each text of the other language with every English caption of its
            photo, or with its own line of Multi30K.
        left_out: What is not among them, by reason.
    """

    pairs: tuple[Pair, ...]
    left_out: Mapping[str, int]

    @cached_property
    def num_texts(self) -> dict[str, int]:
        """By language, how many distinct texts."""
        texts = {(pair.language_b, pair.text_b) for pair in self.pairs}
        texts |= {(ENGLISH, pair.text_a) for pair in self.pairs}
        return dict(sorted(Counter(language for language, _ in texts).items()))


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoWorld:
    """Photos, what people say of them, and a model that knows English.

    Attributes:
        split_of: Decoded to `train`, `dev` or `test`.
        captions: Language to the captions of all splits.
        parallel: To train text sides on.
        teacher: The English-only dual encoder.
        cache: Of text vectors.
    """

    split_of: Mapping[str, str]
    captions: Mapping[str, Sequence[Caption]]
    parallel: ParallelText
    teacher: DualEncoder
    cache: VectorCache
    _contents: dict[str, Vectors] = field(default_factory=dict)

    def photos(self, split: str) -> tuple[str, ...]:
        """The ids of a split's photos."""
        return tuple(name for name, found in self.split_of.items() if found == split)

    def contents(self, split: str) -> Vectors:
        """Their float32 (M, D), unit, in the teacher's space."""
        if split not in self._contents:
            self._contents[split] = self.teacher.encode_items(self.photos(split))
        return self._contents[split]

    def captions_of(self, language: str, split: str) -> list[Caption]:
        """What is said in one language of a split's photos."""
        return [each for each in self.captions[language] if self.split_of[each.item_id] == split]

    def data(self, split: str) -> RetrievalData:
        """All captions of a split as queries, all its photos as candidates."""
        names = self.photos(split)
        return RetrievalData(
            task="flickr8k",
            item_ids=names,
            captions={language: self.captions_of(language, split) for language in self.captions},
            policy="all",
            splits={split: np.ones(len(names), bool)},
        )


def kept_in() -> Path:
    """Where what is computed is kept."""
    return locations.cache_folder() / "photo-world"


def is_there() -> bool:
    """Whether the photos are at hand."""
    return FLICKR8K.is_dir() and MULTI30K.is_dir()


def load(
    *,
    seed: int = 0,
    config: dual_heads.HeadsConfig | None = None,
    folder: Path | None = None,
    model: str | None = None,
) -> PhotoWorld:
    """The world, its teacher trained or taken from the cache.

    Args:
        seed: Of the teacher, where no config is given.
        config: Of the teacher.
        folder: Where to keep what is computed; None for the user's cache folder.
        model: A shipped one, as `photos`, in the place of the one that is trained here; packs
            for it fit the shipped one.

    Raises:
        UnavailableError: Where the photos are not at hand.
    """
    if not is_there():
        raise errors.UnavailableError(
            f"there are no photos at {FLICKR8K} with {MULTI30K}",
            hint="set POLYGLANCE_SHARED_DATA to the folder that holds both",
        )
    folder = folder or kept_in()
    config = config or dual_heads.HeadsConfig(seed=seed)
    split_of = captions.read_splits(FLICKR8K / "images.tsv")
    said = {language: _all_captions(language) for language in (ENGLISH, *OTHER_LANGUAGES)}
    cache = VectorCache(folder / "texts")
    return PhotoWorld(
        split_of=split_of,
        captions=said,
        parallel=parallel_text(said, split_of, multi30k=MULTI30K),
        teacher=_teacher(folder, said[ENGLISH], split_of, config=config, cache=cache)
        if model is None
        else shipped_teacher(model, list(split_of), folder=folder),
        cache=cache,
    )


def _all_captions(language: str) -> list[Caption]:
    return [
        caption
        for split in SPLITS
        for caption in captions.read_flickr8k(FLICKR8K, language, split=split)
    ]


def parallel_text(
    said: Mapping[str, Sequence[Caption]],
    split_of: Mapping[str, str],
    *,
    multi30k: Path | None,
) -> ParallelText:
    """Captions of one train photo in two languages, and Multi30K; nothing of dev or test photos.

    A caption that reads like one of a dev or test photo goes as well: "a dog runs on grass" is
    said of several.

    Args:
        said: Language to its captions of all splits.
        split_of: Decoded to its split.
        multi30k: Folder of task 1; None takes captions alone.
    """
    unseen = {name for name, split in split_of.items() if split != "train"}
    pairs: list[Pair] = []
    num_lines_left_out = 0
    if multi30k is not None:
        lines = multi30k_lines.read_multi30k(
            multi30k, "train", languages=[ENGLISH, *MULTI30K_LANGUAGES]
        )
        kept = lines.leaving_out(unseen)
        num_lines_left_out = len(lines.images) - len(kept.images)
        for language in MULTI30K_LANGUAGES:
            pairs += kept.pairs(ENGLISH, language)
    english = _by_photo(said[ENGLISH], unseen)
    for language in OTHER_LANGUAGES:
        for name, texts in _by_photo(said[language], unseen).items():
            both = itertools.product(english.get(name, ()), texts)
            pairs += [Pair(text, ENGLISH, other, language) for text, other in both]
    distinct = list(dict.fromkeys(pairs))
    forbidden = {
        (caption.language, _words(caption.text))
        for listed in said.values()
        for caption in listed
        if caption.item_id in unseen
    }
    clean = tuple(
        pair
        for pair in distinct
        if (pair.language_a, _words(pair.text_a)) not in forbidden
        and (pair.language_b, _words(pair.text_b)) not in forbidden
    )
    return ParallelText(
        pairs=clean,
        left_out={
            "multi30k_lines_of_dev_and_test_photos": num_lines_left_out,
            "flickr8k_captions_of_dev_and_test_photos": sum(
                caption.item_id in unseen for listed in said.values() for caption in listed
            ),
            "pairs_that_read_like_a_dev_or_test_caption": len(distinct) - len(clean),
        },
    )


def _by_photo(listed: Iterable[Caption], unseen: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for caption in listed:
        if caption.item_id not in unseen:
            found.setdefault(caption.item_id, []).append(caption.text)
    return found


def _words(text: str) -> str:
    """What is compared: letters and digits alone, so that "runs ." reads like "runs."."""
    return "".join(character for character in text.casefold() if character.isalnum())


def _teacher(
    folder: Path,
    english: Sequence[Caption],
    split_of: Mapping[str, str],
    *,
    config: dual_heads.HeadsConfig,
    cache: VectorCache,
) -> DualEncoder:
    """From the cache, where the same features and settings were trained on before."""
    reference = f"precomputed:{_features(folder, list(split_of))}?space=mobilenet-v2-pool-root"
    photo_tower = load_tower(reference, modality="image")
    key = hashlib.blake2b(f"{photo_tower.fingerprint} {asdict(config)}".encode(), digest_size=8)
    path = folder / f"teacher-{key.hexdigest()}"
    if not (path / MODEL_FILE).is_file():
        text_tower = load_tower(ENGLISH_TOWER, modality="text")
        say(f"photos: training the English-only model, seed {config.seed}")
        parts = {}
        for split in ("train", "dev"):
            names = [name for name, found in split_of.items() if found == split]
            row_of = {name: row for row, name in enumerate(names)}
            listed = [caption for caption in english if caption.item_id in row_of]
            texts = text_vectors(
                [caption.text for caption in listed],
                text_tower,
                cache=cache,
                languages=[ENGLISH] * len(listed),
            )
            parts[split] = dual_heads.CaptionedVectors(
                items=unit(photo_tower.encode(names)),
                texts=unit(texts),
                owners=np.array([row_of[caption.item_id] for caption in listed]),
            )
        photo_head, text_head, report = dual_heads.train_heads(
            parts["train"], dev=parts["dev"], config=config
        )
        say(f"photos: R@10 {report.best_score:.3f} on dev, {report.seconds:.0f} s")
        DualEncoder(
            Side(photo_tower, reference, photo_head),
            Side(text_tower, ENGLISH_TOWER, text_head),
            str(path),
        ).save(path)
    return DualEncoder.load(path)


def shipped_teacher(model: str, names: list[str], *, folder: Path | None = None) -> DualEncoder:
    """A shipped model that knows the photos by their names: encoded once, with all decoding.

    Args:
        model: Its name.
        names: Of the photos.
        folder: Where to keep the vectors; None for the user's cache folder.
    """
    folder = folder or kept_in()
    whole = DualEncoder.load(model)
    path = (folder / f"{model}-{whole.space_id[:12]}").resolve()
    if not (path / "vectors.npy").is_file():
        say(f"photos: encoding {len(names):,} photos with {model}")
        photos = FLICKR8K / "all-photos"
        files = [MediaFile(name, photos / name, modality="image") for name in names]
        found = MediaCache().encode(files, whole.content.tower)
        with atomic.folder_in_one_step(path, marker="vectors.npy") as making:
            np.save(making / "vectors.npy", whole.items_from_raw(found.vectors))
            atomic.write_text(making / "ids.txt", "\n".join(found.ids) + "\n")
    reference = f"precomputed:{path}?space={whole.space_id}"
    return DualEncoder(Side(load_tower(reference, modality="image"), reference), whole.text, model)


def _features(folder: Path, names: list[str]) -> Path:
    """The photos' features as a folder of vectors: their roots, so that no few peaks rule."""
    path = (folder / "features").resolve()
    if not (path / "vectors.npy").is_file():
        pooled = np.load(FLICKR8K / FEATURES_FILE).astype(np.float32)
        with atomic.folder_in_one_step(path, marker="vectors.npy") as making:
            np.save(making / "vectors.npy", np.sqrt(np.maximum(pooled, 0)))
            atomic.write_text(making / "ids.txt", "\n".join(names) + "\n")
    return path
