"""A captioned set of pictures in the form of Flickr8k, made of the small world."""

import small_world

CODES = {"en": "eng_Latn", "de": "deu_Latn", "hi": "hin_Deva", "ar": "arb_Arab"}
SPLITS = ("train", "train", "train", "dev", "test", "test")


def split_of(number):
    return SPLITS[number % len(SPLITS)]


def name_of(phrase):
    return f"{phrase.replace(' ', '-')}.png"


def write(folder, *, inside="all-photos"):
    """Pictures of every phrase with captions in four languages; two English ones a picture."""
    photos = folder / inside
    photos.mkdir(parents=True)
    phrases = small_world.PHRASES
    for phrase in phrases:
        small_world.draw(phrase, seed=99).save(photos / name_of(phrase))
    rows = [f"{name_of(phrase)}\t{split_of(n)}" for n, phrase in enumerate(phrases)]
    (folder / "images.tsv").write_text("\n".join(["image\tsplit", *rows]) + "\n", "utf-8")
    for code, language in CODES.items():
        lines = ["image\tcaption"]
        for phrase in phrases:
            said = small_world.translate(phrase, language)
            lines += [f"{name_of(phrase)}\t{said}"]
            lines += [f"{name_of(phrase)}\tthe {said}"] if code == "en" else []
        (folder / f"captions.{code}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder
