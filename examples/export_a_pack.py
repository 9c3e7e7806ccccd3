"""Export a pack: a folder that can go to a model hub, with a model card.

    python examples/export_a_pack.py [FOLDER]

The form `hub-folder` needs no extra. Others are `onnx`, `sentence-transformers` and `immich`: see
docs/export.md.
"""

import shapes

import polyglance
from polyglance.export import Order, export
from polyglance.recipes.distill.config import DistillConfig

folder = shapes.output_folder()

# A pack to export; train_a_pack.py explains it.
pack = polyglance.train(
    "distill",
    {"parallel": shapes.parallel_text()},
    teacher=shapes.save_model(folder / "model"),
    config=DistillConfig(ending="contrast", num_steps=100, batch_size=64, num_buckets=4096),
)

# The folder is written, loaded back and compared with the pack before it takes its place.
exported = export(Order(pack=pack, license="apache-2.0"), "hub-folder", out=folder / "exported")
for side, difference in exported.differences.items():
    print(f"{side} side: at most {difference:.1g} from the pack's own vectors")

# Whoever fetches the folder loads it as a pack.
again = polyglance.LanguagePack.load(exported.folder)
print(f"loaded back: {again.manifest.recipe} pack for {', '.join(again.manifest.languages)}")
print(f"files: {', '.join(sorted(path.name for path in exported.folder.iterdir()))}")
