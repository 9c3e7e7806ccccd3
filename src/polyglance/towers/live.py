"""Which text towers can learn? A small one of n-grams, and any transformer: one interface for both.

A recipe prepares its texts once (n-grams, or token ids) and asks for vectors of rows, with gradient;
at the end it takes what was learnt as a frozen tower.

Legend: N texts, B rows of a batch, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from polyglance.towers import Tower, batching, ngrams
from polyglance.towers.assembled import TorchTextTower
from polyglance.towers.tiny import text_tower_from
from polyglance.towers.tiny_text import NgramNet


class LiveText(Protocol):
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

    def frozen(self) -> tuple[Tower, str]:
        """What was learnt, as a frozen tower, and the reference it will have inside a pack."""
        ...


class LiveNgrams:
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

    def frozen(self) -> tuple[Tower, str]:
        """A `tiny` tower in 8 bits."""
        return text_tower_from(self.net, ending="linear"), "tiny:./tower"


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Token ids of N texts, tokenised once."""

    rows: batching.TokenRows

    def __len__(self) -> int:
        return len(self.rows)


class LiveTransformer:
    """A transformer that is trained on from its weights.

    Args:
        tower: Its module learns in place: give one that nobody else uses.
        reference: How it was loaded; what is saved are the tensors that changed against it.
    """

    def __init__(self, tower: TorchTextTower, reference: str) -> None:
        self.tower, self.reference = tower, reference
        self.module: nn.Module = tower.module
        self.dim = tower.dim

    def prepare(self, texts: Sequence[str], languages: Sequence[str] | None) -> TokenRows:
        """Tokenise N texts, with their languages where the tower uses them."""
        tags = languages if self.tower.uses_language else None
        return TokenRows(self.tower.token_rows(texts, tags))

    def forward(self, prepared: TokenRows, rows: Tensor) -> Tensor:
        """Rows to (B, D)."""
        chosen = [prepared.rows[row] for row in rows.tolist()]
        batch = batching.collate(chosen, pad_id=self.tower.pad_id)
        return self.tower.forward({k: v.to(self.tower.device) for k, v in batch.items()})

    def frozen(self) -> tuple[Tower, str]:
        """A `tuned` tower: the base's reference and the tensors that learnt."""
        from polyglance.towers import tuned

        return tuned.from_trained(self.tower, base=self.reference), "tuned:./tower"
