"""ONNX graphs of a side: tower, heads and normalisation traced as one module.

Legend: B rows of a batch, L tokens, F n-grams of a text, D width of the space.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from polyglance import errors
from polyglance.heads.affine import AffineMap, Chain, Head
from polyglance.model.side import HeadInput, Side
from polyglance.records import Output
from polyglance.towers.tiny.tower import TinyImageTower, TinyTextTower
from polyglance.towers.trainable.assembled import TorchImageTower
from polyglance.towers.trainable.tuned_images import TunedImageTower

# Read by every runtime of the last years; what the graphs need is older.
OPSET = 18
# A file of the format holds 2 GB at most; larger tensors go into a second file beside it.
LARGEST_FILE = 1_900_000_000
VECTORS = "embedding"


class HeadModule(nn.Module):
    """A head in torch: affine maps, a ReLU between each two, perhaps behind a layer norm.

    Args:
        head: The same in NumPy.
        head_input: Whether it takes vectors at length one.
    """

    def __init__(self, head: Head, head_input: HeadInput) -> None:
        super().__init__()
        maps, norms = (head.maps, head.norms) if isinstance(head, Chain) else ((head,), None)
        self.maps = nn.ModuleList(linear(each) for each in maps)
        self.norms = nn.ModuleList(layer_norm(n.gain, n.shift) for n in norms or ())
        self.unit = head_input == "unit"

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, D_in) to (B, D_out), raw."""
        vectors = self.maps[0](F.normalize(vectors, dim=1) if self.unit else vectors)
        for number, following in enumerate(list(self.maps)[1:]):
            if len(self.norms):
                vectors = self.norms[number](vectors)
            vectors = following(torch.relu(vectors))
        return vectors


class IntoSpace(nn.Module):
    """A tower's module with heads behind it: a batch to unit vectors.

    Args:
        tower: A batch to (B, D_tower), raw.
        heads: In order; each but the first takes unit vectors, as an index stores them.
        width: Zeros are put behind the vectors up to it; None leaves them.
    """

    def __init__(
        self, tower: nn.Module, *, heads: Sequence[HeadModule], width: int | None = None
    ) -> None:
        super().__init__()
        self.tower, self.heads, self.width = tower, nn.ModuleList(heads), width

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, D), unit."""
        vectors = self.tower(batch)
        for head in self.heads:
            vectors = head(vectors)
        vectors = F.normalize(vectors, dim=1)
        if self.width is not None:
            vectors = F.pad(vectors, (0, self.width - vectors.shape[1]))
        return vectors


class Raw(nn.Module):
    """What a side asks of its tower: the embedding, or what stands before its projection."""

    def __init__(self, module: nn.Module, output: Output) -> None:
        super().__init__()
        self.module, self.output = module, output

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, D_tower)."""
        return cast(Tensor, self.module(batch, output=self.output))


class NamedInputs(nn.Module):
    """A module of a batch with one positional input a tensor, as a graph has them."""

    def __init__(self, inner: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.inner, self.names = inner, tuple(names)

    def forward(self, *tensors: Tensor) -> Tensor:
        """(B, D)."""
        return cast(Tensor, self.inner(dict(zip(self.names, tensors, strict=True))))


class PixelBatch(nn.Module):
    """The small convolution, whose input has no name."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, D)."""
        return cast(Tensor, self.net(batch["pixel_values"]))


class Ngrams(nn.Module):
    """The small n-gram tower behind its hashing: rows of a table and their weights to a vector.

    The table stays in 8 bits. A text with fewer n-grams than F has weights of zero.

    Args:
        tower: Gives the tensors.
    """

    def __init__(self, tower: TinyTextTower) -> None:
        super().__init__()
        for name, value in tower.tensors.items():
            tensor = torch.from_numpy(np.ascontiguousarray(value))
            self.register_buffer(name, tensor.float() if name.endswith("_scale") else tensor)
        self.ending = tower.ending

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`ids` int64 and `weights` float32, both (B, F), to (B, D)."""
        ids = batch["ids"]
        weights = batch["weights"] * self._buffer("table_scale")[ids]
        pooled = (self._buffer("table")[ids].float() * weights.unsqueeze(-1)).sum(1)
        scores = F.normalize(pooled, dim=1) @ self._matrix("keys").T + self._buffer("bias")
        if self.ending == "linear":
            return scores
        shares = scores.softmax(dim=1)
        return shares @ self._matrix("memory") if hasattr(self, "memory") else shares

    def _buffer(self, name: str) -> Tensor:
        return cast(Tensor, getattr(self, name))

    def _matrix(self, name: str) -> Tensor:
        return self._buffer(name).float() * self._buffer(f"{name}_scale")[:, None]


def linear(mapped: AffineMap) -> nn.Linear:
    """An affine map as a layer of torch."""
    layer = nn.Linear(mapped.dim_in, mapped.dim_out)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(mapped.weight))
        layer.bias.copy_(torch.from_numpy(mapped.bias))
    return layer


def layer_norm(gain: NDArray[Any], shift: NDArray[Any]) -> nn.LayerNorm:
    """A layer norm of torch with its learnt numbers; epsilon as in `affine`, torch's default."""
    layer = nn.LayerNorm(len(gain))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(gain))
        layer.bias.copy_(torch.from_numpy(shift))
    return layer


def heads_of(side: Side, *behind: Head | None) -> list[HeadModule]:
    """The heads of a side in torch, with what stands behind it in the space."""
    own = [] if side.head is None else [HeadModule(side.head, side.head_input)]
    return [*own, *(HeadModule(head, "unit") for head in behind if head is not None)]


def image_module(side: Side) -> nn.Module:
    """A side's image tower as a module of `pixel_values`, on the CPU.

    Raises:
        ExportError: For one that is not of torch, or that resizes its patches by image.
    """
    tower = side.tower
    if isinstance(tower, TinyImageTower):
        return PixelBatch(tower.net)
    inner = tower.tower if isinstance(tower, TunedImageTower) else tower
    if not isinstance(inner, TorchImageTower):
        raise errors.ExportError(
            f"the image tower {side.reference} ({type(tower).__name__}) cannot be traced; those of "
            "hf:, openclip: and tiny: can",
            hint="export the text side alone: --to onnx without --model",
        )
    if inner.recipe.fit == "patches":
        raise errors.ExportError(
            f"the image tower {side.reference} resizes its table of positions for every image, "
            "which no fixed graph does",
            hint="export the text side alone: --to onnx without --model",
        )
    module = inner.module if inner.device.type == "cpu" else copy.deepcopy(inner.module).cpu()
    return Raw(module, side.output)


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What is to be traced.

    Attributes:
        module: A batch to unit vectors.
        batch: An example: two rows or more of each dynamic axis.
        axes: Names of dynamic axes by number, the same for all inputs; none for a fixed shape.
    """

    module: nn.Module
    batch: Mapping[str, Tensor]
    axes: Mapping[int, str]


def write_graph(traced: Traced, path: Path) -> None:
    """Trace a module and write it as ONNX of `OPSET`.

    Args:
        traced: The module and an example of its input.
        path: The file; above 2 GB of tensors a second one, `.data`, stands beside it.

    Raises:
        ExportError: Where torch cannot trace it.
    """
    module = NamedInputs(traced.module, list(traced.batch)).eval()
    shapes = tuple({n: torch.export.Dim(a) for n, a in traced.axes.items()} for _ in traced.batch)
    size = sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module,
                tuple(traced.batch.values()),
                input_names=list(traced.batch),
                output_names=[VECTORS],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
                dynamic_shapes=(shapes,) if traced.axes else None,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0][:200]
            raise errors.ExportError(
                f"torch cannot trace this tower: {reason}",
                hint="hub-folder holds every pack; for a text tower also sentence-transformers",
            ) from error
        assert program is not None
        _free_the_name(program.model)
        program.save(str(path), external_data=size > LARGEST_FILE)


def run_graph(path: Path) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float32]]:
    """A function that gives a graph's vectors in onnxruntime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = session.run(None, dict(batch))[0]
        return vectors

    return run


def _free_the_name(model: Any) -> None:
    """Inner values that torch called as the output is called get another name."""
    outputs = {id(value) for value in model.graph.outputs}
    made = [value for node in model.graph for value in node.outputs]
    for value in [*made, *model.graph.initializers.values()]:
        if value.name == VECTORS and id(value) not in outputs:
            value.name = f"{VECTORS}_inner"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what tracing prints of its steps and of torchvision's absence."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
