"""Small data sets in the forms of the library `datasets`, written with pyarrow alone."""

import json

import pyarrow as pa
from pyarrow import parquet

ITEMS = {"image": "Image", "audio": "Audio"}
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(*, class_names=None, **columns):
    """A table with the library's facts about its columns; items are given as bytes."""
    arrays, features = {}, {}
    for name, values in columns.items():
        if name in ITEMS:
            packed = [None if one is None else {"bytes": one, "path": None} for one in values]
            arrays[name] = pa.array(packed, STRUCT)
            features[name] = {"_type": ITEMS[name]}
        else:
            arrays[name] = pa.array(values)
            features[name] = {"_type": "Value", "dtype": "string"}
        if class_names and name == "label":
            features[name] = {"_type": "ClassLabel", "names": class_names}
    said = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.table(arrays).replace_schema_metadata(said)


def write_stream(path, rows):
    """One Arrow file, as save_to_disk writes it."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)


def save_to_disk(folder, **columns):
    """One split, as Dataset.save_to_disk leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "data-00000-of-00001.arrow"
    write_stream(folder / name, table(**columns))
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": name}], "_fingerprint": "0", "_split": None})
    )
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return folder


def save_dict(folder, **columns):
    """Two splits, as DatasetDict.save_to_disk leaves them; `train` is empty."""
    save_to_disk(folder / "test", **columns)
    save_to_disk(folder / "train", **{name: values[:0] for name, values in columns.items()})
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return folder


def to_parquet(folder, **columns):
    """A folder of one Parquet file."""
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table(**columns), folder / "test-00000-of-00001.parquet")
    return folder


def to_parquet_file(folder, **columns):
    """The Parquet file itself."""
    return next(to_parquet(folder, **columns).glob("*.parquet"))


def without_facts(folder, **columns):
    """Arrow by another program, which knows nothing of the library."""
    folder.mkdir(parents=True, exist_ok=True)
    write_stream(folder / "rows.arrow", table(**columns).replace_schema_metadata(None))
    return folder


FORMS = {
    "save_to_disk": save_to_disk,
    "DatasetDict": save_dict,
    "parquet": to_parquet,
    "parquet file": to_parquet_file,
    "arrow of others": without_facts,
}
