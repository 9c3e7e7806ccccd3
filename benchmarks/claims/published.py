"""What do the figures say that the authors published by language? The same claims, no training.

Languages are what is drawn for the interval; of seeds the authors published one.
"""

from __future__ import annotations

import numpy as np
from benchmarks.claims.scores import Measured
from benchmarks.real_pairs import SHARED

from polyglance.languages.registry import ENGLISH
from polyglance.results.published.author_files import read_author_file

NAME = "published"
M2M_FOLDER = SHARED / "m2m_metrics"
BABEL_FOLDER = SHARED / "babel_imagenet" / "results"
# Jina-CLIP v1 with multilingual MPNet, 250,000 texts where nothing else is said.
M2M_FILES = {
    "m2m": "en_250K_mse_klclip_jina_multiMpnet_multiMpnet",
    "one-layer": "en_250_mse_klclip_L1_jina_multiMpnet_multiMpnet",
    "four-layers": "250K_mse_klclip_L4_jina_multiMpnet_multiMpnet",
    "mse": "250K_mse_jina_multiMpnet_multiMpnet",
    "cosine": "en_250_eng_cosine_jina_multiMpnet_multiMpnet",
    "l1": "en_250_l1_jina_multiMpnet_multiMpnet",
    "texts-1000": "en_1K_mse_klclip_jina_multiMpnet_multiMpnet",
    "texts-5000": "en_5K_mse_klclip_jina_multiMpnet_multiMpnet",
    "texts-50000": "en_50K_mse_klclip_jina_multiMpnet_multiMpnet",
}
# XTD10's, in the order of its caption files' names, which the draws of an interval follow.
M2M_LANGUAGES = (
    "deu_Latn fra_Latn jpn_Jpan eng_Latn spa_Latn ita_Latn kor_Hang pol_Latn rus_Cyrl tur_Latn "
    "zho_Hans"
)
BABEL_PROMPTS = {"prompts-label": "labels", "prompts-own": "translated"}


def is_there() -> bool:
    """Whether the figures are at hand."""
    return M2M_FOLDER.is_dir() and BABEL_FOLDER.is_dir()


def measured() -> dict[str, Measured]:
    """The authors' figures by arm: M2M on XTD by language, Babel-ImageNet over twelve models."""
    found = {}
    for arm, name in M2M_FILES.items():
        by_language = {
            number.language: number.fraction
            for number in read_author_file(M2M_FOLDER / f"{name}.json")
            if (number.metric, number.direction) == ("hit_rate_at_10", "text_to_content")
        }
        values = [by_language[language] for language in M2M_LANGUAGES.split()]
        found[arm] = _measured(arm, "text_to_content", values)
    models = [
        {(number.variant, number.language): number.fraction for number in read_author_file(path)}
        for path in sorted(BABEL_FOLDER.glob("*.json"))
    ]
    shared = [
        name
        for variant, name in models[0]
        if variant == "translated" and name != ENGLISH and all((variant, name) in m for m in models)
    ]
    for arm, variant in BABEL_PROMPTS.items():
        means = [float(np.mean([rows[variant, name] for rows in models])) for name in shared]
        found[arm] = _measured(arm, "content_to_text", means)
    return found


def _measured(arm: str, direction: str, values: list[float]) -> Measured:
    return Measured(
        arm=arm,
        data=NAME,
        seed=0,
        settings={},
        seconds=0.0,
        hits={direction: {NAME: {"every": values}}},
    )
