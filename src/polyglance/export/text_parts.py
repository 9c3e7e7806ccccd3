"""Parts of a pack's text side for export, with all trained weights merged into one encoder.

A form of others holds one encoder with one set of weights. So changed weights are put in, low-rank
changes are added to the matrices they change, and an adapter is fixed to one language.

Legend: B rows of a batch, L tokens, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.export.request import Order
from polyglance.languages.registry import ENGLISH
from polyglance.languages.text_forms import TextForm
from polyglance.towers import Tower, parse_reference
from polyglance.towers.libraries import sentence_folders, transformers
from polyglance.towers.runtime import checkpoints
from polyglance.towers.trainable import adapters, lora
from polyglance.towers.trainable.assembled import Identity, ProjectedEncoder, TorchTextTower
from polyglance.towers.trainable.tuned import TunedTower, torch_tower

# Longer than any tower reads; its token row shows where the tower cuts.
LONG_TEXT = "a " * 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TextParts:
    """A text side of one transformer.

    Attributes:
        tower: Runs on the CPU, with everything that was trained in it.
        checkpoint: The folder with the encoder's configuration and tokenizer.
        prefix: Put in front of every text.
        text_form: Into which texts are brought first.
        own_weights: Whether the tensors differ from the checkpoint's.
        adapter: Whether a bottleneck stands behind the blocks, which stock modules have not.
        language: The one that is in it, of a tower with parts by language; else English.
        max_length: Tokens that the tower reads at most, special ones included.
        fixed_length: Whether it reads every text padded to that length, without a mask.
        ends_with_pad: Whether the id that fills rows also ends a text, as in CLIP.
    """

    tower: TorchTextTower
    checkpoint: Path
    prefix: str = ""
    text_form: TextForm = "plain"
    own_weights: bool = False
    adapter: bool = False
    language: str = ENGLISH
    max_length: int = 0
    fixed_length: bool = False
    ends_with_pad: bool = False


def text_parts(order: Order) -> TextParts:
    """Take a pack's text side apart.

    Raises:
        ExportError: For a tower that is no transformer in one piece, or that has parts by
            language and none was asked for.
        LanguageError: For a language that it has no part for.
    """
    side = order.pack.side
    if not order.languages_apart:
        order.refuse_language("a text side that reads all of them by the same weights")
    found = _parts_of(side.tower, side.reference, order=order)
    tower = _on_cpu(found.tower)
    tags = [ENGLISH] if tower.uses_language else None
    short, long = (len(tower.token_rows([text], tags)[0]) for text in ("a", LONG_TEXT))
    return replace(
        found,
        tower=tower,
        max_length=long,
        fixed_length=short == long,
        ends_with_pad=tower.pad_id in tower.token_rows(["a"], tags)[0],
    )


def _parts_of(tower: Tower, reference: str, *, order: Order) -> TextParts:
    if isinstance(tower, TunedTower):
        if tower.tuning.method == "weights":
            inner = _parts_of(tower.tower, tower.tuning.base, order=order)
            return replace(inner, own_weights=True)
        assert tower.base is not None
        inner = _parts_of(tower.base, tower.tuning.base, order=order)
        language = _language_of(tower, order)
        if tower.tuning.method == "adapters":
            adapted = _with_adapter(tower, language)
            return replace(inner, tower=adapted, adapter=True, language=language)
        changed = _with_change(tower, language)
        return replace(inner, tower=changed, own_weights=True, language=language)
    if not isinstance(tower, TorchTextTower):
        raise errors.ExportError(
            f"the text tower {reference} ({type(tower).__name__}) is no transformer whose layers "
            "can be written out; those of hf:, sentence: and packaged: are",
            hint="hub-folder holds every pack; onnx also the small n-gram towers (tiny:)",
        )
    return _checkpoint_of(tower, reference)


def _checkpoint_of(tower: TorchTextTower, reference: str) -> TextParts:
    parsed = parse_reference(reference)
    if parsed.library == "hf":
        folder = checkpoints.find_folder(parsed.location, revision=parsed.options.get("revision"))
        return TextParts(
            tower=tower,
            checkpoint=folder,
            prefix=parsed.options.get("prefix", ""),
            text_form=transformers.form_of(
                folder, config=checkpoints.read_json(folder / "config.json")
            ),
        )
    if parsed.library in ("sentence", "packaged"):
        folder = sentence_folders.folder_of(parsed)
        chain = sentence_folders.read_chain(folder)
        assert chain is not None  # otherwise it would be no TorchTextTower
        return TextParts(
            tower=tower,
            checkpoint=chain.transformer,
            prefix=sentence_folders.prompt_of(folder, parsed),
            text_form=chain.form,
        )
    raise errors.ExportError(
        f"the text tower {reference} keeps its tokenizer inside {parsed.library}; only checkpoints "
        "of hf:, sentence: and packaged: have one that can be written out",
        hint="train the pack on the same weights by their hf: name, or export a hub-folder",
    )


def _language_of(tower: TunedTower, order: Order) -> str:
    """The language whose part is taken.

    Raises:
        ExportError: Where none was asked for, and it matters.
        LanguageError: Where the tower has no part for it.
    """
    spoken = tower.tuning.languages
    if order.language is None:
        if tower.tuning.method == "shared-lora":
            return spoken[0]
        raise errors.ExportError(
            f"the text tower has {tower.tuning.method} of {len(spoken)} languages "
            f"({', '.join(spoken[:5])}), and an export holds one",
            hint=f"name it: --language {spoken[0]}; hub-folder holds them all",
        )
    if order.language not in spoken:
        raise errors.LanguageError(
            f"the pack has no {tower.tuning.method} for {order.language}; it has "
            f"{', '.join(spoken)}",
            hint=f"for example --language {spoken[0]}",
        )
    return order.language


def _with_change(tower: TunedTower, language: str) -> TorchTextTower:
    """The base with a low-rank change added to the matrices it stands beside."""
    assert tower.base is not None
    merged = copy.copy(torch_tower(tower.base))
    merged.module = copy.deepcopy(merged.module)
    settings = tower.tuning.settings
    name = "shared" if tower.tuning.method == "shared-lora" else language
    scale = settings["alpha"] / settings["rank"]
    with torch.no_grad():
        for number, target in enumerate(lora.find_targets(merged.module)):
            layer = cast(nn.Linear, merged.module.get_submodule(target))
            down = tower.tensors[f"{number}.down.{name}.weight"].to(layer.weight)
            up = tower.tensors[f"{number}.up.{name}.weight"].to(layer.weight)
            layer.weight += scale * up @ down
    return merged


class OneAdapter(nn.Module):
    """Features of plain token ids, every row through the same adapter.

    Args:
        features: Hooked by the adapters.
        number: Which one, from 1.
    """

    def __init__(self, features: nn.Module, number: int) -> None:
        super().__init__()
        self.features, self.number = features, number

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, L) to (B, D)."""
        # One group that is the whole batch: no rows are picked, so the graph has no branch.
        choice = adapters.Choice((), {self.number: torch.empty(0)}, None)
        token = adapters.CHOICE.set(choice)
        try:
            return cast(Tensor, self.features(batch))
        finally:
            adapters.CHOICE.reset(token)


def _with_adapter(tower: TunedTower, language: str) -> TorchTextTower:
    """The base with one language's bottleneck behind every block."""
    assert tower.base is not None
    base, routed = torch_tower(tower.base), tower.tower.module
    assert isinstance(routed.features, adapters.RoutedFeatures)
    number = tower.tuning.languages.index(language) + 1
    module = ProjectedEncoder(
        OneAdapter(routed.features.features, number), routed.projection, after=routed.after
    )
    return TorchTextTower(
        module,
        token_rows=base.token_rows,
        identity=Identity(
            dim=base.dim,
            pre_projection_dim=base.pre_projection_dim,
            space_id=base.space_id,
            fingerprint=tower.fingerprint,
        ),
        pad_id=base.pad_id,
        device=base.device,
        uses_language=base.uses_language,
    )


def _on_cpu(tower: TorchTextTower) -> TorchTextTower:
    if tower.device.type == "cpu":
        return tower
    moved = copy.copy(tower)
    moved.module, moved.device = copy.deepcopy(tower.module).cpu(), torch.device("cpu")
    return moved
