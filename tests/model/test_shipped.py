"""Models by name: found in the package, unless a folder of the user's is one."""

from polyglance.model import dual_encoder, shipped


def test_a_folder_of_photos_of_that_name_is_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert shipped.is_shipped("photos")
    assert shipped.absolute("photos") == "photos"
    assert shipped.folder_of("photos").name == "photos"
    assert shipped.folder_of("photos").is_absolute()


def test_a_model_of_the_users_of_that_name_wins(tmp_path, monkeypatch, teacher):
    monkeypatch.chdir(tmp_path)
    teacher.save(tmp_path / "photos")
    assert not shipped.is_shipped("photos")
    assert shipped.absolute("photos") == str(tmp_path / "photos")
    assert dual_encoder.DualEncoder.load("photos").space_id == teacher.space_id


def test_other_references_are_left_alone():
    assert shipped.absolute("hf:a/b") == "hf:a/b"
    assert str(shipped.folder_of("some/folder")) == "some/folder"
