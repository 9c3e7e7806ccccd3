"""Text towers that ONNX Runtime runs: loaded from a graph in the cache, without importing torch.

Legend: N texts, B rows of a batch, L tokens, D width.

    sentence:NAME?runtime=onnx            8-bit weights
    sentence:NAME?runtime=onnx-float32    the weights as they are

The graph is made from torch's own tower the first time, beside it the cosine to that tower's
vectors, and found again by the sizes and times of the checkpoint's files. Its fingerprint is its
own, so that its vectors are never mixed with torch's in a store.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.languages.text_forms import TextForm
from polyglance.records import Languages, Modality, Output
from polyglance.storage import atomic, digests, locations, made_once, manifest_fields
from polyglance.storage.manifest_fields import Count, Name, Width
from polyglance.towers import Tower, TowerReference, load_tower, without_runtime
from polyglance.towers.libraries import places
from polyglance.towers.onnx import pieces
from polyglance.towers.runtime import batching
from polyglance.vectors import Vectors

Precision = Literal["float32", "int8"]

PRECISIONS: Mapping[str, Precision] = MappingProxyType({"onnx": "int8", "onnx-float32": "float32"})
# Cosine to torch's vectors, of every probe text; below it a graph is refused.
LEAST_COSINE: Mapping[Precision, float] = MappingProxyType({"float32": 0.999, "int8": 0.99})
# Raised where the same tower becomes another graph; part of every fingerprint.
VERSION = 1
# Calls with a few words that are cut by the pieces they may hold; then the whole tokenizer is read.
MOST_QUICK = 8
GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
_HINT = "delete the folder: the graph is then made again"
# What decides a checkpoint's vectors.
_SOURCES = frozenset({".safetensors", ".json", ".txt", ".model"})


@dataclass(frozen=True, kw_only=True)
class GraphFacts:
    """What the manifest of a graph says.

    Attributes:
        base_fingerprint, base_space_id: Of torch's tower.
        dim, pre_projection_dim: Widths.
        pad_id: The id that fills short rows.
        prefix, text_form: What comes before the tokenizer.
        languages: Ids of those that the tower declares.
        precision: Of the weights.
        least_cosine: To torch's vectors, over the probe texts.
        num_probes: How many those were.
    """

    base_fingerprint: Name
    base_space_id: Name
    dim: Width
    pre_projection_dim: Width
    pad_id: Count
    prefix: str
    text_form: TextForm
    languages: tuple[str, ...]
    precision: Precision
    least_cosine: float
    num_probes: Count


class OnnxTextTower(Tower):
    """A text tower of a graph; the session starts when the first text comes.

    Args:
        folder: With the graph and tokenizer.json.
        facts: What the folder's manifest says.
    """

    modality: Modality = "text"
    pre_projection_dim: int

    def __init__(self, folder: Path, facts: GraphFacts) -> None:
        self.folder, self.facts, self._num_quick = folder, facts, 0
        self.dim, self.pre_projection_dim = facts.dim, facts.pre_projection_dim
        self.languages = facts.languages
        self.fingerprint = digests.of_parts(
            [f"onnx {VERSION} {facts.precision} {facts.base_fingerprint}"]
        )
        # An encoder alone is a space of its own, as its caches assume; a text side has its items'.
        alone = facts.base_space_id == facts.base_fingerprint
        self.space_id = self.fingerprint if alone else facts.base_space_id

    def encode(
        self, items: Sequence[str], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Texts to float32 (N, D), raw; see the protocol."""
        del languages
        projected = self.pre_projection_dim != self.dim or output == "embedding"
        name = output if projected else "embedding"

        def forward(batch: batching.Padded) -> Vectors:
            vectors: Vectors = self._session.run([name], inputs_of(batch))[0]
            return vectors

        return batching.encode_deduplicated(
            items,
            encoder=batching.TextForward(
                token_rows=self.token_rows,
                forward=forward,
                width=self.dim if output == "embedding" else self.pre_projection_dim,
                pad_id=self.facts.pad_id,
            ),
        )

    def token_rows(
        self, texts: Sequence[str], languages: Sequence[str] | None = None
    ) -> batching.TokenRows:
        """Texts to token ids, special ones included, cut to length."""
        del languages
        shaped = text_forms.prepared(texts, form=self.facts.text_form, prefix=self.facts.prefix)
        if self._num_quick < MOST_QUICK and (self.folder / pieces.SHELL).is_file():
            self._num_quick += 1
            if (rows := self._pieces.token_rows(shaped)) is not None:
                return rows
        return [row.ids for row in self._tokenizer.encode_batch_fast(shaped)]

    @cached_property
    def _pieces(self) -> pieces.Pieces:
        return pieces.Pieces(self.folder)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.folder / TOKENIZER))

    @cached_property
    def _session(self) -> Any:
        return session_of(self.folder / GRAPH)


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load a text tower in ONNX Runtime; the first time its graph is made.

    Args:
        reference: With the option `runtime`, one of `PRECISIONS`.
        modality: `text`.

    Raises:
        ConfigError: For another modality, an encoder that has no graph, a graph whose vectors are
            too far from torch's, or an option that has no meaning here.
        MissingExtraError: onnxruntime is not installed, or onnx, which makes the graph.
        UnavailableError: The checkpoint cannot be had.
    """
    runtime, base = reference.options["runtime"], without_runtime(reference)
    if modality != "text":
        raise errors.ConfigError(
            f"{reference} as {modality} tower; runtime={runtime} runs text towers",
            hint="leave the option runtime out",
        )
    for name in ("device", "dtype"):
        if name in base.options:
            raise errors.ConfigError(
                f"{reference} has {name}={base.options[name]} beside runtime={runtime}; a graph "
                "runs on the CPU, in the precision that runtime names",
                hint=f"leave {name} or runtime out",
            )
    require_installed("onnxruntime")
    precision = PRECISIONS[runtime]
    torch_tower = cache(lambda: load_tower(str(base), modality="text"))
    fingerprint = _known_fingerprint(base, torch_tower)
    made = made_once.Made(
        place=locations.cache_folder() / "onnx" / f"{fingerprint}-{precision}-{VERSION}",
        kind="onnx-tower",
        schema_version=1,
        what=f"the graph of {base} for ONNX Runtime ({precision})",
    )

    def fill(folder: Path) -> Mapping[str, Any]:
        from polyglance.towers.onnx import making

        return making.fill(folder, torch_tower(), reference=base, precision=precision)

    said = made_once.folder(made, fill)
    facts = manifest_fields.read(GraphFacts, said, place=made.place, hint=_HINT)
    return OnnxTextTower(made.place, facts)


def inputs_of(batch: batching.Padded) -> dict[str, Any]:
    """What a graph takes of a padded batch: ids (B, L), and how many of a row are real (B,)."""
    ids = batch["input_ids"]
    mask = batch.get("attention_mask")
    lengths = np.full(len(ids), ids.shape[1]) if mask is None else mask.sum(1)
    return {"input_ids": ids, "lengths": lengths.astype(np.int32)}


def session_of(graph: Path) -> Any:
    """A session with as many threads as torch would take."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The graph is made of the operators that optimising would give.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = _num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors derive from nothing narrower
        raise errors.StoreError(
            f"ONNX Runtime cannot read {graph}: {errors.first_line(error)}", hint=_HINT
        ) from error


def require_installed(package: str) -> None:
    """Refuse where a package of the extra is absent.

    Raises:
        MissingExtraError: With the install line.
    """
    try:
        found = importlib.util.find_spec(package)
    except ValueError:  # its entry in sys.modules is None
        found = None
    if found is None:
        raise errors.missing_extra(f"runtime=onnx ({package})", extra="onnx")


def _num_threads() -> int:
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _known_fingerprint(base: TowerReference, torch_tower: Callable[[], Tower]) -> str:
    """The fingerprint of torch's tower: noted beside the graphs, since reading weights takes long.

    It is found by the options and by the sizes and times of the checkpoint's files.
    """
    folder = places.folder_of(base)
    if folder is None:
        raise errors.ConfigError(
            f"{base} keeps no checkpoint that runtime=onnx could read",
            hint="leave the option runtime out",
        )
    note = locations.cache_folder() / "onnx" / "seen" / f"{_state_of(folder, base)}.json"
    try:
        fingerprint = str(atomic.read_json(note)["fingerprint"])
    except (errors.PolyglanceError, OSError, KeyError, TypeError):
        fingerprint = torch_tower().fingerprint
        with atomic.disk_errors(str(note)):
            note.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(note, {"fingerprint": fingerprint, "tower": str(base)})
    return fingerprint


def _state_of(folder: Path, base: TowerReference) -> str:
    """A digest of a reference's options, and of where its files are, how large and how old."""
    parts = [str(folder.resolve()), *(f"{k}={v}" for k, v in sorted(base.options.items()))]
    for path in sorted(folder.rglob("*")):
        if path.suffix in _SOURCES and path.is_file():
            stat = path.stat()
            parts.append(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}")
    return digests.of_parts(["\0".join(parts)])
