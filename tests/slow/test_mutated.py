"""A sample of `tests/mutations.py`: damage ends in a clear error or the right answer."""

import pytest

import mutations

pytestmark = pytest.mark.slow


def test_no_damage_is_silently_wrong():
    found = mutations.run(60, seed=1)
    assert mutations.failures(found) == []
    assert {said for _, _, said in found} == {"refused", "right"}
