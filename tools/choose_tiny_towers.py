"""Choose settings of the shipped pictogram towers on drawings that neither training nor test has.

    python tools/choose_tiny_towers.py FOLDER

Training sees Google's drawings and the demo reports on Twitter's; here a third artist's
(`emoji-datasource-facebook`, fetched with the npm client) decide on the image tower's distortions
and steps, and on the sharpness of the distilled text tower. Concepts held out take no part. Each
trained tower is kept in FOLDER, so that a stopped run goes on; a line of JSON a figure.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from polyglance.demo import towers
from polyglance.languages.registry import ENGLISH
from polyglance.recipes.distill.recipe import DistillConfig
from polyglance.recipes.tiny_image import TinyImageConfig
from polyglance.sources import pictograms
from polyglance.towers import load_tower
from polyglance.towers.tiny.tower import TinyImageTower, TinyTextTower
from polyglance.vectors import Vectors, unit

PACKAGE, VERSION = "emoji-datasource-facebook", "16.0.0"
SHA256 = "017038cf5a4e7fcf03dd9133cbed43d4c281c4b3ce7b927c7160261b92b8821e"
PICTURES = "package/img/facebook/64/"
DISTORTIONS = (0.5, 1.0)
STEPS = (300, 2000)
SHARPNESS = (0.8, 1.0, 1.3, 1.7, 2.2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dev:
    """What decides.

    Attributes:
        world: Names of the concepts.
        ids: N concepts that the third artist drew and that are not held out.
        images: Their drawings, RGB on white.
    """

    world: pictograms.World
    ids: list[str]
    images: list[Image.Image]

    def recall(self, contents: Vectors, names: Vectors, ids: list[str]) -> dict[str, float]:
        """R@1, 5 and 10 in per cent: drawings (N, D) found by the names of some concepts."""
        row_of = {each: row for row, each in enumerate(self.ids)}
        right = np.array([row_of[each] for each in ids])
        scores = names @ contents.T
        ranks = (scores > scores[np.arange(len(right)), right][:, None]).sum(1)
        return {f"recall@{k}": round(100 * float((ranks < k).mean()), 2) for k in (1, 5, 10)}


def dev_of(world: pictograms.World, folder: Path) -> Dev:
    """The third artist's drawings, fetched once."""
    archive = folder / f"{PACKAGE}-{VERSION}.tgz"
    if not archive.is_file():
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{archive} is not the package that was recorded")
    wanted = {concept.id for concept in world.concepts if not concept.held_out}
    drawn: dict[str, Image.Image] = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.removeprefix(PICTURES)
            if member.name.startswith(PICTURES) and name in wanted:
                picture = Image.open(opened.extractfile(member)).convert("RGBA")
                white = Image.new("RGBA", picture.size, "white")
                drawn[name] = Image.alpha_composite(white, picture).convert("RGB")
    ids = [concept.id for concept in world.concepts if concept.id in drawn]
    return Dev(world=world, ids=ids, images=[drawn[each] for each in ids])


def image_tower(
    config: TinyImageConfig, *, world: pictograms.World, folder: Path
) -> TinyImageTower:
    """Train with these settings, or read what an earlier run trained, or what is shipped."""
    if config == TinyImageConfig():
        return towers.load(None).image
    named = hashlib.blake2b(json.dumps(asdict(config)).encode(), digest_size=8).hexdigest()
    if not (where := folder / named).is_dir():
        english = load_tower(towers.ENGLISH_TOWER, modality="text")
        towers.train_image(world, english, config).save(where)
    found = load_tower(f"tiny:{where}", modality="image")
    assert isinstance(found, TinyImageTower)
    return found


def image_figures(dev: Dev, folder: Path) -> Iterator[dict[str, object]]:
    """Every distortion with every number of steps: few steps alone would choose another one."""
    english = load_tower(towers.ENGLISH_TOWER, modality="text")
    names = unit(english.encode([dev.world.names[ENGLISH][each] for each in dev.ids]))

    def tried(config: TinyImageConfig) -> dict[str, object]:
        started = time.process_time()
        tower = image_tower(config, world=dev.world, folder=folder)
        seconds = round(time.process_time() - started)
        about = {"distortion": config.distortion, "num_steps": config.num_steps}
        contents = unit(tower.encode(dev.images))
        return {**about, **dev.recall(contents, names, dev.ids), "seconds": seconds}

    for num_steps, distortion in itertools.product(STEPS, DISTORTIONS):
        yield tried(TinyImageConfig(num_steps=num_steps, distortion=distortion))


def text_figures(dev: Dev) -> Iterator[dict[str, object]]:
    """Sharpness of the shipped distilled tower: mean R@10 over the languages but English."""
    shipped = towers.load(None)
    contents = unit(shipped.image.encode(dev.images))
    for sharpness in SHARPNESS:
        factor = np.float32(sharpness / DistillConfig().sharpness)
        tensors = dict(shipped.distilled.tensors)
        tensors["keys_scale"] = tensors["keys_scale"] * factor
        tensors["bias"] = tensors["bias"] * factor
        tower = TinyTextTower(tensors, ending=shipped.distilled.ending)
        recalls = []
        for language, named in dev.world.names.items():
            if language != ENGLISH:
                ids = [each for each in dev.ids if each in named]
                texts = unit(tower.encode([named[each] for each in ids]))
                recalls.append(dev.recall(contents, texts, ids)["recall@10"])
        yield {"sharpness": sharpness, "mean_recall@10": round(float(np.mean(recalls)), 2)}


def main() -> None:
    """Print every figure."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    dev = dev_of(pictograms.load_world(), folder)
    for found in itertools.chain(text_figures(dev), image_figures(dev, folder)):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
