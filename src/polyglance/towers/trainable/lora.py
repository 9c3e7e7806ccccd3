"""Low-rank adapters (LoRA) of a tower's attention for many languages, by peft.

Query and value projections get a product of two thin matrices beside them (our own BERT has query,
key and value in one matrix, which gets one product). Rows choose theirs as they choose a bottleneck
in `adapters`; several languages may share one.

Source: Hu et al. 2022; Babel-ImageNet, B.3, which compares it at alpha 8 and r 16.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from polyglance import errors
from polyglance.towers.runtime.blocks import find_blocks
from polyglance.towers.trainable import adapters
from polyglance.towers.trainable.assembled import ProjectedEncoder, TorchTextTower

# What attention calls its query and value projections; the first row that a tower has is taken.
TARGETS = (
    ("query", "value"),
    ("q_proj", "v_proj"),
    ("q_lin", "v_lin"),
    ("q", "v"),
    ("query_key_value",),
)
# peft's name for rows that take no change.
_BASE = "__base__"


def insert(
    base: TorchTextTower, *, change_of: Mapping[str, str], rank: int = 16, alpha: int = 8
) -> adapters.Routed:
    """Put new low-rank changes into a copy of a tower's modules that shares its tensors.

    Args:
        base: Stays as it is.
        change_of: By language the name of its change, its own or one of several languages.
        rank: Inner width.
        alpha: The change is scaled by alpha / rank.

    Raises:
        MissingExtraError: Where peft is not installed.
        ConfigError: For a tower without such projections, or a rank below one.
    """
    if rank < 1:
        raise errors.ConfigError(
            f"rank {rank}; 1 or more is allowed", hint="the paper takes 16 with alpha 8"
        )
    module = adapters.with_same_tensors(base.module)
    names = tuple(dict.fromkeys(change_of.values()))
    layers = _inject(module, names=names, rank=rank, alpha=alpha)
    bank = nn.ModuleList(
        nn.ModuleDict({"down": layer.lora_A, "up": layer.lora_B}) for layer in layers
    )
    bank.requires_grad_(True)

    def choose(layer: nn.Module, args: Any, keywords: dict[str, Any]) -> Any:
        del layer
        choice = adapters.CHOICE.get()
        numbers = (0,) * len(args[0]) if choice is None else choice.numbers
        return args, {**keywords, "adapter_names": [(_BASE, *names)[i] for i in numbers]}

    for layer in layers:
        layer.register_forward_pre_hook(choose, with_kwargs=True)
    numbers = {language: names.index(name) + 1 for language, name in change_of.items()}
    return adapters.route(base, module, bank=bank, numbers=numbers)


def find_targets(module: nn.Module) -> list[str]:
    """The full names of the projections that take a change, in order.

    Args:
        module: The tower's modules.

    Raises:
        ConfigError: Where the blocks have none that are known.
    """
    inside = {id(part) for block in find_blocks(module) for part in block.modules()}
    linear = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and id(part) in inside
    ]
    for wanted in TARGETS:
        found = [name for name in linear if name.rpartition(".")[2] in wanted]
        if found:
            return found
    known = "; ".join(", ".join(target) for target in TARGETS)
    raise errors.ConfigError(
        f"no linear layer in the blocks is called one of {known}; LoRA needs the projections of "
        "query and value apart",
        hint="take the method adapter, which needs only the blocks",
    )


def _inject(module: ProjectedEncoder, *, names: Sequence[str], rank: int, alpha: int) -> list[Any]:
    """The layers that peft puts in the places of the projections, in order."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.tuners.lora import LoraLayer
    except ModuleNotFoundError as error:
        raise errors.missing_extra("low-rank changes (LoRA)", extra="lora") from error
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=find_targets(module))
    with warnings.catch_warnings():
        # It warns of a second adapter, which is what is meant here.
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        for name in names:
            inject_adapter_in_model(config, module, adapter_name=name)
    return [part for part in module.modules() if isinstance(part, LoraLayer)]
