"""The class of each picture: by folder, table, numbers, or the publishers' binary files."""

import json

import numpy as np
import pytest
from PIL import Image

from polyglance import errors
from polyglance.sources import binary_images, class_images

NAMES = ("tench", "goldfish", "great white shark")


def pictures(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def classes(folder, names=NAMES):
    found = class_images.read_classed_images(folder, "image")
    numbers = class_images.class_indices(found, names=names)
    return dict(zip(found.ids, numbers.tolist(), strict=True))


@pytest.mark.parametrize(
    "folders",
    [
        ("0", "2"),
        ("tench", "great_white_shark"),
        ("t/tench", "g/great white shark"),
    ],
)
def test_some_folders_of_known_names(tmp_path, folders):
    pictures(tmp_path, *(f"{name}/x.png" for name in folders))
    assert classes(tmp_path) == {f"{folders[0]}/x.png": 0, f"{folders[1]}/x.png": 2}


def test_one_folder_a_class_counts_in_sorted_order(tmp_path):
    pictures(tmp_path, "n02/a.png", "n01/b.png", "n03/c.png")
    assert classes(tmp_path) == {"n01/b.png": 0, "n02/a.png": 1, "n03/c.png": 2}


def test_folders_counted_from_one_are_in_the_order_of_their_numbers(tmp_path):
    for number in range(1, 11):
        pictures(tmp_path, f"{number}/a.png")
    found = class_images.read_classed_images(tmp_path, "image")
    indices = class_images.class_indices(found, names=[f"name{i}" for i in range(10)])
    assert [int(key) - 1 for key in found.keys] == indices.tolist()


@pytest.mark.parametrize(
    "folders", [[str(n) for n in range(2, 12)], [f"class{n}" for n in range(1, 11)]]
)
def test_numbers_are_never_sorted_as_text(tmp_path, folders):
    for folder in folders:
        pictures(tmp_path, f"{folder}/a.png")
    with pytest.raises(errors.InputError, match="cannot be numbered"):
        class_images.class_indices(
            class_images.read_classed_images(tmp_path, "image"),
            names=[f"name{i}" for i in range(10)],
        )


def test_a_picture_of_two_classes_is_refused_and_one_named_twice_is_one(tmp_path):
    pictures(tmp_path, "a.png")
    name = "a.png"
    (tmp_path / "labels.tsv").write_text(f"image\tclass\n{name}\t0\n{name}\t0\n")
    assert class_images.read_classed_images(tmp_path, "image").ids == (name,)
    (tmp_path / "labels.tsv").write_text(f"image\tclass\n{name}\t0\n{name}\t1\n")
    with pytest.raises(errors.InputError, match="line 3.*'1'.*'0' before"):
        class_images.read_classed_images(tmp_path, "image")


def test_side_files_of_another_form_are_named(tmp_path):
    pictures(tmp_path, "n01/a.png")
    (tmp_path / "imagenet_class_index.json").write_text('["n01"]')
    with pytest.raises(errors.InputError, match="no class list of Keras"):
        class_images.class_indices(
            class_images.read_classed_images(tmp_path, "image"), names=["a", "b"]
        )
    (tmp_path / "labels.npy").write_bytes(b"cut")
    with pytest.raises(errors.InputError, match=r"labels\.npy cannot be read"):
        class_images.read_classed_images(tmp_path, "image")


def test_fewer_folders_of_unknown_names_are_refused(tmp_path):
    pictures(tmp_path, "n02/a.png", "n03/c.png")
    with pytest.raises(errors.InputError, match=r"2 classes \('n02', 'n03', ...\)") as caught:
        classes(tmp_path)
    assert class_images.CLASS_INDEX in caught.value.hint


@pytest.mark.parametrize("level", [".", "inner"])
def test_fewer_folders_with_a_class_list(tmp_path, level):
    rows = {str(i): [f"n0{i + 1}", name] for i, name in enumerate(NAMES)}
    (tmp_path / class_images.CLASS_INDEX).write_text(json.dumps(rows))
    folder = pictures(tmp_path / level, "n02/a.png", "n03/c.png")
    assert classes(folder) == {"n02/a.png": 1, "n03/c.png": 2}


def test_pictures_in_no_folder(tmp_path):
    with pytest.raises(errors.InputError, match="cannot be numbered"):
        classes(pictures(tmp_path, "a.png"))


def test_a_name_of_two_classes_is_no_name(tmp_path):
    pictures(tmp_path, "missile/a.png", "yurt/b.png")
    with pytest.raises(errors.InputError, match="cannot be numbered"):
        classes(tmp_path, names=("missile", "yurt", "missile"))


def test_a_table_counts_what_is_missing(tmp_path):
    pictures(tmp_path, "a.png")
    (tmp_path / "labels.tsv").write_text("image\tclass\na.png\tgoldfish\nb.png\ttench\n")
    found = class_images.read_classed_images(tmp_path, "image")
    assert (found.ids, found.keys) == (("a.png", "b.png"), ("goldfish", "tench"))
    assert [file.id for file in found.media_files] == ["a.png"]


def test_numbers_beside_ids(tmp_path):
    np.save(tmp_path / "labels.npy", np.array([2, 0]))
    (tmp_path / "ids.txt").write_text("x\ny\n")
    assert classes(tmp_path) == {"x": 2, "y": 0}


@pytest.mark.parametrize("numbers", [[0, 3], [-1, 0], [0], [0.5, 1.0]])
def test_numbers_that_do_not_fit(tmp_path, numbers):
    np.save(tmp_path / "labels.npy", np.array(numbers))
    (tmp_path / "ids.txt").write_text("x\ny\n")
    with pytest.raises(errors.InputError, match="labels.npy|cannot be numbered"):
        classes(tmp_path)


def test_cifar_100_is_unpacked_once(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8)
    heads = np.array([[9, 1], [9, 2]], np.uint8)
    (tmp_path / "test.bin").write_bytes(np.hstack([heads, pixels.reshape(2, -1)]).tobytes())
    found = class_images.read_classed_images(tmp_path, "image")
    assert found.keys == ("1", "2")
    seen = np.asarray(Image.open(found.media_files[1].path))
    np.testing.assert_array_equal(seen, pixels[1].transpose(1, 2, 0))
    before = found.media_files[0].path.stat().st_mtime_ns
    again = class_images.read_classed_images(tmp_path, "image")
    assert again.media_files[0].path.stat().st_mtime_ns == before


def test_stl_10_is_written_by_columns_and_counts_from_one(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 96), np.uint8)
    (tmp_path / "test_X.bin").write_bytes(pixels.tobytes())
    (tmp_path / "test_y.bin").write_bytes(bytes([1, 3]))
    form = binary_images.FORMS["test_X.bin"]
    seen, numbers = binary_images.read_binary(tmp_path / "test_X.bin", form=form)
    assert numbers.tolist() == [0, 2]
    assert seen[0, 5, 7].tolist() == pixels[0, :, 7, 5].tolist()
    (tmp_path / "test_y.bin").write_bytes(bytes([1]))
    with pytest.raises(errors.InputError, match="1 classes for 2 images"):
        binary_images.read_binary(tmp_path / "test_X.bin", form=form)
    (tmp_path / "test_y.bin").unlink()
    with pytest.raises(errors.UnavailableError, match=r"test_y\.bin"):
        binary_images.read_binary(tmp_path / "test_X.bin", form=form)


def test_a_binary_file_cut_short(tmp_path):
    (tmp_path / "test_batch.bin").write_bytes(bytes(3072))
    with pytest.raises(errors.InputError, match="3,072 bytes"):
        class_images.read_classed_images(tmp_path, "image")


def test_links_that_are_not_followed_are_told(tmp_path):
    folder = pictures(tmp_path / "of", "tench/a.png", "goldfish/b.png")
    outside = pictures(tmp_path / "out", "sharks/c.png") / "sharks"
    (folder / "great white shark").symlink_to(outside)
    (folder / "tench" / "z.png").symlink_to(outside / "c.png")
    found = class_images.read_classed_images(folder, "image")
    assert found.ids == ("goldfish/b.png", "tench/a.png")
    assert [(one.id, one.reason) for one in found.links] == [
        ("great white shark", "linked folder that was not entered"),
        ("tench/z.png", "link to a file outside the folder"),
    ]
