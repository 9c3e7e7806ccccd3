"""A pack or a dual encoder as a model of mteb: `mteb.evaluate(mteb_model("pack"), tasks)`.

mteb says of a call which languages its subset has, and not which of them the texts are in. A call
holds one column of a data set, so that its texts are in one language: where the subset has several,
the one that the texts together look most like. Who speaks in it is decided as everywhere else.

Source: embeddings-benchmark/mteb, version 2: `EncoderProtocol` and `ModelMeta`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.evaluation import run
from polyglance.languages import detection
from polyglance.languages.registry import get_language, normalise_language
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.sources.sounds import Sound
from polyglance.towers import declared_languages
from polyglance.vectors import Vectors, unit

Doubles = NDArray[np.float64]

# So many texts tell which of a few languages a column is in.
LOOKED_AT = 200


def model(reference: str | Path, *, pack: str | Path | None = None) -> MtebModel:
    """A model that `mteb.evaluate` takes.

    Args:
        reference: A dual encoder, as `hf:NAME` or a model folder; or a language pack, which names
            the model that it was made for.
        pack: Folder or hub id of a pack on the model.

    Raises:
        MissingExtraError: mteb is not installed.
        UnavailableError: The model or the pack cannot be had.
        SpaceMismatchError: The pack is of another model.
    """
    if importlib.util.find_spec("mteb") is None:
        raise errors.missing_extra("models of mteb", extra="mteb")
    if pack is None and (Path(reference) / PACK_FILE).is_file():
        pack, reference = reference, LanguagePack.load(reference).manifest.teacher
    encoder = DualEncoder.load(reference)
    if pack is not None:
        encoder = encoder.with_pack(LanguagePack.load(pack), reencode=True)
    name = Path(reference if pack is None else pack).name
    return MtebModel(encoder, name=name.rpartition(":")[2])


class MtebModel:
    """The encoder that mteb asks: its `EncoderProtocol`.

    Args:
        encoder: The model, with a pack or without.
        name: What mteb calls it, behind `polyglance/`.
    """

    def __init__(self, encoder: DualEncoder, *, name: str) -> None:
        self.encoder = encoder
        self._name = name
        # Texts of the subset that is compared sentence by sentence, with their vectors.
        self._subset: tuple[str, ...] = ()
        self._known: dict[tuple[str | None, str], Vectors] = {}

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb calls the model; the revision is the fingerprint of model and pack."""
        from mteb.models import ModelMeta

        encoder, pack = self.encoder, self.encoder.pack
        known = list(pack.manifest.languages) if pack is not None else []
        known += declared_languages.languages_of(encoder.text.tower, encoder.text.reference)
        return ModelMeta(
            loader=None,
            name=f"polyglance/{self._name}",
            revision=run.model_id(encoder),
            release_date=None,
            languages=sorted({_tag(language) for language in known}) or None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=None,
            embed_dim=encoder.dim,
            license=None,
            open_weights=None,
            public_training_code=None,
            public_training_data=None,
            framework=["PyTorch"],
            similarity_fn_name="cosine",
            use_instructions=False,
            training_datasets=None,
            modalities=["text", encoder.content.tower.modality],
        )

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> Doubles:
        """Texts, images or sounds to float64 (N, D), unit.

        Doubles, since mteb computes in the type that it is given: in single precision its cosines
        of sentences that are nearly the same would be ordered by rounding.

        Args:
            inputs: Batches; each has `text`, or what the model's items are.
            task_metadata: Knows the languages of each subset.
            hf_split: Of the task.
            hf_subset: Whose languages count.
            prompt_type: Queries and documents are encoded alike; None for pairs of sentences.
            **kwargs: mteb's `batch_size` and others, which take no part.

        Raises:
            UnavailableError: For batches of something else, or of both.
            LanguageError: Where a pack with contents of its own answers some of the subset's
                languages and the model the others: their vectors do not compare.
        """
        languages = _languages_of(task_metadata, hf_subset)
        projected = self._is_projected(languages)
        modality = self.encoder.content.tower.modality
        texts: list[str] = []
        items: list[Vectors] = []
        for batch in inputs:
            if "text" in batch and modality not in batch:
                texts += batch["text"]
            elif modality in batch and "text" not in batch:
                decoded = [_decoded(one, modality) for one in batch[modality]]
                items.append(self._items(decoded, projected=projected))
            else:
                raise errors.UnavailableError(
                    f"{task_metadata.name} gives {', '.join(batch)}; one of text and {modality} "
                    "is expected",
                    hint="leave the task out, or measure a model of that kind",
                )
        if items:
            return np.concatenate(items).astype(np.float64)
        language = detection.language_of_all(texts[:LOOKED_AT], languages=languages)
        subset = (task_metadata.name, hf_split, hf_subset)
        if prompt_type is not None or subset != self._subset:
            self._subset, self._known = subset, {}
        return self._texts(texts, language).astype(np.float64)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Vectors:
        """Cosines of all with all: (N, D) and (M, D) to (N, M)."""
        return unit(_array(embeddings1)) @ unit(_array(embeddings2)).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Vectors:
        """Cosines row by row: (N, D) and (N, D) to (N,)."""
        cosines: Vectors = np.vecdot(unit(_array(embeddings1)), unit(_array(embeddings2)))
        return cosines

    def _is_projected(self, languages: Sequence[str]) -> bool:
        """Whether the contents are those of the pack, which speaks in these languages."""
        pack = self.encoder.pack
        if pack is None or pack.manifest.content == "unchanged":
            return False
        speakers = {pack.speaker(language) for language in languages} or {pack.speaker(None)}
        if len(speakers) > 1:
            raise errors.LanguageError(
                f"the pack answers some of {', '.join(languages)} with contents of its own, and "
                "the model the others: their vectors do not compare",
                hint="measure a pack whose contents are unchanged, or other subsets",
            )
        return speakers == {"pack"}

    def _texts(self, texts: Sequence[str], language: str | None) -> Vectors:
        """Vectors of texts in one language, each text encoded once in its subset.

        The two sides of pairs come in two calls. A sentence that is paired with itself has the same
        vector on both sides so, and not one that differs in its last bits, which would order it.
        """
        new = [text for text in dict.fromkeys(texts) if (language, text) not in self._known]
        if new:
            known = None if language is None else [language] * len(new)
            found = self.encoder.encode_texts(new, languages=known)
            self._known |= {(language, text): row for text, row in zip(new, found, strict=True)}
        return np.stack([self._known[language, text] for text in texts])

    def _items(self, items: Sequence[Any], *, projected: bool) -> Vectors:
        pack = self.encoder.pack
        if projected and pack is not None and pack.content_side is not None:
            other = DualEncoder(pack.content_side, self.encoder.text, self.encoder.reference)
            return other.encode_items(items)
        vectors = self.encoder.encode_items(items)
        return pack.project(vectors) if projected and pack is not None else vectors


def _decoded(item: Any, modality: str) -> Any:
    """An item of mteb's as a tower takes it: a PIL image, or a sound of one channel or more."""
    if modality == "image":
        return item.convert("RGB")
    return Sound(np.atleast_2d(np.asarray(item["array"], np.float32)), int(item["sampling_rate"]))


def _languages_of(task_metadata: Any, subset: str) -> tuple[str, ...]:
    """The languages of a subset that are known here, each once.

    The subsets of parallel data are called by a language themselves.
    """
    tags = task_metadata.hf_subsets_to_langscripts.get(subset, [subset])
    found = []
    for tag in tags:
        try:
            found.append(normalise_language(tag.replace("_", "-")))
        except errors.LanguageError:
            continue
    return tuple(dict.fromkeys(found))


def _tag(language: str) -> str:
    row = get_language(language)
    return f"{row.iso639_3}-{row.script}"


def _array(embeddings: Any) -> Vectors:
    return np.atleast_2d(np.asarray(embeddings, np.float32))
