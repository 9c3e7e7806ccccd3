"""Trainable text towers: n-grams, any transformer, and adapters in one, with one interface.

A recipe prepares its texts once (n-grams, or token ids) and asks for vectors of rows, with
gradient; at the end it takes what was learnt as a frozen tower.

Legend: N texts, B rows of a batch, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.towers import Tower
from polyglance.towers.runtime import batching
from polyglance.towers.tiny import ngrams
from polyglance.towers.tiny.text_net import NgramNet
from polyglance.towers.tiny.tower import text_tower_from
from polyglance.towers.trainable import adapters, tuned
from polyglance.towers.trainable.assembled import TorchTextTower


class TrainableText(Protocol):
    """A text tower while it learns.

    Attributes:
        module: Its parameters; `requires_grad` says which learn.
        dim: D.
    """

    module: nn.Module
    dim: int

    def prepare(self, texts: Sequence[str], languages: Sequence[str] | None) -> Any:
        """N texts in the form that `forward` picks rows from: tokenised once."""
        ...

    def forward(self, prepared: Any, rows: Tensor) -> Tensor:
        """Rows (B,) of prepared texts to (B, D), raw, with gradient."""
        ...

    def export(self) -> tuple[Tower, str]:
        """What was learnt, as a frozen tower, and the reference it will have inside a pack."""
        ...


class TrainableNgrams:
    """A fresh tower of hashed n-grams with a linear end; see `towers.tiny`.

    Args:
        num_buckets: Rows of the n-gram table.
        width: Width of the table.
        dim: D, of what comes out.
        dropout: Share of n-grams that a training step leaves out.
    """

    def __init__(self, *, num_buckets: int, width: int, dim: int, dropout: float = 0.2) -> None:
        self.net = NgramNet(num_buckets=num_buckets, dim=width, width=dim, dropout=dropout)
        self.module: nn.Module = self.net
        self.dim = dim

    def prepare(self, texts: Sequence[str], languages: Sequence[str] | None) -> ngrams.Features:
        """Hash the n-grams of N texts; the language does not matter."""
        del languages
        return ngrams.featurise(texts)

    def forward(self, prepared: ngrams.Features, rows: Tensor) -> Tensor:
        """Rows to (B, D)."""
        vectors: Tensor = self.net(ngrams.select(prepared, rows.numpy()))
        return vectors

    def export(self) -> tuple[Tower, str]:
        """A `tiny` tower in 8 bits."""
        return text_tower_from(self.net, ending="linear"), "tiny:./tower"


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Token ids of N texts, tokenised once."""

    rows: batching.TokenRows

    def __len__(self) -> int:
        return len(self.rows)


class TrainableTransformer:
    """A transformer that is trained on from its weights.

    Args:
        tower: Its module learns in place: give one that nobody else uses, as `copy_of` does.
        reference: How it was loaded; what is saved are the tensors that changed against it.
        also: Names of parameters that differ from that one already.
        max_tokens: Longer texts are cut; None leaves that to the tower.
    """

    def __init__(
        self,
        tower: TorchTextTower,
        reference: str,
        *,
        also: Collection[str] = (),
        max_tokens: int | None = None,
    ) -> None:
        self.tower, self.reference, self.also = tower, reference, also
        self.max_tokens = max_tokens
        self.module: nn.Module = tower.module
        self.dim = tower.dim

    @classmethod
    def copy_of(
        cls, tower: Tower, reference: str, *, max_tokens: int | None = None
    ) -> TrainableTransformer:
        """Train a copy; the given tower stays as it is.

        Args:
            tower: Of hf:, sentence: or openclip:, or one of those that was tuned before.
            reference: How it was loaded.
            max_tokens: Longer texts are cut; None leaves that to the tower.

        Raises:
            ConfigError: For a tower that cannot be trained.
        """
        trunk = tuned.torch_tower(tower)
        own = copy.copy(trunk)
        own.module = copy.deepcopy(trunk.module)
        if isinstance(tower, tuned.TunedTower):
            # Its base stays the base; what differed then still differs.
            return cls(own, tower.tuning.base, also=tuple(tower.tensors), max_tokens=max_tokens)
        return cls(own, reference, max_tokens=max_tokens)

    def prepare(self, texts: Sequence[str], languages: Sequence[str] | None) -> TokenRows:
        """Tokenise N texts, with their languages where the tower uses them."""
        return _token_rows(self.tower, texts, languages, max_tokens=self.max_tokens)

    def forward(self, prepared: TokenRows, rows: Tensor) -> Tensor:
        """Rows to (B, D)."""
        return _forward(self.tower, prepared, rows)

    def export(self) -> tuple[Tower, str]:
        """A `tuned` tower: the base's reference and the tensors that learnt."""
        found = tuned.from_trained(self.tower, base=self.reference, also=self.also)
        return found, "tuned:./tower"


class TrainableAdapters:
    """Adapters or low-rank changes that learn inside a transformer that does not.

    `module` holds them alone. So a checkpoint is small, and the transformer stays in evaluation
    mode: what learns sees the very states that it will see in use, without dropout.

    Args:
        tower: Stays as it is; shares its tensors.
        reference: How it was loaded.
        languages: Ids that get one.
        method: `adapters`, `lora` or `shared-lora`.
        settings: `reduction`, or `rank` and `alpha`; see `tuned.Tuning`.
        max_tokens: Longer texts are cut; None leaves that to the tower.
        dropout: Share of each block's states that is left out while the adapters learn. With it
            two passes of a text differ; without it what learns sees the states of use.

    Raises:
        ConfigError: For a tower that they cannot be put into.
    """

    def __init__(
        self,
        tower: Tower,
        reference: str,
        *,
        languages: Sequence[str],
        method: tuned.Method,
        settings: Mapping[str, int],
        max_tokens: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        self.base, self.max_tokens = tower, max_tokens
        self.tuning = tuned.Tuning(
            base=reference,
            base_fingerprint=tower.fingerprint,
            method=method,
            languages=tuple(languages),
            settings=settings,
        )
        self.routed = tuned.insert(tower, method=method, languages=languages, settings=settings)
        self.module: nn.Module = self.routed.bank
        self.dim = tower.dim
        if dropout:
            adapters.drop_states(self.routed, dropout)

    def prepare(self, texts: Sequence[str], languages: Sequence[str] | None) -> TokenRows:
        """Tokenise N texts; each row says which adapter it takes.

        Raises:
            LanguageError: Without languages.
        """
        return _token_rows(self.routed.tower, texts, languages, max_tokens=self.max_tokens)

    def forward(self, prepared: TokenRows, rows: Tensor) -> Tensor:
        """Rows to (B, D): mixed languages in one pass."""
        return _forward(self.routed.tower, prepared, rows)

    def export(self) -> tuple[Tower, str]:
        """A `tuned` tower: the base's reference and the adapters."""
        found = tuned.from_adapted(self.routed, base=self.base, tuning=self.tuning)
        return found, "tuned:./tower"


def _token_rows(
    tower: TorchTextTower,
    texts: Sequence[str],
    languages: Sequence[str] | None,
    *,
    max_tokens: int | None,
) -> TokenRows:
    if tower.uses_language and languages is None:
        raise errors.LanguageError(
            "no languages given; this tower reads the language of every text",
            hint="give one id such as deu_Latn a text",
        )
    tags = languages if tower.uses_language else None
    rows = tower.token_rows(texts, tags)
    if max_tokens is None or _has_fixed_length(tower):
        return TokenRows(rows)
    # The last token ends the text in every family, and CLIP reads its vector there: it is kept.
    return TokenRows(
        [row if len(row) <= max_tokens else [*row[: max_tokens - 1], row[-1]] for row in rows]
    )


def _has_fixed_length(tower: TorchTextTower) -> bool:
    """Whether it reads every text at one length, padding and all (SigLIP, open_clip)."""
    tags = [ENGLISH] * 2 if tower.uses_language else None
    short, longer = tower.token_rows(["a", "a a a"], tags)
    return len(short) == len(longer)


def _forward(tower: TorchTextTower, prepared: TokenRows, rows: Tensor) -> Tensor:
    """Rows to (B, D); those of like length go together, or a batch of names is mostly padding."""
    chosen = [prepared.rows[row] for row in rows.tolist()]
    on_cpu = tower.device.type == "cpu"
    parts = list(
        batching.plan_batches(
            [len(row) for row in chosen],
            tokens_per_batch=batching.CPU_TOKENS if on_cpu else batching.ACCELERATOR_TOKENS,
            fill_tokens=batching.CPU_FILL if on_cpu else batching.ACCELERATOR_FILL,
        )
    )
    if len(parts) == 1:
        return _pass(tower, chosen)
    vectors = torch.cat([_pass(tower, [chosen[place] for place in part]) for part in parts])
    order = torch.tensor([place for part in parts for place in part], device=vectors.device)
    return vectors[order.argsort()]


def _pass(tower: TorchTextTower, rows: batching.TokenRows) -> Tensor:
    batch = batching.collate(rows, pad_id=tower.pad_id)
    return tower.forward({name: tensor.to(tower.device) for name, tensor in batch.items()})
