"""A bank's answers are asked for once, also by processes that were started together."""

import threading

import numpy as np

from polyglance import errors
from polyglance.encoding.texts import VectorCache
from polyglance.recipes.data import pseudo_pairs
from polyglance.storage.store import Store
from polyglance.vectors import unit

KEYS = [f"text {number}" for number in range(6)]


def ask(folder):
    random = np.random.default_rng(0)
    queries, bank = (unit(random.standard_normal((n, 4)).astype(np.float32)) for n in (6, 9))
    asker = pseudo_pairs.Asker("tower", KEYS, VectorCache(folder))
    return pseudo_pairs.answered(queries, bank, temperature=0.1, asker=asker)


def test_one_waits_while_another_writes_what_both_need(tmp_path, monkeypatch):
    wanted = ask(tmp_path / "alone")
    ask(tmp_path / "two")
    (place,) = (tmp_path / "two").iterdir()
    store = Store.open(place)
    store.delete(KEYS[3:])
    free = threading.Event()
    with store.writing():
        waiting = threading.Timer(0.5, free.set)
        waiting.start()
        found = []
        other = threading.Thread(target=lambda: found.append(ask(tmp_path / "two")))
        monkeypatch.setenv("WORLD_SIZE", "2")
        other.start()
        free.wait()
        assert found == []
    other.join(timeout=60)
    np.testing.assert_array_equal(found[0], wanted)
    assert sorted(Store.open(place).keys()) == KEYS


def test_one_that_was_started_by_itself_does_not_wait_for_ever(tmp_path, monkeypatch):
    from polyglance.encoding import runs

    monkeypatch.setattr(runs, "CACHE_WAIT_SECONDS", 0.1)
    ask(tmp_path)
    (place,) = tmp_path.iterdir()
    store = Store.open(place)
    store.delete(KEYS[:1])
    refused = []

    def other():
        try:
            ask(tmp_path)
        except errors.StoreError as error:
            refused.append(error.message)

    with store.writing():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(timeout=60)
    assert refused
    assert "one writer at a time" in refused[0]
