"""Weights that are whole, and what is said of those that are not."""

import pickle

import numpy as np
import pytest
import torch

from polyglance import errors
from polyglance.storage import tensor_files

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
READERS = [tensor_files.read, tensor_files.read_torch, tensor_files.opened]


def test_there_and_back(tmp_path):
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    tensor_files.write(tmp_path / "a", {"w": turned})
    np.testing.assert_array_equal(tensor_files.read(tmp_path / "a")["w"], turned)
    tensor_files.write_torch(tmp_path / "b", {"w": torch.ones(2)}, metadata={"format": "pt"})
    assert tensor_files.read_torch(tmp_path / "b")["w"].tolist() == [1, 1]
    assert list(tensor_files.opened(tmp_path / "b").keys()) == ["w"]


@pytest.mark.parametrize("read", READERS)
def test_what_is_no_weights(read, tmp_path):
    path = tmp_path / "head.safetensors"
    tensor_files.write(path, {"w": np.ones((4, 4), np.float32)})
    whole = path.read_bytes()
    with pytest.raises(errors.UnavailableError, match="No such file"):
        read(tmp_path / "absent")
    path.write_bytes(POINTER)
    with pytest.raises(errors.UnavailableError, match="pointer of Git LFS") as caught:
        read(path)
    assert "git lfs pull" in caught.value.hint
    for damaged in (b"", whole[:4], whole[:-3], whole[:20] + b"\0" * 50, b"\xff" * 40):
        path.write_bytes(damaged)
        with pytest.raises(errors.StoreError, match="cut or damaged"):
            read(path)


@pytest.mark.parametrize("read", READERS)
def test_weights_that_may_not_be_read(read, tmp_path, monkeypatch):
    def denied(self, *args, **options):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "head.safetensors"
    path.write_bytes(b"x")
    monkeypatch.setattr(tensor_files.Path, "open", denied)
    with pytest.raises(errors.UnavailableError, match="Permission denied") as caught:
        read(path)
    assert caught.value.hint.startswith("chmod a+r")


class RunsCode:
    def __reduce__(self):
        return print, ("it ran",)


def test_pickled_tensors_are_read_and_nothing_runs(tmp_path, capsys):
    path = tmp_path / "head.pth"
    torch.save({"w": torch.arange(6).reshape(2, 3).T, "epoch": 3}, path)
    found = tensor_files.read_pickled(path)
    assert found["w"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert list(found) == ["w"]
    assert found["w"].is_contiguous()
    whole = path.read_bytes()
    for damaged in (whole[:-100], b"no weights", b"\x80\x04K\x07.", b"PK\x03\x04" + b"\0" * 40):
        path.write_bytes(damaged)
        with pytest.raises(errors.StoreError, match=r"read safely|holds a int"):
            tensor_files.read_pickled(path)
    path.write_bytes(pickle.dumps({"w": RunsCode()}))
    with pytest.raises(errors.StoreError, match="more than plain tensors"):
        tensor_files.read_pickled(path)
    assert "it ran" not in capsys.readouterr().out
    torch.save([torch.ones(1)], path)
    with pytest.raises(errors.StoreError, match="holds a list"):
        tensor_files.read_pickled(path)
    path.write_bytes(POINTER)
    with pytest.raises(errors.UnavailableError, match="pointer of Git LFS"):
        tensor_files.read_pickled(path)
    path.unlink()
    with pytest.raises(errors.UnavailableError, match="No such file"):
        tensor_files.read_pickled(path)
