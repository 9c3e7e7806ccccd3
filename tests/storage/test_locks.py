"""Locks: one writer, told by name; forks, kills, full disks."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from polyglance import errors
from polyglance.storage import locks


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
        monkeypatch.setattr(time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt), other.hold(wait_seconds=5):
            pass
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_holds_on_a_full_disk_though_it_cannot_be_signed(tmp_path, monkeypatch):
    lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
    other = locks.FolderLock(tmp_path / "lock", owner="the store x")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with lock.hold(), pytest.raises(errors.StoreError, match="by another process"), other.hold():
        pass

    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "write_text", broken)
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


def forked(act):
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def test_a_fork_neither_keeps_the_lock_nor_is_kept_from_it(tmp_path):
    lock = locks.FolderLock(tmp_path / "lock", owner="the store x")
    end, parent_end = os.pipe()

    def live_on():
        os.close(parent_end)
        os.read(end, 1)  # until the parent closes its end

    def hold():
        with lock.hold():
            pass

    with lock.hold():
        child = forked(live_on)
    hold()
    os.close(parent_end)
    assert os.waitpid(child, 0)[1] == 0
    assert os.waitpid(forked(hold), 0)[1] == 0


def test_nothing_is_made_for_a_folder_that_went(tmp_path):
    lock = locks.FolderLock(tmp_path / "gone" / "lock", owner="the store x")
    with pytest.raises(FileNotFoundError), lock.hold():
        pass
    assert not (tmp_path / "gone").exists()


def test_an_open_file_is_waited_for(tmp_path):
    path = tmp_path / "results.jsonl"
    with path.open("ab") as one, path.open("ab") as other:
        assert locks.lock_open(one.fileno()) is True
        assert locks.lock_open(other.fileno()) is False
        threading.Timer(0.2, one.close).start()
        assert locks.lock_open(other.fileno(), waits=True) is True
