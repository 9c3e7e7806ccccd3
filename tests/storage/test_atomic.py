import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors
from polyglance.storage import atomic, locks


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_and_replaced(tmp_path):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "one")
    atomic.write_text(path, "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    assert names_in(tmp_path) == ["a.txt"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(errors.DiskFullError, match=r"a\.txt") as caught:
        atomic.write_text(path, "new")
    assert "free some space" in caught.value.hint
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_other_os_errors_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic.write_text(tmp_path / "absent" / "a.txt", "x")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=JSON_VALUES)
def test_json_comes_back_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            atomic.write_json(path, value)
        return
    atomic.write_json(path, value)
    assert atomic.read_json(path) == value


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "a.json", {"score": float("nan")})
    assert names_in(tmp_path) == []


def test_json_of_others_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert atomic.read_json(tmp_path / "a.json") == [1]


def test_reading_json_says_what_is_wrong(tmp_path):
    with pytest.raises(errors.UnavailableError, match="there is no file"):
        atomic.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{\n"a": oops}')
    with pytest.raises(errors.InputError, match="line 2"):
        atomic.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b'"\xff"')
    with pytest.raises(errors.InputError, match="UTF-8"):
        atomic.read_json(tmp_path / "a.json")


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "pack"
    with atomic.folder_in_one_step(target, marker="a") as folder:
        (folder / "weights").write_bytes(b"1")
        assert not target.exists()
    assert names_in(target) == ["weights"]
    assert names_in(target.parent) == ["pack"]


@pytest.mark.parametrize("failure", [ValueError("x"), KeyboardInterrupt()])
def test_a_folder_that_fails_leaves_what_was_there(tmp_path, failure):
    target = tmp_path / "pack"
    with atomic.folder_in_one_step(target, marker="a") as folder:
        (folder / "a").write_text("old")

    def replace():
        with atomic.folder_in_one_step(target, marker="a") as folder:
            (folder / "a").write_text("new")
            raise failure

    with pytest.raises(type(failure)):
        replace()
    assert (target / "a").read_text() == "old"
    assert names_in(tmp_path) == ["pack"]


def test_a_folder_replaces_one_of_its_kind_and_nothing_else(tmp_path):
    target = tmp_path / "pack"
    target.mkdir()
    for text in ("one", "two"):
        with atomic.folder_in_one_step(target, marker="a") as folder:
            (folder / "a").write_text(text)
        assert (target / "a").read_text() == text
    assert names_in(tmp_path) == ["pack"]
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(target)
    file.write_text("a file")
    for place, marker in ((target, "other"), (target, None), (link, "a"), (file, "a")):
        with (
            pytest.raises(errors.OutputError, match="never replaced"),
            atomic.folder_in_one_step(place, marker=marker),
        ):
            raise AssertionError("begun")
    assert (target / "a").read_text() == "two"
    assert file.read_text() == "a file"
    assert names_in(tmp_path) == ["file", "link", "pack"]


def test_what_came_into_the_place_meanwhile_stays(tmp_path):
    target = tmp_path / "pack"

    def write():
        with atomic.folder_in_one_step(target, marker="a") as folder:
            (folder / "a").write_text("new")
            target.mkdir()
            (target / "photo.jpg").write_bytes(b"1")

    with pytest.raises(errors.OutputError, match="never replaced"):
        write()
    assert names_in(target) == ["photo.jpg"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_of_a_folder_have_the_rights_that_the_umask_leaves(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic.folder_in_one_step(tmp_path / "pack", marker="a") as folder:
            (folder / "tower").mkdir()
            for name in ("a", "tower/weights"):
                (folder / name).touch(mode=0o600)
            (folder / "link").symlink_to("a")
        atomic.write_text(tmp_path / "page", "x")
        with locks.FolderLock(tmp_path / "lock", owner="x").hold():
            pass
    finally:
        os.umask(before)
    for name in ("pack/a", "pack/tower/weights", "page", "lock"):
        assert (tmp_path / name).stat().st_mode & 0o777 == mode, name


def test_the_old_folder_comes_back_where_the_rename_fails(tmp_path, monkeypatch):
    target = tmp_path / "pack"
    target.mkdir()
    (target / "a").write_text("old")
    rename = Path.rename

    def failing(self, to):
        if ".making-" in self.name:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(errors.DiskFullError), atomic.folder_in_one_step(target, marker="a"):
        pass
    assert (target / "a").read_text() == "old"
    assert names_in(tmp_path) == ["pack"]


def test_json_that_is_nested_without_end(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(errors.InputError, match="JSON"):
        atomic.read_json(tmp_path / "a.json")


def test_a_device_is_never_read_to_its_end(tmp_path):
    with pytest.raises(OSError, match="a device"):
        atomic.read_bytes(Path("/dev/zero"))
    (tmp_path / "file").write_bytes(b"x")
    assert atomic.read_bytes(tmp_path / "file") == b"x"
