"""Orders for an export, and the check that every exported form gives the pack's vectors.

Legend: N probes, D width of the space.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.same_space import PROBE_TEXTS
from polyglance.model.side import SpaceTower
from polyglance.results.schema import Result
from polyglance.towers import load_tower, parse_reference, without_runtime
from polyglance.towers.onnx.tower import OnnxTextTower
from polyglance.towers.trainable.tuned import TunedTower
from polyglance.vectors import Vectors

# A unit vector's numbers are at most 1; this is the promise of every form.
TOLERANCE = 1e-4
SPDX_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
# Several scripts, one token and many, an end of sentence, a text that is cut.
PROBES: tuple[str, ...] = (
    *PROBE_TEXTS,
    "a",
    "Ein Hund läuft über die Wiese.",
    "एक लाल रेलगाड़ी",
    "كلب على الشاطئ",
    "湖の上の月",
    "старик читает газету, а дети играют",
    "a long walk along the river " * 40,
)


def require_license(license: str) -> None:
    """Refuse what has not the form of an SPDX id; empty means not given.

    Raises:
        ConfigError: For anything else than letters, digits, dots, hyphens and plus signs.

    >>> require_license("GPL-2.0+"), require_license("other"), require_license("")
    (None, None, None)
    """
    if license and not SPDX_ID.fullmatch(license):
        raise errors.ConfigError(
            f"the license {license!r} is no SPDX id; one is made of letters, digits, dots, hyphens "
            "and plus signs",
            hint="give one such as apache-2.0, mit, cc-by-4.0 or cc-by-nc-4.0; or other",
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """A pack, and what goes with it; a license that is no SPDX id is refused.

    Attributes:
        pack: Whose text side leaves.
        model: The dual encoder it was made for, where the image side is wanted.
        language: The one language that the export speaks, where the text side has parts by
            language (adapters, low-rank changes).
        results: Measured scores of this model and pack, for the model card.
        license: SPDX id of the weights; empty where not given.
    """

    pack: LanguagePack
    model: DualEncoder | None = None
    language: str | None = None
    results: Sequence[Result] = field(default=())
    license: str = ""

    def __post_init__(self) -> None:
        require_license(self.license)

    def require_model(self, form: str) -> DualEncoder:
        """The model.

        Raises:
            ExportError: Where none was given.
        """
        if self.model is None:
            raise errors.ExportError(
                f"{form} holds an image side, and no model was given",
                hint=f"name the pack's teacher: --model {self.pack.manifest.teacher}",
            )
        return self.model

    @property
    def languages_apart(self) -> tuple[str, ...]:
        """Languages that the text side has parts of their own for: adapters, low-rank changes."""
        tower = self.pack.side.tower
        return tuple(tower.tuning.languages) if isinstance(tower, TunedTower) else ()

    def refuse_language(self, why: str) -> None:
        """Refuse a language where it selects nothing.

        Args:
            why: What the export holds instead, for the message.

        Raises:
            ExportError: Where the order has one.
        """
        if self.language is not None:
            raise errors.ExportError(
                f"one language ({self.language}) of {why}",
                hint="leave --language out",
            )

    def in_one_language(self, form: str) -> Order:
        """The same with the mean of its language in the head, where the pack has such means.

        Args:
            form: That has no place for a mean a language, for the message.

        Raises:
            ExportError: Where no language was asked for.
        """
        side = self.pack.side
        if side.means is None:
            return self
        if self.language is None:
            names = side.means.languages
            raise errors.ExportError(
                f"the pack moves texts by the means of {len(names)} languages "
                f"({', '.join(names[:5])}), and a folder of {form} reads all texts alike",
                hint=f"name the one that it is for: --language {names[0]}, or eng_Latn for none; "
                "hub-folder holds them all",
            )
        pack = replace(
            self.pack,
            side=side.in_language(self.language),
            manifest=replace(self.pack.manifest, language_means=()),
        )
        return replace(self, pack=pack, language=self.language if self.languages_apart else None)

    def vectors_of(self, texts: Sequence[str], *, language: str = ENGLISH) -> Vectors:
        """What the pack itself says of texts: float32 (N, D), unit."""
        return SpaceTower(self.pack.side).encode(texts, languages=[language] * len(texts))


def as_torch_runs_it(order: Order) -> Order:
    """The same order, of the tower's own weights where the pack runs a graph of them."""
    side = order.pack.side
    if not isinstance(side.tower, OnnxTextTower):
        return order
    reference = str(without_runtime(parse_reference(side.reference)))
    whole = replace(side, tower=load_tower(reference, modality="text"), reference=reference)
    return replace(order, pack=replace(order.pack, side=whole))


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a form put into its folder.

    Attributes:
        differences: See `Exported`.
        usage: Markdown: how the folder is used.
        notes: What whoever uses it must know.
    """

    differences: Mapping[str, float]
    usage: str
    notes: tuple[str, ...] = ()


def difference(found: Any, wanted: Vectors, *, what: str) -> float:
    """The largest difference of one number between two sets of unit vectors.

    Args:
        found: (N, D) of the exported form.
        wanted: (N, D) of the pack.
        what: Which side, for the message.

    Raises:
        ExportError: Where it is above `TOLERANCE`, or the shapes differ.

    >>> difference(np.eye(2), np.eye(2, dtype=np.float32), what="text side")
    0.0
    """
    vectors = np.asarray(found, np.float32)
    apart = float(np.abs(vectors - wanted).max()) if vectors.shape == wanted.shape else np.inf
    if not apart <= TOLERANCE:
        raise errors.ExportError(
            f"the exported {what} gives vectors of shape {vectors.shape} that are {apart:.2g} from "
            f"the pack's own ({wanted.shape}); {TOLERANCE:g} is allowed, and nothing was written",
            hint="take another form: hub-folder holds every pack, onnx most of them",
        )
    return apart
