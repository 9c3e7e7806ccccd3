"""A server over the small world: an index of drawn pictures and a pack, asked without a network."""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="pip install 'polyglance[serve]'")

from fastapi.testclient import TestClient

import small_world
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.search import indexing
from polyglance.search.searcher import Searcher
from polyglance.serve import app
from polyglance.serve.answers import Asker


@dataclass(frozen=True)
class World:
    index: Path
    pictures: Path
    pack: object


@pytest.fixture(scope="session")
def pack(teacher):
    """One that its tests do not change."""
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def make_world(folder, *, drawn, teacher, pack):
    """A folder of pictures, one in a folder below, as an index; and a pack for it."""
    below = folder / "pictures" / "below & beyond #1"
    below.mkdir(parents=True)
    for name, data in drawn.items():
        (folder / "pictures" / name).write_bytes(data)
    small_world.draw("big red circle", seed=5).save(below / "ünder?.png")
    if not (folder / "model").is_dir():
        teacher.save(folder / "model")
    indexing.build(folder / "pictures", model=str(folder / "model"), out=folder / "index")
    return World(folder / "index", folder / "pictures", pack)


@contextmanager
def started(world, **options):
    """A client of a server over a world."""
    asker = Asker(Searcher(world.index, packs=[world.pack]))
    with TestClient(app.create(asker, **options), base_url="http://127.0.0.1:8765") as client:
        yield client


@pytest.fixture
def world(drawn, teacher, tmp_path, model_folder, pack):
    """One for a test that changes it, with the model in `model_folder`."""
    return make_world(tmp_path, drawn=drawn, teacher=teacher, pack=pack)


@pytest.fixture
def serve(world):
    """Start a server with these options over the test's own world; returns its client."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(started(world, **options))


@pytest.fixture
def own_client(serve):
    """Of a server over the test's own world."""
    return serve()


@pytest.fixture(scope="session")
def client(drawn, teacher, pack, tmp_path_factory):
    """Of a server that all tests share which change nothing."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGLANCE_CACHE", str(folder / "cache"))
        world = make_world(folder, drawn=drawn, teacher=teacher, pack=pack)
        with started(world) as found:
            yield found
