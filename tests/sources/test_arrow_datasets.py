"""Data sets of the library `datasets` are read without it, images as spans of a mapped file."""

import json
import shutil

import pyarrow as pa
import pytest
from pyarrow import parquet

import saved_datasets
from polyglance import errors
from polyglance.sources import arrow_datasets, webdataset

IMAGES = [b"\x89PNG one", b"\xff\xd8 two", b"three" * 100]


def read(place, columns=()):
    aside = []
    dataset = arrow_datasets.find_dataset(place)
    rows = list(arrow_datasets.read_rows(dataset, columns=columns, set_aside=aside.append))
    return rows, aside


def contents(rows):
    return [webdataset.read_span(row.item.path, row.item.span) for row in rows]


@pytest.mark.parametrize("write", saved_datasets.FORMS.values(), ids=saved_datasets.FORMS)
def test_every_form_gives_the_same_bytes_and_values(tmp_path, write):
    place = write(tmp_path / "data", image=IMAGES, caption_de=["eins", "zwei", "drei"])
    rows, aside = read(place, ["caption_de"])
    assert contents(rows) == IMAGES
    assert [row.values for row in rows] == [{"caption_de": t} for t in ("eins", "zwei", "drei")]
    assert [row.item.id for row in rows] == ["1", "2", "3"]
    assert {row.item.modality for row in rows} == {"image"}
    assert aside == []


def test_the_library_itself_writes_what_is_read(tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    made = datasets.Dataset.from_dict(
        {
            "image": [{"bytes": one, "path": None} for one in IMAGES],
            "caption_en": ["one", "two", "three"],
        },
        features=datasets.Features(
            {"image": datasets.Image(), "caption_en": datasets.Value("string")}
        ),
    )
    both = datasets.DatasetDict({"train": made.select([0]), "test": made})
    both.save_to_disk(str(tmp_path / "saved"))
    made.to_parquet(str(tmp_path / "made.parquet"))
    for place in ("saved", "made.parquet"):
        rows, aside = read(tmp_path / place, ["caption_en"])
        assert (contents(rows), aside) == (IMAGES, [])
    # A selection keeps its indices apart until it is saved.
    made.select([2, 0]).save_to_disk(str(tmp_path / "selected"))
    assert contents(read(tmp_path / "selected")[0]) == [IMAGES[2], IMAGES[0]]


def test_several_files_are_one_data_set_in_order(tmp_path):
    for number, one in enumerate(IMAGES):
        saved_datasets.write_stream(
            tmp_path / f"data-{number:05}-of-00003.arrow", saved_datasets.table(image=[one])
        )
    names = sorted(path.name for path in tmp_path.glob("*.arrow"))
    (tmp_path / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": name} for name in names]})
    )
    rows, _ = read(tmp_path)
    assert contents(rows) == IMAGES
    assert [row.number for row in rows] == [1, 2, 3]


def test_files_of_other_columns_are_refused(tmp_path):
    for number, column in enumerate(("image", "picture")):
        saved_datasets.write_stream(
            tmp_path / f"data-{number:05}-of-00002.arrow",
            saved_datasets.table(**{column: IMAGES[:1]}),
        )
    with pytest.raises(errors.InputError, match="has the columns picture; the first file has ima"):
        arrow_datasets.find_dataset(tmp_path)


def test_the_test_split_is_measured_and_splits_without_one_are_named(tmp_path):
    for split, one in (("train", IMAGES[0]), ("validation", IMAGES[1]), ("test", IMAGES[2])):
        saved_datasets.save_to_disk(tmp_path / split, image=[one])
    listed = tmp_path / "dataset_dict.json"
    for splits, expected in (
        (["train", "validation", "test"], 2),
        (["train", "validation"], 1),
        (["train"], 0),
    ):
        listed.write_text(json.dumps({"splits": splits}))
        assert contents(read(tmp_path)[0]) == [IMAGES[expected]]
    listed.write_text(json.dumps({"splits": ["train", "mine"]}))
    with pytest.raises(errors.InputError, match="has the splits mine, train; expected one of test"):
        arrow_datasets.find_dataset(tmp_path)
    assert contents(read(tmp_path / "train")[0]) == [IMAGES[0]]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00001.parquet", "train"),
        ("mine-validation.parquet", "validation"),
        ("rows.parquet", "test"),
    ],
)
def test_the_split_has_the_name_that_its_file_says(tmp_path, name, split):
    parquet.write_table(saved_datasets.table(image=IMAGES), tmp_path / name)
    assert arrow_datasets.find_dataset(tmp_path).split == split
    assert arrow_datasets.find_dataset(tmp_path / name).split == split


def test_the_split_has_the_name_that_save_to_disk_wrote(tmp_path):
    saved_datasets.save_dict(tmp_path, image=IMAGES)
    assert arrow_datasets.find_dataset(tmp_path).split == "test"
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert arrow_datasets.find_dataset(tmp_path).split == "train"
    state = tmp_path / "train" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "_split": "train"}))
    assert arrow_datasets.find_dataset(tmp_path / "train").split == "train"


def test_a_split_of_which_a_file_is_missing_is_refused(tmp_path):
    names = [tmp_path / f"test-{number:05}-of-00002.parquet" for number in range(2)]
    for name in names:
        parquet.write_table(saved_datasets.table(image=IMAGES[:1]), name)
    assert len(read(tmp_path)[0]) == 2
    names[1].unlink()
    with pytest.raises(errors.InputError, match="holds 1 of the 2 files of its split: test-00000"):
        arrow_datasets.find_dataset(tmp_path)
    assert len(read(names[0])[0]) == 1


def test_parquet_of_other_columns_is_named_as_it_was_given(tmp_path):
    for number, column in enumerate(("image", "picture")):
        parquet.write_table(
            saved_datasets.table(**{column: IMAGES[:1]}),
            tmp_path / f"test-{number:05}-of-00002.parquet",
        )
    with pytest.raises(errors.InputError, match="test-00001-of-00002.parquet has the columns pic"):
        arrow_datasets.find_dataset(tmp_path)


def test_parquet_is_unpacked_once_and_anew_when_it_changes(tmp_path):
    place = saved_datasets.to_parquet(tmp_path / "data", image=IMAGES)
    (first,) = arrow_datasets.find_dataset(place).paths
    (again,) = arrow_datasets.find_dataset(place).paths
    assert first == again
    saved_datasets.to_parquet(tmp_path / "data", image=IMAGES[:2])
    (changed,) = arrow_datasets.find_dataset(place).paths
    assert changed != first


def test_parquet_is_unpacked_a_few_rows_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_datasets, "UNPACK_ROWS", 2)
    place = saved_datasets.to_parquet(tmp_path / "data", image=IMAGES, caption_en=["a", "b", "c"])
    rows, _ = read(place, ["caption_en"])
    assert contents(rows) == IMAGES
    (unpacked,) = arrow_datasets.find_dataset(place).paths
    batches = list(pa.ipc.open_stream(pa.memory_map(str(unpacked))))
    assert [len(batch) for batch in batches] == [2, 1]


def test_rows_without_an_item_are_set_aside(tmp_path):
    place = saved_datasets.save_to_disk(tmp_path / "data", image=[IMAGES[0], None, IMAGES[2]])
    rows, aside = read(place)
    assert contents(rows) == [IMAGES[0], IMAGES[2]]
    assert [(one.id, one.reason) for one in aside] == [
        ("data, row 2", "image: no bytes and no path")
    ]


def test_an_image_may_be_a_file_beside_the_data_set(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(IMAGES[0])
    array = pa.array([{"bytes": None, "path": "a.png"}, {"bytes": IMAGES[1], "path": "gone.png"}])
    saved_datasets.write_stream(tmp_path / "data" / "x.arrow", pa.table({"image": array}))
    assert contents(read(tmp_path / "data")[0]) == IMAGES[:2]


def test_an_item_that_is_repeated_is_one_and_another_of_its_id_is_set_aside(tmp_path):
    place = saved_datasets.save_to_disk(
        tmp_path / "data",
        image=[IMAGES[0], IMAGES[0], IMAGES[1]],
        image_id=["a", "a", "a"],
        text=["one", "two", "three"],
    )
    rows, aside = read(place, ["text"])
    assert [row.values["text"] for row in rows] == ["one", "two"]
    assert rows[0].item is rows[1].item
    assert "image_id 'a' is that of an earlier row with another image" in aside[0].reason


def test_a_row_whose_id_is_null_is_set_aside(tmp_path):
    place = saved_datasets.save_to_disk(tmp_path / "data", image=IMAGES, id=["a", None, "None"])
    rows, aside = read(place)
    assert [row.item.id for row in rows] == ["a", "None"]
    assert [(one.id, one.reason) for one in aside] == [("data, row 2", "id: there is none")]


@pytest.mark.parametrize("large", [False, True])
def test_sliced_and_large_binary_columns_have_the_right_places(tmp_path, large):
    kind = pa.large_binary() if large else pa.binary()
    array = pa.array([b"left out", *IMAGES], kind).slice(1)
    saved_datasets.write_stream(tmp_path / "x.arrow", pa.table({"image": array}))
    assert contents(read(tmp_path)[0]) == IMAGES


def test_sounds_are_items_too(tmp_path):
    place = saved_datasets.save_to_disk(tmp_path / "data", audio=IMAGES)
    rows, _ = read(place)
    assert {row.item.modality for row in rows} == {"audio"}


def arrow_of(**columns):
    return lambda folder: saved_datasets.save_to_disk(folder, **columns)


def file_of(name, data):
    def write(folder):
        folder.mkdir()
        (folder / name).write_bytes(data)
        return folder

    return write


def compressed(folder):
    folder.mkdir()
    saved = saved_datasets.table(image=[IMAGES[2] * 50])
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(str(folder / "x.arrow"), saved.schema, options=options) as writer:
        writer.write_table(saved)
    return folder


def selection(folder):
    saved_datasets.save_to_disk(folder, image=IMAGES)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "_indices_data_files": [{"a": 1}]}))
    return folder


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (arrow_of(caption_en=["a"]), "there is none; its columns are caption_en"),
        (arrow_of(image=IMAGES[:1], audio=IMAGES[:1]), "there is image, audio; its columns"),
        (file_of("x.arrow", b"no arrow at all"), "x.arrow cannot be read"),
        (file_of("x.arrow", b""), "x.arrow cannot be read"),
        (file_of("x.parquet", b"PAR1 and no more"), "x.parquet cannot be read"),
        (file_of("readme.txt", b"hello"), "there is no data set at"),
        (file_of("state.json", b"[]"), "state.json: expected an object"),
        (file_of("state.json", b'{"_data_files": [{"filename": "gone.arrow"}]}'), "cannot be read"),
        (file_of("state.json", b'{"_data_files": [3]}'), "state.json names no files of rows"),
        (file_of("state.json", b"{}"), "state.json names no files of rows"),
        (compressed, "x.arrow is compressed; plain Arrow files are read"),
        (selection, "is a selection of rows of another data set"),
    ],
)
def test_what_cannot_be_read_says_so(tmp_path, write, said):
    place = write(tmp_path / "data")
    with pytest.raises(errors.PolyglanceError) as caught:
        read(place)
    assert said in caught.value.message
    assert caught.value.hint


def test_a_column_of_numbers_is_no_column_of_images(tmp_path):
    saved_datasets.write_stream(tmp_path / "x.arrow", pa.table({"image": [1, 2]}))
    with pytest.raises(errors.InputError, match="image is int64; expected binary, a path, or a"):
        read(tmp_path)


def test_a_file_that_is_cut_off_says_so(tmp_path):
    place = saved_datasets.save_to_disk(tmp_path / "data", image=IMAGES)
    path = next(place.glob("*.arrow"))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(errors.InputError, match="cannot be read"):
        read(place)


def test_arrow_s_file_form_is_read_as_its_stream(tmp_path):
    saved = saved_datasets.table(image=IMAGES)
    with pa.ipc.new_file(str(tmp_path / "x.arrow"), saved.schema) as writer:
        writer.write_table(saved)
    assert contents(read(tmp_path)[0]) == IMAGES


def test_published_folders_keep_parquet_in_data(tmp_path):
    saved = saved_datasets.table(image=IMAGES)
    (tmp_path / "data").mkdir()
    for split, rows in (("train", saved.slice(0, 1)), ("test", saved.slice(1))):
        parquet.write_table(rows, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    shutil.copy(__file__, tmp_path / "README.md")
    assert contents(read(tmp_path)[0]) == IMAGES[1:]
