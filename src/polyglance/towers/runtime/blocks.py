"""The blocks of a transformer, found by running one text and not by the model's name.

Blocks are the outermost list of like modules with the most parameters. One whose result is that of
a normalisation adds first and normalises then (BERT, RoBERTa, XLM-R, MPNet); any other normalises
first, and its result is the residual stream itself (CLIP, SigLIP, NLLB, open_clip).

Legend: B rows, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.towers.trainable.assembled import TorchTextTower


@dataclass(frozen=True, eq=False)
class BlockEnd:
    """The end of one block.

    Attributes:
        block: The block; gives (B, L, D), alone or first of a tuple.
        norm: The normalisation that its result comes from; None where it normalises first.
        width: D.
    """

    block: nn.Module
    norm: nn.Module | None
    width: int


def find_ends(tower: TorchTextTower, *, within: nn.Module) -> list[BlockEnd]:
    """The ends of all blocks, in order.

    Args:
        tower: Gives the token ids of a short text.
        within: Its module, or a copy of it, which reads them.

    Raises:
        ConfigError: Where there are no blocks, or their results are not (B, L, D).
    """
    blocks = find_blocks(within)
    if not blocks:
        raise errors.ConfigError(
            f"{type(within).__name__} holds no list of like blocks; a transformer does",
            hint="take a tower of hf:, sentence: or openclip:",
        )
    tags = [ENGLISH] if tower.uses_language else None
    row = tower.token_rows(["a"], tags)[0]
    # More rows than tokens, so that the two cannot be taken for each other.
    ids = torch.tensor([row] * (len(row) + 1), device=tower.device)
    return _watch(blocks, lambda: within({"input_ids": ids}), num_rows=len(ids))


def find_blocks(module: nn.Module) -> list[nn.Module]:
    """The members of the outermost list of like modules with the most parameters.

    >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> len(find_blocks(nn.Sequential(nn.Embedding(9, 2), nn.ModuleDict({"layers": layers}))))
    3
    """
    found = max(_lists_of_like(module), key=_num_parameters, default=None)
    return [] if found is None else list(found)


def _lists_of_like(module: nn.Module) -> Iterator[nn.ModuleList]:
    for child in module.children():
        if isinstance(child, nn.ModuleList) and len({type(member) for member in child}) == 1:
            yield child
        else:
            yield from _lists_of_like(child)


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _watch(blocks: list[nn.Module], run: Callable[[], Any], *, num_rows: int) -> list[BlockEnd]:
    """Run once, and see which normalisation each block's result comes from."""
    results: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        results[module] = output[0] if isinstance(output, tuple) else output

    norms = {block: [m for m in block.modules() if _is_norm(m)] for block in blocks}
    watched = [module for block in blocks for module in (block, *norms[block])]
    handles = [module.register_forward_hook(note) for module in watched]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    ends = []
    for block in blocks:
        states = results.get(block)
        if states is None or states.ndim != 3 or len(states) != num_rows:
            shape = None if states is None else tuple(states.shape)
            raise errors.ConfigError(
                f"a {type(block).__name__} gave {shape} for {num_rows} rows; (rows, tokens, width) "
                "is needed",
                hint="take a tower whose blocks keep the rows in front",
            )
        last = next((norm for norm in norms[block] if results.get(norm) is states), None)
        ends.append(BlockEnd(block, last, states.shape[-1]))
    return ends


def _is_norm(module: nn.Module) -> bool:
    """Whether it holds one factor a dimension: LayerNorm, RMSNorm and the like."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim == 1 and not list(module.children())
