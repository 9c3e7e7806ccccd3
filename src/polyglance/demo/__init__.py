"""The demo: from nothing to a search in a hundred languages, on pictograms.

An image tower that knows English names alone gets a hundred languages in three ways; each is
measured in every language on images by an artist that no training saw, and the best one answers
queries over an index of those images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyglance import __version__
from polyglance.demo import evaluation, output, towers
from polyglance.demo.evaluation import Bench
from polyglance.demo.stages import Stages
from polyglance.encoding import media
from polyglance.encoding.texts import VectorCache
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.new_pack import new_pack
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import m2m, ridge
from polyglance.recipes.data import english_text
from polyglance.search import index, indexing
from polyglance.sources import pictograms
from polyglance.tasks import retrieval_loaders
from polyglance.towers import Tower, load_tower

ENGLISH_TEXT_PACKS, CONTROL_FOLDER = ("ridge", "m2m"), "ridge-shuffled"


def run(out: Path, *, fresh: bool = False) -> dict[str, Any]:
    """Run every stage; what `out` holds already is taken up, not done again.

    Args:
        out: Folder of the results: `model/`, `pack/` (the best), `packs/`, `index/`,
            `results.jsonl`, `summary.json`, `report.html`.
        fresh: Retrain the towers that are shipped with polyglance.

    Returns:
        What `summary.json` holds.
    """
    stages = Stages()
    output.begin(out, world=output.PICTOGRAMS)
    with stages("fetch images and names"):
        world = pictograms.load_world()
    with stages("train three towers" if fresh else "load three towers"):
        trained = out / "towers" if (out / "towers").is_dir() or fresh else None
        if fresh:
            towers.train(world).save(out / "towers")
        three = towers.load(trained)
    with stages("index images"):
        model = english_model(three, out / "model")
        pictures = world.folder(pictograms.TEST_ARTIST)
        indexing.build(pictures, model=str(out / "model"), out=out / "index")
        bench = _bench(world, model, out)
    with stages("make language packs"):
        packs, control = _packs(bench, three, towers.english_texts(world), out)
    with stages("measure every language"):
        rows = evaluation.measure_all(bench, packs, control=control, out=out / "results.jsonl")
        chosen = evaluation.best_by_data(packs)  # on dev; nothing here looks at the rows
        english_only = next(name for name in chosen if name in ENGLISH_TEXT_PACKS)
        summary = output.summarise(rows, best=chosen[0], english_only=english_only)
        best = packs[summary["best_pack"]]
        best.save(out / "pack")
    with stages("answer five queries"):
        answers = output.ask_five(out / "index", best)
    with stages("write the report"):
        output.write_page(rows, packs=list(packs), summary=summary, stages=stages, out=out)
    output.write_summary(summary, seconds=stages.seconds, out=out)
    output.show(summary, answers, world.names[ENGLISH])
    output.show_next_steps(out)
    return summary


def english_model(three: towers.Towers, folder: Path) -> DualEncoder:
    """The English-only model, saved so that every command can name it."""
    english = load_tower(towers.ENGLISH_TOWER, modality="text")
    content = Side(three.image, "tiny:./image")
    model = DualEncoder(content, Side(english, towers.ENGLISH_TOWER), str(folder.resolve()))
    model.save(folder)
    return model


def _bench(world: pictograms.World, model: DualEncoder, out: Path) -> Bench:
    """Both artists' images encoded, once: the test artist's in the index, the other's beside."""
    test = retrieval_loaders.load_pictograms(None, None)
    seen = [concept.id for concept in world.concepts if not concept.held_out]
    dev = retrieval_loaders.pictograms_of(world, pictograms.TRAIN_ARTIST).only(
        seen, reason="held_out"
    )
    store = media.open_media_store(out / "dev-images", model.content.tower)
    media.embed_media(dev.media_files, model.content.tower, store=store)
    return Bench(
        teacher=model,
        test=test,
        test_contents=index.Index(out / "index").store.vectors(test.item_ids),
        dev=dev,
        dev_contents=model.items_from_raw(store.vectors(dev.item_ids)),
        cache=VectorCache(),
    )


def _packs(
    bench: Bench, three: towers.Towers, texts: list[str], out: Path
) -> tuple[dict[str, LanguagePack], LanguagePack]:
    """The distilled pack, the two from English text alone, and the control."""
    ranking = Side(three.ranking, "tiny:./tower")
    pairs = english_text.encode_pairs(
        texts, teacher=bench.teacher, tower=ranking, dev_fraction=0.1, seed=0, cache=bench.cache
    )
    ridge_config, m2m_config = ridge.RidgeConfig(), m2m.M2MConfig()

    def fitted(name: str) -> LanguagePack:
        wrong = english_text.shuffled(pairs, seed=0)
        chosen = wrong if name == CONTROL_FOLDER else pairs
        config = m2m_config if name == "m2m" else ridge_config
        found = m2m.fit(chosen, m2m_config) if name == "m2m" else ridge.fit(chosen, ridge_config)
        return english_text.make_pack(
            name,
            found,
            pairs=chosen,
            teacher=bench.teacher,
            tower=ranking,
            config=config,
        )

    packs = {}
    for name in ("distill", *ENGLISH_TEXT_PACKS):
        folder, tower = (
            out / "packs" / name,
            three.distilled if name == "distill" else ranking.tower,
        )
        kept = _kept_pack(folder, bench.teacher, tower)
        if kept is None:
            made = _distilled_pack(bench, three) if name == "distill" else fitted(name)
            kept = evaluation.with_dev_scores(made, bench)
            kept.save(folder)
        packs[name] = kept
    control = _kept_pack(out / "packs" / CONTROL_FOLDER, bench.teacher, ranking.tower)
    if control is None:
        control = fitted(CONTROL_FOLDER)
        control.save(out / "packs" / CONTROL_FOLDER)
    return packs, control


def _kept_pack(folder: Path, teacher: DualEncoder, tower: Tower) -> LanguagePack | None:
    """The pack of an earlier run, if it is by this version, for these very towers."""
    if not (folder / PACK_FILE).is_file():
        return None
    pack = LanguagePack.load(folder)
    found = pack.manifest
    same = (found.space_id, found.tower_fingerprint, found.polyglance_version) == (
        teacher.space_id,
        tower.fingerprint,
        __version__,
    )
    return pack if same else None


def _distilled_pack(bench: Bench, three: towers.Towers) -> LanguagePack:
    """The distilled tower is a pack as it is: it was trained into the teacher's text space."""
    return new_pack(
        "distill",
        Side(three.distilled, "tiny:./tower"),
        teacher=bench.teacher,
        data={"kind": "parallel text", "source": "CLDR names and keywords of seen concepts"},
        num_trainable_parameters=sum(t.size for t in three.distilled.tensors.values()),
    )
