"""Files are fetched once, whole, and only with the hash that is expected."""

import hashlib
from dataclasses import replace

import pytest

from polyglance import errors, tasks
from polyglance.tasks import fetching
from polyglance.tasks.rows import PinnedFile


def pinned(path, *, name="sub/a.txt", data=b"ein Hund\n"):
    path.write_bytes(data)
    return PinnedFile(url=path.as_uri(), path=name, sha256=hashlib.sha256(data).hexdigest())


def test_fetched_once(tmp_path):
    file = pinned(tmp_path / "published.txt")
    assert fetching.fetch_files([file], folder=tmp_path / "here") == 1
    assert (tmp_path / "here" / "sub" / "a.txt").read_bytes() == b"ein Hund\n"
    (tmp_path / "published.txt").unlink()
    assert fetching.fetch_files([file], folder=tmp_path / "here") == 0


def test_a_damaged_file_is_fetched_again(tmp_path):
    file = pinned(tmp_path / "published.txt", name="a.txt")
    (tmp_path / "a.txt").write_bytes(b"ein Hu")
    assert fetching.fetch_files([file], folder=tmp_path) == 1
    assert (tmp_path / "a.txt").read_bytes() == b"ein Hund\n"


def test_another_hash_is_named_and_leaves_what_was_there(tmp_path):
    file = pinned(tmp_path / "published.txt", name="a.txt")
    (tmp_path / "a.txt").write_bytes(b"mine")
    changed = replace(file, sha256="0" * 64)
    with pytest.raises(errors.InputError, match=f"has the hash {file.sha256}; 0000"):
        fetching.fetch_files([changed], folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "published.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"mine"


def test_no_answer(tmp_path):
    file = replace(pinned(tmp_path / "published.txt"), url=(tmp_path / "none.txt").as_uri())
    with pytest.raises(errors.UnavailableError, match=r"none\.txt cannot be fetched"):
        fetching.fetch_files([file], folder=tmp_path / "here")
    assert not (tmp_path / "here" / "sub").exists()


def test_from_a_hub_through_its_own_client(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def download(repository, path, *, repo_type, revision):
        asked.append((repository, path, repo_type, revision))
        return str(tmp_path / "published.txt")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    file = replace(
        pinned(tmp_path / "published.txt"), url="hf://datasets/owner/name@abc/data/x.txt"
    )
    assert fetching.fetch_files([file], folder=tmp_path / "here") == 1
    assert asked == [("owner/name", "data/x.txt", "dataset", "abc")]


def test_a_task_without_pinned_files_says_where_they_are_from(tmp_path):
    with pytest.raises(errors.UnavailableError, match="no file of it is pinned") as caught:
        fetching.fetch_task("stair", tasks.get_task("stair"), folder=tmp_path)
    assert "stair_captions_v1.2_val.json" in caught.value.hint


def test_into_the_cache(tmp_path):
    row = replace(tasks.get_task("xtd10"), downloads=(pinned(tmp_path / "p.txt", name="a.txt"),))
    where = fetching.fetch_task("xtd10", row)
    assert where == tmp_path / "cache" / "tasks" / "xtd10"
    assert (where / "a.txt").is_file()


def test_a_task_fetches_its_own_files_and_no_other_s():
    rows = fetching.TABLE.read_text(encoding="utf-8").splitlines()[1:]
    for name, task in tasks.TASKS.items():
        own = {row.split("\t")[1] for row in rows if row.startswith(f"{name}\t")}
        if own:
            assert {file.path for file in fetching.pinned_files(name)} == own
            assert {file.path for file in task.downloads} == own
    assert fetching.pinned_files("no task") == ()
