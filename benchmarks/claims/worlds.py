"""On which data are claims checked? One world each: a teacher, texts, pictures, and the test.

Legend: M test contents, G of them that are asked for, D width of the space.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.claims.scores import DECIMALS, Ran
from numpy.typing import NDArray

from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.evaluation import retrieval
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import translation_ranking
from polyglance.recipes.contrastive.item_side import Files, Pixels
from polyglance.recipes.data import pseudo_pairs
from polyglance.recipes.data.image_text import ImageText
from polyglance.records import Pair
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import load_tower
from polyglance.vectors import Vectors, unit

# Of the multilingual text towers trained here, by translation ranking, in a space of their own.
TOWER_WIDTH = 256
TOWER_STEPS = 300
TOWER_BATCH = 1024
HIT_COLUMN = {k: column for column, k in enumerate(retrieval.KS)}


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A data set with its teacher and all that there is to learn from.

    Attributes:
        name: Of the data.
        teacher: English only.
        data: The test; its captions are those of the contents asked for.
        contents: Float32 (M, D), unit.
        english: English texts.
        parallel: Translations of English texts.
        image_text: Pictures to learn from, with captions in all languages.
        groups: Languages by what they are for: `others` all but English, `well` those with much
            data, `low` those with little; `known` and `lacked` by a tower that is `narrow`.
        shipped: A multilingual text tower that is there already, for what goes behind one.
        folder: Keeps what is trained once.
        cache: Keeps what towers gave.
        narrow: One that lacks some languages: it goes where a claim asks for a tower of `known`.
        whole: Gives the teacher with its image tower, and the files of the pictures to learn from,
            where those are prepared on disk.
        pixels: Gives the pictures to learn from, where an image tower can learn.
        encode_test: Encodes the test pictures by another content side, where there are pixels.
        quick: Whether everything is cut to a few steps, to see that it runs.
    """

    name: str
    teacher: DualEncoder
    data: RetrievalData
    contents: Vectors
    english: Sequence[str]
    parallel: Sequence[Pair]
    image_text: ImageText
    groups: Mapping[str, tuple[str, ...]]
    folder: Path
    cache: VectorCache
    shipped: Side | None = None
    narrow: Side | None = None
    whole: Callable[[], tuple[DualEncoder, Files]] | None = None
    pixels: Callable[[], Pixels] | None = None
    encode_test: Callable[[Side], Vectors] | None = None
    quick: bool = False
    kept: dict[str, Any] = field(default_factory=dict)

    def steps(self, count: int) -> int:
        """So many steps, or a fortieth of them in a quick run."""
        return max(4, count // 40) if self.quick else count

    def members(self, split: str) -> NDArray[np.int64]:
        """(G,) contents of a split that are asked for in some language."""
        asked = {c.item_id for listed in self.data.captions.values() for c in listed}
        is_asked = np.array([item_id in asked for item_id in self.data.item_ids])
        return np.flatnonzero(is_asked & self.data.splits[split])

    def tower(self, group: str, *, frozen: bool = False) -> Side:
        """A multilingual text tower that knows English and a group of languages.

        Trained once, by translation ranking on this world's parallel text: no picture and no
        vector of the teacher takes part.

        Args:
            group: Of languages.
            frozen: Whether a map goes behind it. Where there is a shipped tower, that then knows
                all languages, and one for fewer has its form: the shares of groups of names, which
                cannot be trained on.
        """
        if frozen and self.shipped is not None and group == "others":
            return self.shipped
        if frozen and self.narrow is not None and group == "known":
            return self.narrow
        known = self.groups[group]
        pairs = [pair for pair in self.parallel if pair.language_b in known]
        config = translation_ranking.RankingConfig(
            width=None if frozen and self.shipped is not None else TOWER_WIDTH,
            num_steps=self.steps(TOWER_STEPS),
            batch_size=TOWER_BATCH,
        )
        key = [f"{pair.text_a}\0{pair.text_b}" for pair in pairs] + [repr(config)]
        digest = hashlib.blake2b("\n".join(key).encode(), digest_size=6).hexdigest()
        folder = self.folder / f"tower-{group}-{digest}"
        if not folder.is_dir():
            translation_ranking.train_tower(pairs, config=config).save(folder)
        return Side(load_tower(f"tiny:{folder}", modality="text"), f"tiny:{folder}")

    def banks(self) -> pseudo_pairs.Banks:
        """Pictures, and texts in the other languages, that nobody paired."""
        captions = [c for c in self.image_text.captions if c.language in self.groups["others"]]
        return pseudo_pairs.Banks(
            self.image_text.contents,
            [c.text for c in captions],
            [c.language for c in captions],
            self.image_text.content_keys,
        )

    def unpaired(self, count: int) -> list[tuple[str, str]]:
        """So many texts of each other language, drawn once; nobody says what they are about."""
        drawn = np.random.default_rng(0)
        found = []
        for language in self.groups["others"]:
            texts = [c.text for c in self.image_text.captions if c.language == language]
            rows = drawn.permutation(len(texts))[:count]
            found += [(language, texts[row]) for row in rows.tolist()]
        return found

    def hits_of_pack(self, pack: LanguagePack, *, languages: Sequence[str] | None = None) -> Ran:
        """Score a pack in every language, English too: nobody speaks in its place."""
        contents = pack.project(self.contents)
        if pack.content_side is not None:
            assert self.encode_test is not None
            contents = self.encode_test(pack.content_side)
        return self.hits(
            pack.side,
            contents=contents,
            languages=languages,
            num_steps=pack.manifest.data.get("num_steps"),
        )

    def hits(
        self,
        side: Side,
        *,
        contents: Vectors | None = None,
        languages: Sequence[str] | None = None,
        num_steps: int | None = None,
    ) -> Ran:
        """Hit rate at 10 both ways of a text side, content by content.

        Args:
            side: Gives texts vectors.
            contents: Float32 (M, D), unit, that they are compared with; None for the world's.
            languages: Which ones; None takes all.
            num_steps: That the training behind it made.
        """
        speaker = _Speaker(side)
        found: dict[str, dict[str, dict[str, list[float | None]]]] = {}
        for language in languages or list(self.data.captions):
            parts = retrieval.score_language(
                speaker,
                self.data,
                language=language,
                contents=self.contents if contents is None else contents,
                cache=self.cache,
            )
            for part in parts:
                asked = np.bincount(part.clusters, minlength=len(self.data.item_ids))
                found_by = np.bincount(
                    part.clusters, part.hits[:, HIT_COLUMN[10]], minlength=len(asked)
                )
                # A content that several captions ask for counts once, by their mean.
                row = [
                    _rounded(found_by[i] / asked[i] if asked[i] else None)
                    for i in self.members(part.split).tolist()
                ]
                found.setdefault(part.direction, {}).setdefault(part.split, {})[language] = row
        return Ran(hits=found, num_steps=num_steps)


@dataclass(frozen=True, eq=False)
class _Speaker:
    """A text side alone, as what can be scored."""

    side: Side

    @property
    def space_id(self) -> str:
        """Of the side."""
        return self.side.space_id

    def encode_texts(
        self,
        texts: Sequence[str],
        *,
        languages: Sequence[str] | None,
        cache: VectorCache | None = None,
    ) -> Vectors:
        """Texts to float32 (N, D), unit."""
        raw = text_vectors(
            texts, self.side.tower, languages=languages, cache=cache, output=self.side.output
        )
        return unit(self.side.through_head(raw, languages=languages))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), DECIMALS)


def pictograms(folder: Path, *, quick: bool) -> World:
    """Emoji and their names: the demo's world, its English-only model, fourteen languages.

    All pictures are candidates; asked for are all held-out concepts and every second of the others.
    """
    from dataclasses import replace

    from polyglance.demo.comparison import LANGUAGES, pictograms_comparison
    from polyglance.sources import pictograms as source

    low = ("fin_Latn", "hin_Deva", "swh_Latn", "tam_Taml")
    others = tuple(name for name in LANGUAGES if name != ENGLISH)
    extra = ("ukr_Cyrl", "por_Latn")
    setup = pictograms_comparison(folder, languages=(*others, *extra), seeds=(0,), settings={})
    held_out = setup.data.splits["held_out"]
    asked = held_out | (np.arange(len(held_out)) % 2 == 0)
    names = {name for name, is_asked in zip(setup.data.item_ids, asked, strict=True) if is_asked}
    captions = {
        language: [caption for caption in listed if caption.item_id in names]
        for language, listed in setup.data.captions.items()
    }
    assert setup.training_data.image_text is not None

    def pixels() -> Pixels:
        from polyglance.sources.images import decode_image

        drawn = source.load_world().folder(source.TRAIN_ARTIST)
        prepare = setup.teacher.content.tower.preprocess  # type: ignore[attr-defined]
        assert setup.training_data.image_text is not None
        return {
            i: prepare(decode_image((drawn / i).read_bytes(), name=i))
            for i in setup.training_data.image_text.item_ids
        }

    def encode_test(side: Side) -> Vectors:
        from polyglance.sources.images import decode_image

        shown = [
            side.tower.preprocess(decode_image(file.path.read_bytes(), name=file.id))  # type: ignore[attr-defined]
            for file in setup.data.media_files
        ]
        return unit(side.through_head(side.tower.encode(shown, output=side.output)))

    return World(
        name="pictograms",
        teacher=setup.teacher,
        data=replace(setup.data, captions=captions),
        contents=setup.contents,
        english=setup.training_data.english,
        parallel=setup.training_data.parallel,
        image_text=setup.training_data.image_text,
        groups={
            "others": others,
            "well": tuple(name for name in others if name not in low),
            "low": low,
            "known": tuple(name for name in others if name not in low),
            "lacked": low,
            "all": (*others, *extra),
            "model has": ("deu_Latn", "fra_Latn"),
            "model lacks": ("fin_Latn", "swh_Latn"),
            "Ukrainian": ("ukr_Cyrl",),
            "Portuguese": ("por_Latn",),
            "English": (ENGLISH,),
        },
        folder=folder,
        cache=VectorCache(folder / "texts"),
        shipped=setup.tower,
        pixels=pixels,
        encode_test=encode_test,
        quick=quick,
    )
