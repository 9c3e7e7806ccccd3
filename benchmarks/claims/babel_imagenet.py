"""What do Babel-ImageNet's claims compare? Adapters by objective; numbers of classes; prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
from benchmarks.claims import m2m as m2m_arms
from benchmarks.claims.arms import BOTH, Arm
from benchmarks.claims.scores import DECIMALS, Ran
from benchmarks.claims.worlds import World
from benchmarks.real_pairs import SHARED

from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import babel_adapter, m2m
from polyglance.recipes.babel_adapter import BabelAdapterConfig
from polyglance.recipes.data import english_text
from polyglance.recipes.data.image_text import ImageText
from polyglance.recipes.distill import recipe
from polyglance.recipes.distill.config import DistillConfig
from polyglance.records import Pair
from polyglance.vectors import Vectors, unit

# The model before adaptation: the English sentence encoder, trained whole on all names in the
# languages that it is to have. The adapters then see a small sample, as in the paper.
BASE = DistillConfig(trunk_epochs=2)
NUM_SAMPLED = 250
ADAPTER = BabelAdapterConfig(num_epochs=6, batch_size=64)

CLASS_COUNTS = (50, 100, 200, 400, 800)
NUM_REPEATS = 5
PROMPT_FILE = SHARED / "babel_imagenet" / "nllb_dist13b_prompts.json"
TEMPLATE_STEP = 4
PROMPT_CODES = {
    "arb_Arab": "AR",
    "deu_Latn": "DE",
    "fin_Latn": "FI",
    "fra_Latn": "FR",
    "hin_Deva": "HI",
    "jpn_Jpan": "JA",
    "rus_Cyrl": "RU",
    "spa_Latn": "ES",
    "swh_Latn": "SW",
    "tam_Taml": "TA",
    "zho_Hans": "ZH",
}


def _spoken(world: World) -> tuple[str, ...]:
    return (*world.groups["model has"], *world.groups["model lacks"])


def _sampled(world: World, seed: int) -> ImageText:
    rows = np.random.default_rng(seed).permutation(len(world.image_text.item_ids))
    part = world.image_text.take(np.sort(rows[: 40 if world.quick else NUM_SAMPLED]))
    return part.speaking(ENGLISH, *_spoken(world))


def _pairs(data: ImageText, languages: Sequence[str]) -> list[Pair]:
    english = {c.item_id: c.text for c in reversed(data.captions) if c.language == ENGLISH}
    return [
        Pair(english[c.item_id], ENGLISH, c.text, c.language)
        for c in data.captions
        if c.language in languages and c.item_id in english
    ]


def _base(world: World) -> Side:
    """The model before adaptation, trained once."""
    epochs = 1 if world.quick else BASE.trunk_epochs
    folder = world.folder / f"adapter-base-{epochs}"
    if not (folder / PACK_FILE).is_file():
        data = world.image_text
        if world.quick:
            data = data.take(np.arange(60))
        pack = recipe.train(
            _pairs(data, world.groups["model has"]),
            teacher=world.teacher,
            config=replace(BASE, trunk_epochs=epochs),
            tower=world.teacher.text,
            cache=world.cache,
        )
        pack.save(folder)
    return LanguagePack.load(folder).side


def _unadapted(world: World, seed: int) -> Ran:
    del seed
    return world.hits(_base(world), languages=_spoken(world))


def _adapted(config: BabelAdapterConfig) -> Callable[[World, int], Ran]:
    def run(world: World, seed: int) -> Ran:
        data = _sampled(world, seed)
        pack = babel_adapter.train(
            _pairs(data, _spoken(world)),
            teacher=world.teacher,
            config=replace(config, seed=seed, num_epochs=world.steps(config.num_epochs)),
            tower=_base(world),
            image_text=data,
            cache=world.cache,
        )
        return world.hits_of_pack(pack, languages=_spoken(world))

    return run


def _among(count: int) -> Callable[[World, int], Ran]:
    """Each picture classified among `count` classes, drawn anew five times: English, no prompt."""

    def run(world: World, seed: int) -> Ran:
        random = np.random.default_rng(seed)
        first = {c.item_id: c.text for c in reversed(world.data.captions[ENGLISH])}
        rows = np.array([i for i, name in enumerate(world.data.item_ids) if name in first])
        texts = [first[world.data.item_ids[row]] for row in rows.tolist()]
        named = world.teacher.encode_texts(
            texts, languages=[ENGLISH] * len(texts), cache=world.cache
        )
        contents = world.contents[rows]
        right, tried = np.zeros(len(rows)), np.zeros(len(rows))
        for _ in range(NUM_REPEATS):
            order = random.permutation(len(rows))
            for start in range(0, len(order) - count + 1, count):
                block = order[start : start + count]
                right[block] += retrieval.hit_rates_at_k(
                    contents[block], named[block], relevance=np.arange(count), ks=(1,)
                )[1]
                tried[block] += 1
        share = {
            int(row): round(float(r / t), DECIMALS)
            for row, r, t in zip(rows, right, tried, strict=True)
            if t
        }
        found = {
            split: {ENGLISH: [share.get(int(i)) for i in world.members(split)]}
            for split in world.data.splits
        }
        return Ran(hits={"content_to_text": found})

    return run


def _prompted(kind: str) -> Callable[[World, int], Ran]:
    """Pictures classified among all names asked for, with the m2m map behind the wide tower."""

    def run(world: World, seed: int) -> Ran:
        tower = world.tower("others", frozen=True)
        if ("m2m", seed) not in world.kept:
            pairs = english_text.encode_pairs(
                world.english,
                teacher=world.teacher,
                tower=tower,
                dev_fraction=0.1,
                seed=seed,
                cache=world.cache,
            )
            epochs = -(-world.steps(m2m_arms.NUM_STEPS) // -(-len(pairs.x) // 128))
            config = replace(m2m_arms.CONFIG, seed=seed, num_epochs=epochs)
            world.kept["m2m", seed] = m2m.fit(pairs, config).map
        side = Side(tower.tower, tower.reference, world.kept["m2m", seed], "unit")
        templates = json.loads(PROMPT_FILE.read_text(encoding="utf-8"))
        found: dict[str, dict[str, list[float | None]]] = {}
        for language, code in PROMPT_CODES.items():
            chosen = {"label": ["{}"], "English": templates["EN"], "own": templates[code]}[kind]
            for split in world.data.splits:
                found.setdefault(split, {})[language] = _accuracy(
                    world, side, language=language, templates=chosen[::TEMPLATE_STEP], split=split
                )
        return Ran(hits={"content_to_text": found})

    return run


def _accuracy(
    world: World, side: Side, *, language: str, templates: Sequence[str], split: str
) -> list[float | None]:
    """Whether each picture of a split is nearest its own name among the names of the split."""
    name = {c.item_id: c.text for c in world.data.captions[language]}
    members = world.members(split)
    named = [int(i) for i in members if world.data.item_ids[i] in name]
    total: Vectors = np.zeros((len(named), side.dim), np.float32)
    for template in templates:
        said = [template.replace("{}", name[world.data.item_ids[i]]) for i in named]
        total += unit(side.through_head(side.tower.encode(said)))
    hits = retrieval.hit_rates_at_k(
        world.contents[named], unit(total), relevance=np.arange(len(named)), ks=(1,)
    )[1]
    right = dict(zip(named, hits, strict=True))
    return [round(float(right[int(i)]), DECIMALS) if int(i) in right else None for i in members]


def _adapter_arm(name: str, says: str, config: BabelAdapterConfig) -> Arm:
    settings = {**asdict(config), "base": asdict(BASE), "num_sampled": NUM_SAMPLED}
    return Arm(name=name, says=says, run=_adapted(config), settings=settings, data=("pictograms",))


ARMS = (
    Arm(
        name="unadapted",
        says="the model before adaptation: it has German and French, not Finnish and Swahili",
        run=_unadapted,
        settings={"base": asdict(BASE)},
        data=("pictograms",),
        seeded=False,
    ),
    _adapter_arm("adapters-mse", "adapters by squared error", ADAPTER),
    _adapter_arm(
        "adapters-contrastive", "by text contrast", replace(ADAPTER, objective="contrastive")
    ),
    _adapter_arm("adapters-lit", "by contrast with pictures", replace(ADAPTER, objective="lit")),
    _adapter_arm(
        "adapters-lit+mse",
        "by contrast with pictures and squared error together",
        replace(ADAPTER, objective="lit+mse"),
    ),
    _adapter_arm(
        "adapters-simcse",
        "by SimCSE: captions find themselves, seen twice under dropout",
        replace(ADAPTER, objective="simcse"),
    ),
    *(
        Arm(
            name=f"classes-{count}",
            says=f"English teacher, {count} classes",
            run=_among(count),
            settings={"repeats": NUM_REPEATS},
            data=BOTH,
        )
        for count in CLASS_COUNTS
    ),
    *(
        Arm(
            name=f"prompts-{kind.lower()}",
            says=says,
            run=_prompted(kind),
            settings={**asdict(m2m_arms.CONFIG), "templates": f"every {TEMPLATE_STEP}th of 80"},
            data=("pictograms",),
        )
        for kind, says in (
            ("label", "m2m pack, names alone"),
            ("English", "m2m pack, names in English prompts"),
            ("own", "m2m pack, names in prompts translated by machine"),
        )
    ),
)
