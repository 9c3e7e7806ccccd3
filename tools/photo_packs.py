"""Make the shipped language packs anew, for the photo models or for any CLIP, and measure each.

    python -m tools.photo_packs FLICKR8K OUT [--multi30k FOLDER] [--tatoeba FOLDER]
        [--class-names FOLDER] [--model MODEL ...] [--only NAME ...] [--page docs/packs.md]

FLICKR8K holds `images.tsv`, `captions.LANG.tsv` and the photos (`all-photos/`). OUT gets a folder a
pack; `src/polyglance/model/weights/packs` is where the shipped ones lie, and `--page` writes their
scores into the page that compares them. `--model hf:openai/clip-vit-base-patch32` makes packs for
that model by the same steps.

Recipes run as `polyglance train` runs them (`polyglance.recipes.run.train`). Dev photos choose who
answers in a language; test photos are measured once, and nothing is chosen on them.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import photo_pack, photo_world
from tools.photo_pack_texts import OTHERS, Texts

from polyglance import evaluation
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation import run as evaluations
from polyglance.languages.registry import ENGLISH
from polyglance.model import shipped
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import run as recipes
from polyglance.recipes import scoring
from polyglance.recipes.data import dev_sets, image_text
from polyglance.recipes.data.training_data import TrainingData
from polyglance.recipes.drift_adapter import ResidualMlpConfig
from polyglance.results import measured
from polyglance.storage import atomic
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import load_tower

TOWER = "packaged:multilingual-e5-small?runtime=onnx"
# Free of captions: packs of this model learn from class names and sentences.
WITHOUT_CAPTIONS = "photos-open"
RECIPES = {"photos": ("ridge", "m2m", "residual-mlp", "distill"), WITHOUT_CAPTIONS: ("ridge",)}
# A table of 8-bit n-grams: 24,000 rows of 128 are 3 MB.
DISTILL = replace(photo_pack.CONFIG, num_buckets=24_000, dim=128)
# Chosen on dev photos: `docs/log.md`.
RESIDUAL_MLP = ResidualMlpConfig(
    skip="ridge",
    hidden=1280,
    standardise=True,
    dropout=0.3,
    input_noise=0.7,
    num_epochs=30,
    batch_size=512,
    weight_decay=0.1,
)
CONFIGS: Mapping[str, Any] = {"distill": DISTILL, "residual-mlp": RESIDUAL_MLP}
BEGIN, END = "<!-- scores: begin -->", "<!-- scores: end -->"
RESEARCH = (
    "captions of Flickr8k and Multi30K, which their owners allow for research and education alone"
)


@dataclass(frozen=True, eq=False)
class Photos:
    """A model's vectors of dev and test photos, and what people say of them.

    Attributes:
        data: By split, the first caption of each photo in six languages.
        vectors: By split float32 (M, D), unit, in the order of the data's items.
    """

    data: Mapping[str, RetrievalData]
    vectors: Mapping[str, Any]


def photos_of(model: DualEncoder, texts: Texts) -> Photos:
    """Encode dev and test photos, each once, ever."""
    data, vectors = {}, {}
    for split in ("dev", "test"):
        names = tuple(texts.photos(split))
        there = set(names)
        asked = RetrievalData(
            task="flickr8k",
            item_ids=names,
            captions={
                language: [caption for caption in listed if caption.item_id in there]
                for language, listed in texts.captions.items()
            },
            policy="first",
            splits={split: np.ones(len(names), bool)},
        )
        found = evaluations.subset_at_hand(model, asked, images=texts.flickr8k / "all-photos")
        data[split], vectors[split] = found.data, found.vectors
    return Photos(data, vectors)


def material(recipe: str, model: str, texts: Texts) -> tuple[TrainingData, dict[str, Any]]:
    """What a recipe learns from, and what the card says of it."""
    if recipe == "distill":
        return TrainingData(parallel=texts.parallel()), {
            "learnt_from": "English captions and their translations or other captions of the same "
            "train photo; no photo was looked at",
            "licence_of_the_texts": RESEARCH,
        }
    if model == WITHOUT_CAPTIONS:
        english = [*texts.prompts(), *texts.english_sentences()]
        return TrainingData(english=english, unpaired=texts.sentences()), {
            "learnt_from": "English class names of ImageNet in sentences, and English sentences of "
            "Tatoeba; sentences of Tatoeba in other languages, unpaired, say where each lies",
            "licence_of_the_texts": "Tatoeba CC BY 2.0 FR; class names MIT; no caption",
        }
    return TrainingData(english=texts.english(), unpaired=texts.unpaired()), {
        "learnt_from": "English captions of train photos alone; captions in other languages, of "
        "other photos, say where each language lies",
        "licence_of_the_texts": RESEARCH,
    }


def make(
    recipe: str, model: DualEncoder, texts: Texts, *, tower: Side, photos: Photos, name: str
) -> LanguagePack:
    """Train a pack, choose who answers on dev photos, measure it on test photos."""
    # Where the photo models keep the vectors of their texts.
    cache = VectorCache(photo_world.kept_in() / "texts")
    data, facts = material(recipe, model.reference, texts)
    pack = recipes.train(
        recipe,
        data,
        teacher=model,
        config=CONFIGS.get(recipe),
        tower=None if recipe == "distill" else tower,
        cache=cache,
        dev=recipes.Dev(share=0),  # dev photos measure it
        about=facts,
    )
    pack = pack.rounded()
    dev = photos.data["dev"]
    asked = image_text.join(
        [caption for listed in dev.captions.values() for caption in listed],
        item_ids=dev.item_ids,
        contents=photos.vectors["dev"],
    )
    pack = scoring.with_scores(
        pack,
        [dev_sets.of_items(asked, pool=asked, note="first captions of the dev photos of Flickr8k")],
        teacher=model,
        unmeasured=list(pack.manifest.languages),
        cache=cache,
    )
    encoder = model.with_pack(pack)
    results = evaluation.evaluate(
        encoder,
        photos.data["test"],
        contents=photos.vectors["test"],
        name=model.reference,
        pack=name,
        model_id=evaluations.model_id(encoder),
        cache=cache,
    )
    return replace(pack, manifest=replace(pack.manifest, measured=measured.of_results(results)))


def name_of(model: str, recipe: str) -> str:
    """What the folder of a pack is called.

    >>> name_of("photos", "ridge"), name_of("hf:openai/clip-vit-base-patch32", "m2m")
    ('photos-ridge', 'openai-clip-vit-base-patch32-m2m')
    """
    short = re.sub(r"^\w+:", "", model).partition("?")[0].strip("/")
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', short)}-{recipe}"


def page_rows(folders: Sequence[Path]) -> list[str]:
    """The table of `docs/packs.md`: what the packs' own manifests say."""
    rows = [
        "| pack | MB | dim | en | zh | ar | de | fr | cs | mean of the five, of English |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for folder in folders:
        pack = LanguagePack.load(folder)
        spoken = pack.manifest.measured["flickr8k"]["languages"]
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shown = [
            f"{measured.cells(spoken[language])[-1]}" if language in spoken else "-"
            for language in (ENGLISH, *OTHERS)
        ]
        rates = [spoken[language]["hit_rate_at_10"][0] for language in OTHERS]
        mean = float(np.mean(rates))
        share = mean / spoken[ENGLISH]["hit_rate_at_10"][0]
        rows.append(
            f"| `{folder.name}` | {size / 1e6:.1f} | {pack.dim} | {' | '.join(shown)} | "
            f"{100 * mean:.1f}, {100 * share:.0f} % |"
        )
    return rows


def write_page(page: Path, out: Path) -> None:
    """Put the scores of the shipped packs between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    folders = [out / name for name in shipped.PACKS if (out / name / PACK_FILE).is_file()]
    table = "\n".join(page_rows(folders))
    atomic.write_text(page, f"{before}{BEGIN}\n{table}\n{END}{after}")


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("flickr8k", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--multi30k", type=Path, help="folder of task 1")
    parser.add_argument("--tatoeba", type=Path, help="folder of LASER's test sets")
    parser.add_argument("--class-names", type=Path, help="folder of en_classnames.json")
    parser.add_argument("--model", action="append", help="photos, photos-open; or any dual encoder")
    parser.add_argument("--tower", default=TOWER, help="multilingual, of ridge and m2m")
    parser.add_argument("--only", action="append", help="name of a pack, such as photos-ridge")
    parser.add_argument("--page", type=Path, help="page that compares the shipped packs")
    given = parser.parse_args(argv)
    if given.page is not None and BEGIN not in given.page.read_text(encoding="utf-8"):
        parser.error(f"{given.page} has no line {BEGIN}")
    return given


def main(argv: Sequence[str] | None = None, *, say: Callable[..., None] = print) -> None:
    """Make the packs."""
    given = parsed(argv)
    texts = Texts(given.flickr8k, given.multi30k, given.tatoeba, given.class_names)
    tower = Side(load_tower(given.tower, modality="text"), given.tower)
    for reference in given.model or list(RECIPES):
        wanted = [
            (recipe, name_of(reference, recipe))
            for recipe in RECIPES.get(reference, RECIPES["photos"])
            if not given.only or name_of(reference, recipe) in given.only
        ]
        if not wanted:
            continue
        model = DualEncoder.load(reference)
        photos = photos_of(model, texts)
        for recipe, name in wanted:
            started = time.perf_counter()
            pack = make(recipe, model, texts, tower=tower, photos=photos, name=name)
            pack.save(given.out / name)
            seconds = time.perf_counter() - started
            say(f"{name} in {seconds:.0f} s", flush=True)
            for language, scores in pack.manifest.measured["flickr8k"]["languages"].items():
                say(f"  {language}: {' | '.join(measured.cells(scores))}", flush=True)
    if given.page is not None:
        write_page(given.page, given.out)


if __name__ == "__main__":
    main()
