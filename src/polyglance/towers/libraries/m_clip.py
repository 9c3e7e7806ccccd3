"""Conversion of M-CLIP's published text encoders into a folder that `sentence:` reads.

An M-CLIP model is a transformer, the mean of its token states, and one linear layer into CLIP's
space. It is published as a pickle with code of its own. Here the pickle is read as tensors alone
(`weights_only=True`: nothing in it is run), and written as safetensors with stock modules.

Source: Carlsson et al. 2022 (Cross-lingual and Multilingual CLIP); their MultilingualCLIP class.

Legend: D' width of the transformer, D width of the space.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from polyglance import errors
from polyglance.storage import atomic, tensor_files
from polyglance.towers.libraries import transformers
from polyglance.towers.runtime import checkpoints

PICKLE, SAFETENSORS = "pytorch_model.bin", "model.safetensors"
_TRANSFORMER, _LINEAR = "transformer.", "LinearTransformation."
_MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"))


def convert(published: Path, *, encoder: Path, out: Path) -> str:
    """Write an M-CLIP text encoder as a folder of sentence-transformers.

    Args:
        published: The folder of M-CLIP's model, with its weights and its tokenizer.
        encoder: The folder of the transformer that it was made of (`modelBase` in its config.json,
            such as xlm-roberta-large): its config.json is read, not its weights.
        out: A folder that is not there yet.

    Returns:
        The reference of the tower: `sentence:OUT`.

    Raises:
        UnavailableError: Where a file is absent.
        StoreError: Where the weights are damaged, or hold more than tensors.
        ConfigError: Where the weights are no M-CLIP's, or of another transformer.
        OutputError: Where there is something in `out`.
    """
    tensors = _tensors_in(published)
    parts = {
        prefix: {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        for prefix in (_TRANSFORMER, _LINEAR)
    }
    linear = parts[_LINEAR]
    if set(linear) != {"weight", "bias"} or not parts[_TRANSFORMER]:
        raise errors.ConfigError(
            f"{published} holds {len(tensors)} tensors, first {', '.join(sorted(tensors)[:2])}; "
            "an M-CLIP model has transformer.* and LinearTransformation.weight and .bias",
            hint="take a model of M-CLIP/..., for example M-CLIP/XLM-Roberta-Large-Vit-L-14",
        )
    width_out, width_in = linear["weight"].shape  # (D, D')
    config = checkpoints.read_json(encoder / "config.json")
    if config.get("hidden_size") != width_in:
        raise errors.ConfigError(
            f"{encoder} is a transformer of width {config.get('hidden_size')}; {published} was "
            f"made of one of width {width_in}",
            hint="its config.json names the transformer: modelBase",
        )
    dense = {
        "in_features": width_in,
        "out_features": width_out,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    listed = [
        {
            "idx": number,
            "name": str(number),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for number, (path, kind) in enumerate(_MODULES)
    ]
    with atomic.folder_in_one_step(out, marker=None) as making:
        for name in transformers.TOKENIZER_FILES:
            if (published / name).is_file():
                shutil.copyfile(published / name, making / name)
        shutil.copyfile(encoder / "config.json", making / "config.json")
        form = {"format": "pt"}  # transformers reads no file that does not say so
        tensor_files.write_torch(making / SAFETENSORS, parts[_TRANSFORMER], metadata=form)
        for path, _ in _MODULES[1:]:
            (making / path).mkdir()
        pooling = {"embedding_dimension": width_in, "pooling_mode": "mean"}
        _write(making / "modules.json", listed)
        _write(making / "1_Pooling" / "config.json", pooling)
        _write(making / "2_Dense" / "config.json", dense)
        stored = {f"linear.{name}": tensor for name, tensor in linear.items()}
        tensor_files.write_torch(making / "2_Dense" / SAFETENSORS, stored)
    return f"sentence:{out.resolve()}"


def _tensors_in(folder: Path) -> dict[str, Tensor]:
    if (folder / SAFETENSORS).is_file():
        return tensor_files.read_torch(folder / SAFETENSORS)
    if not (folder / PICKLE).is_file():
        raise errors.UnavailableError(
            f"{folder} has neither {SAFETENSORS} nor {PICKLE}",
            hint="download the whole model: hf download M-CLIP/NAME --local-dir FOLDER",
        )
    return tensor_files.read_pickled(folder / PICKLE)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
