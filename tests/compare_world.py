"""A comparison of recipes in the small world, with settings that train in a second."""

import numpy as np

import small_world
from polyglance import compare
from polyglance.languages.registry import ENGLISH
from polyglance.model.side import Side
from polyglance.recipes.data import image_text, pseudo_pairs
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Pair
from polyglance.tasks.retrieval import RetrievalData

SETTINGS = {
    "distill": {"num_buckets": "4000", "dim": "32", "num_steps": "50", "batch_size": "256"},
    "uclip": {"dim": "32", "least_steps": "60", "batch_size": "32", "noise": "0.03"},
}


def retrieval_data():
    ids = tuple(f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES)
    return RetrievalData(
        task="shapes",
        item_ids=ids,
        captions={name: small_world.captions(name) for name in (ENGLISH, *small_world.LANGUAGES)},
        policy="first",
        splits={"test": np.ones(len(ids), bool)},
    )


def training_data(teacher):
    drawn = teacher.encode_items([small_world.draw(p, seed=1) for p in small_world.PHRASES])
    captions = [c for name in (ENGLISH, *small_world.LANGUAGES) for c in small_world.captions(name)]
    others = [caption for caption in captions if caption.language != ENGLISH]
    return TrainingData(
        english=small_world.PHRASES,
        parallel=[
            Pair(phrase, ENGLISH, small_world.translate(phrase, name), name)
            for phrase in small_world.PHRASES
            for name in small_world.LANGUAGES
        ],
        image_text=image_text.join(captions, item_ids=retrieval_data().item_ids, contents=drawn),
        banks=pseudo_pairs.Banks(drawn, [c.text for c in others], [c.language for c in others]),
    )


def translate(texts, language):
    return [" ".join(small_world.MEANING[word] for word in text.split()) for text in texts]


def setup(teacher, out, **changes):
    shared = {
        "teacher": teacher,
        "data": retrieval_data(),
        "contents": teacher.encode_items(
            [small_world.draw(p, seed=99) for p in small_world.PHRASES]
        ),
        "training_data": training_data(teacher),
        "tower": Side(small_world.load_reference("fake:multilingual"), "fake:multilingual"),
        "seeds": (0, 1),
        "out": out,
        "settings": SETTINGS,
    }
    return compare.ComparisonSetup(**(shared | changes))
