"""A pack as a folder for a model hub, with nothing left behind on this disk.

    pack.json, head.safetensors      as they were
    tower/                           the text tower, where its reference was a folder of this disk
    README.md                        metadata as hubs read it, scores by language and task

`huggingface_hub.upload_folder(repo_id=..., folder_path=...)` brings it there; nothing here does.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from polyglance.export.request import PROBES, Order, Written, difference
from polyglance.languages.registry import ENGLISH
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.model.side import SpaceTower
from polyglance.storage import atomic, manifests
from polyglance.towers import TowerReference, parse_reference
from polyglance.towers.trainable import tuned, tuned_images

# What a tower's folder is brought with; no pickles, no code.
SUFFIXES = (".json", ".safetensors", ".txt", ".model", ".jinja")
USAGE = """
```bash
polyglance search 'a question' --language fr --index INDEX --pack OWNER/NAME
```

```python
import polyglance

pack = polyglance.LanguagePack.load("OWNER/NAME")
```
"""


def write(order: Order, folder: Path) -> Written:
    """Save the pack with the towers it names by a path, and load it back.

    Raises:
        ExportError: Where what is loaded back gives other vectors.
    """
    order.refuse_language("a pack that is kept whole")
    order.pack.save(folder)
    manifest = folder / PACK_FILE
    facts = atomic.read_json(manifest)
    brought = {
        name: _bring(facts[name], folder, place=place)
        for name, place in (("tower", "tower"), ("content_tower", "image"))
        if facts[name]
    }
    manifests.change_manifest(manifest, brought)
    return Written(differences={"text": _check(order, folder)}, usage=USAGE)


def _bring(reference: str, folder: Path, *, place: str) -> str:
    """Copy what a reference names by a path into `folder`, and give the reference from there.

    Args:
        reference: Of a tower.
        folder: The folder that refers to it.
        place: The name it gets there.
    """
    parsed = parse_reference(reference)
    inside = parsed.location.startswith("./")
    at = folder / parsed.location if inside else folder / place
    source = Path(parsed.location).expanduser()
    # A packaged tower's name is no path, whatever lies beside.
    if not inside and (parsed.library == "packaged" or not source.is_dir()):
        return reference
    if not inside:
        _copy(source, at)
    for manifest in (at / tuned.MANIFEST, at / tuned_images.MANIFEST):
        if manifest.is_file():
            _bring_base(manifest)
    if inside:
        return reference
    # The device is the machine's, not the pack's.
    options = {name: value for name, value in parsed.options.items() if name != "device"}
    return str(TowerReference(parsed.library, f"./{place}", options))


def _bring_base(manifest: Path) -> None:
    """The base of a tuned tower, too."""
    facts: dict[str, Any] = atomic.read_json(manifest)
    if "base" in facts:
        base = _bring(facts["base"], manifest.parent, place=tuned.INNER_BASE)
        manifests.change_manifest(manifest, {"base": base})


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix in SUFFIXES:
            there = target / path.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, there)


def _check(order: Order, folder: Path) -> float:
    # Languages with parts of their own take turns, so that each part is read.
    spoken = [ENGLISH, *order.languages_apart, *order.pack.manifest.language_means]
    languages = [spoken[row % len(spoken)] for row in range(len(PROBES))]
    before, after = (
        SpaceTower(pack.side).encode(PROBES, languages=languages)
        for pack in (order.pack, LanguagePack.load(folder))
    )
    return difference(after, before, what="pack, loaded back,")
