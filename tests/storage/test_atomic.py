import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors
from polyglance.storage import atomic, leftovers, locations, locks, manifests, outputs


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_cache_folder_can_be_chosen(monkeypatch):
    monkeypatch.setenv("POLYGLANCE_CACHE", "/somewhere")
    assert locations.cache_folder() == Path("/somewhere")
    monkeypatch.delenv("POLYGLANCE_CACHE")
    assert locations.cache_folder() == Path.home() / ".cache" / "polyglance"


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


def test_a_manifest_knows_its_kind_and_version(tmp_path):
    path = tmp_path / "m.json"
    manifests.write_manifest(path, {"dim": 3}, kind="store", schema_version=2)
    assert list(json.loads(path.read_text())) == ["schema_version", "kind", "dim", "checksum"]
    assert manifests.read_manifest(path, kind="store", schema_version=2) == {"dim": 3}
    assert manifests.read_manifest(path, kind="store", schema_version=5) == {"dim": 3}
    with pytest.raises(errors.StoreError, match="'store'; a pack is expected"):
        manifests.read_manifest(path, kind="pack", schema_version=2)
    with pytest.raises(errors.StoreError, match="schema version 2; this program reads 1 to 1"):
        manifests.read_manifest(path, kind="store", schema_version=1)
    path.write_text('["no object"]')
    with pytest.raises(errors.StoreError, match="of the kind None"):
        manifests.read_manifest(path, kind="store", schema_version=1)
    path.write_text('{"kind": "store", "schema_version": "1"}')
    with pytest.raises(errors.StoreError, match="schema version '1'"):
        manifests.read_manifest(path, kind="store", schema_version=1)


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


def test_no_home_folder_asks_for_the_variable(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("POLYGLANCE_CACHE")
    monkeypatch.setattr(atomic.Path, "home", nobody)
    with pytest.raises(errors.UnavailableError, match="no home folder") as caught:
        locations.cache_folder()
    assert "POLYGLANCE_CACHE" in caught.value.hint


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


def test_what_a_killed_writer_left_is_swept(tmp_path):
    old_folder, old_file = tmp_path / ".pack.making-00000001", tmp_path / ".pack.making-00000002"
    fresh = tmp_path / ".pack.making-00000003"
    others = tmp_path / ".pack.making-of"
    old_folder.mkdir()
    (old_folder / "big").write_bytes(b"1")
    old_file.write_bytes(b"1")
    fresh.mkdir()
    others.mkdir()
    (others / "film.mp4").write_bytes(b"1")
    past = time.time() - leftovers.GRACE_SECONDS - 60
    for path in (old_folder, old_file, others):
        os.utime(path, (past, past))
    with atomic.folder_in_one_step(tmp_path / "pack", marker="a"):
        pass
    assert names_in(tmp_path) == [".pack.making-00000003", ".pack.making-of", "pack"]


def test_what_is_being_written_is_never_swept(tmp_path):
    with atomic.folder_in_one_step(tmp_path / "pack", marker="a") as making:
        past = time.time() - leftovers.STALE_SECONDS - 60
        os.utime(making, (past, past))
        leftovers.sweep(tmp_path / "pack")
        (making / "a").write_text("new")
    assert names_in(tmp_path) == ["pack"]


def test_without_locks_a_day_must_have_passed(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "lock", lambda _: None)
    left = tmp_path / ".pack.making-00000001"
    left.mkdir()
    for age, is_left in (
        (leftovers.STALE_SECONDS - 60, True),
        (leftovers.STALE_SECONDS + 60, False),
    ):
        past = time.time() - age
        os.utime(left, (past, past))
        leftovers.sweep(tmp_path / "pack")
        assert left.exists() is is_left


def test_a_verb_sweeps_beside_its_output_first(tmp_path):
    left, other = tmp_path / ".x.making-00000001", tmp_path / ".y.making-00000001"
    for path in (left, other):
        path.write_bytes(b"1")
        os.utime(path, (1e9, 1e9))
    outputs.require(tmp_path / "x", outputs.PACK)
    assert names_in(tmp_path) == [other.name]


def test_local_folder_prefers_what_is_there(tmp_path, monkeypatch):
    (tmp_path / "own" / "pack").mkdir(parents=True)
    (tmp_path / "own" / "pack" / "pack.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    found = locations.local_folder("own/pack", kind="pack", marker="pack.json")
    assert found == Path("own/pack")
    with pytest.raises(errors.UnavailableError, match=r"no model\.json in it"):
        locations.local_folder("own/pack", kind="model", marker="model.json")
    with pytest.raises(errors.UnavailableError, match="there is no pack at /nowhere"):
        locations.local_folder("/nowhere", kind="pack", marker="pack.json")


def test_local_folder_asks_the_hub_for_an_id(tmp_path, monkeypatch):
    import huggingface_hub

    (tmp_path / "pack.json").write_text("{}")
    asked = []

    def given(name):
        asked.append(name)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", given)
    assert locations.local_folder("someone/a-pack", kind="pack", marker="pack.json") == tmp_path
    assert asked == ["someone/a-pack"]

    def refused(name):
        raise ConnectionError("offline\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    with pytest.raises(errors.UnavailableError, match=r"ConnectionError: offline\)"):
        locations.local_folder("someone/a-pack", kind="pack", marker="pack.json")


def test_a_lock_can_be_nested_and_is_free_afterwards(tmp_path):
    lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
    other = locks.FolderLock(tmp_path / "lock", owner="the store x")
    with lock.hold():
        with lock.hold():
            assert lock.held
        assert lock.held
        with pytest.raises(errors.StoreError, match=f"process {os.getpid()} on "), other.hold():
            pass
    assert not lock.held
    with other.hold():
        assert other.held


def test_a_lock_keeps_other_threads_out_of_the_same_object(tmp_path):
    lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
    seen = []

    def attempt():
        try:
            with lock.hold():
                seen.append("held")
        except errors.StoreError as error:
            seen.append(error)

    with lock.hold():
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        assert lock.held
    assert isinstance(seen[0], errors.StoreError)


def test_a_lock_can_be_waited_for(tmp_path):
    lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
    other = locks.FolderLock(tmp_path / "lock", owner="the store x")
    entered = threading.Event()

    def hold_a_while():
        with other.hold():
            entered.set()
            time.sleep(0.2)

    thread = threading.Thread(target=hold_a_while)
    thread.start()
    entered.wait()
    with lock.hold(wait_seconds=10):
        assert lock.held
    thread.join()


def test_an_interrupt_while_waiting_leaves_no_descriptor(tmp_path, monkeypatch):
    lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
    other = locks.FolderLock(tmp_path / "lock", owner="the store x")

    def interrupted(seconds):
        raise KeyboardInterrupt

    with lock.hold():
        before = len(os.listdir("/proc/self/fd"))
        monkeypatch.setattr(locks.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt), other.hold(wait_seconds=5):
            pass
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_holds_on_a_full_disk_though_it_cannot_be_signed(tmp_path, monkeypatch):
    lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
    other = locks.FolderLock(tmp_path / "lock", owner="the store x")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "pwrite", full)
    with lock.hold(), pytest.raises(errors.StoreError, match="by another process"), other.hold():
        pass

    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic.os, "pwrite", broken)
    with pytest.raises(OSError, match="Input/output"), lock.hold():
        pass
    monkeypatch.undo()
    with other.hold():
        pass


def test_a_killed_process_frees_its_lock(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from polyglance.storage import locks\n"
        "with locks.FolderLock(Path(sys.argv[1]), owner='x').hold():\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
        with pytest.raises(errors.StoreError, match=f"process {process.pid} on "), lock.hold():
            pass
        process.kill()
        process.wait()
        with lock.hold():
            assert lock.held


def test_json_that_is_nested_without_end(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(errors.InputError, match="JSON"):
        atomic.read_json(tmp_path / "a.json")


def test_a_device_is_never_read_to_its_end(tmp_path):
    with pytest.raises(OSError, match="a device"):
        atomic.read_bytes(Path("/dev/zero"))
    (tmp_path / "file").write_bytes(b"x")
    assert atomic.read_bytes(tmp_path / "file") == b"x"
