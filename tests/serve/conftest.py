"""A server over the small world: an index of drawn pictures and a pack, asked without a network."""

from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="pip install 'polyglance[serve]'")

from fastapi.testclient import TestClient

import small_world
from polyglance.recipes import ridge
from polyglance.search import indexing
from polyglance.search.service import Searcher
from polyglance.serve import app
from polyglance.serve.asking import Asker
from polyglance.sides import Side


@dataclass(frozen=True)
class World:
    index: Path
    pictures: Path
    pack: object


@pytest.fixture
def world(picture_folder, model_folder, tmp_path, teacher):
    """A folder of pictures, one in a folder below, as an index; and a pack for it."""
    below = picture_folder / "below & beyond #1"
    below.mkdir()
    small_world.draw("big red circle", seed=5).save(below / "ünder?.png")
    indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    pack = ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )
    return World(tmp_path / "index", picture_folder, pack)


@pytest.fixture
def serve(world):
    """Start a server with these options; returns its client."""
    started = []

    def start(**options):
        asker = Asker(Searcher(world.index, packs=[world.pack]))
        client = TestClient(app.create(asker, **options), base_url="http://127.0.0.1:8765")
        started.append(client.__enter__())
        return started[-1]

    yield start
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve):
    return serve()
