"""Groups of languages: every language once, the right bounds, the right families."""

import json

import pytest

from polyglance import errors
from polyglance.languages import registry
from polyglance.languages.groups import (
    RESOURCE_BOUNDS,
    family,
    language_groups,
    num_babel_imagenet_classes,
    resource_group,
)
from shared_data import SHARED

ALL = {row.id for row in registry.all_languages()}


@pytest.mark.parametrize("by", ["script", "family"])
def test_every_language_is_in_one_group(by):
    members = [language for group in language_groups(by).values() for language in group]
    assert len(members) == len(set(members))
    assert set(members) == ALL


def test_resources_cover_the_languages_of_babel_imagenet_alone():
    groups = language_groups("resources")
    assert list(groups) == list(RESOURCE_BOUNDS) == ["very-low", "low", "mid", "high"]
    members = [language for group in groups.values() for language in group]
    assert len(members) == len(set(members)) == 298
    for name, group in groups.items():
        for language in group:
            assert num_babel_imagenet_classes(language) <= RESOURCE_BOUNDS[name]


# Counts on both sides of each bound, from the released file.
@pytest.mark.parametrize(
    ("language", "classes", "group"),
    [
        ("kmr_Latn_ku", 101, "low"),
        ("sun_Latn", 98, "very-low"),
        ("hin_Deva", 342, "mid"),
        ("afr_Latn", 303, "low"),
        ("por_Latn", 667, "high"),
        ("kor_Hang", 648, "mid"),
        ("eng_Latn", 1000, "high"),
    ],
)
def test_bounds_of_the_resource_groups(language, classes, group):
    assert num_babel_imagenet_classes(language) == classes
    assert resource_group(language) == group
    assert language in language_groups("resources")[group]


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("fin_Latn", "Uralic"),
        ("est_Latn", "Uralic"),
        ("tur_Latn", "Turkic"),
        ("vie_Latn", "Austroasiatic"),
        ("tha_Thai", "Tai-Kadai"),
        ("swh_Latn", "Atlantic-Congo"),
        ("arb_Arab", "Afro-Asiatic"),
        ("mlt_Latn", "Afro-Asiatic"),
        ("pes_Arab", "Indo-European"),
        ("hat_Latn", "Indo-European"),
        ("jpn_Jpan", "Japonic"),
        ("quy_Latn", "Quechuan"),
        ("epo_Latn", "Artificial Language"),
    ],
)
def test_families(language, name):
    assert family(language) == name
    assert language in language_groups("family")[name]


def test_groups_are_listed_by_size_and_scripts_are_those_of_the_ids():
    sizes = [len(group) for group in language_groups("script").values()]
    assert sizes == sorted(sizes, reverse=True)
    assert all("_Cyrl" in language for language in language_groups("script")["Cyrl"])


def test_bad_input():
    with pytest.raises(errors.UnknownNameError, match="resources, script"):
        language_groups("continent")
    with pytest.raises(errors.LanguageError):
        family("xxyyzz")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real data at {SHARED}")
def test_counts_are_those_of_the_publishers_file():
    found = json.loads((SHARED / "babel_imagenet/babel_imagenet-298.json").read_text("utf-8"))
    for code, (indices, _) in found.items():
        language = registry.normalise_language(code, dataset="babel-imagenet")
        assert num_babel_imagenet_classes(language) == len(indices)
