"""The ONNX graph of a BERT with its pooling and what follows, in float32 or with 8-bit weights.

Legend: B rows of a batch, L tokens, D width, V words, K inputs and N outputs of a matrix.

The graph is written node by node with ONNX Runtime's own operators, into which its optimiser would
fuse a traced one, so nothing has to be optimised when it is loaded. In 8 bits, a matrix has a scale
an output, the table of words one a word, and the state of a token is rounded by its own largest
number, never by that of a batch: a text has the same vector in any company. (Rounded by the batch,
as the library's own quantisation does, e5's vectors were off by 0.011 in cosine instead of 0.002.)
Source: Devlin et al. 2019; ONNX Runtime, `docs/ContribOperators.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from polyglance import errors
from polyglance.towers.libraries.sentence_folders import UnitLength
from polyglance.towers.onnx.tower import Precision
from polyglance.towers.runtime import bert
from polyglance.towers.runtime.bert import BertEncoder
from polyglance.towers.runtime.pooling import PooledEncoder
from polyglance.towers.trainable.assembled import ProjectedEncoder

OPSET, CONTRIB = 18, "com.microsoft"
IDS, LENGTHS = "input_ids", "lengths"
# The kinds of numbers of a Cast.
FLOAT, INT32 = 1, 6
# States are whole numbers around this one, which the fastest products take without a sign.
ZERO_POINT = 128
# Of a row that is zero.
LEAST_STEP = 1e-30
_ACTIVATIONS: Mapping[type[nn.Module], str] = {nn.Tanh: "Tanh", nn.ReLU: "Relu"}


class _Graph:
    """Nodes and tensors as they come; values are named by number."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self._shapes: dict[int, str] = {}

    def tensor(self, array: NDArray[Any]) -> str:
        """Add a constant."""
        from onnx import numpy_helper

        name = f"t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def constant(self, number: float, kind: Any) -> str:
        """Add one number."""
        return self.tensor(np.array(number, kind))

    def ints(self, *values: int) -> str:
        """Add a constant of int64."""
        return self.tensor(np.array(values, np.int64))

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node, of the library's own operators where the name has a dot; its first output."""
        from onnx import helper

        domain, _, name = kind.rpartition(".")
        number = len(self.nodes)
        made = [f"n{number}" if i == 0 else f"n{number}_{i}" for i in range(outputs)]
        domain = CONTRIB if domain else ""
        self.nodes.append(helper.make_node(name, list(inputs), made, domain=domain, **attributes))
        return made[0]

    def matmul(self, value: str, weight: NDArray[np.float32]) -> str:
        """(B, L, K) times the (N, K) of a linear layer, without its bias: (B, L, N)."""
        if self.precision == "float32":
            return self.node("MatMul", value, self.tensor(weight.T))
        outputs, inputs = weight.shape
        whole, scales = in_8_bits(weight)
        flat = self.node("Reshape", value, self.ints(-1, inputs))  # (B L, K)
        largest = self.node("ReduceMax", self.node("Abs", flat), self.ints(1), keepdims=0)
        steps = self.node("Mul", largest, self.constant(1 / 127, np.float32))
        steps = self.node("Max", steps, self.constant(LEAST_STEP, np.float32))  # (B L,)
        zeros = self.node("ConstantOfShape", self.node("Shape", steps), value=_zero_point())
        rounded = self.node("QuantizeLinear", flat, steps, zeros, axis=0)
        product = self.node(
            "ms.MatMulIntegerToFloat",
            *(rounded, self.tensor(whole.T), self.constant(1, np.float32), self.tensor(scales)),
            self.constant(ZERO_POINT, np.uint8),
        )
        product = self.node("Mul", product, self.node("Unsqueeze", steps, self.ints(1)))
        return self.node("Reshape", product, self._shape(outputs))

    def _shape(self, width: int) -> str:
        """B, L and a width, once for each width."""
        if width not in self._shapes:
            parts = self.node("Shape", IDS), self.ints(width)
            self._shapes[width] = self.node("Concat", *parts, axis=0)
        return self._shapes[width]

    def rows(self, table: NDArray[np.float32], ids: str) -> str:
        """Rows of a (V, D) by (B, L): (B, L, D)."""
        if self.precision == "float32":
            return self.node("Gather", self.tensor(table), ids)
        whole, scales = in_8_bits(table)
        numbers = self.node("Cast", self.node("Gather", self.tensor(whole), ids), to=FLOAT)
        return self.node("Mul", numbers, self.node("Gather", self.tensor(scales[:, None]), ids))


def in_8_bits(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix in whole numbers, with a scale a row.

    Args:
        weight: (N, K).

    Returns:
        int8 (N, K) from -127 to 127, and float32 scales (N,).

    >>> whole, scales = in_8_bits(np.array([[1.0, -2.0], [0.0, 0.0]], np.float32))
    >>> whole.tolist(), (whole * scales[:, None]).astype(float).round(2).tolist()
    ([[64, -127], [0, 0]], [[1.01, -2.0], [0.0, 0.0]])
    """
    scales = np.maximum(np.abs(weight).max(1) / 127, LEAST_STEP).astype(np.float32)
    return np.rint(weight / scales[:, None]).astype(np.int8), scales


def _zero_point() -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.array([ZERO_POINT], np.uint8))


def write(module: ProjectedEncoder, path: Path, *, precision: Precision) -> None:
    """Write the graph of a text tower's module.

    Inputs are int64 `input_ids` (B, L), padded behind, and int32 `lengths` (B,); outputs
    `embedding` and, where something is projected, `pre_projection`. The tensors stand in a second
    file, which the runtime maps into memory.

    Args:
        module: Of a BERT or an XLM-R.
        path: The new file; `.data` stands beside it.
        precision: Of its weights.

    Raises:
        ConfigError: For another encoder, pooling or module behind it.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(precision)
    features = _apply(graph, module.features, IDS)
    out = features if module.projection is None else _apply(graph, module.projection, features)
    if module.after is not None:
        out = _apply(graph, module.after, out)
    graph.nodes.append(helper.make_node("Identity", [out], ["embedding"]))
    names = ["embedding"]
    if module.projection is not None:
        graph.nodes.append(helper.make_node("Identity", [features], ["pre_projection"]))
        names.append("pre_projection")
    made = helper.make_graph(
        graph.nodes,
        "text",
        [
            helper.make_tensor_value_info(IDS, TensorProto.INT64, ["B", "L"]),
            helper.make_tensor_value_info(LENGTHS, TensorProto.INT32, ["B"]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", None]) for name in names],
        graph.tensors,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
    onnx.save_model(
        helper.make_model(made, opset_imports=opsets, ir_version=9),
        str(path),
        save_as_external_data=True,
        location=f"{path.name}.data",
    )


def _apply(graph: _Graph, module: Any, value: str) -> str:
    """A module of the chain on a value (B, D), or the encoder on the ids."""
    if isinstance(module, PooledEncoder):
        states = _encoder(graph, _as_bert(module.encoder), value)
        return _pooled(graph, states, module.pooling)
    if isinstance(module, nn.Sequential):
        for part in module:
            value = _apply(graph, part, value)
        return value
    if isinstance(module, nn.Linear):
        # Few rows go through these: float32, whatever the precision.
        product = graph.node("MatMul", value, graph.tensor(_array(module.weight).T))
        bias = module.bias
        return product if bias is None else graph.node("Add", product, graph.tensor(_array(bias)))
    if isinstance(module, UnitLength):
        length = graph.node("ReduceL2", value, graph.ints(1), keepdims=1)
        least = graph.constant(1e-12, np.float32)
        return graph.node("Div", value, graph.node("Max", length, least))
    if isinstance(module, nn.Identity):
        return value
    if isinstance(module, nn.GELU) and module.approximate == "none":
        return graph.node("ms.Gelu", value)
    if type(module) in _ACTIVATIONS:
        return graph.node(_ACTIVATIONS[type(module)], value)
    raise _unknown(type(module).__name__)


def _encoder(graph: _Graph, encoder: BertEncoder, ids: str) -> str:
    """Token ids (B, L) to states (B, L, D)."""
    words = graph.rows(_array(encoder.words.weight), ids)
    length = graph.node("Shape", ids, start=1, end=2)
    first = graph.tensor(_array(encoder.positions.weight))
    places = graph.node("Slice", first, graph.ints(0), length, graph.ints(0))
    states = graph.node("Add", words, places)
    states = graph.node(
        "LayerNormalization", states, *_norm(graph, encoder.norm), axis=-1, epsilon=encoder.norm.eps
    )
    for layer in encoder.layers:
        states = _layer(graph, layer, states)
    return states


def _layer(graph: _Graph, layer: Any, states: str) -> str:
    """One block on states (B, L, D)."""
    joint = graph.matmul(states, _array(layer.query_key_value.weight))
    query = graph.node("Split", joint, outputs=3, axis=-1, num_outputs=3)
    read = graph.node(
        "ms.MultiHeadAttention",
        *(query, f"{query}_1", f"{query}_2"),
        graph.tensor(_array(layer.query_key_value.bias)),
        LENGTHS,
        num_heads=layer.num_heads,
    )
    read = graph.matmul(read, _array(layer.attended.weight))
    states = _added(graph, read, states, norm=layer.attended_norm, bias=layer.attended.bias)
    inner = graph.matmul(states, _array(layer.widen.weight))
    inner = graph.node("ms.BiasGelu", inner, graph.tensor(_array(layer.widen.bias)))
    inner = graph.matmul(inner, _array(layer.narrow.weight))
    return _added(graph, inner, states, norm=layer.output_norm, bias=layer.narrow.bias)


def _added(graph: _Graph, new: str, old: str, *, norm: nn.LayerNorm, bias: Any) -> str:
    """Bias, add, normalise."""
    rest = *_norm(graph, norm), graph.tensor(_array(bias))
    return graph.node("ms.SkipLayerNormalization", new, old, *rest, epsilon=norm.eps)


def _norm(graph: _Graph, norm: nn.LayerNorm) -> tuple[str, str]:
    return graph.tensor(_array(norm.weight)), graph.tensor(_array(norm.bias))


def _pooled(graph: _Graph, states: str, pooling: str) -> str:
    """States (B, L, D) to (B, D)."""
    if pooling in ("cls", "position0"):
        return graph.node("Gather", states, graph.constant(0, np.int64), axis=1)
    counts = graph.node("Unsqueeze", LENGTHS, graph.ints(1))  # (B, 1)
    length = graph.node("Squeeze", graph.node("Shape", IDS, start=1, end=2))
    zero, one = (graph.constant(number, np.int64) for number in (0, 1))
    places = graph.node("Cast", graph.node("Range", zero, length, one), to=INT32)  # (L,) int32
    real = graph.node("Unsqueeze", graph.node("Less", places, counts), graph.ints(2))
    if pooling == "max":
        low = graph.constant(-np.inf, np.float32)
        kept = graph.node("Where", real, states, low)
        return graph.node("ReduceMax", kept, graph.ints(1), keepdims=0)
    if pooling == "last":
        last = graph.node("Equal", places, graph.node("Sub", counts, graph.constant(1, np.int32)))
        real = graph.node("Unsqueeze", last, graph.ints(2))
    elif pooling != "mean":
        raise _unknown(f"the pooling {pooling}")
    kept = graph.node("Mul", states, graph.node("Cast", real, to=FLOAT))
    total = graph.node("ReduceSum", kept, graph.ints(1), keepdims=0)
    if pooling == "last":
        return total
    return graph.node("Div", total, graph.node("Cast", counts, to=FLOAT))


def _as_bert(encoder: Any) -> BertEncoder:
    """The encoder as our own BERT; transformers' BERT and XLM-R have the same layers.

    XLM-R counts positions from behind the padding id, so that the rows up to it are never read.
    """
    if isinstance(encoder, BertEncoder):
        return encoder
    config = encoder.config.to_dict() if hasattr(encoder, "config") else {}
    offset = int(config.get("pad_token_id") or 0) + 1 if _is_xlm_r(config) else 0
    if not bert.is_supported({**config, "model_type": "bert"} if offset else config):
        raise _unknown(str(config.get("model_type") or type(encoder).__name__))
    tensors = dict(encoder.state_dict())
    name = "embeddings.position_embeddings.weight"
    tensors[name] = tensors[name][offset:]
    size = {"max_position_embeddings": len(tensors[name])}
    return bert.from_tensors(tensors, config={**config, **size})


def _is_xlm_r(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") in ("xlm-roberta", "roberta", "camembert")


def _array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return array


def _unknown(what: str) -> errors.ConfigError:
    return errors.ConfigError(
        f"runtime=onnx of a text tower with {what}; encoders that are a BERT or an XLM-R, with the "
        "poolings mean, cls, position0, max and last, have a graph",
        hint="leave the option runtime out: torch runs every tower",
    )
