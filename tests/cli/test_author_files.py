"""`polyglance published --file`: an author's own results, told in 80 columns."""

import json

import pytest

RATES = {
    "eval/R@10/t2i/MIC_caption_de": 55.44,
    "eval/R@10/t2i/XTD10_captions_es": 64.0,
    "eval/avg_metric_t2i": 59.72,
}


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "baseline_clip.json"
    path.write_text(json.dumps(RATES))
    return path


def test_one_file_is_told_in_full(run, clip):
    code, out, _ = run("published", "--file", str(clip))
    assert code == 0
    assert "1 of 1 averages in it follow" in out
    assert "1 of 3 figures of the paper are those of the file" in out
    assert "2 languages" in out
    average, spanish = [line for line in out.splitlines() if "printed" in line]
    assert average.split()[:2] == ["m2m-table2", "average"]  # of two languages here, there of 11
    assert spanish.split()[:2] == ["m2m-table2", "spa_Latn"]
    assert "printed   64.1, file  64.000" in spanish
    assert max(map(len, out.splitlines())) <= 80


def test_several_files_are_a_line_each(run, clip, tmp_path):
    long_name = "250K_mse_klclip_skip_conn_jina_multiMpnet_multiMpnet.json"
    (tmp_path / long_name).write_text(json.dumps(RATES))
    (tmp_path / "README.md").write_text("no results")
    code, out, _ = run("published", "--file", str(tmp_path))
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == [long_name, "3", "baseline_clip.json"]
    assert "1 of 1     1 of 3     24.02" in lines[3]
    assert lines[4].split() == ["2", "files", "6", "2", "of", "2", "1", "of", "7", "34.66"]
    assert max(map(len, lines)) <= 80


def test_json_keeps_the_digits(run, clip):
    _, out, _ = run("published", "--file", str(clip), "--json")
    found = json.loads(out)["baseline_clip.json"]
    assert [number["printed"] for number in found["numbers"]] == ["55.44", "64.0", "59.72"]
    assert found["beside"][1]["printed"]["printed"] == "55.4"


def test_a_folder_without_any(run, tmp_path):
    code, _, err = run("published", "--file", str(tmp_path))
    assert code != 0
    assert "no file of results that an author published" in err


def test_a_file_that_is_not_there(run, tmp_path):
    code, _, err = run("published", "--file", str(tmp_path / "baseline_clip.json"))
    assert code != 0
    assert "there is no file" in err
