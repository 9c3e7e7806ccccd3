"""`import polyglance`: what it offers, how little it loads, and that its first screen runs."""

import pydoc
import subprocess
import sys

import pytest

import polyglance
import small_world


def test_the_names_are_these():
    assert polyglance.__all__ == [
        *("DualEncoder", "LanguagePack", "Searcher", "evaluate", "index", "train")
    ]
    for name in polyglance.__all__:
        assert callable(getattr(polyglance, name))
        assert name in dir(polyglance)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        polyglance.nope  # noqa: B018


def test_each_is_loaded_when_it_is_asked_for():
    code = (
        "import sys, polyglance\n"
        "ours = [name for name in sys.modules if name.startswith('polyglance.')]\n"
        "assert not ours and 'numpy' not in sys.modules, ours\n"
        "polyglance.Searcher\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_its_help_reads_like_the_readme():
    text = pydoc.plain(pydoc.render_doc(polyglance))
    for said in ("language pack", "polyglance.train(", "polyglance.Searcher(", "polyglance.index("):
        assert said in text


def test_from_a_model_to_an_answer(model_folder, picture_folder, tmp_path):
    """The steps of the first screen, on the small world."""
    english = [small_world.translate(phrase, "eng_Latn") for phrase in small_world.PHRASES]
    pack = polyglance.train(
        "ridge", {"english": english}, teacher=str(model_folder), tower="fake:multilingual"
    )
    pack.save(tmp_path / "pack")
    report = polyglance.index(picture_folder, model=str(model_folder), out=tmp_path / "index")
    assert report.new == len(small_world.PHRASES)
    searcher = polyglance.Searcher(tmp_path / "index", packs=[tmp_path / "pack"])
    asked = small_world.translate("big red circle", "deu_Latn")
    answer = searcher.search(asked, language="deu_Latn", top=5)
    assert "big-red-circle.png" in [hit.id for hit in answer.hits]
    model = polyglance.DualEncoder.load(str(model_folder))
    both = model.with_pack(polyglance.LanguagePack.load(tmp_path / "pack"))
    assert both.encode_texts([asked], languages=["deu_Latn"]).shape == (1, model.dim)
