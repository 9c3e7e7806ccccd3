"""The tokenizer of a text tower, and what comes before it."""

import pytest

from polyglance.towers import parse_reference
from polyglance.towers.libraries import text_files


@pytest.fixture
def checkpoint(make_checkpoint):
    return make_checkpoint("nllb")


def test_prefix_and_form_of_a_reference(checkpoint):
    found = text_files.text_files(parse_reference(f"hf:{checkpoint}?prefix=query: "))
    assert found.folder == checkpoint
    assert found.prefix == "query: "
    assert text_files.text_files(parse_reference(f"hf:{checkpoint}")).prefix == ""


def test_a_library_that_keeps_its_files_has_none():
    assert text_files.text_files(parse_reference("openclip:ViT-B-32")) is None


def test_the_tokenizer_of_a_folder_is_that_of_transformers(checkpoint):
    own = text_files.tokenizer_of(checkpoint)
    changed = text_files.tokenizer_of_transformers(checkpoint)
    assert own.encode("a dog").tokens == changed.encode("a dog").tokens
    assert own.get_vocab_size() == changed.get_vocab_size()


def test_a_tokenizer_of_python_has_nothing_behind_it():
    assert text_files.backend_of(object()) is None


def test_a_copy_changes_nothing_of_the_tower(checkpoint):
    from polyglance.towers.libraries import transformers

    loaded = transformers.load_tokenizer(checkpoint)
    before = loaded("a dog")["input_ids"]
    copy = text_files.backend_of(loaded)
    copy.enable_truncation(1)
    copy.add_tokens(["dog"])
    assert loaded("a dog")["input_ids"] == before
