"""The comparison of recipes in the world of the demo, held in memory without any files.

Languages are few, so that every recipe trains in seconds on two cores; the captions, the parallel
text and the banks hold the same names, so that only what a recipe makes of them differs. Images
to learn from are one artist's, images to find the other's; held-out concepts are in none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from polyglance import errors
from polyglance.compare import ComparisonSetup, Translator
from polyglance.demo import english_model, towers
from polyglance.encoding import media, texts
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.data import held_out, image_text, pseudo_pairs
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Caption
from polyglance.sources import pictograms
from polyglance.storage.store import Store
from polyglance.tasks import leakage, retrieval_loaders
from polyglance.tasks.retrieval import RetrievalData
from polyglance.vectors import Vectors

# Twelve languages in eight scripts, with much text on the web and with little.
LANGUAGES = (
    ENGLISH,
    "arb_Arab",
    "deu_Latn",
    "fin_Latn",
    "fra_Latn",
    "hin_Deva",
    "jpn_Jpan",
    "rus_Cyrl",
    "spa_Latn",
    "swh_Latn",
    "tam_Taml",
    "zho_Hans",
)


# A transformer learns names slowly: one epoch over eleven languages takes four processor minutes.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "babel-adapter": {"num_epochs": "1", "batch_size": "16", "learning_rate": "5e-3"}
}


def pictograms_comparison(
    out: Path,
    *,
    languages: Sequence[str] | None,
    seeds: Sequence[int],
    settings: Mapping[str, Mapping[str, str]],
    translator: Translator | None = None,
) -> ComparisonSetup:
    """Model, task and training_data of the pictograms.

    Args:
        out: Folder of the comparison; the English-only model is written into it.
        languages: Which ones beside English; None takes twelve.
        seeds: Of each recipe.
        settings: By recipe, fields of its config as text, over `SETTINGS`.
        translator: Texts of a language to English.

    Raises:
        LanguageError: For a language that the pictograms lack; nothing is written then.
    """
    chosen = list(dict.fromkeys([ENGLISH, *(languages or LANGUAGES)]))
    world = pictograms.load_world()
    data = retrieval_loaders.pictograms_of(world, pictograms.TEST_ARTIST)
    if lacking := [name for name in chosen if name not in data.captions]:
        raise errors.LanguageError(
            f"the pictograms have no names in {', '.join(lacking)}; they have them in "
            f"{', '.join(sorted(data.captions))}",
            hint="leave those out, or compare on a task of your own: --model MODEL --task TASK",
        )
    three = towers.load(None)
    teacher = english_model(three, out / "model")
    data = replace(data, captions={name: data.captions[name] for name in chosen})
    # Names of seen concepts are learnt and tested by design; held-out ones are in no training.
    screened = leakage.screen(
        _training_data(world, teacher, chosen, out),
        [leakage.of_task(data, modality=teacher.content.tower.modality)],
        policy="allow",
    )
    return ComparisonSetup(
        teacher=teacher,
        data=_with_fitted_as_seen(data, screened.training_data),
        contents=_contents(teacher, data, _encoded(teacher, data, out / "test-images")),
        training_data=screened.training_data,
        leakage=screened.facts,
        tower=Side(three.ranking, "tiny:pictograms-ranking"),
        seeds=seeds,
        out=out,
        settings={
            name: {**SETTINGS.get(name, {}), **settings.get(name, {})}
            for name in {*SETTINGS, *settings}
        },
        cache=texts.VectorCache(),
        translator=translator,
    )


def _with_fitted_as_seen(data: RetrievalData, training_data: TrainingData) -> RetrievalData:
    """The task without those concepts as seen that every pack holds out to measure itself."""
    fit = held_out.split(training_data).fit.image_text
    fitted = set(fit.item_ids if fit is not None else ())
    among = np.array([item_id in fitted for item_id in data.item_ids], bool)
    return replace(data, splits={**data.splits, "seen": data.splits["seen"] & among})


def _training_data(
    world: pictograms.World, teacher: DualEncoder, languages: Sequence[str], out: Path
) -> TrainingData:
    """Names of the seen concepts in every form that a recipe learns from."""
    pairs, related = towers.name_pairs(world)
    seen = [concept.id for concept in world.concepts if not concept.held_out]
    drawn = retrieval_loaders.pictograms_of(world, pictograms.TRAIN_ARTIST).only(
        seen, reason="held_out"
    )
    store = _encoded(teacher, drawn, out / "train-images")
    contents, keys = _contents(teacher, drawn, store), store.keys(drawn.item_ids)
    names = {
        name: [Caption(i, text, name) for i, text in world.names[name].items() if i in set(seen)]
        for name in languages
    }
    captions = [caption for listed in names.values() for caption in listed]
    others = [caption for caption in captions if caption.language != ENGLISH]
    return TrainingData(
        english=towers.english_texts(world),
        parallel=[pair for pair in pairs if pair.language_b in languages],
        related=[pair for pair in related if pair.language_b in languages],
        image_text=image_text.join(
            captions, item_ids=drawn.item_ids, contents=contents, content_keys=keys
        ),
        banks=pseudo_pairs.Banks(
            contents, [c.text for c in others], [c.language for c in others], keys
        ),
    )


def _encoded(teacher: DualEncoder, data: RetrievalData, folder: Path) -> Store:
    """One artist's images, encoded once."""
    store = media.open_media_store(folder, teacher.content.tower)
    media.embed_media(data.media_files, teacher.content.tower, store=store)
    return store


def _contents(teacher: DualEncoder, data: RetrievalData, store: Store) -> Vectors:
    """Their vectors in the space."""
    return teacher.items_from_raw(store.vectors(data.item_ids))
