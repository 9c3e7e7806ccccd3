"""Text towers that ONNX Runtime runs: a graph, its tokenizer, and what the manifest says of them.

Legend: N texts, B rows of a batch, L tokens, D width.

Its fingerprint is its own, so that its vectors are never mixed with torch's in a store.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.languages.text_forms import TextForm
from polyglance.records import Languages, Modality, Output
from polyglance.storage import digests
from polyglance.storage.manifest_fields import Count, Name, Width
from polyglance.towers import Tower
from polyglance.towers.onnx import pieces
from polyglance.towers.runtime import batching
from polyglance.vectors import Vectors

Precision = Literal["float32", "int8"]

# Cosine to torch's vectors, of every probe text; below it a graph is refused.
LEAST_COSINE: Mapping[Precision, float] = MappingProxyType({"float32": 0.999, "int8": 0.99})
# Raised where the same tower becomes another graph; part of every fingerprint.
VERSION = 1
# Calls with a few words that are cut by the pieces they may hold; then the whole tokenizer is read.
MOST_QUICK = 8
GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
HINT = "delete the folder: the graph is then made again"


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
            f"ONNX Runtime cannot read {graph}: {errors.first_line(error)}", hint=HINT
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
