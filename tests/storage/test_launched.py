"""Which of several processes this is, by what their launcher says."""

import pytest

from polyglance import progress
from polyglance.cli import training_data, verbs
from polyglance.encoding import runs
from polyglance.records import Quarantined
from polyglance.storage import launched


@pytest.fixture(params=[None, 0, 1])
def rank(request, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    if request.param is not None:
        for name, value in {"RANK": request.param, "LOCAL_RANK": 0, "WORLD_SIZE": 2}.items():
            monkeypatch.setenv(name, str(value))
    return request.param


def test_ranks(rank):
    assert launched.num_processes() == (1 if rank is None else 2)
    assert launched.rank() == (rank or 0)
    assert launched.local_rank() == (None if rank is None else 0)


def test_the_first_speaks_and_the_others_wait_for_its_vectors(rank, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_enabled", False)
    verbs._options(version=False)
    assert progress._enabled is (rank != 1)
    training_data.tell_set_aside([Quarantined("line 3", "no such language")])
    assert ("line 3" in capsys.readouterr().err) is (rank != 1)
    assert (runs.cache_wait_seconds() > 24 * 3600) is (rank is not None)
