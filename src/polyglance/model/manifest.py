"""The manifest of a language pack: what it is, its scores, and who answers in a language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from polyglance import __version__
from polyglance.languages import registry
from polyglance.model.side import HeadInput
from polyglance.records import Modality, Output
from polyglance.storage import manifest_fields
from polyglance.storage.manifest_fields import Count, Name, Share

ContentEffect = Literal["unchanged", "head", "new-tower"]
Speaker = Literal["pack", "teacher"]
LanguageId = Annotated[str, manifest_fields.Rule(registry.is_id, "a language id such as deu_Latn")]


@dataclass(frozen=True, kw_only=True)
class LanguageScore:
    """How a pack does in one language on its dev split, and who therefore answers in it.

    Attributes:
        pack: Dev score of the pack, a fraction; None where nobody measured.
        teacher: Dev score of the teacher's own text tower; None where nobody measured.
        speaks: Which of the two a query in this language goes to.
        num_queries: What the scores are the mean of.
    """

    pack: Share | None = None
    teacher: Share | None = None
    speaks: Speaker
    num_queries: Count = 0


def speaker_of(
    language: str, *, pack: float | None, teacher: float | None, teacher_answers: bool = True
) -> Speaker:
    """Who answers in a language: the pack where it is better or nobody measured both.

    English stays with the teacher whatever the scores say: the owner of a production index must
    find it unchanged.

    Args:
        language: Its id.
        pack: Dev score of the pack; None where it was not measured.
        teacher: Dev score of the teacher; None likewise.
        teacher_answers: Whether it can read a new text; where it cannot, the pack answers all.
    """
    if not teacher_answers:
        return "pack"
    if registry.get_language(language).iso639_3 == "eng":  # simple English as well
        return "teacher"
    return "teacher" if pack is not None and teacher is not None and pack <= teacher else "pack"


@dataclass(frozen=True, kw_only=True)
class PackManifest:
    """Everything about a pack that is not weights.

    Attributes:
        recipe: Which recipe made it.
        space_id: The space that its vectors lie in.
        teacher: Reference of the dual encoder it was made for.
        probe_texts: Of a teacher that exists only as vectors some texts of its list, by which it
            is recognised; such a one answers no query. Empty where it encodes, and
            `same_space.PROBE_TEXTS` serve.
        tower: Reference of its text tower; a location that starts with `./` is inside the pack.
        tower_fingerprint: The fingerprint that this tower must have.
        content: What it does to the content side: nothing; a head on the space's own vectors, so
            that an index is re-projected; or another content tower, for which it is re-encoded.
        content_tower: Reference of that other tower; empty else.
        content_output: What is asked of it.
        languages: By language id: dev scores and who answers.
        score_distribution: Quantiles of the best cosine a query, of pack and teacher, for owners
            of thresholds.
        config: The resolved config of the recipe.
        data: What it was trained on: counts, languages, fingerprints.
        measured: Scores by task, as `evaluate` gave them.
        language_means: Of which languages means are kept, by which texts are moved before the head.
    """

    recipe: Name
    space_id: Name
    teacher: str
    probe_texts: Sequence[str] = ()
    tower: Name
    tower_fingerprint: Name
    head_input: HeadInput = "unit"
    content: ContentEffect = "unchanged"
    content_tower: str = ""
    content_output: Output = "embedding"
    content_input: HeadInput = "unit"
    content_modality: Modality = "image"
    languages: Mapping[LanguageId, LanguageScore] = field(default_factory=dict)
    score_distribution: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    language_means: Sequence[LanguageId] = ()
    num_trainable_parameters: Count = 0
    training_seconds: Annotated[float, manifest_fields.at_least(0)] = 0.0
    polyglance_version: str = __version__

    def speaker(self, language: str, *, pack: float | None, teacher: float | None) -> Speaker:
        """Who answers in a language by these dev scores; see `speaker_of`."""
        return speaker_of(
            language, pack=pack, teacher=teacher, teacher_answers=not self.probe_texts
        )
