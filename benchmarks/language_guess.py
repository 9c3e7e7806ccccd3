"""Is the language of a short query guessed well, and does it matter to what is found?

Queries to guess: labels of one to three words of Babel-ImageNet, in the languages that the
pictograms' pack was measured in, NUM_LABELS a language, fixed seed; those that the rules of
guessing were made on (another seed) are left out. Where the shared data is absent, names of
pictograms stand in, and the figures say so. The alternative is the detector
alone: all of its languages, the text as it is, a code with several ids here being the first.

Then names of pictograms are searched, over the pictures of the demo: with their true language, with
the first guess, and as a search does where no language is given (likely readings fused by rank).
The demo's folder is kept in the cache, since it takes minutes to make; POLYGLANCE_DEMO names
another one.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Criterion, Outcome, say, shared_data

from polyglance import errors
from polyglance.languages import detection
from polyglance.languages.registry import ENGLISH, get_language, normalise_language
from polyglance.search.queries import Query
from polyglance.search.searcher import Searcher, SearchRequest
from polyglance.sources import pictograms
from polyglance.storage import locations

SEED, RULES_SEED = 1, 0
NUM_LABELS = 40  # a language
NUM_NAMES, NUM_ENGLISH_NAMES = 10, 300
MAX_WORDS = 3
TOP = 10
# What a search without a language may lose against the true one, as a share of its R@10.
LEAST_KEPT = 0.95

Labelled = Sequence[tuple[str, str]]


def run() -> Outcome:
    """Guess labels, then search names."""
    folder = demo_folder()
    searcher = Searcher(folder / "index", packs=[folder / "pack"])
    languages = [row.language for row in searcher.languages()]
    world = pictograms.load_world()
    queries, source = labels(languages, world.names)
    say(f"  guessing {len(queries):,} {source}")
    guessing, seconds = {}, {}
    for name, guess in (("ours", ours), ("alternative", detector_alone)):
        guess("a", languages)  # loads the detector
        started = time.perf_counter()
        found = [guess(text, languages) for text, _ in queries]
        seconds[name] = (time.perf_counter() - started) / len(queries)
        guessing[name] = rates(found, [language for _, language in queries])
    names = sampled_names(world, languages)
    say(f"  searching {len(names):,} names in three ways")
    found_rates = retrieval(searcher, names)
    return Outcome(
        ratio=guessing["ours"]["top_1"] / guessing["alternative"]["top_1"],
        figures={
            "alternative": "py3langid alone, over all of its languages",
            "labels": source,
            "num_labels": len(queries),
            "num_languages": len({language for _, language in queries}),
            "guesses": {
                name: {key: round(value, 4) for key, value in each.items()}
                for name, each in guessing.items()
            },
            "milliseconds_a_guess": {k: round(1000 * v, 3) for k, v in seconds.items()},
            "num_names": len(names),
            "hit_rate_at_10": {
                who: {way: round(rate, 4) for way, rate in each.items()}
                for who, each in found_rates.items()
            },
        },
        others=tuple(
            Criterion(
                name=f"kept_of_hit_rate_{who}",
                value=each["no language given"] / each["true language"],
                target=LEAST_KEPT,
            )
            for who, each in found_rates.items()
        ),
    )


def demo_folder() -> Path:
    """A demo with its pack and index, made where there is none."""
    from polyglance import demo

    given = os.environ.get("POLYGLANCE_DEMO")
    folder = Path(given) if given else locations.cache_folder() / "language-guess"
    if not (folder / "summary.json").exists():
        say("  running the demo, once")
        demo.run(folder)
    return folder


def labels(
    languages: Sequence[str], names: Mapping[str, Mapping[str, str]]
) -> tuple[Labelled, str]:
    """Short labels with their language, and what they are."""
    data = shared_data()
    path = data / "babel_imagenet" / "babel_imagenet-298.json"
    by_language: dict[str, list[str]] = {}
    source = "pictogram names (the Babel-ImageNet file is not here)"
    if path.is_file():
        source = "Babel-ImageNet labels"
        for code, (_, listed) in json.loads(path.read_text(encoding="utf-8")).items():
            try:
                language = normalise_language(code, dataset="babel-imagenet")
            except errors.LanguageError:
                continue
            if language in languages:
                by_language[language] = listed
    else:
        by_language = {language: list(names[language].values()) for language in languages}
    short = {
        language: sorted({text for text in listed if is_short(text)})
        for language, listed in sorted(by_language.items())
    }
    seen = {language: set(chosen) for language, chosen in drawn(short, seed=RULES_SEED).items()}
    unseen = {
        language: [text for text in listed if text not in seen[language]]
        for language, listed in short.items()
    }
    chosen = drawn(unseen, seed=SEED)
    return [(text, language) for language, texts in chosen.items() for text in texts], source


def drawn(texts: Mapping[str, Sequence[str]], *, seed: int) -> dict[str, list[str]]:
    """Up to NUM_LABELS texts of each language."""
    draw = random.Random(seed)
    return {
        language: draw.sample(listed, min(NUM_LABELS, len(listed)))
        for language, listed in texts.items()
    }


def is_short(text: str) -> bool:
    """Whether it has one to three words."""
    return 1 <= len(text.split()) <= MAX_WORDS


def ours(text: str, languages: Sequence[str]) -> list[str]:
    """The guesses of a search, best first."""
    return [one.language for one in detection.guess(text, languages=languages)]


def detector_alone(text: str, languages: Sequence[str]) -> list[str]:
    """The detector's guesses; a code without a language here stands for itself."""
    by_code: dict[str, str] = {}
    for language in languages:
        row = get_language(language)
        for code in (row.iso639_1, row.iso639_3):
            if code is not None:
                by_code.setdefault(code, language)
    return [by_code.get(code, code) for code, _ in detection.detector().rank(text)]


def rates(found: Sequence[Sequence[str]], right: Sequence[str]) -> dict[str, float]:
    """How often the right language comes first, and among the first three."""
    pairs = list(zip(found, right, strict=True))
    return {
        f"top_{k}": sum(language in listed[:k] for listed, language in pairs) / len(pairs)
        for k in (1, 3)
    }


def sampled_names(world: pictograms.World, languages: Sequence[str]) -> list[tuple[str, str, str]]:
    """Short names as (text, language, id of the picture)."""
    draw = random.Random(SEED)
    found = []
    for language in sorted(set(languages) & set(world.names)):
        short = sorted((text, i) for i, text in world.names[language].items() if is_short(text))
        count = NUM_ENGLISH_NAMES if language == ENGLISH else NUM_NAMES
        chosen = draw.sample(short, min(count, len(short)))
        found += [(text, language, identity) for text, identity in chosen]
    return found


def retrieval(
    searcher: Searcher, names: Sequence[tuple[str, str, str]]
) -> dict[str, dict[str, float]]:
    """Hit rates at 10 of English and of the mean other language, by what was known."""
    known: dict[str, Any] = {
        "true language": lambda text, language: language,
        "first guess": lambda text, language: next(
            iter(ours(text, [row.language for row in searcher.languages()])), None
        ),
        "no language given": lambda text, language: None,
    }
    found: dict[str, dict[str, float]] = {"english": {}, "others": {}}
    for way, language_of in known.items():
        answers = searcher.search_many(
            [
                SearchRequest(
                    query=Query.of_text(text), top=TOP, language=language_of(text, language)
                )
                for text, language, _ in names
            ]
        )
        hits = defaultdict(list)
        for answer, (_, language, identity) in zip(answers, names, strict=True):
            hits[language].append(identity in [hit.id for hit in answer.hits])
        means = {language: sum(each) / len(each) for language, each in hits.items()}
        found["english"][way] = means.pop(ENGLISH)
        found["others"][way] = sum(means.values()) / len(means)
    return found
