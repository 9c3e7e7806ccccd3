"""Adapters: bottlenecks behind a tower's blocks, one for each of many languages.

A block's summed states s (residual and feed-forward output) pass a bottleneck A of the row's
language, A(h) = up(relu(down(h))):

    normalise after adding (BERT, XLM-R):  h = norm(s),  result norm(s + A(h))
    normalise first (CLIP, SigLIP, NLLB):                result s + A(s)

The language reaches the blocks through the token ids: a row's first number says which adapter it
takes, 0 for none, and never reaches the embeddings. So batching, deduplication and training handle
mixed languages as they handle any text, and one batch is one forward pass.

Source: Pfeiffer et al. 2020 (MAD-X), task adapters; Babel-ImageNet, section 6 and B.3.

Legend: B rows of a batch, L tokens, D width of a block, R width of a bottleneck, G languages.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyglance import errors
from polyglance.towers.runtime import batching
from polyglance.towers.runtime.blocks import BlockEnd, find_blocks, find_ends
from polyglance.towers.trainable.assembled import Identity, ProjectedEncoder, TorchTextTower

# As the weights of BERT start. The way up starts at zero, so a new adapter changes nothing at all
# (AdapterHub draws it as well: nearly nothing).
INITIAL_STD = 0.02


@dataclass(frozen=True, eq=False)
class Choice:
    """Which adapter each row of the batch in hand takes.

    Attributes:
        numbers: B numbers, 0 for none.
        groups: By number, without 0: the rows that take it; int64.
        rows: The rows of all groups, one after the other; None where one group is the batch.
    """

    numbers: tuple[int, ...]
    groups: Mapping[int, Tensor]
    rows: Tensor | None


# Hooks deep in a library's model read it; a context variable, so that threads do not mix.
CHOICE: ContextVar[Choice | None] = ContextVar("adapters of the batch in hand", default=None)


@dataclass(frozen=True, eq=False)
class Routed:
    """A tower whose rows choose their adapter.

    Attributes:
        tower: Reads the language of each text. Shares its frozen tensors with the base.
        bank: What learns, and nothing else.
    """

    tower: TorchTextTower
    bank: nn.Module


class Bottleneck(nn.Module):
    """Down, ReLU, up; what it gives is added to the states by its caller.

    Args:
        width: D.
        reduction: D over R.
    """

    def __init__(self, width: int, *, reduction: int) -> None:
        super().__init__()
        inner = max(1, width // reduction)
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        nn.init.normal_(self.down.weight, std=INITIAL_STD)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, states: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        change: Tensor = self.up(F.relu(self.down(states.to(self.down.weight.dtype))))
        return change.to(states.dtype)


class BlockAdapters(nn.Module):
    """The adapters behind one block, by language.

    Each has parameters of its own, so a language that a batch lacks has no gradient there, and the
    optimiser leaves it alone.

    Args:
        width: D.
        languages: G ids.
        reduction: D over R.
    """

    def __init__(self, width: int, *, languages: Sequence[str], reduction: int) -> None:
        super().__init__()
        # All start alike: as each would with no other language beside it.
        start = Bottleneck(width, reduction=reduction)
        self.by_language = nn.ModuleDict({language: copy.deepcopy(start) for language in languages})
        self.in_order = tuple(languages)

    def after_block(self, block: nn.Module, args: Any, output: Any) -> Any:
        """Hook behind a block that normalises first: s becomes s + A(s)."""
        del block, args
        choice = CHOICE.get()
        if choice is None or not choice.groups:
            return None
        states = output[0] if isinstance(output, tuple) else output
        chosen, change = self._change(states, choice)
        changed = _put(states, chosen + change, choice)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    def after_norm(self, norm: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Any:
        """Hook behind the norm that ends a block: norm(s) becomes norm(s + A(norm(s)))."""
        choice = CHOICE.get()
        if choice is None or not choice.groups:
            return None
        summed = args[0] if choice.rows is None else args[0][choice.rows]
        _, change = self._change(output, choice)
        # Its `forward`, not a call: a call would come back to this hook.
        return _put(output, norm.forward(summed + change), choice)

    def _change(self, states: Tensor, choice: Choice) -> tuple[Tensor, Tensor]:
        """States (B', L, D) of the rows that take an adapter, and what it gives for them.

        A product a language, not one of B matrices: gathering a matrix a row reads B D R numbers.
        """
        groups = choice.groups.items()
        if choice.rows is None:
            (number,) = choice.groups
            return states, self._adapter(number)(states)
        parts = [(states[rows], self._adapter(number)) for number, rows in groups]
        chosen = torch.cat([part for part, _ in parts])
        return chosen, torch.cat([adapter(part) for part, adapter in parts])

    def _adapter(self, number: int) -> nn.Module:
        return self.by_language[self.in_order[number - 1]]


class RoutedFeatures(nn.Module):
    """Features of token ids whose first column says which adapter the row takes.

    Args:
        features: A batch to (B, D), its blocks hooked by `bank`.
        bank: Holds the adapters.
    """

    def __init__(self, features: nn.Module, bank: nn.Module) -> None:
        super().__init__()
        self.features, self.bank = features, bank

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, D)."""
        inner = {name: tensor[:, 1:] for name, tensor in batch.items()}
        token = CHOICE.set(choose(batch["input_ids"][:, 0]))
        try:
            return cast(Tensor, self.features(inner))
        finally:
            CHOICE.reset(token)


def choose(numbers: Tensor) -> Choice:
    """Group the rows of a batch by their adapter.

    Args:
        numbers: int64 (B,), 0 for none.

    >>> found = choose(torch.tensor([2, 0, 1, 2]))
    >>> {number: rows.tolist() for number, rows in found.groups.items()}, found.rows.tolist()
    ({1: [2], 2: [0, 3]}, [2, 0, 3])
    """
    listed = numbers.tolist()
    groups = {
        number: torch.nonzero(numbers == number).flatten()
        for number in sorted(set(listed))
        if number
    }
    whole = len(groups) == 1 and 0 not in listed
    rows = None if whole or not groups else torch.cat(list(groups.values()))
    return Choice(tuple(listed), groups, rows)


def insert(base: TorchTextTower, *, languages: Sequence[str], reduction: int = 16) -> Routed:
    """Put new adapters into a copy of a tower's modules that shares its tensors.

    Args:
        base: Stays as it is.
        languages: Ids, one adapter each.
        reduction: Width of the tower over that of a bottleneck.

    Raises:
        ConfigError: For a reduction below one, or a tower without blocks.
    """
    if reduction < 1:
        raise errors.ConfigError(
            f"reduction {reduction}; it divides the width, so 1 or more is allowed",
            hint="the paper takes 16",
        )
    module = with_same_tensors(base.module)
    ends = find_ends(base, within=module)
    bank = nn.ModuleList(_adapt(end, languages, reduction) for end in ends)
    return route(
        base, module, bank=bank, numbers={name: i for i, name in enumerate(languages, start=1)}
    )


def route(
    base: TorchTextTower, module: ProjectedEncoder, *, bank: nn.Module, numbers: Mapping[str, int]
) -> Routed:
    """A tower around modules whose hooks read `CHOICE`.

    Args:
        base: Gives tokens and names.
        module: The hooked modules.
        bank: What they were hooked with.
        numbers: By language which adapter, from 1.
    """
    device = base.device

    def rows(texts: Sequence[str], languages: Sequence[str] | None) -> batching.TokenRows:
        assert languages is not None  # the tower refuses texts without
        ids = base.token_rows(texts, languages if base.uses_language else None)
        return [
            [numbers.get(language, 0), *row] for language, row in zip(languages, ids, strict=True)
        ]

    tower = TorchTextTower(
        ProjectedEncoder(
            RoutedFeatures(module.features, bank.to(device)), module.projection, after=module.after
        ),
        token_rows=rows,
        identity=Identity(
            dim=base.dim,
            pre_projection_dim=base.pre_projection_dim,
            space_id=base.space_id,
            fingerprint=base.fingerprint,
        ),
        pad_id=base.pad_id,
        device=device,
        uses_language=True,
        languages=base.languages,
    )
    return Routed(tower, bank)


def drop_states(routed: Routed, share: float) -> None:
    """Leave out a share of the states behind every block, while the bank is in training mode.

    Whatever dropout the transformer was trained with stays off: this one is the same for all.

    Args:
        routed: Its modules are hooked.
        share: In (0, 1).
    """

    def drop(block: nn.Module, args: Any, output: Any) -> Any:
        del block, args
        if not routed.bank.training:
            return None
        if isinstance(output, tuple):
            return (F.dropout(output[0], share), *output[1:])
        return F.dropout(output, share)

    for block in find_blocks(routed.tower.module):
        block.register_forward_hook(drop)


def with_same_tensors(module: ProjectedEncoder) -> ProjectedEncoder:
    """A copy of modules, with hooks and modes of its own, around the very same frozen tensors."""
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=False)
        for parameter in module.parameters()
    }
    memo |= {id(buffer): buffer for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


def _adapt(end: BlockEnd, languages: Sequence[str], reduction: int) -> BlockAdapters:
    """New adapters, hooked behind a block."""
    adapters = BlockAdapters(end.width, languages=languages, reduction=reduction)
    if end.norm is None:
        end.block.register_forward_hook(adapters.after_block)
    else:
        end.norm.register_forward_hook(adapters.after_norm)
    return adapters


def _put(states: Tensor, changed: Tensor, choice: Choice) -> Tensor:
    """`states` with the changed rows in their places; the others keep every bit."""
    return changed if choice.rows is None else states.index_copy(0, choice.rows, changed)
