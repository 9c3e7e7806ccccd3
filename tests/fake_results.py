"""Made-up results in the form of the demo's: five models, seen and held-out pictograms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from random import Random

from polyglance.languages.registry import all_languages
from polyglance.results.schema import Result

BASELINE = "English-only model"
CONTROL = "ridge, shuffled pairs (control)"
MODELS = (BASELINE, "distill", "ridge", "m2m", CONTROL)
CEILINGS = {"distill": 0.62, "ridge": 0.44, "m2m": 0.46}
NUM_CANDIDATES = 1911
# Every script the table has, so that fonts and directions are seen; the rest by id.
FIRST = """
    eng_Latn arb_Arab heb_Hebr pes_Arab urd_Arab zho_Hans zho_Hant jpn_Jpan kor_Hang hin_Deva
    ben_Beng tam_Taml tel_Telu kan_Knda mal_Mlym guj_Gujr pan_Guru ory_Orya sin_Sinh tha_Thai
    lao_Laoo khm_Khmr mya_Mymr kat_Geor hye_Armn amh_Ethi ell_Grek rus_Cyrl ukr_Cyrl fra_Latn
    deu_Latn spa_Latn vie_Latn tur_Latn pol_Latn swh_Latn nno_Latn bod_Tibt div_Thaa uig_Arab
""".split()  # noqa: SIM905


def languages(count: int) -> list[str]:
    """English and `count - 1` more, every script among the first forty."""
    known = [language.id for language in all_languages()]
    named = [language.id for language in all_languages() if language.own_name]
    rest = [name for name in (*named, *known) if name not in FIRST and name.count("_") == 1]
    return list(dict.fromkeys([*(name for name in FIRST if name in known), *rest]))[:count]


def fake_results(
    *, num_languages: int = 112, models: Sequence[str] = MODELS, task: str = "pictograms"
) -> list[Result]:
    """Rows of every model, language, split and direction; the same ones every time."""
    return [
        row
        for language in languages(num_languages)
        for model in models
        for row in _rows(model, language, task)
    ]


def _rows(model: str, language: str, task: str) -> Iterator[Result]:
    difficulty = Random(language).uniform(0.0, 0.42)
    at_random = Random(f"{model}{language}{task}")
    for split, num_queries, kept in (("seen", 1490, 1.0), ("held_out", 372, 0.72)):
        for direction in ("text_to_content", "content_to_text"):
            ten = _hit_rate_at_10(model, language, difficulty, kept, at_random)
            values = {
                f"hit_rate_at_{k}": round(ten * share, 6)
                for k, share in ((1, 0.6), (5, 0.9), (10, 1.0))
            }
            yield Result(
                task=task,
                split=split,
                language=language,
                direction=direction,
                metric="hit_rate",
                caption_policy="unique",
                values=values,
                intervals={name: _interval(value, num_queries) for name, value in values.items()},
                num_queries=num_queries - int(difficulty * 300),
                num_candidates=NUM_CANDIDATES,
                num_dropped={
                    "captions_repeated": int(difficulty * 40),
                    "captions_without_content": 0,
                    "items_missing": 3,
                },
                model=model.partition(" + ")[0],
                pack=model.partition(" + ")[2],
                model_id=_id(model),
                data_id=_id(task + language),
                code_version="0.1.0",
            )


def _hit_rate_at_10(
    model: str, language: str, difficulty: float, kept: float, at_random: Random
) -> float:
    if "control" in model:
        return at_random.uniform(0.002, 0.009)
    if language == "eng_Latn":
        return 0.638 * kept
    if model not in CEILINGS:
        return max(0.004, at_random.gauss(0.05, 0.03))
    return max(0.01, (CEILINGS[model] - difficulty + at_random.gauss(0, 0.02)) * kept)


def _interval(value: float, num_queries: int) -> tuple[float, float]:
    half = 1.96 * (value * (1 - value) / num_queries) ** 0.5
    return max(0.0, value - half), min(1.0, value + half)


def _id(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
