"""Leftovers of killed writers go, and nothing else."""

import os
import time

from polyglance.storage import atomic, leftovers


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


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
    monkeypatch.setattr(leftovers.locks, "lock_open", lambda _: None)
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
