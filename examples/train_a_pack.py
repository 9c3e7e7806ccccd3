"""Train a language pack: a model learns Esperanto from 54 translated phrases.

    python examples/train_a_pack.py [FOLDER]

Takes seconds. FOLDER gets the model and the pack.
"""

import shapes

import polyglance
from polyglance.recipes.distill.config import DistillConfig

folder = shapes.output_folder()

# The teacher speaks 106 languages, and no Esperanto. It stays as it is.
model = shapes.save_model(folder / "model")

# `distill` trains a small text tower that gives a translation the teacher's vector of the English
# text. The defaults of its config suit a hundred thousand texts; these suit fifty.
pack = polyglance.train(
    "distill",
    {"parallel": shapes.parallel_text()},
    teacher=model,
    config=DistillConfig(ending="contrast", num_steps=200, batch_size=64, num_buckets=4096),
)
pack.save(folder / "pack")

# Some phrases were held out: they were never learnt from, and they measure the pack. In each
# language the better one of pack and teacher answers from now on.
for language, score in pack.manifest.languages.items():
    print(
        f"{language}: teacher {score.teacher:.0%}, pack {score.pack:.0%} of {score.num_queries} "
        f"held-out phrases in the first ten; the {score.speaks} answers"
    )

# On the model, the pack is one more text side. English vectors do not change.
teacher = polyglance.DualEncoder.load(model)
both = teacher.with_pack(polyglance.LanguagePack.load(folder / "pack"))
english = teacher.encode_texts(["red heart"], languages=["eng_Latn"])
for name, encoder in (("without", teacher), ("with", both)):
    esperanto = encoder.encode_texts(["ruĝa koro"], languages=["epo_Latn"])
    cosine = (english @ esperanto.T)[0, 0]
    print(f"cosine of 'red heart' and 'ruĝa koro' {name} the pack: {cosine:.2f}")

print(f"the pack is in {folder / 'pack'}")
