"""What is the world of real photos? Flickr8k features and captions, and an English-only teacher.

The teacher is trained here, once: linear heads behind a photo network's features and behind the
English sentence encoder, by contrast on the English captions of the train photos.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from benchmarks import multi30k_lines
from benchmarks.claims.worlds import World
from benchmarks.real_pairs import SHARED
from torch import nn

from polyglance import training
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import affine, linear
from polyglance.languages.registry import ENGLISH
from polyglance.losses import Terms, clip
from polyglance.model.dual_encoder import MODEL_FILE, DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.data import image_text
from polyglance.records import Caption, Pair
from polyglance.sources import captions
from polyglance.storage import atomic
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import load_tower
from polyglance.vectors import Vectors, unit

FOLDER = SHARED / "flickr8k"
CODES = {
    "eng_Latn": "en",
    "arb_Arab": "ar",
    "ces_Latn": "cs",
    "deu_Latn": "de",
    "fra_Latn": "fr",
    "zho_Hans": "zh",
}
SPACE_WIDTH = 256
TEACHER_STEPS = 600
ENGLISH_TOWER = "sentence:all-MiniLM-L6-v2"
# Chinese and Arabic have several captions a photo; one is as much parallel text as German has.
MOST_PAIRS = 6000


def is_there() -> bool:
    """Whether the photos are at hand."""
    return FOLDER.is_dir()


def photos(folder: Path, *, quick: bool) -> World:
    """Flickr8k in six languages written by people.

    Parallel text: Multi30K lines in German, French and Czech without those of dev and test photos,
    and English with Chinese or Arabic captions of one train photo, image features not read.
    """
    split_of = captions.read_splits(FOLDER / "images.tsv")
    train = {name: captions.read_flickr8k(FOLDER, name, split="train") for name in CODES}
    test = {name: captions.read_flickr8k(FOLDER, name, split="test") for name in CODES}
    if quick:
        few = {name for name, s in split_of.items() if s == "train"} - set(list(split_of)[400:])
        train = {name: [c for c in listed if c.item_id in few] for name, listed in train.items()}
    cache = VectorCache(folder / "texts")
    teacher = _teacher(folder, list(split_of), train[ENGLISH], cache=cache, quick=quick)
    shown = {
        part: [name for name, s in split_of.items() if s == part] for part in ("train", "test")
    }
    others = tuple(name for name in CODES if name != ENGLISH)
    return World(
        name="flickr8k",
        teacher=teacher,
        data=RetrievalData(
            task="flickr8k",
            item_ids=tuple(shown["test"]),
            captions=test,
            policy="first",
            splits={"test": np.ones(len(shown["test"]), bool)},
        ),
        contents=teacher.encode_items(shown["test"]),
        english=[caption.text for caption in train[ENGLISH]],
        parallel=_parallel(train, [name for name, s in split_of.items() if s != "train"]),
        image_text=image_text.join(
            [caption for listed in train.values() for caption in listed],
            item_ids=shown["train"],
            contents=teacher.encode_items(shown["train"]),
        ),
        groups={
            "others": others,
            "well": ("ces_Latn", "deu_Latn", "fra_Latn"),
            "low": ("arb_Arab", "zho_Hans"),
            "all": others,
            "English": (ENGLISH,),
        },
        folder=folder,
        cache=cache,
        quick=quick,
    )


def _parallel(train: dict[str, list[Caption]], forbidden: list[str]) -> list[Pair]:
    lines = multi30k_lines.read_multi30k(
        SHARED / "multi30k", "train", languages=["en", "de", "fr", "cs"]
    )
    kept = lines.leaving_out(forbidden)
    rows = np.sort(np.random.default_rng(0).permutation(len(kept.images))[:MOST_PAIRS])
    pairs = []
    for language in ("deu_Latn", "fra_Latn", "ces_Latn"):
        listed = kept.pairs(ENGLISH, language)
        pairs += [listed[row] for row in rows.tolist()]
    english = _first(train[ENGLISH])
    for language in ("zho_Hans", "arb_Arab"):
        own = _first(train[language])
        pairs += [
            Pair(english[name], ENGLISH, text, language)
            for name, text in list(own.items())[:MOST_PAIRS]
            if name in english
        ]
    return pairs


def _first(listed: list[Caption]) -> dict[str, str]:
    found: dict[str, str] = {}
    for caption in listed:
        found.setdefault(caption.item_id, caption.text)
    return found


def _teacher(
    folder: Path, names: list[str], english: list[Caption], *, cache: VectorCache, quick: bool
) -> DualEncoder:
    """The English-only model, from the folder where it was trained before."""
    path = folder / "model"
    if (path / MODEL_FILE).is_file():
        return DualEncoder.load(path)
    raw = np.load(FOLDER / "mobilenet_v2_pool.f16.npy").astype(np.float32)
    vectors = folder / "features"
    vectors.mkdir(parents=True, exist_ok=True)
    np.save(vectors / "vectors.npy", raw)
    atomic.write_text(vectors / "ids.txt", "\n".join(names) + "\n")
    reference = f"precomputed:{vectors.resolve()}?space=mobilenet-v2"
    photo_tower = load_tower(reference, modality="image")
    text_tower = load_tower(ENGLISH_TOWER, modality="text")
    texts = text_vectors(
        [caption.text for caption in english],
        text_tower,
        cache=cache,
        languages=[ENGLISH] * len(english),
    )
    row_of = {name: row for row, name in enumerate(names)}
    owners = np.array([row_of[caption.item_id] for caption in english])
    photo_head, text_head = _heads(raw, texts, owners, num_steps=15 if quick else TEACHER_STEPS)
    model = DualEncoder(
        Side(photo_tower, reference, photo_head), Side(text_tower, ENGLISH_TOWER, text_head), "x"
    )
    model.save(path)
    return DualEncoder.load(path)


def _heads(
    features: Vectors, texts: Vectors, owners: np.ndarray, *, num_steps: int
) -> tuple[affine.AffineMap, affine.AffineMap]:
    torch.manual_seed(0)
    both = [
        linear.LinearHead(vectors.shape[1], SPACE_WIDTH, num_layers=1)
        for vectors in (features, texts)
    ]
    left, right = (torch.from_numpy(unit(vectors)) for vectors in (features, texts))
    photo = torch.from_numpy(owners)

    def step(rows: torch.Tensor) -> Terms:
        shown = functional.normalize(both[0](left[photo[rows]]), dim=1)
        said = functional.normalize(both[1](right[rows]), dim=1)
        return clip.contrastive(shown, said, temperature=0.05, groups=photo[rows])

    training.fit(
        nn.ModuleList(both),
        step,
        batches=training.shuffled_batches(len(texts), batch_size=512, seed=0),
        config=training.TrainConfig(num_steps=num_steps, learning_rate=2e-3, schedule="cosine"),
        label="English-only model",
    )
    return both[0].fold(), both[1].fold()
