"""Small towers that the project trains itself: saved, loaded, and used with few imports.

Legend: N rows, V buckets, D width of the table, W width behind it, K width of a memory.

A text tower is a table of n-gram vectors and a linear layer, in 8 bits with a scale a row. It may
end in a softmax over groups of translations, and that over a memory of teacher vectors: attention
over a fixed memory. A linear read-out of names finds the right one 78 % of the time among the first
ten but lands too far from it (cosine 0.65) to find its image (15 %); the memory gives back the
vector itself (51 %). Text towers run in NumPy. An image tower is a small convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.records import Languages, Modality, Output
from polyglance.storage import atomic, digests, manifests, tensor_files
from polyglance.towers import Tower, TowerReference
from polyglance.towers.tiny import ngrams
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    from polyglance.towers.tiny.image_net import TinyImageNet
    from polyglance.towers.tiny.text_net import NgramNet

Ending = Literal["linear", "softmax"]
Tensors = Mapping[str, NDArray[Any]]

SCHEMA_VERSION = 1
# What its n-grams are made of; see `text_forms`.
TEXT_FORM = text_forms.facts_of("folded")
MANIFEST, WEIGHTS = "tower.json", "weights.safetensors"
# Trained by `polyglance demo --fresh` and shipped with the package.
SHIPPED = ("pictograms-image", "pictograms-distilled", "pictograms-ranking")
IMAGE_BLOCK = 128


@dataclass(frozen=True, kw_only=True)
class TinyFacts:
    """What the folder of a tiny tower says.

    Attributes:
        modality: What it reads.
        ending: Of a text tower, see there.
        text_form: Of the texts that a text tower was trained with, see there.
        languages: Ids of the languages of those texts, where they are known.
    """

    modality: Modality
    ending: Ending = "linear"
    text_form: str = ""
    languages: tuple[str, ...] = ()


class TinyTextTower(Tower):
    """A text tower of hashed n-grams in NumPy.

    Args:
        tensors: `table` (V, D), `keys` (W, D) and perhaps `memory` (W, K), each int8 with a
            `..._scale` a row; `bias` (W,).
        ending: `linear` gives the W scores; `softmax` gives the share of each of the W groups of
            translations, or, with a memory, the memory rows mixed in those shares.
        text_form: Of the texts that it was trained with, as `text_forms.facts_of` writes it; empty
            for a tower from before texts were folded.
        languages: Ids of the languages of those texts, where they are known.
    """

    modality: Modality = "text"
    # 100,000 short texts a second: faster than a store reads them back.
    worth_storing = False

    def __init__(
        self,
        tensors: Tensors,
        *,
        ending: Ending,
        text_form: str = TEXT_FORM,
        languages: Sequence[str] = (),
    ) -> None:
        self.tensors, self.ending, self.text_form = tensors, ending, text_form
        self.languages = tuple(sorted(languages))
        self._keys = ngrams.dequantise_rows(tensors["keys"], tensors["keys_scale"])
        self._memory: Vectors | None = None
        if "memory" in tensors:
            self._memory = ngrams.dequantise_rows(tensors["memory"], tensors["memory_scale"])
        self.dim = len(self._keys) if self._memory is None else int(self._memory.shape[1])
        kind = f"{ending} {text_form}" if text_form else ending
        self.fingerprint = self.space_id = fingerprint_of(tensors, kind)

    def encode(
        self, items: Sequence[str], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Texts to float32 (N, dim); the language does not matter.

        Raises:
            ConfigError: For `pre_projection`, which this tower does not have.
        """
        _refuse_output(output)
        features = ngrams.featurise(items)
        vectors = np.empty((len(items), self.dim), np.float32)
        for first, last in ngrams.blocks(features.offsets):
            part = ngrams.select(features, np.arange(first, last))
            pooled = ngrams.pool(part, self.tensors["table"], row_scale=self.tensors["table_scale"])
            vectors[first:last] = self._read_out(pooled)
        return vectors

    def _read_out(self, pooled: Vectors) -> Vectors:
        lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
        scores: Vectors = (pooled / np.maximum(lengths, 1e-12)) @ self._keys.T  # (N, W)
        scores += self.tensors["bias"]
        if self.ending == "linear":
            return scores
        shares: Vectors = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares if self._memory is None else shares @ self._memory

    def save(self, folder: Path) -> None:
        """Write the tower into a new folder."""
        facts: dict[str, Any] = {"modality": "text", "ending": self.ending}
        if self.text_form:
            facts["text_form"] = self.text_form
        if self.languages:
            facts["languages"] = list(self.languages)
        _save(folder, self.tensors, facts)


class TinyImageTower(Tower):
    """An image tower: a small convolution.

    Args:
        net: The module, in evaluation mode.
    """

    modality: Modality = "image"
    encodes_in_threads = True

    def __init__(self, net: TinyImageNet) -> None:
        self.net = net.eval()
        self.dim = net.project.out_features
        self.tensors = {
            name: value.numpy().astype(np.float16)
            for name, value in net.state_dict().items()
            if value.is_floating_point()
        }
        self.fingerprint = self.space_id = fingerprint_of(self.tensors, "convolution")

    def preprocess(self, item: Any) -> Vectors:
        """One PIL image to (3, 64, 64); thread-safe."""
        from polyglance.towers.tiny import image_net

        return image_net.preprocess(item)

    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """PIL images or preprocessed arrays to float32 (N, dim).

        Raises:
            ConfigError: For `pre_projection`, which this tower does not have.
        """
        import torch

        _refuse_output(output)
        arrays = [x if isinstance(x, np.ndarray) else self.preprocess(x) for x in items]
        vectors = np.empty((len(items), self.dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), IMAGE_BLOCK):
                batch = torch.from_numpy(np.stack(arrays[start : start + IMAGE_BLOCK]))
                vectors[start : start + len(batch)] = self.net(batch).numpy()
        return vectors

    def save(self, folder: Path) -> None:
        """Write the tower into a new folder."""
        _save(folder, self.tensors, {"modality": "image"})


def text_tower_from(
    net: NgramNet,
    *,
    ending: Ending,
    memory: Vectors | None = None,
    sharpness: float = 1.0,
    languages: Sequence[str] = (),
) -> TinyTextTower:
    """What an n-gram module learnt, as a tower in 8 bits.

    Args:
        net: Trained.
        ending: What its scores are; see `TinyTextTower`.
        memory: float (W, K) teacher vectors that its scores choose among, or None.
        sharpness: Factor on the scores. Above 1 because n-gram dropout leaves a tower less sure
            in training than it need be in use.
        languages: Ids of the languages that it learnt.
    """
    scale = sharpness * net.log_scale.exp().item()
    matrices = {
        "table": net.table.weight.detach().numpy(),
        "keys": scale * net.keys.weight.detach().numpy(),
    }
    if memory is not None:
        matrices["memory"] = memory
    tensors: dict[str, NDArray[Any]] = {}
    for name, matrix in matrices.items():
        tensors[name], tensors[f"{name}_scale"] = ngrams.quantise_rows(matrix)
    tensors["bias"] = (sharpness * net.keys.bias.detach().numpy()).astype(np.float32)
    return TinyTextTower(tensors, ending=ending, languages=languages)


def image_tower_from(tensors: Tensors) -> TinyImageTower:
    """An image tower from its tensors."""
    import torch

    from polyglance.towers.tiny.image_net import TinyImageNet

    net = TinyImageNet(len(tensors["project.bias"]))
    loaded = {k: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()}
    missing, unexpected = net.load_state_dict(loaded, strict=False)
    # Batch counters are integers, which evaluation never reads.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise errors.StoreError(
            f"these are not the tensors of a tiny image tower: missing {missing[:3]}, "
            f"unexpected {unexpected[:3]}",
            hint="train it again: polyglance demo --fresh",
        )
    return TinyImageTower(net)


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load `tiny:FOLDER`, or one of the shipped towers by its name.

    Raises:
        UnavailableError: No such folder or name.
        ConfigError: The tower there reads another modality.
    """
    folder = Path(reference.location)
    if reference.location in SHIPPED:
        weights = resources.files("polyglance.towers.tiny") / "weights"
        folder = Path(str(weights / reference.location))
    if not (folder / MANIFEST).is_file():
        raise errors.UnavailableError(
            f"there is no tiny tower at {reference.location}; "
            f"shipped ones are {', '.join(SHIPPED)}",
            hint="give a folder with a tower.json, or one of those names",
        )
    facts = manifests.read_manifest_as(
        TinyFacts,
        folder / MANIFEST,
        kind="tiny-tower",
        schema_version=SCHEMA_VERSION,
        hint="get the folder from a copy, or train the tower again",
    )
    if facts.modality != modality:
        raise errors.ConfigError(
            f"{reference} reads {facts.modality}; {modality} is asked for",
            hint="name the tower of the other side",
        )
    tensors = tensor_files.read(folder / WEIGHTS)
    if modality == "text":
        form = facts.text_form
        if form not in ("", TEXT_FORM):
            raise errors.StoreError(
                f"{folder} was trained with texts in the form {form!r}; texts are read as "
                f"{TEXT_FORM!r} here",
                hint="train it again, or use the version of polyglance that made it",
            )
        return TinyTextTower(
            tensors, ending=facts.ending, text_form=form, languages=facts.languages
        )
    return image_tower_from(tensors)


def fingerprint_of(tensors: Tensors, kind: str) -> str:
    """Which tower: a hash of its kind, names, shapes and bytes. Torch is not needed for it."""
    parts: list[str | NDArray[Any]] = [kind]
    for name in sorted(tensors):
        value = np.atleast_1d(tensors[name])
        parts += [f"{name} {value.dtype} {value.shape}", value]
    return digests.of_parts(parts)


def _save(folder: Path, tensors: Tensors, facts: Mapping[str, Any]) -> None:
    with atomic.folder_in_one_step(folder, marker=MANIFEST) as making:
        tensor_files.write(making / WEIGHTS, tensors)
        manifests.write_manifest(
            making / MANIFEST,
            facts,
            kind="tiny-tower",
            schema_version=SCHEMA_VERSION,
            seal=True,
        )


def _refuse_output(output: Output) -> None:
    if output != "embedding":
        raise errors.ConfigError(
            f"output {output!r} of a tiny tower; it has only 'embedding'",
            hint="leave output out",
        )
