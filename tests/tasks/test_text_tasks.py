"""The publishers' files of sentences become tasks: right pairs, right columns, right counts."""

import re
import zipfile

import pytest

from polyglance import errors, tasks
from polyglance.records import ScoredPair
from polyglance.sources import sts
from polyglance.tasks.text_groups import tatoeba_groups
from polyglance.tasks.text_rows import TEXT
from shared_data import SHARED, needs_shared

# Kind, what the papers report, languages, folder, files, release, licence, who made it.
SAID = {
    "sts17": (
        "text",
        "spearman",
        8,
        "",
        ("Sts2017.eval.v1.1.zip", "Sts2017.gs.zip", "STS2017-extended.zip"),
        "eval v1.1; the extension brings de, fr, it, nl",
        "CC-BY-SA-4.0",
        "Cer et al., SemEval-2017 task 1; Reimers and Gurevych, EMNLP 2020",
    ),
    "tatoeba": (
        "text",
        "accuracy",
        112,
        "",
        ("tatoeba.CODE-eng.CODE", "tatoeba.CODE-eng.eng"),
        "LASER data v1, of 2018-11-17",
        "CC-BY-2.0-FR",
        "Artetxe and Schwenk, TACL 2019",
    ),
    "xtd200-text": (
        "text",
        "accuracy",
        200,
        "xtd200",
        ("LANG.txt",),
        "",
        "CC-BY-NC-4.0",
        "Visheratin, 2023 (NLLB-CLIP)",
    ),
    "xm3600-text": (
        "text",
        "hit_rate",
        36,
        "xm3600",
        ("captions.jsonl",),
        "",
        "CC-BY-4.0",
        "Thapliyal et al., EMNLP 2022; as M2M, section 6, asks them",
    ),
    "xm3600-uclip-text": (
        "text",
        "hit_rate",
        36,
        "xm3600",
        ("captions_LANG.json",),
        "",
        "CC-BY-4.0",
        "Thapliyal et al., EMNLP 2022; uCLIP",
    ),
    "audiocaps-text": (
        "text",
        "hit_rate",
        1,
        "audiocaps",
        ("test.csv or test.LANG.csv",),
        "",
        "MIT",
        "Kim et al., NAACL 2019; as M2M, section 6, asks them",
    ),
    "bitext": ("text", "accuracy", 0, "", ("LANG.txt",), "", "yours", ""),
}


def test_what_the_table_says_of_each_task_of_texts():
    found = {}
    for name, row in TEXT.items():
        facts = (row.kind, row.metric, row.num_languages, row.folder, row.files)
        found[name] = (*facts, row.revision, row.licence, row.citation)
        policy = "unique" if row.metric == "hit_rate" else "none"
        assert (row.policy, row.images, row.downloads) == (policy, "", ())
        assert row.groups is (tatoeba_groups if name == "tatoeba" else None)
        assert row.summary
    assert found == SAID


def sts17(folder, *, packed=True, **changed):
    """The publisher's two archives with two pairs a track; track 6 has a third without a score."""
    written = {}
    for track in sts.TRACKS:
        lines = [f"first {track}\tsecond {track}", "a\tb"]
        if track.startswith("track6"):
            lines.append("c\td")
        written[f"STS2017.eval.v1.1/STS.input.{track}.txt"] = "\n".join(lines) + "\n"
        written[f"STS2017.gs/STS.gs.{track}.txt"] = "1.5\n5\n"
    written.update(changed)
    folder.mkdir(exist_ok=True)
    for packed_name, unpacked in (sts.INPUTS, sts.GOLD):
        inside = {name: text for name, text in written.items() if name.startswith(unpacked)}
        if packed:
            with zipfile.ZipFile(folder / packed_name, "w") as archive:
                for name, text in inside.items():
                    archive.writestr(name, text)
        else:
            for name, text in inside.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("packed", [True, False])
def test_sts17_pairs_go_by_the_language_that_is_not_english(packed, tmp_path):
    data = tasks.get_task("sts17").load(sts17(tmp_path / "s", packed=packed), None)
    assert {language: list(found) for language, found in data.pairs.items()} == {
        "arb_Arab": ["arb_Arab", "eng_Latn"],
        "spa_Latn": ["spa_Latn", "eng_Latn"],
        "eng_Latn": ["eng_Latn"],
        "tur_Latn": ["eng_Latn"],
    }
    turkish = data.pairs["tur_Latn"]["eng_Latn"]
    assert [pair.score for pair in turkish] == [1.5, 5.0]
    assert (turkish[0].language_a, turkish[0].language_b) == ("eng_Latn", "tur_Latn")
    assert data.num_unscored["tur_Latn", "eng_Latn"] == 1
    assert data.num_unscored["arb_Arab", "eng_Latn"] == 0


@pytest.mark.parametrize("packed", [True, False])
def test_the_extension_of_sts17_brings_four_languages_with_english(packed, tmp_path):
    folder = sts17(tmp_path / "s", packed=packed)
    texts = {
        f"STS2017-extended/STS.{track}.txt": f"first {track}\tsecond {track}\t2.5\nx\ty\t9\n"
        for track in sts.EXTENDED
    }
    if packed:
        with zipfile.ZipFile(folder / "STS2017-extended.zip", "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)
    else:
        (folder / "STS2017-extended").mkdir()
        for name, text in texts.items():
            (folder / name).write_text(text)
    data = tasks.get_task("sts17").load(folder, None)
    assert set(data.languages) == {
        *("arb_Arab", "spa_Latn", "eng_Latn", "tur_Latn"),
        *("deu_Latn", "fra_Latn", "ita_Latn", "nld_Latn"),
    }
    [german] = data.pairs["deu_Latn"]["eng_Latn"]
    assert (german.text_a, german.language_a, german.score) == ("first en-de", "eng_Latn", 2.5)
    [french] = data.pairs["fra_Latn"]["eng_Latn"]
    assert (french.language_a, french.language_b) == ("fra_Latn", "eng_Latn")
    assert [item.id for item in data.set_aside] == [
        f"STS.{track}.txt, line 2" for track in sts.EXTENDED
    ]
    [dutch] = tasks.get_task("sts17").load(folder, ["nld_Latn"]).pairs.values()
    assert list(dutch) == ["eng_Latn"]


def test_a_track_that_the_extension_lacks_costs_no_other(tmp_path):
    folder = sts17(tmp_path / "s")
    with zipfile.ZipFile(folder / "STS2017-extended.zip", "w") as archive:
        archive.writestr("STS2017-extended/STS.en-de.txt", "a\tb\t2.5\n")
    data = tasks.get_task("sts17").load(folder, None)
    assert set(data.languages) == {"arb_Arab", "spa_Latn", "eng_Latn", "tur_Latn", "deu_Latn"}
    assert [item.id for item in data.set_aside] == ["fr-en", "it-en", "nl-en"]
    assert "there is no STS.fr-en.txt" in data.set_aside[0].reason


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("STS2017.gs/STS.gs.track5.en-en.txt", "1\n9\n", "'9' in .* is no score from 0 to 5"),
        ("STS2017.gs/STS.gs.track5.en-en.txt", "1\nnan\n", "'nan' in .* is no score"),
        ("STS2017.eval.v1.1/STS.input.track5.en-en.txt", "a\tb\nc\n", "expected two"),
    ],
)
def test_a_pair_of_sts17_that_does_not_fit_costs_no_other(name, text, said, tmp_path):
    folder = sts17(tmp_path / "s", **{name: text})
    with pytest.raises(errors.InputError, match=f"line 2: {said}"):
        sts.read_sts17(folder, "track5.en-en")
    data = tasks.get_task("sts17").load(folder, None)
    assert len(data.pairs["eng_Latn"]["eng_Latn"]) == 1
    [told] = data.set_aside
    assert told.id == "STS.input.track5.en-en.txt, line 2"
    assert re.search(said, told.reason)


def test_more_scores_than_pairs(tmp_path):
    folder = sts17(tmp_path / "s", **{"STS2017.gs/STS.gs.track5.en-en.txt": "1\n2\n3\n"})
    with pytest.raises(errors.InputError, match="3 scores for 2 pairs"):
        tasks.get_task("sts17").load(folder, None)


@pytest.mark.parametrize(
    ("track", "first", "second"),
    [
        ("track1.ar-ar", "arb_Arab", "arb_Arab"),
        ("track2.ar-en", "eng_Latn", "arb_Arab"),
        ("track3.es-es", "spa_Latn", "spa_Latn"),
        ("track4a.es-en", "spa_Latn", "eng_Latn"),
        ("track5.en-en", "eng_Latn", "eng_Latn"),
        ("track6.tr-en", "eng_Latn", "tur_Latn"),
    ],
)
def test_each_column_of_sts17_is_in_its_own_language(track, first, second, tmp_path):
    """The publisher's files have English first in tracks 2 and 6, whatever their names say."""
    (tmp_path / "STS2017.eval.v1.1").mkdir()
    (tmp_path / "STS2017.gs").mkdir()
    lines = f"one {first}\ttwo {second}\nleft\tright\n"
    (tmp_path / "STS2017.eval.v1.1" / f"STS.input.{track}.txt").write_text(lines)
    (tmp_path / "STS2017.gs" / f"STS.gs.{track}.txt").write_text("3.5\n")
    pairs, unscored = sts.read_sts17(tmp_path, track)
    assert unscored == 1
    assert pairs == [ScoredPair(f"one {first}", first, f"two {second}", second, 3.5)]


def test_sts17_that_is_not_there_or_damaged(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"no STS.input.track1.ar-ar.txt"):
        tasks.get_task("sts17").load(tmp_path, None)
    (sts17(tmp_path / "s") / sts.GOLD[0]).write_bytes(b"no archive")
    with pytest.raises(errors.InputError, match="cannot be read"):
        tasks.get_task("sts17").load(tmp_path / "s", None)


def tatoeba(folder):
    folder.mkdir()
    for code, lines in (("deu", ["Hund", "Katze"]), ("cmn", ["狗", "猫", ""]), ("srp", ["pas"])):
        english = ["dog", "cat", "left over"][: len(lines)]
        (folder / f"tatoeba.{code}-eng.{code}").write_text("\n".join(lines) + "\n")
        (folder / f"tatoeba.{code}-eng.eng").write_text("\n".join(english) + "\n")
    (folder / "README.md").write_text("about")
    return folder


def test_tatoeba_takes_its_own_codes_and_drops_empty_sides(tmp_path):
    data = tasks.get_task("tatoeba").load(tatoeba(tmp_path / "t"), None)
    assert data.languages == ("deu_Latn", "srp_Latn", "zho_Hans")
    assert [pair.text_b for pair in data.pairs["zho_Hans"]] == ["dog", "cat"]
    assert data.num_empty == {"deu_Latn": 0, "srp_Latn": 0, "zho_Hans": 1}


def test_files_of_different_length_are_refused(tmp_path):
    folder = tatoeba(tmp_path / "t")
    (folder / "tatoeba.deu-eng.eng").write_text("dog\n")
    with pytest.raises(errors.InputError, match=r"deu has 2 lines and .*eng 1"):
        tasks.get_task("tatoeba").load(folder, ["deu_Latn"])


@pytest.mark.parametrize("name", ["tatoeba", "sts17"])
def test_a_language_the_task_lacks(name, tmp_path):
    folder = tatoeba(tmp_path / "f") if name == "tatoeba" else sts17(tmp_path / "f")
    with pytest.raises(errors.LanguageError, match=f"{name} has nothing in fra_Latn"):
        tasks.get_task(name).load(folder, ["fra_Latn"])


class TestBitext:
    def write(self, folder, **lines):
        folder.mkdir(exist_ok=True)
        for stem, text in lines.items():
            (folder / f"{stem}.txt").write_text(text)
        return folder

    def load(self, folder, languages=None):
        return tasks.get_task("bitext").load(folder, languages)

    def test_files_of_languages_meet_the_english_one(self, tmp_path):
        data = self.load(self.write(tmp_path, en="dog\ncat", de="Hund\nKatze", README="about"))
        assert data.languages == ("deu_Latn",)
        assert data.pairs["deu_Latn"][1].text_b == "cat"

    def test_without_english(self, tmp_path):
        with pytest.raises(errors.UnavailableError, match="no English file"):
            self.load(self.write(tmp_path, de="Hund"))

    def test_english_alone(self, tmp_path):
        with pytest.raises(errors.UnavailableError, match="no files LANG.txt"):
            self.load(self.write(tmp_path, en="dog"))

    def test_an_ambiguous_name_is_not_passed_over(self, tmp_path):
        with pytest.raises(errors.LanguageError, match="ambiguous language 'zh'"):
            self.load(self.write(tmp_path, en="dog", zh="狗"))

    def test_two_files_of_one_language(self, tmp_path):
        with pytest.raises(errors.InputError, match="are both deu_Latn"):
            self.load(self.write(tmp_path, en="dog", de="Hund", deu_Latn="Hund"))

    def test_nothing_but_empty_sides(self, tmp_path):
        with pytest.raises(errors.InputError, match="no line with text on both sides"):
            self.load(self.write(tmp_path, en="dog\n", de="\n"))

    def test_a_file_that_does_not_fit_costs_its_own_language(self, tmp_path):
        data = self.load(self.write(tmp_path, en="dog\n", de="\n", fr="chien\n", it="a\nb\n"))
        assert data.languages == ("fra_Latn",)
        assert [one.id for one in data.set_aside] == ["de.txt", "it.txt"]


@pytest.mark.parametrize("name", ["sts17", "tatoeba", "xtd200-text", "bitext"])
def test_without_a_folder_the_hint_says_how_to_give_one(name):
    with pytest.raises(errors.UnavailableError, match="not part of polyglance") as caught:
        tasks.get_task(name).load(None, None)
    assert "--data" in caught.value.hint


def test_data_id_is_of_a_language_s_own_texts(tmp_path):
    folder = tatoeba(tmp_path / "t")
    data = tasks.get_task("tatoeba").load(folder, None)
    alone = tasks.get_task("tatoeba").load(folder, ["deu_Latn"])
    assert alone.data_id("deu_Latn") == data.data_id("deu_Latn")
    assert data.data_id("zho_Hans") != data.data_id("deu_Latn")


@needs_shared
def test_real_files():
    # STS 2017 is there without its extension, which brings four more.
    for name, absent in {"sts17": 4, "tatoeba": 0, "xtd200-text": 0}.items():
        row = tasks.get_task(name)
        data = row.load(SHARED / (row.folder or name), None)
        assert len(data.languages) == row.num_languages - absent
    assert len(data.pairs["deu_Latn"]) == 1000
    everyone = set(tasks.get_task("tatoeba").load(SHARED / "tatoeba", None).languages)
    assert [len(members & everyone) for members in tatoeba_groups().values()] == [14, 36, 82]


@needs_shared
def test_the_columns_of_real_sts_are_in_the_languages_that_are_said():
    data = tasks.get_task("sts17").load(SHARED / "sts17", None)
    for pair in data.pairs["arb_Arab"]["eng_Latn"]:
        assert pair.text_a.isascii() or not any("\u0600" <= c <= "\u06ff" for c in pair.text_a)
        assert any("\u0600" <= c <= "\u06ff" for c in pair.text_b)
    assert data.num_unscored["tur_Latn", "eng_Latn"] == 250
