"""The graph of a BERT computes what torch computes, whatever stands behind it."""

import numpy as np
import pytest
import torch
from torch import nn

import small_bert
from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.libraries.sentence_folders import UnitLength
from polyglance.towers.onnx import bert_graph
from polyglance.towers.onnx.tower import inputs_of, session_of
from polyglance.towers.runtime import batching, bert
from polyglance.towers.runtime.pooling import PooledEncoder
from polyglance.towers.trainable.assembled import ProjectedEncoder

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

WIDTH, WORDS = 48, 60
CONFIG = {
    "model_type": "bert",
    "hidden_size": WIDTH,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 16,
    "vocab_size": WORDS,
}
ROWS = [[2, 5, 9, 3], [2, 3], [2, 7, 7, 8, 20, 31, 3]]


def encoder():
    tensors = small_bert._tensors(WORDS, WIDTH, 80, 2, 0)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in tensors.items():  # biases and norms that matter
        if tensor.ndim == 1:
            tensors[name] = tensor + 0.3 * torch.randn(tensor.shape, generator=generator)
    return bert.from_tensors(tensors, config=CONFIG)


def both(module, path, *, precision="float32", output="embedding", rows=ROWS):
    """The vectors of torch and of the graph, (B, D)."""
    bert_graph.write(module.eval(), path / "g.onnx", precision=precision)
    batch = batching.padded(rows, pad_id=0)
    (found,) = session_of(path / "g.onnx").run([output], inputs_of(batch))
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        return module(tensors, output=output).numpy(), found


@pytest.mark.parametrize("pooling", ["mean", "cls", "position0", "max", "last"])
def test_every_pooling_is_that_of_torch(tmp_path, pooling):
    wanted, found = both(ProjectedEncoder(PooledEncoder(encoder(), pooling=pooling)), tmp_path)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.GELU, nn.Identity])
@pytest.mark.parametrize("output", ["embedding", "pre_projection"])
def test_what_stands_behind_the_pooling_is_that_of_torch(tmp_path, activation, output):
    torch.manual_seed(3)
    dense = nn.Sequential(nn.Linear(WIDTH, 20), activation())
    module = ProjectedEncoder(
        PooledEncoder(encoder(), pooling="mean"),
        dense,
        after=nn.Sequential(UnitLength(), nn.Linear(20, 8, bias=False)),
    )
    wanted, found = both(module, tmp_path, output=output)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_in_8_bits_the_vectors_stay_near_and_do_not_depend_on_the_batch(tmp_path):
    module = ProjectedEncoder(PooledEncoder(encoder(), pooling="mean"))
    wanted, found = both(module, tmp_path, precision="int8")
    cosine = (wanted * found).sum(1) / np.linalg.norm(wanted, axis=1)
    assert (cosine / np.linalg.norm(found, axis=1)).min() > 0.999
    _, alone = both(module, tmp_path, precision="int8", rows=ROWS[1:2])
    np.testing.assert_allclose(alone[0], found[1], atol=1e-5)


def test_a_matrix_in_8_bits_is_within_half_a_step():
    weight = np.random.default_rng(0).standard_normal((7, 48)).astype(np.float32)
    weight[3] = 0
    whole, scales = bert_graph.in_8_bits(weight)
    assert np.abs(whole).max(1).tolist() == [127, 127, 127, 0, 127, 127, 127]
    assert (np.abs(whole * scales[:, None] - weight) <= scales[:, None] * 0.501).all()


def test_states_of_zero_give_what_is_left_of_the_bias(tmp_path):
    inner = encoder()
    with torch.no_grad():
        inner.norm.weight.zero_()
        inner.norm.bias.zero_()
    wanted, found = both(
        ProjectedEncoder(PooledEncoder(inner, pooling="mean")), tmp_path, precision="int8"
    )
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, wanted, atol=0.1)


@pytest.mark.parametrize(
    "module",
    [
        ProjectedEncoder(PooledEncoder(nn.Linear(2, 2), pooling="mean")),
        ProjectedEncoder(nn.Sequential(nn.Softmax(dim=1))),
    ],
)
def test_another_network_is_refused(tmp_path, module):
    with pytest.raises(errors.ConfigError, match="runtime=onnx"):
        bert_graph.write(module, tmp_path / "g.onnx", precision="float32")


def test_a_bert_and_an_xlm_r_of_transformers_are_read(tmp_path):
    transformers = pytest.importorskip("transformers")
    common = {
        "hidden_size": WIDTH,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": WORDS,
    }
    torch.manual_seed(0)
    bert_like = transformers.BertModel(
        transformers.BertConfig(**common, max_position_embeddings=16)
    )
    xlm_r = transformers.XLMRobertaModel(
        transformers.XLMRobertaConfig(**common, max_position_embeddings=18, pad_token_id=1)
    )
    rows = [[0, 5, 9, 2], [0, 7, 8, 20, 31, 2]]
    for name, inner, pad in (("bert", bert_like, 0), ("xlm-r", xlm_r, 1)):
        (tmp_path / name).mkdir()
        module = ProjectedEncoder(PooledEncoder(inner, pooling="mean")).eval()
        bert_graph.write(module, tmp_path / name / "g.onnx", precision="float32")
        batch = batching.padded(rows, pad_id=pad)
        (found,) = session_of(tmp_path / name / "g.onnx").run(["embedding"], inputs_of(batch))
        with torch.inference_mode():
            wanted = module({key: torch.from_numpy(a) for key, a in batch.items()}).numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_small_tower_has_a_graph(tmp_path):
    tower = load_tower(small_bert.save(tmp_path / "m", unit=True), modality="text")
    wanted, found = both(tower.module, tmp_path)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
