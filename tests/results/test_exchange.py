"""Results leave and come back; other tools' files are read; one bad file does not stop the rest."""

import csv
import dataclasses
import errno
import hashlib
import json

import pytest

from polyglance import errors
from polyglance.results import clip_benchmark, exchange, schema
from polyglance.results.schema import Result
from polyglance.storage import made_files


def result(**changed):
    facts = {
        "task": "xtd10",
        "split": "test",
        "language": "deu_Latn",
        "direction": "text_to_content",
        "metric": "hit_rate",
        "caption_policy": "first",
        "values": {"hit_rate_at_1": 0.25, "hit_rate_at_5": 1 / 3, "hit_rate_at_10": 0.5},
        "intervals": {"hit_rate_at_10": (0.4, 0.6)},
        "num_queries": 1000,
        "num_candidates": 1000,
        "num_dropped": {"items_missing": 3},
        "model": "hf:openai/clip",
        "model_id": "abc",
        "data_id": "d",
    }
    return Result(**{**facts, **changed})


RETRIEVED = [
    result(),
    result(direction="content_to_text", values={"hit_rate_at_1": 0.5}, intervals={}),
    result(language="zho_Hant", data_id="z"),
]
AVERAGED = result(
    task="stair",
    metric="average_recall",
    intervals={"average_recall": (0.2 + 1e-12, 0.3)},
    values={"hit_rate_at_1": 0.1, "average_recall": 0.2, "mean_reciprocal_rank": 0.15},
)
CLASSIFIED = result(
    task="babel-imagenet",
    direction="content_to_class",
    metric="accuracy",
    intervals={},
    variant="best",
    caption_policy="none",
    values={"accuracy": 0.3, "macro_f1": 0.2},
)
ALIKE = result(
    task="sts17",
    direction="text_with_other",
    intervals={"spearman": (-0.2, 0.1)},
    metric="spearman",
    other_language="eng_Latn",
    values={"spearman": -0.1},
)
ALL = [*RETRIEVED, AVERAGED, CLASSIFIED, ALIKE]


def as_sorted(rows):
    return sorted(rows, key=repr)


@pytest.mark.parametrize(("form", "name"), [("polyglance", "r.jsonl"), ("mteb", "folder")])
def test_a_round_trip_loses_nothing(form, name, tmp_path):
    exchange.write(ALL, form, path=tmp_path / name)
    rows, failed = exchange.read([tmp_path / name])
    assert failed == []
    assert as_sorted(rows) == as_sorted(ALL)


@pytest.mark.parametrize(
    ("form", "name"), [("clip-benchmark", "f"), ("clip-benchmark-csv", "t.csv")]
)
def test_a_round_trip_through_clip_benchmark_loses_what_it_says(form, name, tmp_path):
    exchange.write(ALL, form, path=tmp_path / name)
    rows, failed = exchange.read([tmp_path / name])
    assert failed == []
    lost = {"intervals": {}, "num_queries": 0, "num_candidates": 0, "num_dropped": {}}
    kept = [dataclasses.replace(row, **lost) for row in ALL if row is not ALIKE]
    assert as_sorted(rows) == as_sorted(kept)
    assert exchange.FORMS[form].lost == clip_benchmark.LOST


def test_clip_benchmark_objects_have_its_keys_and_metrics(tmp_path):
    written = exchange.write(RETRIEVED[:2], "clip-benchmark", path=tmp_path)
    assert len(written) == 1
    found = json.loads(written[0].read_text())
    assert found["task"] == "zeroshot_retrieval"
    assert found["dataset"] == "xtd10"
    assert found["metrics"]["image_retrieval_recall@10"] == 0.5
    assert found["metrics"]["text_retrieval_recall@1"] == 0.5
    assert {"model", "pretrained", "language"} <= set(found)


def test_clip_benchmark_table_has_the_columns_of_its_build(tmp_path):
    exchange.write([*RETRIEVED, CLASSIFIED], "clip-benchmark-csv", path=tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as handle:
        table = list(csv.DictReader(handle))
    assert table[0]["model_fullname"] == "hf:openai/clip abc"
    assert [row["acc1"] for row in table] == ["", "", "0.3"]


def test_an_object_of_clip_benchmark_itself(tmp_path):
    own = {
        "dataset": "multilingual_mscoco_captions",
        "model": "xlm-roberta-base-ViT-B-32",
        "pretrained": "laion5b_s13b_b90k",
        "task": "zeroshot_retrieval",
        "metrics": {"image_retrieval_recall@5": 0.73, "text_retrieval_recall@5": 0.8},
        "language": "es",
    }
    (tmp_path / "own.json").write_text(json.dumps(own))
    rows, _ = exchange.read([tmp_path])
    assert [(r.language, r.direction, r.values, r.caption_policy) for r in rows] == [
        ("spa_Latn", "text_to_content", {"hit_rate_at_5": 0.73}, "first"),
        ("spa_Latn", "content_to_text", {"hit_rate_at_5": 0.8}, "first"),
    ]
    assert {row.task for row in rows} == {"xtd10"}
    assert rows[0].model == "xlm-roberta-base-ViT-B-32 laion5b_s13b_b90k"


@pytest.mark.parametrize(
    ("dataset", "task", "policy"),
    [
        ("crossmodal3600", "xm3600", "first"),
        ("flickr30k-200", "flickr30k-200", "first"),
        ("mscoco_captions", "mscoco", "all"),
        ("flickr30k", "flickr30k", "all"),
    ],
)
def test_data_sets_of_clip_benchmark_with_one_caption_an_image(tmp_path, dataset, task, policy):
    own = {
        "dataset": dataset,
        "model": "m",
        "pretrained": "p",
        "task": "zeroshot_retrieval",
        "metrics": {"image_retrieval_recall@1": 0.5},
        "language": "en",
    }
    (tmp_path / "own.json").write_text(json.dumps(own))
    [row], _ = exchange.read([tmp_path])
    assert (row.task, row.caption_policy) == (task, policy)


def test_a_table_of_clip_benchmark_itself(tmp_path):
    (tmp_path / "benchmark.csv").write_text(
        "acc5,dataset,pretrained,task,acc1,model,language,model_fullname\n"
        "0.998,cifar10,openai,zeroshot_classification,0.9074,ViT-B-32,en,ViT-B-32 openai\n"
    )
    rows, _ = exchange.read([tmp_path / "benchmark.csv"])
    assert rows[0].values == {"accuracy_at_5": 0.998, "accuracy": 0.9074}
    assert rows[0].language == "eng_Latn"


def test_a_score_of_mteb_has_what_its_reader_demands(tmp_path):
    exchange.write(ALL, "mteb", path=tmp_path)
    for path in tmp_path.rglob("*.json"):
        found = json.loads(path.read_text())
        assert {"dataset_revision", "task_name", "mteb_version", "evaluation_time"} <= set(found)
        for score in found["scores"]["test"]:
            assert isinstance(score["main_score"], float)
            assert isinstance(score["hf_subset"], str)
            assert all("-" in tag for tag in score["languages"])
    alike = next(tmp_path.rglob("sts17*.json"))
    score = json.loads(alike.read_text())["scores"]["test"][0]
    assert (score["main_score"], score["cosine_spearman"]) == (-0.1, -0.1)
    assert score["languages"] == ["deu-Latn", "eng-Latn"]


def test_results_of_mteb_itself(tmp_path):
    folder = tmp_path / "intfloat__e5" / "rev1"
    folder.mkdir(parents=True)
    (folder / "model_meta.json").write_text('{"name": "intfloat/e5"}')
    sts = {"main_score": 0.7, "cosine_spearman": 0.7, "hf_subset": "en-tr"}
    pair = {"main_score": 0.9, "f1": 0.9, "accuracy": 0.92, "hf_subset": "sqi-eng"}
    for name, score, tags in (
        ("STS17", sts, ["eng-Latn", "tur-Latn"]),
        ("Tatoeba", pair, ["sqi-Latn", "eng-Latn"]),
    ):
        whole = {
            "dataset_revision": "r",
            "task_name": name,
            "mteb_version": "2.1.0",
            "evaluation_time": 1.0,
            "scores": {"test": [{**score, "languages": tags}]},
        }
        (folder / f"{name}.json").write_text(json.dumps(whole))
    rows, failed = exchange.read([tmp_path])
    assert failed == []
    assert [(r.task, r.language, r.direction, r.values, r.model) for r in rows] == [
        ("STS17", "eng_Latn", "text_with_other", {"spearman": 0.7}, "intfloat/e5"),
        (
            "Tatoeba",
            "als_Latn",
            "text_to_other",
            {"accuracy": 0.92, "f1": 0.9},
            "intfloat/e5",
        ),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "neither"),
        ('{"metrics": {}}', "it does not say its task"),
        ('{"metrics": null, "task": "zeroshot_retrieval"}', "it says metrics = null; allowed"),
        (
            '{"metrics": {"acc1": true}, "task": "zeroshot_classification"}',
            "it says metrics.acc1 = true; allowed is a number",
        ),
        (
            '{"metrics": {"acc1": 1}, "task": "zeroshot_classification", "model": ["a"]}',
            "it says model = ['a']; allowed is a text",
        ),
        ('{"scores": {"test": ["polyglance"]}}', "allowed is a table"),
        ('{"scores": null}', "allowed is a table"),
        ('{"scores": {"test": [{"languages": []}]}}', "0 languages"),
        ('{"scores": {"test": [{"languages": ["eng-Latn"], "cosine_spearman": 1}]}}', "task_name"),
        ('{"metrics": {"x": 1}, "task": "zeroshot_retrieval"}', "no metric of retrieval"),
        ('{"scores": {"test": [{"main_score": 1, "languages": ["zz-Zz"]}]}}', "no TaskResult"),
        ('{"scores": {"test": [{"polyglance": {"schema_version": 9}}]}}', "schema_version"),
    ],
)
def test_one_bad_file_is_named_and_the_others_are_used(content, said, tmp_path):
    exchange.write(ALL, "mteb", path=tmp_path)
    (tmp_path / "bad.json").write_text(content)
    rows, failed = exchange.read([tmp_path])
    assert as_sorted(rows) == as_sorted(ALL)
    assert len(failed) == 1
    assert "bad.json" in failed[0].message
    assert said in failed[0].message


@pytest.mark.parametrize("form", ["mteb", "clip-benchmark"])
def test_models_with_names_longer_than_a_file_may_have(form, tmp_path):
    folder = "/" + "/".join(["modèles", "x" * 80, "y" * 80, "z" * 80])
    rows = [
        result(model=folder + end, language=tag) for end in "12" for tag in ("deu_Latn", "eng_Latn")
    ]
    exchange.write(rows, form, path=tmp_path / "out")
    read, failed = exchange.read([tmp_path / "out"])
    assert failed == []
    assert sorted((row.model, row.language) for row in read) == sorted(
        (row.model, row.language) for row in rows
    )


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(errors.ResultError, match="no place for any of these 1"):
        exchange.write([ALIKE], "clip-benchmark", path=tmp_path)
    with pytest.raises(errors.UnknownNameError, match="mtab"):
        exchange.write(ALL, "mtab", path=tmp_path)


def test_the_command_says_what_it_wrote_and_what_it_left(run, tmp_path):
    exchange.write(ALL, "polyglance", path=tmp_path / "r.jsonl")
    (tmp_path / "bad.json").write_text("{")
    given = [tmp_path / name for name in ("r.jsonl", "bad.json", "none.jsonl")]
    argv = ("convert", *given, "--to", "clip-benchmark-csv")
    code, out, err = run(*argv, "--out", tmp_path / "t.csv")
    assert code == 0
    assert f"left out: there are no results at {given[-1]}" in err
    assert "5 results in 1 files" in out
    assert "1 results are of kinds" in out
    assert "intervals" in out
    assert "bad.json" in err
    code, _, err = run("convert", tmp_path / "bad.json", "--to", "mteb", "--out", tmp_path / "m")
    assert code == 2
    assert "there are no results" in err


def test_formulas_are_defused_and_come_back_as_they_were(tmp_path):
    given = result(model="=cmd", model_id="@x", data_id="-d", variant="+1")
    (path,) = exchange.write([given], "clip-benchmark-csv", path=tmp_path / "t.csv")
    with path.open(newline="") as handle:
        cells = [cell for row in csv.reader(handle) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    (read, *_), failed = exchange.read([path])
    assert failed == []
    assert (read.model_id, read.data_id, read.variant) == ("@x", "-d", "+1")


def test_one_odd_number_costs_its_row_alone(tmp_path):
    """Of a table one line, of MTEB's folder one score, of results one line."""
    table = tmp_path / "table.csv"
    table.write_text(
        "\ufeffdataset;model;pretrained;task;language;acc1\n"
        "a;m;p;zeroshot_classification;en;0.5\n"
        "b;m;p;zeroshot_classification;en;nan\n"
        "c;m;p;linear_probe;en;0.5\n"
        "d;m;p;zeroshot_classification;en;53.2\n"
        "e;m;p;zeroshot_classification;zz;0.5\n"
        "f;m;p\n",
        encoding="utf-8",
    )
    scores = [
        {"languages": ["eng-Latn"], "cosine_spearman": value} for value in (0.7, float("nan"), "x")
    ]
    (tmp_path / "org" / "rev").mkdir(parents=True)
    (tmp_path / "org" / "rev" / "STS.json").write_text(
        json.dumps({"task_name": "STS", "dataset_revision": "r", "scores": {"test": scores}})
    )
    (tmp_path / "half.json").write_text('{"metrics": {')
    rows, failed = exchange.read([tmp_path])
    assert sorted((row.task, *row.values.values()) for row in rows) == [("STS", 0.7), ("a", 0.5)]
    said = "\n".join(error.message for error in failed)
    assert len(failed) == 8
    for number in (3, 4, 5, 6, 7):
        assert f"{table}, line {number} is no result" in said
    assert "it says cosine_spearman = nan; allowed is a finite number" in said
    assert "it says cosine_spearman = 'x'; allowed is a number" in said
    assert "it says task = null; allowed is a text" in said
    assert "half.json is no JSON" in said


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\x01"])
def test_a_table_of_another_kind(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    rows, failed = exchange.read([tmp_path / "t.csv"])
    assert rows == []
    assert "no table of CLIP_benchmark" in failed[0].message


FOLDERS = ("clip-benchmark", "mteb")


@pytest.fixture
def written(run, tmp_path):
    """Convert results into one folder, as a user would: form, results, options."""

    def convert(form, rows, *options):
        files = tmp_path / "given.jsonl"
        files.write_text("".join(json.dumps(schema.to_row(row)) + "\n" for row in rows))
        return run("convert", files, "--to", form, "--out", tmp_path / "out", *options)

    return convert


def names_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize("before", FOLDERS)
def test_a_folder_that_convert_made_is_replaced_whole(form, before, written, tmp_path):
    assert written(before, [*RETRIEVED, CLASSIFIED])[0] == 0
    code, _, err = written(form, RETRIEVED[:1])
    assert (code, "--force replaces it" in err) == (2, True)
    code, out, err = written(form, RETRIEVED[:1], "--force")
    assert (code, err) == (0, "")
    assert "1 results in 1 files" in out
    assert len(names_of(tmp_path / "out")) == 2  # and the manifest
    assert [row.language for row in exchange.read([tmp_path / "out"])[0]] == ["deu_Latn"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.jsonl", "out"]


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize("name", ["mine.json", "deep/mine.json", "model_meta.json", "empty/"])
def test_what_is_not_of_convert_is_named_and_stays(form, name, written, tmp_path):
    written(form, RETRIEVED)
    place = tmp_path / "out" / name
    place.parent.mkdir(exist_ok=True)
    place.mkdir() if name.endswith("/") else place.write_text(json.dumps({"task_name": "x"}))
    before = names_of(tmp_path / "out")
    code, _, err = written(form, RETRIEVED[:1], "--force")
    assert (code, "polyglance.manifest does not name " + name.split("/")[0] in err) == (2, True)
    assert names_of(tmp_path / "out") == before
    assert place.exists()


def test_a_folder_of_others_and_a_changed_file_are_refused(written, tmp_path):
    (tmp_path / "out").mkdir()
    theirs = tmp_path / "out" / "benchmark_theirs.json"
    theirs.write_text('{"dataset": "x", "pretrained": "y", "task_name": "z", "metrics": {}}')
    for form in FOLDERS:
        code, _, err = written(form, RETRIEVED, "--force")
        assert (code, "it holds benchmark_theirs.json" in err) == (2, True)
        assert names_of(tmp_path / "out") == {theirs.name}
    theirs.unlink()
    written("clip-benchmark", RETRIEVED[:1])
    (changed,) = (tmp_path / "out").glob("*.json")
    changed.write_text(changed.read_text().replace("0.5", "0.6"))
    code, _, err = written("clip-benchmark", RETRIEVED[:1], "--force")
    assert (code, f"{changed.name} was changed since polyglance wrote it" in err) == (2, True)
    assert "0.6" in changed.read_text()


def test_the_manifest_names_each_file_and_no_reader_minds_it(written, run, tmp_path):
    written("mteb", ALL)
    folder = tmp_path / "out"
    said = json.loads((folder / made_files.MANIFEST).read_text())
    assert set(said["files"]) == names_of(folder) - {made_files.MANIFEST}
    for name, made in said["files"].items():
        data = (folder / name).read_bytes()
        assert made == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    # mteb reads **/*.json of its folder of results, CLIP_benchmark's build *.json.
    assert made_files.MANIFEST not in {path.name for path in folder.glob("**/*.json*")}
    rows, failed = exchange.read([folder, folder / made_files.MANIFEST])
    assert (as_sorted(rows), failed) == (as_sorted(ALL), [])
    (tmp_path / "r.jsonl").write_text(json.dumps(schema.to_row(ALIKE)) + "\n")
    files = (tmp_path / "r.jsonl", folder / made_files.MANIFEST)
    code, out, err = run("report", *files, "--out", tmp_path / "r.html")
    assert (code, "set aside" in out + err) == (0, False)


def test_the_old_folder_stays_until_the_new_one_is_whole(written, tmp_path, monkeypatch):
    written("mteb", RETRIEVED)
    before = names_of(tmp_path / "out")
    write = made_files.manifests.write_manifest

    def late(path, *args, **options):
        write(path, *args, **options)
        (tmp_path / "out" / "mine.json").write_text("{}")  # somebody puts a file there by now

    monkeypatch.setattr(made_files.manifests, "write_manifest", late)
    code, _, err = written("mteb", RETRIEVED[:1], "--force")
    assert (code, "is never replaced" in err) == (2, True)
    assert names_of(tmp_path / "out") == {*before, "mine.json"}
    (tmp_path / "out" / "mine.json").unlink()

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(made_files.manifests, "write_manifest", full)
    assert written("mteb", RETRIEVED[:1], "--force")[0] != 0
    assert names_of(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.jsonl", "out"]


@pytest.mark.parametrize("form", sorted(exchange.FORMS))
def test_the_api_replaces_nothing_unasked(form, tmp_path):
    out = tmp_path / ("out.csv" if form == "clip-benchmark-csv" else "out.jsonl")
    exchange.write(RETRIEVED, form, path=out)
    with pytest.raises(errors.OutputError, match="--force"):
        exchange.write(RETRIEVED, form, path=out)
    exchange.write(RETRIEVED[:1], form, path=out, force=True)
    assert len(exchange.read([out])[0]) == 1


def test_each_result_is_written_once_and_the_others_are_told(run, tmp_path):
    first, again, out = tmp_path / "g.jsonl", tmp_path / "h.jsonl", tmp_path / "x.jsonl"
    old, new, other = (
        result(values={"hit_rate_at_1": value}, intervals={}) for value in (0.1, 0.2, 0.3)
    )
    exchange.write([old, *RETRIEVED[1:], new], "polyglance", path=first)
    exchange.write([other], "polyglance", path=again)
    code, said, err = run("convert", first, first, again, "--to", "polyglance", "-o", out)
    assert code == 0
    assert "3 results in 1 files" in said
    kept, _ = exchange.read([out])
    assert as_sorted(kept) == as_sorted([new, *RETRIEVED[1:]])
    assert len(out.read_text().splitlines()) == 3
    assert f"left out: {first}: 1 results that were measured anew further down" in err
    assert f"left out: {first}: 3 results that stand further up already" in err
    assert f"left out: {again}: 1 results with other numbers than earlier ones" in err
