"""`make demo`: pictograms, photos where they are at hand, yours alone where you name them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
PICTOGRAMS = "polyglance demo --out demo"


@pytest.fixture
def demo(tmp_path):
    """What `make demo` would run in a checkout with nothing beside it."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(MAKEFILE, checkout)
    for name in ("pyproject.toml", "constraints.txt"):
        (checkout / name).touch()

    def run(*words, **variables):
        done = subprocess.run(
            ["make", "-n", "demo", *words],
            cwd=checkout,
            env={**{k: v for k, v in os.environ.items() if k != "PHOTOS"}, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [line.removeprefix(".venv/bin/") for line in done.stdout.splitlines()]
        return [line for line in lines if line.startswith("polyglance")], done.stdout

    return run


def test_without_photos_it_is_the_demo_on_pictograms(demo):
    found, everything = demo()
    assert found == [PICTOGRAMS]
    assert "packaged" not in everything  # and installs nothing more


def test_photos_beside_the_checkout_are_shown_behind_it(demo, tmp_path):
    (tmp_path / "shared" / "data" / "flickr8k").mkdir(parents=True)
    found, everything = demo()
    photos = 'polyglance demo --photos "../shared/data/flickr8k" --out demo-photos'
    assert found == [PICTOGRAMS, photos]
    assert "photos,packaged" in everything
    assert demo("PHOTOS=")[0] == [PICTOGRAMS]
    assert demo("DEMO=x")[0][1].endswith("--out x-photos")


def test_photos_that_are_named_are_shown_alone(demo):
    photos = 'polyglance demo --photos "/my photos" --out demo-photos'
    assert demo("PHOTOS=/my photos")[0] == [photos]
    assert demo(PHOTOS="/my photos")[0] == [photos]
