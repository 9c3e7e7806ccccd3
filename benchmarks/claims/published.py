"""What do the figures say that the authors published by language? The same claims, no training.

Languages are what is drawn for the interval; of seeds the authors published one.
"""

from __future__ import annotations

import json

import numpy as np
from benchmarks.claims.scores import Measured
from benchmarks.real_pairs import SHARED

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
BABEL_PROMPTS = {"prompts-label": "label", "prompts-own": "nllb_dist13b_prompts"}
XTD_KEY = "eval/R@10/t2i/"


def is_there() -> bool:
    """Whether the figures are at hand."""
    return M2M_FOLDER.is_dir() and BABEL_FOLDER.is_dir()


def measured() -> dict[str, Measured]:
    """The authors' figures by arm: M2M on XTD by language, Babel-ImageNet over twelve models."""
    found = {}
    for arm, name in M2M_FILES.items():
        row = json.loads((M2M_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        keys = sorted(key for key in row if key.startswith(XTD_KEY))
        found[arm] = _measured(arm, "text_to_content", [row[key] / 100 for key in keys])
    models = [
        json.loads(path.read_text(encoding="utf-8"))["results"]
        for path in sorted(BABEL_FOLDER.glob("*.json"))
    ]
    for arm, prompt in BABEL_PROMPTS.items():
        of_model = [
            {r["lang"]: r["accuracy"] for r in rows if r["prompt"] == prompt} for rows in models
        ]
        both = [{r["lang"] for r in rows if r["prompt"] != "label"} - {"EN"} for rows in models]
        shared = sorted(set.intersection(*both))
        means = [float(np.mean([each[name] for each in of_model])) for name in shared]
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
