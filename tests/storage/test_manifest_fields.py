"""Manifests: what each field may be, and what is said of one that is not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from polyglance import errors
from polyglance.model.manifest import PackManifest
from polyglance.storage import manifest_fields
from polyglance.storage.manifest_fields import Count, Name, Share


@dataclass(frozen=True, kw_only=True)
class Score:
    pack: Share
    speaks: Literal["pack", "teacher"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    name: Name
    width: Count = 3
    best: float | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    pairs: tuple[tuple[Count, Count], ...] = ()
    is_ours: bool = True
    key: Annotated[str, manifest_fields.form("[0-9a-f]{4}", "4 digits")] = "00ff"
    notes: Mapping[str, Any] = field(default_factory=dict)


def read(text):
    return manifest_fields.read(Facts, json.loads(text), place="a.json", hint="mend it")


def test_what_fits_is_read_as_what_it_is():
    found = read(
        '{"name": "n", "best": 1, "scores": {"deu": {"pack": 0.5, "speaks": "pack"}},'
        ' "pairs": [[1, 2]], "notes": {"any": [null]}}'
    )
    assert found.scores["deu"] == Score(pack=0.5, speaks="pack")
    assert found.best == 1.0
    assert isinstance(found.best, float)
    assert found.pairs == ((1, 2),)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{}", "a.json does not say its name"),
        ('{"name": " "}', "name = ' '; allowed is a name"),
        ('{"name": 7}', "name = 7; allowed is a text"),
        ('{"name": "n", "wdith": 7}', "wdith = 7; allowed is no field of that name.*width"),
        ('{"name": "n", "width": -1}', "width = -1; allowed is a number of at least 0"),
        ('{"name": "n", "width": true}', "width = true; allowed is a whole number"),
        ('{"name": "n", "width": 1.5}', "width = 1.5; allowed is a whole number"),
        ('{"name": "n", "best": NaN}', "best = nan; allowed is a finite number or nothing"),
        ('{"name": "n", "best": "x"}', "best = 'x'; allowed is a number or nothing"),
        ('{"name": "n", "scores": []}', r"scores = \[\]; allowed is a table"),
        ('{"name": "n", "scores": {"d": 1}}', "scores.d = 1; allowed is a table of Score"),
        (
            '{"name": "n", "scores": {"d": {"pack": 7, "speaks": "pack"}}}',
            "scores.d.pack = 7.0; allowed is a number from 0 to 1",
        ),
        (
            '{"name": "n", "scores": {"d": {"pack": Infinity, "speaks": "pack"}}}',
            "scores.d.pack = inf; allowed is a finite number",
        ),
        (
            '{"name": "n", "scores": {"d": {"pack": 1, "speaks": "nobody"}}}',
            "scores.d.speaks = 'nobody'; allowed is 'pack' or 'teacher'",
        ),
        ('{"name": "n", "pairs": [[1]]}', r"pairs.0 = \[1\]; allowed is a list of two"),
        ('{"name": "n", "pairs": "12"}', "pairs = '12'; allowed is a list"),
        ('{"name": "n", "is_ours": 1}', "is_ours = 1; allowed is true or false"),
        ('{"name": "n", "key": ".."}', r"key = '..'; allowed is 4 digits"),
    ],
)
def test_the_field_what_it_says_and_what_is_allowed_are_named(given, said):
    with pytest.raises(errors.StoreError, match=said):
        read(given)


def test_no_dataclass_of_a_manifest_has_a_field_that_cannot_be_checked():
    from polyglance.generation import heads
    from polyglance.model import dual_encoder
    from polyglance.storage import ann_index, checksums, identity
    from polyglance.towers.tiny import tower
    from polyglance.towers.trainable import tuned, tuned_images

    for schema in (
        PackManifest,
        dual_encoder.ModelFacts,
        identity.StoreManifest,
        checksums.Sums,
        ann_index.IndexFacts,
        heads.GenerationManifest,
        tower.TinyFacts,
        tuned.TunedFacts,
        tuned_images.TunedImageFacts,
    ):
        with pytest.raises(errors.StoreError, match="does not say its"):
            manifest_fields.read(schema, {}, place="a.json", hint="mend it")
